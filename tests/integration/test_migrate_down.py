"""agentdb migrate down: undoing what was applied, and saying first what that would lose."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from directories import migrate

from agentdb_cli import packs
from waiting import eventually

Cli = Callable[..., Result]
Files = Callable[[dict[str, str]], Path]
AGENTDB = [sys.executable, "-m", "agentdb_cli", "migrate"]
HEADER = "-- agentdb: no-transaction\n"


def down(cli: Cli, database: Database, directory: Path, *options: object) -> Result:
    return migrate(cli, database, directory, "down", "--yes", *options)


def start(database: Database, directory: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*AGENTDB, *options, "-d", database.url, "--dir", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def applied(database: Database) -> list[int]:
    rows = database.execute("SELECT version FROM agentdb_migrations ORDER BY version")
    return [int(str(version)) for (version,) in rows]


def tables(database: Database) -> set[str]:
    rows = database.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename !~ 'agentdb'"
    )
    return {row[0] for row in rows}


def place(database: Database) -> str:
    return database.url.replace("&port=5432", "")


def sleeps(database: Database) -> bool:
    asking = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    return bool(database.value(asking))


THREE = {
    "1_a.sql": "CREATE TABLE a (id int);",
    "1_a.down.sql": "DROP TABLE a;",
    "2_b.sql": "-- migrate:up\nCREATE TABLE b (id int);\n-- migrate:down\nDROP TABLE b;\n",
    "3_c.sql": "BEGIN;\nCREATE TABLE c (id int);\nCOMMIT;\n\n"
    "-- Rollback:\n-- DROP TABLE\n--   c;\n",
}
INDEX = {
    "1_a.sql": "CREATE TABLE a (id int);",
    "1_a.down.sql": "DROP TABLE a;",
    "2_i.sql": HEADER + "CREATE INDEX CONCURRENTLY i ON a (id);",
    "2_i.down.sql": HEADER + "DROP INDEX CONCURRENTLY i;",
}


class TestUndoing:
    @pytest.fixture
    def three(self, cli: Cli, database: Database, files: Files) -> Path:
        """Three migrations, applied, each with another kind of down part."""
        directory = files(THREE)
        assert migrate(cli, database, directory).code == 0
        assert tables(database) == {"a", "b", "c"}
        return directory

    def test_the_last_one(self, cli: Cli, database: Database, three: Path) -> None:
        result = down(cli, database, three)
        assert result.code == 0
        assert re.fullmatch(
            r"undone  3_c  [\d.]+ m?s\n1 undone in [\d.]+ m?s, "
            rf"database {re.escape(place(database))}\n",
            result.out,
        )
        assert result.err == ("undo  3_c  by 3_c.sql\n      drops the table public.c: 0 rows\n")
        assert (tables(database), applied(database)) == ({"a", "b"}, [1, 2])

    def test_some_and_all(self, cli: Cli, database: Database, three: Path) -> None:
        assert down(cli, database, three, "--steps", 2).code == 0
        assert (tables(database), applied(database)) == ({"a"}, [1])
        assert migrate(cli, database, three).code == 0
        assert down(cli, database, three, "--to", 2).code == 0
        assert applied(database) == [1, 2]
        assert down(cli, database, three, "--to", 0).code == 0
        assert (tables(database), applied(database)) == (set(), [])
        assert down(cli, database, three) == Result(
            0, f"nothing to undo, database {place(database)}\n", ""
        )
        assert migrate(cli, database, three).code == 0
        assert applied(database) == [1, 2, 3]

    def test_machine_output(self, cli: Cli, database: Database, three: Path) -> None:
        result = down(cli, database, three, "--steps", 2, "-f", "json", "-q")
        rows = json.loads(result.out)
        assert [(row["version"], row["migration"]) for row in rows] == [(3, "3_c"), (2, "2_b")]
        assert rows[0]["duration"] > 0
        assert result.err == ""
        assert json.loads(down(cli, database, three, "--to", 1, "-f", "json").out) == []

    def test_a_dry_run_changes_nothing(self, cli: Cli, database: Database, three: Path) -> None:
        result = migrate(cli, database, three, "down", "--dry-run", "--to", 1)
        assert result == Result(
            0,
            "undo  3_c  by 3_c.sql\n      drops the table public.c: 0 rows\n"
            "undo  2_b  by 2_b.sql\n      drops the table public.b: 0 rows\n"
            f"2 to undo, database {place(database)} (dry run: nothing was changed)\n",
            "",
        )
        assert applied(database) == [1, 2, 3]

    def test_nobody_can_be_asked(self, database: Database, three: Path) -> None:
        process = start(database, three, "down", "--quiet")
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (
            2, "", "error: nobody can be asked here\nhint: --yes goes on without a question\n",
        )  # fmt: skip
        assert applied(database) == [1, 2, 3]

    def test_it_asks_on_a_terminal(self, database: Database, three: Path) -> None:
        import pty

        for answer, code, left in ((b"n\n", 1, [1, 2, 3]), (b"y\n", 0, [1, 2])):
            parent, child = pty.openpty()
            process = subprocess.Popen(
                [*AGENTDB, "down", "-d", database.url, "--dir", str(three)],
                stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            os.close(child)
            os.write(parent, answer)
            out, _ = process.communicate(timeout=120)
            os.close(parent)
            assert f"undo 1 migration, database {place(database)}? [y/N]: " in out
            assert ("error: nothing was undone" in out) == bool(code)
            assert process.returncode == code
            assert applied(database) == left

    def test_an_empty_database(self, cli: Cli, database: Database, files: Files) -> None:
        assert down(cli, database, files(THREE)) == Result(
            0, f"nothing to undo, database {place(database)}\n", ""
        )

    def test_the_variables_are_those_of_then(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {"1_a.sql": 'CREATE TABLE :"name" ();', "1_a.down.sql": 'DROP TABLE :"name";'}
        )
        assert migrate(cli, database, directory, "--set", "name=then").code == 0
        result = down(cli, database, directory, "--set", "name=now")
        assert (result.code, tables(database)) == (0, set())

    def test_what_a_down_part_sets_does_not_reach_the_next(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();",
                "1_a.down.sql": "DROP TABLE a;",
                "2_b.sql": "SELECT 2;",
                "2_b.down.sql": "SET search_path = pg_catalog; SET ROLE pg_monitor;",
            }
        )
        assert migrate(cli, database, directory).code == 0
        assert down(cli, database, directory, "--to", 0).code == 0
        assert applied(database) == []

    def test_in_a_schema(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();", "1_a.down.sql": "DROP TABLE a;"})
        database.execute("CREATE SCHEMA here; CREATE TABLE public.a ()")
        assert migrate(cli, database, directory, "--schema", "here").code == 0
        result = migrate(cli, database, directory, "down", "--yes", "--schema", "here")
        assert "drops the table here.a: 0 rows" in result.err
        assert database.value("SELECT to_regclass('here.a') IS NULL")
        assert tables(database) == {"a"}

    def test_notes_that_take_back_the_pack_of_project_2501(
        self, cli: Cli, database18: Database, tmp_path: Path
    ) -> None:
        directory = tmp_path / "notes"
        directory.mkdir()
        for path in packs.load("project-2501").directory.glob("*.sql"):
            if not path.name.endswith(".down.sql"):
                (directory / path.name).write_text(path.read_text())
        sized = ("--set", "embedding_dimensions=3")
        shapes = []
        for number in range(9):
            only = tmp_path / f"upto{number}"
            only.mkdir()
            for path in sorted(directory.iterdir())[: number + 1]:
                (only / path.name).write_text(path.read_text())
            assert migrate(cli, database18, only, *sized).code == 0
            shapes.append(self._shape(database18))
        for number in range(7, -1, -1):
            result = down(cli, database18, directory, "--to", number or 0, *sized, "-q")
            assert (result.code, result.err) == (0, "")
            assert self._shape(database18) == shapes[number]

    def _shape(self, database: Database) -> list[tuple]:
        """Tables, columns, types, constraints."""
        return database.execute(
            "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull"
            " FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
            " AND c.relname !~ 'agentdb' AND a.attnum > 0 AND NOT a.attisdropped"
            " UNION ALL SELECT conrelid::regclass::text, contype::text,"
            " pg_get_constraintdef(oid), true FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
            " AND conrelid::regclass::text !~ 'agentdb' ORDER BY 1, 2, 3"
        )


class TestLosses:
    def lines(self, cli: Cli, database: Database, directory: Path) -> list[str]:
        result = migrate(cli, database, directory, "down", "--dry-run")
        assert (result.code, result.err) == (0, "")
        return [line.strip() for line in result.out.splitlines()[1:-1]]

    def test_tables_columns_and_rows(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": 'CREATE TABLE a (id int, note text, "It\'s" int);\n'
                "INSERT INTO a SELECT n, CASE WHEN n > 10 THEN 'x' END "
                "FROM generate_series(1, 1234) n;\n"
                "CREATE TABLE one (id int); INSERT INTO one VALUES (1);\n"
                "CREATE SCHEMA s; CREATE TABLE s.p (id int) PARTITION BY LIST (id);\n"
                "CREATE TABLE s.p1 PARTITION OF s.p DEFAULT; INSERT INTO s.p VALUES (1), (2);\n"
                "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE m (mood mood, moods mood[]);\n"
                "INSERT INTO m VALUES ('ok', NULL);",
                "1_a.down.sql": 'ALTER TABLE a DROP COLUMN note, DROP "It\'s", DROP IF EXISTS no,\n'
                "  DROP CONSTRAINT IF EXISTS a_check;\n"
                "DELETE FROM a AS x WHERE x.id <= 20; DELETE FROM ONLY a; TRUNCATE TABLE one, m;\n"
                "DROP TABLE IF EXISTS one, nothing; DROP SCHEMA s CASCADE;\n"
                "DROP TYPE mood CASCADE; DROP INDEX IF EXISTS i;\n"
                "SELECT set_config('a.b', 'c', true);\n"
                "DO $$ BEGIN DELETE FROM a; END $$; SELECT drop_all();\n"
                "DELETE FROM a USING one WHERE a.id = one.id; DROP TABLE a CASCADE;",
            }
        )
        assert migrate(cli, database, directory).code == 0
        assert self.lines(cli, database, directory) == [
            "drops the column public.a.note: 1,224 values",
            "drops the column public.a.It's: 0 values",
            "deletes from public.a: 20 rows",
            "deletes from public.a: 1,234 rows",
            "deletes from public.one: 1 row",
            "deletes from public.m: 1 row",
            "drops the table public.one: 1 row",
            "drops the table s.p: 2 rows",
            "drops the column public.m.mood: 1 value",
            "drops the column public.m.moods: 0 values",
            "may lose anything (1_a.down.sql, line 7): DO $$ BEGIN DELETE FROM a; END $$",
            "may lose anything (1_a.down.sql, line 7): SELECT drop_all()",
            "may lose anything (1_a.down.sql, line 8): DELETE FROM a USING one WHERE a.id = one.id",
            "drops the table public.a: 1,234 rows",
        ]

    def test_for_programs(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a AS SELECT 1 AS id;",
                "1_a.down.sql": "DROP TABLE a;",
                "2_b.sql": "CREATE INDEX i ON a (id);",
                "2_b.down.sql": "DROP INDEX i;",
            }
        )
        assert migrate(cli, database18, directory).code == 0
        result = migrate(cli, database18, directory, "down", "--dry-run", "--to", 0, "-f", "json")
        assert json.loads(result.out) == [
            {"version": 2, "migration": "2_b", "loses": None, "object": None, "rows": None,
             "exact": None, "detail": None},
            {"version": 1, "migration": "1_a", "loses": "table", "object": "public.a", "rows": 1,
             "exact": True, "detail": None},
        ]  # fmt: skip

    def test_what_a_migration_loses_that_loses_nothing(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "CREATE VIEW a AS SELECT 1;", "1_a.down.sql": "DROP VIEW a;"})
        assert migrate(cli, database18, directory).code == 0
        result = migrate(cli, database18, directory, "down", "--dry-run")
        assert result.out.startswith("undo  1_a  by 1_a.down.sql  (loses no rows)\n1 to undo, ")

    def test_an_extension_that_takes_columns_along(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE EXTENSION vector; CREATE TABLE a (v vector(2));\n"
                "INSERT INTO a VALUES ('[1,2]'), (NULL);",
                "1_a.down.sql": "DROP EXTENSION vector CASCADE;",
            }
        )
        assert migrate(cli, database18, directory).code == 0
        assert self.lines(cli, database18, directory) == ["drops the column public.a.v: 1 value"]

    def test_a_table_that_somebody_has_locked_is_estimated(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {"1_a.sql": "SELECT 1;", "1_a.down.sql": "DROP TABLE a; DELETE FROM a WHERE id > 1;"}
        )
        database.execute("CREATE TABLE a AS SELECT generate_series(1, 500) AS id")
        database.execute("ANALYZE a")
        assert migrate(cli, database, directory).code == 0
        with psycopg.connect(database.url) as other:
            other.execute("LOCK TABLE a")
            result = migrate(
                cli, database, directory, "down", "--dry-run", "--lock-timeout", "50ms"
            )
        assert [line.strip() for line in result.out.splitlines()[1:-1]] == [
            "drops the table public.a: about 500 rows",
            "deletes from public.a: not counted: it takes too long",
        ]

    def test_a_table_that_the_role_may_not_read(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "SELECT 1;", "1_a.down.sql": "DROP TABLE secret;"})
        assert migrate(cli, database18, directory).code == 0
        database18.execute(
            "CREATE ROLE down_test_role LOGIN; CREATE TABLE secret ();"
            "GRANT SELECT, DELETE ON agentdb_migrations TO down_test_role"
        )
        try:
            url = database18.url.replace("postgres@", "down_test_role@")
            result = cli("migrate", "down", "--dry-run", "-d", url, "--dir", directory)
            assert result.out.splitlines()[1] == (
                "      drops the table public.secret: not counted: "
                "the role 'down_test_role' may not read all of it"
            )
        finally:
            database18.execute("DROP OWNED BY down_test_role; DROP ROLE down_test_role")

    def test_rows_that_a_policy_hides(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": "SELECT 1;", "1_a.down.sql": "DROP TABLE secret;"})
        assert migrate(cli, database18, directory).code == 0
        database18.execute(
            "CREATE ROLE down_test_role LOGIN; CREATE TABLE secret AS SELECT 1 AS id;"
            "ALTER TABLE secret ENABLE ROW LEVEL SECURITY;"
            "GRANT SELECT ON secret TO down_test_role;"
            "GRANT SELECT, DELETE ON agentdb_migrations TO down_test_role"
        )
        try:
            url = database18.url.replace("postgres@", "down_test_role@")
            result = cli("migrate", "down", "--dry-run", "-d", url, "--dir", directory)
            assert result.out.splitlines()[1] == (
                "      drops the table public.secret: not counted: "
                "the role 'down_test_role' may not read all of it"
            )
        finally:
            database18.execute("DROP OWNED BY down_test_role; DROP ROLE down_test_role")


class TestRefused:
    @pytest.mark.parametrize("steps", [1, 2])
    def test_without_a_down_part(
        self, cli: Cli, database18: Database, files: Files, steps: int
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();",
                "2_b.sql": "CREATE TABLE b ();",
                "2_b.down.sql": "DROP TABLE b;",
                "3_c.sql": "SELECT 3;",
            }
        )
        assert migrate(cli, database18, directory).code == 0
        problems = {
            1: "no down part for 3_c: no 3_c.down.sql",
            2: "no down part for 1 of 2 migrations, so nothing was undone:\n  3_c: no 3_c.down.sql",
        }
        assert down(cli, database18, directory, "--steps", steps) == Result(
            1,
            "",
            f"error: {problems[steps]}\nhint: write what undoes it there, or take it back with "
            "a new migration: agentdb migrate new\n",
        )
        assert applied(database18) == [1, 2, 3]

    @pytest.mark.parametrize(
        ("name", "text", "lacking"),
        [
            ("1_a.sql", "-- migrate:up\nSELECT 1;\n", "no -- migrate:down"),
            ("1_a.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n\n",
             "no statement in -- migrate:down"),
            ("1_a.sql", "-- +goose Up\nSELECT 1;\n", "no -- +goose Down"),
            ("1_a.up.sql", "SELECT 1;", "no 1_a.down.sql"),
            ("V1__a.sql", "SELECT 1;", "no U1__a.sql"),
            ("20240131_01_AbCdE-a.sql", "SELECT 1;", "no 20240131_01_AbCdE-a.rollback.sql"),
        ],
    )  # fmt: skip
    def test_what_another_tool_would_have_there(
        self, cli: Cli, database18: Database, files: Files, name: str, text: str, lacking: str
    ) -> None:
        directory = files({name: text})
        assert migrate(cli, database18, directory).code == 0
        label = name.removesuffix(".sql").removesuffix(".up")
        assert down(cli, database18, directory).err.splitlines()[0] == (
            f"error: no down part for {label}: {lacking}"
        )

    def test_a_template_that_was_never_filled_in(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "SELECT 1;", "1_a.down.sql": "-- Undoes 1_a.\n\n"})
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory).err.splitlines()[0] == (
            "error: no down part for 1_a: no statement in 1_a.down.sql"
        )

    def test_two_down_parts(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({**THREE, "2_b.down.sql": "DROP TABLE b;"})
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory, "--steps", 2) == Result(
            1,
            "",
            "error: 2_b has two down parts: 2_b.down.sql and a section of 2_b.sql\n"
            "hint: remove one of them\n",
        )
        assert applied(database18) == [1, 2, 3]

    def test_a_missing_file(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files(THREE)
        assert migrate(cli, database18, directory).code == 0
        (directory / "3_c.sql").unlink()
        assert down(cli, database18, directory) == Result(
            1,
            "",
            "error: 1 applied migration without a file: nothing says how to undo it:\n  003_c\n"
            "hint: restore the files, or check --dir and --pack\n",
        )

    def test_a_changed_file(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();"})
        assert migrate(cli, database18, directory).code == 0
        then = database18.value("SELECT left(checksum, 12) FROM agentdb_migrations")
        files({"1_a.sql": "CREATE TABLE a ();\n-- Rollback:\n-- DROP TABLE a;\n"})
        result = down(cli, database18, directory)
        [now] = re.findall(r"the file has (\w{12})…", result.err)
        assert then != now
        assert result == Result(
            1,
            "",
            "error: 1 applied migration changed afterwards:\n"
            f"  1_a: applied with SHA-256 {then}…, the file has {now}…\n"
            "hint: restore the files; --allow-changed goes on if the change means nothing "
            "(a down part that came later)\n",
        )
        assert down(cli, database18, directory, "--allow-changed").code == 0
        assert tables(database18) == set()

    def test_numbers_that_are_wrong(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files(THREE)
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory, "--to", 7) == Result(
            1,
            "",
            f"error: there is no migration 7 in {directory}\n"
            "hint: agentdb migrate status shows their numbers; 0 undoes all after it\n",
        )
        assert down(cli, database18, directory, "--steps", 4) == Result(
            1,
            "",
            "error: only 3 migrations are applied, not 4\n"
            "hint: agentdb migrate status shows which\n",
        )
        assert down(cli, database18, directory, "--steps", 1, "--to", 1) == Result(
            2, "", "error: --to and --steps exclude each other\nhint: leave one of them out\n"
        )

    def test_notes_that_are_prose(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files(
            {"1_a.sql": "CREATE TABLE a ();\n\n-- Rollback:\n-- DROP TABLE a;\n-- or restore it.\n"}
        )
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory) == Result(
            1,
            "",
            f"error: {directory}/1_a.sql, line 5: the rollback notes hold no SQL statement: "
            "or restore it.\n"
            "hint: write the statements into a file of their own, NNN_name.down.sql, "
            "which comes before the notes\n",
        )

    def test_a_down_part_that_is_not_sound(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "SELECT 1;", "1_a.down.sql": "SELECT 1;\nSELECT 'x;"})
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory) == Result(
            1,
            "",
            f"error: {directory}/1_a.down.sql, line 2, column 8: unterminated quoted string\n",
        )

    def test_a_migration_above_is_half_applied(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({**THREE, "4_d.sql": HEADER + "CREATE TABLE d (); SELECT 1/0;"})
        assert migrate(cli, database18, directory).code == 1
        assert down(cli, database18, directory) == Result(
            1,
            "",
            "error: 4_d failed at statement 2 (division by zero), and must be applied first\n"
            "hint: agentdb migrate goes on with it; then it can be undone\n",
        )

    def test_a_role_that_may_not_take_records_back(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(THREE)
        assert migrate(cli, database18, directory).code == 0
        database18.execute(
            "CREATE ROLE down_test_role LOGIN; GRANT SELECT ON agentdb_migrations TO down_test_role"
        )
        try:
            url = database18.url.replace("postgres@", "down_test_role@")
            assert cli("migrate", "down", "--yes", "-d", url, "--dir", directory) == Result(
                1,
                "",
                "error: the role 'down_test_role' may not take records back from "
                "public.agentdb_migrations\n"
                "hint: GRANT DELETE ON public.agentdb_migrations TO down_test_role;\n",
            )
        finally:
            database18.execute("DROP OWNED BY down_test_role; DROP ROLE down_test_role")


class TestFailing:
    def test_the_place_in_a_section(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                **THREE,
                "4_d.sql": "-- migrate:up\nSELECT 1;\n\n-- migrate:down\nDROP TABLE a;\n"
                "SELECT nothing;\n",
            }
        )
        assert migrate(cli, database, directory).code == 0
        result = down(cli, database, directory, "-q")
        assert result == Result(
            1,
            "",
            'error: 4_d failed: column "nothing" does not exist (42703)\n'
            f"  in {directory}/4_d.sql, line 6, column 8\n"
            "  6 | SELECT nothing;\n"
            "    |        ^\n"
            "hint: nothing of this file was kept. Mend the file, then run agentdb migrate down "
            "again\n",
        )
        assert applied(database) == [1, 2, 3, 4]
        assert "a" in tables(database)

    def test_the_place_in_notes_and_what_was_undone_before(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();\n-- Rollback:\n-- DROP TABLE a;\n-- DROP TABLE x;\n",
                "2_b.sql": "CREATE TABLE b ();\n-- Rollback:\n-- DROP TABLE b;\n",
            }
        )
        assert migrate(cli, database, directory).code == 0
        result = down(cli, database, directory, "--to", 0, "-q")
        assert result.err.splitlines()[:2] == [
            'error: 1_a failed: table "x" does not exist (42P01)',
            f"  in {directory}/1_a.sql, line 4, column 4",
        ]
        assert result.err.splitlines()[-1] == (
            "hint: nothing of this file was kept; the 1 before it stays undone. "
            "Mend the file, then run agentdb migrate down again"
        )
        assert (tables(database), applied(database)) == ({"a"}, [1])

    def test_a_lock_that_is_not_to_be_had(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(THREE)
        assert migrate(cli, database, directory).code == 0
        with psycopg.connect(database.url, application_name="reports") as other:
            other.execute("SELECT FROM c")
            result = down(cli, database, directory, "--lock-timeout", "200ms", "--lock-retries", 1)
        lines = result.err.splitlines()
        assert result.code == 1
        assert lines[3] == "error: 3_c failed: canceling statement due to lock timeout (55P03)"
        assert lines[2] == "3_c did not get a lock; trying again"
        assert "  tried 2 times" in lines
        assert any(re.match(r"  blocked by pid \d+ \(reports, idle in tr", line) for line in lines)
        assert applied(database) == [1, 2, 3]

    def test_a_run_that_is_killed_keeps_all_or_nothing(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();",
                "1_a.down.sql": "DROP TABLE a; SELECT pg_sleep(600) FROM gate;",
            }
        )
        database.execute("CREATE TABLE gate AS SELECT 1")
        assert migrate(cli, database, directory).code == 0
        process = start(database, directory, "down", "--yes")
        eventually(lambda: sleeps(database), 120)
        process.kill()
        process.communicate()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        eventually(lambda: not sleeps(database), 120)
        assert (tables(database), applied(database)) == ({"a", "gate"}, [1])
        database.execute("DELETE FROM gate")
        assert down(cli, database, directory).code == 0
        assert (tables(database), applied(database)) == ({"gate"}, [])

    def test_ctrl_c(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": "SELECT 1;", "1_a.down.sql": "SELECT pg_sleep(600);"})
        assert migrate(cli, database18, directory).code == 0
        process = start(database18, directory, "down", "--yes", "-q")
        eventually(lambda: sleeps(database18), 120)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert (
            err == "warning: interrupted in 1_a: see agentdb migrate status\nerror: interrupted\n"
        )
        assert applied(database18) == [1]


class TestTwoRuns:
    def test_undo_one_migration_once(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();",
                "1_a.down.sql": "DROP TABLE a;",
                "2_b.sql": "CREATE TABLE b ();",
                "2_b.down.sql": "DROP TABLE b; SELECT pg_advisory_xact_lock(42);",
            }
        )
        assert migrate(cli, database, directory).code == 0
        with psycopg.connect(database.url) as gate:
            gate.execute("SELECT pg_advisory_xact_lock(42)")
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            options = ("down", "--yes", "--lock-timeout", "600s")
            first = start(database, directory, *options)
            eventually(lambda: database.value(waiting), 120)
            second = start(database, directory, *options)
            assert second.stderr is not None
            assert any(line.startswith("waiting for another") for line in second.stderr)
        assert first.wait(120) == 0
        out, _ = second.communicate(timeout=120)
        assert (second.returncode, out) == (0, f"nothing to undo, database {place(database)}\n")
        first.communicate()
        assert (tables(database), applied(database)) == ({"a"}, [1])

    def test_another_run_has_applied_more_meanwhile(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        from dataclasses import replace

        from agentdb_cli.errors import MigrationError
        from agentdb_cli.migrations import down as undoing
        from agentdb_cli.migrations import files as migration_files
        from agentdb_cli.migrations import history, job, runner

        directory = files(THREE)
        assert migrate(cli, database18, directory).code == 0
        table = history.Table("public", "agentdb_migrations")
        wanted = job.Job("local", migration_files.read(directory), table)
        items = undoing.check(database18.connection, wanted)
        files({"4_d.sql": "CREATE TABLE d ();"})
        assert migrate(cli, database18, directory).code == 0
        wanted = replace(wanted, directory=migration_files.read(directory))
        with pytest.raises(
            MigrationError, match="another run has applied 4_d meanwhile; nothing was undone"
        ):
            undoing.undo(database18.connection, wanted, items, runner.Progress())
        assert applied(database18) == [1, 2, 3, 4]


class TestWithoutATransaction:
    def test_an_index_is_dropped_concurrently(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(INDEX)
        assert migrate(cli, database, directory).code == 0
        assert down(cli, database, directory).code == 0
        assert database.value("SELECT to_regclass('i') IS NULL")
        assert applied(database) == [1]
        assert database.value("SELECT count(*) FROM agentdb_migrations_unfinished") == 0
        assert migrate(cli, database, directory).code == 0
        assert applied(database) == [1, 2]

    def test_without_the_header_it_is_refused_as_going_up_is(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({**INDEX, "2_i.down.sql": "DROP INDEX CONCURRENTLY i;"})
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory) == Result(
            1,
            "",
            f"error: {directory}/2_i.down.sql, line 1, column 1: "
            "DROP INDEX CONCURRENTLY cannot run in a transaction\n"
            "hint: give it a file of its own, with -- agentdb: no-transaction above its first "
            "statement\n",
        )

    def test_notes_of_a_file_without_a_transaction_run_without_one(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        notes = "\n-- Rollback:\n-- DROP INDEX CONCURRENTLY i;\n"
        directory = files({"1_a.sql": INDEX["1_a.sql"], "2_i.sql": INDEX["2_i.sql"] + notes})
        assert migrate(cli, database, directory).code == 0
        assert down(cli, database, directory).code == 0
        assert applied(database) == [1]

    def test_a_first_statement_that_fails_leaves_it_applied(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files({**INDEX, "2_i.down.sql": HEADER + "DROP INDEX CONCURRENTLY j;"})
        assert migrate(cli, database, directory).code == 0
        result = down(cli, database, directory, "-q")
        assert result.err.splitlines()[0] == 'error: 2_i failed: index "j" does not exist (42704)'
        assert result.err.splitlines()[-1] == (
            "hint: nothing of this file was done. "
            "Mend the file, then run agentdb migrate down again"
        )
        status = migrate(cli, database, directory, "status", "--check")
        assert status.code == 0
        assert migrate(cli, database, directory).code == 0

    def test_a_drop_that_gave_up_waiting_left_the_index_invalid(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(INDEX)
        assert migrate(cli, database, directory).code == 0
        with psycopg.connect(database.url) as other:
            other.execute("SELECT FROM a")
            result = down(
                cli, database, directory, "--lock-timeout", "200ms", "--lock-retry-time", "200ms",
                "--lock-retries", 0,
            )  # fmt: skip
        assert "error: 2_i failed: canceling statement due to lock timeout (55P03)" in result.err
        invalid = (
            "SELECT count(*) FROM pg_index WHERE indexrelid = 'i'::regclass AND NOT indisvalid"
        )
        assert database.value(invalid) == 1
        states = json.loads(migrate(cli, database, directory, "status", "-f", "json").out)
        assert [row["state"] for row in states] == ["applied", "being undone"]
        assert down(cli, database, directory).code == 0
        assert database.value("SELECT to_regclass('i') IS NULL")

    def test_a_later_statement_that_fails_leaves_it_being_undone(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        text = HEADER + "DROP INDEX CONCURRENTLY i;\nSELECT 1/x FROM (SELECT 0 AS x) AS y;"
        directory = files({**INDEX, "2_i.down.sql": text})
        assert migrate(cli, database, directory).code == 0
        result = down(cli, database, directory, "-q")
        assert result.err.splitlines()[-1] == (
            "hint: statement 1 of this file stays done. Mend the file, then run "
            "agentdb migrate down again"
        )
        files({"3_c.sql": "SELECT 3;"})
        assert migrate(cli, database, directory) == Result(
            1,
            "",
            "error: 2_i is being undone, or that was broken off\n"
            "hint: agentdb migrate down goes on with it\n",
        )
        (directory / "3_c.sql").unlink()
        assert migrate(cli, database, directory).code == 1  # also with nothing pending
        status = migrate(cli, database, directory, "status", "-f", "json")
        assert [row["state"] for row in json.loads(status.out)] == ["applied", "being undone"]
        assert status.err == (
            "warning: 2_i is being undone: failed at statement 2 (division by zero)\n"
            "1 applied, 1 being undone\n"
        )
        verified = migrate(cli, database, directory, "verify", "-f", "json")
        assert json.loads(verified.out) == [
            {
                "version": 2,
                "migration": "2_i",
                "state": "being undone",
                "detail": "failed at statement 2 (division by zero)",
            }
        ]
        assert verified.err.splitlines()[-1] == (
            "hint: agentdb migrate down goes on where it was, once what the error names is mended"
        )
        files({"2_i.down.sql": HEADER + "DROP INDEX CONCURRENTLY i;\nSELECT 1;"})
        assert down(cli, database, directory).code == 0
        assert applied(database) == [1]
        assert migrate(cli, database, directory).code == 0

    def test_a_run_that_is_killed_goes_on_where_it_was(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        text = HEADER + "DROP INDEX CONCURRENTLY i; SELECT pg_sleep(600) FROM gate; VACUUM a;"
        directory = files({**INDEX, "2_i.down.sql": text})
        database.execute("CREATE TABLE gate AS SELECT 1")
        assert migrate(cli, database, directory).code == 0
        process = start(database, directory, "down", "--yes")
        eventually(lambda: sleeps(database), 120)
        process.kill()
        process.communicate()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        eventually(lambda: not sleeps(database), 120)
        assert migrate(cli, database, directory).err.splitlines()[0] == (
            "error: 2_i is being undone, or that was broken off"
        )
        database.execute("DELETE FROM gate")
        assert down(cli, database, directory, "--to", 0).code == 0
        assert applied(database) == []

    def test_a_statement_of_which_nothing_tells_whether_it_was_completed(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        from agentdb_cli.migrations.statements import parse
        from agentdb_cli.migrations.unfinished import digest

        text = "DROP INDEX CONCURRENTLY i;\nALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;"
        directory = files({**INDEX, "2_i.down.sql": HEADER + text})
        assert migrate(cli, database18, directory).code == 0
        assert down(cli, database18, directory).code == 1  # there is no table p
        digests = [digest(statement) for statement in parse(text).statements]
        database18.execute(
            "UPDATE agentdb_migrations_unfinished SET state = 'running', error = NULL, begun = %s",
            digests[1],
        )
        result = down(cli, database18, directory, "-q")
        assert result == Result(
            1,
            "",
            "error: 2_i was broken off in statement 2, and nothing tells whether the server "
            "completed it\n"
            f"  in {directory}/2_i.down.sql, line 3: "
            "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY\n"
            "hint: look whether it was done. If so: agentdb migrate resume 2 --from 3; if not: "
            "agentdb migrate resume 2 --from 2. Then run agentdb migrate down again\n",
        )
        resumed = cli("migrate", "resume", "2", "--from", "3", "-d", database18.url,
                      "--dir", directory)  # fmt: skip
        assert resumed.out == "2_i has nothing left: run agentdb migrate down\n"
        assert down(cli, database18, directory).code == 0
        assert applied(database18) == [1]


class TestBehindAPooler:
    def test_a_transaction_takes_the_lock_for_itself(
        self, cli: Cli, database18: Database, files: Files, pgbouncer: str
    ) -> None:
        directory = files(THREE)
        assert migrate(cli, database18, directory).code == 0
        result = cli("migrate", "down", "--yes", "--to", 1, "-d", pgbouncer, "--dir", directory)
        assert (result.code, applied(database18), tables(database18)) == (0, [1], {"a"})

    def test_a_file_without_a_transaction_is_refused(
        self, cli: Cli, database18: Database, files: Files, pgbouncer: str
    ) -> None:
        directory = files(INDEX)
        assert migrate(cli, database18, directory).code == 0
        result = cli("migrate", "down", "--yes", "-q", "-d", pgbouncer, "--dir", directory)
        port = re.search(r":(\d+)/", pgbouncer)
        assert port is not None
        assert result == Result(
            1,
            "",
            "error: 2_i runs without a transaction, which a pooler in between does not allow\n"
            "hint: connect to the server itself: it listens on port 5432, "
            f"the pooler on {port[1]}\n",
        )
        assert applied(database18) == [1, 2]
