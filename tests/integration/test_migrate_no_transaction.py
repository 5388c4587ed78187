"""Files that run statement by statement, and going on after one that failed or was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from directories import migrate

Cli = Callable[..., Result]
HEADER = "-- agentdb: no-transaction\n"


Files = Callable[[dict[str, str]], Path]


def applied(database: Database) -> list[int]:
    rows = database.execute("SELECT version FROM agentdb_migrations ORDER BY version")
    return [int(str(version)) for (version,) in rows]


def unfinished(database: Database) -> list[tuple]:
    return database.execute(
        "SELECT version, state, cardinality(done), error FROM agentdb_migrations_unfinished"
    )


def set_mark(database: Database, directory: Path, name: str, number: int, leaves: str) -> None:
    """As a run that was killed in a statement would have left it: marked, not recorded."""
    from agentdb_cli.migrations import files as migration_files
    from agentdb_cli.migrations.prepare import prepare
    from agentdb_cli.migrations.unfinished import digest

    [file] = [f for f in migration_files.read(directory).files if f.label == name]
    digests = [digest(step.statement) for step in prepare(file, {}).steps]
    database.execute(
        "UPDATE agentdb_migrations_unfinished SET state = 'running', error = NULL, done = %s,"
        " begun = %s, leaves = %s WHERE version = %s",
        digests[: number - 1], digests[number - 1], leaves or None, file.version,
    )  # fmt: skip


class TestApplying:
    def test_what_no_transaction_can_hold(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a (id int); CREATE TYPE mood AS ENUM ('ok');",
                "2_b.sql": HEADER + "SET work_mem = '8MB';\n"
                "CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);\n"
                "ALTER TYPE mood ADD VALUE 'bad'; SELECT 'bad'::mood;\n"
                "VACUUM a; REINDEX INDEX CONCURRENTLY a_id; DROP INDEX CONCURRENTLY a_id;\n"
                "CREATE INDEX CONCURRENTLY a_id ON a (id);\n"
                "CREATE TABLE seen AS SELECT current_setting('work_mem') AS work_mem;",
                "3_c.sql": "INSERT INTO seen SELECT current_setting('work_mem');",
            }
        )
        before = database.value("SHOW work_mem")
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (0, "")
        assert applied(database) == [1, 2, 3]
        assert unfinished(database) == []
        assert database.execute("SELECT work_mem FROM seen") == [("8MB",), (before,)]
        assert migrate(cli, database, directory).out.startswith("nothing pending, 3 files")

    def test_procedures_that_commit(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": HEADER + "CREATE TABLE a (id int);\n"
                "CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$BEGIN\n"
                "  FOR i IN 1..3 LOOP INSERT INTO a VALUES (i); COMMIT; END LOOP;\nEND$$;\n"
                "CALL fill();\nDO $$BEGIN INSERT INTO a VALUES (4); COMMIT; END$$;"
            }
        )
        assert migrate(cli, database, directory).code == 0
        assert database.execute("SELECT id FROM a") == [(1,), (2,), (3,), (4,)]

    def test_a_role_taken_on_does_not_stop_the_tracking(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        database.execute("CREATE ROLE migrate_step_role; GRANT ALL ON SCHEMA public TO PUBLIC")
        directory = files(
            {
                "1_a.sql": HEADER + "SET ROLE migrate_step_role; CREATE TABLE a (id int);\n"
                "CREATE INDEX CONCURRENTLY a_id ON a (id);",
                "2_b.sql": "CREATE TABLE b AS SELECT current_user::text AS who;",
            }
        )
        try:
            result = migrate(cli, database, directory)
            assert (result.code, result.err) == (0, "")
            owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'a'"
            assert database.value(owner) == "migrate_step_role"
            assert database.value("SELECT who FROM b") == "postgres"
        finally:
            database.execute("DROP OWNED BY migrate_step_role; DROP ROLE migrate_step_role")

    def test_in_a_schema_with_variables(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": HEADER + "CREATE TABLE a (v varchar(:size));\n"
                "CREATE INDEX CONCURRENTLY a_v ON a (v) WITH (fillfactor = :fill);"
            }
        )
        database.execute("CREATE SCHEMA other")
        options = ("--schema", "other", "--set", "size=5", "--set", "fill=70")
        result = migrate(cli, database, directory, *options)
        assert (result.code, result.err) == (0, "")
        assert (
            database.value("SELECT pg_get_indexdef('other.a_v'::regclass)")
            == "CREATE INDEX a_v ON other.a USING btree (v) WITH (fillfactor='70')"
        )
        assert database.value("SELECT variables FROM other.agentdb_migrations") == {
            "size": 5, "fill": 70,
        }  # fmt: skip

    def test_a_table_of_an_older_agentdb_stays_as_it_is(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a (id int);"})
        assert migrate(cli, database, directory).code == 0
        columns = (
            "SELECT array_agg(attname::text) FROM pg_attribute WHERE attnum > 0"
            " AND attrelid = 'agentdb_migrations'::regclass"
        )
        before = database.value(columns)
        files({"2_b.sql": HEADER + "CREATE INDEX CONCURRENTLY a_id ON a (id); SELECT 1/0;"})
        assert migrate(cli, database, directory).code == 1
        assert database.value(columns) == before
        assert applied(database) == [1]


REFUSED = {
    "CREATE INDEX CONCURRENTLY": "CREATE UNIQUE INDEX CONCURRENTLY i ON a (id)",
    "DROP INDEX CONCURRENTLY": "DROP INDEX CONCURRENTLY i",
    "REINDEX CONCURRENTLY": "REINDEX (VERBOSE, CONCURRENTLY) TABLE a",
    "REINDEX SCHEMA": "REINDEX SCHEMA public",
    "VACUUM": "VACUUM (ANALYZE) a",
    "CREATE DATABASE": "CREATE DATABASE x",
    "DROP TABLESPACE": "DROP TABLESPACE x",
    "CLUSTER of all tables": "CLUSTER VERBOSE",
    "DISCARD ALL": "DISCARD ALL",
    "ALTER SYSTEM": "ALTER SYSTEM SET work_mem = '8MB'",
    "ALTER DATABASE … SET TABLESPACE": "ALTER DATABASE x SET TABLESPACE y",
    "DETACH PARTITION … CONCURRENTLY": "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
}


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_without_the_header_before_anything_runs(
        self, cli: Cli, database18: Database, files: Files, name: str
    ) -> None:
        directory = files(
            {"1_a.sql": "CREATE TABLE a (id int);", "2_b.sql": f"SELECT 1;\n  {REFUSED[name]};"}
        )
        assert migrate(cli, database18, directory) == Result(
            1,
            "",
            f"error: {directory}/2_b.sql, line 2, column 3: {name} cannot run in a transaction\n"
            "hint: give it a file of its own, with -- agentdb: no-transaction above its first "
            "statement\n",
        )
        assert database18.value("SELECT to_regclass('a')") is None

    def test_a_new_value_of_a_type_used_at_once(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TYPE mood AS ENUM ('ok');",
                "2_b.sql": "ALTER TYPE mood ADD VALUE 'bad';\nSELECT 'bad'::mood;",
            }
        )
        result = migrate(cli, database, directory)
        assert result.err.splitlines()[0] == (
            'error: 2_b failed: unsafe use of new value "bad" of enum type mood (55P04)'
        )
        assert result.err.splitlines()[-1] == (
            "hint: nothing of this file was kept; the 1 before it stays applied. "
            "Put -- agentdb: no-transaction above the file's first statement"
        )
        (directory / "2_b.sql").write_text(HEADER + (directory / "2_b.sql").read_text())
        assert migrate(cli, database, directory).code == 0

    def test_a_transaction_in_such_a_file(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": HEADER + "BEGIN; SELECT 1; COMMIT;"})
        assert migrate(cli, database18, directory).err == (
            f"error: {directory}/1_a.sql, line 2, column 1: BEGIN in a file with "
            "-- agentdb: no-transaction\n"
            "hint: each of its statements is committed by itself; put what belongs into one "
            "transaction into a file of its own\n"
        )

    def test_an_index_without_a_name(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": HEADER + "CREATE INDEX CONCURRENTLY ON a (id);"})
        assert migrate(cli, database18, directory).err == (
            f"error: {directory}/1_a.sql, line 2, column 1: an index that is built CONCURRENTLY "
            "needs a name\n"
            "hint: write CREATE INDEX CONCURRENTLY name ON table: by its name a broken-off build "
            "is found again\n"
        )


class TestFailing:
    def test_what_fails_is_recorded_and_goes_on_after_the_mend(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": HEADER + "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n"
                "CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);\nINSERT INTO a VALUES (2);"
            }
        )
        assert migrate(cli, database, directory) == Result(
            1,
            "",
            'error: 1_a failed: could not create unique index "a_id" (23505)\n'
            f"  in {directory}/1_a.sql, line 4, column 1\n"
            "  4 | CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);\n"
            "    | ^\n"
            "  detail: Key (id)=(1) is duplicated.\n"
            "  left the invalid index public.a_id: the next run drops it\n"
            "hint: statements 1 to 2 of this file stay done. "
            "Mend the file, then run agentdb migrate again\n",
        )
        assert applied(database) == []
        assert unfinished(database) == [(1, "failed", 2, 'could not create unique index "a_id"')]
        status = cli("migrate", "status", "-d", database.url, "--dir", directory, "-f", "csv")
        assert status.out.splitlines()[1].startswith("1,1_a,failed,")
        assert status.err == (
            'warning: 1_a failed at statement 3 (could not create unique index "a_id")\n1 pending\n'
        )
        text = (directory / "1_a.sql").read_text()
        files({"1_a.sql": text.replace("UNIQUE ", "")})
        mended = migrate(cli, database, directory)
        assert (mended.code, mended.err) == (
            0,
            "1_a: dropped the invalid index public.a_id, which a broken-off run of this file "
            "left\n",
        )
        assert database.execute("SELECT id FROM a") == [(1,), (1,), (2,)]
        assert database.value("SELECT indisvalid FROM pg_index WHERE indrelid = 'a'::regclass")
        assert applied(database) == [1]
        assert unfinished(database) == []

    def test_a_completed_statement_was_changed(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"7_a.sql": HEADER + "CREATE TABLE a (id int);\nSELECT 1/0;"})
        assert migrate(cli, database18, directory).code == 1
        files({"7_a.sql": HEADER + "CREATE TABLE a (id bigint);\nSELECT 1;"})
        assert migrate(cli, database18, directory).err == (
            f"error: {directory}/7_a.sql: statement 1 is not the one that was completed before\n"
            "hint: put it back as it was; or, if the file is right as it stands, name the "
            "statement to go on with: agentdb migrate resume 7 --from NUMBER\n"
        )
        resume = ("migrate", "resume", "7", "-d", database18.url, "--dir", directory, "--from")
        assert cli(*resume, "2", "--dry-run").out == (
            "7_a goes on with statement 2 of 2 (dry run: nothing was changed)\n"
        )
        assert migrate(cli, database18, directory).code == 1
        assert cli(*resume, "2").out == "7_a goes on with statement 2 of 2: run agentdb migrate\n"
        assert migrate(cli, database18, directory).code == 0
        assert cli(*resume, "2").err == (
            "error: 7_a is not in the middle of its statements\n"
            "hint: agentdb migrate status shows where each migration stands\n"
        )

    def test_the_header_was_taken_away(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": HEADER + "CREATE TABLE a (id int);\nSELECT 1/0;"})
        assert migrate(cli, database18, directory).code == 1
        files({"1_a.sql": "CREATE TABLE a (id int);\nSELECT 1;"})
        assert migrate(cli, database18, directory).err == (
            f"error: {directory}/1_a.sql was begun without a transaction and is not done, "
            "but has no -- agentdb: no-transaction any more\n"
            "hint: put it back above its first statement\n"
        )

    def test_a_baseline_ends_it(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": HEADER + "CREATE TABLE a (id int);\nSELECT 1/0;"})
        assert migrate(cli, database18, directory).code == 1
        baseline = cli("migrate", "baseline", "1", "-d", database18.url, "--dir", directory)
        assert baseline.code == 0
        assert unfinished(database18) == []
        assert migrate(cli, database18, directory).out.startswith("nothing pending, 1 file")

    def test_an_invalid_index_of_somebody_else(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        database.execute("CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.execute("CREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id)")
        directory = files({"1_a.sql": HEADER + "CREATE INDEX CONCURRENTLY a_id ON a (id);"})
        assert migrate(cli, database, directory).err == (
            "error: 1_a: the index public.a_id exists and is invalid, and this file has not made "
            "it\nhint: DROP INDEX CONCURRENTLY public.a_id; then run agentdb migrate again\n"
        )
        database.execute("DROP INDEX CONCURRENTLY a_id")
        assert migrate(cli, database, directory).code == 0


class TestBrokenOff:
    """A run that was killed between a statement and its record."""

    @pytest.fixture
    def directory(self, cli: Cli, database: Database, files: Files) -> Path:
        directory = files(
            {
                "1_a.sql": HEADER + "CREATE TABLE a (id int);\n"
                "CREATE INDEX CONCURRENTLY a_id ON a ((id + 1)) WHERE id > 0;\nSELECT 1/0;"
            }
        )
        assert migrate(cli, database, directory).code == 1
        text = (directory / "1_a.sql").read_text()
        return files({"1_a.sql": text.replace("SELECT 1/0", "SELECT 1")})

    def test_an_index_that_was_completed(
        self, cli: Cli, database: Database, directory: Path
    ) -> None:
        set_mark(database, directory, "1_a", 2, "public.a_id")
        before = database.value("SELECT 'a_id'::regclass::oid")
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (
            0,
            "1_a: the index public.a_id is complete: the server built it after the run was "
            "broken off\n",
        )
        assert database.value("SELECT 'a_id'::regclass::oid") == before

    def test_an_index_of_another_definition(
        self, cli: Cli, database: Database, directory: Path
    ) -> None:
        set_mark(database, directory, "1_a", 2, "public.a_id")
        database.execute("DROP INDEX a_id; CREATE INDEX a_id ON a ((id + 1)) WHERE id > 5")
        assert migrate(cli, database, directory) == Result(
            1,
            "",
            "error: 1_a was broken off in statement 2, and nothing tells whether the server "
            "completed it\n"
            f"  in {directory}/1_a.sql, line 3: CREATE INDEX CONCURRENTLY a_id ON a ((id + 1)) "
            "WHERE id > 0\n"
            "hint: look whether it was done. If so: agentdb migrate resume 1 --from 3; "
            "if not: agentdb migrate resume 1 --from 2. Then run agentdb migrate again\n",
        )
        resume = ("migrate", "resume", "1", "-d", database.url, "--dir", directory, "--from", "3")
        assert cli(*resume).code == 0
        assert migrate(cli, database, directory).code == 0

    def test_an_index_that_was_not_begun(
        self, cli: Cli, database: Database, directory: Path
    ) -> None:
        set_mark(database, directory, "1_a", 2, "public.a_id")
        database.execute("DROP INDEX a_id")
        assert migrate(cli, database, directory).code == 0
        assert database.value("SELECT to_regclass('a_id')") == "a_id"

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("VACUUM a", "1_a: statement 2 was broken off; it is run again\n"),
            ("DROP INDEX CONCURRENTLY gone", ""),
        ],
    )
    def test_what_may_be_repeated(
        self, cli: Cli, database: Database, directory: Path, statement: str, said: str
    ) -> None:
        text = HEADER + f"CREATE TABLE a (id int);\n{statement};"
        (directory / "1_a.sql").write_text(text)
        set_mark(database, directory, "1_a", 2, "")
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (0, said)

    def test_what_may_not(self, cli: Cli, database: Database, directory: Path) -> None:
        text = HEADER + "CREATE TABLE a (id int);\nCALL fill();"
        (directory / "1_a.sql").write_text(text)
        set_mark(database, directory, "1_a", 2, "")
        assert migrate(cli, database, directory).err == (
            "error: 1_a was broken off in statement 2, and nothing tells whether the server "
            "completed it\n"
            f"  in {directory}/1_a.sql, line 3: CALL fill()\n"
            "hint: look whether it was done. If so: agentdb migrate resume 1 --from 3; "
            "if not: agentdb migrate resume 1 --from 2. Then run agentdb migrate again\n"
        )

    def test_killed_while_the_index_is_built(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE b (id int);",
                "2_b.sql": HEADER + "CREATE INDEX CONCURRENTLY b_id ON b (id);",
            }
        )
        command = [sys.executable, "-m", "agentdb_cli", "migrate", "-d", database.url]
        with psycopg.connect(database.url, autocommit=True) as older:
            older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            run = subprocess.Popen([*command, "--dir", str(directory)], stderr=subprocess.PIPE)
            waiting = (
                "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'"
                " AND wait_event = 'virtualxid'"
            )
            while not (rows := database.execute(waiting)):
                assert run.poll() is None, run.communicate()
                time.sleep(0.02)
            run.send_signal(signal.SIGKILL)
            run.communicate()
            # The server goes on with it, and ends it as invalid here.
            database.execute("SELECT pg_terminate_backend(%s)", rows[0][0])
            while database.execute(waiting):
                time.sleep(0.02)
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (
            0,
            "2_b: dropped the invalid index public.b_id, which a broken-off run of this file "
            "left\n",
        )
        assert applied(database) == [1, 2]
