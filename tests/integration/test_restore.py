"""`agentdb restore`: a backup back into a database, and nothing of it in the wrong one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import DEBIAN_15, SERVERS, Database, Result
from psycopg import sql

from agentdb_cli import packs
from agentdb_cli.postgres.embedded.binaries import embedded
from generator import fill

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]


@pytest.fixture(autouse=True)
def scratch_server(servers: object, clean_environment: pytest.MonkeyPatch) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')


@pytest.fixture
def restored(database: Database) -> Iterator[str]:
    """The name of a database that does not exist yet, on the same server; dropped afterwards."""
    yield "restored"
    drop(database, "restored")


def drop(database: Database, name: str) -> None:
    database.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def backup(cli: Cli, database: Database, *arguments: object) -> Path:
    """Make a backup; its directory."""
    result = cli("backup", "create", "-d", database.url, "--to", "backups", "-q", *arguments)
    assert result.code == 0, result.err
    (made,) = (path for path in Path("backups").iterdir() if path.is_dir())
    return made


def restore(cli: Cli, database: Database, *arguments: object) -> Result:
    """Restore the latest backup."""
    return cli("restore", "latest", "--dir", "backups", "-d", database.url, *arguments)


def opened(database: Database, name: str) -> psycopg.Connection:
    url = re.sub(r"@/[^?]*", f"@/{name}", database.url)
    return psycopg.connect(url, autocommit=True)


def value(database: Database, name: str, statement: str) -> object:
    with opened(database, name) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def small(database: Database) -> None:
    """Two tables with what a schema has."""
    database.connection.execute("""
        CREATE TABLE agents (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
        CREATE TABLE notes (id int PRIMARY KEY, agent int REFERENCES agents, body text);
        CREATE INDEX notes_body ON notes (body);
        CREATE TABLE other (id int);
        INSERT INTO agents (name) SELECT 'agent ' || i FROM generate_series(1, 100) AS i;
        INSERT INTO notes SELECT i, 1 + i % 100, 'note ' || i FROM generate_series(1, 1000) AS i;
    """)


# --- Equality ----------------------------------------------------------------


def schema_of(url: str) -> str:
    """What `pg_dump --schema-only` of the newest program writes, without what changes each time."""
    program = embedded().program("pg_dump")
    done = subprocess.run(
        [program, "--schema-only", url], capture_output=True, text=True, check=True
    )
    text = re.sub(r"^(\\(un)?restrict .*|-- Dumped .*)$", "", done.stdout, flags=re.M)
    return re.sub(r"\(ARRAY\[([^]]*)\]\)::text\[\]", _each_cast, text)


def _each_cast(match: re.Match[str]) -> str:
    """PostgreSQL writes `varchar IN (…)` in one way at first, in another once it was restored."""
    members = ", ".join(f"({member})::text" for member in match[1].split(", "))
    return f"ARRAY[{members}]"


def hashes(connection: psycopg.Connection) -> dict[str, object]:
    """The rows of each table: how many, and a hash of them in any order."""
    tables = connection.execute(
        "SELECT n.nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'"
    ).fetchall()
    return {
        f"{schema}.{name}": connection.execute(
            sql.SQL(
                "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ONLY {} AS t"
            ).format(sql.Identifier(schema, name))
        ).fetchone()
        for schema, name in tables
    }


VIEW = re.compile(r"^CREATE (?:MATERIALIZED )?VIEW [^;]*;", re.MULTILINE)
ROUTES = [("15", "15"), ("15", "18"), ("18", "18")]


@pytest.mark.parametrize(("source", "goal"), ROUTES, ids=lambda major: str(major))
@pytest.mark.parametrize("pack", packs.names())
def test_a_restored_pack_equals_its_source(
    cli: Cli, request: pytest.FixtureRequest, pack: str, source: str, goal: str
) -> None:
    if not DEBIAN_15.exists():
        pytest.skip("no PostgreSQL 15 on this machine")
    databases = {n: request.getfixturevalue(f"database{n}") for n in {source, goal}}
    origin, there = databases[source], databases[goal]
    migrated = cli("migrate", "-d", origin.url, "--pack", pack, "--skip-unavailable", "-q")
    assert migrated.code == 0, migrated.err
    for database in databases.values():
        for (role,) in origin.execute("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'"):
            if not database.execute("SELECT FROM pg_roles WHERE rolname = %s", role):
                database.execute(f'CREATE ROLE "{role}" NOLOGIN')
    if source != goal:  # the embedded server has no contrib modules
        origin.execute("DROP EXTENSION IF EXISTS pg_trgm CASCADE")
    fill(origin.connection, 200)
    backup(cli, origin)
    drop(there, "restored")
    try:
        result = restore(cli, there, "--to", "restored", "-f", "json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["differences"] == []
        url = re.sub(r"@/[^?]*", "@/restored", there.url)
        texts = [schema_of(each) for each in (url, origin.url)]
        if source != goal:  # a newer server writes the columns of views without their table
            texts = [VIEW.sub(lambda view: re.sub(r"\w+\.", "", view[0]), text) for text in texts]
        assert texts[0] == texts[1]
        with opened(there, "restored") as connection:
            assert hashes(connection) == hashes(origin.connection)
    finally:
        drop(there, "restored")


# --- Where to ----------------------------------------------------------------


def test_a_database_that_does_not_exist_is_created(
    cli: Cli, database: Database, restored: str
) -> None:
    small(database)
    made = backup(cli, database)
    result = restore(cli, database, "--to", restored)
    assert result.code == 0, result.err
    assert result.out.startswith(f"restored {made.name}: 3 tables, as the manifest says, in ")
    assert result.err == "created the database restored\n"
    assert value(database, restored, "SELECT count(*) FROM notes") == 1000
    assert value(database, restored, "SELECT last_value FROM agents_id_seq") == 100
    # Statistics are there, and no mark is left.
    assert value(database, restored, "SELECT reltuples::int FROM pg_class WHERE relname = 'notes'")
    assert value(database, restored, COMMENT) is None


COMMENT = (
    "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
    " WHERE datname = current_database()"
)


def test_a_url_names_the_database_as_well(cli: Cli, database: Database, restored: str) -> None:
    small(database)
    backup(cli, database)
    url = re.sub(r"@/[^?]*", f"@/{restored}", database.url)
    result = cli("restore", "latest", "--dir", "backups", "--to", url, "-f", "json")
    assert result.code == 0, result.err
    shown = json.loads(result.out)
    assert (shown["tables"], shown["rows"], shown["differences"]) == (3, 1100, [])


@pytest.mark.parametrize(
    ("statement", "held"),
    [
        ("CREATE TABLE t ()", "1 table"),
        ("CREATE VIEW v AS SELECT 1", "1 view"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "1 function"),
        ("CREATE TYPE mood AS ENUM ('fine')", "1 type"),
        ("CREATE SCHEMA shop", "1 schema"),
        ("CREATE SEQUENCE s", "1 sequence"),
    ],
)
def test_a_database_that_holds_anything_is_refused(
    cli: Cli, database: Database, restored: str, statement: str, held: str
) -> None:
    small(database)
    backup(cli, database)
    database.execute(f"CREATE DATABASE {restored}")
    with opened(database, restored) as connection:
        connection.execute(statement.encode())
    assert restore(cli, database, "--to", restored) == Result(
        1,
        "",
        f"error: the database restored is not empty: {held}\n"
        "hint: restore into a new one, or drop it first with --clean\n",
    )


class TestClean:
    def test_the_name_must_be_given_again(
        self, cli: Cli, database: Database, restored: str
    ) -> None:
        small(database)
        backup(cli, database)
        database.execute(f"CREATE DATABASE {restored}")
        with opened(database, restored) as connection:
            connection.execute("CREATE TABLE precious (id int)")
        clean = ("--to", restored, "--clean")
        assert restore(cli, database, *clean) == Result(
            2,
            "",
            "error: nobody can be asked here, and --clean needs the database's name\n"
            "hint: --confirm restored drops it, with all that is in it\n",
        )
        assert restore(cli, database, *clean, "--confirm", "test") == Result(
            2,
            "",
            "error: 'test' is not the name of the database, restored; nothing was changed\n",
        )
        assert value(database, restored, "SELECT count(*) FROM precious") == 0
        done = restore(cli, database, *clean, "--confirm", restored)
        assert done.code == 0, done.err
        assert done.err == "dropped and created the database restored\n"
        assert value(database, restored, "SELECT to_regclass('precious')") is None

    def test_who_uses_the_database_is_named_and_stays(
        self, cli: Cli, database: Database, restored: str
    ) -> None:
        small(database)
        backup(cli, database)
        database.execute(f"CREATE DATABASE {restored}")
        with opened(database, restored) as user:
            pid = user.info.backend_pid
            done = restore(cli, database, "--to", restored, "--clean", "--confirm", restored)
            assert done == Result(
                1,
                "",
                "error: the database restored is in use; nothing was changed:\n"
                f"  pid {pid} (no name, postgres@local)\n"
                "hint: stop what uses it, then restore again\n",
            )
            assert user.execute("SELECT 1").fetchone() == (1,)

    def test_a_damaged_backup_drops_nothing(
        self, cli: Cli, database: Database, restored: str
    ) -> None:
        small(database)
        made = backup(cli, database)
        toc = made / "data" / "toc.dat"
        content = bytearray(toc.read_bytes())
        content[-1] ^= 1
        toc.write_bytes(content)
        database.execute(f"CREATE DATABASE {restored} CONNECTION LIMIT 7")
        done = restore(cli, database, "--to", restored, "--clean", "--confirm", restored)
        assert done == Result(
            1,
            "",
            f"error: the backup {made.name} is damaged; nothing was restored:\n"
            "  data/toc.dat is damaged: another SHA-256\n"
            "hint: agentdb backup list shows the others\n",
        )
        limit = "SELECT datconnlimit FROM pg_database WHERE datname = 'restored'"
        assert database.value(limit) == 7


def test_a_dry_run_changes_nothing(cli: Cli, database: Database) -> None:
    small(database)
    made = backup(cli, database)
    done = restore(cli, database, "--to", "restored", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"would restore {made.name} into the database restored (created): ")
    assert database.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []


# --- Parts -------------------------------------------------------------------


def test_chosen_tables_come_with_what_belongs_to_them(
    cli: Cli, database: Database, restored: str
) -> None:
    small(database)
    backup(cli, database)
    done = restore(cli, database, "--to", restored, "--table", "notes")
    assert done.code == 0, done.err
    assert value(database, restored, "SELECT count(*) FROM notes") == 1000
    assert value(database, restored, "SELECT to_regclass('agents')") is None
    indexes = (
        "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes"
        " WHERE tablename = 'notes'"
    )
    assert value(database, restored, indexes) == "notes_body notes_pkey"
    # Its foreign key leads to a table that was not chosen.
    assert value(database, restored, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 0


def test_a_table_that_is_not_in_the_backup(cli: Cli, database: Database) -> None:
    small(database)
    backup(cli, database)
    assert restore(cli, database, "--to", "restored", "--table", "note") == Result(
        2, "", "error: the backup has no table note; did you mean 'notes'?\n"
    )


def test_definitions_first_and_rows_later(cli: Cli, database: Database, restored: str) -> None:
    small(database)
    backup(cli, database)
    assert restore(cli, database, "--to", restored, "--schema-only").code == 0
    assert value(database, restored, "SELECT count(*) FROM notes") == 0
    done = restore(cli, database, "--to", restored, "--data-only")
    assert done.code == 0, done.err
    assert value(database, restored, "SELECT count(*) FROM notes") == 1000
    again = restore(cli, database, "--to", restored, "--data-only")
    assert again == Result(
        1,
        "",
        "error: the table public.agents holds rows already; nothing was changed\n"
        "hint: --data-only loads into empty tables alone\n",
    )


# --- What a server must have -------------------------------------------------


def test_an_older_server_is_refused(cli: Cli, database18: Database, database15: Database) -> None:
    small(database18)
    backup(cli, database18)
    assert restore(cli, database15, "--to", "restored") == Result(
        1,
        "",
        "error: the backup is of PostgreSQL 18 and this server is PostgreSQL 15: a newer server's "
        "definitions do not load into an older one\n"
        "hint: restore it into PostgreSQL 18 or newer\n",
    )
    assert database15.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []


def test_an_extension_that_the_server_lacks_is_named_before_anything_starts(
    cli: Cli, database15: Database, database18: Database
) -> None:
    database15.execute("CREATE EXTENSION pg_trgm")
    backup(cli, database15)
    assert restore(cli, database18, "--to", "restored") == Result(
        1,
        "",
        "error: the backup needs extensions that this server does not have:\n"
        "  pg_trgm 1.6: not available on this server\n"
        "hint: install on the server: pg_trgm\n",
    )
    assert database18.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []


def test_an_older_or_missing_extension_is_refused_with_numbers() -> None:
    from agentdb_cli.backups.preflight import check_extensions
    from agentdb_cli.errors import AgentdbError

    check_extensions({"vector": "0.10.0"}, {"vector": "0.8.1"})
    with pytest.raises(AgentdbError) as caught:
        check_extensions({"vector": "0.8.1"}, {"vector": "0.10.0", "pg_trgm": "1.6"})
    assert caught.value.message == (
        "the backup needs extensions that this server does not have:\n"
        "  pg_trgm 1.6: not available on this server\n"
        "  vector 0.10.0: this server has 0.8.1, which may not read what the newer one wrote"
    )
    assert caught.value.hint == "install on the server: pg_trgm, pgvector"


# --- Roles -------------------------------------------------------------------


@contextmanager
def roles(database: Database, *names: str) -> Iterator[None]:
    for name in names:
        database.execute(f'DROP ROLE IF EXISTS "{name}"')
        database.execute(f'CREATE ROLE "{name}"')
    try:
        yield
    finally:
        drop(database, "restored")
        for name in names:
            if database.execute("SELECT FROM pg_roles WHERE rolname = %s", name):
                database.execute(f'DROP OWNED BY "{name}"')
                database.execute(f'DROP ROLE "{name}"')


OWNERS = (
    "SELECT string_agg(relname || ' ' || pg_get_userbyid(relowner), ', ' ORDER BY relname)"
    " FROM pg_class WHERE relname IN ('agents', 'notes', 'other')"
)


def owned(cli: Cli, database: Database) -> None:
    """A backup whose roles are gone since."""
    small(database)
    database.connection.execute("""
        ALTER TABLE notes OWNER TO "old owner";
        ALTER TABLE agents OWNER TO "old owner";
        GRANT SELECT ON other TO "old owner", old_reader;
        CREATE FUNCTION lie() RETURNS text LANGUAGE sql AS $$SELECT '
ALTER TABLE public.other OWNER TO nobody;
'$$;
    """)
    backup(cli, database)


def test_missing_roles_are_named_before_anything_starts(cli: Cli, database: Database) -> None:
    with roles(database, "old owner", "old_reader"):
        owned(cli, database)
        database.execute('DROP OWNED BY "old owner", old_reader CASCADE')
        database.execute('DROP ROLE "old owner", old_reader')
        assert restore(cli, database, "--to", "restored") == Result(
            1,
            "",
            "error: the server has no roles old owner, old_reader, which the backup's objects "
            "belong or are granted to\n"
            "hint: create them (globals.sql of the backup has their definitions), map owners with "
            "--owner OLD=NEW, or leave them out with --no-owner and --no-privileges\n",
        )
        assert database.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []
        leave_out = ("--no-owner", "--no-privileges")
        done = restore(cli, database, "--to", "restored", *leave_out)
        assert done.code == 0, done.err
        expected = "agents postgres, notes postgres, other postgres"
        assert value(database, "restored", OWNERS) == expected


def test_owners_are_mapped_with_what_was_granted_to_them(cli: Cli, database: Database) -> None:
    with roles(database, "old owner", "old_reader", "New owner"):
        owned(cli, database)
        done = restore(cli, database, "--to", "restored", "--owner", "old owner=New owner")
        assert done.code == 0, done.err
        expected = "agents New owner, notes New owner, other postgres"
        assert value(database, "restored", OWNERS) == expected
        granted = "SELECT relacl::text FROM pg_class WHERE relname = 'other'"
        acl = str(value(database, "restored", granted))
        assert '\\"New owner\\"=r/postgres' in acl
        assert "old_reader=r/postgres" in acl
        assert "old owner" not in acl


# --- Failure -----------------------------------------------------------------


def test_a_failed_restore_says_and_marks_that_the_database_is_incomplete(
    cli: Cli, database: Database, restored: str
) -> None:
    small(database)
    # A function that the index needs is not found in the new database's search path.
    database.connection.execute("""
        CREATE FUNCTION stamp(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
            $$BEGIN IF current_database() <> 'test' THEN RAISE EXCEPTION 'not here'; END IF;
              RETURN $1; END$$;
        CREATE INDEX notes_stamp ON notes (stamp(body));
    """)
    made = backup(cli, database)
    done = restore(cli, database, "--to", restored)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "created the database restored\n"
        "error: pg_restore failed: could not execute query: ERROR:  not here\n"
    )
    assert done.err.endswith(
        "  the database restored is incomplete; do not use it\n"
        f"hint: agentdb restore {made.name} --to restored --clean begins again\n"
    )
    mark = f"agentdb restore: {made.name} is not completely restored; do not use this database"
    assert value(database, restored, COMMENT) == mark
    again = restore(cli, database, "--to", restored)
    assert "(what an earlier restore has left)" in again.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_leaves_no_session(
    cli: Cli, database18: Database, number: int, code: int
) -> None:
    database = database18
    database.connection.execute("""
        CREATE TABLE t (id int);
        INSERT INTO t VALUES (1);
        CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
            $$BEGIN IF current_database() <> 'test' THEN PERFORM pg_sleep(600); END IF;
              RETURN $1; END$$;
        CREATE INDEX t_slow ON t (slow(id));
    """)
    backup(cli, database)
    arguments = ["restore", "latest", "--dir", "backups", "--to", "restored", "-d", database.url]
    try:
        with subprocess.Popen(
            [*AGENTDB, *arguments], stderr=subprocess.PIPE, text=True, env={**os.environ}
        ) as process:
            busy = (
                "SELECT FROM pg_stat_activity WHERE datname = 'restored' AND wait_event = 'PgSleep'"
            )
            deadline = time.monotonic() + 30
            while not database.execute(busy):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        assert process.returncode == code
        assert f"error: stopped by {signal.Signals(number).name}\n" in err
        assert "  the database restored is incomplete; do not use it\n" in err
        while database.execute(busy):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        drop(database, "restored")


# --- Afterwards --------------------------------------------------------------


def test_what_differs_from_the_manifest_is_listed(
    cli: Cli, database: Database, restored: str
) -> None:
    small(database)
    made = backup(cli, database)
    rewrite(made, lambda content: content["tables"][0].update(rows=99))
    done = restore(cli, database, "--to", restored, "-f", "json")
    assert done.code == 1
    assert json.loads(done.out)["differences"] == [
        {"kind": "rows", "name": "public.agents", "expected": "99", "actual": "100"}
    ]
    assert f"error: 1 difference from the backup {made.name}, database " in done.err
    comment = f"agentdb restore: this database differs from its backup {made.name}"
    assert value(database, restored, COMMENT) == comment


def rewrite(made: Path, change: Callable[[dict], object]) -> None:
    """Change a manifest, with a checksum that fits."""
    from agentdb_cli.backups import manifest as manifests

    path = made / "manifest.json"
    content = json.loads(path.read_text())
    content.pop("manifest_sha256", None)
    change(content)
    content["manifest_sha256"] = manifests._checksum(content)
    path.write_text(json.dumps(content))
