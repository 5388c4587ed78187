"""Runs and servers that are killed, in full size: `python tests/benchmarks/migrate_kills.py`.

50 runs at once of 200 files, five of which build an index CONCURRENTLY, killed at
random instants and started anew, for ten seeds; and a server that is killed in the
middle of each of 30 files. The exit code tells whether every file was applied
exactly once. That takes a few minutes on two cores, so CI runs it by itself; the suite
has it smaller.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from harness import tell
from servers import Server, running, workspace

from agentdb_cli.postgres.embedded.binaries import embedded
from agentdb_cli.postgres.embedded.cluster import SUPERUSER, Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner

sys.path.insert(0, str(Path(__file__).parent.parent / "integration"))

import migrating

_FILES, _CONCURRENTLY = 200, 5
_IN_EACH_OF = 30


def _runs(server: Server, files: Path, runners: int, seed: int) -> str:
    server.recreate("kills")
    url = server.url("kills")
    killed, in_turn = migrating.kill_runs(url, files, runners, seed, pause=0.01)
    migrating.check(url, _FILES, _CONCURRENTLY)
    return f"{killed} of {runners + killed} runs killed, {in_turn} of them in their turn"


def _server_kills(directory: Path) -> None:
    """A server of its own, killed in the middle of each file."""
    binaries = embedded()
    layout = Layout.of(directory / "killed", binaries.major)
    cluster = Cluster(binaries, layout, ensure_owner(tell))

    def start() -> int:
        while cluster.postmaster() is not None:  # an immediate stop takes its time, too
            time.sleep(0.02)
        cluster.start(tell)
        return int((layout.data / "postmaster.pid").read_text().split()[0])

    files = directory / "slow"
    files.mkdir()
    indexes = migrating.write_slow_files(files, _IN_EACH_OF)
    try:
        postmaster = start()
        url = f"postgresql://{SUPERUSER}@/postgres?host={layout.base / 'run'}"
        migrating.kill_server_in_each(url, files, _IN_EACH_OF, postmaster, start)
        migrating.check(url, _IN_EACH_OF, indexes)
    finally:
        cluster.stop()


def main() -> None:
    """Do it, and print a line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runners", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    with workspace() as directory, running(directory) as server:
        files = directory / "files"
        files.mkdir()
        migrating.write_files(files, _FILES, _CONCURRENTLY)
        for seed in range(options.seeds):
            begun = time.monotonic()
            said = _runs(server, files, options.runners, seed)
            seconds = time.monotonic() - begun
            print(f"seed {seed}: {said}, each file applied once, {seconds:.0f} s", flush=True)
        begun = time.monotonic()
        _server_kills(directory)
        seconds = time.monotonic() - begun
        print(f"server killed in each of {_IN_EACH_OF} files, each applied once, {seconds:.0f} s")


if __name__ == "__main__":
    main()
