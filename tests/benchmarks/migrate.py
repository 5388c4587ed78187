"""`agentdb migrate` against other migration tools, and against itself at one moment."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from harness import Check, Contender, NotMeasured, Peer, Place, Race, agentdb
from peers import Peers
from servers import Server

_FILES = 500
_ROUNDS = 7
_SHORT_ROUNDS = 21
_RUNS = 10

_TABLE_AND_INDEX = """\
CREATE TABLE t_{0:04d} (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX t_{0:04d}_name ON t_{0:04d} (name);
"""
_DBMATE_FORMAT = "-- migrate:up\n" + _TABLE_AND_INDEX + "\n-- migrate:down\nDROP TABLE t_{0:04d};\n"
_LEDGER = "CREATE TABLE ledger (number integer NOT NULL);\n"
_ENTRY = "INSERT INTO ledger VALUES ({});\n"


def apply_all(directory: Path, server: Server, peers: Peers) -> Race:
    """500 files on an empty database."""
    plain = _directory(directory / "plain", _TABLE_AND_INDEX.format)
    theirs = _dbmate_directory(directory)
    return Race(
        "migrate-500",
        _fresh(server, "agentdb", lambda url: _agentdb(url, plain)),
        (
            _peer("dbmate", 1.0, lambda: _fresh_dbmate(server, peers, theirs)),
            _peer("yoyo", 1 / 3, lambda: _fresh_yoyo(server, peers, plain)),
        ),
        _ROUNDS,
    )


def nothing_pending(directory: Path, server: Server, peers: Peers) -> Race:
    """The same files when all are applied, against merely connecting."""
    plain = _directory(directory / "plain", _TABLE_AND_INDEX.format)
    theirs = _dbmate_directory(directory)
    place = Place(directory)
    url = server.url("applied_agentdb")
    connect = f"import psycopg; psycopg.connect({url!r}).execute('select 1')"
    ours = Contender("agentdb", _agentdb(url, plain), verify=_counter(server, "applied_agentdb"))
    server.recreate("applied_agentdb")
    place.time(ours.command)

    def dbmate() -> Contender:
        command = _dbmate(peers, server.url("applied_dbmate", "postgres"), theirs)
        server.recreate("applied_dbmate")
        place.time(command)
        return Contender("dbmate", command, verify=_counter(server, "applied_dbmate"))

    return Race(
        "nothing-pending",
        ours,
        (
            Peer("psycopg: select 1", Contender("psycopg", [sys.executable, "-c", connect]), 1.5),
            _peer("dbmate", None, dbmate),
        ),
        _SHORT_ROUNDS,
    )


def nothing_pending_of_many(directory: Path, server: Server) -> Race:
    """Five thousand applied files, against ten."""

    def applied(count: int) -> Contender:
        files = directory / f"applied_{count}"
        files.mkdir(exist_ok=True)
        for number in range(1, count + 1):
            (files / f"{number:04d}_t.sql").write_text(_TABLE_AND_INDEX.format(number))
        server.recreate(f"applied_{count}")
        command = _agentdb(server.url(f"applied_{count}"), files)
        Place(directory).time([*command[:2], "baseline", str(count), *command[2:]])
        return Contender(f"agentdb, {count} files", command)

    few = Peer("agentdb, ten files", applied(10), 1.3)
    return Race("nothing-pending-5000", applied(5000), (few,), _SHORT_ROUNDS)


def ten_at_once(directory: Path, server: Server) -> Check:
    """Ten runs released at the same moment on one empty database."""

    def content(number: int) -> str:
        ledger = _LEDGER if number == 1 else ""
        return ledger + _TABLE_AND_INDEX.format(number) + _ENTRY.format(number)

    files = _directory(directory / "ledger", content)
    command = _agentdb(server.url("ten"), files)

    def run(place: Place) -> tuple[float, str]:
        server.recreate("ten")
        seconds, failures = _together(command, place)
        if failures:
            return seconds, f"{len(failures)} of {_RUNS} runs failed: {failures[0]}"
        with server.connect("ten") as connection:
            twice = connection.execute(
                "SELECT number FROM ledger GROUP BY number HAVING count(*) > 1"
            ).fetchall()
            applied = connection.execute("SELECT count(DISTINCT number) FROM ledger").fetchall()
        if twice:
            return seconds, f"{len(twice)} files were applied more than once"
        if applied != [(_FILES,)]:
            return seconds, f"{applied[0][0]} of {_FILES} files were applied"
        return seconds, ""

    return Check("ten-at-once", run, _ROUNDS)


def _together(command: list[str], place: Place) -> tuple[float, list[str]]:
    """Run a command ten times at once.

    Each run is a shell that waits for the end of one pipe and then becomes the
    command, so that the start of the shells is neither timed nor a head start.

    Returns:
        The seconds until the last one has ended, and what the failed ones said.
    """
    gate, opener = os.pipe()
    runs = []
    with tempfile.TemporaryDirectory() as logs:
        try:
            for number in range(_RUNS):
                with (Path(logs) / str(number)).open("wb") as errors:
                    waiting = subprocess.Popen(
                        ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh", *command],
                        stdin=gate,
                        stdout=subprocess.DEVNULL,
                        stderr=errors,
                        env=place.environment,
                        cwd=place.work(),
                    )
                runs.append(waiting)
            time.sleep(0.2)  # until the last shell reads
            started = time.perf_counter()
            os.close(opener)
            opener = -1
            codes = [run.wait() for run in runs]
            seconds = time.perf_counter() - started
        finally:
            os.close(gate)
            if opener >= 0:
                os.close(opener)
            for run in runs:
                if run.poll() is None:
                    run.kill()
                    run.wait()
        said = [(Path(logs) / str(number)).read_text().strip() for number in range(_RUNS)]
    return seconds, [f"exit {c}: {s}" for c, s in zip(codes, said, strict=True) if c != 0]


# --- Files ------------------------------------------------------------------


def _directory(path: Path, content: Callable[[int], str]) -> Path:
    """A directory with the files `0001_t.sql` to `0500_t.sql`."""
    path.mkdir(exist_ok=True)
    for number in range(1, _FILES + 1):
        (path / f"{number:04d}_t.sql").write_text(content(number))
    return path


def _dbmate_directory(directory: Path) -> Path:
    """The same files as dbmate wants them."""
    return _directory(directory / "dbmate", _DBMATE_FORMAT.format)


# --- Contenders -------------------------------------------------------------


def _agentdb(url: str, files: Path) -> list[str]:
    return [agentdb(), "migrate", "--dir", str(files), "--url", url]


def _dbmate(peers: Peers, url: str, files: Path) -> list[str]:
    options = ["--no-dump-schema", "--migrations-dir", str(files), "--url", url]
    return [str(peers.dbmate()), *options, "migrate"]


def _fresh(server: Server, name: str, command: Callable[[str], list[str]]) -> Contender:
    """A contender with a database of its own, made anew for each timing."""
    database = f"fresh_{name}"
    scheme = {"dbmate": "postgres", "yoyo": "postgresql+psycopg"}.get(name, "postgresql")
    return Contender(
        name,
        command(server.url(database, scheme)),
        prepare=lambda: server.recreate(database),
        verify=_counter(server, database),
    )


def _fresh_dbmate(server: Server, peers: Peers, files: Path) -> Contender:
    return _fresh(server, "dbmate", lambda url: _dbmate(peers, url, files))


def _fresh_yoyo(server: Server, peers: Peers, files: Path) -> Contender:
    command = [str(peers.yoyo()), "apply", "--batch", "--no-config-file"]
    return _fresh(server, "yoyo", lambda url: [*command, "--database", url, str(files)])


def _peer(name: str, bar: float | None, make: Callable[[], Contender]) -> Peer:
    """A peer that may be missing."""
    try:
        return Peer(name, make(), bar)
    except NotMeasured as reason:
        return Peer(name, reason, bar)


def _counter(server: Server, database: str) -> Callable[[], None]:
    """A check that the database has all tables and indexes."""

    def verify() -> None:
        with server.connect(database) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_class WHERE relname ~ '^t_[0-9]{4}(_name)?$'"
            ).fetchone()
        if found != (2 * _FILES,):
            raise NotMeasured(f"the database {database} has not all tables and indexes: {found}")

    return verify
