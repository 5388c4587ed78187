"""`agentdb health` on servers of its own: standbys, archiving, old transaction ids, start-up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from clusters import as_owner, copy_of, give, make, opened
from conftest import Database, Result
from test_health import eventually, health, one, thresholds

from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster

Cli = Callable[..., Result]


@dataclass(frozen=True)
class Pair:
    """A primary, which archives and has little memory, and its standby."""

    primary: Database
    standby: Database


@pytest.fixture(scope="module")
def pair(binaries: Binaries) -> Iterator[Pair]:
    """A primary with a streaming standby."""
    primary = make(binaries, "health")
    clusters = [primary]
    try:
        database = opened(primary)
        for setting in (
            "archive_mode = on",
            "archive_command = '/bin/true'",
            "shared_buffers = '1MB'",
            "wal_receiver_status_interval = '1s'",
        ):
            database.execute(f"ALTER SYSTEM SET {setting}")
        database.connection.close()
        primary.stop()
        database = opened(primary)
        standby = copy_of(database, binaries, "healthstandby", "-R", "-C", "-S", "standby")
        clusters.insert(0, standby)
        yield Pair(database, opened(standby))
    finally:
        for cluster in clusters:
            cluster.stop()
            shutil.rmtree(cluster.layout.base, ignore_errors=True)


def caught_up(pair: Pair) -> bool:
    """Whether the standby has replayed all that the primary wrote, and has told it so."""
    lsn = pair.primary.value("SELECT pg_current_wal_lsn()")
    return bool(
        pair.standby.value("SELECT pg_last_wal_replay_lsn() >= %s", lsn)
        and pair.primary.value(
            "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= %s", lsn
        )
    )


# --- Replication ------------------------------------------------------------------


def test_a_standby_that_keeps_up(cli: Cli, pair: Pair) -> None:
    pair.primary.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
    pair.primary.execute("INSERT INTO kept VALUES (1)")
    eventually(lambda: caught_up(pair))
    code, status, value, detail = one(cli, pair.primary.url, "replication-lag")
    assert (code, status, detail) == (0, "ok", "the slowest of 1: walreceiver")
    assert value < 10
    found = one(cli, pair.standby.url, "replication-lag")
    assert found == (0, "ok", 0.0, "this standby; none behind it")


def test_a_standby_that_does_not_replay(cli: Cli, pair: Pair) -> None:
    thresholds("replication-lag", warning=0.5, critical=1000)
    pair.primary.execute("CREATE TABLE IF NOT EXISTS late (id int)")
    eventually(lambda: caught_up(pair))
    pair.standby.execute("SELECT pg_wal_replay_pause()")
    try:
        eventually(lambda: pair.standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused")
        pair.primary.execute("INSERT INTO late VALUES (1)")

        def seen(url: str) -> tuple[int, str, object, str] | None:
            found = one(cli, url, "replication-lag")
            return found if found[0] == 1 else None

        standby = eventually(lambda: seen(pair.standby.url))
        primary = eventually(lambda: seen(pair.primary.url))
    finally:
        pair.standby.execute("SELECT pg_wal_replay_resume()")
    assert standby[1] == primary[1] == "warning"  # type: ignore[index]
    assert standby[3] == "this standby: replay is paused; none behind it"  # type: ignore[index]
    assert primary[3] == "the slowest of 1: walreceiver"  # type: ignore[index]
    eventually(lambda: caught_up(pair))
    eventually(lambda: one(cli, pair.standby.url, "replication-lag")[1] == "ok")


def test_a_standby_that_receives_nothing(cli: Cli, pair: Pair) -> None:
    thresholds("replication-lag", warning=0.2, critical=1000)
    pair.primary.execute("CREATE TABLE IF NOT EXISTS cut_off (id int)")
    eventually(lambda: caught_up(pair))
    conninfo = pair.standby.value("SHOW primary_conninfo")
    pair.standby.execute("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
    pair.standby.execute("SELECT pg_reload_conf()")
    try:
        found = eventually(
            lambda: next(
                (f for f in [one(cli, pair.standby.url, "replication-lag")] if f[0] == 1), None
            )
        )
    finally:
        pair.standby.connection.execute(
            psycopg.sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(conninfo)
        )
        pair.standby.execute("SELECT pg_reload_conf()")
    assert found[3] == "this standby: it receives no WAL; none behind it"  # type: ignore[index]
    eventually(lambda: caught_up(pair))


def test_a_standby_answers_all_checks(cli: Cli, pair: Pair) -> None:
    eventually(lambda: caught_up(pair))
    _, rows = health(cli, pair.standby.url)
    assert rows["reachable"]["status"] == "ok"
    assert str(rows["reachable"]["detail"]).endswith(", a standby")
    assert {row["status"] for row in rows.values()} <= {"ok", "skipped"}


# --- The archiver and memory ------------------------------------------------------


@contextmanager
def archiving(database: Database, command: str) -> Iterator[None]:
    """Another archive_command for a while, and a WAL file for it to archive."""
    try:
        database.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
        database.execute("SELECT pg_reload_conf()")
        eventually(lambda: database.value("SHOW archive_command") == command)
        database.execute("CREATE TABLE archived ()")
        database.execute("DROP TABLE archived")
        database.execute("SELECT pg_switch_wal()")
        yield
    finally:
        database.execute("ALTER SYSTEM SET archive_command = '/bin/true'")
        database.execute("SELECT pg_reload_conf()")


def test_archiver(cli: Cli, pair: Pair) -> None:
    with archiving(pair.primary, "/bin/false"):
        eventually(
            lambda: pair.primary.value(
                "SELECT last_failed_time > coalesce(last_archived_time, '-infinity')"
                " FROM pg_stat_archiver"
            )
        )
        code, status, value, detail = one(cli, pair.primary.url, "archiver")
    assert (code, status, value) == (2, "critical", 1.0)
    name, _, when = detail.partition(" failed at ")
    assert name == pair.primary.value("SELECT last_failed_wal FROM pg_stat_archiver")
    assert when.startswith("20")


def test_archiving_that_works_again(cli: Cli, pair: Pair) -> None:
    with archiving(pair.primary, "/bin/true"):
        found = eventually(
            lambda: next((f for f in [one(cli, pair.primary.url, "archiver")] if f[0] == 0), None)
        )
    assert found[1] == "ok"  # type: ignore[index]
    assert str(found[3]).startswith("last archived 20")  # type: ignore[index]


def test_cache_hit(cli: Cli, pair: Pair) -> None:
    pair.primary.execute("CREATE DATABASE reads")
    url = pair.primary.url.replace("/postgres?", "/reads?")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE wide (id int, text text)")
        connection.execute("ALTER TABLE wide ALTER text SET STORAGE PLAIN")
        connection.execute(
            "INSERT INTO wide SELECT n, repeat('x', 7000) FROM generate_series(1, 5000) n"
        )
        for _ in range(30):
            connection.execute("SELECT count(*) FROM wide")
    eventually(
        lambda: pair.primary.value(
            "SELECT blks_read > 140000 FROM pg_stat_database WHERE datname = 'reads'"
        )
    )
    code, status, value, detail = one(cli, url, "cache-hit")
    pair.primary.execute("DROP DATABASE reads")
    assert (code, status) == (2, "critical")
    assert value < 0.5
    assert int(detail.removesuffix(" blocks read from the system")) > 140_000


# --- Transaction ids --------------------------------------------------------------

_PER_SEGMENT = 32 * 8192 * 4
"""Transactions in a file of pg_xact: 32 pages, four transactions a byte."""


@pytest.fixture
def aged(binaries: Binaries) -> Iterator[Cluster]:
    """A server whose next transaction is number 1,200,000,000, of which nothing is frozen."""
    cluster = make(binaries, "aged")
    try:
        database = opened(cluster)
        database.execute("ALTER SYSTEM SET autovacuum_freeze_max_age = 2000000000")
        database.connection.close()
        cluster.stop()
        number = 1_200_000_000
        data = cluster.layout.data
        segment = data / "pg_xact" / f"{number // _PER_SEGMENT:04X}"
        segment.write_bytes(bytes(_PER_SEGMENT // 4))
        give(cluster, data / "pg_xact")
        as_owner(cluster, "pg_resetwal", "-x", str(number), "-D", str(data))
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(cluster.layout.base, ignore_errors=True)


def test_wraparound(cli: Cli, aged: Cluster) -> None:
    database = opened(aged)
    with database.connection:
        code, status, value, detail = one(cli, database.url, "wraparound")
        assert (code, status) == (1, "warning")
        assert value == pytest.approx(1_200_000_000 / 2**31, abs=0.001)
        oldest = database.value("SELECT max(age(datfrozenxid)) FROM pg_database")
        assert 1_199_000_000 < oldest < 1_200_001_000  # type: ignore[operator]
        assert int(detail.split()[1]) == pytest.approx(oldest, abs=100)
        result = cli("inspect", "wraparound", "-d", database.url, "-f", "json", "--limit", "100")
        assert result.code == 0, result.err
        rows = {row["name"]: row for row in json.loads(result.out)}
        assert rows["postgres"]["limit_percent"] == pytest.approx(55.9, abs=0.1)
        assert rows["postgres"]["freeze_percent"] == pytest.approx(60.0, abs=0.1)


# --- A server that is not there yet -----------------------------------------------


@contextmanager
def _starting(cluster: Cluster, waiting: Path) -> Iterator[str]:
    """A server in recovery that waits for its WAL archive; the URL."""
    data, base = cluster.layout.data, cluster.layout.base
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(f"restore_command = 'while [ -e {waiting} ]; do sleep 0.05; done; false'\n")
        file.write(f"unix_socket_directories = '{base}'\nlisten_addresses = ''\n")
    (data / "recovery.signal").touch()
    waiting.touch()
    give(cluster, base)
    log = str(cluster.layout.startup_log)
    try:
        as_owner(cluster, "pg_ctl", "start", "-W", "-D", str(data), "-l", log)
        socket = base / ".s.PGSQL.5432"
        eventually(socket.exists)
        yield f"postgresql://postgres@/postgres?host={base}"
    finally:
        waiting.unlink()
        as_owner(cluster, "pg_ctl", "stop", "-m", "immediate", "-D", str(data))


def test_a_server_that_is_starting_up(cli: Cli, pair: Pair, binaries: Binaries) -> None:
    copy = copy_of(pair.primary, binaries, "starting")
    try:
        with _starting(copy, copy.layout.base / "waiting") as url:
            code, rows = health(cli, url)
    finally:
        shutil.rmtree(copy.layout.base, ignore_errors=True)
    assert rows.keys() == {"reachable"}
    row = rows["reachable"]
    assert (code, row["status"], row["value"]) == (2, "critical", None)
    assert str(row["detail"]).endswith(": the server is starting up")
    assert row["advice"] == "try again in a moment"
