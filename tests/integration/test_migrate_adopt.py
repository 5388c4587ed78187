"""agentdb migrate adopt: the histories of other tools, in tables as those tools make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SERVERS, Database, Result

Cli = Callable[..., Result]
Files = Callable[[dict[str, str | bytes]], Path]


def adopt(cli: Cli, database: Database, directory: Path, *options: object) -> Result:
    return cli("migrate", "adopt", "-d", database.url, "--dir", directory, *options)


def place(database: Database) -> str:
    return database.url.replace("&port=5432", "")


def recorded(database: Database) -> list[tuple]:
    return database.execute(
        "SELECT version, name, checksum FROM agentdb_migrations ORDER BY version"
    )


def sha(content: str | bytes, algorithm: str = "sha256") -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.new(algorithm, data).hexdigest()


# What the files do has not been done: adopting must run none of them.
NUMBERED: dict[str, str | bytes] = {
    "1_a.sql": "CREATE TABLE a ();",
    "2_b.sql": "CREATE TABLE b ();",
    "3_c.sql": "CREATE TABLE c ();",
}
TIMED: dict[str, str | bytes] = {
    f"2024013112000{n}_{name}.sql": f"-- migrate:up\nCREATE TABLE {name} ();\n-- migrate:down\n"
    for n, name in enumerate("abc")
}

DBMATE = "CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY)"
OLD_DBMATE = "CREATE TABLE schema_migrations (version varchar(255) PRIMARY KEY)"
RAILS = f"""{DBMATE};
CREATE TABLE ar_internal_metadata (key varchar NOT NULL PRIMARY KEY, value varchar,
    created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL)"""
GOLANG = (
    "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)"
)
PYCOPG = """CREATE TABLE schema_migrations (version integer PRIMARY KEY, name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now())"""
GOOSE = """CREATE TABLE goose_db_version (id serial NOT NULL, version_id bigint NOT NULL,
    is_applied boolean NOT NULL, tstamp timestamp NULL DEFAULT now(), PRIMARY KEY (id));
INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true)"""
SQLX = """CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
    installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL,
    checksum bytea NOT NULL, execution_time bigint NOT NULL)"""
FLYWAY = """CREATE TABLE flyway_schema_history (installed_rank integer NOT NULL PRIMARY KEY,
    version varchar(50), description varchar(200) NOT NULL, type varchar(20) NOT NULL,
    script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL,
    installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL,
    success boolean NOT NULL)"""
YOYO = """CREATE TABLE _yoyo_migration (migration_hash varchar(64), migration_id varchar(255),
    applied_at_utc timestamp, PRIMARY KEY (migration_hash));
CREATE TABLE _yoyo_log (id varchar(36), migration_hash varchar(64), migration_id varchar(255),
    operation varchar(10), username varchar(255), hostname varchar(255), comment varchar(255),
    created_at_utc timestamp, PRIMARY KEY (id));
CREATE TABLE _yoyo_version (version int NOT NULL PRIMARY KEY, installed_at_utc timestamp);
CREATE TABLE yoyo_lock (locked int DEFAULT 1, ctime timestamp, pid int NOT NULL,
    PRIMARY KEY (locked))"""
ALEMBIC = """CREATE TABLE alembic_version (version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"""


def sqlx_row(database: Database, version: int, content: str | bytes, success: bool = True) -> None:
    database.execute(
        "INSERT INTO _sqlx_migrations VALUES (%s, 'x', now(), %s, decode(%s, 'hex'), 1)",
        version, success, sha(content, "sha384"),
    )  # fmt: skip


def flyway_row(
    database: Database, version: str | None, script: str, checksum: int | None,
    kind: str = "SQL", success: bool = True,
) -> None:  # fmt: skip
    database.execute(
        "INSERT INTO flyway_schema_history SELECT coalesce(max(installed_rank), 0) + 1,"
        " %s, 'x', %s, %s, %s, 'me', now(), 1, %s FROM flyway_schema_history",
        version, kind, script, checksum, success,
    )  # fmt: skip


def yoyo_row(database: Database, name: str) -> None:
    database.execute(
        "INSERT INTO _yoyo_migration VALUES (%s, %s, now() AT TIME ZONE 'UTC')", sha(name), name
    )


class TestTools:
    @pytest.mark.parametrize(
        ("table", "tool"),
        [(DBMATE, "dbmate"), (OLD_DBMATE, "dbmate"), (RAILS, "rails")],
        ids=["dbmate", "old dbmate", "rails"],
    )
    def test_versions_alone(
        self, cli: Cli, database: Database, files: Files, table: str, tool: str
    ) -> None:
        directory = files(TIMED)
        database.execute(table)
        database.execute(
            "INSERT INTO schema_migrations VALUES ('20240131120000'), ('20240131120001')"
        )
        before = database.execute("SELECT xmin, version FROM schema_migrations ORDER BY version")
        dry = adopt(cli, database, directory, "--dry-run")
        assert dry == Result(
            0,
            f"would record  20240131120000_a  ({tool}: 20240131120000)\n"
            f"would record  20240131120001_b  ({tool}: 20240131120001)\n"
            f"2 to record, from public.schema_migrations of {tool}, database {place(database)} "
            "(dry run: nothing was changed)\n",
            "",
        )
        assert database.value("SELECT to_regclass('agentdb_migrations') IS NULL")
        done = adopt(cli, database, directory, "--from", tool)
        assert done == Result(
            0,
            f"recorded  20240131120000_a  ({tool}: 20240131120000)\n"
            f"recorded  20240131120001_b  ({tool}: 20240131120001)\n"
            f"2 recorded as applied, from public.schema_migrations of {tool}, "
            f"database {place(database)}\n",
            "",
        )
        assert recorded(database) == [
            (20240131120000 + n, name, sha(TIMED[f"2024013112000{n}_{name}.sql"]))
            for n, name in enumerate("ab")
        ]
        assert database.value("SELECT to_regclass('a') IS NULL")
        again = adopt(cli, database, directory)
        assert again.out == (
            f"nothing to record, from public.schema_migrations of {tool}, "
            f"database {place(database)}\n"
        )
        rest = cli("migrate", "-d", database.url, "--dir", directory)
        assert rest.out.startswith("applied  20240131120002_c  ")
        after = database.execute("SELECT xmin, version FROM schema_migrations ORDER BY version")
        assert after == before

    def test_golang_migrate(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(
            {name.replace(".sql", ".up.sql"): text for name, text in NUMBERED.items()}
        )
        database.execute(GOLANG)
        assert adopt(cli, database, directory).out == (
            "nothing to record: public.schema_migrations of golang-migrate is empty, "
            f"database {place(database)}\n"
        )
        database.execute("INSERT INTO schema_migrations VALUES (2, false)")
        result = adopt(cli, database, directory, "-f", "json")
        assert json.loads(result.out) == [
            {"version": 1, "migration": "1_a", "tool": "golang-migrate",
             "recorded_as": "up to 2", "proof": None},
            {"version": 2, "migration": "2_b", "tool": "golang-migrate", "recorded_as": "2",
             "proof": None},
        ]  # fmt: skip
        assert json.loads(adopt(cli, database, directory, "-f", "json").out) == []

    def test_goose(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files({name: f"-- +goose Up\n{text!s}" for name, text in NUMBERED.items()})
        database.execute(GOOSE)
        database.execute(
            "INSERT INTO goose_db_version (version_id, is_applied)"
            " VALUES (1, true), (2, true), (3, true), (3, false), (2, false), (2, true)"
        )
        assert adopt(cli, database, directory).code == 0
        assert [row[0] for row in recorded(database)] == [1, 2]

    def test_pycopg(self, cli: Cli, database: Database, files: Files) -> None:
        directory = files(NUMBERED)
        database.execute(PYCOPG)
        database.execute("INSERT INTO schema_migrations VALUES (1, 'a'), (2, 'b')")
        assert adopt(cli, database, directory).out.splitlines()[0] == (
            "recorded  1_a  (pycopg: 001_a)"
        )
        assert [row[0] for row in recorded(database)] == [1, 2]

    def test_yoyo(self, cli: Cli, database: Database, files: Files) -> None:
        names = ["20240131_01_AbCdE-a", "20240131_02_Zz9aB-b"]
        directory = files({f"{name}.sql": "SELECT 1;" for name in names})
        database.execute(YOYO)
        yoyo_row(database, names[0])
        assert adopt(cli, database, directory).out.splitlines()[0] == (
            f"recorded  {names[0]}  (yoyo: {names[0]})"
        )
        assert recorded(database) == [(2024013101, "a", sha("SELECT 1;"))]

    def test_sqlx_proves_its_checksums(self, cli: Cli, database: Database, files: Files) -> None:
        windows = "CREATE TABLE b ();\r\n"
        directory = files({**NUMBERED, "2_b.sql": windows.replace("\r", "")})
        database.execute(SQLX)
        sqlx_row(database, 1, NUMBERED["1_a.sql"])
        sqlx_row(database, 2, windows)
        result = adopt(cli, database, directory)
        assert result.out.splitlines()[:2] == [
            "recorded  1_a  (sqlx: 1, SHA-384 agrees)",
            "recorded  2_b  (sqlx: 2, SHA-384 agrees)",
        ]

    def test_flyway_proves_its_checksums(self, cli: Cli, database: Database, files: Files) -> None:
        from agentdb_cli.migrations.adopt import flyway_checksum

        names = [f"V{n}__{name}.sql" for n, name in enumerate("abcde", start=1)]
        directory = files({name: f"SELECT '{name}';\nSELECT 2;\n" for name in names})
        sums = [flyway_checksum((directory / name).read_bytes()) for name in names]
        database.execute(FLYWAY)
        flyway_row(database, None, '"public"', None, "SCHEMA")
        flyway_row(database, "2", "<< Flyway Baseline >>", None, "BASELINE")
        flyway_row(database, "3", names[2], sums[2])
        flyway_row(database, "4", names[3], sums[3])
        flyway_row(database, "4", "U4__d.sql", 1, "UNDO_SQL")
        flyway_row(database, None, "R__views.sql", 77)
        result = adopt(cli, database, directory)
        assert result.code == 0
        assert result.out.splitlines()[:3] == [
            "recorded  V1__a  (flyway: up to 2)",
            "recorded  V2__b  (flyway: up to 2)",
            "recorded  V3__c  (flyway: V3__c.sql, CRC-32 agrees)",
        ]
        assert result.err == ("warning: R__views.sql of Flyway has no number, and is left aside\n")
        assert [row[0] for row in recorded(database)] == [1, 2, 3]

    def test_alembic_by_the_revisions_that_files_carry(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files(
            {
                "1_a.sql": "-- Running upgrade  -> aaa111\nCREATE TABLE a ();",
                "2_b.sql": "-- Running upgrade aaa111 -> bbb222\nCREATE TABLE b ();",
                "3_c.sql": "-- Running upgrade bbb222 -> ccc333\nCREATE TABLE c ();",
            }
        )
        database.execute(ALEMBIC)
        assert adopt(cli, database, directory).out.startswith(
            "nothing to record: public.alembic_version of alembic is empty, "
        )
        database.execute("INSERT INTO alembic_version VALUES ('bbb222')")
        result = adopt(cli, database, directory)
        assert result.out.splitlines()[:2] == [
            "recorded  1_a  (alembic: up to bbb222)",
            "recorded  2_b  (alembic: up to bbb222)",
        ]
        assert [row[0] for row in recorded(database)] == [1, 2]

    def test_alembic_by_what_the_database_shows(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')
        directory = files(NUMBERED)
        database18.execute(ALEMBIC)
        database18.execute(
            "INSERT INTO alembic_version VALUES ('bbb222'); CREATE TABLE a (); CREATE TABLE b ()"
        )
        result = adopt(cli, database18, directory)
        assert result == Result(
            0,
            "recorded  1_a  (alembic: seen in the database)\n"
            "recorded  2_b  (alembic: seen in the database)\n"
            "2 recorded as applied, from public.alembic_version of alembic, "
            f"database {place(database18)}\n",
            f"no single file in {directory} carries Alembic's revision bbb222: "
            "looking in the database for what each file does\n"
            "seen      1_a\nseen      2_b\nnot seen  3_c\n",
        )

    def test_what_was_adopted_can_be_undone_where_there_is_a_down_part(
        self, cli: Cli, database: Database, files: Files
    ) -> None:
        directory = files({**NUMBERED, "2_b.down.sql": "DROP TABLE b;"})
        database.execute(f"{PYCOPG}; CREATE TABLE a (); CREATE TABLE b ()")
        database.execute("INSERT INTO schema_migrations VALUES (1, 'a'), (2, 'b')")
        assert adopt(cli, database, directory).code == 0
        down = ("migrate", "down", "--yes", "-d", database.url, "--dir", directory)
        assert cli(*down).code == 0
        assert cli(*down).err.splitlines()[0] == "error: no down part for 1_a: no 1_a.down.sql"

    def test_files_that_agentdb_could_not_run(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"1_a.sql": "\\echo hello\nSELECT 1;", "2_b.sql": "SELECT 2;"})
        database18.execute(PYCOPG)
        database18.execute("INSERT INTO schema_migrations VALUES (1, 'a')")
        assert adopt(cli, database18, directory).code == 0
        assert cli("migrate", "-d", database18.url, "--dir", directory).code == 0

    def test_with_what_agentdb_has_applied_since(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(PYCOPG)
        database18.execute("INSERT INTO schema_migrations VALUES (1, 'a')")
        assert adopt(cli, database18, directory).code == 0
        assert cli("migrate", "-d", database18.url, "--dir", directory).code == 0
        database18.execute("INSERT INTO schema_migrations VALUES (3, 'c')")
        assert adopt(cli, database18, directory).code == 0


class TestRefused:
    def refused(self, cli: Cli, database: Database, directory: Path, *options: object) -> str:
        result = adopt(cli, database, directory, *options)
        assert (result.code, result.out) == (1, "")
        assert database.value("SELECT to_regclass('agentdb_migrations') IS NULL")
        return result.err

    def test_no_table(self, cli: Cli, database18: Database, files: Files) -> None:
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: no other tool has a table of migrations in this database\n"
            "hint: looked for _sqlx_migrations, _yoyo_migration, alembic_version, "
            "flyway_schema_history, goose_db_version, schema_migrations, schema_version; "
            "agentdb migrate baseline records files without one\n"
        )

    def test_no_such_tool(self, cli: Cli, database18: Database, files: Files) -> None:
        assert adopt(cli, database18, files(NUMBERED), "--from", "dbmat") == Result(
            2,
            "",
            "error: --from knows no tool 'dbmat'; did you mean 'dbmate'?\n"
            "hint: one of alembic, dbmate, flyway, golang-migrate, goose, pycopg, rails, sqlx, "
            "yoyo\n",
        )

    def test_several_tables(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files(NUMBERED)
        database18.execute(f"{PYCOPG}; {GOOSE}")
        assert self.refused(cli, database18, directory) == (
            "error: 2 tables keep migrations of other tools: public.goose_db_version (goose), "
            "public.schema_migrations (pycopg)\nhint: choose one: --from TOOL\n"
        )
        assert self.refused(cli, database18, directory, "--from", "sqlx") == (
            "error: sqlx has no table of migrations here, but there is public.goose_db_version "
            "(goose), public.schema_migrations (pycopg)\n"
            "hint: choose one of those with --from, or leave it out\n"
        )
        assert adopt(cli, database18, directory, "--from", "goose").code == 0

    def test_one_tool_in_several_schemas(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(f"CREATE SCHEMA s; SET search_path = s; {PYCOPG}; RESET search_path")
        database18.execute(PYCOPG)
        assert self.refused(cli, database18, directory) == (
            "error: 2 tables keep migrations of other tools: public.schema_migrations (pycopg), "
            "s.schema_migrations (pycopg)\nhint: choose one by its schema: --schema\n"
        )
        assert adopt(cli, database18, directory, "--schema", "s").code == 0

    def test_a_table_of_nobody(self, cli: Cli, database18: Database, files: Files) -> None:
        database18.execute("CREATE TABLE schema_migrations (version bigint, inserted_at timestamp)")
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: public.schema_migrations is of no tool that agentdb knows: it has the columns "
            "version bigint, inserted_at timestamp without time zone\n"
            "hint: agentdb migrate baseline N records the files up to number N as applied\n"
        )

    def test_a_table_that_the_role_may_not_read(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        database18.execute(f"{PYCOPG}; CREATE ROLE adopt_test_role LOGIN")
        try:
            url = database18.url.replace("postgres@", "adopt_test_role@")
            assert cli("migrate", "adopt", "-d", url, "--dir", files(NUMBERED)) == Result(
                1,
                "",
                "error: the role 'adopt_test_role' may not read public.schema_migrations\n"
                "hint: GRANT SELECT ON public.schema_migrations TO adopt_test_role;\n",
            )
        finally:
            database18.execute("DROP ROLE adopt_test_role")

    def test_a_recorded_migration_without_a_file(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(PYCOPG)
        database18.execute("INSERT INTO schema_migrations VALUES (1, 'a'), (7, 'lost'), (8, 'too')")
        assert self.refused(cli, database18, directory) == (
            f"error: 2 migrations that pycopg has applied without a file in {directory}:\n"
            "  007_lost\n  008_too\n"
            "hint: restore the files, or name their directory with --dir\n"
        )

    def test_a_version_that_golang_migrate_has_without_a_file(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(f"{GOLANG}; INSERT INTO schema_migrations VALUES (9, false)")
        assert self.refused(cli, database18, directory).splitlines()[:2] == [
            f"error: 1 migration that golang-migrate has applied without a file in {directory}:",
            "  9",
        ]

    def test_a_migration_in_python(self, cli: Cli, database18: Database, files: Files) -> None:
        directory = files({**NUMBERED, "0_p.py": "steps = []"})
        database18.execute(YOYO)
        yoyo_row(database18, "0_p")
        assert self.refused(cli, database18, directory) == (
            f"error: {directory}/0_p.py is written in Python, which agentdb cannot run\n"
            "hint: write it as SQL under the same name, beside it, then adopt again\n"
        )

    def test_a_file_that_was_passed_over(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(PYCOPG)
        database18.execute("INSERT INTO schema_migrations VALUES (1, 'a'), (3, 'c')")
        assert self.refused(cli, database18, directory) == (
            "error: 1 file numbered below 3_c, which pycopg has applied, but not recorded by it:\n"
            "  2_b\nhint: apply it with pycopg first, or renumber it after 3_c\n"
        )

    def test_a_file_that_sqlx_would_not_know_again(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files(NUMBERED)
        database18.execute(SQLX)
        sqlx_row(database18, 1, "CREATE TABLE other ();")
        then, now = sha("CREATE TABLE other ();", "sha384"), sha(NUMBERED["1_a.sql"], "sha384")
        assert self.refused(cli, database18, directory) == (
            "error: 1 file changed since sqlx applied it:\n"
            f"  1_a: applied with SHA-384 {then[:12]}…, the file has {now[:12]}…\n"
            "hint: restore what was applied from version control; a change goes into a new "
            "migration: agentdb migrate new\n"
        )

    def test_a_file_that_flyway_would_not_know_again(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        directory = files({"V1__a.sql": "SELECT 1;"})
        database18.execute(FLYWAY)
        flyway_row(database18, "1", "V1__a.sql", 5)
        assert "  V1__a: applied with CRC-32 5, the file has 78787420\n" in self.refused(
            cli, database18, directory
        )

    def test_a_dirty_version(self, cli: Cli, database18: Database, files: Files) -> None:
        database18.execute(f"{GOLANG}; INSERT INTO schema_migrations VALUES (2, true)")
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: golang-migrate left version 2 dirty: it failed half-way "
            "(public.schema_migrations)\n"
            "hint: complete it or undo it by hand, tell golang-migrate so (its command force), "
            "then adopt again\n"
        )

    def test_a_failed_migration_of_sqlx(self, cli: Cli, database18: Database, files: Files) -> None:
        database18.execute(SQLX)
        sqlx_row(database18, 1, NUMBERED["1_a.sql"], success=False)
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: sqlx records that version 1 failed half-way (public._sqlx_migrations)\n"
            "hint: complete it or undo it by hand; then set success in its row, or delete the row, "
            "and adopt again\n"
        )

    def test_a_failed_migration_of_flyway(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        database18.execute(FLYWAY)
        flyway_row(database18, "1", "V1__a.sql", 1, success=False)
        assert self.refused(cli, database18, files({"V1__a.sql": "SELECT 1;"})) == (
            "error: Flyway records that V1__a.sql failed (public.flyway_schema_history)\n"
            "hint: complete it or undo it by hand, then run Flyway's command repair, "
            "and adopt again\n"
        )

    def test_a_migration_of_flyway_in_java(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        database18.execute(FLYWAY)
        flyway_row(database18, "1", "db.migration.V1__a", 1, "JDBC")
        assert self.refused(cli, database18, files({"V1__a.sql": "SELECT 1;"})) == (
            "error: Flyway has applied db.migration.V1__a, which is no SQL "
            "(JDBC, public.flyway_schema_history)\n"
            "hint: agentdb migrate baseline N records the files up to number N as applied\n"
        )

    def test_a_version_that_is_no_number(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        database18.execute(FLYWAY)
        flyway_row(database18, "1.1", "V1.1__a.sql", 1)
        assert self.refused(cli, database18, files({"V1__a.sql": "SELECT 1;"})) == (
            "error: public.flyway_schema_history has the version '1.1', which is not a whole "
            "number\nhint: agentdb numbers migrations by whole numbers: agentdb migrate baseline N "
            "records the files up to number N\n"
        )

    def test_the_lock_of_yoyo(self, cli: Cli, database18: Database, files: Files) -> None:
        database18.execute(f"{YOYO}; INSERT INTO yoyo_lock VALUES (1, now(), 4711)")
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: yoyo is running, or was killed: pid 4711 holds its lock (public.yoyo_lock)\n"
            "hint: wait for it; if it is gone, run yoyo break-lock, and adopt again\n"
        )

    def test_a_row_of_yoyo_that_was_changed_by_hand(
        self, cli: Cli, database18: Database, files: Files
    ) -> None:
        database18.execute(f"{YOYO}; INSERT INTO _yoyo_migration VALUES ('abc', '1_a', now())")
        assert self.refused(cli, database18, files(NUMBERED)) == (
            "error: public._yoyo_migration has a wrong hash for 1_a\n"
            "hint: its rows were changed by hand; put migration_hash right: SHA-256 of "
            "migration_id\n"
        )
