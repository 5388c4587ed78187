"""agentdb migrate dump: the same text wherever the schema is the same."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from psycopg import sql

from agentdb_cli.migrations.dump import canonical
from agentdb_cli.postgres import programs

Cli = Callable[..., Result]

FILES = {
    "001_tables.sql": """
        CREATE TABLE b (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
        CREATE TABLE a (b bigint NOT NULL REFERENCES b (id), at timestamptz DEFAULT now())
        PARTITION BY RANGE (at);
        CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM ('2026-01-01+00') TO ('2026-02-01+00');
        CREATE INDEX a_at ON a (at);
    """,
    "002_function.sql": """
        CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $$
        BEGIN


            RETURN 'SET default_table_access_method = heap;
            \\restrict nothing';
        END $$;
        CREATE VIEW v AS SELECT note, ':note' AS "Quoted; name" FROM b;
        COMMENT ON TABLE b IS 'it''s
            -- Name: two lines';
    """,
}


@pytest.fixture
def twin(database: Database) -> Iterator[str]:
    """The URL of a second empty database on the same server."""
    name = f"{database.connection.info.dbname}_twin"
    database.connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield database.url.replace(f"/{database.connection.info.dbname}?", f"/{name}?")
    database.connection.execute(
        sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    )


@pytest.fixture
def files() -> Path:
    directory = Path("m")
    directory.mkdir()
    for name, text in FILES.items():
        (directory / name).write_text(text)
    return directory


def migrated(cli: Cli, files: Path, url: str) -> str:
    """The dump of a database after its migrations."""
    assert cli("migrate", "--dir", files, "-d", url).code == 0
    result = cli("migrate", "dump", "-d", url)
    assert (result.code, result.err) == (0, "")
    return result.out


def test_equal_databases_have_equal_dumps(
    cli: Cli, files: Path, database: Database, twin: str
) -> None:
    first = migrated(cli, files, database.url)
    with psycopg.connect(twin, autocommit=True) as connection:
        # What was made before and is gone must not show, nor may a setting of the database.
        connection.execute(
            "CREATE TABLE a (x int); DROP TABLE a; CREATE SEQUENCE s; DROP SEQUENCE s"
        )
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'").format(name))
    second = migrated(cli, files, twin)
    assert first == second
    assert cli("migrate", "dump", "-d", database.url).out == first


def test_what_it_holds(cli: Cli, files: Path, database: Database) -> None:
    text = migrated(cli, files, database.url)
    assert text.startswith("-- The schema of the database, ")
    for noise in ("Dumped", "\n\\restrict", "unrestrict", "OWNER TO", "GRANT", "lock_timeout"):
        assert noise not in text
    assert text.count("default_table_access_method") == 1  # in the function
    assert "BEGIN\n\n\n            RETURN 'SET default_table_access_method = heap;" in text
    assert "CREATE TABLE public.a (" in text
    assert text.index("CREATE TABLE public.a (") < text.index("CREATE TABLE public.b (")
    ends = [line for line in text.splitlines() if line.startswith("INSERT INTO")]
    assert len(ends) == 2
    assert ends[0].startswith(
        'INSERT INTO "public"."agentdb_migrations" '
        "(pack, version, name, checksum, duration, tool_version, variables) "
        "VALUES ('local', '1', 'tables', '"
    )
    assert text.endswith(ends[1] + "\n")


def test_a_database_made_from_it_has_nothing_pending(
    cli: Cli, files: Path, database: Database, twin: str
) -> None:
    text = migrated(cli, files, database.url)
    psql = programs.find(database.major, ["psql"]).path("psql")
    arguments = [psql, "-qX", twin, "-v", "ON_ERROR_STOP=1", "-v", "note=x"]
    subprocess.run(arguments, input=text.encode(), check=True, capture_output=True)
    result = cli("migrate", "--dir", files, "-d", twin)
    assert (result.code, result.out.split(",")[0]) == (0, "nothing pending")
    assert cli("migrate", "dump", "-d", twin).out == text


@pytest.mark.parametrize("pack", ["gathering", "background-agents"])
def test_packs(cli: Cli, database18: Database, pack: str) -> None:
    args = ("-d", database18.url, "--pack", pack)
    assert cli("migrate", *args).code == 0
    first = cli("migrate", "dump", *args)
    assert first.code == 0, first.err
    assert cli("migrate", "dump", *args).out == first.out
    assert f"VALUES ('{pack}', '1', " in first.out


def test_an_empty_database(cli: Cli, database: Database) -> None:
    result = cli("migrate", "dump", "-d", database.url)
    assert result.code == 0
    assert "CREATE" not in result.out


def test_unfinished_migrations_do_not_show(cli: Cli, files: Path, database: Database) -> None:
    text = migrated(cli, files, database.url)
    database.execute("CREATE TABLE agentdb_migrations_unfinished (id int PRIMARY KEY)")
    assert cli("migrate", "dump", "-d", database.url).out == text


def test_output_and_check(cli: Cli, files: Path, database: Database) -> None:
    text = migrated(cli, files, database.url)
    path = Path("schema.sql")
    args = ("-d", database.url)
    missing = cli("migrate", "dump", "--check", path, *args)
    assert missing == Result(
        1,
        "",
        "error: there is no file schema.sql\n"
        "hint: agentdb migrate dump --output schema.sql writes it\n",
    )
    assert cli("migrate", "dump", "--output", path, *args) == Result(0, "", "wrote schema.sql\n")
    assert path.read_text() == text
    assert cli("migrate", "dump", "--check", path, *args) == Result(
        0, "", "schema.sql is up to date\n"
    )

    database.execute("ALTER TABLE b ADD COLUMN more int")
    result = cli("migrate", "dump", "--check", path, *args)
    assert result.code == 1
    assert result.out.startswith("--- schema.sql\n+++ database\n@@ ")
    assert "\n+    more integer\n" in result.out
    assert result.err == (
        "error: schema.sql is not the schema of the database\n"
        "hint: agentdb migrate dump --output schema.sql writes it anew\n"
    )
    assert path.read_text() == text


def test_output_that_cannot_be_written(cli: Cli, database: Database) -> None:
    Path("folder").mkdir()
    result = cli("migrate", "dump", "--output", "folder", "-d", database.url)
    assert result == Result(1, "", "error: cannot write folder: Is a directory\n")
    assert list(Path().glob(".folder*")) == []
    assert cli("migrate", "dump", "-o", "no/x.sql", "-d", database.url).err == (
        "error: cannot write no/x.sql: No such file or directory\n"
    )


def test_output_and_check_exclude_each_other(cli: Cli) -> None:
    result = cli("migrate", "dump", "--output", "a", "--check", "b")
    assert result.code == 2
    assert result.err.startswith("error: --output and --check exclude each other\n")


def test_through_a_pooler(cli: Cli, pgbouncer: str) -> None:
    assert cli("migrate", "dump", "-d", pgbouncer) == Result(
        1,
        "",
        "error: a schema cannot be dumped through a connection pooler\n"
        "hint: connect to the server itself: --url with its own host and port\n",
    )


def test_a_locked_table_is_not_waited_for(cli: Cli, files: Path, database: Database) -> None:
    migrated(cli, files, database.url)
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        result = cli("migrate", "dump", "-d", database.url, "--lock-timeout", "200ms")
    assert result == Result(
        1,
        "",
        "error: pg_dump waited longer than 200 ms for the lock of a table\n"
        "hint: run it again, or with a longer --lock-timeout\n",
    )


# --- The text alone ----------------------------------------------------------------

HEAD = (
    "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 18\n"
)
TAIL = "\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n"


def entry(name: str, statement: str) -> str:
    return f"--\n-- Name: {name}; Type: TABLE\n--\n\n{statement};\n\n\n"


def test_settings_between_objects_go() -> None:
    setting = "SET default_table_access_method = heap;\n\n"
    plain = canonical(f"{HEAD}\n{entry('a', 'CREATE TABLE a (x int)')}{TAIL}")
    assert canonical(f"{HEAD}\n{entry('v', 'CREATE TYPE v')}{setting}{TAIL}").count("heap") == 0
    assert plain.endswith("--\n-- Name: a; Type: TABLE\n--\n\nCREATE TABLE a (x int);\n")


def test_access_methods_that_differ_stay() -> None:
    other = "SET default_table_access_method = columnar;\n\n"
    heap = "SET default_table_access_method = heap;\n\n"
    one, two = entry("a", "CREATE TABLE a ()"), entry("b", "CREATE TABLE b ()")
    text = canonical(f"{HEAD}\n{entry('s', 'CREATE SCHEMA s')}{other}{one}{heap}{two}{TAIL}")
    assert text.count("SET default_table_access_method") == 2
