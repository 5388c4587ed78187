"""agentdb migrate: numbered files, one transaction each, recorded with it."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import psycopg
import pytest
import tomli_w
from conftest import Database, Result

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]


def tables(database: Database) -> set[str]:
    rows = database.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row[0] for row in rows}


class TestApplying:
    def test_pending_files_are_applied_in_the_order_of_their_numbers(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "10_c.sql": "INSERT INTO a SELECT 3;",
                "2_b.sql": "INSERT INTO a SELECT 2;",
                "001_a.sql": "CREATE TABLE a (id int);",
                "20260101120000_d.sql": "INSERT INTO a SELECT 4",
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert (result.code, result.err) == (0, "")
        lines = [line.split("  ")[:2] for line in result.out.splitlines()]
        assert [line[1] for line in lines[:4]] == ["001_a", "2_b", "10_c", "20260101120000_d"]
        assert result.out.splitlines()[4].startswith("4 applied in ")
        assert result.out.endswith(f", database {database.url.replace('&port=5432', '')}\n")
        assert database.execute("SELECT id FROM a") == [(2,), (3,), (4,)]

    def test_a_second_run_has_nothing_to_do(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();"})
        cli("migrate", "-d", database.url, "--dir", directory)
        again = cli("migrate", "-d", database.url, "--dir", directory)
        assert again.out.startswith("nothing pending, 1 file, database postgresql://")

    def test_the_tracking_row(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        text = "CREATE TABLE :\"name\" (id int);\n-- 'quoted', -- and \\ commented\n"
        directory = files({"007_it's.sql": text})
        cli("migrate", "-d", database.url, "--dir", directory, "--set", 'name=odd "name\\')
        assert 'odd "name\\' in tables(database)
        row = database.execute(
            "SELECT pack, version, name, checksum, applied_at <= now(), duration > '0', "
            "applied_by, tool_version, variables FROM agentdb_migrations"
        )[0]
        checksum = hashlib.sha256(text.encode()).hexdigest()
        assert row == (
            "local", 7, "it's", checksum, True, True, "postgres", "0.1.0",
            {"name": "odd \"name\\"},
        )  # fmt: skip

    def test_dry_run_shows_what_is_pending_and_changes_nothing(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();", "2_b.sql": "CREATE TABLE b ();"})
        result = cli("migrate", "--dry-run", "-d", database.url, "--dir", directory)
        pending = [line for line in result.out.splitlines() if not line.startswith(" ")]
        assert pending[:2] == ["pending  1_a", "pending  2_b"]
        assert result.out.endswith("(dry run: nothing was changed)\n")
        assert tables(database) == set()

    def test_machine_output(self, cli: Cli, database: Database, files: Callable[..., Path]) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();"})
        first = cli("migrate", "-d", database.url, "--dir", directory, "-f", "json")
        [row] = json.loads(first.out)
        assert (row["version"], row["migration"]) == (1, "1_a")
        assert row["duration"] > 0
        again = cli("migrate", "-d", database.url, "--dir", directory, "-f", "json")
        assert json.loads(again.out) == []

    def test_settings_name_the_directory_the_table_and_the_variables(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a (v varchar(:size) DEFAULT :'text');"})
        content = {
            "url": database.url,
            "variables": {"size": 7, "text": "it's"},
            "migrations": {"dir": str(directory), "table": "ops.history"},
        }
        Path("agentdb.toml").write_text(tomli_w.dumps(content))
        assert cli("migrate").code == 0
        assert database.value("SELECT version FROM ops.history") == 1
        database.execute("INSERT INTO a DEFAULT VALUES")
        assert database.value("SELECT v FROM a") == "it's"
        assert (
            database.value(
                "SELECT character_maximum_length FROM information_schema.columns "
                "WHERE table_name = 'a'"
            )
            == 7
        )

    def test_a_setting_made_by_one_file_does_not_reach_the_next(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        database.execute("CREATE ROLE migrate_test_role")
        directory = files(
            {
                "1_a.sql": "SELECT pg_catalog.set_config('search_path', '', false);\n"
                "SET ROLE migrate_test_role; SET lock_timeout = '7h';",
                "2_b.sql": "CREATE TABLE a AS SELECT current_user::text AS who, "
                "current_setting('lock_timeout') AS lock_timeout;",
            }
        )
        try:
            result = cli("migrate", "-d", database.url, "--dir", directory)
            assert (result.code, result.err) == (0, "")
            assert database.execute("SELECT * FROM a") == [("postgres", "1s")]
        finally:
            database.execute("DROP ROLE migrate_test_role")

    def test_files_with_their_own_begin_and_commit(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "-- Migration 001\n\nBEGIN;\n\nCREATE TABLE a ();\n\nCOMMIT;\n\n"
                "-- Rollback:\n-- DROP TABLE a;\n",
                "2_b.sql": "START TRANSACTION ISOLATION LEVEL SERIALIZABLE;\n"
                "CREATE TABLE b AS SELECT current_setting('transaction_isolation') AS level;\nEND",
            }
        )
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0
        assert database.value("SELECT level FROM b") == "serializable"
        assert database.value("SELECT count(*) FROM agentdb_migrations") == 2

    def test_what_a_file_raises_is_shown(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "DROP TABLE IF EXISTS nothing;\n"
                "DO $$ BEGIN RAISE NOTICE 'looked'; RAISE WARNING 'careful'; END $$;"
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.err == "from the server: looked\nwarning: from the server: careful\n"

    def test_a_byte_order_mark_and_crlf_change_neither_meaning_nor_checksum(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a ();\n"})
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0
        files({"1_a.sql": b"\xef\xbb\xbfCREATE TABLE a ();\r\n"})
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0


class TestFailing:
    def test_a_failure_names_the_place_and_keeps_nothing(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a (id int);",
                "2_b.sql": "CREATE TABLE b (id int);\n\nINSERT INTO a (id, nmae)\n  VALUES (1, 2);",
                "3_c.sql": "CREATE TABLE c (id int);",
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.code == 1
        assert result.err == (
            'error: 2_b failed: column "nmae" of relation "a" does not exist (42703)\n'
            f"  in {directory}/2_b.sql, line 3, column 20\n"
            "  3 | INSERT INTO a (id, nmae)\n"
            "    |                    ^\n"
            "hint: nothing of this file was kept; the 1 before it stays applied. "
            "Mend the file, then run agentdb migrate again\n"
        )
        assert tables(database) == {"a", "agentdb_migrations"}
        files({"2_b.sql": "CREATE TABLE b (id int);"})
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0
        assert tables(database) == {"a", "b", "c", "agentdb_migrations"}

    def test_an_error_without_a_position_is_placed_by_its_statement(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "BEGIN;\nCREATE TABLE a (id int PRIMARY KEY);\n"
                "INSERT INTO a VALUES (1);\n/* again */ INSERT INTO a VALUES (1);\nCOMMIT;"
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.err == (
            "error: 1_a failed: duplicate key value violates unique constraint "
            '"a_pkey" (23505)\n'
            f"  in {directory}/1_a.sql, line 4, column 13\n"
            "  4 | /* again */ INSERT INTO a VALUES (1);\n"
            "    |             ^\n"
            "  detail: Key (id)=(1) already exists.\n"
            "hint: nothing of this file was kept. "
            "Mend the file, then run agentdb migrate again\n"
        )

    def test_the_place_is_right_behind_variables_and_other_alphabets(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {"1_a.sql": "SELECT 'Grüße 🙂', :'long', :'long', :n,\n  :'long' || nothing;"}
        )
        result = cli(
            "migrate", "-d", database.url, "--dir", directory, "--set", f"long={'x' * 99}",
            "--set", "n=1",
        )  # fmt: skip
        assert f"  in {directory}/1_a.sql, line 2, column 14\n" in result.err

    def test_the_servers_hint_and_the_place_in_a_function(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "DO $$\nBEGIN\n  RAISE EXCEPTION 'no' USING HINT = 'say yes', "
                "DETAIL = 'really';\nEND $$;"
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.err == (
            "error: 1_a failed: no (P0001)\n"
            f"  in {directory}/1_a.sql, line 1, column 1\n"
            "  1 | DO $$\n"
            "    | ^\n"
            "  detail: really\n"
            "  server's hint: say yes\n"
            "  where: PL/pgSQL function inline_code_block line 3 at RAISE\n"
            "hint: nothing of this file was kept. "
            "Mend the file, then run agentdb migrate again\n"
        )

    def test_a_failure_at_commit(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a (id int PRIMARY KEY);\n"
                "CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
                "INSERT INTO b VALUES (1);"
            }
        )
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.err.splitlines()[:2] == [
            'error: 1_a failed: insert or update on table "b" violates foreign key constraint '
            '"b_id_fkey" (23503)',
            f"  in {directory}/1_a.sql, at COMMIT",
        ]
        assert tables(database) == {"agentdb_migrations"}

    def test_a_lock_is_not_waited_for_longer_than_lock_timeout(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        database.execute("CREATE TABLE a (id int)")
        directory = files({"1_a.sql": "ALTER TABLE a ADD COLUMN b int;"})
        with psycopg.connect(database.url) as other:
            other.execute("LOCK TABLE a IN ACCESS SHARE MODE")
            started = time.monotonic()
            result = cli(
                "migrate", "-d", database.url, "--dir", directory, "--lock-timeout", "200ms",
                "--lock-retries", "0",
            )  # fmt: skip
            assert time.monotonic() - started < 2
        assert result.err.splitlines()[0] == (
            "error: 1_a failed: canceling statement due to lock timeout (55P03)"
        )
        assert result.err.splitlines()[-1] == (
            "hint: nothing of this file was kept. Another session holds a lock on it: "
            "run again, or raise --lock-timeout"
        )

    def test_a_session_that_is_terminated(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "SELECT pg_terminate_backend(pg_backend_pid());"})
        result = cli("migrate", "-d", database.url, "--dir", directory)
        assert result.code == 1
        assert result.err.startswith(
            "error: 1_a failed: terminating connection due to administrator command (57P01)\n"
        )
        assert "Traceback" not in result.err

    def test_ctrl_c_undoes_the_file_in_flight(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a ();",
                "2_b.sql": "CREATE TABLE b (); SELECT pg_sleep(60);",
            }
        )
        run = subprocess.Popen(
            [*AGENTDB, "migrate", "-d", database.url, "--dir", directory],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        while not database.value(sleeping):
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=10)
        assert run.returncode == 130
        assert out.startswith("applied  1_a  ")
        assert err == (
            "warning: interrupted in 2_b: see agentdb migrate status\nerror: interrupted\n"
        )
        assert database.value(sleeping) == 0
        assert tables(database) == {"a", "agentdb_migrations"}
        files({"2_b.sql": "CREATE TABLE b ();"})
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0


BAD_FILES = {
    "two files of one number": (
        {"1_a.sql": "SELECT 1;", "001_b.sql": "SELECT 1;"},
        "error: two migrations have the number 1: 001_b.sql and 1_a.sql\n"
        "hint: renumber one of them in {dir}\n",
    ),
    "a number too large": (
        {"99999999999999999999_a.sql": "SELECT 1;"},
        "error: {dir}/99999999999999999999_a.sql: the number is too large\n"
        "hint: the largest is 9223372036854775807\n",
    ),
    "an empty file": (
        {"1_a.sql": " \n"},
        "error: {dir}/1_a.sql is empty\nhint: write its SQL, or remove the file\n",
    ),
    "a file of comments": (
        {"1_a.sql": "-- to do\n"},
        "error: {dir}/1_a.sql holds no SQL statement\nhint: write its SQL, or remove the file\n",
    ),
    "not UTF-8": (
        {"1_a.sql": b"SELECT 1;\nSELECT 'caf\xe9';"},
        "error: {dir}/1_a.sql, line 2: not UTF-8 (byte 0xe9)\nhint: save the file as UTF-8\n",
    ),
    "a COMMIT in the middle": (
        {"1_a.sql": "SELECT 1;\n  COMMIT;\nSELECT 2;"},
        "error: {dir}/1_a.sql, line 2, column 3: COMMIT inside a migration\n"
        "hint: a file is applied in one transaction, which agentdb opens and commits; "
        "split the file where one transaction must end\n",
    ),
    "a COPY to psql": (
        {"1_a.sql": "COPY (SELECT 1) TO STDOUT;"},
        "error: {dir}/1_a.sql, line 1, column 1: COPY … TO STDOUT has no place to write to\n",
    ),
    "an unsafe bare variable": (
        {"1_a.sql": "SELECT :danger;"},
        "error: {dir}/1_a.sql, line 1, column 8: "
        "the value of :danger is not a number or a plain word\n"
        "hint: write :'danger' for a string literal, :\"danger\" for an identifier\n",
    ),
}


class TestRefusedBeforeAnythingRuns:
    @pytest.mark.parametrize("case", BAD_FILES)
    def test_a_bad_file(
        self, cli: Cli, database18: Database, files: Callable[..., Path], case: str
    ) -> None:
        contents, message = BAD_FILES[case]
        directory = files({"0_first.sql": "CREATE TABLE a ();", **contents})
        result = cli(
            "migrate", "-d", database18.url, "--dir", directory, "--set", "danger=1; DROP TABLE x"
        )
        assert result == Result(1, "", message.format(dir=directory))
        assert tables(database18) == set()

    def test_no_such_directory(self, cli: Cli, database18: Database) -> None:
        assert cli("migrate", "-d", database18.url, "--dir", "/no/such") == Result(
            1,
            "",
            "error: there is no directory /no/such\n"
            "hint: name the directory of the migrations with --dir, or a pack with --pack\n",
        )

    def test_directories_and_loops_among_the_files(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({})
        (directory / "1_a.sql").mkdir()
        result = cli("migrate", "-d", database18.url, "--dir", directory)
        assert result.err == f"error: cannot read {directory}/1_a.sql: Is a directory\n"
        (directory / "1_a.sql").rmdir()
        (directory / "1_a.sql").symlink_to("1_a.sql")
        result = cli("migrate", "-d", database18.url, "--dir", directory)
        assert result.err == (
            f"error: cannot read {directory}/1_a.sql: Too many levels of symbolic links\n"
        )

    def test_files_without_a_number_are_mentioned(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {"seed.sql": "x", "1_a.sql": "SELECT 1;", "1_a.down.sql": "SELECT 2;", "README": ""}
        )
        result = cli("migrate", "-d", database18.url, "--dir", directory)
        assert result.code == 0
        assert result.err == (f"warning: {directory}/seed.sql is ignored: its name has no number\n")

    def test_an_unknown_pack(self, cli: Cli, database18: Database) -> None:
        result = cli("migrate", "-d", database18.url, "--pack", "agentbd")
        assert result.code == 2
        assert result.err.splitlines()[0] == (
            "error: there is no pack 'agentbd'; did you mean 'agentdb'?"
        )

    def test_a_missing_extension(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {"1_a.sql": "SELECT 1;", "2_b.sql": "-- agentdb: requires-extension nosuch\nSELECT 1;"}
        )
        assert cli("migrate", "-d", database18.url, "--dir", directory) == Result(
            1,
            "",
            "error: 2_b needs the extension 'nosuch', which this PostgreSQL 18 server does not "
            "have\nhint: install it on the server (Debian: apt install postgresql-18-nosuch), "
            "or leave out what needs it with --skip-unavailable\n",
        )
        assert tables(database18) == set()
        skipping = cli("migrate", "-d", database18.url, "--dir", directory, "--skip-unavailable")
        assert skipping.code == 0
        assert skipping.err == (
            "warning: left out: 2_b needs the extension 'nosuch', "
            "which this PostgreSQL 18 server does not have\n"
        )
        assert database18.execute("SELECT version FROM agentdb_migrations") == [(1,)]
        again = cli("migrate", "-d", database18.url, "--dir", directory, "--skip-unavailable")
        assert again.out.startswith("nothing to apply, 2 files, ")


class TestHistoryAgainstFiles:
    @pytest.fixture
    def applied(self, cli: Cli, database18: Database, files: Callable[..., Path]) -> Path:
        """Three migrations, applied."""
        directory = files({f"{n}_{n}.sql": f"CREATE TABLE t{n} ();" for n in (1, 3, 4)})
        assert cli("migrate", "-d", database18.url, "--dir", directory).code == 0
        return directory

    def test_a_file_changed_after_it_was_applied(
        self, cli: Cli, database18: Database, files: Callable[..., Path], applied: Path
    ) -> None:
        files({"3_3.sql": "CREATE TABLE t3 (id int);", "5_5.sql": "CREATE TABLE t5 ();"})
        then = hashlib.sha256(b"CREATE TABLE t3 ();").hexdigest()[:12]
        now = hashlib.sha256(b"CREATE TABLE t3 (id int);").hexdigest()[:12]
        result = cli("migrate", "-d", database18.url, "--dir", applied)
        assert result == Result(
            1,
            "",
            "error: 1 applied migration changed afterwards:\n"
            f"  3_3: applied with SHA-256 {then}…, the file has {now}…\n"
            "hint: restore the files and put the change into a new migration; "
            "--allow-changed goes on if the change means nothing (a comment)\n",
        )
        assert "t5" not in tables(database18)
        args = ("migrate", "-d", database18.url, "--dir", applied, "--allow-changed")
        assert cli(*args).code == 0
        assert "t5" in tables(database18)

    def test_a_gap_in_what_was_applied(
        self, cli: Cli, database18: Database, files: Callable[..., Path], applied: Path
    ) -> None:
        files({"2_2.sql": "CREATE TABLE t2 ();"})
        result = cli("migrate", "-d", database18.url, "--dir", applied)
        assert result == Result(
            1,
            "",
            "error: 1 pending migration numbered below 4_4, which is applied:\n  2_2\n"
            "hint: renumber them after it, or pass --out-of-order if their order does not "
            "matter\n",
        )
        args = ("migrate", "-d", database18.url, "--dir", applied, "--out-of-order")
        assert cli(*args).code == 0
        assert "t2" in tables(database18)

    def test_an_applied_migration_without_a_file(
        self, cli: Cli, database18: Database, applied: Path
    ) -> None:
        (applied / "3_3.sql").unlink()
        result = cli("migrate", "-d", database18.url, "--dir", applied)
        assert result == Result(
            1,
            "",
            "error: 1 applied migration without a file:\n  003_3\n"
            "hint: restore the files, or check --dir and --pack; --allow-missing goes on\n",
        )
        args = ("migrate", "-d", database18.url, "--dir", applied, "--allow-missing")
        assert cli(*args).code == 0

    def test_a_database_ahead_of_the_files_is_no_error(
        self, cli: Cli, database18: Database, applied: Path
    ) -> None:
        (applied / "4_4.sql").unlink()
        result = cli("migrate", "-d", database18.url, "--dir", applied)
        assert result.code == 0
        assert result.err == (
            "warning: the database is ahead of these files: a newer release applied 004_4\n"
        )

    def test_a_variable_that_changed(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "CREATE TABLE a (v varchar(:size));"})
        args = ("migrate", "-d", database18.url, "--dir", directory)
        assert cli(*args, "--set", "size=5").code == 0
        result = cli(*args, "--set", "size=6")
        assert result.code == 0
        assert result.err == (
            "warning: size is 6 now, but was 5 when 1_a was applied: "
            "what that file made keeps its value\n"
        )

    def test_status(
        self, cli: Cli, database18: Database, files: Callable[..., Path], applied: Path
    ) -> None:
        files({"2_2.sql": "SELECT 2;", "3_3.sql": "SELECT 3;", "5_5.sql": "SELECT 5;"})
        (applied / "4_4.sql").unlink()
        args = ("migrate", "status", "-d", database18.url, "--dir", applied)
        result = cli(*args, "-f", "json")
        rows = json.loads(result.out)
        assert [(row["version"], row["migration"], row["state"]) for row in rows] == [
            (1, "1_1", "applied"),
            (2, "2_2", "out of order"),
            (3, "3_3", "changed"),
            (4, "004_4", "missing"),
            (5, "5_5", "pending"),
        ]
        assert result.code == 0
        assert (rows[0]["applied_by"], rows[1]["applied_by"]) == ("postgres", None)
        check = cli(*args, "--check", "-q")
        assert check.code == 1
        assert check.err == (
            "error: not every migration is applied: "
            "1 applied, 1 out of order, 1 changed, 1 missing, 1 pending\n"
        )

    def test_status_check_of_a_complete_database(
        self, cli: Cli, database18: Database, applied: Path
    ) -> None:
        args = ("migrate", "status", "--check", "-d", database18.url, "--dir", applied)
        assert cli(*args).code == 0


class TestPrivileges:
    def test_no_right_to_create_the_tracking_table(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        database.execute("CREATE ROLE migrate_test_role")
        database.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        url = f"{database.url}&options=-c role=migrate_test_role".replace("-c role", "-c%20role")
        try:
            result = cli("migrate", "-d", url, "--dir", files({"1_a.sql": "SELECT 1;"}))
            assert result.code == 1
            assert result.err.splitlines()[0] == (
                "error: the role 'postgres' may not create the tracking table "
                "public.agentdb_migrations"
            )
        finally:
            database.execute("DROP ROLE migrate_test_role")

    def test_an_extension_that_only_an_administrator_may_create(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        database18.execute(
            "CREATE ROLE migrate_test_role LOGIN; GRANT ALL ON SCHEMA public TO PUBLIC"
        )
        try:
            url = database18.url.replace("postgres@", "migrate_test_role@")
            directory = files(
                {
                    "1_a.sql": "-- agentdb: requires-extension vector\n"
                    "CREATE EXTENSION IF NOT EXISTS vector;"
                }
            )
            result = cli("migrate", "-d", url, "--dir", directory)
            assert result.err.splitlines()[-1] == (
                "hint: nothing of this file was kept. "
                "An administrator must run CREATE EXTENSION vector in this database once"
            )
        finally:
            database18.execute("DROP OWNED BY migrate_test_role; DROP ROLE migrate_test_role")

    def test_a_read_only_server(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        url = f"{database18.url}&options=-c%20default_transaction_read_only=on"
        assert cli("migrate", "-d", url, "--dir", files({"1_a.sql": "SELECT 1;"})) == Result(
            1,
            "",
            "error: the server is read-only (a replica, or default_transaction_read_only is on)\n"
            "hint: connect to the primary\n",
        )

    def test_another_tools_table_of_the_same_name(
        self, cli: Cli, database18: Database, files: Callable[..., Path]
    ) -> None:
        database18.execute("CREATE TABLE agentdb_migrations (id int)")
        result = cli("migrate", "-d", database18.url, "--dir", files({"1_a.sql": "SELECT 1;"}))
        assert result.err == (
            "error: public.agentdb_migrations is not a tracking table of agentdb\n"
            "hint: choose another name: table in [migrations] of agentdb.toml\n"
        )


class TestManyAtOnce:
    def test_ten_runs_apply_each_file_exactly_once(
        self, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files(
            {
                f"{n:03d}_t.sql": f"CREATE TABLE t{n} (id int); SELECT pg_sleep(0.005);"
                for n in range(30)
            }
        )
        runs = [
            subprocess.Popen(
                [*AGENTDB, "migrate", "-d", database.url, "--dir", directory, "-f", "json"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(10)
        ]
        outputs = [run.communicate(timeout=60) for run in runs]
        assert [run.returncode for run in runs] == [0] * 10, outputs
        applied = [row["version"] for out, _ in outputs for row in json.loads(out)]
        assert sorted(applied) == list(range(30))

    def test_a_run_that_waits_too_long_names_the_one_it_waited_for(
        self, cli: Cli, database: Database, files: Callable[..., Path]
    ) -> None:
        directory = files({"1_a.sql": "SELECT 1;"})
        key = crc32(b"public.agentdb_migrations")
        with psycopg.connect(f"{database.url}&application_name=rollout-7") as other:
            other.execute("SELECT pg_advisory_lock(%s::bigint::int, %s)", (0x61676462, key))
            pid = other.info.backend_pid
            result = cli("migrate", "-d", database.url, "--dir", directory, "--lock-wait", "1500ms")
        told, error, hint = result.err.splitlines()
        assert told.startswith(
            f"waiting for another migration run: pid {pid} (rollout-7, postgres@local), "
        )
        assert error.startswith(
            "error: another migration run did not finish within 1.5 s: "
            f"pid {pid} (rollout-7, postgres@local), connected since "
        )
        assert hint == (
            "hint: wait for it, or end it with SELECT pg_terminate_backend(pid); "
            "--lock-wait sets how long to wait"
        )


class TestOptions:
    def test_options_stand_after_the_sub_command(self, cli: Cli) -> None:
        assert cli("migrate", "--dir", "x", "status") == Result(
            2,
            "",
            "error: options of migrate stand before 'status'\n"
            "hint: write them after it: agentdb migrate status …\n",
        )

    def test_a_bad_assignment(self, cli: Cli) -> None:
        assert cli("migrate", "--dir", ".", "--set", "size") == Result(
            2, "", "error: --set wants NAME=VALUE, not 'size'\n"
        )
