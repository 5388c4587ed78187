"""`agentdb backup create` against `pg_dump -Fc`: time, size and memory.

Two million heartbeats and 100,000 embeddings of 384 numbers. Ours counts rows, takes
checksums and puts everything on disk besides; the peer does none of that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from harness import NotMeasured, Place, Row, agentdb, tell
from servers import Server

from agentdb_cli.postgres.embedded.binaries import embedded

DATABASE = "backup"
_ROUNDS = 5
_ROWS = 2_000_000
_VECTORS = 100_000
_FASTER = 1.4
_LARGER = 1.05
_MEMORY = 100 * 2**20


@dataclass(frozen=True, slots=True)
class Backup:
    """Backups of the same database, in turn."""

    server: Server
    rounds: int = _ROUNDS

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """The time, the size by the peer's, and the memory of the largest process."""
        try:
            return self._measure(place, rounds)
        except NotMeasured as reason:
            return [Row("backup", verdict="failed", remark=str(reason))]

    def _measure(self, place: Place, rounds: int) -> list[Row]:
        self.server.recreate(DATABASE)
        with self.server.connect(DATABASE) as connection:
            tell("backup: filling the database")
            load(connection)
        url = self.server.url(DATABASE)
        ours = place.directory / "backups"
        theirs = place.directory / "peer.dump"
        commands = {
            "ours": [agentdb(), "backup", "create", "-d", url, "--to", str(ours), "-q"],
            "theirs": [embedded().program("pg_dump"), "-Fc", "-f", str(theirs), url],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        memory = size = 0
        for number in range(1, rounds + 1):
            for name in commands if number % 2 else reversed(commands):
                tell(f"backup: round {number} of {rounds}, {name}")
                shutil.rmtree(ours, ignore_errors=True)
                os.sync()  # what the one before has written is not this one's to wait for
                taken, largest = _run(place, commands[name])
                seconds[name].append(taken)
                if name == "ours":
                    memory = max(memory, largest)
                    size = sum(path.stat().st_size for path in ours.rglob("*") if path.is_file())
        share = size / theirs.stat().st_size
        row = Row(
            "backup",
            tuple(seconds["ours"]),
            "pg_dump -Fc",
            tuple(seconds["theirs"]),
            1 / _FASTER,
            remark=f"size {share:.3f} of the peer's (bar {_LARGER:g}); "
            f"memory {memory / 2**20:.0f} MB (bar {_MEMORY / 2**20:.0f})",
        )
        shutil.rmtree(ours, ignore_errors=True)
        theirs.unlink()
        assert row.ratio is not None
        within = row.ratio <= 1 / _FASTER and share <= _LARGER and memory <= _MEMORY
        return [replace(row, verdict="within" if within else "over")]


def _run(place: Place, command: Sequence[str]) -> tuple[float, int]:
    """The seconds of a command, and the bytes of the largest of its processes."""
    log = place.directory / "backup.log"
    with log.open("w") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=place.environment,
            cwd=place.work(),
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotMeasured(f"{Path(command[0]).name}: {log.read_text().strip()}")
    return seconds, used.ru_maxrss * 1024


def load(connection: psycopg.Connection) -> None:
    """Make the tables heartbeats and memories."""
    connection.execute("CREATE EXTENSION vector")
    connection.execute(
        "CREATE TABLE heartbeats (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " agent_id text NOT NULL, at timestamptz NOT NULL, state text,"
        " error_count int NOT NULL DEFAULT 0, metrics jsonb)"
    )
    connection.execute(
        "INSERT INTO heartbeats (agent_id, at, state, metrics)"
        f" SELECT 'agent-' || i % 100, now() - interval '60 days' * (1 - i::float8 / {_ROWS}),"
        " 'running', jsonb_build_object('cpu_usage', round((random() * 100)::numeric, 1),"
        f" 'memory_mb', (random() * 4000)::int) FROM generate_series(1, {_ROWS}) AS i"
    )
    connection.execute(
        "CREATE TABLE memories (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " content text, embedding vector(384))"
    )
    connection.execute(
        "INSERT INTO memories (content, embedding) SELECT 'note ' || i || md5(i::text),"
        " (SELECT array_agg((random() * 0.2 - 0.1 + i * 0 + g * 0)::real)::vector"
        "  FROM generate_series(1, 384) AS g)"
        f" FROM generate_series(1, {_VECTORS}) AS n (i)"
    )
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
