"""A purge may be killed at any instant: no row is lost, none is twice and unmarked."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Database
from purging import Cli, policies, purge
from test_archive_kills import ROWS, in_parts

from agentdb_cli.retention.archive.manifest import State
from waiting import eventually

ROUNDS = 12


def fill(database: Database, *, partitioned: bool) -> None:
    """Rows of the last 60 days, all of them wanted back: nothing is older than a day but goes."""
    how = "PARTITION BY RANGE (at)" if partitioned else ""
    database.execute(f"CREATE TABLE kept (id int, at date NOT NULL, body jsonb) {how}")
    if partitioned:
        database.execute(
            "DO $$BEGIN FOR i IN 0..61 LOOP EXECUTE format("
            "'CREATE TABLE kept_%s PARTITION OF kept FOR VALUES FROM (%L) TO (%L)',"
            " i, current_date - i, current_date - i + 1); END LOOP; END$$"
        )
    database.execute(
        "INSERT INTO kept SELECT g, current_date - 1 - g % 60,"
        " jsonb_build_object('text', repeat('x', g % 50))"
        f" FROM generate_series(1, {ROWS}) AS g"
    )


def killed(database: Database, directory: Path, seconds: float) -> bool:
    """Run a purge and kill it after so many seconds; whether it was still running."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "agentdb_cli", "purge", "-d", database.url, "-q"),
            *("--archive", str(directory)),
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(seconds)
    process.kill()
    _, error = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0), error
    eventually(
        lambda: (
            not database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agentdb purge'"
            )
        )
    )
    return process.returncode != 0


def standing(database: Database) -> list[str]:
    """The table, and partitions of it that a killed purge had just detached."""
    return [
        str(name)
        for (name,) in database.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relname ~ '^kept(_\\d+)?$'"
            " AND relkind IN ('r', 'p') AND NOT relispartition"
        )
    ]


def in_tables(database: Database) -> set[int]:
    """The ids that are still in the database."""
    return {
        i for table in standing(database) for (i,) in database.execute(f"SELECT id FROM {table}")
    }


def check(database: Database, directory: Path) -> None:
    """Nothing is lost, and what is in both places is marked as not yet settled."""
    table = in_tables(database)
    committed = in_parts(directory, State.committed)
    written = in_parts(directory, State.written)
    assert len(committed) == len(set(committed))
    assert not table & set(committed), "a row is in both and not marked so"
    assert table | set(committed) | set(written) == set(range(1, ROWS + 1))


def kill_often(database: Database, directory: Path, rounds: int, seed: int) -> int:
    """Kill purges at random instants and look after each; how many were hit at work."""
    chance = random.Random(seed)
    hits = 0
    for _ in range(rounds):
        if not database.value("SELECT count(*) FROM kept WHERE at < current_date - 1"):
            # Also partitions that were detached and not dropped before the last kill.
            for table in standing(database):
                database.execute(f"DROP TABLE {table}")
            for path in sorted(directory.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            fill(database, partitioned=bool(chance.getrandbits(1)))
        before = database.value("SELECT count(*) FROM kept")
        hits += killed(database, directory, chance.uniform(0.2, 1.2)) and before != database.value(
            "SELECT count(*) FROM kept"
        )
        if (directory / "public.kept").exists():
            check(database, directory)
    return hits


@pytest.mark.parametrize("partitioned", [False, True])
def test_killed_at_random_instants(
    cli: Cli, database: Database, tmp_path: Path, partitioned: bool
) -> None:
    policies(kept='time_column = "at"\ndays = 1')
    fill(database, partitioned=partitioned)
    directory = tmp_path / "archive"
    kill_often(database, directory, ROUNDS // 2, seed=database.major)
    purge(cli, database, "--archive", directory)
    check(database, directory)
    assert database.value("SELECT count(*) FROM kept WHERE at < current_date - 1") == 0
