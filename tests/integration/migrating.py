"""Runs of `agentdb migrate` that are killed, and servers that are: what must hold afterwards.

For the tests, and in full size for tests/benchmarks/migrate_kills.py.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from nursery import Nursery

HEADER = "-- agentdb: no-transaction\n"
_AGENTDB = [sys.executable, "-m", "agentdb_cli", "migrate", "-q"]


def write_files(directory: Path, count: int, concurrently: int) -> None:
    """Files that each enter their number into a ledger, which refuses none twice.

    Args:
        concurrently: how many of them build an index CONCURRENTLY.
    """
    every = count // concurrently
    for n in range(1, count + 1):
        entry = f"INSERT INTO ledger VALUES ({n});"
        text = (
            f"CREATE TABLE t{n} (id int); INSERT INTO t{n} SELECT generate_series(1, 50); {entry}"
        )
        if n == 1:
            text = f"CREATE TABLE ledger (number int); {text}"
        elif n % every == 0:
            text = f"{HEADER}CREATE UNIQUE INDEX CONCURRENTLY i{n} ON t{n - 1} (id); {entry}"
        (directory / f"{n}_x.sql").write_text(text)


def run(url: str, directory: Path) -> subprocess.Popen[str]:
    """Start one run."""
    return subprocess.Popen(
        [*_AGENTDB, "-d", url, "--dir", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_runs(url: str, directory: Path, runners: int, seed: int, pause: float) -> tuple[int, int]:
    """Many runs at once, killed at random instants and started anew, until all have ended.

    Every second one that is killed is the one whose turn it is, if there is one.

    Args:
        pause: seconds between two kills, about.

    Returns:
        How many were killed, and how many of these in their turn.

    Raises:
        AssertionError: a run failed by itself.
    """
    chance, kills, in_turn = random.Random(seed), 0, 0
    with Nursery() as nursery, psycopg.connect(url, autocommit=True) as connection:

        def start(number: int) -> int:
            named = f"{url}{'&' if '?' in url else '?'}application_name=run{number}"
            nursery.start(number, "migrate", "-q", "-d", named, "--dir", str(directory))
            return number

        running = [start(number) for number in range(runners)]
        started = runners
        while running:
            time.sleep(chance.uniform(0, 2 * pause))
            alive = []
            for number in running:
                status = nursery.status(number)
                assert status in (None, 0), nursery.error(number)
                if status is None:
                    alive.append(number)
            running = alive
            # So that the end is reached, some day nobody is killed any more.
            if not running or kills >= 2 * runners:
                continue
            victim = chance.choice(running)
            if kills % 2 and (holder := _holder(connection)) in running:
                victim, in_turn = holder, in_turn + 1
            running.remove(victim)
            nursery.kill(victim)
            while nursery.status(victim) is None:
                time.sleep(0.001)
            # It may have ended by itself just before.
            assert nursery.status(victim) in (0, -signal.SIGKILL), nursery.error(victim)
            kills += 1
            running.append(start(started))
            started += 1
    return kills, in_turn


def _holder(connection: psycopg.Connection) -> int:
    """The number of the run whose turn it is; -1 for nobody's."""
    row = connection.execute(
        "SELECT a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()"
        " AND a.application_name ~ '^run\\d+$'"
    ).fetchone()
    return int(row[0].removeprefix("run")) if row else -1


def check(url: str, count: int, indexes: int) -> None:
    """Every file was applied exactly once, and every index is whole.

    Raises:
        AssertionError: one was not.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        entries = connection.execute("SELECT number FROM ledger ORDER BY number").fetchall()
        assert entries == [(n,) for n in range(1, count + 1)]
        recorded = connection.execute(
            "SELECT version FROM agentdb_migrations WHERE version > 0 ORDER BY version"
        ).fetchall()
        assert recorded == entries
        left = connection.execute("SELECT count(*) FROM agentdb_migrations_unfinished").fetchone()
        assert left == (0,)
        valid = connection.execute(
            "SELECT count(*) FILTER (WHERE indisvalid), count(*) FROM pg_index"
            " WHERE indrelid IN (SELECT oid FROM pg_class WHERE relname ~ '^t\\d+$')"
        ).fetchone()
        assert valid == (indexes, indexes)


def write_slow_files(directory: Path, count: int) -> int:
    """Files that sleep in their middle as long as the table gate has their number.

    Every fifth builds an index CONCURRENTLY and sleeps while it does, and every
    fifth plus one has no transaction and sleeps in a statement of its own.

    Returns:
        How many indexes they build.
    """
    (directory / "0_start.sql").write_text(
        "CREATE TABLE ledger (number int);\n"
        f"CREATE TABLE gate AS SELECT generate_series(1, {count}) AS number;\n"
        "CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN\n"
        "  PERFORM pg_sleep(600) FROM public.gate WHERE number = n; RETURN n;\nEND$$;"
    )
    for n in range(1, count + 1):
        table = f"CREATE TABLE t{n} (id int); INSERT INTO t{n} VALUES ({n});"
        entry = f"INSERT INTO ledger VALUES ({n});"
        text = f"{table} SELECT slow({n}); {entry}"
        if n % 5 == 0:
            index = f"CREATE INDEX CONCURRENTLY i{n} ON t{n} (slow(id));"
            text = f"{HEADER}{table} {index} {entry}"
        elif n % 5 == 1:
            text = HEADER + text
        (directory / f"{n}_x.sql").write_text(text)
    return count // 5


def kill_server_in_each(
    url: str, directory: Path, count: int, postmaster: int, restart: Callable[[], int]
) -> None:
    """Kill the server in the middle of each file, in turns two ways, and let the next run go on.

    Args:
        postmaster: its process id.
        restart: starts the server again after an immediate stop; returns the new id.

    Raises:
        AssertionError: a run went wrong otherwise than by losing its server.
    """
    for n in range(1, count + 1):
        process = run(url, directory)
        sleeping = _sleeper(url, process)
        if n % 3 == 0:
            os.kill(postmaster, signal.SIGQUIT)  # an immediate stop
        else:
            os.kill(sleeping, signal.SIGKILL)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 1, error
        assert f"error: the connection was lost while {n}_x was applied: " in error, error
        assert "Traceback" not in error
        if n % 3 == 0:
            postmaster = restart()
        _through(url, n)
    process = run(url, directory)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0, error


def _sleeper(url: str, process: subprocess.Popen[str]) -> int:
    """The process id of the session that sleeps in a file."""
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                " AND application_name = 'agentdb migrate'"
            ).fetchone()
            if row is not None:
                return int(row[0])
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)


def _through(url: str, number: int) -> None:
    """Open the gate for a file, as soon as the server is there again."""
    for _ in range(1000):
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("DELETE FROM gate WHERE number = %s", (number,))
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("the server did not come back")
