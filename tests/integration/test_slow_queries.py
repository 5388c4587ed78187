"""agentdb slow-queries: pg_stat_statements on a server of its own, and the sampler on any."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from conftest import IN_CI, SERVERS, Database, Result

from agentdb_cli.commands import slow_queries as command
from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring.samples import Samples
from agentdb_cli.monitoring.slow_queries import delta, explain, sampling, server
from agentdb_cli.monitoring.slow_queries.statements import Counters, Key, Reading, Statement
from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner
from agentdb_cli.render.sql import coloured
from waiting import eventually

Cli = Callable[..., Result]
Row = dict[str, object]

SECRET = "s3cr3t"
SLEEP = f"SELECT pg_sleep(60), '{SECRET}'"
SLEEP_NORMALISED = "SELECT pg_sleep($1), $2"
RESET = f"{server.OURS} SELECT pg_stat_statements_reset()"
"""Marked as a query of the command's own, so that it is not the first to be recorded."""


@pytest.fixture(scope="module")
def recording(servers: dict[str, Binaries]) -> Iterator[Database]:
    """A PostgreSQL 15 that is loaded with pg_stat_statements."""
    if "15" not in servers:
        if IN_CI:
            pytest.fail("PostgreSQL 15 must be installed in CI")
        pytest.skip("no PostgreSQL 15 on this machine")
    cluster = Cluster(servers["15"], Layout.of(SERVERS / "recording", 15), ensure_owner(print))

    def connect() -> Database:
        keywords = cluster.keywords(cluster.start(lambda _: None), "postgres")
        url = "postgresql://{user}@/{dbname}?host={host}&port={port}".format(**keywords)
        return Database(psycopg.connect(url, autocommit=True), url, 15)

    try:
        database = connect()
        database.execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements")
        database.connection.close()
        cluster.stop()
        database = connect()
        database.execute("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
        database.execute("SELECT pg_reload_conf()")
        database.execute("CREATE ROLE nobody")
        yield database
        database.connection.close()
    finally:
        cluster.stop()
        shutil.rmtree(cluster.layout.base, ignore_errors=True)


@pytest.fixture
def recorded(recording: Database) -> Iterator[Database]:
    """A database of that server with the extension, whose statistics are empty."""
    recording.execute("CREATE DATABASE recorded")
    url = recording.url.replace("/postgres?", "/recorded?")
    with psycopg.connect(url, autocommit=True) as connection:
        database = Database(connection, url, 15)
        database.execute("CREATE EXTENSION pg_stat_statements")
        database.execute("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 1000) AS n")
        database.execute(RESET)
        yield database
    recording.execute("DROP DATABASE recorded WITH (FORCE)")


def as_nobody(database: Database) -> str:
    return f"{database.url}&options=-c%20role%3Dnobody"


def rows(cli: Cli, database: Database, *arguments: str) -> list[Row]:
    done = cli("slow-queries", "-d", database.url, "-f", "json", *arguments)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, list)
    return found


def by_query(found: list[Row]) -> dict[object, Row]:
    return {row["query"]: row for row in found}


@contextmanager
def running(
    database: Database, statement: str = SLEEP, *settings: str, application: str = "worker"
) -> Iterator[psycopg.Connection]:
    """Another session, which is in the middle of a statement."""
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(database.url, autocommit=True, application_name=application) as other,
    ):
        for setting in settings:
            other.execute(setting)
        pid = other.info.backend_pid
        future = pool.submit(other.execute, statement)
        active = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND query = %s"
        eventually(lambda: database.execute(active, pid, statement))
        yield other
        database.execute("SELECT pg_terminate_backend(%s)", pid)
        future.exception()


# --- pg_stat_statements -----------------------------------------------------------


def test_what_takes_the_time_comes_first(cli: Cli, recorded: Database) -> None:
    for _ in range(3):
        recorded.execute("SELECT pg_sleep(0.05)")
    recorded.execute("SELECT pg_sleep(0.03), id FROM t WHERE id IN (1, 2)")
    recorded.execute("SELECT count(*) FROM t")
    found = rows(cli, recorded)
    assert [row["query"] for row in found] == [
        "SELECT pg_sleep($1)",
        "SELECT pg_sleep($1), id FROM t WHERE id IN ($2, ...)",
        "SELECT count(*) FROM t",
    ]
    first, second, third = found
    assert (first["calls"], first["rows"], first["rows_per_call"]) == (3, 3, 1)
    assert 150 <= first["total_ms"] < 1000
    assert first["mean_ms"] == pytest.approx(first["total_ms"] / 3)
    assert first["min_ms"] <= first["mean_ms"] <= first["max_ms"]
    assert first["mean_plus_2sd_ms"] == pytest.approx(first["mean_ms"] + 2 * first["stddev_ms"])
    assert sum(row["share"] for row in found) == pytest.approx(1)
    assert second["rows"] == 2
    assert 0 <= third["cache_hit"] <= 1
    assert third["plans"] == 1
    assert (first["database"], first["role"], first["toplevel"]) == ("recorded", "postgres", True)


def test_the_deviation_is_that_of_the_server(cli: Cli, recorded: Database) -> None:
    for seconds in (0.01, 0.03, 0.08):
        recorded.execute(f"SELECT pg_sleep({seconds})")
    (row,) = rows(cli, recorded)
    said = recorded.value(
        "SELECT stddev_exec_time FROM pg_stat_statements WHERE query = 'SELECT pg_sleep($1)'"
    )
    assert row["stddev_ms"] == pytest.approx(said)


def test_people_see_times_they_can_read_and_whose_statement_it_is(
    cli: Cli, recorded: Database
) -> None:
    recorded.execute("SELECT pg_sleep(0.05)")
    done = cli("slow-queries", "-d", recorded.url)
    head, figures, whose, query = done.out.splitlines()
    assert head.split() == "share total calls mean mean+2sd rows/call hit".split()  # noqa: SIM905
    assert re.fullmatch(r"100.0% +\d+ ms +1 +\d+ ms +\d+ ms +1.0 +-", figures.strip())
    assert re.fullmatch(r"    id -?\d+; role postgres; database recorded; max \d+ ms", whose)
    assert query == "    SELECT pg_sleep($1)"
    assert re.fullmatch(
        r"since the statistics began at \S+ \S+ UTC, \d+.*: 1 statement took \d+ ms; "
        r"database recorded \(--all-databases shows the others\)\n",
        done.err,
    )


@pytest.mark.parametrize("by", ["total", "mean", "calls", "io", "temp", "wal", "plan"])
def test_orders(cli: Cli, recorded: Database, by: str) -> None:
    recorded.execute("CREATE TABLE big AS SELECT n FROM generate_series(1, 50000) AS n")
    recorded.execute("SET work_mem = '64kB'")
    recorded.execute("SELECT n FROM big ORDER BY n DESC")
    recorded.execute("SELECT count(*) FROM t")
    column = {"calls": "calls", "io": "io_bytes", "temp": "temp_bytes", "wal": "wal_bytes"}.get(
        by, f"{by}_ms"
    )
    values = [row[column] for row in rows(cli, recorded, "--by", by)]
    assert values
    assert values == sorted(values, reverse=True)
    assert all(value > 0 for value in values)
    assert rows(cli, recorded, "--by", by, "--limit", "1")[0][column] == values[0]


def test_what_the_command_runs_itself_is_left_out(cli: Cli, recorded: Database) -> None:
    for _ in range(2):
        assert rows(cli, recorded) == []


def test_other_databases_on_demand(cli: Cli, recorded: Database, recording: Database) -> None:
    recording.execute("SELECT 1 AS elsewhere")
    assert rows(cli, recorded) == []
    found = by_query(rows(cli, recorded, "--all-databases", "-n", "100"))
    assert found["SELECT $1 AS elsewhere"]["database"] == "postgres"


def test_statements_within_functions_are_no_part_of_the_whole(cli: Cli, recorded: Database) -> None:
    recorded.execute(
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.02); END$$"
    )
    recorded.execute(RESET)
    recorded.execute(f"{server.OURS} SET pg_stat_statements.track = 'all'")
    recorded.execute("SELECT f()")
    found = rows(cli, recorded)
    assert sorted(row["toplevel"] for row in found) == [False, True]
    assert sum(row["share"] for row in found if row["toplevel"]) == pytest.approx(1)


def test_literals_of_utility_statements_are_shown_on_demand_alone(
    cli: Cli, recorded: Database
) -> None:
    recorded.execute(f"COMMENT ON TABLE t IS '{SECRET}'")
    (row,) = rows(cli, recorded)
    assert row["query"] == "COMMENT ON TABLE t IS $1"
    (row,) = rows(cli, recorded, "--literals")
    assert row["query"] == f"COMMENT ON TABLE t IS '{SECRET}'"
    stored = list((Path.home() / ".local" / "state").rglob("*.jsonl"))
    assert stored
    assert all(SECRET not in path.read_text() for path in stored)


@pytest.mark.parametrize("version", ["1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10"])
def test_any_version_in_any_schema(cli: Cli, recorded: Database, version: str) -> None:
    recorded.execute("DROP EXTENSION pg_stat_statements")
    recorded.execute('CREATE SCHEMA "an odd ""place"')
    recorded.execute(
        f'CREATE EXTENSION pg_stat_statements SCHEMA "an odd ""place" VERSION \'{version}\''
    )
    recorded.execute("SELECT pg_sleep(0.1)")
    found = by_query(rows(cli, recorded, "-n", "100"))
    row = found["SELECT pg_sleep($1)"]
    assert row["total_ms"] >= 100
    assert row["max_ms"] >= 100
    old = version in ("1.4", "1.5", "1.6", "1.7")
    assert (row["wal_bytes"] is None, row["plans"] is None) == (old, old)
    done = cli("slow-queries", "-d", recorded.url, "--by", "wal")
    if old:
        assert (done.code, done.err) == (
            1,
            f"error: pg_stat_statements {version} does not count 'wal'\n"
            "hint: ALTER EXTENSION pg_stat_statements UPDATE may bring it\n",
        )
    else:
        assert done.code == 0


def test_what_other_roles_ran_is_said_to_be_hidden(cli: Cli, recorded: Database) -> None:
    recorded.execute("SELECT pg_sleep(0.01)")
    done = cli("slow-queries", "-d", as_nobody(recorded), "-q", "-f", "json")
    assert (done.code, json.loads(done.out)) == (0, [])
    assert re.fullmatch(
        r"warning: \d+ statements of other roles hidden from nobody, 100% of the recorded time; "
        r"they are no part of the shares: GRANT pg_read_all_stats TO nobody shows them\n",
        done.err,
    )


# --- Since an earlier run ---------------------------------------------------------


def test_since_the_last_run(cli: Cli, recorded: Database) -> None:
    for _ in range(5):
        recorded.execute("SELECT pg_sleep(0.01)")
    rows(cli, recorded)
    for _ in range(2):
        recorded.execute("SELECT pg_sleep(0.03)")
    recorded.execute("SELECT count(*) FROM t")
    found = by_query(rows(cli, recorded, "--since", "last"))
    assert set(found) == {"SELECT pg_sleep($1)", "SELECT count(*) FROM t"}
    row = found["SELECT pg_sleep($1)"]
    assert row["calls"] == 2
    assert 60 <= row["total_ms"] < 150
    assert row["mean_ms"] >= 30
    assert row["max_ms"] is None  # of the whole time, not of this span
    assert row["seconds"] > 0.06
    assert rows(cli, recorded, "--since", "last") == []
    assert by_query(rows(cli, recorded, "--since", "1h"))["SELECT pg_sleep($1)"]["calls"] == 2


def test_since_needs_an_earlier_run(cli: Cli, recorded: Database) -> None:
    done = cli("slow-queries", "-d", recorded.url, "--since", "last")
    assert done == Result(
        1,
        "",
        "error: no earlier run on this database is known to compare with\n"
        "hint: this one is kept: run it again later; --watch 10 shows what is added now\n",
    )
    assert cli("slow-queries", "-d", recorded.url, "--since", "last").code == 0


def test_a_reset_in_between_is_said(cli: Cli, recorded: Database) -> None:
    for _ in range(3):
        recorded.execute("SELECT pg_sleep(0.01)")
    rows(cli, recorded)
    recorded.execute(RESET)
    recorded.execute("SELECT pg_sleep(0.01)")
    done = cli("slow-queries", "-d", recorded.url, "--since", "last", "-q", "-f", "json")
    assert done.err == ("warning: the statistics were reset in between: shown is what came after\n")
    (row,) = json.loads(done.out)
    assert row["calls"] == 1


def test_counters_that_began_anew_are_said(cli: Cli, recorded: Database) -> None:
    for _ in range(3):
        recorded.execute("SELECT pg_sleep(0.01)")
    rows(cli, recorded)
    recorded.execute(
        "SELECT pg_stat_statements_reset(0, dbid, queryid) FROM pg_stat_statements"
        " WHERE query = 'SELECT pg_sleep($1)'"
    )
    recorded.execute("SELECT pg_sleep(0.01)")
    done = cli("slow-queries", "-d", recorded.url, "--since", "last", "-q", "-f", "json")
    assert done.err == (
        "warning: 1 statement began anew in between, reset or dropped for want of room: "
        "shown is what came after\n"
    )
    assert by_query(json.loads(done.out))["SELECT pg_sleep($1)"]["calls"] == 1


def test_a_run_that_saw_less_is_no_base_for_one_that_sees_more(
    cli: Cli, recorded: Database
) -> None:
    recorded.execute("SELECT pg_sleep(0.01)")
    assert cli("slow-queries", "-d", as_nobody(recorded)).code == 0
    done = cli("slow-queries", "-d", recorded.url, "--since", "last")
    assert "no earlier run on this database" in done.err


COUNTERS = Counters(
    calls=10, total_ms=100, squares=1500, plans=None, plan_ms=None, rows=10, hit_bytes=1,
    read_bytes=0, io_bytes=0, io_ms=0, temp_bytes=0, wal_bytes=None,
)  # fmt: skip
STATEMENT = Statement(Key(1, 2, True, 3), "d", "r", None, 1.0, 20.0, COUNTERS)
OLD = Reading(1000.0, 500.0, 2, (STATEMENT,))


def later(**changes: float) -> Reading:
    counters = COUNTERS._replace(**changes)
    return Reading(1060.0, 500.0, 2, (replace(STATEMENT, counters=counters),))


def test_difference() -> None:
    found = delta.difference(OLD, later(calls=12, total_ms=140, squares=2320))
    (statement,) = found.statements
    assert (found.seconds, found.was_reset, found.restarted, found.dropped) == (60, False, 0, 0)
    assert (statement.counters.calls, statement.mean_ms, statement.maximum_ms) == (2, 20, None)
    assert statement.deviation_ms == pytest.approx(10**0.5)
    assert statement.counters.wal_bytes is None
    assert delta.difference(OLD, later()).statements == ()


def test_difference_is_never_negative() -> None:
    found = delta.difference(OLD, later(calls=4, total_ms=30))
    assert (found.restarted, found.statements[0].counters.calls) == (1, 4)


def test_difference_tells_a_statement_that_was_dropped_and_came_again() -> None:
    old = replace(OLD, statements=(replace(STATEMENT, since=900.0),))
    new = replace(later(calls=12), statements=(replace(STATEMENT, since=1030.0),), dropped=5)
    found = delta.difference(old, new)
    assert (found.restarted, found.dropped) == (1, 3)
    assert found.statements[0].counters.calls == 10


def test_a_kept_reading_is_small_and_comes_back(database18: Database, tmp_path: object) -> None:
    here = server.look(database18.connection)
    many = tuple(
        replace(
            STATEMENT,
            key=Key(16384, 10, True, (n * 2654435761**2) % 2**63),
            counters=COUNTERS._replace(
                calls=n * 17, total_ms=n * 3.1415926, squares=n * 98765.4321, rows=n * 31,
                hit_bytes=n * 8192 * 7, plans=n, plan_ms=n * 0.0271, wal_bytes=n * 211,
            ),
        )
        for n in range(5000)
    )  # fmt: skip
    samples = Samples(tmp_path, "7001-16384", delta.KIND, delta.KEEP)  # type: ignore[arg-type]
    delta.keep(samples, replace(OLD, statements=many), here)
    assert samples.path.stat().st_size < 400_000
    (back,) = delta.kept(samples, here)
    assert [s.key for s in back.statements] == [s.key for s in many]
    assert back.statements[77].counters.total_ms == round(many[77].counters.total_ms, 3)
    assert delta.kept(samples, replace(here, instance="another")) == ()


def test_a_run_that_cannot_be_kept_shows_its_result(
    cli: Cli, recorded: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "agentdb").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    recorded.execute("SELECT pg_sleep(0.01)")
    done = cli("slow-queries", "-d", recorded.url, "-q", "-f", "json")
    assert (done.code, len(json.loads(done.out))) == (0, 1)
    assert done.err.startswith("warning: the sample could not be kept: ")


# --- Reset ------------------------------------------------------------------------


def test_reset_of_this_database(cli: Cli, recorded: Database, recording: Database) -> None:
    recording.execute("SELECT 1 AS elsewhere")
    recorded.execute("SELECT pg_sleep(0.01)")
    dry = cli("slow-queries", "-d", recorded.url, "--reset", "--dry-run")
    assert dry == Result(
        0, "", "statements in pg_stat_statements of the database recorded: 1\nnothing was done\n"
    )
    unasked = cli("slow-queries", "-d", recorded.url, "--reset")
    assert (unasked.code, "nobody can be asked here" in unasked.err) == (2, True)
    assert len(rows(cli, recorded)) == 1
    done = cli("slow-queries", "-d", recorded.url, "--reset", "--yes")
    assert done.err.endswith("their statistics begin anew\n")
    assert rows(cli, recorded) == []
    everywhere = by_query(rows(cli, recorded, "-a", "-n", "100"))
    assert "SELECT $1 AS elsewhere" in everywhere


def test_reset_needs_a_privilege(cli: Cli, recorded: Database) -> None:
    done = cli("slow-queries", "-d", as_nobody(recorded), "--reset", "--yes", "-q")
    assert done == Result(
        1,
        "",
        "error: the role 'nobody' may not reset pg_stat_statements\n"
        "hint: GRANT EXECUTE ON FUNCTION pg_stat_statements_reset(oid,oid,bigint) TO nobody\n",
    )


# --- Without pg_stat_statements ---------------------------------------------------


def unusable(database: Database) -> tuple[str, str | None]:
    problem = server.look(database.connection).unusable()
    assert problem is not None
    return problem.message, problem.hint


def test_why_there_are_no_statistics(
    database18: Database, database15: Database, recorded: Database
) -> None:
    assert unusable(database18) == (
        "pg_stat_statements is not installed on this server",
        "install PostgreSQL's contrib modules",
    )
    preload = "shared_preload_libraries = 'pg_stat_statements' and restart the server"
    name = database15.connection.info.dbname
    assert unusable(database15) == (
        "pg_stat_statements is neither loaded nor created",
        f"set {preload}; then CREATE EXTENSION pg_stat_statements in the database {name}",
    )
    database15.execute("CREATE EXTENSION pg_stat_statements")
    assert unusable(database15) == (
        "pg_stat_statements is created but not loaded",
        f"set {preload}",
    )
    recorded.execute("DROP EXTENSION pg_stat_statements")
    assert unusable(recorded) == (
        "pg_stat_statements is loaded but not created in this database",
        "CREATE EXTENSION pg_stat_statements in the database recorded",
    )


def test_without_statistics_the_sessions_are_sampled(
    cli: Cli, database18: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DEFAULT_SAMPLE", "300ms")
    with running(database18):
        done = cli("slow-queries", "-d", database18.url)
    assert "pg_stat_statements is not installed on this server (to have it: " in done.err
    assert "sampling the sessions for 300 ms; Ctrl-C ends it early\n" in done.err
    head, figures, circumstances, query = done.out.splitlines()
    assert head.split()[:4] == ["share", "total", "sessions", "seen"]
    assert figures.startswith("100.0%")
    assert re.fullmatch(
        r"    id t\w{12}; Timeout: PgSleep 100%; role postgres; application worker; database \w+",
        circumstances,
    )
    assert query == f"    {SLEEP_NORMALISED}"


def test_a_view_that_may_not_be_read_is_no_end(
    cli: Cli, recorded: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DEFAULT_SAMPLE", "100ms")
    recorded.execute("REVOKE SELECT ON pg_stat_statements FROM PUBLIC")
    done = cli("slow-queries", "-d", as_nobody(recorded))
    assert done.code == 0
    assert done.err.startswith(
        "the role 'nobody' may not read pg_stat_statements: permission denied for view "
        "pg_stat_statements (to have it: GRANT USAGE ON SCHEMA public and "
        "SELECT ON public.pg_stat_statements TO nobody)\n"
    )


def test_what_sampling_cannot_know_is_refused(cli: Cli, database18: Database) -> None:
    done = cli("slow-queries", "-d", database18.url, "--by", "io")
    assert done == Result(
        1,
        "",
        "error: --by io needs pg_stat_statements: "
        "pg_stat_statements is not installed on this server\n"
        "hint: install PostgreSQL's contrib modules\n",
    )


# --- The sampler ------------------------------------------------------------------


def test_sampled(cli: Cli, database: Database) -> None:
    with running(database), running(database, "SELECT pg_sleep(59)", application="other"):
        found = by_query(rows(cli, database, "--sample", "500ms"))
    assert set(found) == {SLEEP_NORMALISED, "SELECT pg_sleep($1)"}
    row = found[SLEEP_NORMALISED]
    assert row["share"] == 0.5
    assert row["active_sessions"] == 1.0
    assert row["executions"] == 1
    assert 300 <= row["estimated_ms"] <= 500.001
    assert row["waits"] == {"Timeout: PgSleep": 1.0}
    assert (row["roles"], row["applications"]) == (["postgres"], ["worker"])
    assert row["databases"] == [database.connection.info.dbname]
    assert row["max_ms"] >= 200
    assert row["cut"] is False


def test_literals_of_sampled_statements_are_shown_on_demand_alone(
    cli: Cli, database: Database
) -> None:
    with running(database):
        without = cli("slow-queries", "-d", database.url, "--sample", "100ms")
        (row,) = rows(cli, database, "--sample", "100ms", "--literals")
    assert SECRET not in without.out + without.err
    assert row["query"] == SLEEP


def test_statements_that_differ_in_literals_are_one(cli: Cli, database18: Database) -> None:
    one, two = "SELECT pg_sleep(60)", "select  pg_sleep( 61 ) -- x"
    with running(database18, one), running(database18, two):
        (row,) = rows(cli, database18, "--sample", "200ms")
    assert (row["query"], row["executions"], row["active_sessions"]) == (
        "SELECT pg_sleep($1)",
        2,
        2,
    )
    assert re.fullmatch("t[0-9a-f]{12}", str(row["id"]))


def test_sampled_statements_have_the_id_of_the_server(cli: Cli, database18: Database) -> None:
    on = "SET compute_query_id = on"
    with running(database18, SLEEP, on) as session:
        said = database18.value(
            "SELECT query_id FROM pg_stat_activity WHERE pid = %s", session.info.backend_pid
        )
        (row,) = rows(cli, database18, "--sample", "200ms")
    assert row["id"] == str(said)


def test_neither_idle_sessions_nor_other_databases_nor_agentdb_are_counted(
    cli: Cli, database: Database
) -> None:
    elsewhere = replace(database, url=database.url.replace(
        f"/{database.connection.info.dbname}?", "/postgres?"
    ))  # fmt: skip
    with (
        psycopg.connect(database.url) as idle,
        running(database, application="agentdb purge"),
        running(elsewhere),
    ):
        idle.execute("SELECT 1")
        assert rows(cli, database, "--sample", "200ms") == []
        found = rows(cli, database, "--sample", "200ms", "--all-databases")
    assert [row["databases"] for row in found if row["applications"] == ["worker"]] == [
        ["postgres"]
    ]


def test_sessions_of_other_roles_are_said_to_be_hidden(cli: Cli, database: Database) -> None:
    database.execute("CREATE ROLE unprivileged")
    url = f"{database.url}&options=-c%20role%3Dunprivileged"
    try:
        with running(database):
            done = cli("slow-queries", "-d", url, "--sample", "200ms", "-q", "-f", "json")
    finally:
        database.execute("DROP ROLE unprivileged")
    assert json.loads(done.out) == []
    said = re.fullmatch(
        r"warning: up to (\d+) sessions of other roles are hidden from unprivileged: "
        r"GRANT pg_read_all_stats TO unprivileged shows what they run\n",
        done.err,
    )
    assert said
    assert int(said[1]) >= 1


def test_a_text_that_the_server_cut_is_said_to_be(cli: Cli, database18: Database) -> None:
    long = "SELECT pg_sleep(60), '" + "x" * 2000 + "'"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(database18.url, autocommit=True) as other,
    ):
        future = pool.submit(other.execute, long)
        active = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
        eventually(lambda: database18.execute(active, other.info.backend_pid))
        done = cli("slow-queries", "-d", database18.url, "--sample", "200ms", "-f", "json")
        (row,) = json.loads(done.out)
        explained = cli("slow-queries", "-d", database18.url, "--explain", str(row["id"]))
        database18.execute("SELECT pg_terminate_backend(%s)", other.info.backend_pid)
        future.exception()
    assert (row["query"], row["cut"]) == ("SELECT pg_sleep($1), $2 …", True)
    assert "the server cuts texts at track_activity_query_size = 1024 bytes\n" in done.err
    assert explained.err.endswith(
        f"error: the server has only the beginning of the statement {row['id']}\n"
        "hint: raise track_activity_query_size (it needs a restart)\n"
    )


def test_ctrl_c_shows_what_was_gathered(database18: Database) -> None:
    program = [sys.executable, "-m", "agentdb_cli", "slow-queries", "-d", database18.url]
    with running(database18):
        process = subprocess.Popen(
            [*program, "--sample", "1h", "-f", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        looked = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'agentdb slow-queries'"
            " AND state = 'idle' AND query LIKE '%%pg_stat_get_activity%%' AND %s"
        )
        eventually(lambda: database18.execute(looked, True))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)[0]["query"] == SLEEP_NORMALISED
    assert "warning: interrupted: this is what was gathered until then\n" in err


def test_a_session_that_ends_shows_what_was_gathered(database18: Database) -> None:
    with psycopg.connect(database18.url, autocommit=True) as connection:
        pid = connection.info.backend_pid

        def end(_: sampling.Group) -> bool:
            database18.execute("SELECT pg_terminate_backend(%s)", pid)
            return False

        with running(database18):
            found = sampling.sample(connection, 60, database_oid=None, enough=end)
    assert found.looks >= 1
    assert SLEEP_NORMALISED in [group.normalised for group in found.groups]
    assert str(found.ended).startswith("the connection was lost: ")


# --- Plans ------------------------------------------------------------------------


def test_explain_of_a_recorded_statement(cli: Cli, recorded: Database) -> None:
    recorded.execute("SELECT id FROM t WHERE id = 7")
    (row,) = rows(cli, recorded)
    done = cli("slow-queries", "-d", recorded.url, "--explain", str(row["id"]))
    query, empty, *plan = done.out.splitlines()
    assert (query, empty) == ("SELECT id FROM t WHERE id = $1", "")
    assert plan[0].startswith("Seq Scan on t ")
    assert plan[1] == "  Filter: (id = $1)"
    shown = cli("slow-queries", "-d", recorded.url, "--explain", str(row["id"]), "-f", "json")
    assert json.loads(shown.out)["plan"].splitlines() == plan


def test_explain_of_a_sampled_statement(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int, name text)")
    database.execute("BEGIN")
    database.execute("LOCK t")
    try:
        with psycopg.connect(database.url, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
            statement = f"UPDATE t SET name = '{SECRET}' WHERE id = 7 + 1"
            future = pool.submit(other.execute, statement)
            waiting = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
            eventually(lambda: database.execute(waiting, other.info.backend_pid))
            (row,) = rows(cli, database, "--sample", "200ms")
            arguments = (
                "slow-queries",
                "-d",
                database.url,
                "--sample",
                "5s",
                "--explain",
                row["id"],
            )
            locked = cli(*arguments)
            database.execute("ROLLBACK")
            future.result()
    finally:
        database.execute("ROLLBACK")
    assert row["waits"] == {"Lock: relation": 1.0}
    assert locked.err.endswith(
        "error: the statement cannot be explained: canceling statement due to lock timeout\n"
        "hint: agentdb inspect blocking shows who holds the lock\n"
    )
    plan = "\n".join(explain.plan(database.connection, statement))
    assert plan.startswith("Update on t ")
    assert "Filter: (id = ($2 + $3))" in plan
    assert SECRET not in plan
    assert database.value("SELECT count(*) FROM pg_prepared_statements") == 0


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DROP TABLE t",
        "SELECT 1; COMMIT; DROP TABLE t",
        "DROP TABLE t",
        "EXECUTE x",
        "CREATE TABLE u AS SELECT 1",
        "ANALYZE SELECT 1",
        "(ANALYZE) DELETE FROM t",
        "COPY t TO PROGRAM 'true'",
        "DO $$BEGIN DROP TABLE t; END$$",
        "",
    ],
)
def test_nothing_but_one_query_is_explained(database: Database, text: str) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    with pytest.raises(AgentdbError, match="the statement cannot be explained: "):
        explain.plan(database.connection, text)
    assert database.value("SELECT count(*) FROM t") == 1
    assert database.value("SELECT count(*) FROM pg_prepared_statements") == 0
    assert database.connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM t WHERE id = 1",
        "INSERT INTO t VALUES (1), (2)",
        "UPDATE t SET id = 2 WHERE id = 1",
        "DELETE FROM t WHERE id IN (1, 2, 3)",
        "WITH d AS (DELETE FROM t RETURNING id) SELECT count(*) FROM d",
        "VALUES (1), (2)",
        "SELECT now() - interval '1 day' FROM t GROUP BY 1 ORDER BY 1 LIMIT 3",
        "SELECT id::numeric(10, 2), 'a' || $1 FROM t",
        "SELECT id FROM t WHERE id = ANY($1)",
    ],
)
def test_queries_are_explained_and_not_run(database: Database, text: str) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    assert explain.plan(database.connection, text)
    assert database.execute("SELECT id FROM t") == [(1,)]
    assert database.value("SELECT count(*) FROM pg_prepared_statements") == 0


def test_explain_says_what_is_wrong(cli: Cli, recorded: Database, recording: Database) -> None:
    done = cli("slow-queries", "-d", recorded.url, "--explain", "-12")
    assert done == Result(
        1,
        "",
        "error: pg_stat_statements knows no statement -12\n"
        "hint: agentdb slow-queries lists the identifiers; --sample 30s looks for it in the "
        "sessions\n",
    )
    recording.execute("SELECT 1 AS elsewhere")
    row = by_query(rows(cli, recorded, "-a", "-n", "100"))["SELECT $1 AS elsewhere"]
    done = cli("slow-queries", "-d", recorded.url, "--explain", str(row["id"]))
    assert done.err == (
        f"error: the statement {row['id']} ran in the database postgres, not in this one\n"
        "hint: connect to postgres to explain it\n"
    )
    with pytest.raises(AgentdbError) as caught:
        explain.plan(recorded.connection, "SELECT 1 FROM elsewhere")
    assert (caught.value.message, caught.value.hint) == (
        'the statement cannot be explained: relation "elsewhere" does not exist',
        "the application may use another search path: "
        "PGOPTIONS='-c search_path=…' sets it for this command",
    )


# --- The command line -------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--reset", "--explain", "1"), "--explain and --reset do not go together"),
        (("--since", "1h", "--sample", "1s"), "--since and --sample do not go together"),
        (("--watch", "1", "--since", "1h"), "--since and --watch do not go together"),
        (("--yes",), "--yes goes with --reset alone"),
        (("--explain", "1", "--literals"), "--explain and --literals do not go together"),
        (("--sample", "soon"), '--sample must be a duration such as "5s", "250ms" or 0 '
         "(units: us, ms, s, min, h, d)"),
        (("--sample", "0"), "--sample must be more than 0"),
    ],
)  # fmt: skip
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    done = cli("slow-queries", "-d", "postgresql://nowhere.invalid/x", *arguments)
    assert done.code == 2
    assert done.err.startswith(f"error: {message}\n")


class Terminal(io.StringIO):
    """A stream that claims to show colours."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_of_ours_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = coloured('SELECT $1 FROM "\x1b[2mx\x1b[0m\x07\n\u202e"', Terminal())
    assert shown.startswith("\x1b[1;36mSELECT\x1b[0m \x1b[32m$1\x1b[0m \x1b[1;36mFROM\x1b[0m ")
    assert r"\x1b[2mx\x1b[0m\x07\n\u202e" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x07" not in shown
    assert coloured("SELECT 1", io.StringIO()) == "SELECT 1"
    assert coloured("SELECT 1, 2, 3", io.StringIO(), 10) == "SELECT 1,…"


def test_hostile_names_reach_no_terminal(cli: Cli, recorded: Database) -> None:
    recorded.execute('SELECT 1 AS "\x1b[31mred\x07"')
    done = cli("slow-queries", "-d", recorded.url)
    assert r'SELECT $1 AS "\x1b[31mred\x07"' in done.out
    assert "\x1b" not in done.out
