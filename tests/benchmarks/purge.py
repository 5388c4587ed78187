"""`agentdb purge` against one DELETE: its rate, its WAL, and what others feel of it.

Two million heartbeats over 60 days, with a primary key and an index on the time; the
older half goes. One of the partitions begins at the cutoff, so that they go as a whole.
Both sides start from a freshly loaded and vacuumed table. What counts is the time of the
deletion as the command reports it, not the start of the program.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles

import psycopg
from harness import NotMeasured, Place, Row, agentdb, tell
from servers import Server

from agentdb_cli.postgres.embedded.binaries import embedded

DATABASE = "purge"
_ROUNDS = 7
_ROWS = 2_000_000
_DAYS = 60
_SETTINGS = '[retention.heartbeats]\ntime_column = "at"\ndays = 30\n'
_COLUMNS = (
    "id bigint GENERATED ALWAYS AS IDENTITY, agent_id text NOT NULL, at timestamptz NOT NULL,"
    " state text, error_count int NOT NULL DEFAULT 0, metrics jsonb"
)
_INSERTS_A_SECOND = 400
_IDLE_SECONDS = 8
_SETTLE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """One deletion: seconds, bytes of WAL, rows."""

    seconds: float
    wal: int
    rows: int


@dataclass(frozen=True, slots=True)
class Purge:
    """Deletions in turn, from the same table."""

    server: Server
    rounds: int = _ROUNDS

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """The rate and the WAL of batches and of partitions, and the latency beside them."""
        try:
            return [*self._rates(place, rounds), self._latency(place, rounds)]
        except NotMeasured as reason:
            return [Row("purge", verdict="failed", remark=str(reason))]

    def _rates(self, place: Place, rounds: int) -> list[Row]:
        one: list[Measured] = []
        batches: list[Measured] = []
        dropped: list[Measured] = []

        def purge() -> tuple[float, int]:
            return _purge(place, self.url)

        for number in range(1, rounds + 1):
            tell(f"purge: round {number} of {rounds}")
            contenders: list[Callable[[], None]] = [
                lambda: one.append(self._race(self._one_delete, partitioned=False)),
                lambda: batches.append(self._race(purge, partitioned=False)),
                lambda: dropped.append(self._race(purge, partitioned=True)),
            ]
            for contender in contenders if number % 2 else reversed(contenders):
                contender()
        return [
            _row("purge-batches", batches, one, 1 / 0.75, 1.05),
            _row("purge-partitions", dropped, one, 1 / 5, 0.02),
        ]

    @property
    def url(self) -> str:
        """The benchmark's database."""
        return self.server.url(DATABASE)

    def _one_delete(self) -> tuple[float, int]:
        with self.server.connect(DATABASE) as connection:
            started = time.perf_counter()
            rows = connection.execute(
                "DELETE FROM heartbeats WHERE at < now() - interval '30 days'"
            ).rowcount
            return time.perf_counter() - started, rows

    def _race(self, contender: Callable[[], tuple[float, int]], *, partitioned: bool) -> Measured:
        """Load the table, let a contender delete, and count what is left."""
        self.server.recreate(DATABASE)
        with self.server.connect(DATABASE) as connection:
            load(connection, _ROWS, partitioned=partitioned)
            before = _wal(connection)
            seconds, rows = contender()
            wal = _wal(connection) - before
            left = connection.execute(
                "SELECT count(*) FROM heartbeats WHERE at < now() - interval '30 days 1 minute'"
            ).fetchone()
        if left != (0,) or abs(rows - _ROWS // 2) > 100:
            raise NotMeasured(f"{rows} rows deleted, {left} left")
        return Measured(seconds, wal, rows)

    def _latency(self, place: Place, rounds: int) -> Row:
        """The p99 of an inserter while batches are deleted, against that of the idle server."""
        idle: list[float] = []
        busy: list[float] = []
        for number in range(1, rounds + 1):
            tell(f"purge: inserter {number} of {rounds}")
            self.server.recreate(DATABASE)
            with self.server.connect(DATABASE) as connection:
                load(connection, _ROWS, partitioned=False)
            os.sync()  # what was loaded is not to be written beside the inserter
            time.sleep(_SETTLE_SECONDS)
            with _inserting(place, self.url, _IDLE_SECONDS + 6) as log:
                time.sleep(_IDLE_SECONDS)
                begun = time.time()
                _purge(place, self.url)
                ended = time.time()
            for at, latency in log():
                if begun <= at <= ended:
                    busy.append(latency)
                elif at < begun:
                    idle.append(latency)
        return Row(
            "purge-inserter",
            (_p99(busy),),
            "idle",
            (_p99(idle),),
            2,
            "within" if _p99(busy) <= 2 * _p99(idle) else "over",
            f"p99 of {len(busy)} inserts beside the purge and of {len(idle)} without; "
            f"longest {max(busy) * 1000:.0f} and {max(idle) * 1000:.0f} ms",
        )


def _row(
    name: str, ours: list[Measured], theirs: list[Measured], bar: float, wal_bar: float
) -> Row:
    wal = median(m.wal for m in ours) / median(m.wal for m in theirs)
    row = Row(
        name,
        tuple(m.seconds for m in ours),
        "one DELETE",
        tuple(m.seconds for m in theirs),
        bar,
        remark=f"WAL {wal:.3f} of the peer's (bar {wal_bar:g})",
    )
    assert row.ratio is not None
    within = row.ratio <= bar and wal <= wal_bar
    return Row(
        row.entry, row.ours, row.peer, row.theirs, bar, "within" if within else "over", row.remark
    )


def load(connection: psycopg.Connection, rows: int, *, partitioned: bool) -> None:
    """Make the table heartbeats, evenly over the last 60 days."""
    key = "PRIMARY KEY (at, id)" if partitioned else "PRIMARY KEY (id)"
    how = "PARTITION BY RANGE (at)" if partitioned else ""
    connection.execute(f"CREATE TABLE heartbeats ({_COLUMNS}, {key}) {how}")
    if partitioned:
        connection.execute(
            f"DO $$BEGIN FOR i IN 0..{_DAYS} LOOP EXECUTE format("
            "'CREATE TABLE heartbeats_%s PARTITION OF heartbeats FOR VALUES FROM (%L) TO (%L)',"
            " i, now() - make_interval(days => i), now() - make_interval(days => i - 1));"
            " END LOOP; END$$"
        )
        connection.execute("CREATE INDEX ON heartbeats (agent_id, at)")
    else:
        connection.execute("CREATE INDEX ON heartbeats (at)")
    connection.execute(
        "INSERT INTO heartbeats (agent_id, at, state, metrics)"
        f" SELECT 'agent-' || i % 100, now() - interval '{_DAYS} days' * (1 - i::float8 / {rows}),"
        f" 'running', '{{\"cpu_usage\": 25.5}}' FROM generate_series(1, {rows}) AS i"
    )
    connection.execute("VACUUM ANALYZE heartbeats")
    connection.execute("CHECKPOINT")


def _wal(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def _purge(place: Place, url: str, *options: str) -> tuple[float, int]:
    """Run the command; the seconds of the deletion, and the rows, as it reports them."""
    (place.work() / "agentdb.toml").write_text(_SETTINGS)
    done = subprocess.run(
        [agentdb(), "purge", "-d", url, "-f", "json", "-q", *options],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=place.environment, cwd=place.work(),
    )  # fmt: skip
    if done.returncode:
        raise NotMeasured(done.stderr.strip())
    (row,) = json.loads(done.stdout)
    return float(row["duration"]), int(row["rows"])


class _inserting:
    """An inserter beside the block; gives a function for (moment, seconds) of each insert."""

    def __init__(self, place: Place, url: str, seconds: int) -> None:
        self._directory = place.directory
        script = place.directory / "insert.sql"
        script.write_text(
            "INSERT INTO heartbeats (agent_id, at, state) VALUES ('agent-1', now(), 'running');\n"
        )
        self._prefix = place.directory / "inserter"
        self._command = [
            str(embedded().program("pgbench")), "-n", "-c", "1", "-T", str(seconds),
            "-R", str(_INSERTS_A_SECOND), "-f", str(script),
            "-l", f"--log-prefix={self._prefix}", url,
        ]  # fmt: skip

    def __enter__(self) -> Callable[[], list[tuple[float, float]]]:
        for path in self._directory.glob("inserter.*"):
            path.unlink()
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self._log

    def __exit__(self, *_: object) -> None:
        self._process.wait()

    def _log(self) -> list[tuple[float, float]]:
        """Latency counts from when the insert was due, so that a stall is not left out."""
        found = []
        for path in self._directory.glob("inserter.*"):
            for line in path.read_text().splitlines():
                _, _, latency, _, seconds, micros, *_ = line.split()
                ended = int(seconds) + int(micros) / 1e6
                found.append((ended, int(latency) / 1e6))
        return found


def _p99(latencies: list[float]) -> float:
    return quantiles(latencies, n=100)[98]
