"""`agentdb retention set` and `check`: laying policies down, and whether they are kept."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from purging import Cli, count, policies, purge

FILE = Path("agentdb.toml")
HEAD = '# ours\n[connection]\nlock_timeout = "2s"   # short\n'


def log(database: Database, days: int = 60) -> None:
    """A table with an hourly row over some days, of three agents."""
    database.execute(
        "CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " created_at timestamptz NOT NULL, updated_at timestamptz, level text, agent text)"
    )
    database.execute(
        "INSERT INTO log (created_at, level, agent)"
        " SELECT now() - i * interval '1 hour', CASE WHEN i % 10 = 0 THEN 'ERROR' ELSE 'INFO' END,"
        f" 'agent-' || i % 3 FROM generate_series(0, {days * 24 - 1}) i"
    )
    database.execute("ANALYZE log")


def declare(cli: Cli, database: Database, *arguments: object) -> Result:
    return cli("retention", "set", "-d", database.url, *arguments)


def check(cli: Cli, database: Database, *arguments: object) -> tuple[Result, dict[str, dict]]:
    result = cli("retention", "check", "-d", database.url, "-f", "json", *arguments)
    rows = json.loads(result.out) if result.out else []
    return result, {row["table"]: row for row in rows}


def entries() -> dict[str, dict[str, object]]:
    return tomllib.loads(FILE.read_text()).get("retention", {})


# --- set -----------------------------------------------------------------------


def test_a_policy_is_laid_down_and_the_rest_of_the_file_stays(cli: Cli, database: Database) -> None:
    log(database)
    FILE.write_text(HEAD)
    done = declare(cli, database, "log", "--days", "30")
    assert done.code == 0
    assert FILE.read_text() == (f'{HEAD}\n[retention.log]\ndays = 30\ntime_column = "created_at"\n')
    told = done.err.splitlines()
    assert told[0] == "a row's age is counted from created_at, not from updated_at: --column"
    assert told[1] == f'wrote [retention."log"] in {FILE.absolute()}'
    # 60 days of hourly rows, of which the first 30 are kept.
    assert "): 719 rows, " in told[2] or "): 720 rows, " in told[2]
    assert told[2].endswith("; the next agentdb purge deletes them")
    assert told[3] == (
        "this index would make that faster:"
        ' CREATE INDEX CONCURRENTLY ON "public"."log" ("created_at");'
    )
    assert count(database) == 1440


def test_what_was_shown_is_what_purge_deletes(cli: Cli, database: Database) -> None:
    log(database)
    FILE.write_text(HEAD)
    arguments = ["--where", "level <> 'ERROR'", "--keep-last", "300", "--per", "agent"]
    done = declare(cli, database, "log", "--days", "30", *arguments)
    assert done.code == 0, done.err
    assert entries()["log"] == {
        "days": 30,
        "time_column": "created_at",
        "where": "level <> 'ERROR'",
        "keep_last": 300,
        "per": ["agent"],
    }
    shown = next(line for line in done.err.splitlines() if line.startswith("past their time"))
    (row,) = purge(cli, database)
    assert f": {row['rows']:,} rows, " in shown
    _, found = check(cli, database)
    assert (found["log"]["state"], found["log"]["due"], found["log"]["oldest"]) == ("ok", 0, None)


def test_a_change_keeps_what_is_not_named(cli: Cli, database: Database) -> None:
    log(database)
    FILE.write_text(HEAD)
    assert declare(cli, database, "log", "--days", "30", "--archive", "old").code == 0
    # The same table under another name is the same entry.
    done = declare(cli, database, "public.log", "--fixed", "--archive-format", "csv", "-f", "json")
    shown = json.loads(done.out)
    assert (shown["table"], shown["days"], shown["fixed"]) == ("log", 30, True)
    assert entries() == {
        "log": {
            "days": 30,
            "time_column": "created_at",
            "archive": "old",
            "archive_format": "csv",
            "fixed": True,
        }
    }


def test_an_archive_is_named_as_the_file_sees_it(cli: Cli, database: Database) -> None:
    log(database)
    Path("conf").mkdir()
    Path("conf/agentdb.toml").write_text(HEAD)
    done = declare(
        cli, database, "log", "--days", "9", "--archive", "old", "--config", "conf/agentdb.toml"
    )
    assert done.code == 0, done.err
    assert 'archive = "../old"' in Path("conf/agentdb.toml").read_text()


def test_an_environment_has_policies_of_its_own(cli: Cli, database: Database) -> None:
    log(database)
    FILE.write_text(f'{HEAD}[environments.prod]\nurl = "{database.url}"\n')
    assert declare(cli, database, "log", "--days", "30").code == 0
    done = cli("retention", "set", "--env", "prod", "log", "--days", "50")
    assert done.code == 0, done.err
    assert entries()["log"]["days"] == 30
    listed = json.loads(cli("retention", "list", "--env", "prod", "-f", "json").out)
    assert [(row["table"], row["days"]) for row in listed] == [("log", 50)]


def test_over_the_policy_of_a_pack_only_the_change_is_written(
    cli: Cli, database18: Database
) -> None:
    assert cli("migrate", "-d", database18.url, "--quiet").code == 0
    FILE.write_text(HEAD)
    done = declare(cli, database18, "telemetry.metrics", "--days", "7", "-f", "json")
    assert json.loads(done.out)["source"] == "agentdb.toml over pack agentdb"
    assert entries() == {"telemetry.metrics": {"days": 7}}
    assert declare(cli, database18, "telemetry.metrics", "--remove").code == 0
    assert FILE.read_text() == HEAD


def test_a_dry_run_writes_nothing(cli: Cli, database: Database) -> None:
    log(database)
    FILE.write_text(HEAD)
    done = declare(cli, database, "log", "--days", "30", "--dry-run")
    assert done.code == 0
    assert f"dry run: {FILE.absolute()} stays as it is" in done.err
    assert FILE.read_text() == HEAD


def test_a_proposal_stays_switched_off_until_somebody_agrees(cli: Cli, database: Database) -> None:
    log(database)
    policies(log='time_column = "created_at"\ndays = 30\nenabled = false')
    done = declare(cli, database, "log", "--days", "20")
    assert "the policy of log is switched off; --enabled makes it count" in done.err
    assert entries()["log"]["enabled"] is False
    assert declare(cli, database, "log", "--enabled").code == 0
    assert entries()["log"] == {"time_column": "created_at", "days": 20, "enabled": True}


@pytest.mark.parametrize(
    ("arguments", "code", "err"),
    [
        (["log", "--days", "0"], 2, "--days 0 would take rows of today and of the future"),
        (["log", "--days", "-3"], 2, "--days -3 would take rows of today and of the future"),
        (["log", "--days", "nan"], 2, "invalid value for '--days': 'nan' is not a valid int"),
        (["log", "--days", "99999"], 2, "--days 99999 is more than a hundred years"),
        (["log"], 2, "'log' has no policy yet, so --days is needed"),
        (["log", "--days", "9", "--column", "level"], 1,
         "log.level is no time, but text; nothing was written"),
        (["log", "--days", "9", "--column", "create_at"], 1,
         "log has no column 'create_at'; did you mean 'created_at'?; nothing was written"),
        (["log", "--days", "9", "--where", "nix = 1"], 2,
         "'where' of log is no condition on it: column \"nix\" does not exist"),
        (["log", "--days", "9", "--per", "agent"], 2,
         '[retention."log"] has per without keep_last'),
        (["seen", "--days", "9"], 1, "seen is a view; nothing was written"),
        (["timeless", "--days", "9"], 2, "timeless has no column of a time"),
        (["two", "--days", "9"], 2,
         "it is not clear which column of two a row's age is counted from"),
        (["nowhere", "--days", "9"], 1, "there is no table nowhere; nothing was written"),
        (["a.b.c.d", "--days", "9"], 2, "'a.b.c.d' is no name of a table: improper "),
        (["log", "--remove"], 2, "[retention] of "),
        (["log", "--remove", "--days", "9"], 2, "--remove takes the whole entry"),
        (["parent", "--days", "9"], 1,
         "rows of parent are referred to, without ON DELETE, by public.child (parent_id);"),
    ],
)  # fmt: skip
def test_refusals_leave_the_file_alone(
    cli: Cli, database18: Database, arguments: list[str], code: int, err: str
) -> None:
    log(database18, days=1)
    database18.execute("CREATE VIEW seen AS SELECT * FROM log")
    database18.execute("CREATE TABLE timeless (a text)")
    database18.execute("CREATE TABLE two (a date, b date)")
    database18.execute("CREATE TABLE parent (id int PRIMARY KEY, at date)")
    database18.execute("CREATE TABLE child (parent_id int REFERENCES parent)")
    FILE.write_text(HEAD)
    done = declare(cli, database18, *arguments)
    assert done.code == code
    assert f"error: {err}" in done.err
    assert done.out == ""
    assert FILE.read_text() == HEAD


def test_a_table_of_another_owner_is_refused(cli: Cli, database: Database) -> None:
    log(database, days=1)
    FILE.write_text(HEAD)
    role = f"retention_guest_{database.major}"
    database.execute(f"DROP ROLE IF EXISTS {role}")
    database.execute(f"CREATE ROLE {role}")
    try:
        url = f"{database.url}&options=-crole%3D{role}"
        done = cli("retention", "set", "-d", url, "log", "--days", "9")
    finally:
        database.execute(f"DROP ROLE {role}")
    assert done.code == 1
    assert "error: log belongs to postgres, and " in done.err
    assert FILE.read_text() == HEAD


def test_without_a_file(cli: Cli, database18: Database) -> None:
    assert declare(cli, database18, "log", "--days", "9") == Result(
        1,
        "",
        "error: there is no agentdb.toml to write the policy to\nhint: agentdb init writes one\n",
    )


# --- check ---------------------------------------------------------------------


def test_what_is_overdue_and_what_it_grows_to(cli: Cli, database: Database) -> None:
    log(database)
    policies(log='time_column = "created_at"\ndays = 30')
    result, rows = check(cli, database)
    row = rows["log"]
    size = database.value("SELECT pg_total_relation_size('log')")
    assert result.code == 1
    assert row["state"] == "overdue"
    assert row["due"] in (719, 720)
    assert 29.9 <= row["overdue_days"] <= 30
    assert (row["rows"], row["size"], row["rows_a_day"]) == (1440, size, 24)
    assert row["size_settled"] == pytest.approx(float(str(size)) / 2, rel=0.02)
    assert row["doubles_on"] is None
    assert "error: 1 table is not as the policies say:\n  log: rows have been past" in result.err
    assert check(cli, database, "--overdue", "31")[0].code == 0
    purge(cli, database)
    result, rows = check(cli, database)
    assert (result.code, rows["log"]["state"], rows["log"]["due"]) == (0, "ok", 0)


def test_a_young_table_doubles(cli: Cli, database: Database) -> None:
    log(database, days=50)
    policies(log='time_column = "created_at"\ndays = 300')
    result, rows = check(cli, database)
    assert result.code == 0
    today = database.value("SELECT current_date")
    assert isinstance(today, date)
    doubles = date.fromisoformat(rows["log"]["doubles_on"])
    assert abs(doubles - today - timedelta(days=50)) <= timedelta(days=1)


def test_a_table_of_today_has_no_forecast(cli: Cli, database: Database) -> None:
    log(database, days=1)
    policies(log='time_column = "created_at"\ndays = 30')
    _, rows = check(cli, database)
    assert rows["log"]["rows"] == 24
    for name in ("rows_a_day", "size_a_day", "size_settled", "doubles_on"):
        assert rows["log"][name] is None


def test_rows_that_are_kept_are_not_overdue(cli: Cli, database: Database) -> None:
    log(database)
    policies(log='time_column = "created_at"\ndays = 10\nkeep_last = 480\nper = ["agent"]')
    result, rows = check(cli, database)
    assert (result.code, rows["log"]["due"], rows["log"]["oldest"]) == (0, 0, None)


def test_whole_partitions_and_rows_of_the_others(cli: Cli, database: Database) -> None:
    database.execute(
        "CREATE TABLE log (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL)"
        " PARTITION BY RANGE (at)"
    )
    today = database.value("SELECT current_date")
    assert isinstance(today, date)
    for back in range(6):
        day = today - timedelta(days=back)
        database.execute(
            f"CREATE TABLE log_{day:%Y%m%d} PARTITION OF log"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )
    database.execute(
        "INSERT INTO log (at) SELECT now() - i * interval '1 hour' FROM generate_series(0, 95) i"
    )
    policies(log='time_column = "at"\ndays = 2')
    due = count(database, where="at < now() - interval '2 days'")
    _, rows = check(cli, database, "--overdue", "9")
    assert (rows["log"]["due"], rows["log"]["state"]) == (due, "ok")
    purge(cli, database)
    assert count(database) == 96 - int(str(due))


@contextmanager
def locked(database: Database, table: str) -> Iterator[None]:
    with psycopg.connect(database.url) as other:
        other.execute(f"LOCK TABLE {table}")
        yield


def test_a_table_that_cannot_be_counted_does_not_hide_the_others(
    cli: Cli, database: Database
) -> None:
    log(database, days=9)
    database.execute("CREATE TABLE slow (at timestamptz)")
    database.execute("INSERT INTO slow VALUES ('2020-01-01')")
    database.execute("CREATE TABLE busy (at timestamptz)")
    database.execute("CREATE TABLE broken (at timestamptz, n int)")
    database.execute("INSERT INTO broken VALUES ('2020-01-01', 0)")
    policies(
        log='time_column = "created_at"\ndays = 30',
        slow='time_column = "at"\ndays = 3\nwhere = "pg_sleep(60) IS NULL"',
        busy='time_column = "at"\ndays = 3',
        broken='time_column = "at"\ndays = 3\nwhere = "1 / n = 1"',
        seen='time_column = "at"\ndays = 3',
    )
    database.execute("CREATE VIEW seen AS SELECT * FROM slow")
    with locked(database, "busy"):
        result, rows = check(cli, database, "--timeout", "200ms", "--lock-timeout", "100ms")
    states = {name: row["state"] for name, row in rows.items()}
    assert states == {
        "log": "ok", "slow": "unknown", "busy": "unknown", "broken": "unknown", "seen": "refused",
    }  # fmt: skip
    assert rows["slow"]["detail"] == "not counted within 0.2 s: --timeout"
    assert rows["busy"]["detail"] == "not counted: locked by another session"
    assert rows["broken"]["detail"] == "not counted: division by zero"
    assert rows["seen"]["detail"] == "seen is a view; name the table that holds the rows"
    assert result.code == 1


def test_indexes_that_a_purge_lacks_are_named(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE log (id int PRIMARY KEY, at timestamptz)")
    database.execute(
        'CREATE TABLE "No te" (log_id int REFERENCES log ON DELETE CASCADE, body text)'
    )
    policies(log='time_column = "at"\ndays = 3')
    result, _ = check(cli, database)
    assert result.code == 0
    assert result.err == (
        "public.log: this index would make a purge faster:"
        ' CREATE INDEX CONCURRENTLY ON "public"."log" ("at");\n'
        "public.log: this index would make a purge faster:"
        ' CREATE INDEX CONCURRENTLY ON public."No te" ("log_id");\n'
    )
    for line in result.err.splitlines():
        database.execute(line.split("faster: ")[1])
    assert check(cli, database)[0].err == ""


def test_a_lateness_that_is_no_number_is_refused(cli: Cli, database18: Database) -> None:
    done = cli("retention", "check", "-d", database18.url, "--overdue", "nan")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: --overdue must be a number of days\n")


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv", "plain"])
def test_all_formats(cli: Cli, database18: Database, form: str) -> None:
    log(database18)
    policies(log='time_column = "created_at"\ndays = 300')
    result = cli("retention", "check", "-d", database18.url, "-f", form)
    assert result.code == 0
    assert "log" in result.out
    assert "1,440" in result.out if form == "table" else "1440" in result.out
