"""`agentdb restore`: what belongs to the database as a whole, its roles, and its statistics."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import SERVERS, Database, Result

from agentdb_cli.backups import catalog, contents, following, manifest, target
from agentdb_cli.backups.crew import Crew
from agentdb_cli.backups.restore import Archive, Options
from agentdb_cli.backups.restore import restore as restore_archive
from agentdb_cli.commands.restore.estimate import Estimate
from agentdb_cli.postgres import programs
from waiting import eventually

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]
ROLES = ("old owner", "r_reader", "New owner", "r_plain")


@pytest.fixture(autouse=True)
def scratch_server(servers: object, clean_environment: pytest.MonkeyPatch) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest, scratch_server: None) -> Iterator[None]:
    """What is restored is dropped afterwards, with the roles of these tests."""
    names = {"database", "database18", "database15"} & set(request.fixturenames)
    databases: list[Database] = [request.getfixturevalue(name) for name in names]
    yield
    for database in databases:
        database.execute("DROP DATABASE IF EXISTS restored WITH (FORCE)")
        database.execute(f"ALTER DATABASE {database.connection.info.dbname} OWNER TO postgres")
        for role in ROLES:
            if database.execute("SELECT FROM pg_roles WHERE rolname = %s", role):
                database.execute(f'DROP OWNED BY "{role}" CASCADE')
                database.execute(f'DROP ROLE "{role}"')


def roles(database: Database, *names: str) -> None:
    for name in names:
        database.execute(f'CREATE ROLE "{name}" LOGIN')


def backup(cli: Cli, database: Database, *arguments: object) -> Path:
    result = cli("backup", "create", "-d", database.url, "--to", "backups", "-q", *arguments)
    assert result.code == 0, result.err
    return catalog.named(Path("backups"), "latest").directory


def restore(cli: Cli, url: str, *arguments: object) -> Result:
    return cli("restore", "latest", "--dir", "backups", "-d", url, "--to", "restored", *arguments)


def url_of(database: Database, name: str = "restored", user: str = "postgres") -> str:
    return re.sub(r"postgres@/[^?]*", f"{user}@/{name}", database.url)


def rows(database: Database, statement: str) -> list[tuple]:
    with psycopg.connect(url_of(database), autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


# --- The database itself -------------------------------------------------------

PROPERTIES = """
    SELECT pg_get_userbyid(datdba), datconnlimit, shobj_description(d.oid, 'pg_database'),
           datacl::text,
           (SELECT string_agg(COALESCE(rolname, '-') || ' ' || array_to_string(setconfig, ','), ';'
                              ORDER BY rolname NULLS FIRST)
            FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole
            WHERE setdatabase = d.oid)
    FROM pg_database d WHERE datname = current_database()
"""


def with_properties(database: Database) -> None:
    roles(database, "old owner", "r_reader", "New owner")
    name = database.connection.info.dbname
    database.connection.execute(
        f"""
        CREATE TABLE t AS SELECT 1 AS a;
        ALTER DATABASE {name} SET work_mem = '7MB';
        ALTER DATABASE {name} SET search_path = 'a; "b', public;
        ALTER DATABASE {name} CONNECTION LIMIT 9;
        ALTER ROLE r_reader IN DATABASE {name} SET statement_timeout = '5s';
        COMMENT ON DATABASE {name} IS 'it''s
GRANT ALL ON DATABASE "no statement" TO nobody;';
        REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC;
        GRANT CREATE ON DATABASE {name} TO r_reader, "old owner";
        ALTER DATABASE {name} OWNER TO "old owner";
    """.encode()
    )


COMMENT = 'it\'s\nGRANT ALL ON DATABASE "no statement" TO nobody;'
SETTINGS = '- work_mem=7MB,search_path="a; ""b", public;r_reader statement_timeout=5s'


def test_settings_privileges_owner_and_comment_come_back(cli: Cli, database: Database) -> None:
    with_properties(database)
    backup(cli, database)
    (source,) = database.execute(PROPERTIES)
    assert source[:3] == ("old owner", 9, COMMENT)
    assert source[4] == SETTINGS
    result = restore(cli, database.url)
    assert (result.code, result.err) == (0, "created the database restored\n")
    (there,) = rows(database, PROPERTIES)
    assert sorted(re.findall(r'"[^"]*"|[^{},]+', str(there[3]))) == sorted(
        re.findall(r'"[^"]*"|[^{},]+', str(source[3]))
    )
    assert (*there[:3], there[4]) == (*source[:3], source[4])


def test_they_go_to_other_roles_and_can_be_left_out(cli: Cli, database: Database) -> None:
    with_properties(database)
    backup(cli, database)
    result = restore(
        cli, database.url, "--owner", "old owner=New owner", "--owner", "r_reader=New owner"
    )
    assert result.code == 0, result.err
    (there,) = rows(database, PROPERTIES)
    assert there[:3] == ("New owner", 9, COMMENT)
    assert "old owner" not in str(there[3])
    assert "r_reader" not in str(there[3])
    assert there[4] == SETTINGS.replace("r_reader", "New owner")
    database.execute("DROP DATABASE restored")
    assert restore(cli, database.url, "--no-owner", "--no-privileges").code == 0
    (there,) = rows(database, PROPERTIES)
    assert there == ("postgres", 9, COMMENT, None, SETTINGS)


def test_a_database_that_was_there_keeps_its_owner(cli: Cli, database: Database) -> None:
    with_properties(database)
    backup(cli, database)
    database.execute('CREATE DATABASE restored OWNER "New owner"')
    database.execute("COMMENT ON DATABASE restored IS 'a copy'")
    assert restore(cli, database.url).code == 0
    (there,) = rows(database, PROPERTIES)
    assert (there[0], there[2], there[4]) == ("New owner", COMMENT, SETTINGS)


def test_chosen_tables_bring_no_settings(cli: Cli, database18: Database) -> None:
    with_properties(database18)
    backup(cli, database18)
    assert restore(cli, database18.url, "--table", "t").code == 0
    assert rows(database18, PROPERTIES) == [("postgres", -1, None, None, None)]


def test_what_is_not_permitted_is_said(cli: Cli, database18: Database) -> None:
    with_properties(database18)
    backup(cli, database18)
    roles(database18, "r_plain")
    database18.execute("ALTER ROLE r_plain CREATEDB")
    result = restore(cli, url_of(database18, user="r_plain"), "--no-owner", "--no-privileges")
    assert result.code == 0, result.err
    assert result.err.startswith(
        "created the database restored\n"
        "warning: not given back to the database: ALTER ROLE r_reader IN DATABASE "
        "\"restored\" SET statement_timeout TO '5s'; (permission denied"
    )
    assert result.err.count("\n") == 2
    (there,) = rows(database18, PROPERTIES)
    assert there[:3] == ("r_plain", 9, COMMENT)


def test_a_locale_that_the_server_lacks(cli: Cli, database: Database) -> None:
    def opened(name: str) -> psycopg.Connection:
        return psycopg.connect(url_of(database, name), autocommit=True)

    reason = target.create(opened, "restored", "ENCODING = 'UTF8' LOCALE = 'xx_YY.nothing'")
    assert reason is not None
    assert "xx_YY.nothing" in reason
    assert rows(database, "SELECT pg_encoding_to_char(encoding) FROM pg_database") != []


def test_the_locale_of_the_source(cli: Cli, database: Database) -> None:
    database.execute("CREATE DATABASE restored TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with psycopg.connect(url_of(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'é'::text AS a")
    made = cli("backup", "create", "-d", url_of(database), "--to", "backups", "-q")
    assert made.code == 0, made.err
    database.execute("DROP DATABASE restored")
    assert restore(cli, database.url).code == 0
    found = "SELECT a, current_setting('server_encoding') FROM t"
    assert rows(database, found) == [("é", "LATIN1")]


def test_an_empty_database(cli: Cli, database: Database) -> None:
    backup(cli, database)
    result = restore(cli, database.url)
    assert result.code == 0, result.err


# --- Tablespaces ----------------------------------------------------------------


def test_a_tablespace_that_is_missing_is_named_before_anything_starts(
    cli: Cli, database: Database
) -> None:
    database.execute("SET allow_in_place_tablespaces = on")
    database.execute("CREATE TABLESPACE \"fast disk\" LOCATION ''")
    database.execute('CREATE TABLE t (id int PRIMARY KEY) TABLESPACE "fast disk"')
    database.execute("INSERT INTO t VALUES (1)")
    backup(cli, database)
    database.execute("DROP TABLE t")
    database.execute('DROP TABLESPACE "fast disk"')
    assert restore(cli, database.url) == Result(
        1,
        "",
        "error: the server has no tablespace fast disk, which the backup's database, tables or "
        "indexes are in\n"
        "hint: CREATE TABLESPACE … LOCATION … (globals.sql of the backup has where it was), or "
        "--no-tablespaces puts everything into the database's own\n",
    )
    assert database.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []
    result = restore(cli, database.url, "--no-tablespaces")
    assert result.code == 0, result.err
    assert rows(database, "SELECT * FROM t") == [(1,)]


def test_the_tablespace_of_the_database(cli: Cli, database: Database) -> None:
    database.execute("SET allow_in_place_tablespaces = on")
    database.execute("CREATE TABLESPACE fast LOCATION ''")
    own = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace"
    try:
        database.execute("CREATE DATABASE restored TABLESPACE fast")
        made = cli("backup", "create", "-d", url_of(database), "--to", "backups", "-q")
        assert made.code == 0, made.err
        database.execute("DROP DATABASE restored")
        assert restore(cli, database.url).code == 0
        assert rows(database, f"{own} WHERE datname = 'restored'") == [("fast",)]
    finally:
        database.execute("DROP DATABASE IF EXISTS restored")
        database.execute("DROP TABLESPACE fast")
    assert restore(cli, database.url).err.startswith("error: the server has no tablespace fast, ")
    assert restore(cli, database.url, "--no-tablespaces").code == 0


# --- Roles ------------------------------------------------------------------------


def test_policies_go_to_other_roles(cli: Cli, database: Database) -> None:
    roles(database, "old owner", "r_reader", "New owner")
    database.connection.execute("""
        CREATE TABLE t (id int);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY "to r_reader" ON t FOR SELECT TO r_reader, "old owner" USING (id > 0);
        CREATE POLICY everyone ON t FOR INSERT WITH CHECK (id < 9);
        COMMENT ON POLICY everyone ON t IS 'all';
    """)
    backup(cli, database)
    database.execute("DROP TABLE t")
    database.execute('DROP ROLE "old owner"')
    result = restore(cli, database.url, "--owner", "old owner=New owner")
    assert result.code == 0, result.err
    assert rows(database, "SELECT policyname, roles::text[] FROM pg_policies ORDER BY 1") == [
        ("everyone", ["public"]),
        ("to r_reader", ["New owner", "r_reader"]),
    ]
    commented = "SELECT obj_description(oid, 'pg_policy') FROM pg_policy WHERE polname = 'everyone'"
    assert rows(database, commented) == [("all",)]


def test_an_ordinary_role_restores_into_its_own_database(cli: Cli, database18: Database) -> None:
    database18.connection.execute("""
        CREATE TABLE t (id int PRIMARY KEY);
        INSERT INTO t SELECT generate_series(1, 10);
        SELECT lo_from_bytea(4711, 'a large object');
    """)
    backup(cli, database18)
    roles(database18, "r_plain")
    database18.execute("CREATE DATABASE restored OWNER r_plain")
    url = url_of(database18, user="r_plain")
    result = cli(
        "restore", "latest", "--dir", "backups", "--to", url, "--no-owner", "--no-privileges"
    )
    assert (result.code, result.err) == (0, "")
    assert rows(database18, "SELECT count(*), min(relowner::regrole::text) FROM t, pg_class"
                " WHERE relname = 't'") == [(10, "r_plain")]  # fmt: skip
    assert rows(database18, "SELECT convert_from(lo_get(4711), 'UTF8')") == [("a large object",)]


def test_an_extension_that_only_a_superuser_may_create(cli: Cli, database18: Database) -> None:
    database18.execute("CREATE EXTENSION vector")
    database18.execute("CREATE TABLE t AS SELECT '[1,2]'::vector AS a")
    backup(cli, database18)
    roles(database18, "r_plain")
    database18.execute("ALTER ROLE r_plain CREATEDB")
    url = url_of(database18, "postgres", "r_plain")
    assert restore(cli, url, "--no-owner") == Result(
        1,
        "",
        "error: only a superuser may create what the backup needs: vector\n"
        "hint: restore as one, or let one make the database and CREATE EXTENSION in it before\n",
    )
    assert database18.execute("SELECT FROM pg_database WHERE datname = 'restored'") == []
    database18.execute("CREATE DATABASE restored OWNER r_plain")
    with psycopg.connect(url_of(database18), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    result = restore(cli, url, "--owner", "postgres=r_plain")
    assert (result.code, result.err) == (0, "")
    assert rows(database18, "SELECT a::text FROM t") == [("[1,2]",)]


def test_a_role_in_the_connection_string_holds_for_the_programs_too(
    cli: Cli, database: Database
) -> None:
    roles(database, "old owner", "r_plain")
    database.execute("CREATE TABLE t AS SELECT 1 AS a")
    as_plain = f"{database.url}&options=-c%20role%3Dr_plain"
    refused = cli("backup", "create", "-d", as_plain, "--to", "backups")
    assert refused.code == 1
    assert refused.err.startswith("error: the role r_plain may not read public.t, so the backup")
    backup(cli, database)
    database.execute('CREATE DATABASE restored OWNER "old owner"')
    url = f"{url_of(database)}&options=-c%20role%3Dold%5C%20owner"
    result = cli("restore", "latest", "--dir", "backups", "--to", url, "--no-owner")
    assert result.code == 0, result.err
    owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'"
    assert rows(database, owner) == [('"old owner"',)]


# --- Chosen tables ----------------------------------------------------------------


def test_a_backup_of_chosen_tables_restores(cli: Cli, database18: Database) -> None:
    """What pg_dump leaves out of it: schemas, extensions, and what other tables have."""
    database18.connection.execute("""
        CREATE EXTENSION vector;
        CREATE SCHEMA "my shop";
        CREATE TABLE agents (id int PRIMARY KEY);
        CREATE TABLE "my shop".notes (id int PRIMARY KEY, agent int REFERENCES agents,
                                      embedding vector(2), before int REFERENCES "my shop".notes);
        INSERT INTO agents VALUES (1);
        INSERT INTO "my shop".notes VALUES (1, 1, '[1,2]', 1);
    """)
    backup(cli, database18, "--table", "my shop.notes")
    left_out = "foreign keys to tables that are not in the backup: my.shop notes notes_agent_fkey"
    result = restore(cli, database18.url)
    assert result.code == 0, result.err
    assert f"warning: left out: {left_out}\n" in result.err
    assert rows(database18, 'SELECT id, embedding::text FROM "my shop".notes') == [(1, "[1,2]")]
    assert rows(database18, "SELECT conname FROM pg_constraint WHERE contype = 'f'") == [
        ("notes_before_fkey",)
    ]
    drilled = cli("backup", "verify", "--dir", "backups", "--drill", "-f", "json")
    assert drilled.code == 0, drilled.err
    assert left_out in drilled.out


# --- Statistics --------------------------------------------------------------------


def test_statistics_come_with_the_backup_or_from_analyze(cli: Cli, database: Database) -> None:
    database.connection.execute("""
        CREATE TABLE known AS SELECT i, i % 7 AS seven FROM generate_series(1, 5000) AS i;
        CREATE TABLE unknown AS SELECT i FROM generate_series(1, 500) AS i;
        CREATE TABLE both_ AS SELECT i, i AS j FROM generate_series(1, 500) AS i;
        CREATE STATISTICS extended ON i, j FROM both_;
        CREATE TABLE parts (i int) PARTITION BY RANGE (i);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (900);
        INSERT INTO parts SELECT generate_series(1, 500);
        ALTER TABLE known SET (autovacuum_enabled = off);
    """)
    database.execute("ANALYZE known")
    database.execute("ANALYZE both_")
    made = backup(cli, database)
    assert ("--statistics" in manifest.read(made).commands[-1]) == (database.major == 18)
    result = restore(cli, database.url)
    assert result.code == 0, result.err
    tables = "SELECT tablename, count(*) FROM pg_stats WHERE schemaname = 'public' GROUP BY 1"
    assert dict(rows(database, tables)) == {
        "known": 2, "unknown": 1, "both_": 2, "parts": 1, "parts_1": 1,
    }  # fmt: skip
    same = "SELECT attname, n_distinct, most_common_freqs FROM pg_stats WHERE tablename = 'known'"
    assert sorted(rows(database, same)) == sorted(database.execute(same))
    assert rows(database, "SELECT count(*) FROM pg_statistic_ext_data") == [(1,)]
    analyzed = "SELECT count(*) FROM pg_stat_user_tables WHERE analyze_count > 0 AND relname = %s"
    with psycopg.connect(url_of(database), autocommit=True) as connection:

        def count(table: str) -> int:
            row = connection.execute(analyzed, (table,)).fetchone()
            assert row is not None
            return int(row[0])

        eventually(lambda: count("unknown") == 1)
        assert count("known") == (0 if database.major == 18 else 1)


# --- Ended -------------------------------------------------------------------------

SLOW = """
    CREATE TABLE t (id int);
    INSERT INTO t VALUES (1);
    CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$BEGIN IF current_database() = 'restored' AND current_query() ~ '{when}'
          THEN PERFORM pg_sleep(600); END IF; RETURN $1; END$$;
    CREATE INDEX t_slow ON t (slow(id));
"""
BUSY = "SELECT FROM pg_stat_activity WHERE datname = 'restored' AND wait_event = 'PgSleep'"
SESSIONS = "SELECT FROM pg_stat_activity WHERE datname = 'restored' AND backend_type ~ 'client'"


def started(database: Database, when: str, cli: Cli) -> subprocess.Popen[str]:
    """A restore that is in the middle of something."""
    database.connection.execute(SLOW.format(when=when).encode())
    backup(cli, database)
    process = subprocess.Popen(
        [*AGENTDB, "restore", "latest", "--dir", "backups", "--to", "restored", "-d", database.url],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: database.execute(BUSY) or process.poll() is not None, 60)
    assert process.poll() is None
    return process


def test_killed_it_leaves_no_pg_restore_behind(cli: Cli, database: Database) -> None:
    process = started(database, "CREATE INDEX", cli)
    process.kill()
    process.communicate()
    eventually(lambda: not database.execute(SESSIONS))


@pytest.mark.parametrize("when", ["CREATE INDEX", "ANALYZE"])
def test_a_signal_ends_whatever_runs(cli: Cli, database: Database, when: str) -> None:
    process = started(database, when, cli)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "error: stopped by SIGTERM\n  the database restored is incomplete; do not use it" in err
    eventually(lambda: not database.execute(SESSIONS))


# --- Progress ----------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_is_by_bytes(cli: Cli, database: Database, jobs: int) -> None:
    database.connection.execute("""
        CREATE TABLE large AS SELECT i, md5(i::text) FROM generate_series(1, 20000) AS i;
        CREATE INDEX large_i ON large (i);
        CREATE TABLE small AS SELECT 1 AS a;
    """)
    backup(cli, database)
    found = catalog.named(Path("backups"), "latest")
    assert found.manifest is not None
    pg_restore = programs.find(database.major, ("pg_restore",))
    data = found.directory / "data"
    entries = contents.read(pg_restore.path("pg_restore"), data)
    total = sum(following.sizes(entries, found.manifest).values())
    sizes = {table.name: table.bytes for table in found.manifest.tables}
    sizes |= {o.name: o.bytes for o in found.manifest.objects or () if o.bytes is not None}
    assert sizes["large_i"] > 0
    assert total == sum(sizes.values()) + 1024 * len(entries)
    steps: list[tuple[str, int, int]] = []
    database.execute("CREATE DATABASE restored")
    script = contents.definitions(pg_restore.path("pg_restore"), data, entries)
    with psycopg.connect(url_of(database), autocommit=True) as connection:
        restore_archive(
            Crew(connection, lambda: None),
            Archive(pg_restore, data, entries, script, found.manifest),
            Options(jobs, 1 << 26),
            lambda *step: steps.append(step),
        )
    done = [done for _, done, whole in steps if whole == total]
    assert done == sorted(done)
    assert any(sizes["large"] <= each < total for each in done)


def test_the_rest_is_estimated_and_runs_down() -> None:
    now = 100.0
    estimate = Estimate(lambda: now)
    assert estimate.left(0, 1000) == ""
    now = 101.0
    assert estimate.left(100, 1000) == ""  # too early to tell
    now = 110.0
    assert estimate.left(250, 1000) == ", about 30.0 s left"
    now = 120.0
    assert estimate.left(250, 1000) == ", about 20.0 s left"
    now = 150.0
    assert estimate.left(250, 1000) == ""
    assert estimate.left(0, 7) == ""  # the next piece of work
