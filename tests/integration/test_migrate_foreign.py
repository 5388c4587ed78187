"""Directories that were written for other migration tools, and files with sections."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result
from directories import migrate

Cli = Callable[..., Result]
Files = Callable[[dict[str, str]], Path]


def applied(database: Database) -> list[tuple]:
    return database.execute("SELECT version, name FROM agentdb_migrations ORDER BY version")


def objects(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relname !~ 'agentdb' AND relkind IN ('r', 'i') ORDER BY relname"
    )
    return [row[0] for row in rows]


DBMATE = {
    "20240131120000_a.sql": "-- first\n\n-- migrate:up\nCREATE TABLE a (id int);\n\n"
    "-- migrate:down\nDROP TABLE a;\n",
    "20240131120001_i.sql": "-- migrate:up transaction:false\n"
    "CREATE INDEX CONCURRENTLY i ON a (id);\n"
    "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY i;\n",
}
GOOSE = {
    "00001_a.sql": "-- +goose Up\nCREATE TABLE a (id int);\n"
    "-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\n"
    "BEGIN\n  RETURN 1;\nEND\n$$;\n-- +goose StatementEnd\n\n"
    "-- +goose Down\nDROP FUNCTION f();\nDROP TABLE a;\n",
    "00002_i.sql": "-- +goose NO TRANSACTION\n-- +goose up\n"
    "CREATE INDEX CONCURRENTLY i ON a (id);\n\n-- +goose Down\nDROP INDEX CONCURRENTLY i;\n",
}
PAIRS = {
    "000001_a.up.sql": "CREATE TABLE a (id int);",
    "000001_a.down.sql": "DROP TABLE a;",
    "000002_i.up.sql": "CREATE INDEX CONCURRENTLY i ON a (id);",
    "000002_i.down.sql": "DROP INDEX CONCURRENTLY i;",
}
SQLX = {
    "20240131120000_a.sql": "-- Add migration script here\nCREATE TABLE a (id int);",
    "20240131120001_i.sql": "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id);",
}
SQLX_PAIRS = {
    "20240131120000_a.up.sql": "CREATE TABLE a (id int);",
    "20240131120000_a.down.sql": "DROP TABLE a;",
    "20240131120001_i.up.sql": "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id);",
    "20240131120001_i.down.sql": "-- no-transaction\nDROP INDEX CONCURRENTLY i;",
}
FLYWAY = {
    "V1__a.sql": "CREATE TABLE a (id int);",
    "U1__a.sql": "DROP TABLE a;",
    "V2__i.sql": "CREATE INDEX CONCURRENTLY i ON a (id);",
    "U2__undo_i.sql": "DROP INDEX CONCURRENTLY i;",
}
PYCOPG = {
    "001_a.sql": "-- Migration: a\n-- Created: 2026-01-31\n\n-- UP\nCREATE TABLE a (id int);\n\n"
    "-- DOWN\nDROP TABLE a;\n",
    "002_i.sql": "-- UP\nCREATE INDEX i ON a (id);\n-- DOWN\nDROP INDEX i;\n",
}
YOYO = {
    "20240131_01_AbCdE-a.sql": "-- depends: \nCREATE TABLE a (id int);",
    "20240131_01_AbCdE-a.rollback.sql": "DROP TABLE a;",
    "20240131_02_x9Y8z-i.sql": "-- depends: 20240131_01_AbCdE-a\nCREATE INDEX i ON a (id);",
    "20240131_02_x9Y8z-i.rollback.sql": "DROP INDEX i;",
}

TOOLS = {
    "dbmate": (DBMATE, "dbmate", [20240131120000, 20240131120001]),
    "goose": (GOOSE, "goose", [1, 2]),
    "golang-migrate": (PAIRS, "golang-migrate or sqlx", [1, 2]),
    "sqlx, reversible": (SQLX_PAIRS, "sqlx", [20240131120000, 20240131120001]),
    "flyway": (FLYWAY, "Flyway", [1, 2]),
    "pycopg": (PYCOPG, "pycopg", [1, 2]),
    "yoyo": (YOYO, "yoyo", [2024013101, 2024013102]),
}


class TestTools:
    @pytest.mark.parametrize("tool", TOOLS)
    def test_a_directory_is_read_as_it_is(
        self, cli: Cli, database: Database, files: Files, tool: str
    ) -> None:
        contents, name, versions = TOOLS[tool]
        directory = files(contents)
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (0, "")
        assert objects(database) == ["a", "i"]
        assert applied(database) == list(zip(versions, ["a", "i"], strict=True))
        status = migrate(cli, database, directory, "status", "--check")
        assert status.err == f"2 applied\n{directory} is written for {name}\n"

        assert migrate(cli, database, directory, "down", "--yes").code == 0
        assert objects(database) == ["a"]
        assert migrate(cli, database, directory, "down", "--yes").code == 0
        assert objects(database) == []
        assert applied(database) == []
        assert migrate(cli, database, directory).code == 0
        assert objects(database) == ["a", "i"]

    def test_sqlx_without_down_parts(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(SQLX)
        assert migrate(cli, database, directory).code == 0
        assert objects(database) == ["a", "i"]
        assert migrate(cli, database, directory, "status").err == (
            f"2 applied\n{directory} is written for sqlx\n"
        )

    def test_the_checksum_is_that_of_the_whole_file(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(DBMATE)
        assert migrate(cli, database18, directory).code == 0
        text = DBMATE["20240131120000_a.sql"]
        assert database18.value("SELECT checksum FROM agentdb_migrations LIMIT 1") == (
            hashlib.sha256(text.encode()).hexdigest()
        )
        files({"20240131120000_a.sql": text.replace("DROP TABLE a", "DROP TABLE b")})
        assert "20240131120000_a: applied with" in migrate(cli, database18, directory).err

    @pytest.mark.parametrize(
        ("contents", "written"),
        [
            (DBMATE, {"20240131120002_add_it.sql": "-- migrate:up\n"}),
            (GOOSE, {"00003_add_it.sql": "-- +goose Up\n"}),
            (PAIRS, {"000003_add_it.up.sql": "--", "000003_add_it.down.sql": "--"}),
            (FLYWAY, {"V3__add_it.sql": "--", "U3__add_it.sql": "--"}),
            (PYCOPG, {"003_add_it.sql": "-- UP\n"}),
        ],
        ids=["dbmate", "goose", "pairs", "flyway", "pycopg"],
    )
    def test_a_new_migration_is_as_the_others(
        self, cli: Cli, files: Files, contents: dict[str, str], written: dict[str, str]
    ) -> None:
        # The times of dbmate's are of the present.
        numbers = {name.replace("20240131", "20990131"): text for name, text in contents.items()}
        directory = files(numbers)
        assert cli("migrate", "new", "add it", "--dir", directory).code == 0
        new = {path.name: path.read_text() for path in directory.iterdir()}
        for name in numbers:
            del new[name]
        wanted = {name.replace("20240131", "20990131"): text for name, text in written.items()}
        assert new.keys() == wanted.keys()
        for name, text in wanted.items():
            assert new[name].startswith(text)

    def test_a_new_migration_of_yoyo(self, cli: Cli, files: Files) -> None:
        directory = files({"29991231_07_AbCdE-a.sql": "SELECT 1;"})
        assert cli("migrate", "new", "add it", "--dir", directory).code == 0
        assert sorted(path.name for path in directory.iterdir())[1:] == [
            "29991231_08_agtdb-add_it.rollback.sql",
            "29991231_08_agtdb-add_it.sql",
        ]

    def test_an_empty_migration_of_another_tool_is_applied(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({**PAIRS, "000003_x.up.sql": "", "000003_x.down.sql": ""})
        assert migrate(cli, database18, directory).code == 0
        assert applied(database18)[2] == (3, "x")
        again = migrate(cli, database18, directory)
        assert again.out.startswith("nothing pending, 3 files, ")

    def test_settings_say_for_which_tool(self, cli: Cli, files: Files) -> None:
        directory = files(GOOSE)
        Path("agentdb.toml").write_text(f'[migrations]\ndir = "{directory}"\n')
        assert f"{directory} (goose files)" in cli("config", "show").out
        files({"00003_b.sql": "SELECT 3;"})
        assert f"{directory} ({directory} mixes " in cli("config", "show").out


SECTIONS = {
    "down without up": (
        "-- x\n-- migrate:down\nSELECT 1;",
        "line 2: -- migrate:down without -- migrate:up above it\n"
        "hint: a file has one up part, under -- migrate:up, and then one down part\n",
    ),
    "up twice": (
        "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2;",
        "line 3: -- migrate:up a second time\n"
        "hint: a file has one up part, under -- migrate:up, and then one down part\n",
    ),
    "down twice": (
        "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n-- migrate:down\n",
        "line 5: -- migrate:down a second time\n"
        "hint: a file has one up part, under -- migrate:up, and then one down part\n",
    ),
    "up after down": (
        "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n-- +goose Up\n",
        "line 5: -- +goose Up after the down part\n"
        "hint: a file has one up part, under -- +goose Up, and then one down part\n",
    ),
    "a statement above": (
        "-- x\nSELECT 1;\n-- migrate:up\nSELECT 2;",
        "line 2: a statement above -- migrate:up\n"
        "hint: move it below -- migrate:up: what stands above belongs to no part\n",
    ),
    "ENVSUBST": (
        "-- +goose Up\n-- +goose ENVSUBST ON\nSELECT '${HOME}';",
        "line 2: ENVSUBST, which agentdb does not know\n"
        "hint: write the value itself, or a variable (:name) and set it with --set\n",
    ),
}


class TestSections:
    def test_places_are_those_in_the_file(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {
                "1_a.sql": "-- über\n\n-- migrate:up\nSELECT 1;\nSELECT\n  nothing;\n"
                "-- migrate:down\n"
            }
        )
        result = migrate(cli, database, directory)
        assert result.err.splitlines()[:4] == [
            'error: 1_a failed: column "nothing" does not exist (42703)',
            f"  in {directory}/1_a.sql, line 6, column 3",
            "  6 |   nothing;",
            "    |   ^",
        ]

    @pytest.mark.parametrize("case", SECTIONS)
    def test_sections_that_are_not_in_order(
        self, cli: Cli, database18: Database, files: Files, case: str
    ) -> None:
        text, problem = SECTIONS[case]
        directory = files({"1_a.sql": text})
        assert migrate(cli, database18, directory) == Result(
            1, "", f"error: {directory}/1_a.sql, {problem}"
        )
        assert objects(database18) == []

    def test_goose_without_an_up_part(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({"1_a.sql": "-- +goose StatementBegin\nSELECT 1;\n"})
        assert migrate(cli, database18, directory) == Result(
            1,
            "",
            f"error: {directory}/1_a.sql has sections, but none under -- +goose Up\n"
            "hint: write -- +goose Up above its SQL\n",
        )

    def test_what_only_looks_like_a_section(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a AS SELECT '\n-- migrate:up\n' AS x;\n"
                "/*\n-- migrate:down\n-- +goose Up\n*/\n"
                "INSERT INTO a VALUES ($$\n-- +goose Down\n-- DOWN\n$$);\n"
                "-- UP\nINSERT INTO a VALUES ('u');\n-- DOWN\nINSERT INTO a VALUES ('d');\n"
                "  -- migrate:up\n",
            }
        )
        result = migrate(cli, database, directory)
        assert (result.code, result.err) == (0, "")
        assert database.value("SELECT count(*) FROM a") == 4
        assert migrate(cli, database, directory, "status").err == "1 applied\n"

    def test_own_files_may_have_sections_or_not(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "CREATE TABLE a (id int);",
                "2_i.sql": "-- agentdb: no-transaction\n-- migrate:up\n"
                "CREATE INDEX CONCURRENTLY i ON a (id);\n"
                "-- migrate:down\nDROP INDEX CONCURRENTLY i;\n",
            }
        )
        assert migrate(cli, database, directory).code == 0
        assert migrate(cli, database, directory, "status").err == "2 applied\n"
        assert migrate(cli, database, directory, "down", "--yes").code == 0
        assert objects(database) == ["a"]


FLYWAY_HINT = "hint: move it out of the directory; what it does goes into a numbered file\n"
MIXED = {
    "Flyway and numbers": (
        {"V1__a.sql": "SELECT 1;", "2_b.sql": "SELECT 2;"},
        "{dir} mixes migrations of two tools: V1__a.sql is named for Flyway, "
        "2_b.sql by its number alone\nhint: give the files of each tool a directory of their own\n",
    ),
    "pairs and numbers": (
        {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 1;", "2_b.sql": "SELECT 2;"},
        "{dir} mixes migrations of two tools: 1_a.up.sql is named as half of a pair, "
        "2_b.sql by its number alone\nhint: give the files of each tool a directory of their own\n",
    ),
    "dbmate and goose": (
        {"1_a.sql": "-- migrate:up\nSELECT 1;", "2_b.sql": "-- +goose Up\nSELECT 2;"},
        "{dir} mixes migrations of two tools: 1_a.sql is written for dbmate, "
        "2_b.sql for goose\nhint: give the files of each tool a directory of their own\n",
    ),
    "goose and none": (
        {"1_a.sql": "-- +goose Up\nSELECT 1;", "2_b.sql": "SELECT 2;"},
        "{dir} mixes migrations of two tools: 1_a.sql is written for goose, "
        "2_b.sql for agentdb\nhint: give the files of each tool a directory of their own\n",
    ),
    "goose and Go": (
        {"1_a.sql": "-- +goose Up\nSELECT 1;", "00002_b.go": "package m", "2_b_test.go": ""},
        "{dir}/00002_b.go is a migration written in Go, which agentdb cannot run\n"
        "hint: write it as SQL, or let goose apply it before: agentdb migrate adopt\n",
    ),
    "a repeatable one": (
        {"V1__a.sql": "SELECT 1;", "R__views.sql": "SELECT 2;"},
        "{dir}/R__views.sql is a repeatable migration of Flyway, which agentdb does not run\n"
        + FLYWAY_HINT,
    ),
    "a baseline": (
        {"V1__a.sql": "SELECT 1;", "B1__all.sql": "SELECT 2;"},
        "{dir}/B1__all.sql is a baseline migration of Flyway, which agentdb does not run\n"
        + FLYWAY_HINT,
    ),
    "a dotted version": (
        {"V1.2__a.sql": "SELECT 1;"},
        "{dir}/V1.2__a.sql: the version 1.2 is not a whole number\n"
        "hint: agentdb numbers migrations by whole numbers: rename it, for example V12__a.sql\n",
    ),
    "a placeholder": (
        {"V1__a.sql": "SELECT 1;\nGRANT SELECT ON a TO ${app:user};"},
        "{dir}/V1__a.sql, line 2: ${{app:user}} is a placeholder of Flyway, "
        "which agentdb does not fill in\n"
        "hint: write the value itself, or a variable (:name) and set it with --set\n",
    ),
}


class TestRefused:
    @pytest.mark.parametrize("case", MIXED)
    def test_what_is_not_of_one_tool_or_not_sql(
        self, cli: Cli, database18: Database, files: Files, case: str
    ) -> None:
        contents, problem = MIXED[case]
        directory = files(contents)
        expected = "error: " + problem.format(dir=directory)
        assert migrate(cli, database18, directory) == Result(1, "", expected)
        assert objects(database18) == []

    def test_names_of_our_own_stay_what_they_are(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "SELECT 1;",
                "2-Video__b.sql": "SELECT 2;",
                "3_rollback.sql": "SELECT 3;",
                "4_x.rollback.sql": "SELECT 4;",
                "5_up.sql": "SELECT 5;",
                "6_a.b.sql": "-- Rollback: nothing to do\nSELECT 6;",
                "Vision.sql": "x",
            }
        )
        result = migrate(cli, database18, directory)
        assert (result.code, result.err) == (
            0,
            f"warning: {directory}/Vision.sql is ignored: its name has no number\n",
        )
        assert applied(database18) == [
            (1, "a"), (2, "Video__b"), (3, "rollback"), (4, "x.rollback"), (5, "up"), (6, "a.b"),
        ]  # fmt: skip
