"""`agentdb backup verify --drill`: a backup that does not restore as its manifest says is found."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psycopg
import pytest
from conftest import SERVERS, Database, Result

from agentdb_cli import packs
from agentdb_cli.backups import catalog, compare, contents, crew, files, manifest
from agentdb_cli.postgres import programs
from generator import fill

Cli = Callable[..., Result]
Content = dict  # of a manifest


@pytest.fixture(autouse=True)
def scratch_server(servers: object, clean_environment: pytest.MonkeyPatch) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the backup is that all tests copy, once the first has made it."""
    return tmp_path_factory.mktemp("drill")


@pytest.fixture
def made(cli: Cli, database18: Database, kept: Path) -> Path:
    """A backup of the pack openagent with rows, embeddings, an index, a trigger, large objects."""
    if not list(kept.iterdir()):
        migrated = cli("migrate", "-d", database18.url, "--pack", "openagent", "-q")
        assert migrated.code == 0, migrated.err
        fill(database18.connection, 100)
        database18.connection.execute("""
            CREATE INDEX planted_index ON users (id);
            ALTER TABLE users ADD CONSTRAINT planted_check CHECK (id IS NOT NULL);
            CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER planted_trigger BEFORE UPDATE ON users
                FOR EACH ROW EXECUTE FUNCTION touch();
            CREATE SEQUENCE planted_sequence;
            SELECT lo_from_bytea(0, 'a large object');
        """)
        created = cli("backup", "create", "-d", database18.url, "--to", kept, "-q")
        assert created.code == 0, created.err
        database18.connection.execute("""
            DROP INDEX planted_index;
            ALTER TABLE users DROP CONSTRAINT planted_check;
            DROP TRIGGER planted_trigger ON users;
            DROP SEQUENCE planted_sequence;
        """)
        pg_dump = programs.find(18, ("pg_dump",)).path("pg_dump")
        subprocess.run([pg_dump, "-Fd", "-f", kept / ".less", database18.url], check=True)
    source = next(path for path in kept.iterdir() if not path.name.startswith("."))
    copy = Path("backups") / source.name
    shutil.copytree(source, copy)
    return copy


def drill(cli: Cli, *arguments: object) -> Result:
    return cli("backup", "verify", "latest", "--dir", "backups", "--drill", *arguments)


def leftovers(database: Database) -> list[tuple]:
    return database.execute("SELECT datname FROM pg_database WHERE datname ~ 'agentdb_scratch'")


def test_a_good_backup_passes_and_that_is_recorded(
    cli: Cli, database18: Database, made: Path
) -> None:
    result = drill(cli, "-f", "json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    assert (row["name"], row["by"], row["ok"]) == (made.name, "drill", True)
    tables = len(manifest.read(made).tables)
    rows = manifest.read(made).rows
    assert row["detail"].startswith(f"restored {tables} tables, {rows:,} rows, 1 search, ")
    kinds = [(v.kind, v.ok) for v in catalog.named(Path("backups"), made.name).verified]
    assert kinds == [("checksums", True), ("drill", True)]
    assert leftovers(database18) == []


def test_a_server_that_is_named(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT 1 AS a")
    assert cli("backup", "create", "-d", database.url, "--to", "backups", "-q").code == 0
    result = drill(cli, "--drill-url", database.url, "-f", "json")
    assert result.code == 0, result.err
    assert database.execute("SELECT a FROM t") == [(1,)]
    assert leftovers(database) == []


# --- Corruptions -------------------------------------------------------------


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)


def largest(made: Path) -> Path:
    return max((made / "data").glob("*.dat.gz"), key=lambda path: path.stat().st_size)


def rewrite(made: Path, change: Callable[[Content], object]) -> None:
    """Change a manifest, with a checksum that fits."""
    path = made / "manifest.json"
    content = json.loads(path.read_text())
    content.pop("manifest_sha256", None)
    change(content)
    content["manifest_sha256"] = manifest._checksum(content)
    path.write_text(json.dumps(content))


def resealed(made: Path) -> None:
    """Give the manifest the checksums of the files as they are now."""
    known = ("manifest.json", "verified.jsonl")
    found = [asdict(file) for file in files.seal(made) if file.path not in known]
    rewrite(made, lambda content: content.update(files=found))


def table(content: Content, name: str) -> dict:
    return next(table for table in content["tables"] if table["name"] == name)


def flip_toc(made: Path) -> None:
    flip(made / "data" / "toc.dat")


def flip_data(made: Path) -> None:
    flip(largest(made))


def flip_globals(made: Path) -> None:
    flip(made / "globals.sql")


def flip_manifest(made: Path) -> None:
    path = made / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 100', '"rows": 101', 1))


def truncate(made: Path) -> None:
    path = largest(made)
    path.write_bytes(path.read_bytes()[:-100])


def remove_data(made: Path) -> None:
    largest(made).unlink()


def remove_globals(made: Path) -> None:
    (made / "globals.sql").unlink()


def wrong_count(made: Path) -> None:
    rewrite(made, lambda content: table(content, "users").update(rows=101))


def no_count(made: Path) -> None:
    rewrite(made, lambda content: table(content, "users").update(rows=None))


def flip_large_object(made: Path) -> None:
    flip(next(made.glob("data/blob_*.dat.gz")))


def flip_list_of_large_objects(made: Path) -> None:
    flip(next(made.glob("data/blobs*.toc")))


def extra_file(made: Path) -> None:
    (made / "data" / "9999.dat.gz").write_bytes(b"")


def lost_rows(made: Path) -> None:
    path = largest(made)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[1:])))
    resealed(made)


def broken_rows(made: Path) -> None:
    path = largest(made)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join([lines[0][:20] + b"\n", *lines[1:]])))
    resealed(made)


def truncated_and_resealed(made: Path) -> None:
    truncate(made)
    resealed(made)


def older_pgvector(made: Path) -> None:
    rewrite(made, lambda content: content["extensions"].update(vector="99.1"))


def wrong_migration(made: Path) -> None:
    rewrite(made, lambda content: content["packs"].update(openagent=9))


def lost_table(made: Path) -> None:
    def change(content: Content) -> None:
        content["tables"].append({"schema": "public", "name": "gone", "rows": None, "bytes": 0})

    rewrite(made, change)


CORRUPTIONS: list[tuple[Callable[[Path], None], str]] = [
    (flip_toc, "data/toc.dat is damaged: another SHA-256"),
    (flip_data, "is damaged: another SHA-256"),
    (flip_large_object, "is damaged: another SHA-256"),
    (flip_list_of_large_objects, ".toc is damaged: another SHA-256"),
    (extra_file, "data/9999.dat.gz is not in the manifest"),
    (flip_globals, "globals.sql is damaged: another SHA-256"),
    (flip_manifest, "manifest.json is damaged: its checksum does not match"),
    (truncate, " bytes instead of "),
    (remove_data, ".dat.gz is missing"),
    (remove_globals, "globals.sql is missing"),
    (wrong_count, "rows public.users: 100 instead of 101"),
    (no_count, "rows public.users: 100 instead of not counted in the manifest"),
    (lost_rows, "instead of "),
    (broken_rows, "pg_restore failed: "),
    (truncated_and_resealed, "pg_restore failed: "),
    (older_pgvector, "vector 99.1: this server has "),
    (wrong_migration, "migration openagent: 4 instead of 9"),
    (lost_table, "table public.gone: missing instead of there"),
]


@pytest.mark.parametrize(
    ("plant", "named"), CORRUPTIONS, ids=lambda value: getattr(value, "__name__", None)
)
def test_every_corruption_is_found_and_named(
    cli: Cli, database18: Database, made: Path, plant: Callable[[Path], None], named: str
) -> None:
    plant(made)
    result = cli("backup", "verify", made.name, "--dir", "backups", "--drill")
    assert result.code == 1
    assert named in result.err
    (last,) = catalog.named(Path("backups"), made.name).verified[-1:]
    assert not last.ok
    assert named in last.detail
    assert leftovers(database18) == []


def test_definitions_that_the_dump_has_lost(
    cli: Cli, database18: Database, made: Path, kept: Path
) -> None:
    """The dump is whole in itself, and only the manifest knows that the source had more."""
    shutil.rmtree(made / "data")
    shutil.copytree(kept / ".less", made / "data")
    resealed(made)
    result = drill(cli)
    assert result.code == 1
    assert [line.strip() for line in result.err.splitlines()[1].split(": ", 1)[1].split("; ")] == [
        "constraint public.users planted_check: missing instead of there",
        "index public.planted_index: missing instead of there",
        "sequence public.planted_sequence: missing instead of there",
        "trigger public.users planted_trigger: missing instead of there",
    ]
    assert leftovers(database18) == []


def test_a_manifest_of_before_definitions_were_listed(
    cli: Cli, database18: Database, made: Path
) -> None:
    rewrite(made, lambda content: content.pop("objects"))
    assert manifest.read(made).objects is None
    assert drill(cli).code == 0


def test_the_user_s_own_collections_are_searched(
    cli: Cli, database18: Database, made: Path
) -> None:
    (declared,) = packs.load("openagent").collections
    path = Path("agentdb.toml")
    path.write_text(
        path.read_text()
        + f'[collections.mine]\ntable = "{declared.table}"\nkey = "{declared.key}"\n'
        f'embedding = "{declared.embedding}"\ntext = "{declared.text}"\n'
        "[collections.wrong]\n"
        f'table = "{declared.table}"\nkey = "id"\nembedding = "vectors"\ntext = "id"\n'
        "[collections.elsewhere]\n"
        'table = "other.place"\nkey = "id"\nembedding = "vectors"\ntext = "id"\n'
    )
    result = drill(cli)
    assert result.code == 1
    assert 'search in wrong: column "vectors" does not exist\n' in result.err
    assert "search in mine" not in result.err
    assert "search in elsewhere" not in result.err


# --- What a restored database may lack ---------------------------------------

SCHEMA = """
    CREATE TABLE u (id int PRIMARY KEY);
    INSERT INTO u VALUES (1);
    CREATE TABLE t (id int CONSTRAINT t_u REFERENCES u, body text, CONSTRAINT t_a UNIQUE (id));
    INSERT INTO t VALUES (1, 'one');
    CREATE INDEX t_body ON t (body);
    -- Not validated in the source either: that is no difference.
    ALTER TABLE t ADD CONSTRAINT t_late CHECK (id > 0) NOT VALID;
    CREATE SEQUENCE s;
    SELECT setval('s', 42);
    CREATE VIEW v AS SELECT id FROM t;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
    CREATE TYPE mood AS ENUM ('fine');
    CREATE DOMAIN short AS text CONSTRAINT short_check CHECK (length(VALUE) < 9);
    -- In another form, once PostgreSQL has read what it wrote: that is no difference.
    CREATE TABLE w (state varchar(9) CHECK (state IN ('on', 'off')), m mood, s short);
    CREATE INDEX w_on ON w (state) WHERE state IN ('on', 'idle');
    CREATE POLICY t_mine ON t USING (id > 0);
    CREATE TRIGGER t_touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
    """


@pytest.fixture(scope="module")
def archive() -> dict[int, compare.Expected]:
    """What a backup of SCHEMA says, by server, once a test has made it."""
    return {}


def of_a_backup(cli: Cli, database: Database) -> compare.Expected:
    assert cli("backup", "create", "-d", database.url, "--to", "backups", "-q").code == 0
    backup = catalog.named(Path("backups"), "latest")
    assert backup.manifest is not None
    pg_restore = programs.find(database.major, ("pg_restore",)).path("pg_restore")
    entries = contents.read(pg_restore, backup.directory / "data")
    script = contents.definitions(pg_restore, backup.directory / "data", entries)
    return compare.Expected(backup.manifest, entries, script)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("DROP INDEX t_body", "index public.t_body: missing instead of there"),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_body'::regclass",
            "index public.t_body: not valid instead of valid",
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_a", "constraint public.t t_a: missing instead of there"),
        (
            "ALTER TABLE t DROP CONSTRAINT t_u; ALTER TABLE t ADD CONSTRAINT t_u"
            " FOREIGN KEY (id) REFERENCES u NOT VALID",
            "constraint public.t t_u: not validated instead of valid",
        ),
        ("DROP TRIGGER t_touch ON t", "trigger public.t t_touch: missing instead of there"),
        (
            "DROP INDEX t_body; CREATE INDEX t_body ON t (id)",
            "index public.t_body: CREATE INDEX t_body ON public.t USING btree (id) "
            "instead of CREATE INDEX t_body ON public.t USING btree (body)",
        ),
        ("ALTER TABLE t DISABLE TRIGGER t_touch", "trigger public.t t_touch: CREATE TRIGGER"),
        ("DROP POLICY t_mine ON t", "policy public.t t_mine: missing instead of there"),
        ("DROP FUNCTION twice", "function public.twice(integer): missing instead of there"),
        ("DROP TYPE mood CASCADE", "type public.mood: missing instead of there"),
        (
            "ALTER DOMAIN short DROP CONSTRAINT short_check",
            "constraint public.short short_check: missing instead of there",
        ),
        ("ALTER SEQUENCE s MAXVALUE 99", "sequence public.s: bigint start 1 increment 1 from 1"),
        ("DROP VIEW v", "view public.v: missing instead of there"),
        ("SELECT setval('s', 7)", "sequence public.s: 7 instead of 42"),
        ("DELETE FROM t", "rows public.t: 0 instead of 1"),
        ("DROP TABLE t CASCADE", "table public.t: missing instead of there"),
        (
            "ALTER TABLE t RENAME TO t2; CREATE VIEW t AS SELECT 1 AS a WHERE 1 / (SELECT 0) = 1",
            "rows public.t: cannot be counted (division by zero) instead of 1",
        ),
    ],
)
def test_what_is_not_as_the_archive_says_is_named(
    cli: Cli,
    database: Database,
    archive: dict[int, compare.Expected],
    change: str,
    named: str,
) -> None:
    database.connection.execute(SCHEMA)
    if database.major not in archive:
        archive[database.major] = of_a_backup(cli, database)

    def found() -> list[str]:
        with psycopg.connect(database.url, autocommit=True) as connection:
            sessions = crew.Crew(connection, lambda: None)
            differences = compare.differences(
                sessions, archive[database.major], {}, lambda *_: None
            )
        return [str(difference) for difference in differences]

    assert found() == []
    database.connection.execute(change.encode())
    assert any(named in difference for difference in found()), found()
