"""A purge waits for replicas that lag behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from clusters import copy_of, make, opened
from conftest import Database
from purging import Cli, policies, refusal

from agentdb_cli.postgres.embedded.binaries import Binaries
from waiting import eventually


@pytest.fixture(scope="module")
def pair(binaries: Binaries) -> Iterator[tuple[Database, Database]]:
    """A primary and its streaming standby."""
    clusters = [make(binaries, "purged")]
    try:
        primary = opened(clusters[0])
        standby = copy_of(primary, binaries, "purgedstandby", "-R", "-C", "-S", "standby")
        clusters.insert(0, standby)
        yield primary, opened(standby)
    finally:
        for cluster in clusters:
            cluster.stop()
            shutil.rmtree(cluster.layout.base, ignore_errors=True)


def test_a_purge_waits_for_a_replica(pair: tuple[Database, Database]) -> None:
    primary, standby = pair
    primary.execute("CREATE TABLE log (at timestamptz, note text)")
    primary.execute(
        "INSERT INTO log SELECT now() - interval '40 days', repeat('x', 100)"
        " FROM generate_series(1, 200000)"
    )
    policies(log='time_column = "at"\ndays = 30')
    standby.execute("SELECT pg_wal_replay_pause()")
    primary.execute("CREATE TABLE wal AS SELECT repeat('y', 1000) FROM generate_series(1, 5000)")
    command = [sys.executable, "-m", "agentdb_cli", "purge", "-d", primary.url, "-f", "json"]
    with subprocess.Popen(
        [*command, "--max-lag", "1MB"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = ""
        while "waiting:" not in line:
            line = process.stderr.readline()
            assert line, "it did not wait"
        assert line.startswith("waiting: a replica lags ")
        assert line.endswith(" MB behind (limit 1 MB)\n")
        assert primary.value("SELECT count(*) FROM log") == 200_000
        standby.execute("SELECT pg_wal_replay_resume()")
        out, _ = process.communicate(timeout=60)
    (row,) = json.loads(out)
    assert (row["rows"], row["state"]) == (200_000, "done")
    assert " for replicas" in row["detail"]
    eventually(lambda: standby.value("SELECT count(*) FROM log") == 0)


def test_a_standby_is_no_place_to_purge(cli: Cli, pair: tuple[Database, Database]) -> None:
    policies(log='time_column = "at"\ndays = 30')
    assert refusal(cli, pair[1]) == (
        "error: this server is a standby, which cannot delete\nhint: connect to the primary\n"
    )
