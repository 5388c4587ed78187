"""Purging tables that others refer to: nothing goes along unseen, and nothing is torn."""

from __future__ import annotations

import json

import psycopg
from conftest import Database
from purging import Cli, count, policies, purge, refusal

RUNS = """
CREATE TABLE runs (id int PRIMARY KEY, at timestamptz NOT NULL, parent int);
INSERT INTO runs SELECT i, now() - interval '1 day' * i, NULL FROM generate_series(1, 60) AS i;
"""


def steps(database: Database, on_delete: str, index: bool = True) -> None:
    """Two steps for each run."""
    database.execute(
        f"CREATE TABLE steps (id int PRIMARY KEY, run int REFERENCES runs {on_delete},"
        " at timestamptz NOT NULL)"
    )
    if index:
        database.execute("CREATE INDEX steps_run ON steps (run)")
    database.execute(
        "INSERT INTO steps SELECT id * 2 + n, id, at FROM runs, (VALUES (0), (1)) v (n)"
    )


RUNS_ALONE = 'time_column = "at"\ndays = 30'


def test_rows_that_cascade_are_counted_before(cli: Cli, database: Database) -> None:
    database.execute(RUNS)
    steps(database, "ON DELETE CASCADE", index=False)
    database.execute(
        "CREATE TABLE traces (step int REFERENCES steps ON DELETE SET NULL);"
        "CREATE INDEX ON traces (step); INSERT INTO traces SELECT id FROM steps"
    )
    policies(runs=RUNS_ALONE)
    result = cli("purge", "-d", database.url, "--dry-run", "-f", "json")
    (row,) = json.loads(result.out)
    assert row["rows"] == 31
    assert row["also"] == "62 rows of public.steps deleted; 62 rows of public.traces set null"
    assert (
        "public.runs: this index would make it faster: "
        'CREATE INDEX CONCURRENTLY ON public.steps ("run");\n'
    ) in result.err
    assert (count(database, "runs"), count(database, "steps")) == (60, 120)
    assert purge(cli, database)[0]["rows"] == 31
    assert (count(database, "runs"), count(database, "steps")) == (29, 58)
    assert count(database, "traces", "step IS NULL") == 62


def test_rows_that_hold_others_are_named(cli: Cli, database: Database) -> None:
    database.execute(RUNS)
    steps(database, "")
    policies(runs=RUNS_ALONE)
    assert refusal(cli, database) == (
        "error: 1 table was not purged:\n"
        "  runs: rows of runs are referred to, without ON DELETE, by public.steps (run); "
        "declare retention for those tables as well: they are then purged first\n"
    )
    assert count(database, "runs") == 60


def test_tables_that_refer_are_purged_first(cli: Cli, database: Database) -> None:
    """Written in the wrong order; and a step that is kept longer keeps its run."""
    database.execute(RUNS)
    steps(database, "ON DELETE RESTRICT")
    database.execute("UPDATE steps SET at = now() WHERE run = 45 AND id % 2 = 0")
    policies(runs=RUNS_ALONE, steps=RUNS_ALONE)
    rows = purge(cli, database)
    assert [(row["table"], row["rows"]) for row in rows] == [
        ("public.steps", 61),
        ("public.runs", 30),
    ]
    assert database.execute("SELECT id FROM runs WHERE id > 30") == [(45,)]


def test_rows_that_refer_to_rows_of_their_own_table(cli: Cli, database: Database) -> None:
    """A chain of three: its end is past its time, but the one that refers to it is not."""
    database.execute(RUNS)
    database.execute(
        "ALTER TABLE runs ADD FOREIGN KEY (parent) REFERENCES runs; CREATE INDEX ON runs (parent);"
        "UPDATE runs SET parent = 50 WHERE id = 40; UPDATE runs SET parent = 60 WHERE id = 50;"
        "UPDATE runs SET parent = 35 WHERE id = 3"
    )
    policies(runs=RUNS_ALONE)
    assert purge(cli, database)[0]["rows"] == 30
    assert database.execute("SELECT id FROM runs WHERE id > 29 ORDER BY id") == [(35,)]


def test_an_archive_takes_what_goes_along(cli: Cli, database: Database) -> None:
    """Steps of a run that leaves, and their traces, are archived in the same transaction."""
    database.execute(RUNS)
    steps(database, "ON DELETE CASCADE")
    database.execute(
        "CREATE TABLE traces (id int PRIMARY KEY, step int REFERENCES steps ON DELETE CASCADE);"
        "CREATE INDEX ON traces (step); INSERT INTO traces SELECT id, id FROM steps;"
        "ALTER TABLE traces ADD run int REFERENCES runs ON DELETE CASCADE;"
        "UPDATE traces SET run = 60 WHERE id = 2; CREATE INDEX ON traces (run);"
        "CREATE TABLE remarks (id int PRIMARY KEY, step int REFERENCES steps ON DELETE SET NULL);"
        "INSERT INTO remarks SELECT id, id FROM steps"
    )
    tables = ("runs", "steps", "traces")
    before = {table: database.execute(f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    policies(runs=RUNS_ALONE)
    (row,) = purge(cli, database, "--archive", "old")
    assert (row["rows"], row["archived"]) == (31, 31 + 62 + 63)
    assert [count(database, table) for table in tables] == [29, 58, 57]
    assert count(database, "remarks", "step IS NULL") == 62
    result = cli("import", "archive", "old", "-d", database.url, "--yes")
    assert result.code == 0, result.err
    after = {table: database.execute(f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    assert after == before


def test_an_archive_leaves_what_others_have_locked(cli: Cli, database: Database) -> None:
    database.execute(RUNS)
    steps(database, "ON DELETE CASCADE")
    policies(runs=RUNS_ALONE)
    with psycopg.connect(database.url) as other:
        other.execute("SELECT FROM runs WHERE id IN (40, 50) FOR UPDATE")
        (row,) = purge(cli, database, "--archive", "old")
        other.rollback()
    assert (row["rows"], row["skipped"], row["archived"]) == (29, 2, 29 + 58)
    assert count(database, "steps", "run IN (40, 50)") == 4
    (row,) = purge(cli, database, "--archive", "old", "--max-rows", "1")
    assert (row["rows"], row["archived"]) == (1, 3)


def test_an_archive_spares_rows_that_would_take_newer_ones_along(
    cli: Cli, database: Database
) -> None:
    """A thread whose last reply is young: deleting its first row would delete the reply."""
    database.execute(RUNS)
    database.execute(
        "ALTER TABLE runs ADD FOREIGN KEY (parent) REFERENCES runs ON DELETE CASCADE;"
        "CREATE INDEX ON runs (parent); UPDATE runs SET parent = 50 WHERE id = 3;"
        "UPDATE runs SET parent = 60 WHERE id = 40"
    )
    policies(runs=RUNS_ALONE)
    (row,) = purge(cli, database, "--archive", "old")
    assert row["rows"] == 30
    assert database.execute("SELECT id FROM runs WHERE id > 29") == [(50,)]


def test_triggers_fire_and_are_named(cli: Cli, database: Database) -> None:
    database.execute(RUNS)
    database.execute(
        "CREATE TABLE deleted (id int);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO deleted VALUES (OLD.id); RETURN OLD; END$$;"
        "CREATE TRIGGER noted BEFORE DELETE ON runs FOR EACH ROW EXECUTE FUNCTION note()"
    )
    policies(runs=RUNS_ALONE)
    result = cli("purge", "-d", database.url, "--dry-run")
    assert "public.runs: triggers fire for each row: noted\n" in result.err
    purge(cli, database)
    assert count(database, "deleted") == 31


def test_a_trigger_that_refuses_is_reported(cli: Cli, database: Database) -> None:
    database.execute(RUNS)
    database.execute(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'run % is evidence', OLD.id; END$$;"
        "CREATE TRIGGER never BEFORE DELETE ON runs FOR EACH ROW EXECUTE FUNCTION no()"
    )
    policies(runs=RUNS_ALONE)
    assert refusal(cli, database) == (
        "error: 1 of 1 tables not purged to the end:\n  public.runs: run 30 is evidence\n"
        "hint: what was deleted stays deleted; agentdb purge goes on from there\n"
    )
    assert count(database, "runs") == 60
