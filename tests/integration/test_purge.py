"""`agentdb purge`: what is past its time goes, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from purging import Cli, count, policies, purge, refusal

from waiting import eventually

LOG = """
CREATE TABLE log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz,
    agent text,
    note text
)
"""


def policy(text: str) -> None:
    """Write the only policy into agentdb.toml of the working directory."""
    policies(log=text)


def fill(database: Database, rows: int = 1000, days: int = 60) -> None:
    """Rows spread evenly over the last `days` days, none at the very edge of 30."""
    database.execute(
        "INSERT INTO log (at, agent, note) SELECT now() - interval '1 day' * (%s * (i - 0.5) / %s),"
        " 'agent-' || i %% 4, repeat('x', 50) FROM generate_series(1, %s) AS i",
        days, rows, rows,
    )  # fmt: skip
    database.execute("VACUUM ANALYZE log")


def log(database: Database, rows: int = 1000, index: bool = True) -> None:
    database.execute(LOG)
    if index:
        database.execute("CREATE INDEX log_at ON log (at)")
    fill(database, rows)
    policy('time_column = "at"\ndays = 30')


# --- What goes, and what stays ---------------------------------------------------


@pytest.mark.parametrize("index", [True, False])
def test_rows_past_their_time_go_and_no_others(cli: Cli, database: Database, index: bool) -> None:
    log(database, 20_000, index=index)
    database.execute("CREATE TABLE other AS SELECT * FROM log")
    before = database.execute("SELECT id FROM log WHERE at >= now() - interval '30 days'")
    size = int(str(database.value("SELECT pg_total_relation_size('log')")))
    (row,) = purge(cli, database)
    assert (row["table"], row["state"], row["rows"]) == ("public.log", "done", 10_000)
    assert row["size"] == pytest.approx(size / 2, rel=0.02)
    assert database.execute("SELECT id FROM log ORDER BY id") == sorted(before)
    assert count(database, "other") == 20_000
    assert purge(cli, database)[0]["rows"] == 0


def test_both_ways_to_cut_a_table_are_used(cli: Cli, database: Database) -> None:
    """Few rows past their time are found by the index, half of a table by its blocks."""
    log(database, 20_000)
    assert purge(cli, database, "--days", "59")[0]["by"] == "time index"
    assert purge(cli, database, "--days", "2")[0]["by"] == "block ranges"
    assert count(database, where="at < now() - interval '2 days'") == 0
    assert count(database) in (666, 667)  # of 20,000 rows in 60 days: 333.3 a day


def test_rows_without_a_time_stay(cli: Cli, database: Database) -> None:
    log(database)
    database.execute("INSERT INTO log (at) VALUES (NULL), ('-infinity'), ('infinity')")
    purge(cli, database, "--days", "1")
    assert count(database, where="at IS NULL OR NOT isfinite(at)") == 3


def test_many_rows_of_one_moment(cli: Cli, database: Database) -> None:
    """More of them than fit into a batch, and the batch cannot be cut between two moments."""
    log(database, 100)
    database.execute(
        "INSERT INTO log (at) SELECT now() - interval '50 days' FROM generate_series(1, 30000)"
    )
    database.execute("INSERT INTO log (at) SELECT now() FROM generate_series(1, 300000)")
    database.execute("VACUUM ANALYZE log")
    (row,) = purge(cli, database)
    assert (row["rows"], row["by"]) == (30_050, "time index")
    assert count(database) == 300_050


@pytest.mark.parametrize("kind", ["timestamp", "date"])
def test_other_types_of_time(cli: Cli, database: Database, kind: str) -> None:
    database.execute(f"CREATE TABLE log (at {kind}, note text)")
    database.execute(
        "INSERT INTO log SELECT now() - interval '1 day' * i - interval '1 minute'"
        " FROM generate_series(1, 60) AS i"
    )
    policy('time_column = "at"\ndays = 30')
    # To a date, 30 days ago is the whole day: its rows are not past their time.
    expected = {"timestamp": 31, "date": 30}[kind]
    assert purge(cli, database)[0]["rows"] == expected
    assert count(database) == 60 - expected


def test_the_cutoff_is_counted_in_the_database_s_time_zone(cli: Cli, database: Database) -> None:
    """A timestamp without time zone is one of the session's zone, as now() was for its DEFAULT."""
    database.execute("CREATE TABLE log (at timestamp)")
    name = database.connection.info.dbname
    database.execute(f"ALTER DATABASE {name} SET timezone = 'Pacific/Auckland'")
    database.execute("SET timezone = 'Pacific/Auckland'")
    database.execute(
        "INSERT INTO log SELECT now() - interval '30 days' + interval '1 hour' * i"
        " FROM generate_series(-2, 1) AS i"
    )
    policy('time_column = "at"\ndays = 30')
    result = cli("purge", "-d", database.url)
    assert result.code == 0, result.err
    assert "NZ" in result.err
    assert count(database, where="at < now()::timestamp - interval '30 days'") == 0
    assert count(database) in (1, 2)


def test_where_limits_what_goes(cli: Cli, database: Database) -> None:
    log(database)
    policy("time_column = \"at\"\ndays = 30\nwhere = \"agent = 'agent-1' OR agent = 'agent-2'\"")
    assert purge(cli, database)[0]["rows"] == 250
    assert count(database, where="agent IN ('agent-0', 'agent-3')") == 500
    assert count(database, where="agent = 'agent-1'") == 125


def test_a_condition_that_is_none_is_refused(cli: Cli, database: Database) -> None:
    log(database)
    policy('time_column = "at"\ndays = 30\nwhere = "agnt = 1"')
    assert refusal(cli, database) == (
        "error: 'where' of log is no condition on it: column \"agnt\" does not exist\n"
        "hint: it stands in agentdb.toml: agnt = 1\n"
    )
    assert count(database) == 1000


@pytest.mark.parametrize("index", [True, False])
def test_the_newest_of_each_are_kept(cli: Cli, database: Database, index: bool) -> None:
    """Of agents that went silent long ago, the last rows stay; rows of no agent just age."""
    log(database, 4000, index=index)
    database.execute("DELETE FROM log WHERE agent = 'agent-1' AND at > now() - interval '40 days'")
    database.execute("UPDATE log SET agent = NULL WHERE agent = 'agent-2'")
    database.execute("VACUUM ANALYZE log")
    policy('time_column = "at"\ndays = 30\nkeep_last = 7\nper = ["agent"]')
    newest = database.execute("SELECT id FROM log WHERE agent = 'agent-1' ORDER BY at DESC LIMIT 7")
    (row,) = purge(cli, database)
    assert row["state"] == "done"
    kept = database.execute("SELECT id FROM log WHERE agent = 'agent-1' ORDER BY at DESC")
    assert kept == newest
    old = "at < now() - interval '30 days'"
    assert count(database, where=f"{old} AND agent IN ('agent-0', 'agent-3')") == 0
    assert count(database, where=f"{old} AND agent IS NULL") == 0
    assert count(database, where="agent IS NULL") == 500


def test_the_newest_of_a_table_are_kept(cli: Cli, database: Database) -> None:
    log(database, 100)
    policy('time_column = "at"\ndays = 1\nkeep_last = 10')
    purge(cli, database)
    assert database.execute("SELECT id FROM log ORDER BY id") == [(i,) for i in range(1, 11)]


# --- What is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ("0", "--days 0 would take rows of today and of the future"),
        ("-3", "--days -3 would take rows of today and of the future"),
        ("36501", "--days 36501 is more than a hundred years"),
    ],
)
def test_days_that_cannot_be_meant(cli: Cli, database: Database, days: str, message: str) -> None:
    log(database)
    result = cli("purge", "-d", database.url, f"--days={days}")
    assert (result.code, result.err.splitlines()[0]) == (2, f"error: {message}")
    assert count(database) == 1000


@pytest.mark.parametrize("days", ["nan", "1.5", "30d", "inf"])
def test_days_that_are_no_number(cli: Cli, database: Database, days: str) -> None:
    result = cli("purge", "-d", database.url, "--days", days)
    assert result.code == 2
    assert f"'{days}' is not a valid int" in result.err


REFUSED = {
    "a view": (
        "CREATE VIEW log AS SELECT now() AS at",
        "log is a view; name the table that holds the rows",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW log AS SELECT now() AS at",
        "log is a materialized view; name the table that holds the rows",
    ),
    "no such column": (
        "CREATE TABLE log (id int, att timestamptz)",
        "log has no column 'at'; did you mean 'att'?; columns: id, att",
    ),
    "no time": (
        "CREATE TABLE log (at bigint)",
        "log.at is no time, but bigint; time_column must be a timestamptz, timestamp or date",
    ),
    "a time of day": (
        "CREATE TABLE log (at time)",
        "log.at is no time, but time without time zone; "
        "time_column must be a timestamptz, timestamp or date",
    ),
    "no table": (
        "SELECT",
        "there is no table log; agentdb retention list shows where the policy comes from",
    ),
    "a partition": (
        "CREATE TABLE logs (at date) PARTITION BY RANGE (at);"
        "CREATE TABLE log PARTITION OF logs DEFAULT",
        "log is a partition; declare the policy for the partitioned table",
    ),
    "inheritance": (
        "CREATE TABLE log (at date); CREATE TABLE child () INHERITS (log)",
        "other tables inherit from log, and a DELETE would reach into them; "
        "declare a policy for each table, or make it a partitioned one",
    ),
    "row-level security": (
        "CREATE TABLE log (at date); ALTER TABLE log ENABLE ROW LEVEL SECURITY;"
        "ALTER TABLE log FORCE ROW LEVEL SECURITY",
        "row-level security hides rows of log from its owner; "
        "connect as a role with BYPASSRLS, or ALTER TABLE log NO FORCE ROW LEVEL SECURITY",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_cannot_be_purged(cli: Cli, database: Database, case: str) -> None:
    statement, reason = REFUSED[case]
    database.execute(statement)
    policy('time_column = "at"\ndays = 30')
    for dry in ((), ("--dry-run",)):
        assert refusal(cli, database, *dry) == f"error: 1 table was not purged:\n  log: {reason}\n"


def test_a_table_of_another_owner(cli: Cli, database: Database) -> None:
    log(database)
    name = f"purger_{os.getpid()}"
    database.execute(f"CREATE ROLE {name}")
    try:
        database.execute(f"GRANT SELECT, DELETE ON log TO {name}")
        result = cli("purge", "-d", f"{database.url}&options=-c%20role%3D{name}", "--quiet")
        assert (result.code, result.err) == (
            1,
            "error: 1 table was not purged:\n"
            f"  log: log belongs to postgres, and {name} is no member of that role; "
            f"connect as postgres, or GRANT postgres TO {name}\n",
        )
        assert count(database) == 1000
    finally:
        database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_one_refused_table_does_not_keep_the_others(cli: Cli, database: Database) -> None:
    log(database)
    with Path("agentdb.toml").open("a") as file:
        file.write('[retention.gone]\ntime_column = "at"\ndays = 3\n')
    assert refusal(cli, database) == (
        "error: 1 table was not purged:\n  gone: there is no table gone; "
        "agentdb retention list shows where the policy comes from\n"
    )
    assert count(database) == 500


def test_without_a_policy_nothing_goes(cli: Cli, database: Database) -> None:
    database.execute(LOG + "; CREATE TABLE agent_events (id int, created_at timestamptz)")
    fill(database)
    result = cli("purge", "-d", database.url, "--days", "1")
    assert (result.code, result.err) == (
        1,
        "error: this database has no retention policy; nothing was deleted. "
        "These tables look like logs:\n"
        "  agent_events, by created_at\n"
        "hint: declare one: agentdb retention set TABLE --column COLUMN --days DAYS; "
        "or name the pack: --pack NAME\n",
    )
    assert count(database) == 1000


def test_a_table_that_merely_has_the_name_of_one_of_the_default_pack(
    cli: Cli, database: Database
) -> None:
    """The default pack has a policy for schedule.executions; nobody said that this is it."""
    database.execute(
        "CREATE SCHEMA schedule; CREATE TABLE schedule.executions (created_at timestamptz);"
        "INSERT INTO schedule.executions VALUES ('2001-01-01')"
    )
    assert "this database has no retention policy" in refusal(cli, database, "--days", "1")
    assert count(database, "schedule.executions") == 1


def test_a_proposal_is_no_policy(cli: Cli, database: Database) -> None:
    log(database)
    policy('time_column = "at"\ndays = 30\nenabled = false')
    assert refusal(cli, database, "--days", "1") == (
        "error: no retention policy is enabled; nothing was deleted. Proposed: log\n"
        "hint: read them (agentdb retention list), then set enabled = true in agentdb.toml\n"
    )
    assert count(database) == 1000


def test_an_unknown_table(cli: Cli, database: Database) -> None:
    log(database)
    assert refusal(cli, database, "--table", "logs") == (
        "error: 'logs' has no retention policy; did you mean 'log'?\n"
        "hint: agentdb retention list shows them, agentdb retention set declares one\n"
    )


# --- Others at work --------------------------------------------------------------


@contextmanager
def session(database: Database) -> Iterator[psycopg.Connection]:
    """Another session, in a transaction that is rolled back in the end."""
    with psycopg.connect(database.url) as connection:
        yield connection
        connection.rollback()


def test_rows_that_others_have_locked_are_left(cli: Cli, database: Database) -> None:
    log(database)
    with session(database) as other:
        other.execute("SELECT FROM log WHERE id IN (600, 700, 800) FOR UPDATE")
        (row,) = purge(cli, database)
        assert (row["rows"], row["skipped"], row["state"]) == (497, 3, "done")
        assert row["detail"] == "3 rows were locked and are left for the next purge"
    assert purge(cli, database)[0]["rows"] == 3


def test_a_row_that_is_touched_meanwhile_stays(cli: Cli, database: Database) -> None:
    """It is past its time when the purge comes by, and no more when its lock is gone."""
    log(database, 1000)
    with psycopg.connect(database.url) as other:
        other.execute("UPDATE log SET at = now() WHERE id = 900")
        timer = threading.Timer(0.1, other.commit)
        timer.start()
        (row,) = purge(cli, database)
        timer.join()
    assert row["rows"] == 499
    assert count(database, where="id = 900") == 1


def test_a_locked_table_is_reported_with_who_locks_it(cli: Cli, database: Database) -> None:
    log(database)
    with session(database) as other:
        other.execute("SET application_name = 'app'; LOCK TABLE log IN SHARE MODE")
        pid = other.info.backend_pid
        result = cli("purge", "-d", database.url, "--quiet", "--lock-timeout", "300ms")
    assert result.code == 1
    assert result.err.startswith(
        "error: 1 of 1 tables not purged to the end:\n"
        f"  public.log: public.log is locked by pid {pid} (app, idle in transaction for "
    )
    assert result.err.endswith(
        "hint: what was deleted stays deleted; agentdb purge goes on from there\n"
    )
    assert count(database) == 1000


def test_a_second_purge_does_nothing_and_says_so(cli: Cli, database: Database) -> None:
    from agentdb_cli.postgres import advisory

    log(database)
    assert advisory.try_lock(database.connection, "purge")
    result = cli("purge", "-d", database.url)
    assert result.code == 0
    pid = database.connection.info.backend_pid
    assert f"another purge is at work, so nothing was done: pid {pid} (" in result.err
    assert count(database) == 1000
    advisory.unlock(database.connection, "purge")
    assert purge(cli, database)[0]["rows"] == 500


@contextmanager
def running(database: Database, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A purge as a process of its own."""
    command = [sys.executable, "-m", "agentdb_cli", "purge", "-d", database.url, *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_after_the_batch_in_flight(
    database: Database, number: int, code: int
) -> None:
    """The purge waits for a window; a row lock would not keep it."""
    log(database)
    closed = database.value("SELECT (localtime + interval '2 hours')::time(0)::text")
    after = database.value("SELECT (localtime + interval '3 hours')::time(0)::text")
    with running(database, "--window", f"{closed}-{after}", "-f", "json") as process:
        assert process.stderr is not None
        line = ""
        while "waiting:" not in line:
            line = process.stderr.readline()
            assert line, "it ended before it waited"
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    (row,) = json.loads(out)
    assert row["state"] == "stopped"
    assert row["rows"] == 0
    assert row["waited"] > 0
    assert row["detail"].startswith(f"stopped by {signal.Signals(number).name}; waited ")
    assert row["detail"].endswith(" for window")
    assert count(database) == 1000


def test_it_makes_way_for_busy_sessions(database: Database) -> None:
    log(database)
    with session(database) as one, session(database) as two:

        def busy(connection: psycopg.Connection) -> None:
            # One long statement: between two short ones a session is not active for a moment.
            with suppress(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(600)")

        threads = [threading.Thread(target=busy, args=(c,)) for c in (one, two)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: sleeping(database) == 2)
            with running(database, "--max-active", "1", "-f", "json") as process:
                assert process.stderr is not None
                line = ""
                while "waiting:" not in line:
                    line = process.stderr.readline()
                    assert line, "it did not wait"
                assert "2 sessions are active (limit 1)" in line
                assert count(database) == 1000
                one.cancel_safe()
                two.cancel_safe()
                out, err = process.communicate(timeout=20)
        finally:
            one.cancel_safe()
            two.cancel_safe()
            for thread in threads:
                thread.join()
    assert "going on" in err
    (row,) = json.loads(out)
    assert (row["rows"], row["state"], process.returncode) == (500, "done", 0)


def sleeping(database: Database) -> int:
    """How many sessions sleep in this database."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    (number,) = database.connection.execute(query).fetchone() or (0,)
    return int(number)


def test_limits_on_rows_and_time(cli: Cli, database: Database) -> None:
    log(database, 20_000)
    (row,) = purge(cli, database, "--max-rows", "1234")
    assert (row["rows"], row["state"]) == (1234, "stopped")
    assert row["detail"] == "--max-rows 1234 is reached"
    assert count(database) == 18_766
    (row,) = purge(cli, database, "--max-duration", "0")
    assert (row["rows"], row["detail"]) == (0, "--max-duration is over")
    assert purge(cli, database, "--max-rows", "100000")[0]["rows"] == 8766


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "1-5"], "--window '1-5' is no window"),
        (["--window", "03:00-03:00"], "--window '03:00-03:00' never opens"),
        (["--max-lag", "64 megs"], "--max-lag must be a size such as \"64MB\" "
         "(units: B, kB, MB, GB, TB)"),
        (["--max-duration", "soon"], '--max-duration must be a duration such as "5s", "250ms" '
         "or 0 (units: us, ms, s, min, h, d)"),
        (["--archive-format", "csv"], "--archive-format without an archive"),
        (["--archive-format", "xml"], "there is no archive format 'xml'"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing(
    cli: Cli, database: Database, options: list[str], message: str
) -> None:
    log(database)
    result = cli("purge", "-d", database.url, *options)
    assert (result.code, result.err.splitlines()[0]) == (2, f"error: {message}")
    assert count(database) == 1000


# --- Dry runs, output ------------------------------------------------------------


def test_a_dry_run_counts_and_changes_nothing(cli: Cli, database: Database) -> None:
    log(database, index=False)
    result = cli("purge", "-d", database.url, "--dry-run", "-f", "json")
    (row,) = json.loads(result.out)
    assert (row["table"], row["rows"], row["partitions"]) == ("public.log", 500, 0)
    assert row["size"] == pytest.approx(
        int(str(database.value("SELECT pg_total_relation_size('log')"))) / 2, rel=0.02
    )
    assert row["oldest"].startswith(
        str(database.value("SELECT (min(at) AT TIME ZONE 'UTC')::date FROM log"))
    )
    assert (
        "public.log: this index would make it faster: "
        'CREATE INDEX CONCURRENTLY ON "public"."log" ("at");\n'
    ) in result.err
    assert count(database) == 1000


def test_what_people_see(cli: Cli, database: Database) -> None:
    log(database)
    result = cli("purge", "-d", database.url)
    lines = result.out.splitlines()
    assert lines[0].split() == ["table", "state", "rows", "size", "by", "duration"]
    assert lines[2].split()[:3] == ["public.log", "done", "500"]
    assert lines[3].startswith("500 rows in ")
    assert result.err.startswith("public.log: rows before ")
    assert result.err.endswith(", 30 days by at (agentdb.toml)\n")


def test_quiet_says_nothing(cli: Cli, database: Database) -> None:
    log(database)
    assert cli("purge", "-d", database.url, "--quiet") == Result(0, "", "")
    assert count(database) == 500


def test_it_asks_on_a_terminal(database: Database) -> None:
    import pty

    log(database)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", "purge", "-d", database.url],
        stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.close(child)
    os.write(parent, b"n\n")
    out, _ = process.communicate(timeout=20)
    os.close(parent)
    assert "delete them, database postgresql://" in out
    assert "nothing was deleted" in out
    assert process.returncode == 0
    assert count(database) == 1000
