"""agentdb import archive: purged rows come back once, whole, or with a clear reason why not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

from agentdb_cli.retention.archive import Archive, Format
from agentdb_cli.retention.archive.files import Lock
from agentdb_cli.retention.archive.manifest import Manifest, State

Cli = Callable[..., Result]


def make(database: Database, table: str = "kept", key: str = "PRIMARY KEY") -> None:
    database.execute(f"CREATE TABLE {table} (id int {key}, body text)")
    database.execute(f"INSERT INTO {table} SELECT g, md5(g::text) FROM generate_series(1, 300) g")


def archived(
    database: Database,
    directory: Path,
    table: str = "kept",
    format: Format = Format.jsonl,
    parts: int = 3,
) -> list[Path]:
    """Move 100 rows into each of some parts; their files."""
    connection = database.connection
    oid = database.value("SELECT %s::regclass::oid", table)
    found = []
    with Archive.open(directory, connection, table, oid, format, lambda _: None) as archive:
        for number in range(parts):
            with connection.transaction():
                part = archive.write(
                    connection,
                    f"DELETE FROM {table} AS t WHERE id <= {number * 100 + 100} RETURNING {{row}}",
                )
            archive.commit(part)
            found.append(directory / f"public.{table}" / part.name)
    return found


def count(database: Database, table: str = "kept") -> object:
    return database.value(f"SELECT count(*) FROM {table}")


def imported(cli: Cli, database: Database, directory: Path, *more: object) -> Result:
    return cli("import", "archive", directory, "-d", database.url, *more)


def only(result: Result) -> dict[str, object]:
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    return row


def test_rows_come_back_and_a_second_time_is_told(
    database: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database)
    archived(database, tmp_path)
    assert count(database) == 0
    first = only(imported(cli, database, tmp_path, "-y", "-f", "json"))
    assert first == {"table": "kept", "files": 3, "rows": 300, "inserted": 300, "present": 0}
    second = imported(cli, database, tmp_path, "-y")
    assert second.out == "nothing to put back\n"
    assert second.err == "kept: 3 files put back before, left out (--again takes them too)\n"
    database.execute("DELETE FROM kept WHERE id <= 10")
    third = only(imported(cli, database, tmp_path, "-y", "--again", "-f", "json"))
    assert third == {"table": "kept", "files": 3, "rows": 300, "inserted": 10, "present": 290}
    assert count(database) == 300


def test_a_dry_run_changes_nothing(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    before = (tmp_path / "public.kept" / "manifest.jsonl").read_bytes()
    result = imported(cli, database18, tmp_path, "--dry-run")
    assert result == Result(
        0, "would put back  kept  300 rows of 3 files\ndry run: nothing was changed\n", ""
    )
    assert count(database18) == 0
    assert (tmp_path / "public.kept" / "manifest.jsonl").read_bytes() == before


def test_nobody_can_be_asked(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    result = imported(cli, database18, tmp_path)
    assert result.code == 2
    assert count(database18) == 0


@pytest.mark.parametrize("format", Format)
def test_a_damaged_file_is_refused_before_anything_goes_in(
    format: Format, database18: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database18)
    paths = archived(database18, tmp_path, format=format)
    whole = paths[2].read_bytes()
    damages = {
        whole[:-3]: f"{len(whole) - 3} bytes instead of {len(whole)}",
        whole[:50] + b"!" + whole[51:]: "wrong checksum",
        b"": f"0 bytes instead of {len(whole)}",
    }
    for damaged, what in damages.items():
        paths[2].write_bytes(damaged)
        result = imported(cli, database18, tmp_path, "-y")
        assert result == Result(
            1,
            "",
            f"error: {paths[2]} is not what was archived: {what}\n"
            "hint: take the file from a backup; nothing was put back\n",
        )
        assert count(database18) == 0
    paths[2].unlink()
    result = imported(cli, database18, tmp_path, "-y")
    assert f"{paths[2]} is not what was archived: it is missing" in result.err


def test_a_wrong_number_of_rows_is_refused(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    for format in Format:
        directory = tmp_path / format
        archived(database18, directory, format=format, parts=1)
        path = directory / "public.kept" / "manifest.jsonl"
        path.write_text(path.read_text().replace('"rows": 100', '"rows": 99'))
        result = imported(cli, database18, directory, "-y")
        assert "is not what was archived: 100 rows instead of 99" in result.err
        database18.execute("INSERT INTO kept SELECT g, '' FROM generate_series(1, 100) g")


def test_csv_rows_with_newlines_are_counted_right(
    database18: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database18)
    database18.execute("UPDATE kept SET body = E'a\n\"b\"\n,' || id")
    archived(database18, tmp_path, format=Format.csv)
    assert only(imported(cli, database18, tmp_path, "-y", "-f", "json"))["inserted"] == 300
    assert database18.value("SELECT body FROM kept WHERE id = 7") == 'a\n"b"\n,7'


def test_into_another_table(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    database18.execute('CREATE TABLE "Else where" (LIKE kept INCLUDING ALL)')
    into = ("--into", 'public."Else where"', "-y", "-f", "json")
    assert only(imported(cli, database18, tmp_path, *into))["inserted"] == 300
    # What went elsewhere is not back in its own table.
    assert only(imported(cli, database18, tmp_path, "-y", "-f", "json"))["inserted"] == 300
    assert imported(cli, database18, tmp_path, *into).out == "[]\n"


def test_into_wants_one_table(database18: Database, cli: Cli, tmp_path: Path) -> None:
    for table in ("one", "two"):
        make(database18, table)
        archived(database18, tmp_path, table)
    result = imported(cli, database18, tmp_path, "--into", "public.one", "-y")
    assert result.code == 2
    assert result.err == (
        "error: --into takes the rows of one table, and the archive has several\n"
        "hint: choose one: --table schema.table\n"
    )
    result = imported(cli, database18, tmp_path, "--table", "public.tow")
    assert result.err == (
        f"error: there is no archive of public.tow in {tmp_path}; did you mean 'public.two'?\n"
        "hint: tables: public.one, public.two\n"
    )
    result = imported(cli, database18, tmp_path, "--table", "public.two", "-y", "-f", "json")
    assert only(result)["table"] == "two"


def test_one_tables_directory_may_be_named(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    place = tmp_path / "public.kept"
    assert only(imported(cli, database18, place, "-y", "-f", "json"))["inserted"] == 300


def test_no_archive(database18: Database, cli: Cli, tmp_path: Path) -> None:
    result = imported(cli, database18, tmp_path / "nowhere")
    assert result.err == (
        f"error: there is no archive in {tmp_path}/nowhere\n"
        "hint: name the directory of purge --archive\n"
    )


# --- The table has changed ---------------------------------------------------


def test_columns_that_are_new_or_gone(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    paths = archived(database18, tmp_path)
    database18.execute("ALTER TABLE kept ADD COLUMN more int DEFAULT 7")
    result = imported(cli, database18, tmp_path, "--dry-run")
    assert result.err == "kept: new since, filled by default: more\n"
    database18.execute("ALTER TABLE kept DROP COLUMN body")
    result = imported(cli, database18, tmp_path, "-y")
    assert result.err == (
        f"error: kept no longer has the column 'body' (text) of {paths[0].name}\n"
        "hint: add it, or put the rows into a table that has it: --into schema.table\n"
    )
    database18.execute("ALTER TABLE kept ADD body text GENERATED ALWAYS AS (id || 'x') STORED")
    result = imported(cli, database18, tmp_path, "-y")
    assert f"the column 'body' of {paths[0].name} is computed in kept now" in result.err
    database18.execute("DROP TABLE kept")
    result = imported(cli, database18, tmp_path, "-y")
    assert result.err.startswith("error: there is no table public.kept in the database test\n")


@pytest.mark.parametrize("format", Format)
def test_a_narrower_column_cuts_nothing_off(
    format: Format, database18: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database18)
    (path, *_) = archived(database18, tmp_path, format=format)
    database18.execute("ALTER TABLE kept ALTER COLUMN body TYPE varchar(5)")
    result = imported(cli, database18, tmp_path, "-y")
    assert result.code == 1
    assert result.err.startswith(
        f"error: {path} cannot go back into kept: value too long for type character varying(5)\n"
    )
    assert count(database18) == 0


def test_identity_sequence_and_partitions(database: Database, cli: Cli, tmp_path: Path) -> None:
    database.execute(
        "CREATE TABLE kept (id int GENERATED ALWAYS AS IDENTITY, body text, PRIMARY KEY (id))"
        " PARTITION BY RANGE (id);"
        "CREATE TABLE kept_1 PARTITION OF kept FOR VALUES FROM (1) TO (150);"
        "CREATE TABLE kept_2 PARTITION OF kept FOR VALUES FROM (150) TO (301);"
        "INSERT INTO kept (body) SELECT g::text FROM generate_series(1, 300) g"
    )
    paths = archived(database, tmp_path)
    database.execute("DROP TABLE kept_2")
    result = imported(cli, database, tmp_path, "-y")
    assert result.code == 1
    assert result.err.splitlines()[1:] == [
        f'error: {paths[1]} cannot go back into kept: no partition of relation "kept" found for row',  # noqa: E501
        "  detail: Partition key of the failing row contains (id) = (150).",
        "  nothing of this file was put back; a file before it, if any, stays and is marked",
        "hint: make the partition: CREATE TABLE … PARTITION OF kept FOR VALUES FROM (…) TO (…); "
        "or one for all such rows: … DEFAULT",
    ]
    assert count(database) == 100
    database.execute("CREATE TABLE kept_rest PARTITION OF kept DEFAULT")
    result = imported(cli, database, tmp_path, "-y", "-f", "json")
    assert only(result)["inserted"] == 200
    assert "kept: 151 rows without a partition of their own went to kept_rest\n" in result.err
    assert database.value("SELECT last_value FROM kept_id_seq") == 300


def test_tables_that_others_refer_to_come_first(
    database: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database, "z_parent")
    make(database, "a_child")
    database.execute("ALTER TABLE a_child ADD FOREIGN KEY (id) REFERENCES z_parent (id)")
    archived(database, tmp_path, "a_child")
    archived(database, tmp_path, "z_parent")
    result = imported(cli, database, tmp_path, "-y", "--table", "public.a_child")
    assert result.code == 1
    assert (
        'violates foreign key constraint "a_child_id_fkey"\n'
        '  detail: Key (id)=(1) is not present in table "z_parent".\n' in result.err
    )
    assert "hint: put back the rows that these refer to first, or make them\n" in result.err
    result = imported(cli, database, tmp_path, "-y", "-f", "json")
    assert [row["table"] for row in json.loads(result.out)] == ["z_parent", "a_child"]
    assert count(database, "a_child") == 300


def test_another_unique_value_is_an_error(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    database18.execute("ALTER TABLE kept ADD UNIQUE (body)")
    database18.execute("INSERT INTO kept VALUES (999, md5('5'))")
    result = imported(cli, database18, tmp_path, "-y")
    assert result.code == 1
    assert "duplicate key value violates unique constraint" in result.err
    assert count(database18) == 1


# --- Certain and uncertain ---------------------------------------------------


def in_doubt(directory: Path) -> None:
    """Make the last part one whose transaction another server ran."""
    manifest = Manifest(directory / "public.kept")
    last = list(manifest.records.values())[-1]
    manifest.mark(last.part, State.doubtful)


def test_a_doubtful_part_is_compared_by_key(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    in_doubt(tmp_path)
    database18.execute("INSERT INTO kept SELECT g, md5(g::text) FROM generate_series(201, 300) g")
    row = only(imported(cli, database18, tmp_path, "-y", "-f", "json"))
    assert (row["inserted"], row["present"]) == (200, 100)
    assert count(database18) == 300


def test_without_a_key_a_doubtful_part_is_warned_of(
    database18: Database, cli: Cli, tmp_path: Path
) -> None:
    make(database18, key="")
    archived(database18, tmp_path)
    assert "warning" not in imported(cli, database18, tmp_path, "--dry-run").err
    in_doubt(tmp_path)
    result = imported(cli, database18, tmp_path)
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        "warning: kept has no key that tells its rows apart, and some may be there already: "
        "those would come in twice"
    )
    assert count(database18) == 0


def test_a_locked_archive(database18: Database, cli: Cli, tmp_path: Path) -> None:
    make(database18)
    archived(database18, tmp_path)
    lock = Lock(tmp_path / "public.kept")
    result = imported(cli, database18, tmp_path, "-y")
    assert result.err.startswith(
        f"error: another process (pid {os.getpid()}) works on {tmp_path}/public.kept\n"
    )
    assert imported(cli, database18, tmp_path, "--dry-run").code == 0
    lock.release()
    assert imported(cli, database18, tmp_path, "-y").code == 0


KILLED = """
import os, signal, sys
from agentdb_cli import app
from agentdb_cli.retention.archive.manifest import Manifest

directory, url, left, when = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
original = Manifest.mark_import

def mark(self, *arguments, **more):
    global left
    left -= 1
    if left == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    original(self, *arguments, **more)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

Manifest.mark_import = mark
app.execute(["import", "archive", directory, "-y", "-d", url])
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6])
def test_an_import_that_was_killed_goes_on_where_it_stood(
    step: int, when: str, database18: Database, cli: Cli, tmp_path: Path
) -> None:
    """Without a key, so that a row that came in twice would be seen."""
    make(database18, key="")
    archived(database18, tmp_path)
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), database18.url, str(step), when]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL
    result = imported(cli, database18, tmp_path, "-y")
    assert result.code == 0, result.err
    assert "warning" not in result.err
    assert count(database18) == 300
    assert database18.value("SELECT count(DISTINCT id) FROM kept") == 300
