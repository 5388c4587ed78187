"""`agentdb retention partitions`: partitions ahead of time, and rows where they belong."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, Result
from purging import Cli, count, policies

from agentdb_cli.postgres import advisory
from agentdb_cli.retention.attach import Maker
from agentdb_cli.retention.upkeep import Step
from waiting import eventually

DAY = timedelta(days=1)


def partitions(cli: Cli, database: Database, *arguments: object) -> list[dict[str, object]]:
    """The rows of a run that succeeds."""
    result = cli("retention", "partitions", "-d", database.url, "-f", "json", *arguments)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert isinstance(rows, list)
    return rows


def refusal(cli: Cli, database: Database, *arguments: object) -> str:
    result = cli("retention", "partitions", "-d", database.url, "--quiet", *arguments)
    assert result.code == 1, result.err
    return result.err


def today(database: Database, zone: str = "UTC") -> date:
    found = database.value("SELECT (now() AT TIME ZONE %s)::date", zone)
    assert isinstance(found, date)
    return found


def fingerprint(database: Database, table: str) -> object:
    """One value for all rows of a table, wherever they are."""
    return database.value(
        f"SELECT count(*) || md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} t"
    )


def bounds(database: Database, table: str) -> dict[str, str]:
    return {
        str(name): str(bound)
        for name, bound in database.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = %s::regclass ORDER BY 1",
            table,
        )
    }


def events(
    database: Database, *, default: bool = True, days: int = 2, name: str = "events"
) -> None:
    """A table with daily partitions in UTC, up to yesterday."""
    database.execute(
        f"CREATE TABLE {name} (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,"
        " body text DEFAULT 'x', PRIMARY KEY (at, id)) PARTITION BY RANGE (at)"
    )
    now = today(database)
    for back in range(1, days + 1):
        day = now - back * DAY
        database.execute(
            f"CREATE TABLE {name}_{day:%Y%m%d} PARTITION OF {name}"
            f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day + DAY} 00:00+00')"
        )
    if default:
        database.execute(f"CREATE TABLE {name}_default PARTITION OF {name} DEFAULT")


# --- Partitions ahead --------------------------------------------------------


@pytest.mark.parametrize("default", [True, False])
def test_a_week_ahead_by_default_and_nothing_the_second_time(
    cli: Cli, database: Database, default: bool
) -> None:
    events(database, default=default)
    now = today(database)
    rows = partitions(cli, database, "events")
    assert [row["partition"] for row in rows] == [
        f"events_{now + n * DAY:%Y%m%d}" for n in range(8)
    ]
    assert {row["state"] for row in rows} == {"created"}
    assert partitions(cli, database, "events") == []
    again = cli("retention", "partitions", "-d", database.url, "events", "--quiet")
    assert again == Result(0, "", "")
    told = cli("retention", "partitions", "-d", database.url, "events")
    assert told == Result(0, "", "every table has its partitions; nothing to do\n")


def test_a_dry_run_changes_nothing(cli: Cli, database: Database) -> None:
    events(database)
    database.execute("INSERT INTO events (at) VALUES (now()), (now())")
    before = bounds(database, "events")
    rows = partitions(cli, database, "events", "--ahead", "1", "--dry-run")
    assert [(row["state"], row["moved"]) for row in rows] == [("missing", 2), ("missing", 0)]
    shown = cli("retention", "partitions", "-d", database.url, "events", "--dry-run")
    assert shown.out.endswith("dry run: nothing was changed\n")
    assert bounds(database, "events") == before


def test_the_agentdb_pack_is_kept_as_its_own_function_makes_it(
    cli: Cli, database18: Database
) -> None:
    assert cli("migrate", "-d", database18.url, "--quiet").code == 0
    now = today(database18)
    rows = partitions(cli, database18, "--ahead", "10")
    tables = {row["table"] for row in rows}
    assert tables == {
        "telemetry.heartbeats", "telemetry.metrics", "telemetry.events",
        "telemetry.routing_decisions", "telemetry.agent_messages", "telemetry.llm_calls",
        "auth.audit_events",
    }  # fmt: skip
    for table in tables:
        # The next day by the pack's own function must not differ from what was made here.
        day = now + 11 * DAY
        assert (
            database18.value(
                "SELECT core.create_partitions(%s::regclass, %s, %s)", table, day - DAY, day
            )
            == 1
        )
        made, model = f"{table}_{day - DAY:%Y%m%d}", f"{table}_{day:%Y%m%d}"
        assert looks(database18, made) == looks(database18, model)
    assert partitions(cli, database18, "--ahead", "11") == []


def looks(database: Database, table: str) -> list[tuple]:
    """What the catalog says of a partition, without its name and day."""
    name = table.split(".")[-1]
    return database.execute(
        "SELECT 1, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull::text,"
        "  pg_get_expr(d.adbin, d.adrelid), concat(a.attstorage, a.attcompression)"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND adnum = attnum"
        " WHERE attrelid = %(t)s::regclass AND attnum > 0"
        " UNION ALL SELECT 2, replace(pg_get_indexdef(indexrelid), %(n)s, ''), indisprimary::text,"
        "  indisvalid::text, indisreplident::text, '' FROM pg_index"
        "  WHERE indrelid = %(t)s::regclass"
        " UNION ALL SELECT 3, replace(conname, %(n)s, ''), pg_get_constraintdef(oid),"
        "  convalidated::text, conislocal::text, coninhcount::text FROM pg_constraint"
        "  WHERE conrelid = %(t)s::regclass"
        " UNION ALL SELECT 4, tgname, tgenabled::text, tgtype::text, tgfoid::regproc::text, ''"
        "  FROM pg_trigger WHERE tgrelid = %(t)s::regclass AND NOT tgisinternal"
        " UNION ALL SELECT 5, relowner::regrole::text, reloptions::text, relacl::text,"
        "  concat(relreplident, relrowsecurity, relforcerowsecurity, relpersistence),"
        "  reltablespace::text FROM pg_class WHERE oid = %(t)s::regclass"
        " ORDER BY 1, 2, 3".replace("%(t)s", f"'{quoted(table)}'").replace("%(n)s", f"'{name}'")
    )


def quoted(table: str) -> str:
    return table.replace("'", "''")


def test_a_new_partition_is_like_its_newest_sibling(cli: Cli, database: Database) -> None:
    events(database)
    newest = f"events_{today(database) - DAY:%Y%m%d}"
    role = f"partitions_reader_{database.major}"
    database.execute(f"DROP ROLE IF EXISTS {role}")
    database.execute(f"CREATE ROLE {role}")
    database.execute(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    database.execute(
        "CREATE TRIGGER note BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION noted()"
    )
    database.execute("CREATE INDEX ON events (body)")
    database.execute("ALTER TABLE events ALTER body SET STORAGE EXTERNAL")
    database.execute(f"ALTER TABLE {newest} ALTER body SET STORAGE EXTERNAL")
    database.execute(
        f"ALTER TABLE {newest} SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 90,"
        " toast.autovacuum_enabled = off)"
    )
    database.execute(f"GRANT SELECT, INSERT ON {newest} TO {role}")
    database.execute(f"ALTER TABLE {newest} ENABLE ROW LEVEL SECURITY")
    database.execute(f"ALTER TABLE {newest} REPLICA IDENTITY USING INDEX {newest}_pkey")
    try:
        partitions(cli, database, "events", "--ahead", "0")
        new = f"events_{today(database):%Y%m%d}"

        def of(table: str) -> str:
            # ATTACH numbers names on 15 and 18 alike, but LIKE marks constraints as local.
            return str([row for row in looks(database, table) if row[0] != 3])

        assert of(new) == of(newest)
        toast = "SELECT reloptions FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class"
        assert database.value(f"{toast} WHERE oid = %s::regclass)", new) == [
            "autovacuum_enabled=off"
        ]
    finally:
        database.execute(f"DROP OWNED BY {role}")
        database.execute(f"DROP ROLE {role}")


def test_what_a_sibling_has_for_itself_is_said(cli: Cli, database: Database) -> None:
    events(database)
    newest = f"events_{today(database) - DAY:%Y%m%d}"
    database.execute(f"CREATE INDEX own_idx ON {newest} (body)")
    database.execute(f"ALTER TABLE {newest} ADD CONSTRAINT short CHECK (length(body) < 9)")
    done = cli("retention", "partitions", "-d", database.url, "events")
    assert done.code == 0
    assert (
        f"public.events: public.{newest} has for itself, and new partitions have not:"
        " index own_idx, constraint short\n"
    ) in done.err


def test_a_member_of_the_owners_role_makes_partitions_for_it(cli: Cli, database: Database) -> None:
    events(database)
    owner, member = f"partitions_owner_{database.major}", f"partitions_member_{database.major}"
    for role in (member, owner):
        database.execute(f"DROP ROLE IF EXISTS {role}")
        database.execute(f"CREATE ROLE {role}")
        database.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    for table in ("events", *bounds(database, "events")):
        database.execute(f"ALTER TABLE {table} OWNER TO {owner}")
    url = f"{database.url}&options=-crole%3D{member}"
    arguments = ("retention", "partitions", "-d", url, "events", "--ahead", "0")
    database.execute("INSERT INTO events (at) VALUES (now())")
    try:
        refused = cli(*arguments)
        assert refused.code == 1
        assert f"events belongs to {owner}, and " in refused.err
        database.execute(f"GRANT {owner} TO {member}")
        done = cli(*arguments)
        assert done.code == 0, done.err
        new = f"events_{today(database):%Y%m%d}"
        assert count(database, new) == 1
        assert (
            database.value("SELECT relowner::regrole::text FROM pg_class WHERE relname = %s", new)
            == owner
        )
    finally:
        database.execute(f"DROP OWNED BY {owner}, {member}")
        database.execute(f"DROP ROLE {owner}, {member}")


# --- Names, bounds and zones -------------------------------------------------


def test_weekly_and_monthly_tables_follow_their_own_names(cli: Cli, database: Database) -> None:
    now = today(database)
    sunday = now - timedelta(days=(now.weekday() + 1) % 7 + 7)
    database.execute("CREATE TABLE weekly (at date NOT NULL) PARTITION BY RANGE (at)")
    database.execute(
        f"CREATE TABLE weekly_p{sunday:%Y_%m_%d} PARTITION OF weekly"
        f" FOR VALUES FROM ('{sunday}') TO ('{sunday + 7 * DAY}')"
    )
    first = now.replace(day=1)
    before = (first - DAY).replace(day=1)
    database.execute('CREATE TABLE "Monthly" (at timestamp NOT NULL) PARTITION BY RANGE (at)')
    database.execute(
        f'CREATE TABLE "Monthly_p{before:%Y_%m}" PARTITION OF "Monthly"'
        f" FOR VALUES FROM ('{before}') TO ('{first}')"
    )
    assert [row["partition"] for row in partitions(cli, database, "weekly", "--ahead", "0")] == [
        f"weekly_p{sunday + 7 * DAY:%Y_%m_%d}"
    ]
    made = partitions(cli, database, '"Monthly"', "--ahead", "31")
    assert made[0]["partition"] == f"Monthly_p{first:%Y_%m}"
    assert made[0]["table"] == "public.Monthly"
    assert 2 <= len(made) <= 3
    database.execute('INSERT INTO "Monthly" VALUES (localtimestamp)')
    database.execute("INSERT INTO weekly VALUES (current_date)")


def test_days_are_those_of_the_zone_in_which_the_bounds_are_midnight(
    cli: Cli, database: Database
) -> None:
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER DATABASE \"{name}\" SET TimeZone = 'Europe/Berlin'")
    database.execute("SET TimeZone = 'Europe/Berlin'")
    for table, kind in (("zoned", "timestamptz"), ("naive", "timestamp")):
        database.execute(f"CREATE TABLE {table} (at {kind} NOT NULL) PARTITION BY RANGE (at)")
        now = today(database, "Europe/Berlin")
        database.execute(
            f"CREATE TABLE {table}_{now:%Y%m%d} PARTITION OF {table}"
            f" FOR VALUES FROM ('{now}') TO ('{now + DAY}')"
        )
    rows = partitions(cli, database, "zoned", "naive", "--ahead", "400")
    assert len(rows) == 800
    # Over a year both changes of the clock have come by: a day of 23 hours and one of 25.
    hours = database.execute(
        "SELECT DISTINCT extract(epoch FROM m[2]::timestamptz - m[1]::timestamptz)::int / 3600"
        " FROM pg_class, regexp_match(pg_get_expr(relpartbound, oid),"
        " $$FROM \\('(.*)'\\) TO \\('(.*)'\\)$$) AS m WHERE relname ~ '^zoned_' ORDER BY 1"
    )
    assert hours == [(23,), (24,), (25,)]
    for table in ("zoned", "naive"):  # no gap: a row an hour finds its partition
        database.execute(
            f"INSERT INTO {table} SELECT generate_series(date_trunc('day', now()),"
            " date_trunc('day', now()) + interval '400 days', '1 hour')"
        )


def test_bounds_of_an_unknown_zone_are_not_guessed(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE log (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    database.execute(
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01 00:00+05:30')"
        " TO ('2024-01-02 00:00+05:30')"
    )
    database.execute("SET TimeZone = 'UTC'")
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER DATABASE \"{name}\" SET TimeZone = 'Europe/Berlin'")
    assert refusal(cli, database, "log") == (
        "error: not all partitions were made:\n"
        "  log: the bounds of log's partitions are midnight neither in UTC nor Europe/Berlin;"
        " name their time zone in the environment variable PGTZ, such as PGTZ=Europe/Berlin\n"
    )


def test_names_with_quotes_and_all(cli: Cli, database: Database) -> None:
    sql = '"we""ird\'s %s Schema"."T""%(x)s"'
    database.connection.execute(b'CREATE SCHEMA "we""ird\'s %s Schema"')
    database.connection.execute(
        f'CREATE TABLE {sql} ("At\'""%" timestamptz NOT NULL, "B%s" int, PRIMARY KEY ("At\'""%"))'
        ' PARTITION BY RANGE ("At\'""%")'.encode()
    )
    default = sql[:-1] + '_default"'
    database.connection.execute(f"CREATE TABLE {default} PARTITION OF {sql} DEFAULT".encode())
    database.connection.execute(f"INSERT INTO {sql} VALUES (now(), 1)".encode())
    Path("agentdb.toml").write_text(
        f"[retention.{json.dumps(sql)}]\ntime_column = 'x'\ndays = 3\npartitioned = 'day'\n"
    )
    rows = partitions(cli, database, "--ahead", "1")
    assert [row["moved"] for row in rows] == [1, 0]
    assert rows[0]["partition"] == f'T"%(x)s_{today(database):%Y%m%d}'


def test_a_table_in_the_way_does_not_stop_the_others(cli: Cli, database: Database) -> None:
    events(database)
    now = today(database)
    database.execute(f"CREATE TABLE events_{now:%Y%m%d} (x int)")
    err = refusal(cli, database, "events", "--ahead", "1")
    assert err == (
        "error: not all partitions were made:\n"
        f"  public.events, events_{now:%Y%m%d}: a table public.events_{now:%Y%m%d} exists,"
        " but is no partition of it; rename it, drop it, or attach it yourself\n"
    )
    assert f"events_{now + DAY:%Y%m%d}" in bounds(database, "events")


# --- Rows that have landed in the default partition --------------------------


def test_rows_are_moved_as_they_are(cli: Cli, database: Database) -> None:
    """Generated and identity columns, dropped ones, triggers: each row comes out the same."""
    database.execute(
        "CREATE TABLE log (gone int, id bigint GENERATED ALWAYS AS IDENTITY,"
        " at timestamptz NOT NULL, body text, n numeric DEFAULT 7, changed timestamptz,"
        " length int GENERATED ALWAYS AS (length(body)) STORED, PRIMARY KEY (at, id))"
        " PARTITION BY RANGE (at)"
    )
    database.execute("ALTER TABLE log DROP COLUMN gone")
    # The default partition has its columns in another order.
    database.execute(
        "CREATE TABLE log_default (body text, n numeric, changed timestamptz,"
        " length int GENERATED ALWAYS AS (length(body)) STORED,"
        " at timestamptz NOT NULL, id bigint NOT NULL)"
    )
    database.execute("ALTER TABLE log ATTACH PARTITION log_default DEFAULT")
    database.execute(
        "INSERT INTO log (at, body, n) SELECT now() - i * interval '1 hour', repeat('ä', i % 9),"
        " nullif(i % 5, 0) FROM generate_series(-30, 200) i"
    )
    database.execute("CREATE TABLE fired (what text)")
    database.execute(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO fired VALUES (tg_op); NEW.changed = now(); RETURN NEW; END$$"
    )
    for timing in ("BEFORE INSERT OR UPDATE", "AFTER INSERT OR DELETE"):
        database.execute(
            f"CREATE TRIGGER note_{timing[:2]} {timing} ON log FOR EACH ROW"
            " EXECUTE FUNCTION noted()"
        )
    database.execute("CREATE TRIGGER all_gone AFTER DELETE ON log_default EXECUTE FUNCTION noted()")
    database.execute("ALTER TABLE log_default ENABLE ALWAYS TRIGGER all_gone")
    enabled = "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'log_default'::regclass"
    before, triggers = fingerprint(database, "log"), database.execute(f"{enabled} ORDER BY 1")
    policies(log='time_column = "at"\ndays = 400\npartitioned = "day"')
    rows = partitions(cli, database, "--ahead", "2")
    assert fingerprint(database, "log") == before
    assert sum(int(str(row["moved"])) for row in rows) == 231
    assert count(database, "log_default") == 0
    assert count(database, "fired") == 0
    assert database.execute(f"{enabled} ORDER BY 1") == triggers
    database.execute("INSERT INTO log (at) VALUES (now())")
    assert count(database, "fired") == 2


def test_rows_past_their_time_are_left_to_purge(cli: Cli, database: Database) -> None:
    events(database)
    policies(events='time_column = "at"\ndays = 30\npartitioned = "day"')
    database.execute(
        "INSERT INTO events (at) SELECT now() - i * interval '1 day'"
        " FROM unnest(ARRAY[0, 0, 5, 40, 41, -3, -50]) i"
    )
    done = cli("retention", "partitions", "-d", database.url, "--ahead", "1", "-f", "json")
    moved = {row["from"]: row["moved"] for row in json.loads(done.out)}
    now = today(database)
    assert moved == {str(now - 5 * DAY): 1, str(now): 2, str(now + DAY): 0}
    assert done.err == (
        "public.events_default: 2 rows past their time stay there; agentdb purge deletes them\n"
        "public.events_default: 2 rows of days further ahead stay there; --ahead reaches them\n"
    )
    assert count(database, "events") == 7
    assert count(database, "events_default") == 4


def test_a_day_without_rows_in_the_past_is_not_made(cli: Cli, database: Database) -> None:
    events(database, days=1)
    database.execute("INSERT INTO events (at) VALUES (now() - interval '3 days')")
    rows = partitions(cli, database, "events", "--ahead", "0")
    now = today(database)
    assert [row["from"] for row in rows] == [str(now - 3 * DAY), str(now)]


def test_the_pack_with_rows_of_past_and_coming_days(cli: Cli, database18: Database) -> None:
    assert cli("migrate", "-d", database18.url, "--quiet").code == 0
    database18.execute("INSERT INTO agent.agents (id, name) VALUES ('a', 'a')")
    database18.execute(
        "INSERT INTO telemetry.heartbeats (agent_id, occurred_at, metrics)"
        " SELECT 'a', now() + i * interval '6 hours', '{}' FROM generate_series(-160, 60) i"
    )
    before = fingerprint(database18, "telemetry.heartbeats")
    rows = partitions(cli, database18, "telemetry.heartbeats", "--ahead", "20")
    assert fingerprint(database18, "telemetry.heartbeats") == before
    assert sum(int(str(row["moved"])) for row in rows) > 100
    left = database18.value(
        "SELECT count(*) FROM telemetry.heartbeats_default"
        " WHERE occurred_at > now() - interval '29 days'"
    )
    assert left == 0
    assert database18.value(
        "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid::regclass::text LIKE 'telemetry.heartbeats%%'"
    )


def test_rows_that_others_refer_to_are_left(cli: Cli, database: Database) -> None:
    events(database)
    database.execute(
        "CREATE TABLE notes (at timestamptz, id bigint,"
        " FOREIGN KEY (at, id) REFERENCES events ON DELETE CASCADE)"
    )
    database.execute("INSERT INTO events (at) VALUES (now())")
    database.execute("INSERT INTO notes SELECT at, id FROM events")
    err = refusal(cli, database, "events", "--ahead", "1")
    now = today(database)
    assert err == (
        "error: not all partitions were made:\n"
        f"  public.events, events_{now:%Y%m%d}: foreign keys of notes refer to its rows, and moving"
        " them out of public.events_default would count as deleting them\n"
    )
    assert count(database, "notes") == 1
    assert f"events_{now + DAY:%Y%m%d}" in bounds(database, "events")


# --- Locks -------------------------------------------------------------------


def test_what_would_lock_for_long_needs_consent(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentdb_cli.retention.attach.LONGEST_LOCK", 0.005)
    events(database)
    database.execute("INSERT INTO events (at) SELECT now() FROM generate_series(1, 30000)")
    err = refusal(cli, database, "events", "--ahead", "0")
    assert "moving 30,000 rows would lock the table for about " in err
    assert err.endswith(": needs --yes\n")
    assert count(database, "events_default") == 30000
    (shown,) = partitions(cli, database, "events", "--ahead", "0", "--dry-run")
    assert str(shown["detail"]).startswith("moving 30,000 rows would lock")
    (row,) = partitions(cli, database, "events", "--ahead", "0", "--yes")
    assert (row["state"], row["moved"]) == ("created", 30000)
    assert database.value("SELECT to_regclass('public.\"agentdb trial\"')") is None


def test_a_lock_that_is_not_to_be_had_changes_nothing(cli: Cli, database: Database) -> None:
    events(database)
    before = bounds(database, "events")
    with psycopg.connect(database.url, application_name="report") as reader:
        reader.execute("SELECT FROM events")
        pid = reader.info.backend_pid
        err = refusal(cli, database, "events", "--ahead", "0", "--lock-timeout", "300ms")
    assert f"public.events is locked by pid {pid} (report, idle in" in err
    assert "the lock was not to be had within 0.3 s; run it again" in err
    assert bounds(database, "events") == before


def test_a_table_that_is_referred_to_may_be_locked(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE agents (id int PRIMARY KEY)")
    events(database, default=False)
    database.execute("ALTER TABLE events ADD agent int REFERENCES agents")
    with psycopg.connect(database.url) as writer:
        writer.execute("INSERT INTO agents VALUES (1)")
        err = refusal(cli, database, "events", "--ahead", "0", "--lock-timeout", "300ms")
    assert "public.events is locked, or a table that it refers to is; the lock was not" in err
    assert len(partitions(cli, database, "events", "--ahead", "0")) == 1


def test_open_ends_and_times_that_are_none(cli: Cli, database: Database) -> None:
    events(database)
    now = today(database)
    database.execute(
        f"CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE)"
        f" TO ('{now - 10 * DAY} 00:00+00')"
    )
    database.execute(
        f"CREATE TABLE events_far PARTITION OF events FOR VALUES FROM"
        f" ('{now + 3 * DAY} 00:00+00') TO (MAXVALUE)"
    )
    database.execute("INSERT INTO events (at) VALUES ('-infinity'), ('infinity')")
    rows = partitions(cli, database, "events")
    assert [row["from"] for row in rows] == [str(now + n * DAY) for n in range(3)]


def test_a_zero_time_gets_no_partition(cli: Cli, database: Database) -> None:
    events(database)
    database.execute(
        "INSERT INTO events (at) VALUES ('0001-01-01 00:00+00'), ('-infinity'), ('4713-01-01 BC'),"
        " ('infinity'), ('294276-01-01')"
    )
    rows = partitions(cli, database, "events", "--ahead", "0")
    assert [row["from"] for row in rows] == [str(today(database))]
    assert count(database, "events_default") == 5


def test_a_session_that_would_not_find_moved_rows_is_waited_for(
    cli: Cli, database: Database
) -> None:
    events(database)
    database.execute("INSERT INTO events (at) VALUES (now())")
    with psycopg.connect(database.url, application_name="export") as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1")
        err = refusal(cli, database, "events", "--ahead", "0", "--lock-timeout", "300ms")
        assert "(export) is idle in a transaction that would not find the moved rows" in err
        assert old.execute("SELECT count(*) FROM events").fetchone() == (1,)
    (row,) = partitions(cli, database, "events", "--ahead", "0")
    assert row["moved"] == 1


def test_two_runs_do_not_collide(cli: Cli, database: Database) -> None:
    events(database)
    with psycopg.connect(database.url, application_name="other", autocommit=True) as other:
        assert advisory.try_lock(other, "partitions")
        done = cli("retention", "partitions", "-d", database.url, "events")
    assert done.code == 0
    assert done.err.startswith("another run is at work, so nothing was done: pid ")
    assert done.out == ""
    assert len(partitions(cli, database, "events")) == 8


@contextmanager
def writers(database: Database, number: int = 3) -> Iterator[dict[str, float]]:
    """Sessions that insert rows of now and look at all they have written, again and again."""
    stop, told = threading.Event(), {"rows": 0.0, "stall": 0.0, "missed": 0.0}
    lock, problems = threading.Lock(), []

    def write(who: int) -> None:
        try:
            with psycopg.connect(database.url, autocommit=True) as connection:
                written = 0
                while not stop.is_set():
                    begun = time.monotonic()
                    connection.execute(
                        "INSERT INTO events (at, body) VALUES (clock_timestamp(), %s)", (str(who),)
                    )
                    written += 1
                    row = connection.execute(
                        "SELECT count(*) FROM events WHERE body = %s", (str(who),)
                    ).fetchone()
                    with lock:
                        told["rows"] += 1
                        told["missed"] += row != (written,)
                        told["stall"] = max(told["stall"], time.monotonic() - begun)
        except psycopg.Error as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: told["rows"] > 50 or bool(problems))
        yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []


def test_nobody_loses_misses_or_doubles_a_row_meanwhile(cli: Cli, database: Database) -> None:
    events(database)
    database.execute(
        "INSERT INTO events (at, body) SELECT now() - i * interval '1 minute', 'old'"
        " FROM generate_series(1, 8000) i"
    )
    with writers(database) as told:
        rows = partitions(cli, database, "events", "--lock-timeout", "60s")
        after = told["rows"]
        eventually(lambda: told["rows"] > after + 50)
    print(f"{told['rows']:.0f} rows written meanwhile, longest stall {told['stall'] * 1000:.0f} ms")
    assert {row["state"] for row in rows} == {"created"}
    assert told["missed"] == 0
    assert count(database, "events") == 8000 + told["rows"]
    assert count(database, "events_default") == 0
    assert database.value("SELECT count(*) - count(DISTINCT (at, id)) FROM events") == 0


def test_who_waits_for_the_move_finds_the_rows_and_may_write(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting at the default partition alone, one would miss the rows, the other be refused."""
    events(database)
    database.execute("INSERT INTO events (at) SELECT now() FROM generate_series(1, 100)")
    seen: list[tuple[object, ...] | None] = []

    def session(statement: str) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            seen.append(cursor.fetchone() if cursor.description else None)

    sessions = [
        threading.Thread(target=session, args=(statement,))
        for statement in (
            "SELECT count(*) > 99 FROM events",
            "INSERT INTO events (at) VALUES (now()) RETURNING true",
        )
    ]
    move = Maker._move

    def held_up(*arguments: Any) -> int:
        moved = move(*arguments)
        for each in sessions:
            each.start()
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass"
        )
        with psycopg.connect(database.url, autocommit=True) as look:
            eventually(lambda: look.execute(waiting).fetchone() == (2,))
        return moved

    monkeypatch.setattr(Maker, "_move", held_up)
    partitions(cli, database, "events", "--ahead", "0", "--yes")
    for each in sessions:
        each.join()
    assert seen == [(True,), (True,)]
    assert count(database, "events") == 101
    assert count(database, "events_default") == 0


def test_a_row_that_comes_after_the_count_is_moved_too(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    events(database)
    seconds = Maker.seconds

    def late(maker: Maker, step: Step) -> float:
        database.execute("INSERT INTO events (at) VALUES (now())")
        return seconds(maker, step)

    monkeypatch.setattr(Maker, "seconds", late)
    (row,) = partitions(cli, database, "events", "--ahead", "0")
    assert row["moved"] == 1
    assert count(database, "events_default") == 0


# --- Refusals ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "statement", "reason"),
    [
        ("nowhere", "SELECT", "there is no table nowhere; agentdb retention list"),
        ("t", "CREATE TABLE t (at timestamptz)", "t is not partitioned; "),
        ("t", "CREATE VIEW t AS SELECT now() AS at", "t is not partitioned; "),
        ("t", "CREATE TABLE t (at date) PARTITION BY LIST (at)", "t is not partitioned by range; "),
        ("t", "CREATE TABLE t (at int) PARTITION BY RANGE (at)",
         "t is partitioned by at, which is no time but integer; "),
        ("t", "CREATE TABLE t (a date, b date) PARTITION BY RANGE (a, b)",
         "t is partitioned by more than one plain column; "),
        ("t", "CREATE TABLE t (at timestamp) PARTITION BY RANGE (date_trunc('day', at))",
         "t is partitioned by more than one plain column; "),
        ("t", "CREATE TABLE t (at date) PARTITION BY RANGE (at)",
         "the partitions of t show no interval of a day, week or month; declare it: "),
        ("t", "CREATE TABLE t (at date, k int) PARTITION BY RANGE (at);"
         "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')"
         " PARTITION BY LIST (k)", "the partitions of t are partitioned themselves; "),
        ("t1", "CREATE TABLE t (at date, k int) PARTITION BY RANGE (at);"
         "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')"
         " PARTITION BY RANGE (at)", "t1 is itself a partition; "),
        ("pg_class", "SELECT", "pg_class is not partitioned; "),
    ],
)  # fmt: skip
def test_tables_that_cannot_have_partitions(
    cli: Cli, database18: Database, table: str, statement: str, reason: str
) -> None:
    database18.execute(statement)
    err = refusal(cli, database18, table)
    assert err.startswith(f"error: not all partitions were made:\n  {table}: {reason}")


def test_without_a_table_and_a_policy(cli: Cli, database: Database) -> None:
    assert refusal(cli, database) == (
        "error: no retention policy says that its table is partitioned; nothing was done\n"
        "hint: name the tables, or agentdb retention set TABLE --days DAYS --partitioned day\n"
    )
