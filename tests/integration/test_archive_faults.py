"""What the archive does when disk, server, directory or table are not as they should be."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from conftest import Database

from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive import Archive, Format, Part, fate
from agentdb_cli.retention.archive.manifest import Manifest, State

DELETE = "DELETE FROM kept AS t WHERE id <= {} RETURNING {{row}}"


@pytest.fixture
def kept(database18: Database) -> Database:
    """A table of 1000 rows."""
    database18.execute("CREATE TABLE kept (id int PRIMARY KEY, body text)")
    database18.execute("INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(1, 1000) g")
    return database18


def opened(
    database: Database,
    directory: Path,
    format: Format = Format.jsonl,
    notice: Callable[[str], None] = lambda _: None,
) -> Archive:
    oid = database.value("SELECT 'kept'::regclass::oid")
    return Archive.open(directory, database.connection, "public.kept", oid, format, notice)


def purged(database: Database, archive: Archive, last: int = 100) -> str:
    """Delete rows up to an id; the name of the part."""
    with database.connection.transaction():
        part = archive.write(database.connection, DELETE.format(last))
    archive.commit(part)
    return part.name


def rows(database: Database) -> object:
    return database.value("SELECT count(*) FROM kept")


def parts(directory: Path) -> dict[str, State]:
    manifest = Manifest(directory / "public.kept")
    return {name: record.state for name, record in manifest.records.items()}


def names(directory: Path) -> set[str]:
    return {path.name for path in (directory / "public.kept").iterdir()}


# --- The disk ----------------------------------------------------------------


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("format", Format)
def test_a_file_that_cannot_grow(format: Format, kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path, format) as archive:
        first = purged(kept, archive)
        with small_files(8000), pytest.raises(AgentdbError) as caught:
            purged(kept, archive, 1000)
        assert caught.value.message.startswith(f"cannot write {tmp_path / 'public.kept'}/")
        assert "File too large (" in caught.value.message
        assert caught.value.message.endswith(" MB free)")
        assert rows(kept) == 900
        assert names(tmp_path) == {"lock", "manifest.jsonl", first}
        purged(kept, archive, 1000)
    assert rows(kept) == 0
    assert set(parts(tmp_path).values()) == {State.committed}


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(kept: Database, tiny_disk: Path) -> None:
    kept.execute("UPDATE kept SET body = (SELECT string_agg(md5((id * n)::text), '')"
                 " FROM generate_series(1, 20) n)")  # fmt: skip
    with opened(kept, tiny_disk) as archive:
        with pytest.raises(AgentdbError) as caught:
            purged(kept, archive, 1000)
        assert "No space left on device (0.0 MB free)" in caught.value.message
        assert caught.value.hint == (
            "the rows of this batch are still in the table; make room, or name a directory "
            "on another file system"
        )
        assert rows(kept) == 1000
        purged(kept, archive, 10)
    assert rows(kept) == 990


def fill_up(path: Path) -> None:
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def commit_often(archive: Archive, part: Part) -> None:
    for _ in range(200):
        archive.commit(part)


def test_a_disk_that_is_full_when_the_manifest_is_to_be_written(
    kept: Database, tiny_disk: Path
) -> None:
    with opened(kept, tiny_disk) as archive:
        purged(kept, archive, 10)
        with kept.connection.transaction():
            part = archive.write(kept.connection, DELETE.format(20))
        ballast = tiny_disk / "ballast"
        fill_up(ballast)
        # The manifest's last page has room left for lines; that is used up first.
        with pytest.raises(AgentdbError, match=r"cannot write .*manifest\.jsonl: No space"):
            commit_often(archive, part)
        ballast.unlink()
    with opened(kept, tiny_disk):
        pass
    assert list(parts(tiny_disk).values()) == [State.committed] * 2


def test_a_directory_that_cannot_be_made(kept: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path / "file" / "archive")
    assert caught.value.message == (
        f"cannot make {tmp_path}/file/archive/public.kept: Not a directory"
    )


def test_a_read_only_directory(kept: Database, tiny_disk: Path) -> None:
    opened(kept, tiny_disk).close()
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True)
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tiny_disk)
    assert caught.value.message == (
        f"cannot write into {tiny_disk}/public.kept: permission denied or a read-only file system"
    )


def test_only_the_owner_may_read(kept: Database, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(kept, tmp_path / "new") as archive:
            purged(kept, archive)
    finally:
        os.umask(before)
    place = tmp_path / "new" / "public.kept"
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert place.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


# --- The manifest ------------------------------------------------------------


@pytest.mark.parametrize("torn", [b'{"state": "comm', b"\x00" * 40, b"{}"])
def test_a_torn_last_line_is_cut_off(torn: bytes, kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
    path = tmp_path / "public.kept" / "manifest.jsonl"
    with path.open("ab") as file:
        file.write(torn)
    with opened(kept, tmp_path) as archive:
        purged(kept, archive, 200)
    assert list(parts(tmp_path).values()) == [State.committed] * 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_every_byte_at_which_the_manifest_may_be_torn(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
    path = tmp_path / "public.kept" / "manifest.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for size in range(len(lines[0]) + len(lines[1]), len(whole), 7):
        path.write_bytes(whole[:size])
        with opened(kept, tmp_path):
            pass
        assert list(parts(tmp_path).values()) == [State.committed], size


def test_a_damaged_line_within(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
    path = tmp_path / "public.kept" / "manifest.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{broken\n" + lines[2])
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path)
    assert caught.value.message == f"line 2 of {path} is damaged"


def test_a_manifest_of_a_newer_version(kept: Database, tmp_path: Path) -> None:
    opened(kept, tmp_path).close()
    path = tmp_path / "public.kept" / "manifest.jsonl"
    path.write_text(path.read_text().replace('"agentdb_archive": 1', '"agentdb_archive": 2'))
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path)
    assert caught.value.message == (
        f"{path} was written by a newer agentdb (archive format 2, this one knows 1)"
    )
    assert caught.value.hint == "upgrade agentdb"


def test_a_lost_manifest_does_not_cost_a_file(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        name = purged(kept, archive)
    path = tmp_path / "public.kept" / "manifest.jsonl"
    path.rename(tmp_path / "lost")
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path)
    assert caught.value.message == (
        f"{path.with_name(name)} is complete, but {path} does not name it"
    )
    assert path.with_name(name).exists()


def test_an_old_manifest_does_not_cost_a_file(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
        path = tmp_path / "public.kept" / "manifest.jsonl"
        old = path.read_bytes()
        name = purged(kept, archive, 200)
    path.write_bytes(old)
    with pytest.raises(AgentdbError, match="is complete, but"):
        opened(kept, tmp_path)
    assert path.with_name(name).exists()


def test_files_of_others_stay(kept: Database, tmp_path: Path) -> None:
    opened(kept, tmp_path).close()
    (tmp_path / "public.kept" / "notes.txt").write_text("mine")
    opened(kept, tmp_path).close()
    assert "notes.txt" in names(tmp_path)


# --- Transactions ------------------------------------------------------------


def test_abort_removes_the_file(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        with kept.connection.transaction() as transaction:
            part = archive.write(kept.connection, DELETE.format(100))
            raise psycopg.Rollback(transaction)
        archive.abort(part)
        assert names(tmp_path) == {"lock", "manifest.jsonl"}
        assert parts(tmp_path) == {part.name: State.aborted}
    assert rows(kept) == 1000


def test_abort_of_what_was_committed_keeps_the_file(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        with kept.connection.transaction():
            part = archive.write(kept.connection, DELETE.format(100))
        archive.abort(part)
    assert parts(tmp_path) == {part.name: State.committed}
    assert part.name in names(tmp_path)


def test_a_statement_that_fails_leaves_nothing(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        with pytest.raises(psycopg.errors.DivisionByZero), kept.connection.transaction():
            archive.write(
                kept.connection, "DELETE FROM kept AS t WHERE 1 / (id - 900) < 2 RETURNING {row}"
            )
        assert names(tmp_path) == {"lock", "manifest.jsonl"}
        purged(kept, archive)
    assert rows(kept) == 900


@pytest.mark.parametrize("pause", [0.1, 0.001])  # before and after the first rows arrive
def test_ctrl_c_leaves_nothing(pause: float, kept: Database, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with opened(kept, tmp_path) as archive:
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            with pytest.raises(KeyboardInterrupt), kept.connection.transaction():
                archive.write(
                    kept.connection,
                    f"DELETE FROM kept AS t WHERE pg_sleep({pause}) IS NOT NULL RETURNING {{row}}",
                )
            assert names(tmp_path) == {"lock", "manifest.jsonl"}
            assert rows(kept) == 1000
            purged(kept, archive)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_failure_after_the_last_row(kept: Database, tmp_path: Path) -> None:
    kept.execute("CREATE TABLE child (id int REFERENCES kept); INSERT INTO child VALUES (50)")
    with opened(kept, tmp_path) as archive:
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            purged(kept, archive)
        assert names(tmp_path) == {"lock", "manifest.jsonl"}
        purged(kept, archive, 49)
    assert rows(kept) == 951


def test_no_rows_make_no_file(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive, 0)
    assert names(tmp_path) == {"lock", "manifest.jsonl"}
    assert parts(tmp_path) == {}


def test_rows_are_on_the_servers_disk_when_commit_returns(kept: Database, tmp_path: Path) -> None:
    kept.execute("SET synchronous_commit = off")
    with opened(kept, tmp_path) as archive:
        with kept.connection.transaction():
            archive.write(kept.connection, DELETE.format(100))
            assert kept.value("SHOW synchronous_commit") == "on"
        assert kept.value("SHOW synchronous_commit") == "off"
        kept.execute("SET synchronous_commit = remote_apply")
        with kept.connection.transaction():
            archive.write(kept.connection, DELETE.format(200))
            assert kept.value("SHOW synchronous_commit") == "remote_apply"


def test_a_transaction_that_is_still_open(
    kept: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fate, "PATIENCE", 0.1)
    archive = opened(kept, tmp_path)
    heard: list[str] = []
    with kept.connection.transaction():
        part = archive.write(kept.connection, DELETE.format(100))
        archive.close()
        pid = kept.connection.info.backend_pid
        with psycopg.connect(kept.url, autocommit=True) as other:
            second = Database(other, kept.url, 18)
            with pytest.raises(AgentdbError) as caught:
                opened(second, tmp_path, notice=heard.append)
    assert caught.value.message == (
        f"transaction {part.xid} of a run that was killed is still open (pid {pid})"
    )
    assert heard == [f"waiting for transaction {part.xid} of a run that was killed"]
    opened(kept, tmp_path).close()
    assert parts(tmp_path) == {part.name: State.committed}


@pytest.mark.parametrize("change", ["timeline", "xid"])
def test_a_transaction_that_this_server_does_not_know(
    change: str, kept: Database, tmp_path: Path
) -> None:
    with opened(kept, tmp_path) as archive, kept.connection.transaction():
        part = archive.write(kept.connection, DELETE.format(100))
    path = tmp_path / "public.kept" / "manifest.jsonl"
    old, new = {
        "timeline": ('"timeline": "00000001"', '"timeline": "00000002"'),
        "xid": (f'"xid": {part.xid}', '"xid": 99999999999'),
    }[change]
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    heard: list[str] = []
    opened(kept, tmp_path, notice=heard.append).close()
    assert parts(tmp_path) == {part.name: State.doubtful}
    assert heard == [
        f"{path.with_name(part.name)}: this server cannot tell whether its rows were deleted; "
        "it is kept, and agentdb import archive compares it with the table by key"
    ]


# --- The table and its database ----------------------------------------------


def test_two_runs_at_once(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path), pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path)
    assert caught.value.message == (
        f"another process (pid {os.getpid()}) works on {tmp_path}/public.kept"
    )
    opened(kept, tmp_path).close()


def test_another_database(kept: Database, database15: Database, tmp_path: Path) -> None:
    opened(kept, tmp_path).close()
    database15.execute("CREATE TABLE kept (id int)")
    with pytest.raises(AgentdbError) as caught:
        opened(database15, tmp_path)
    assert caught.value.message.startswith(
        f"{tmp_path}/public.kept is the archive of public.kept in another database (test, server "
    )
    assert caught.value.hint == (
        "name another directory; agentdb import archive still reads this one"
    )


def test_a_table_that_was_made_anew_goes_on(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
    kept.execute("DROP TABLE kept; CREATE TABLE kept (id int, other text)")
    kept.execute("INSERT INTO kept VALUES (1, 'x')")
    heard: list[str] = []
    with opened(kept, tmp_path, notice=heard.append) as archive:
        purged(kept, archive)
    assert heard == [
        "public.kept was made anew since its archive was begun; "
        f"it goes on in {tmp_path}/public.kept"
    ]
    held = [
        [column.name for column in record.part.columns]
        for record in Manifest(tmp_path / "public.kept").records.values()
    ]
    assert held == [["id", "body"], ["id", "other"]]


def test_columns_that_change_while_it_runs(kept: Database, tmp_path: Path) -> None:
    with opened(kept, tmp_path) as archive:
        purged(kept, archive)
        kept.execute("ALTER TABLE kept ADD COLUMN more text DEFAULT 'important'")
        with pytest.raises(AgentdbError) as caught:
            purged(kept, archive, 200)
    assert caught.value.message == "the table's columns have changed since this run began"
    assert rows(kept) == 900


def test_a_value_that_parquet_cannot_hold(kept: Database, tmp_path: Path) -> None:
    kept.execute("ALTER TABLE kept ADD COLUMN n numeric(5,2) DEFAULT 'NaN'")
    with opened(kept, tmp_path, Format.parquet) as archive, pytest.raises(AgentdbError) as caught:
        purged(kept, archive)
    assert caught.value.message.startswith("a row cannot be kept as Parquet: ")
    assert rows(kept) == 1000


def test_parquet_without_pyarrow(
    kept: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(AgentdbError) as caught:
        opened(kept, tmp_path, Format.parquet)
    assert caught.value.message == "Parquet needs the package pyarrow"
    assert caught.value.hint == 'pip install "agentdb-cli[parquet]"'
    assert list(tmp_path.glob("public*")) == []


def test_a_partition_that_is_read_as_a_whole(kept: Database, tmp_path: Path) -> None:
    kept.execute("CREATE TABLE detached (LIKE kept); INSERT INTO detached VALUES (5000, 'x')")
    with opened(kept, tmp_path) as archive:
        with kept.connection.transaction():
            part = archive.write(kept.connection, "SELECT {row} FROM detached AS t")
        archive.commit(part)
    assert part.rows == 1
