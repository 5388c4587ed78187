"""`agentdb health`: every check against the real condition, and servers that do not answer."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from conftest import IN_CI, SERVERS, Database, Result

from agentdb_cli import app
from agentdb_cli.monitoring import checks
from agentdb_cli.monitoring.health import LOCKED
from waiting import eventually

Cli = Callable[..., Result]
Row = dict[str, object]

CHECKS = list(checks.available())
OF_COLLECTIONS = [name for name, check in checks.available().items() if check.each]
OF_AGENTS = [n for n, check in checks.available().items() if check.needs and not check.each]
OF_OTHERS = (
    "blocked-sessions",
    "connections",
    "idle-in-transaction",
    "long-transactions",
    "replication-lag",
)
"""The checks that look at sessions of other roles."""


# --- Running it -------------------------------------------------------------------


def health(cli: Cli, url: str, *arguments: str) -> tuple[int, dict[str, Row]]:
    """Exit code and rows by check of `agentdb health`."""
    result = cli("health", "-d", url, "-f", "json", *arguments)
    assert result.err == ""
    return result.code, {row["check"]: row for row in json.loads(result.out)}


def one(cli: Cli, url: str, check: str, *arguments: str) -> tuple[int, str, object, str]:
    """Exit code, status, value and detail of one check."""
    code, rows = health(cli, url, "--only", check, *arguments)
    assert rows.keys() == {check}
    row = rows[check]
    return code, str(row["status"]), row["value"], str(row["detail"])


def thresholds(check: str, **values: float) -> None:
    """Write an agentdb.toml with thresholds of one check."""
    lines = [f"[health.{check}]", *(f"{key} = {value}" for key, value in values.items())]
    Path("agentdb.toml").write_text("\n".join(lines) + "\n")


@contextmanager
def session(database: Database, application: str = "") -> Iterator[psycopg.Connection]:
    """Another session, whose transaction is rolled back at the end."""
    connection = psycopg.connect(database.url, application_name=application)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def waiting(database: Database, waiter: psycopg.Connection, statement: str) -> Iterator[Future]:
    """Runs a statement that has to wait for a lock, in a thread of its own."""
    pid = waiter.info.backend_pid
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(waiter.execute, statement)
        try:
            eventually(
                lambda: database.value(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE pid = %s AND wait_event_type = 'Lock'",
                    pid,
                )
            )
            yield future
        finally:
            database.execute("SELECT pg_cancel_backend(%s)", pid)
            future.exception()


@contextmanager
def without_privileges(database: Database, *member_of: str) -> Iterator[str]:
    """A URL whose session has the rights of a role that owns nothing."""
    database.execute("CREATE ROLE nobody_in_particular")
    try:
        for role in member_of:
            database.execute(f"GRANT {role} TO nobody_in_particular")
        yield f"{database.url}&options=-c%20role%3Dnobody_in_particular"
    finally:
        database.execute("DROP ROLE nobody_in_particular")


# --- Databases with a pack --------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """Statements for one pack's tables."""

    pack: str
    major: str
    agents: str
    key: str
    heartbeats: str
    metrics: str
    events: str
    time: str
    requests: str

    @property
    def chosen(self) -> tuple[str, ...]:
        """The options that choose the pack; none for the default."""
        return () if self.pack == "agentdb" else ("--pack", self.pack)


AGENTDB = Names(
    pack="agentdb",
    major="18",
    agents="agent.agents",
    key="id",
    heartbeats="telemetry.heartbeats",
    metrics="telemetry.metrics",
    events="telemetry.events",
    time="occurred_at",
    requests="help.requests (external_user_id, content, status, created_at)"
    " VALUES ('u', 'how?', %s, now() - %s::interval)",
)
BACKGROUND = Names(
    pack="background-agents",
    major="15",
    agents="agents",
    key="agent_id",
    heartbeats="agent_heartbeats",
    metrics="performance_metrics",
    events="system_events",
    time="timestamp",
    requests="help_requests (request_id, user_id, content, status, created_at)"
    " VALUES (gen_random_uuid(), 'u', 'how?', %s, now() - %s::interval)",
)


@dataclass(frozen=True)
class Packed:
    """A migrated database of one test."""

    database: Database
    names: Names

    @property
    def url(self) -> str:
        return self.database.url

    def agent(self, name: str, state: str, started: str | None = None) -> None:
        """Register an agent, started `started` ago."""
        n = self.names
        self.database.execute(
            f"INSERT INTO {n.agents} ({n.key}, state, started_at)"
            " VALUES (%s, %s, now() - %s::interval)",
            name, state, started,
        )  # fmt: skip

    def heartbeat(self, agent: str, ago: str) -> None:
        n = self.names
        self.database.execute(
            f"INSERT INTO {n.heartbeats} (agent_id, {n.time}) VALUES (%s, now() - %s::interval)",
            agent, ago,
        )  # fmt: skip

    def metric(self, agent: str, ago: str) -> None:
        n = self.names
        self.database.execute(
            f"INSERT INTO {n.metrics} (agent_id, metric_name, value, {n.time})"
            " VALUES (%s, 'cpu_usage', 1, now() - %s::interval)",
            agent, ago,
        )  # fmt: skip

    def events(self, severity: str, number: int, ago: str = "1 minute") -> None:
        n = self.names
        self.database.execute(
            f"INSERT INTO {n.events} (event_type, severity, {n.time})"
            " SELECT 'e', %s, now() - %s::interval FROM generate_series(1, %s)",
            severity, ago, number,
        )  # fmt: skip

    def request(self, status: str, ago: str) -> None:
        self.database.execute(f"INSERT INTO {self.names.requests}", status, ago)

    def one(self, cli: Cli, check: str) -> tuple[int, str, object, str]:
        """Exit code, status, value and detail of one check."""
        return one(cli, self.url, check, *self.names.chosen)


def _url(major: str, name: str) -> str:
    return f"postgresql://postgres@/{name}?host={SERVERS / f'pg{major}' / 'run'}&port=5432"


@pytest.fixture(scope="module")
def templates(
    servers: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Names]]:
    """A migrated database for each pack, to be copied; the packs by name."""
    made = [names for names in (AGENTDB, BACKGROUND) if names.major in servers]
    for names in made:
        with psycopg.connect(_url(names.major, "postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "health-{names.pack}"')
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp("migrate"))
            url = _url(names.major, f"health-{names.pack}")
            assert app.execute(["migrate", "-q", "-d", url, *names.chosen]) == 0
    yield {names.pack: names for names in made}
    for names in made:
        with psycopg.connect(_url(names.major, "postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "health-{names.pack}"')


_NUMBER = itertools.count()


@contextmanager
def _copy(templates: dict[str, Names], pack: str) -> Iterator[Packed]:
    if pack not in templates:
        if IN_CI:
            pytest.fail(f"the server for {pack} must be installed in CI")
        pytest.skip(f"no server for {pack} on this machine")
    names = templates[pack]
    name = f"health_{next(_NUMBER)}"
    url = _url(names.major, name)
    with psycopg.connect(_url(names.major, "postgres"), autocommit=True) as administrator:
        administrator.execute(f'CREATE DATABASE {name} TEMPLATE "health-{pack}"')
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                yield Packed(Database(connection, url, int(names.major)), names)
        finally:
            administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["agentdb", "background-agents"])
def packed(request: pytest.FixtureRequest, templates: dict[str, Names]) -> Iterator[Packed]:
    """A migrated database: agentdb on PostgreSQL 18, background-agents on 15."""
    with _copy(templates, request.param) as packed:
        yield packed


@pytest.fixture
def agentdb(templates: dict[str, Names]) -> Iterator[Packed]:
    """A database with the default pack."""
    with _copy(templates, "agentdb") as packed:
        yield packed


# --- A healthy database -----------------------------------------------------------


@pytest.fixture(scope="module", params=["agentdb", "background-agents"])
def healthy(request: pytest.FixtureRequest, templates: dict[str, Names]) -> Iterator[Packed]:
    """A migrated database with an agent that does all it should."""
    with _copy(templates, request.param) as packed:
        packed.agent("fine", "running", "1 day")
        packed.heartbeat("fine", "10 seconds")
        packed.metric("fine", "10 seconds")
        packed.events("INFO", 100)
        packed.request("answered", "3 days")
        yield packed


OF_THE_FIRST_RUN = {"disk-growth", "backups-age"}
"""Checks that nothing is known for where agentdb was never run before."""


def skipped(packed: Packed) -> set[str]:
    """The checks that have nothing to judge by in a first run."""
    return OF_THE_FIRST_RUN | (set() if packed.names is AGENTDB else set(OF_COLLECTIONS))


@pytest.mark.parametrize("check", CHECKS)
def test_a_healthy_database_is_ok(cli: Cli, healthy: Packed, check: str) -> None:
    code, status, value, detail = healthy.one(cli, check)
    assert detail
    if check in skipped(healthy):
        assert (code, status, value) == (3, "skipped", None), detail
    else:
        assert (code, status) == (0, "ok"), detail
        assert value is not None


def test_a_healthy_database_is_ok_altogether(cli: Cli, healthy: Packed) -> None:
    result = cli("health", "-d", healthy.url, *healthy.names.chosen)
    assert (result.code, result.err) == (0, "")
    left = len(skipped(healthy))
    last = result.out.splitlines()[-1]
    assert re.fullmatch(rf"ok: {len(CHECKS) - left} ok, {left} skipped in \d+ ms", last)


def test_without_any_agent_all_is_ok(cli: Cli, packed: Packed) -> None:
    code, rows = health(cli, packed.url, *packed.names.chosen)
    assert code == 0
    found = {name: row["status"] for name, row in rows.items()}
    assert found == dict.fromkeys(CHECKS, "ok") | dict.fromkeys(skipped(packed), "skipped")


# --- Sessions ---------------------------------------------------------------------


def test_connections(cli: Cli, database: Database) -> None:
    thresholds("connections", warning=0.05)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(session(database))
        code, status, value, detail = one(cli, database.url, "connections")
    number, _, limit = detail.partition(" of ")
    assert int(number) >= 8  # these six, the test's own and the command's
    assert limit == database.value("SHOW max_connections") == "100"
    assert (code, status, value) == (1, "warning", int(number) / 100)


def test_blocked_sessions(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    with session(database) as holder, session(database) as waiter:
        holder.execute("LOCK TABLE t")
        with waiting(database, waiter, "SELECT * FROM t"):
            found = one(cli, database.url, "blocked-sessions")
    assert found == (2, "critical", 1.0, "1 of 1 active sessions")


def test_long_transactions(cli: Cli, database: Database) -> None:
    thresholds("long-transactions", warning=0.1)
    with session(database, "report") as old, session(database, "younger") as younger:
        old.execute("SELECT")
        younger.execute("SELECT")
        time.sleep(0.15)
        code, status, value, detail = one(cli, database.url, "long-transactions")
        assert detail == f"pid {old.info.backend_pid} (report)"
    assert (code, status) == (1, "warning")
    assert 0.15 < value < 5


def test_idle_in_transaction(cli: Cli, database: Database) -> None:
    thresholds("idle-in-transaction", warning=0.05, critical=0.1)
    with session(database) as failed, session(database, "idle") as idle:
        with pytest.raises(psycopg.errors.DivisionByZero):
            failed.execute("SELECT 1/0")
        time.sleep(0.15)
        idle.rollback()  # idle, but in no transaction
        code, status, value, detail = one(cli, database.url, "idle-in-transaction")
        assert detail == f"pid {failed.info.backend_pid}"
    assert (code, status) == (2, "critical")
    assert 0.15 < value < 5


# --- The server and the database --------------------------------------------------


def _ahead(database: Database, slot: str) -> float:
    return float(
        str(
            database.value(
                "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)"
                " FROM pg_replication_slots WHERE slot_name = %s",
                slot,
            )
        )
    )


def test_replication_slots(cli: Cli, database: Database) -> None:
    thresholds("replication-slots", warning=100_000, critical=1e12)
    database.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        database.execute("CREATE TABLE t AS SELECT repeat('x', 100) FROM generate_series(1, 2000)")
        before = _ahead(database, "forgotten")
        code, status, value, detail = one(cli, database.url, "replication-slots")
        assert before <= value <= _ahead(database, "forgotten")
    finally:
        database.execute("SELECT pg_drop_replication_slot('forgotten')")
    assert (code, status, detail) == (1, "warning", "forgotten")
    assert value > 200_000


def test_invalid_indexes(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
    found = one(cli, database.url, "invalid-indexes")
    assert found == (1, "warning", 1.0, "t_id")
    database.execute("DROP INDEX t_id")
    assert one(cli, database.url, "invalid-indexes") == (0, "ok", 0.0, "none")


def test_sequences(cli: Cli, database: Database) -> None:
    assert one(cli, database.url, "sequences") == (0, "ok", 0.0, "none that could run out is used")
    database.execute("CREATE SEQUENCE fine AS integer")
    database.execute("CREATE SEQUENCE round AS integer CYCLE")
    database.execute("CREATE SEQUENCE down AS integer INCREMENT -1")
    database.execute("CREATE SEQUENCE nearly AS integer")
    database.execute("SELECT setval('fine', 1000), setval('round', 2147483647)")
    database.execute("SELECT nextval('down')")
    assert one(cli, database.url, "sequences")[1] == "ok"
    database.execute("SELECT setval('nearly', (2147483647 * 0.95)::bigint)")
    code, status, value, detail = one(cli, database.url, "sequences")
    assert (code, status, detail) == (2, "critical", "public.nearly")
    assert value == pytest.approx(0.95)
    database.execute("SELECT setval('down', -2147483647)")
    assert one(cli, database.url, "sequences")[3] == "public.down"


def test_a_sequence_of_bigint_for_a_column_that_holds_less(cli: Cli, database: Database) -> None:
    database.execute("CREATE SEQUENCE old; CREATE TABLE t (id int DEFAULT nextval('old'))")
    database.execute("SELECT setval('old', 2000000000)")
    assert one(cli, database.url, "sequences")[:2] == (0, "ok")  # nothing ties the two
    database.execute("ALTER SEQUENCE old OWNED BY t.id")
    code, status, value, detail = one(cli, database.url, "sequences")
    assert (code, status, detail) == (2, "critical", "public.old")
    assert value == pytest.approx(2_000_000_000 / 2_147_483_647)


def test_partitions(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE log (at timestamptz) PARTITION BY RANGE (at)")
    database.execute("CREATE TABLE past (at date) PARTITION BY RANGE (at)")
    database.execute("CREATE TABLE open (at date) PARTITION BY RANGE (at)")
    database.execute("CREATE TABLE size (n int) PARTITION BY RANGE (n)")
    database.execute("CREATE TABLE size_1 PARTITION OF size FOR VALUES FROM (1) TO (2)")
    database.execute(
        "CREATE TABLE past_1 PARTITION OF past FOR VALUES FROM ('2001-01-01') TO ('2001-02-01')"
    )
    database.execute(
        "CREATE TABLE open_1 PARTITION OF open FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    assert one(cli, database.url, "partitions") == (0, "ok", 0.0, "none")
    end = database.value("SELECT (current_date + 1)::timestamptz")
    today, tomorrow, later = database.execute(
        "SELECT current_date, current_date + 1, current_date + 3"
    )[0]
    of = "PARTITION OF log FOR VALUES FROM"
    database.execute(f"CREATE TABLE log_1 {of} ('{today}') TO ('{tomorrow}')")
    found = one(cli, database.url, "partitions")
    assert found == (1, "warning", 1.0, f"log (ends at {end}, no default)".replace("+00:00", "+00"))
    database.execute("CREATE TABLE log_default PARTITION OF log DEFAULT")
    assert "no default" not in one(cli, database.url, "partitions")[3]
    database.execute(f"CREATE TABLE log_2 {of} ('{tomorrow}') TO ('{later}')")
    assert one(cli, database.url, "partitions") == (0, "ok", 0.0, "none")


def test_prepared_transactions(cli: Cli, database: Database) -> None:
    if database.value("SHOW max_prepared_transactions") == "0":
        assert one(cli, database.url, "prepared-transactions") == (0, "ok", 0.0, "none")
        return
    thresholds("prepared-transactions", warning=0)
    database.execute("BEGIN; PREPARE TRANSACTION 'forgotten'")
    try:
        code, status, _, detail = one(cli, database.url, "prepared-transactions")
    finally:
        database.execute("ROLLBACK PREPARED 'forgotten'")
    assert (code, status, detail) == (1, "warning", "forgotten")


def _statistics(database: Database, column: str) -> int:
    return int(
        str(
            database.value(
                f"SELECT {column} FROM pg_stat_database WHERE datname = current_database()"
            )
        )
    )


def test_rollbacks(cli: Cli, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as other:
        for number in range(1000):
            other.execute("BEGIN; SELECT 1; ROLLBACK" if number % 4 == 0 else "SELECT 1")
    eventually(lambda: _statistics(database, "xact_rollback") >= 250)
    code, status, value, detail = one(cli, database.url, "rollbacks")
    match = re.fullmatch(r"250 of (\d+) transactions", detail)
    assert match
    assert (code, status, value) == (1, "warning", 250 / int(match[1]))


def test_a_few_rollbacks_are_no_finding(cli: Cli, database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as other:
        for _ in range(100):
            other.execute("BEGIN; SELECT 1; ROLLBACK")
    eventually(lambda: _statistics(database, "xact_rollback") >= 100)
    assert one(cli, database.url, "rollbacks")[:3] == (0, "ok", 0.0)


def test_deadlocks(cli: Cli, database: Database) -> None:
    thresholds("deadlocks", warning=0.5)
    database.execute("CREATE TABLE a (); CREATE TABLE b ()")
    with session(database) as one_way, session(database) as other_way:
        for connection in (one_way, other_way):
            connection.execute("SET deadlock_timeout = '20ms'")
            connection.commit()
        one_way.execute("LOCK TABLE a")
        other_way.execute("LOCK TABLE b")
        with ThreadPoolExecutor(max_workers=2) as pool:
            ends = [
                pool.submit(one_way.execute, "LOCK TABLE b"),
                pool.submit(other_way.execute, "LOCK TABLE a"),
            ]
            failed = [error for end in ends if (error := end.exception())]
        assert [type(error) for error in failed] == [psycopg.errors.DeadlockDetected]
    eventually(lambda: _statistics(database, "deadlocks") == 1)
    since = database.value(
        "SELECT coalesce(stats_reset, pg_postmaster_start_time())::date::text"
        " FROM pg_stat_database WHERE datname = current_database()"
    )
    found = one(cli, database.url, "deadlocks")
    assert found == (1, "warning", 1.0, f"1 since {since}")


# --- Agents -----------------------------------------------------------------------


def test_heartbeats(cli: Cli, packed: Packed) -> None:
    packed.agent("fine", "running", "1 day")
    packed.heartbeat("fine", "1 hour")
    packed.heartbeat("fine", "2 minutes")  # two may be missing
    packed.agent("fresh", "running", "1 minute")
    packed.agent("stopped", "stopped", "1 day")
    assert packed.one(cli, "heartbeats") == (0, "ok", 0.0, "none")
    packed.agent("slow", "running", "1 day")
    packed.heartbeat("slow", "5 minutes")
    packed.agent("silent", "running", "1 day")
    packed.agent("lost", "running")
    code, status, value, detail = packed.one(cli, "heartbeats")
    assert (code, status, value) == (1, "warning", 3.0)
    assert re.fullmatch(r"lost \(never\), silent \(never\), slow \(00:05:0\d ago\)", detail)


def test_an_agent_that_was_started_again_owes_no_heartbeat_yet(cli: Cli, packed: Packed) -> None:
    packed.agent("again", "running", "1 minute")
    packed.heartbeat("again", "3 hours")
    assert packed.one(cli, "heartbeats") == (0, "ok", 0.0, "none")


def test_agents_in_error(cli: Cli, packed: Packed) -> None:
    packed.agent("fine", "running", "1 minute")
    packed.agent("lame", "failed", "1 day")
    packed.agent("broken", "crashed", "1 day")
    found = packed.one(cli, "agents-in-error")
    assert found == (1, "warning", 2.0, "broken (crashed), lame (failed)")


def test_error_events(cli: Cli, packed: Packed) -> None:
    packed.events("INFO", 90)
    packed.events("WARNING", 5)
    packed.events("ERROR", 5)
    packed.events("ERROR", 50, ago="2 hours")
    found = packed.one(cli, "error-events")
    assert found == (0, "ok", 0.05, "5 of 100 events")
    packed.database.execute(
        f"UPDATE {packed.names.events} SET severity = 'CRITICAL' WHERE severity = 'WARNING'"
        f" AND id = (SELECT min(id) FROM {packed.names.events} WHERE severity = 'WARNING')"
    )
    found = packed.one(cli, "error-events")
    assert found == (1, "warning", 0.06, "6 of 100 events")


def test_metrics(cli: Cli, packed: Packed) -> None:
    packed.agent("worker", "stopped", "1 day")
    packed.metric("worker", "11 minutes")
    assert packed.one(cli, "metrics")[:3] == (0, "ok", 0.0)
    packed.database.execute(f"UPDATE {packed.names.agents} SET state = 'running'")
    code, status, value, detail = packed.one(cli, "metrics")
    n = packed.names
    last = packed.database.value(f"SELECT max({n.time})::timestamptz(0)::text FROM {n.metrics}")
    assert (code, status, detail) == (2, "critical", f"last at {last}")
    assert 660 <= value < 670
    packed.metric("worker", "30 seconds")
    code, status, value, _ = packed.one(cli, "metrics")
    assert (code, status) == (0, "ok")
    assert 30 <= value < 40


def test_metrics_that_nobody_ever_sent(cli: Cli, packed: Packed) -> None:
    packed.agent("worker", "running", "1 day")
    found = packed.one(cli, "metrics")
    assert found == (2, "critical", 1e9, "none within a day")


def test_help_requests(cli: Cli, packed: Packed) -> None:
    packed.request("answered", "3 days")
    packed.request("closed", "3 days")
    assert packed.one(cli, "help-requests") == (0, "ok", 0.0, "0 open")
    packed.request("pending", "1 minute")
    packed.request("in_progress", "2 hours")
    code, status, value, detail = packed.one(cli, "help-requests")
    assert (code, status, detail) == (1, "warning", "2 open")
    assert 7200 <= value < 7210


# --- What may not be seen, is not there or is locked -------------------------------


@pytest.mark.parametrize("check", OF_OTHERS)
def test_sessions_of_others_that_may_not_be_seen(cli: Cli, database: Database, check: str) -> None:
    with without_privileges(database) as url:
        found = one(cli, url, check)
    assert found == (3, "unknown", None, "not permitted: needs pg_monitor")


def test_pg_monitor_may_see_them(cli: Cli, database: Database) -> None:
    with without_privileges(database, "pg_monitor") as url:
        _, rows = health(cli, url)
    assert {rows[check]["status"] for check in OF_OTHERS} == {"ok"}


def test_tables_that_may_not_be_read(cli: Cli, packed: Packed) -> None:
    with without_privileges(packed.database) as url:
        code, rows = health(cli, url, *packed.names.chosen)
    assert code == 3
    assert {rows[check]["status"] for check in OF_AGENTS} == {"unknown"}
    assert {rows[check]["value"] for check in OF_AGENTS} == {None}
    agents = "schema agent" if packed.names is AGENTDB else "table agents"
    events = "schema telemetry" if packed.names is AGENTDB else "table system_events"
    assert rows["agents-in-error"]["detail"] == f"not permitted: permission denied for {agents}"
    assert rows["error-events"]["detail"] == f"not permitted: permission denied for {events}"


def test_sequences_that_may_not_be_read(cli: Cli, database: Database) -> None:
    database.execute("CREATE SEQUENCE big")
    with without_privileges(database) as url:
        assert one(cli, url, "sequences") == (
            0,
            "ok",
            0.0,
            "none that could run out is used",
        )  # none lasts longer
        database.execute("CREATE SEQUENCE small AS integer")
        database.execute("SELECT setval('small', 2147483647)")
        assert one(cli, url, "sequences") == (
            3, "unknown", None, "not permitted: public.small",
        )  # fmt: skip
        database.execute("CREATE SEQUENCE seen AS integer")
        database.execute("SELECT setval('seen', 2147483647)")
        database.execute("GRANT SELECT ON SEQUENCE seen TO nobody_in_particular")
        assert one(cli, url, "sequences") == (2, "critical", 1.0, "public.seen")
        database.execute("DROP SEQUENCE seen")
        database.execute("CREATE SCHEMA closed; CREATE SEQUENCE closed.inner AS integer")
        database.execute("GRANT SELECT ON SEQUENCE closed.inner TO nobody_in_particular")
        assert one(cli, url, "sequences")[3] == "not permitted: closed.inner, public.small"
        database.execute("DROP SCHEMA closed CASCADE")


def test_what_is_worse_than_unknown_decides(cli: Cli, packed: Packed) -> None:
    packed.database.execute("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        packed.database.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
    with without_privileges(packed.database) as url:
        code, rows = health(cli, url, *packed.names.chosen)
    assert rows["connections"]["status"] == "unknown"
    assert (code, rows["invalid-indexes"]["status"]) == (1, "warning")


def test_without_the_default_packs_tables(cli: Cli, database: Database) -> None:
    code, rows = health(cli, database.url)
    assert code == 0
    left_out = {name for name, row in rows.items() if row["status"] == "skipped"}
    assert left_out == {*OF_AGENTS, *OF_COLLECTIONS, *OF_THE_FIRST_RUN}
    assert rows["agents-in-error"]["detail"] == 'relation "agent.agents" does not exist'


def test_it_leaves_no_rollbacks_behind(cli: Cli, database: Database) -> None:
    """Statements that fail would count as such, and be a finding of their own in time."""
    rollbacks = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    before = database.value(rollbacks)
    for _ in range(3):
        assert cli("health", "-d", database.url).code == 0
    eventually(
        lambda: (
            not database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'agentdb health'"
            )
        )
    )
    assert database.value(rollbacks) == before


def test_without_a_chosen_packs_tables(cli: Cli, database: Database) -> None:
    code, rows = health(cli, database.url, "--pack", "background-agents")
    assert code == 3
    unknown = {name for name, row in rows.items() if row["status"] == "unknown"}
    assert unknown == set(OF_AGENTS)
    assert rows["agents-in-error"]["detail"] == 'relation "agents" does not exist'


def test_a_pack_without_agents(cli: Cli, database: Database) -> None:
    without = [word for name in OF_COLLECTIONS for word in ("--skip", name)]
    code, rows = health(cli, database.url, "--pack", "openagent", *without)
    assert code == 0
    assert {rows[check]["status"] for check in OF_AGENTS} == {"skipped"}
    assert rows["metrics"]["detail"] == "the pack has no such table"


def test_all_tables_are_locked(cli: Cli, packed: Packed) -> None:
    tables = packed.database.value(
        "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ')"
        " FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with session(packed.database, "rewrite") as holder:
        holder.execute(f"LOCK TABLE {tables}")
        began = time.monotonic()
        code, rows = health(cli, packed.url, *packed.names.chosen)
        assert time.monotonic() - began < 3
        who = f"pid {holder.info.backend_pid} (rewrite)"
    assert code == 1
    locked = {*OF_AGENTS, *OF_COLLECTIONS} - skipped(packed)
    assert {name for name, row in rows.items() if row["status"] == "warning"} == locked
    details = {rows[check]["detail"] for check in locked}
    assert details == {f"{LOCKED}; the lock is held by {who}"}


def test_a_lock_that_lets_readers_in_does_not_matter(cli: Cli, agentdb: Packed) -> None:
    agentdb.database.execute("CREATE SEQUENCE small AS smallint")
    agentdb.database.execute("SELECT setval('small', 7)")
    tables = agentdb.database.value(
        "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ')"
        " FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with session(agentdb.database) as holder:
        holder.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE")  # all but ACCESS SHARE waits
        holder.execute("ALTER SEQUENCE small MAXVALUE 1000")
        code, rows = health(cli, agentdb.url)
    assert (code, {row["status"] for row in rows.values()}) == (0, {"ok", "skipped"})
    assert rows["sequences"]["detail"] == "public.small"


def test_a_lock_is_held_by_a_session_without_a_name(cli: Cli, agentdb: Packed) -> None:
    with session(agentdb.database) as holder, without_privileges(agentdb.database) as url:
        agentdb.database.execute("GRANT USAGE ON SCHEMA agent TO nobody_in_particular")
        agentdb.database.execute("GRANT SELECT ON agent.agents TO nobody_in_particular")
        try:
            holder.execute("LOCK TABLE agent.agents")
            found = one(cli, url, "agents-in-error")
            holder.rollback()
        finally:
            agentdb.database.execute("DROP OWNED BY nobody_in_particular")
        who = f"pid {holder.info.backend_pid}"
    assert found == (1, "warning", None, f"{LOCKED}; the lock is held by {who}")


# --- Servers that do not answer ----------------------------------------------------


@contextmanager
def silence() -> Iterator[str]:
    """A URL of a port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/db"


class Relay:
    """Passes a server's socket on at a TCP port.

    Args:
        delay: seconds that every piece of an answer takes.
        swallow: whether to pass on nothing more once the session has started.
    """

    READY = b"Z\x00\x00\x00\x05I"

    def __init__(self, database: Database, *, delay: float = 0, swallow: bool = False) -> None:
        info = database.connection.info
        self.server = f"{info.host}/.s.PGSQL.{info.port}"
        self.delay, self.swallow, self.stopped = delay, swallow, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.sockets = [self.listener]
        port = self.listener.getsockname()[1]
        self.url = f"postgresql://postgres@127.0.0.1:{port}/{info.dbname}?sslmode=disable"

    def __enter__(self) -> Relay:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self.sockets += [client, server]
                if not self.stopped:
                    server.connect(self.server)
                    self._start(self._requests, client, server)
                    self._start(self._answers, server, client)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if not self.stopped:
                    server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                time.sleep(self.delay)
                self.stopped = self.swallow and data.endswith(self.READY)
                client.sendall(data)


def unreachable(cli: Cli, url: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, status and detail when there is no session."""
    code, rows = health(cli, url, *arguments)
    assert rows.keys() == {"reachable"}
    assert rows["reachable"]["value"] is None
    return code, str(rows["reachable"]["status"]), str(rows["reachable"]["detail"])


def test_connection_refused(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"postgresql://u@127.0.0.1:{probe.getsockname()[1]}/db"
    assert unreachable(cli, url) == (
        2,
        "critical",
        f"cannot connect to {url} (from --url): connection refused",
    )


def test_a_server_that_accepts_and_says_nothing(cli: Cli) -> None:
    with silence() as url:
        began = time.monotonic()
        found = unreachable(cli, url, "--timeout", "2")
        assert time.monotonic() - began < 2.5
    assert found == (
        2,
        "critical",
        f"cannot connect to {url} (from --url): no answer within 2 s",
    )


def test_less_time_than_libpq_takes_at_least(cli: Cli) -> None:
    with silence() as url:
        began = time.monotonic()
        found = unreachable(cli, url, "--timeout", "0.3")
        assert time.monotonic() - began < 1
    assert found == (
        2,
        "critical",
        f"cannot connect to {url} (from --url): no answer within 0.3 s",
    )


def test_a_server_that_falls_silent_in_a_session(cli: Cli, database: Database) -> None:
    with Relay(database, swallow=True) as relay:
        began = time.monotonic()
        found = unreachable(cli, relay.url, "--timeout", "0.5")
        assert 0.5 <= time.monotonic() - began < 1
    assert found == (2, "critical", "no answer within 0.5 s")


def test_a_server_that_ends_the_session(cli: Cli, database: Database) -> None:
    with Relay(database, swallow=True) as relay, ThreadPoolExecutor(max_workers=1) as pool:
        ended = pool.submit(lambda: (eventually(lambda: relay.stopped), relay.__exit__()))
        found = unreachable(cli, relay.url)
        ended.result()
    assert found == (2, "critical", "the server ended the session")


def test_a_session_that_is_terminated(cli: Cli, agentdb: Packed) -> None:
    agentdb.agent("any", "error")
    agentdb.database.execute("ALTER TABLE agent.agents RENAME TO all_agents")
    agentdb.database.execute(
        "CREATE FUNCTION agent.terminated() RETURNS boolean LANGUAGE sql VOLATILE"
        " RETURN pg_terminate_backend(pg_backend_pid());"
        "CREATE VIEW agent.agents AS SELECT * FROM agent.all_agents WHERE agent.terminated()"
    )
    found = unreachable(cli, agentdb.url)
    assert found == (2, "critical", "the server ended the session")


def test_tables_that_take_too_long_to_read(cli: Cli, agentdb: Packed) -> None:
    agentdb.agent("worker", "running")
    agentdb.agent("broken", "error")
    agentdb.database.execute("ALTER TABLE agent.agents RENAME TO all_agents")
    agentdb.database.execute(
        "CREATE VIEW agent.agents AS SELECT * FROM agent.all_agents"
        " WHERE (SELECT pg_sleep(30 + 0 * length(state))) IS NULL"
    )
    began = time.monotonic()
    code, rows = health(cli, agentdb.url, "--timeout", "0.5")
    assert time.monotonic() - began < 1
    assert code == 3
    for check in ("agents-in-error", "heartbeats", "metrics"):
        assert rows[check]["status"] == "unknown"
        late = ("took too long and was cancelled", "no answer within 0.5 s")
        assert rows[check]["detail"] in late
    assert not [name for name, row in rows.items() if row["status"] in ("warning", "critical")]


def test_all_checks_take_one_round_trip(cli: Cli, agentdb: Packed) -> None:
    with Relay(agentdb.database, delay=0.1) as relay:
        began = time.monotonic()
        code, rows = health(cli, relay.url)
        assert time.monotonic() - began < 1.2  # one by one they would take over 1.9 s
    assert (code, len(rows)) == (0, len(CHECKS))


def test_a_database_that_does_not_exist(cli: Cli, database: Database) -> None:
    host = database.connection.info.host
    url = database.url.replace("/test?", "/nowhere?")
    assert unreachable(cli, url) == (
        3,
        "unknown",
        f"cannot connect to postgresql://postgres@/nowhere?host={host} (from --url): "
        "there is no database 'nowhere'",
    )


def test_the_embedded_server_is_not_started(cli: Cli, tmp_path: Path) -> None:
    data = tmp_path / "server"
    Path("agentdb.toml").write_text(f"[server]\ndata_dir = '{data}'\n")
    result = cli("health", "-f", "nagios")
    assert result == Result(
        2, "AGENTDB CRITICAL - reachable: the embedded server is not running\n", ""
    )
    assert not data.exists()


# --- Formats ----------------------------------------------------------------------


def test_for_people(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id FROM generate_series(1, 2)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
    arguments = ("--only", "sequences", "--only", "invalid-indexes", "--only", "metrics")
    result = cli("health", "-d", database.url, *arguments)
    assert (result.code, result.err) == (1, "")
    *lines, last = result.out.splitlines()
    assert lines == [
        "warning   invalid-indexes                1  t_id",
        "          over 0: a failed CREATE INDEX CONCURRENTLY leaves one: it costs writes and "
        "serves no read",
        "          do: REINDEX INDEX CONCURRENTLY it, or drop it; "
        "see: agentdb inspect invalid-indexes",
        "ok        sequences                   0.0%  none that could run out is used",
        'skipped   metrics                        -  relation "telemetry.metrics" does not exist',
    ]
    assert re.fullmatch(r"warning: 1 warning, 1 ok, 1 skipped in \d+ ms", last)


def test_json(cli: Cli, database: Database) -> None:
    result = cli("health", "-d", database.url, "-f", "json", "--only", "sequences")
    assert json.loads(result.out) == [
        {
            "check": "sequences",
            "status": "ok",
            "value": 0.0,
            "unit": "share",
            "warning": 0.75,
            "critical": 0.9,
            "source": "at its end every INSERT fails",
            "detail": "none that could run out is used",
            "advice": "change the column to bigint in time",
            "dig": "agentdb inspect sequences",
        }
    ]


def test_csv(cli: Cli, database: Database) -> None:
    result = cli("health", "-d", database.url, "-f", "csv", "--only", "sequences")
    assert list(csv.reader(io.StringIO(result.out))) == [
        ["check", "status", "value", "unit", "warning", "critical", "source", "detail",
         "advice", "dig"],
        ["sequences", "ok", "0.0", "share", "0.75", "0.9", "at its end every INSERT fails",
         "none that could run out is used", "change the column to bigint in time",
         "agentdb inspect sequences"],
    ]  # fmt: skip


def test_nagios(cli: Cli, database: Database) -> None:
    some = ("--only", "sequences", "--only", "invalid-indexes", "-f", "nagios")
    assert cli("health", "-d", database.url, *some) == Result(
        0,
        "AGENTDB OK - all checks passed | invalid-indexes=0;0; sequences=0;0.75;0.9\n",
        "",
    )
    database.execute('CREATE TABLE "a|b" AS SELECT 1 AS id FROM generate_series(1, 2)')
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute('CREATE UNIQUE INDEX CONCURRENTLY "x|y" ON "a|b" (id)')
    assert cli("health", "-d", database.url, *some) == Result(
        1,
        'AGENTDB WARNING - invalid-indexes: "x/y" | invalid-indexes=1;0; sequences=0;0.75;0.9\n',
        "",
    )


def test_prometheus(cli: Cli, agentdb: Packed) -> None:
    agentdb.agent("broken", "error")
    with without_privileges(agentdb.database, "pg_monitor") as url:
        result = cli("health", "-d", url, "-f", "prometheus", "--skip", "wraparound")
    broken = cli("health", "-d", agentdb.url, "-f", "prometheus", "--skip", "wraparound")
    assert (result.code, broken.code, result.err) == (3, 1, "")
    units = {name: check.unit for name, check in checks.available().items()}
    shown = set(CHECKS) - {"wraparound", *OF_THE_FIRST_RUN}
    unseen = {*OF_AGENTS, *OF_COLLECTIONS, "sequences"}

    samples = _samples(result.out)
    assert samples.pop("agentdb_health", None) == 3
    assert samples == {
        **{f'agentdb_check_status{{check="{n}"}}': 3 * (n in unseen) for n in shown},
        **{
            name: value for name, value in samples.items() if name.startswith("agentdb_check_value")
        },
    }
    assert {name for name in samples if name.startswith("agentdb_check_value")} == {
        f'agentdb_check_value{{check="{n}",unit="{units[n]}"}}' for n in shown - unseen
    }

    samples = _samples(broken.out)
    assert samples["agentdb_health"] == 1
    assert samples['agentdb_check_status{check="agents-in-error"}'] == 1
    assert samples['agentdb_check_value{check="agents-in-error",unit="count"}'] == 1
    assert samples['agentdb_check_value{check="cache-hit",unit="share"}'] == 1


def _samples(text: str) -> dict[str, float]:
    """The samples of Prometheus' text format; every metric has to be described before."""
    samples: dict[str, float] = {}
    described: dict[str, set[str]] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if match := re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line):
            described.setdefault(match[2], set()).add(match[1])
            assert match[1] == "HELP" or match[3] == "gauge"
            continue
        match = re.fullmatch(r'((\w+)(?:\{\w+="[^"\\]*"(?:,\w+="[^"\\]*")*\})?) (\S+)', line)
        assert match, line
        assert described[match[2]] == {"HELP", "TYPE"}
        assert match[1] not in samples
        samples[match[1]] = float(match[3])
    return samples


# --- Choosing ---------------------------------------------------------------------


def test_only_and_skip(cli: Cli, database: Database) -> None:
    _, rows = health(cli, database.url, "--only", "sequences", "--only", "rollbacks")
    assert rows.keys() == {"sequences", "rollbacks"}
    _, rows = health(cli, database.url, "--skip", "sequences", "--skip", "rollbacks")
    assert rows.keys() == set(CHECKS) - {"sequences", "rollbacks"}
    both = ("--only", "sequences", "--only", "rollbacks", "--skip", "rollbacks")
    assert health(cli, database.url, *both)[1].keys() == {"sequences"}


@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_a_check_that_does_not_exist(cli: Cli, option: str) -> None:
    assert cli("health", option, "heartbeat") == Result(
        2,
        "",
        "error: there is no check 'heartbeat'; did you mean 'heartbeats'?\n"
        f"hint: checks: {', '.join(CHECKS)}\n",
    )


def test_thresholds_of_a_check_that_does_not_exist(cli: Cli) -> None:
    thresholds("sequence", warning=0.5)
    result = cli("health")
    assert (result.code, result.out) == (2, "")
    assert "there is no check 'sequence'; did you mean 'sequences'?" in result.err


def test_thresholds_of_an_environment(cli: Cli, database18: Database) -> None:
    Path("agentdb.toml").write_text(
        f"[environments.staging]\nurl = '{database18.url}'\n"
        "[environments.staging.health.connections]\nwarning = 0.001\n"
        f"[environments.production]\nurl = '{database18.url}'\n"
        "[environments.production.health.connections]\nwarning = 0.001\ncritical = 0.002\n"
        "[health.connections]\ncritical = 0.9\n"
    )
    found = {}
    for name in ("staging", "production"):
        result = cli("health", "-e", name, "-f", "json", "--only", "connections")
        (row,) = json.loads(result.out)
        found[name] = (
            result.code, row["status"], row["warning"], row["critical"], row["source"],
        )  # fmt: skip
    assert found == {
        "staging": (1, "warning", 0.001, 0.9, "agentdb.toml"),
        "production": (2, "critical", 0.001, 0.002, "agentdb.toml"),
    }
    code, rows = health(cli, database18.url, "--only", "connections")
    assert (code, rows["connections"]["critical"]) == (0, 0.9)


def test_no_check_is_left(cli: Cli) -> None:
    assert cli("health", "--only", "sequences", "--skip", "sequences") == Result(
        2, "", "error: --only and --skip leave no check to run\n"
    )


def test_a_pack_in_another_schema(cli: Cli, database: Database) -> None:
    args = ("--pack", "background-agents", "--schema", "bg agents")
    assert cli("migrate", *args, "-d", database.url).code == 0
    code, rows = health(cli, database.url, *args, "--skip", "rollbacks")
    assert (code, {row["status"] for row in rows.values()}) == (0, {"ok", "skipped"})


def test_the_default_pack_by_name_is_a_chosen_one(cli: Cli, database: Database) -> None:
    code, rows = health(cli, database.url, "--pack", "agentdb", "--only", "help-requests")
    assert (code, rows["help-requests"]["status"]) == (3, "unknown")


def test_tables_named_in_agentdb_toml(cli: Cli, database: Database) -> None:
    database.execute(
        "CREATE SCHEMA agent;"
        "CREATE TABLE agent.agents (id text, state text, started_at timestamptz);"
        "CREATE TABLE pulse (who text, at timestamptz);"
        "INSERT INTO agent.agents VALUES ('router', 'running', now() - interval '1 day');"
        "INSERT INTO pulse VALUES ('router', now() - interval '1 hour')"
    )
    Path("agentdb.toml").write_text(
        '[heartbeats]\ntable = "pulse"\nagent_column = "who"\ntime_column = "at"\n'
    )
    code, status, value, detail = one(cli, database.url, "heartbeats")
    assert (code, status, value) == (1, "warning", 1)
    assert detail.startswith("router (01:00:0")


def test_nagios_writes_a_threshold_from_below_with_a_colon(cli: Cli, database: Database) -> None:
    out = cli("health", "-d", database.url, "--only", "cache-hit", "-f", "nagios").out
    assert out.endswith(";0.9:;0.8:\n")
