"""agentdb migrate plan --rehearse: what is pending, applied to a copy of the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Database, Result

Cli = Callable[..., Result]


@pytest.fixture
def live(cli: Cli, database: Database) -> Database:
    """A database with one applied migration, and rows."""
    Path("m").mkdir()
    Path("m/1_users.sql").write_text(
        "CREATE TABLE users (id int PRIMARY KEY, name varchar(10));\n"
        "CREATE TABLE orders (id int PRIMARY KEY, user_id int);\n"
        "CREATE VIEW named AS SELECT name FROM users;\n"
    )
    assert cli("migrate", "--dir", "m", "-d", database.url).code == 0
    database.execute("INSERT INTO users SELECT n, 'x' FROM generate_series(1, 10) AS n")
    return database


@pytest.fixture
def rehearse(cli: Cli, live: Database, database18: Database) -> Callable[..., Result]:
    """Write files, and rehearse them for `live` on the server of PostgreSQL 18."""

    def run(*options: object, **files: str) -> Result:
        for name, text in files.items():
            Path(f"m/{name.removeprefix('f')}.sql").write_text(text)
        return cli(
            "migrate", "plan", "--rehearse", "--rehearse-url", database18.url, "--dir", "m",
            "-d", live.url, *options,
        )  # fmt: skip

    return run


@pytest.fixture
def unchanged(live: Database, database18: Database) -> Iterator[None]:
    """Whatever happens: neither the database, nor what else is on both servers, is changed."""

    def state() -> list[object]:
        found: list[object] = []
        for each in (live, database18):
            found.append(each.execute("SELECT datname FROM pg_database ORDER BY 1"))
            found.append(each.execute("SELECT rolname FROM pg_roles ORDER BY 1"))
        # No transaction of another session has written anything in the database.
        found.append(
            live.execute(
                "SELECT oid::regclass::text, relfilenode, xmin::text, relacl::text, reltuples"
                " FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
            )
        )
        found.append(live.execute("SELECT * FROM agentdb_migrations"))
        found.append(live.execute("SELECT *, xmin::text FROM users"))
        found.append(live.execute("SELECT nspname FROM pg_namespace ORDER BY 1"))
        return found

    before = state()
    yield
    assert state() == before


def test_what_files_do(rehearse: Callable[..., Result], unchanged: None) -> None:
    result = rehearse(
        f2_key="ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;\n",
        f3_more=(
            "ALTER TABLE users ADD COLUMN key uuid DEFAULT gen_random_uuid();\n"
            "CREATE TABLE tags (id int);\nALTER TABLE tags ADD COLUMN t text;\n"
        ),
        f4_gone="DROP VIEW named;\nALTER TABLE users ALTER name TYPE text;\n",
    )
    assert result.code == 0
    lines = [re.sub(r"[\d.]+ m?s$", "TIME", line) for line in result.out.splitlines()]
    assert lines[:-1] == [
        "applied    2_key  TIME",
        "  lock     SHARE ROW EXCLUSIVE on public.orders: stops writing",
        "  lock     SHARE ROW EXCLUSIVE on public.users: stops writing",
        "  change   + constraint orders.orders_user_id_fkey: "
        "FOREIGN KEY (user_id) REFERENCES users(id)",
        "applied    3_more  TIME",
        "  lock     ACCESS EXCLUSIVE on public.users: stops reading and writing",
        "  rewrite  public.users is kept in a new file: written anew, or emptied",
        "  change   + table tags: table",
        "  change   + column users.key: uuid default gen_random_uuid()",
        "applied    4_gone  TIME",
        "  lock     ACCESS EXCLUSIVE on public.named: stops reading and writing",
        "  lock     ACCESS EXCLUSIVE on public.users: stops reading and writing",
        "  change   - table named",
        "  change   ~ column users.name: character varying(10) → text",
    ]
    assert re.fullmatch(
        r"3 rehearsed, database postgresql://postgres@/.* \(nothing was changed there\)", lines[-1]
    )


def test_json(rehearse: Callable[..., Result], unchanged: None) -> None:
    result = rehearse("-f", "json", f2_x="ALTER TABLE users ADD COLUMN x serial;", f3_y="SELECT 1;")
    first, second = json.loads(result.out)
    assert first["duration"] > 0
    assert {k: v for k, v in first.items() if k != "duration"} == {
        "version": 2,
        "migration": "2_x",
        "state": "applied",
        "locks": [{"lock": "ACCESS EXCLUSIVE", "relation": "public.users"}],
        "rewritten": ["public.users"],
        "changes": [
            {"change": "added", "kind": "column", "name": "users.x"},
        ],
        "detail": None,
    }
    assert (second["locks"], second["rewritten"], second["changes"]) == ([], [], [])
    assert rehearse("-f", "csv").out.count("\n") == 3


def test_a_file_that_fails(rehearse: Callable[..., Result], unchanged: None) -> None:
    result = rehearse(
        f2_good="CREATE TABLE good ();",
        f3_bad="SELECT 1;\nALTER TABLE nothing ADD COLUMN x int;\n",
        f4_never="SELECT 1;",
    )
    assert result.code == 1
    states = [re.sub(r"  [\d.]+ m?s$", "", line) for line in result.out.splitlines()]
    assert states == ["applied    2_good", "  change   + table good: table", "failed     3_bad",
                      "not tried  4_never"]  # fmt: skip
    warning, error = (
        result.err[: result.err.index("error:")],
        result.err[result.err.index("error:") :],
    )
    assert warning in ("", "warning: rehearsed on PostgreSQL 18; the database is on 15\n")
    assert error == (
        "error: the rehearsal failed; the database itself was not changed\n"
        '3_bad failed: relation "nothing" does not exist (42P01)\n'
        "  in m/3_bad.sql, line 2, column 1\n"
        "  2 | ALTER TABLE nothing ADD COLUMN x int;\n"
        "    | ^\n"
        "hint: mend the file, then rehearse again\n"
    )


def test_a_file_without_a_transaction(rehearse: Callable[..., Result], unchanged: None) -> None:
    result = rehearse(
        "-f", "json",
        f2_x="-- agentdb: no-transaction\nCREATE INDEX CONCURRENTLY i ON users (name);\n"
        "ALTER TABLE orders ADD COLUMN x int;\n",
    )  # fmt: skip
    [row] = json.loads(result.out)
    assert {"lock": "ACCESS EXCLUSIVE", "relation": "public.orders"} in row["locks"]
    assert {"change": "added", "kind": "index", "name": "users.i"} in row["changes"]


def test_a_half_done_file_goes_on_where_it_was(
    cli: Cli, rehearse: Callable[..., Result], live: Database
) -> None:
    half = "-- agentdb: no-transaction\nCREATE TABLE once ();\nINSERT INTO gone VALUES (1);\n"
    Path("m/2_half.sql").write_text(half)
    assert cli("migrate", "--dir", "m", "-d", live.url).code == 1
    assert live.value("SELECT state FROM agentdb_migrations_unfinished") == "failed"
    result = rehearse()
    assert 'relation "gone" does not exist' in result.err
    assert "already exists" not in result.err


def test_roles_are_lent(rehearse: Callable[..., Result], live: Database, unchanged: None) -> None:
    role = "rehearsed_reader"
    live.execute(f"CREATE ROLE {role}")
    try:
        result = rehearse(f2_x=f"GRANT SELECT ON users TO {role};")
        assert result.code == 0
    finally:
        live.execute(f"DROP ROLE {role}")


def test_extensions_that_the_scratch_server_lacks(
    cli: Cli, database15: Database, database18: Database
) -> None:
    database15.execute("CREATE EXTENSION pg_trgm")
    database15.execute("CREATE TABLE words (w text)")
    database15.execute("CREATE INDEX alike ON words USING gin (w gin_trgm_ops)")
    Path("m").mkdir()
    Path("m/1_x.sql").write_text("ALTER TABLE words ADD COLUMN x int;")
    result = cli(
        "migrate", "plan", "--rehearse", "--rehearse-url", database18.url, "--dir", "m",
        "-d", database15.url,
    )  # fmt: skip
    assert result.code == 0
    assert result.err == (
        "warning: rehearsed on PostgreSQL 18; the database is on 15\n"
        "warning: the scratch server does not have the extension pg_trgm: "
        "what needs it is not in the copy\n"
        "warning: 1 statement of the schema could not be copied:\n"
        "  CREATE INDEX alike ON public.words USING gin (w public.gin_trgm_ops): "
        'operator class "public.gin_trgm_ops" does not exist for access method "gin"\n'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CREATE ROLE x;", "CREATE ROLE"),
        ("SELECT 1;\nALTER SYSTEM SET work_mem = '8MB';", "ALTER SYSTEM"),
        ("DROP DATABASE x;", "DROP DATABASE"),
        ("CREATE TABLESPACE x LOCATION '/x';", "CREATE TABLESPACE"),
        ("DO $$BEGIN IF true THEN CREATE ROLE x; END IF; END$$;", "CREATE ROLE"),
        ("DO $$BEGIN EXECUTE 'alter user x'; END$$;", "ALTER USER"),
        ("GRANT pg_monitor TO postgres;", "GRANT of a role"),
        ("COPY users TO PROGRAM 'true';", "COPY TO a file or program"),
        ("COPY users FROM '/dev/null';", "COPY FROM a file or program"),
        ("DROP OWNED BY postgres;", "DROP OWNED"),
        ("CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION p;", "CREATE SUBSCRIPTION"),
    ],
)
def test_what_reaches_beyond_the_scratch_database_is_not_tried(
    cli: Cli, database18: Database, text: str, words: str
) -> None:
    Path("m").mkdir()
    no_transaction = "-- agentdb: no-transaction\n"
    Path("m/1_x.sql").write_text(no_transaction + text)
    result = cli(
        "migrate", "plan", "--rehearse", "--rehearse-url", database18.url, "--dir", "m",
        "-d", database18.url,
    )  # fmt: skip
    line = 2 + text.count("\n")
    assert (result.code, result.out) == (1, "not tried  1_x\n")
    assert result.err == (
        "error: the rehearsal ended early; the database itself was not changed\n"
        f"m/1_x.sql, line {line}: {words} reaches beyond the scratch database, "
        "so the rehearsal ends here\n"
        "hint: apply it by hand where it may be tried; the files before it were rehearsed\n"
    )


def test_nothing_pending(cli: Cli, live: Database) -> None:
    result = cli("migrate", "plan", "--rehearse", "--dir", "m", "-d", live.url)
    assert result.code == 0
    assert result.out.startswith("nothing to rehearse, database postgresql://")


def test_a_role_that_may_not_make_databases(cli: Cli, database18: Database) -> None:
    database18.execute("CREATE ROLE rehearse_poor LOGIN")
    Path("m").mkdir()
    Path("m/1_x.sql").write_text("SELECT 1;")
    poor = database18.url.replace("postgres@", "rehearse_poor@")
    try:
        result = cli(
            "migrate", "plan", "--rehearse", "--rehearse-url", poor, "--dir", "m",
            "-d", database18.url,
        )  # fmt: skip
    finally:
        database18.execute("DROP ROLE rehearse_poor")
    assert result.code == 1
    place = poor.split("&")[0]
    assert result.err == (
        f"error: cannot rehearse on {place}: permission denied to create database\n"
        "hint: ALTER ROLE rehearse_poor CREATEDB; or name another server with --rehearse-url\n"
    )


def test_an_unreachable_server(cli: Cli, database18: Database) -> None:
    Path("m").mkdir()
    Path("m/1_x.sql").write_text("SELECT 1;")
    args = ("migrate", "plan", "--rehearse", "--dir", "m", "-d", database18.url)
    result = cli(*args, "--rehearse-url", "postgresql://127.0.0.1:1/x")
    assert result.code == 1
    assert result.err.startswith("error: cannot connect to postgresql://")
    assert cli(*args, "--rehearse-url", "nonsense:").code == 2


def test_behind_a_pooler(cli: Cli, database18: Database, pgbouncer: str) -> None:
    Path("m").mkdir()
    Path("m/1_x.sql").write_text("SELECT 1;")
    result = cli("migrate", "plan", "--rehearse", "--dir", "m", "-d", pgbouncer)
    assert result == Result(
        1,
        "",
        "error: a schema cannot be dumped through a connection pooler\n"
        "hint: connect to the server itself: --url with its own host and port\n",
    )


def test_a_role_that_may_not_read_the_schema(cli: Cli, database18: Database) -> None:
    database18.execute("CREATE TABLE secret ()")
    database18.execute("CREATE ROLE rehearse_blind LOGIN")
    Path("m").mkdir()
    Path("m/1_x.sql").write_text("SELECT 1;")
    blind = database18.url.replace("postgres@", "rehearse_blind@")
    try:
        result = cli(
            "migrate", "plan", "--rehearse", "--rehearse-url", database18.url, "--dir", "m",
            "-d", blind,
        )  # fmt: skip
    finally:
        database18.execute("DROP ROLE rehearse_blind")
    assert result.code == 1
    assert re.match(
        r"error: pg_dump [\d.]+ failed:\n"
        r"  pg_dump: error: query failed: ERROR:  permission denied for table secret\n",
        result.err,
    )
