"""Whatever is killed, and when: every file is applied exactly once, with no manual step."""

from __future__ import annotations

from pathlib import Path

import clusters
import migrating
import pytest
from conftest import Database

from agentdb_cli.postgres.embedded.binaries import Binaries
from waiting import eventually

RUNNERS, FILES, CONCURRENTLY, SEEDS = 8, 40, 5, 3
IN_EACH_OF = 10


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "migrations"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("seed", range(SEEDS))
def test_runs_killed_at_random_instants(database18: Database, directory: Path, seed: int) -> None:
    migrating.write_files(directory, FILES, CONCURRENTLY)
    kills, _ = migrating.kill_runs(database18.url, directory, RUNNERS, seed, pause=0.02)
    assert kills  # how many are hit depends on how fast they are
    migrating.check(database18.url, FILES, CONCURRENTLY)


def test_the_server_killed_in_the_middle_of_each_file(binaries: Binaries, directory: Path) -> None:
    cluster = clusters.make(binaries, "migrate-kills")
    database = clusters.opened(cluster)

    def postmaster() -> int:
        return int((cluster.layout.data / "postmaster.pid").read_text().split()[0])

    def restart() -> int:
        eventually(lambda: cluster.postmaster() is None)
        cluster.start(lambda _: None)
        return postmaster()

    try:
        indexes = migrating.write_slow_files(directory, IN_EACH_OF)
        migrating.kill_server_in_each(database.url, directory, IN_EACH_OF, postmaster(), restart)
        database.connection.close()
        migrating.check(database.url, IN_EACH_OF, indexes)
    finally:
        cluster.stop()
