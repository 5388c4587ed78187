"""Inspections of sessions, locks, replication and settings, each against the real condition."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from clusters import copy_of, make, opened
from conftest import Database, Result
from inspecting import inspect

from agentdb_cli.monitoring import inspections, looking
from agentdb_cli.postgres.embedded.binaries import Binaries
from waiting import eventually

Cli = Callable[..., Result]
Row = dict[str, object]

QUIET = (
    "blocking",
    "idle-in-transaction",
    "prepared-transactions",
    "progress",
    "replication",
    "replication-slots",
    "advisory-locks",
    "locks",
    "sequences",
    "subscriptions",
    "temp-files",
)
"""What shows nothing on a database where nothing is amiss."""


# --- Sessions beside the test's own -----------------------------------------------


class Session(psycopg.Connection):
    """A connection that knows its server process's id, also when it is closed."""

    pid: int


@contextmanager
def session(
    database: Database, application: str = "", *, autocommit: bool = False
) -> Iterator[Session]:
    """Another session, whose transaction is rolled back at the end."""
    connection = Session.connect(database.url, application_name=application, autocommit=autocommit)
    connection.pid = connection.info.backend_pid
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def stuck(database: Database) -> Iterator[Callable[[Session, str], Future]]:
    """Runs statements that have to wait for a lock, each in a thread of its own.

    At the end they are cancelled, if they still run.
    """
    started: list[tuple[Session, Future]] = []
    with ThreadPoolExecutor(max_workers=8) as pool:

        def start(connection: Session, statement: str) -> Future:
            future = pool.submit(connection.execute, statement)
            started.append((connection, future))
            eventually(
                lambda: database.value(
                    "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", connection.pid
                )
            )
            return future

        try:
            yield start
        finally:
            for connection, _ in started:
                database.execute("SELECT pg_terminate_backend(%s)", connection.pid)
            for _, future in started:
                future.exception()


def by(column: str, rows: list[Row]) -> dict[object, Row]:
    return {row[column]: row for row in rows}


# --- Servers of one's own: other settings, and a standby --------------------------


@dataclass(frozen=True)
class Server:
    """A server with logical replication, prepared transactions and its standby."""

    database: Database
    standby: Database


@pytest.fixture(scope="module")
def server(binaries: Binaries) -> Iterator[Server]:
    """A primary with a streaming standby."""
    primary = make(binaries, "own")
    clusters = [primary]
    try:
        database = opened(primary)
        database.execute("ALTER SYSTEM SET wal_level = logical")
        database.execute("ALTER SYSTEM SET max_prepared_transactions = 5")
        if database.execute(
            "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
        ):
            database.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        database.connection.close()
        primary.stop()
        database = opened(primary)
        database.execute("CREATE ROLE nobody")
        for name in ("pg_stat_statements", "pgstattuple", "pg_buffercache", "vector"):
            if database.execute("SELECT FROM pg_available_extensions WHERE name = %s", name):
                database.execute(f"CREATE EXTENSION {name}")
        standby = copy_of(database, binaries, "standby", "-R", "-C", "-S", "standby")
        clusters.insert(0, standby)
        yield Server(database, opened(standby))
    finally:
        for cluster in clusters:
            cluster.stop()
            shutil.rmtree(cluster.layout.base, ignore_errors=True)


# --- All inspections --------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(inspections.available()))
def test_runs_for_a_superuser_for_nobody_and_on_a_standby(
    cli: Cli, server: Server, name: str
) -> None:
    inspection = inspections.available()[name]
    nobody = f"{server.database.url}&options=-c%20role%3Dnobody"
    for url in (server.database.url, nobody):
        result = cli("inspect", name, "-d", url, "-f", "json")
        if server.database.major < inspection.minimum:
            assert result.code == 1
            assert f"needs PostgreSQL {inspection.minimum}" in result.err
            return
        if inspection.extension and "needs the extension" in result.err:
            assert result.code == 1
            assert not server.database.execute(
                "SELECT FROM pg_available_extensions WHERE name = %s", inspection.extension
            )
            return
        assert result.code == 0, result.err
        assert isinstance(json.loads(result.out), list)
    table = looking.run(server.standby.connection, inspection)
    assert len(set(table.columns)) == len(table.columns)
    if inspection.sort:
        column, _, direction = inspection.sort.partition(" ")
        assert column in table.columns
        assert direction in ("", "desc")


def test_headers() -> None:
    for inspection in inspections.available().values():
        assert inspection.title, inspection.path
        assert inspection.advice, inspection.path


def test_a_healthy_database_has_nothing_to_show(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id serial PRIMARY KEY)")
    database.execute("INSERT INTO t DEFAULT VALUES")
    for name in QUIET:
        shown = inspect(cli, database, name)
        ours = [
            row
            for row in shown
            if row.get("database") in (None, "test") and row.get("role", "") is not None
        ]
        assert ours == [], name  # autovacuum, which has no role, may be at work


def test_does_not_depend_on_the_search_path(database: Database) -> None:
    database.execute("CREATE SCHEMA evil")
    database.execute("CREATE VIEW evil.pg_stat_activity AS SELECT 1 AS pid")
    database.execute("CREATE VIEW evil.pg_class AS SELECT 1 AS relname")
    for function in ('"left"(text, int)', "age(xid)", "clock_timestamp()", "quote_ident(name)"):
        database.execute(
            f"CREATE FUNCTION evil.{function} RETURNS text LANGUAGE plpgsql "
            "AS $$BEGIN RAISE 'not this one'; END$$"
        )
    database.execute("SET search_path = evil, pg_catalog")
    for inspection in inspections.available().values():
        if inspection.extension is None and database.major >= inspection.minimum:
            looking.run(database.connection, inspection)


# --- Sessions ---------------------------------------------------------------------


def test_activity(cli: Cli, database: Database) -> None:
    with session(database, "worker-7") as other:
        other.execute("SELECT 1,\n\n       '" + "x" * 200 + "'")
        rows = inspect(cli, database, "activity")
    row = by("pid", rows)[other.pid]
    assert (row["database"], row["role"], row["application"]) == ("test", "postgres", "worker-7")
    assert row["state"] == "idle in transaction"
    assert row["waits_for"] == "Client: ClientRead"
    assert row["statement_age"] is None
    assert 0 < row["transaction_age"] < row["session_age"]
    assert row["query"] == ("SELECT 1, '" + "x" * 200)[:100]
    assert "agentdb inspect activity" not in by("application", rows)
    assert rows[0]["pid"] == other.pid  # the oldest transaction comes first


def test_activity_tells_how_long_a_statement_runs(cli: Cli, database: Database) -> None:
    with session(database) as holder, session(database) as waiter, stuck(database) as run:
        database.execute("CREATE TABLE t (id int)")
        holder.execute("LOCK TABLE t")
        run(waiter, "SELECT * FROM t")
        row = by("pid", inspect(cli, database, "activity"))[waiter.pid]
    assert row["state"] == "active"
    assert row["waits_for"] == "Lock: relation"
    assert row["statement_age"] > 0


def test_idle_in_transaction(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    with session(database, "forgot") as other, session(database, "failed") as failed:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT * FROM t")
        with pytest.raises(psycopg.errors.DivisionByZero):
            failed.execute("SELECT 1/0")
        database.execute("INSERT INTO t VALUES (1)")
        database.execute("INSERT INTO t VALUES (2)")
        rows = by("application", inspect(cli, database, "idle-in-transaction"))
    assert rows.keys() == {"forgot", "failed"}
    assert rows["forgot"]["pid"] == other.pid
    assert rows["forgot"]["state"] == "idle in transaction"
    assert rows["forgot"]["relation_locks"] == 1
    assert rows["forgot"]["xmin_age"] >= 2
    assert rows["forgot"]["transaction_age"] >= rows["forgot"]["idle"] > 0
    assert rows["forgot"]["last_query"] == "SELECT * FROM t"
    assert rows["failed"]["state"] == "idle in transaction (aborted)"


def test_connections(cli: Cli, database: Database) -> None:
    database.execute("ALTER DATABASE test CONNECTION LIMIT 10")
    with session(database, "pool") as one, session(database, "pool") as two:
        one.rollback()
        two.rollback()
        rows = inspect(cli, database, "connections")
    row = by("application", rows)["pool"]
    assert (row["database"], row["role"], row["state"]) == ("test", "postgres", "idle")
    assert row["connections"] == 2
    most = int(str(database.value("SHOW max_connections")))
    assert row["max_connections"] == most
    assert row["percent"] == pytest.approx(200 / most, abs=0.1)
    assert row["total_percent"] >= 400 / most - 0.1
    assert row["database_limit"] == 10
    assert row["database_percent"] == 40.0  # these two, the test's own and the command's
    assert row["role_limit"] is None
    assert row["role_percent"] is None
    assert rows[0] == row


# --- Locks ------------------------------------------------------------------------


def test_locks(cli: Cli, database: Database) -> None:
    database.execute('CREATE TABLE "Big" (id int)')
    with session(database) as holder, session(database) as waiter, stuck(database) as run:
        holder.execute('LOCK TABLE "Big" IN ROW EXCLUSIVE MODE')
        run(waiter, 'LOCK TABLE "Big" IN SHARE MODE')
        rows = inspect(cli, database, "locks")
        elsewhere = replace(database, url=database.url.replace("/test?", "/postgres?"))
        oid = str(database.value("""SELECT '"Big"'::regclass::oid"""))
        seen = by("pid", inspect(cli, elsewhere, "locks"))[waiter.pid]
        assert (seen["database"], seen["relation"]) == ("test", oid)
        assert by("pid", inspect(cli, elsewhere, "blocking"))[waiter.pid]["relation"] == oid
    mine = [row for row in rows if row["relation"] == 'public."Big"']
    assert [(row["pid"], row["mode"], row["granted"]) for row in mine] == [
        (waiter.pid, "ShareLock", False),
        (holder.pid, "RowExclusiveLock", True),
    ]
    assert mine[0]["waiting"] > 0
    assert mine[1]["waiting"] is None
    assert mine[0]["database"] == "test"
    assert rows[0] == mine[0]


def test_blocking_shows_a_chain(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    with (
        session(database, "root") as root,
        session(database) as middle,
        session(database) as leaf,
        stuck(database) as run,
    ):
        root.execute("LOCK TABLE a")
        middle.execute("LOCK TABLE b")
        run(middle, "LOCK TABLE a IN ROW SHARE MODE")
        run(leaf, "SELECT *\nFROM b")
        rows = inspect(cli, database, "blocking")
    assert [(row["pid"], row["depth"], row["blocked_by"], row["blocks"]) for row in rows] == [
        (root.pid, 0, [], 2),
        (middle.pid, 1, [root.pid], 1),
        (leaf.pid, 2, [middle.pid], 0),
    ]
    assert [(row["waits_for"], row["mode"], row["relation"]) for row in rows] == [
        (None, None, None),
        ("relation", "RowShareLock", "public.a"),
        ("relation", "AccessShareLock", "public.b"),
    ]
    assert rows[0]["waiting"] is None
    assert rows[0]["state"] == "idle in transaction"
    assert rows[0]["application"] == "root"
    assert rows[1]["waiting"] > rows[2]["waiting"] > 0
    assert rows[2]["query"] == "SELECT * FROM b"
    assert rows[2]["tree"] == f"    {leaf.pid}"


def test_blocking_names_the_table_of_a_row(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    with (
        session(database) as holder,
        session(database) as first,
        session(database) as second,
        stuck(database) as run,
    ):
        holder.execute("UPDATE t SET id = 2")
        run(first, "UPDATE t SET id = 3")
        run(second, "UPDATE t SET id = 4")
        rows = by("pid", inspect(cli, database, "blocking"))
    assert rows[first.pid]["waits_for"] == "transactionid"
    assert rows[first.pid]["relation"] == "public.t"
    assert rows[second.pid]["waits_for"] == "tuple"
    assert rows[second.pid]["relation"] == "public.t"
    assert rows[second.pid]["depth"] == 2


def test_blocking_with_several_blockers_and_a_queue(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    with (
        session(database) as one,
        session(database) as two,
        session(database) as writer,
        session(database) as reader,
        stuck(database) as run,
    ):
        one.execute("SELECT * FROM t")
        two.execute("SELECT * FROM t")
        run(writer, "DROP TABLE t")
        run(reader, "SELECT * FROM t")
        rows = inspect(cli, database, "blocking")
    assert len(rows) == 4  # nobody comes twice
    found = by("pid", rows)
    both = sorted([one.pid, two.pid])
    assert found[writer.pid]["blocked_by"] == both
    assert found[writer.pid]["depth"] == 1
    assert found[reader.pid]["blocked_by"] == [writer.pid]
    assert found[reader.pid]["depth"] == 2
    assert [row["depth"] for row in rows] == [0, 1, 2, 0]
    assert [row["pid"] for row in rows[:3]] == [both[0], writer.pid, reader.pid]


def test_blocking_ends_in_a_cycle(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
    with (
        session(database) as one,
        session(database) as two,
        session(database) as outside,
        stuck(database) as run,
    ):
        for connection in (one, two, outside):
            connection.execute("SET deadlock_timeout = '1min'")
        one.execute("LOCK TABLE a")
        two.execute("LOCK TABLE b")
        run(one, "LOCK TABLE b")
        run(two, "LOCK TABLE a")
        run(outside, "SELECT * FROM a")
        rows = inspect(cli, database, "blocking")
    assert sorted(row["pid"] for row in rows) == sorted([one.pid, two.pid, outside.pid])
    first, second = sorted([one.pid, two.pid])
    found = by("pid", rows)
    assert (found[first]["depth"], found[first]["blocked_by"]) == (0, [second])
    assert (found[second]["depth"], found[second]["blocked_by"]) == (1, [first])


def test_advisory_locks(cli: Cli, database: Database) -> None:
    with (
        session(database, "agentdb migrate up") as migration,
        session(database, "scheduler") as scheduler,
        session(database) as waiter,
        stuck(database) as run,
    ):
        migration.execute("SELECT pg_advisory_lock(x'61676462'::int, -5)")
        scheduler.execute("SELECT pg_advisory_xact_lock(42, 7)")
        scheduler.execute("SELECT pg_advisory_xact_lock_shared(-1234567890123)")
        run(waiter, "SELECT pg_advisory_lock(42, 7)")
        rows = inspect(cli, database, "advisory-locks")
    keys = ("key", "namespace", "action", "namespace_name", "mode", "granted", "pid")
    assert {tuple(row[key] for key in keys) for row in rows} == {
        (None, 1634165858, -5, "agentdb migrate", "ExclusiveLock", True, migration.pid),
        (None, 42, 7, None, "ExclusiveLock", True, scheduler.pid),
        (-1234567890123, None, None, None, "ShareLock", True, scheduler.pid),
        (None, 42, 7, None, "ExclusiveLock", False, waiter.pid),
    }
    assert rows[0]["pid"] == waiter.pid
    assert rows[0]["waiting"] > 0
    assert {row["database"] for row in rows} == {"test"}
    assert by("pid", rows)[scheduler.pid]["application"] == "scheduler"
    assert {row["action_name"] for row in rows} == {None}


# --- Names of advisory locks ------------------------------------------------------

NAMED = """
[advisory_locks]
namespaces = { 7 = "jobs" }

[advisory_locks.names.jobs]
table = "app.jobs"
key = "id"
name_column = "title"
"""

NAMES = ("namespace", "namespace_name", "action", "action_name", "granted")


def names(out: str) -> set[tuple[object, ...]]:
    return {tuple(row[name] for name in NAMES) for row in json.loads(out)}


@pytest.fixture
def gathering(cli: Cli, database: Database) -> Database:
    """A database of the pack with two actions, 1 and 2."""
    done = cli("migrate", "-d", database.url, "--pack", "gathering", "--skip-unavailable", "-q")
    assert done.code == 0, done.err
    database.execute(
        "INSERT INTO schedule.scheduled_actions (name, action_type)"
        " VALUES ('nightly digest', 'digest'), ('clean up', 'purge')"
    )
    return database


def test_advisory_locks_of_gathering_have_names(cli: Cli, gathering: Database) -> None:
    with session(gathering) as holder, session(gathering) as waiter, stuck(gathering) as run:
        holder.execute("SELECT pg_try_advisory_xact_lock(1, 1), pg_try_advisory_xact_lock(1, 99)")
        holder.execute("SELECT pg_advisory_xact_lock(2, 1), pg_advisory_xact_lock(1)")
        run(waiter, "SELECT pg_advisory_xact_lock(1, 1)")
        done = cli(
            *("inspect", "advisory-locks", "--pack", "gathering"),
            *("-d", gathering.url, "-f", "json", "-q"),
        )
    assert (done.code, done.err) == (0, "")
    assert names(done.out) == {
        (1, "schedule", 1, "nightly digest", True),
        (1, "schedule", 1, "nightly digest", False),
        (1, "schedule", 99, None, True),
        (2, None, 1, None, True),
        (None, None, None, None, True),
    }


def test_names_for_advisory_locks_from_agentdb_toml(cli: Cli, database: Database) -> None:
    database.execute("CREATE SCHEMA app")
    database.execute("CREATE TABLE app.jobs (id int PRIMARY KEY, title text)")
    database.execute("INSERT INTO app.jobs VALUES (-3, 'import')")
    Path("agentdb.toml").write_text(NAMED)
    with session(database) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(7, -3)")
        done = cli("inspect", "advisory-locks", "-d", database.url, "-f", "json", "-q")
        assert (done.code, done.err) == (0, "")
        assert names(done.out) == {(7, "jobs", -3, "import", True)}


def test_locks_of_another_database_get_no_names(
    cli: Cli, server: Server, database: Database
) -> None:
    """Their namespaces are those of another application."""
    other = server.database
    other.execute("CREATE DATABASE elsewhere")
    try:
        Path("agentdb.toml").write_text(NAMED)
        with psycopg.connect(other.url.replace("/postgres?", "/elsewhere?")) as holder:
            holder.execute("SELECT pg_advisory_xact_lock(7, 1)")
            done = cli("inspect", "advisory-locks", "-d", other.url, "-f", "json", "-q")
        assert (done.code, done.err) == (0, "")
        assert names(done.out) == {(7, None, 1, None, True)}
    finally:
        other.execute("DROP DATABASE elsewhere")


def test_names_that_cannot_be_read_are_missed_aloud(cli: Cli, database: Database) -> None:
    Path("agentdb.toml").write_text(NAMED)

    def looked() -> str:
        done = cli("inspect", "advisory-locks", "-d", url, "-f", "json", "-q")
        assert done.code == 0
        assert names(done.out) == {(7, "jobs", 1, None, True)}
        return done.err

    with session(database) as holder, session(database) as locker:
        holder.execute("SELECT pg_advisory_xact_lock(7, 1)")
        url, start = database.url, "warning: no names of the actions of 'jobs' from app.jobs: "
        assert looked() == f'{start}relation "app.jobs" does not exist\n'
        database.execute("CREATE SCHEMA app")
        database.execute("CREATE TABLE app.jobs (id int PRIMARY KEY, title text)")
        locker.execute("LOCK TABLE app.jobs")
        assert looked() == f"{start}canceling statement due to lock timeout\n"
        locker.rollback()
        database.execute("CREATE ROLE stranger IN ROLE pg_monitor")
        try:
            url += "&options=-c%20role%3Dstranger"
            assert looked() == f"{start}permission denied for schema app\n"
        finally:
            database.execute("DROP ROLE stranger")
        url = database.url
        Path("agentdb.toml").write_text(NAMED.replace('key = "id"', ""))
        assert looked() == "warning: [advisory_locks.names.jobs] has no key: no names of actions\n"


def test_prepared_transactions(cli: Cli, server: Server) -> None:
    database = server.database
    database.execute("CREATE TABLE prepared (id int)")
    with session(database, autocommit=True) as other, session(database) as waiter:
        other.execute("BEGIN")
        other.execute("INSERT INTO prepared VALUES (1)")
        other.execute("PREPARE TRANSACTION 'order 1'")
        try:
            (row,) = inspect(cli, database, "prepared-transactions")
            with stuck(database) as run:
                run(waiter, "LOCK TABLE prepared")
                blocking = inspect(cli, database, "blocking")
        finally:
            database.execute("ROLLBACK PREPARED 'order 1'")
            database.execute("DROP TABLE prepared")
    assert (row["gid"], row["database"], row["owner"]) == ("order 1", "postgres", "postgres")
    assert row["age"] > 0
    assert row["xid_age"] >= 1
    assert row["relation_locks"] == 1
    assert [(row["pid"], row["depth"], row["state"]) for row in blocking] == [
        (0, 0, "prepared transaction"),
        (waiter.pid, 1, "active"),
    ]


def test_progress_of_a_concurrent_index_that_waits(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    with (
        session(database) as old,
        session(database, autocommit=True) as builder,
        stuck(database) as run,
    ):
        old.execute("INSERT INTO t VALUES (1)")
        run(builder, "CREATE INDEX CONCURRENTLY ON t (id)")
        row = by("pid", inspect(cli, database, "progress"))[builder.pid]
    assert row["operation"] == "CREATE INDEX CONCURRENTLY"
    assert row["relation"] == "public.t"
    assert row["phase"] == "waiting for writers before build"
    assert (row["done"], row["total"], row["unit"], row["percent"]) == (0, 1, "sessions", 0)
    assert row["age"] > 0


def test_progress_of_copy(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    with session(database) as other, other.cursor().copy("COPY t FROM STDIN") as copy:
        copy.write("1\n2\n")
        rows = eventually(lambda: inspect(cli, database, "progress"))
        assert isinstance(rows, list)
        assert [(row["operation"], row["relation"], row["phase"], row["unit"]) for row in rows] == [
            ("COPY FROM", "public.t", "pipe", "tuples")
        ]


# --- Space and statistics ---------------------------------------------------------


def test_database_sizes(cli: Cli, database: Database) -> None:
    rows = inspect(cli, database, "database-sizes")
    row = by("database", rows)["test"]
    assert row["size"] == database.value("SELECT pg_database_size('test')")
    assert row["owner"] == "postgres"
    assert row["connections"] >= 1
    assert sum(row["percent"] for row in rows) == pytest.approx(100, abs=1)
    sizes = [row["size"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)


def test_sizes_of_databases_that_may_not_be_entered_are_hidden(cli: Cli, server: Server) -> None:
    database = server.database
    database.execute("CREATE DATABASE closed")
    database.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    result = cli(
        *("inspect", "database-sizes", "-f", "plain"),
        *("-d", f"{database.url}&options=-c%20role%3Dnobody"),
    )
    database.execute("DROP DATABASE closed")
    sizes = {line.split("\t")[0]: line.split("\t")[3] for line in result.out.splitlines()}
    assert sizes["closed"] == ""
    assert int(sizes["postgres"]) > 0
    assert "pg_monitor" in result.err


def test_temp_files(cli: Cli, database: Database) -> None:
    with session(database, autocommit=True) as other:
        other.execute("SET work_mem = '64kB'")
        other.execute("SELECT * FROM generate_series(1, 100000) AS n ORDER BY n DESC")

    def row() -> Row | None:
        return by("database", inspect(cli, database, "temp-files")).get("test")

    found = eventually(row)
    assert isinstance(found, dict)
    assert found["temp_files"] >= 1
    assert found["temp_bytes"] > 1_000_000
    assert found["average"] == found["temp_bytes"] // found["temp_files"]
    assert found["work_mem"] == 4 * 1024 * 1024


def test_database_stats(cli: Cli, database: Database) -> None:
    with session(database) as other:
        for _ in range(3):
            other.execute("SELECT 1")
            other.rollback()

    def row() -> Row | None:
        found = by("database", inspect(cli, database, "database-stats"))["test"]
        return found if found["rollbacks"] >= 3 else None

    found = eventually(row)
    assert isinstance(found, dict)
    assert 0 < found["rollback_percent"] < 100
    assert found["deadlocks"] == found["conflicts"] == 0
    assert 0 <= found["hit_percent"] <= 100


def test_sequences(cli: Cli, database: Database) -> None:
    database.execute(
        """
        CREATE TABLE small (id smallserial, big bigserial);
        CREATE TABLE wide (id int GENERATED ALWAYS AS IDENTITY);
        CREATE SEQUENCE free;
        CREATE TABLE uses (id int DEFAULT nextval('free'));
        CREATE SEQUENCE down INCREMENT -2 MINVALUE -1000 MAXVALUE -1 START -1;
        CREATE SEQUENCE ring MAXVALUE 10 CYCLE;
        SELECT setval('small_id_seq', 31129), setval('small_big_seq', 4000000000),
               setval('free', 2040109465), setval('wide_id_seq', 1000000),
               setval('down', -901), setval('ring', 9);
        """
    )
    rows = inspect(cli, database, "sequences")
    assert [(row["sequence"], row["column"], row["percent"], row["remaining"]) for row in rows] == [
        ("public.free", "public.uses.id", 95.0, 107374182),
        ("public.small_id_seq", "public.small.id", 95.0, 1638),
        ("public.down", None, 90.09, 49),
        ("public.ring", None, 88.89, 1),
    ]
    free = by("sequence", rows)["public.free"]
    assert (free["data_type"], free["column_type"]) == ("bigint", "integer")
    assert free["limit"] == 2147483647
    assert by("sequence", rows)["public.ring"]["cycle"] is True

    database.execute("CREATE ROLE no_reader")
    url = f"{database.url}&options=-c%20role%3Dno_reader"
    try:
        assert inspect(cli, replace(database, url=url), "sequences") == []
    finally:
        database.execute("DROP ROLE no_reader")


def test_wraparound(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE old (id int)")
    rows = inspect(cli, database, "wraparound", "--limit", "100")
    databases = by("name", [row for row in rows if row["kind"] == "database"])
    tables = [row for row in rows if row["kind"] == "table"]
    assert databases.keys() >= {"test", "postgres", "template0", "template1"}
    assert len(tables) == 20
    xid_age = database.value("SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'test'")
    row = databases["test"]
    assert abs(int(str(row["xid_age"])) - int(str(xid_age))) <= 2
    most = int(str(database.value("SHOW autovacuum_freeze_max_age")))
    assert row["freeze_percent"] == pytest.approx(100 * row["xid_age"] / most, abs=0.1)
    assert row["limit_percent"] < row["freeze_percent"] + 0.1
    percents = [row["freeze_percent"] for row in rows]
    assert percents == sorted(percents, reverse=True)


def test_io(cli: Cli, database18: Database) -> None:
    database18.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 1000) AS n")

    def rows() -> list[Row]:
        return [
            row
            for row in inspect(cli, database18, "io")
            if (row["backend_type"], row["object"], row["context"])
            == ("client backend", "relation", "normal")
        ]

    (row,) = eventually(rows)  # type: ignore[misc]
    assert row["hits"] > 0
    assert 0 < row["hit_percent"] <= 100
    assert row["extend_bytes"] >= row["extends"] * 8192
    assert row["read_bytes"] >= 0


def test_checkpoints(cli: Cli, database: Database) -> None:
    def requested() -> int:
        (row,) = inspect(cli, database, "checkpoints")
        return int(str(row["requested"]))

    before = requested()
    database.execute("CREATE TABLE t (id int)")
    database.execute("CHECKPOINT")
    eventually(lambda: requested() > before)
    (row,) = inspect(cli, database, "checkpoints")
    assert 0 <= row["last_checkpoint_age"] < 60
    assert 0 < row["requested_percent"] <= 100
    assert row["write_time"] >= 0
    assert row["buffers_checkpoint"] > 0
    assert row["buffers_alloc"] > 0


# --- The log and what reads it ----------------------------------------------------


def test_wal(cli: Cli, database: Database) -> None:
    def row() -> Row:
        (found,) = inspect(cli, database, "wal")
        return found

    before = row()
    database.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) AS n")
    if database.major >= 15:  # it tells the statistics now, not within ten idle seconds
        database.execute("SELECT pg_stat_force_next_flush()")
    eventually(lambda: row()["bytes"] > before["bytes"] + 100_000)
    after = row()
    assert after["lsn"] != before["lsn"]
    assert (after["in_recovery"], after["wal_level"]) == (False, "replica")
    assert after["records"] > before["records"]
    assert after["bytes_per_second"] > 0
    assert after["writes"] > 0
    assert after["syncs"] > 0
    assert (after["archive_mode"], after["archive_failures"]) == ("off", 0)


def test_replication_slots(cli: Cli, database: Database) -> None:
    database.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        database.execute("CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) AS n")
        (row,) = inspect(cli, database, "replication-slots")
    finally:
        database.execute("SELECT pg_drop_replication_slot('forgotten')")
    assert (row["slot"], row["type"], row["active"]) == ("forgotten", "physical", False)
    assert row["retained"] > 100_000
    assert row["wal_status"] == "reserved"
    assert row["invalidation_reason"] is None
    assert (row["inactive_since"] is not None) == (database.major >= 17)


def test_replication(cli: Cli, server: Server) -> None:
    database = server.database
    database.execute("CREATE TABLE replicated AS SELECT 1 AS id")
    lsn = database.value("SELECT pg_current_wal_lsn()")
    eventually(lambda: server.standby.value("SELECT pg_last_wal_replay_lsn() >= %s", lsn))
    (row,) = inspect(cli, database, "replication")
    assert (row["state"], row["sync_state"], row["slot"]) == ("streaming", "async", "standby")
    assert (row["application"], row["role"]) == ("walreceiver", "postgres")

    server.standby.execute("SELECT pg_wal_replay_pause()")
    try:
        database.execute("INSERT INTO replicated SELECT generate_series(1, 10000)")

        def behind() -> Row | None:
            (row,) = inspect(cli, database, "replication")
            return row if row["flush"] == 0 and row["replay"] > 100_000 else None

        row = eventually(behind)  # type: ignore[assignment]
        assert row["pending"] == row["write"] == 0
        assert row["reply_age"] >= 0
        (slot,) = inspect(cli, database, "replication-slots")
        assert (slot["slot"], slot["active"]) == ("standby", True)
        assert slot["active_pid"] == row["pid"]
    finally:
        server.standby.execute("SELECT pg_wal_replay_resume()")
        database.execute("DROP TABLE replicated")


def test_a_standby_has_a_position_of_its_own(cli: Cli, server: Server) -> None:
    (row,) = inspect(cli, server.standby, "wal")
    assert row["in_recovery"] is True
    assert row["lsn"] is not None
    assert inspect(cli, server.standby, "replication") == []


def test_subscriptions(cli: Cli, server: Server) -> None:
    database = server.database
    database.execute("CREATE DATABASE subscriber")
    subscriber = Database(
        psycopg.connect(database.url.replace("/postgres?", "/subscriber?"), autocommit=True),
        database.url.replace("/postgres?", "/subscriber?"),
        database.major,
    )
    for one in (database, subscriber):
        one.execute("CREATE TABLE events (id int PRIMARY KEY)")
    database.execute("CREATE PUBLICATION p FOR TABLE events")
    database.execute("SELECT pg_create_logical_replication_slot('feed', 'pgoutput')")
    info = database.connection.info
    subscriber.execute(
        "CREATE SUBSCRIPTION feed CONNECTION "
        f"'host={info.host} port={info.port} user=postgres dbname=postgres' "
        "PUBLICATION p WITH (create_slot = false)"
    )
    try:
        database.execute("INSERT INTO events VALUES (1)")

        def worker() -> Row | None:
            rows = inspect(cli, subscriber, "subscriptions")
            found = [row for row in rows if row["worker"] == "apply" and row["pid"]]
            return found[0] if found and found[0]["received_lsn"] else None

        row = eventually(worker)
        assert isinstance(row, dict)
        assert (row["subscription"], row["database"]) == ("feed", "subscriber")
        assert row["enabled"] is True
        assert row["message_age"] >= 0
        assert row["apply_errors"] == 0

        subscriber.execute("ALTER SUBSCRIPTION feed DISABLE")
        eventually(lambda: inspect(cli, subscriber, "subscriptions")[0]["pid"] is None)
        (row,) = inspect(cli, subscriber, "subscriptions")
        assert row["enabled"] is False
    finally:
        subscriber.execute("ALTER SUBSCRIPTION feed DISABLE")
        subscriber.execute("ALTER SUBSCRIPTION feed SET (slot_name = NONE)")
        subscriber.execute("DROP SUBSCRIPTION feed")
        subscriber.connection.close()
        eventually(
            lambda: (
                not database.value(
                    "SELECT active FROM pg_replication_slots WHERE slot_name = 'feed'"
                )
            )
        )
        database.execute("SELECT pg_drop_replication_slot('feed')")
        database.execute("DROP PUBLICATION p")
        database.execute("DROP TABLE events")
        database.execute("DROP DATABASE subscriber WITH (FORCE)")


# --- Settings, roles, extensions --------------------------------------------------


def test_settings(cli: Cli, database: Database) -> None:
    secret = "host=10.0.0.1 password='s3 cr3t' user=x"
    try:
        database.execute("ALTER SYSTEM SET work_mem = '5MB'")
        database.execute("ALTER SYSTEM SET max_connections = 77")
        database.connection.execute(
            psycopg.sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(secret)
        )
        database.execute("SELECT pg_reload_conf()")

        def changed() -> dict[object, Row] | None:
            found = by("name", inspect(cli, database, "settings"))
            pending = found.get("max_connections", {}).get("pending_restart")
            return found if pending and "primary_conninfo" in found else None

        rows = eventually(changed)
    finally:
        database.execute("ALTER SYSTEM RESET work_mem")
        database.execute("ALTER SYSTEM RESET max_connections")
        database.execute("ALTER SYSTEM RESET primary_conninfo")
        database.execute("SELECT pg_reload_conf()")
    assert isinstance(rows, dict)
    row = rows["work_mem"]
    assert (row["value"], row["unit"], row["boot_value"]) == ("5120", "kB", "4096")
    assert row["source"] == "configuration file"
    assert "postgresql.auto.conf:" in str(row["source_file"])
    assert row["pending_restart"] is False
    assert next(iter(rows)) == "max_connections"  # what waits for a restart comes first
    assert rows["primary_conninfo"]["value"] == "host=10.0.0.1 password=******** user=x"
    assert "application_name" not in rows
    eventually(lambda: "work_mem" not in by("name", inspect(cli, database, "settings")))


def test_roles(cli: Cli, database: Database) -> None:
    database.execute(
        """
        CREATE ROLE inspected_readers NOLOGIN;
        CREATE ROLE inspected LOGIN CREATEDB CONNECTION LIMIT 7 VALID UNTIL '2001-02-03 04:05Z'
            IN ROLE inspected_readers;
        ALTER ROLE inspected_readers VALID UNTIL 'infinity';
        """
    )
    try:
        rows = inspect(cli, database, "roles")
    finally:
        database.execute("DROP ROLE inspected, inspected_readers")
    found = by("role", rows)
    row = found["inspected"]
    assert (row["superuser"], row["login"], row["attributes"]) == (False, True, "createdb")
    assert row["connection_limit"] == 7
    assert str(row["valid_until"]).startswith("2001-02-03T04:05:00")
    assert row["password_expired"] is True
    assert row["member_of"] == ["inspected_readers"]
    assert found["inspected_readers"]["valid_until"] is None
    assert found["inspected_readers"]["password_expired"] is False
    assert found["postgres"]["connections"] >= 2
    assert rows[0]["superuser"] is True
    assert "pg_monitor" not in found


def test_extensions(cli: Cli, database18: Database) -> None:
    database18.execute("CREATE SCHEMA ext")
    database18.execute("CREATE EXTENSION vector SCHEMA ext")
    database18.execute("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    rows = inspect(cli, database18, "extensions")
    row = rows[0]
    assert (row["extension"], row["schema"]) == ("vector", "ext")
    assert row["installed_version"] == "0.7.4"
    default = database18.value(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    )
    assert row["default_version"] == row["newest_version"] == default
    assert row["update_available"] is True
    plpgsql = by("extension", rows)["plpgsql"]
    assert plpgsql["update_available"] is False
