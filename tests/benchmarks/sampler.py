"""The sampler of `agentdb slow-queries` under load: does it see right, and what does it cost?

On a PostgreSQL 15 of its own with pg_stat_statements, which a pgbench mix keeps
busy: four scripts of clearly different weight, as many clients as cores.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psycopg
from harness import NotMeasured, Place, Row, agentdb, tell
from servers import uninterrupted

from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import SUPERUSER, Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner

_POSTGRESQL = Path("/usr/lib/postgresql/15")
_ROUNDS = 30
_PAIR_SECONDS = 4
_ORDERS = 3
_ORDER_SECONDS = 30
_MOST_COST = 0.01
_SCALE = 5

# The weights make each of the three slow ones take about twice the time of the next. Some 600
# sightings tell a share to two points or so: the order of statements that are closer is chance,
# and pg_stat_statements itself may have another one in each run.
_SCRIPTS = {
    "count": (
        "SELECT count(*), sum(abalance) FROM pgbench_accounts WHERE bid IN (1, 2, :a % 5)",
        8,
    ),
    "group": (
        "SELECT bid, avg(abalance) FROM pgbench_accounts"
        " WHERE aid > :a AND aid < :a + 20000 GROUP BY bid ORDER BY 2",
        35,
    ),
    "range": (
        "SELECT max(filler) FROM pgbench_accounts WHERE aid > :a AND aid < :a + 2000",
        200,
    ),
    "point": ("SELECT abalance FROM pgbench_accounts WHERE aid = :a", 757),
}


@dataclass(frozen=True, slots=True)
class Sampler:
    """Pairs of runs of pgbench, one with the sampler beside it and one without."""

    directory: Path
    rounds: int = _ROUNDS

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """The order of the three slowest, and the throughput of `rounds` pairs."""
        try:
            with _server(self.directory) as url:
                return _measure(place, url, self.directory, max(rounds, 2))  # for a spread
        except NotMeasured as reason:
            return [Row("sampler", verdict="failed", remark=str(reason))]


def sampler(directory: Path) -> Sampler:
    """The entry.

    Raises:
        NotMeasured: there is no PostgreSQL 15 with pgbench.
    """
    if not (_POSTGRESQL / "bin" / "pgbench").exists():
        raise NotMeasured(f"needs {_POSTGRESQL} with contrib")
    return Sampler(directory)


def _measure(place: Place, url: str, directory: Path, rounds: int) -> list[Row]:
    _pgbench(url, directory, _PAIR_SECONDS)  # a warm-up
    right, rounds_said, cpu = 0, [], []
    for number in range(1, _ORDERS + 1):
        tell(f"sampler: order {number} of {_ORDERS}")
        _execute(url, "SELECT pg_stat_statements_reset()")
        with _sampling(place, url, _ORDER_SECONDS) as sampling:
            before = sampling.cpu()
            _pgbench(url, directory, _ORDER_SECONDS)
            cpu.append([b - a for a, b in zip(before, sampling.cpu(), strict=True)])
        seen, recorded = sampling.found(), _recorded(url)
        right += list(seen) == list(recorded)
        rounds_said.append(f"{number}: sampled {_said(seen)}; recorded {_said(recorded)}")
    alone: list[float] = []
    sampled: list[float] = []
    for number in range(1, rounds + 1):
        tell(f"sampler: pair {number} of {rounds}")
        for with_sampler in (False, True) if number % 2 else (True, False):
            if with_sampler:
                with _sampling(place, url, _PAIR_SECONDS):
                    sampled.append(1 / _pgbench(url, directory, _PAIR_SECONDS))
            else:
                alone.append(1 / _pgbench(url, directory, _PAIR_SECONDS))
    ratios = [with_it / without for with_it, without in zip(sampled, alone, strict=True)]
    low, middle, high = (1 - 1 / ratio for ratio in quantiles(ratios, n=4))
    remark = (
        f"costs {middle:.2%} of the throughput: the median of {rounds} pairs,"
        f" whose middle half lies from {low:.2%} to {high:.2%}. {_cpu_said(cpu)}"
    )
    return [
        Row(
            "sampler-order",
            verdict="yes" if right == _ORDERS else "no",
            remark=f"right in {right} of {_ORDERS} rounds. " + " | ".join(rounds_said),
        ),
        Row(
            "sampler-cost",
            tuple(sampled),
            "without",
            tuple(alone),
            1 / (1 - _MOST_COST),
            "within" if middle <= _MOST_COST else "over",
            remark,
        ),
    ]


@contextmanager
def _server(directory: Path) -> Iterator[str]:
    """A PostgreSQL 15 with pg_stat_statements and pgbench's tables; yields its URL."""
    layout = Layout.of(directory / "server15", 15)
    cluster = Cluster(Binaries(_POSTGRESQL, 15), layout, ensure_owner(tell))
    try:
        with uninterrupted():
            socket = cluster.start(tell).socket_directory
        url = f"postgresql://{SUPERUSER}@/postgres?host={socket}"
        _execute(url, "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        with uninterrupted():
            cluster.stop()
            cluster.start(tell)
        _execute(url, "CREATE EXTENSION pg_stat_statements")
        for name, (statement, _) in _SCRIPTS.items():
            script = f"\\set a random(1, {_SCALE * 100_000})\n{statement};\n"
            (directory / f"{name}.sql").write_text(script)
        _program("-i", "-q", "-s", str(_SCALE), url)
        yield url
    finally:
        with uninterrupted():
            cluster.stop()


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _pgbench(url: str, directory: Path, seconds: int) -> float:
    """Transactions a second."""
    files = [
        argument
        for name, (_, weight) in _SCRIPTS.items()
        for argument in ("-f", f"{directory / name}.sql@{weight}")
    ]
    clients = str(os.cpu_count() or 1)
    said = _program("-n", "-T", str(seconds), "-c", clients, "-M", "prepared", *files, url)
    found = re.search(r"tps = ([\d.]+)", said)
    if found is None:
        raise NotMeasured(f"pgbench: {said.strip()}")
    return float(found[1])


def _program(*arguments: str) -> str:
    command = [str(_POSTGRESQL / "bin" / "pgbench"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotMeasured(f"pgbench: {done.stderr.strip()[-300:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class _Sampling:
    """A running sampler, and the server process that answers it."""

    process: subprocess.Popen[str]
    backend: int

    def found(self) -> dict[str, float]:
        """The three statements that it saw most, with their shares; waits for its end."""
        rows = json.loads(self.process.communicate()[0])
        return {_name(row["query"]): row["share"] for row in rows[:3]}

    def cpu(self) -> tuple[float, float]:
        """The seconds of CPU that its backend and it itself have had; zero without /proc."""
        return _cpu(self.backend), _cpu(self.process.pid)


def _cpu(pid: int) -> float:
    path = Path(f"/proc/{pid}/schedstat")
    return int(path.read_text().split()[0]) / 1e9 if path.exists() else 0.0


def _cpu_said(cpu: Sequence[Sequence[float]]) -> str:
    whole = _ORDER_SECONDS * (os.cpu_count() or 1)
    backend, client = (median(column) / whole for column in zip(*cpu, strict=True))
    return f"CPU of all cores: its backend {backend:.2%}, the command itself {client:.2%}"


@contextmanager
def _sampling(place: Place, url: str, seconds: int) -> Iterator[_Sampling]:
    """Runs the sampler beside what is done in it; yields what returns the three it found."""
    command = [agentdb(), "slow-queries", "-d", url, "--sample", f"{seconds + 1}s", "-f", "json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=place.environment,
        cwd=place.work(),
        text=True,
    )

    backend = "SELECT pid FROM pg_stat_activity WHERE application_name ~ '^agentdb '"
    # Its start would take a share of the cores: wait until it is over.
    while not (pids := _execute(url, backend)):
        if process.poll() is not None:
            raise NotMeasured(f"the sampler: {process.communicate()[1].strip()}")
        time.sleep(0.01)
    try:
        yield _Sampling(process, int(str(pids[0][0])))
    finally:
        process.wait()


def _recorded(url: str) -> dict[str, float]:
    """The three statements that took most of the execution time, with their shares of it."""
    rows = _execute(
        url,
        "SELECT query, total_exec_time / sum(total_exec_time) OVER ()"
        " FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 3",
    )
    return {_name(str(query)): float(str(share)) for query, share in rows}


def _said(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items())


def _name(query: str) -> str:
    """The script that a statement is of."""
    marks = {"count(": "count", "avg(": "group", "max(": "range", "abalance FROM": "point"}
    return next((name for mark, name in marks.items() if mark in query), query[:40])
