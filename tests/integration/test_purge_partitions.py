"""Purging partitioned tables: whole partitions go, the others lose rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import psycopg
import pytest
from conftest import Database
from purging import Cli, count, policies, purge, refusal

from agentdb_cli.postgres import advisory
from waiting import eventually

POLICY = 'time_column = "at"\ndays = 3'


def log(database: Database, *, default: bool = True, name: str = "log") -> None:
    """A table with a partition a day over ten days up to today, 100 rows each; 15 elsewhere."""
    database.execute(
        f"CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,"
        " agent text, PRIMARY KEY (at, id)) PARTITION BY RANGE (at)"
    )
    today = database.value("SELECT current_date")
    assert isinstance(today, date)
    for back in range(10):
        day = today - timedelta(days=back)
        database.execute(
            f"CREATE TABLE {name}_{day:%Y%m%d} PARTITION OF {name}"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
    if default:
        database.execute(f"CREATE TABLE {name}_default PARTITION OF {name} DEFAULT")
        database.execute(
            f"INSERT INTO {name} (at) SELECT current_date - interval '20 days' FROM"
            " generate_series(1, 10) UNION ALL SELECT current_date + interval '5 days'"
            " FROM generate_series(1, 5)"
        )
    database.execute(
        f"INSERT INTO {name} (at, agent) SELECT current_date - interval '1 day' * (i %% 10)"
        " + interval '1 minute' * (i / 10) * 14, 'agent-' || i %% 3 FROM generate_series(0, %s) i",
        999,
    )
    database.execute(f"ANALYZE {name}")
    policies(**{name: POLICY})


def attached(database: Database) -> object:
    return count(database, "pg_inherits", "inhparent = 'log'::regclass")


PAST = "at < now() - interval '3 days'"


@pytest.mark.parametrize("default", [True, False])
def test_whole_partitions_are_dropped(cli: Cli, database: Database, default: bool) -> None:
    log(database, default=default)
    expected = count(database, where=PAST)
    (row,) = purge(cli, database)
    # Of ten days, six are wholly past; the seventh is cut by the time of day.
    assert (row["partitions"], row["rows"], row["state"]) == (6, expected, "done")
    assert "partitions" in str(row["by"])
    assert attached(database) == (5 if default else 4)
    assert count(database, where=PAST) == 0
    assert count(database) == (1015 if default else 1000) - int(str(expected))
    assert database.value("SELECT count(*) FROM pg_class WHERE relname LIKE 'log_2%' AND NOT"
                          " relispartition AND relkind = 'r'") == 0  # fmt: skip
    assert purge(cli, database)[0]["rows"] == 0


def test_partitions_can_be_kept_detached(cli: Cli, database: Database) -> None:
    log(database)
    (row,) = purge(cli, database, "--keep-detached")
    assert row["partitions"] == 6
    loose = database.execute(
        "SELECT relname, obj_description(oid) FROM pg_class"
        " WHERE relname LIKE 'log_2%' AND NOT relispartition AND relkind = 'r'"
    )
    mark = 'agentdb purge: detached from "public"."log", to be kept'
    assert [comment for _, comment in loose] == [mark] * 6
    assert [count(database, str(name)) for name, _ in loose] == [100] * 6
    assert purge(cli, database)[0]["partitions"] == 0


@contextmanager
def reading(database: Database) -> Iterator[psycopg.Connection]:
    """Another session that has read the table and is not done."""
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT count(*) FROM log")
        yield connection
        connection.rollback()


def test_a_long_reader_is_not_in_anybody_s_way(cli: Cli, database: Database) -> None:
    """While partitions cannot be had, others go on reading and writing."""
    log(database)
    with reading(database) as other:
        pid = other.info.backend_pid
        waits: list[float] = []
        done = threading.Event()

        def write() -> None:
            with psycopg.connect(database.url, autocommit=True) as writer:
                writer.execute("SET statement_timeout = '2s'")
                while not done.is_set():
                    writer.execute("INSERT INTO log (at) VALUES (now())")
                    waits.append(0)

        thread = threading.Thread(target=write)
        thread.start()
        eventually(lambda: bool(waits))
        err = refusal(cli, database, "--lock-timeout", "1s")
        done.set()
        thread.join()
    assert err.startswith(
        "error: 1 of 1 tables not purged to the end:\n"
        f"  public.log: public.log is locked by pid {pid} ("
    )
    assert "its partitions were not to be had within 1 s" in err
    assert attached(database) == 11
    assert count(database) == 1015 + len(waits)
    assert purge(cli, database)[0]["partitions"] == 6


def test_a_detach_that_was_broken_off_is_finished(cli: Cli, database: Database) -> None:
    """As a killed purge leaves it: marked, invisible through the parent, not yet detached."""
    log(database, default=False)
    name = database.value(
        "SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'log'::regclass"
    )
    mark = 'agentdb purge: detached from "public"."log", to be dropped'
    database.execute(f"COMMENT ON TABLE {name} IS '{mark}'")
    with reading(database), psycopg.connect(database.url, autocommit=True) as killed:
        killed.execute("SET lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            killed.execute(f"ALTER TABLE log DETACH PARTITION {name} CONCURRENTLY")
    assert database.value("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1
    assert purge(cli, database)[0]["partitions"] == 6
    assert database.value(f"SELECT to_regclass('{name}')") is None


def test_a_detached_partition_of_a_killed_purge_is_dropped(cli: Cli, database: Database) -> None:
    log(database, default=False)
    database.execute(
        "CREATE TABLE lost AS SELECT now() AS at; COMMENT ON TABLE lost IS "
        '\'Of last week.\nagentdb purge: detached from "public"."log", to be dropped\';'
        "CREATE TABLE other AS SELECT now() AS at; COMMENT ON TABLE other IS "
        '\'agentdb purge: detached from "public"."logs", to be dropped\''
    )
    (row,) = purge(cli, database)
    assert row["partitions"] == 7
    assert database.value("SELECT to_regclass('lost')") is None
    assert count(database, "other") == 1


def test_conditions_delete_by_rows_and_drop_what_is_empty(cli: Cli, database: Database) -> None:
    log(database)
    policies(log=POLICY + "\nwhere = \"agent IS DISTINCT FROM 'agent-1'\"")
    expected = count(database, where=f"{PAST} AND agent IS DISTINCT FROM 'agent-1'")
    (row,) = purge(cli, database)
    assert (row["rows"], row["partitions"]) == (expected, 0)
    assert attached(database) == 11
    policies(log=POLICY + '\nwhere = "agent IS NOT NULL OR true"')
    (row,) = purge(cli, database)
    assert row["partitions"] == 6
    assert count(database, where=PAST) == 0


def test_triggers_see_each_row(cli: Cli, database: Database) -> None:
    log(database)
    database.execute(
        "CREATE TABLE deleted (id bigint);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO deleted VALUES (OLD.id); RETURN OLD; END$$;"
        "CREATE TRIGGER noted AFTER DELETE ON log FOR EACH ROW EXECUTE FUNCTION note()"
    )
    (row,) = purge(cli, database)
    assert row["partitions"] == 6
    assert count(database, "deleted") == row["rows"]
    assert int(str(row["rows"])) > 600


def test_a_partition_past_its_time_that_others_refer_to(cli: Cli, database: Database) -> None:
    log(database)
    database.execute(
        "CREATE TABLE notes (at timestamptz, id bigint, FOREIGN KEY (at, id) REFERENCES log"
        " ON DELETE CASCADE); CREATE INDEX ON notes (at, id);"
        "INSERT INTO notes SELECT at, id FROM log"
    )
    (row,) = purge(cli, database)
    assert row["partitions"] == 6
    assert count(database, where=PAST) == 0
    assert count(database, "notes", PAST) == 0
    assert count(database, "notes") == count(database)


def test_other_ways_to_partition_lose_rows(cli: Cli, database: Database) -> None:
    database.execute(
        "CREATE TABLE log (at timestamptz, agent int) PARTITION BY LIST (agent);"
        "CREATE TABLE one PARTITION OF log FOR VALUES IN (1) PARTITION BY RANGE (at);"
        "CREATE TABLE one_all PARTITION OF one DEFAULT;"
        "CREATE TABLE two PARTITION OF log DEFAULT;"
        "INSERT INTO log SELECT now() - interval '1 day' * i, i % 3 FROM generate_series(1, 9) i"
    )
    policies(log=POLICY)
    (row,) = purge(cli, database)
    assert (row["rows"], row["partitions"]) == (7, 0)
    assert count(database) == 2


def test_partitions_into_an_archive(cli: Cli, database: Database) -> None:
    log(database)
    expected = count(database, where=PAST)
    (row,) = purge(cli, database, "--archive", "old")
    assert (row["rows"], row["archived"], row["partitions"]) == (expected, expected, 6)
    before = database.execute("SELECT max(id), min(at) FROM log")
    result = cli("import", "archive", "old", "-d", database.url, "--yes")
    assert result.code == 0, result.err
    assert count(database) == 1015
    assert before != database.execute("SELECT max(id), min(at) FROM log")


@pytest.mark.parametrize("default", [True, False])
def test_the_default_pack(cli: Cli, database18: Database, default: bool) -> None:
    """--days changes what is not fixed; and the purge leaves a line in the event table."""
    assert cli("migrate", "-d", database18.url).code == 0
    database18.execute(
        "SELECT core.create_partitions('telemetry.heartbeats', current_date - 12, current_date);"
        "INSERT INTO agent.agents (id, name, state) VALUES ('a', 'a', 'running')"
    )
    for table in ("telemetry.heartbeats", "telemetry.llm_calls", "auth.audit_events"):
        columns = {
            "telemetry.heartbeats": "(agent_id, occurred_at) SELECT 'a', day",
            "telemetry.llm_calls": "(model, prompt, occurred_at) SELECT 'm', '', day",
            "auth.audit_events": "(event_type, occurred_at) SELECT 'login', day",
        }[table]
        database18.execute(
            f"INSERT INTO {table} {columns} FROM"
            " (SELECT now() - interval '1 day' * i FROM generate_series(1, 200) i) AS d (day)"
        )
    if not default:
        database18.execute("DROP TABLE telemetry.heartbeats_default")
    rows = {row["table"]: row for row in purge(cli, database18, "--days", "10")}
    assert rows["telemetry.heartbeats"]["partitions"] == 2
    assert count(database18, "telemetry.heartbeats") == 9
    assert count(database18, "telemetry.llm_calls") == 89
    assert count(database18, "auth.audit_events") == 179
    purge(cli, database18, "--days", "10", "--table", "auth.audit_events")
    assert count(database18, "auth.audit_events") == 9
    ((data, severity),) = database18.execute(
        "SELECT event_data, severity FROM telemetry.events WHERE event_type = 'agentdb_purge'"
        " ORDER BY occurred_at LIMIT 1"
    )
    assert severity == "INFO"
    assert data["telemetry.heartbeats"]["partitions"] == 2
    assert data["auth.audit_events"]["rows"] == 21


def test_a_pack_in_a_schema_of_its_own(cli: Cli, database: Database) -> None:
    """Its tables and its tracking table are where --schema says."""
    options = ("--pack", "background-agents", "--schema", "ops")
    assert cli("migrate", "-d", database.url, *options).code == 0
    database.execute("INSERT INTO ops.agents (agent_id, state) VALUES ('a', 'running')")
    database.execute(
        "INSERT INTO ops.agent_heartbeats (agent_id, timestamp, state) SELECT 'a',"
        " now() - interval '1 day' * i, 'running' FROM generate_series(1, 40) AS i"
    )
    rows = {row["table"]: row["rows"] for row in purge(cli, database, "--schema", "ops")}
    assert rows["ops.agent_heartbeats"] == 11
    assert count(database, "ops.system_events", "event_type = 'agentdb_purge'") == 1


# --- Behind a pooler ---------------------------------------------------------------


def test_through_pgbouncer(cli: Cli, database18: Database, pgbouncer: str) -> None:
    """In transaction mode: nothing of a session is left behind, and one purge at a time."""
    log(database18, default=False)
    (row,) = purge(cli, replace(database18, url=pgbouncer), "--archive", "old")
    assert (row["partitions"], row["state"]) == (6, "done")
    assert count(database18, where=PAST) == 0
    assert count(database18, "pg_locks", "locktype = 'advisory'") == 0
    assert count(database18, "pg_stat_activity", "state = 'idle in transaction'") == 0
    with psycopg.connect(database18.url) as other:
        assert advisory.try_lock(other, "purge")
        result = cli("purge", "-d", pgbouncer)
    assert result.code == 0
    assert "another purge is at work, so nothing was done: pid " in result.err
