"""`agentdb backup create`, `list`, `verify` and `prune`."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import clusters
import psycopg
import pytest
from conftest import Database, Result

from agentdb_cli.backups import catalog, files, manifest, source, verified
from agentdb_cli.backups.counting import Counting
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import programs
from agentdb_cli.postgres.embedded.binaries import Binaries
from waiting import eventually

Cli = Callable[..., Result]


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def fill(database: Database, rows: int = 1000) -> None:
    database.execute("CREATE TABLE agents (id int PRIMARY KEY, name text)")
    database.execute(f"INSERT INTO agents SELECT g, 'a-' || g FROM generate_series(1, {rows}) g")
    database.execute('CREATE SCHEMA "Odd one"')
    database.execute('CREATE TABLE "Odd one"."a.b ""c" (id int)')
    database.execute('INSERT INTO "Odd one"."a.b ""c" VALUES (1), (2)')
    database.execute("CREATE TABLE logs (at date NOT NULL, text text) PARTITION BY RANGE (at)")
    for year in (2025, 2026):
        database.execute(
            f"CREATE TABLE logs_{year} PARTITION OF logs"
            f" FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        )
        database.execute(f"INSERT INTO logs VALUES ('{year}-05-05', 'x')")
    database.execute("CREATE UNLOGGED TABLE scratch (id int)")
    database.execute("SELECT lo_from_bytea(0, 'a large object')")


def create(cli: Cli, database: Database, directory: Path, *options: object) -> Path:
    done = cli("backup", "create", "-d", database.url, "--to", directory, "-f", "json", *options)
    assert done.code == 0, done.err
    return Path(json.loads(done.out)["directory"])


def hidden(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("."))


def test_a_backup_holds_everything(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    made = create(cli, database, backups)
    found = manifest.read(made)
    assert made.parent == backups
    assert made.name == found.name == catalog.name_of(found.database, found.created)
    assert {(t.schema, t.name): t.rows for t in found.tables} == {
        ("public", "agents"): 1000,
        ("Odd one", 'a.b "c'): 2,
        ("public", "logs_2025"): 1,
        ("public", "logs_2026"): 1,
        ("public", "scratch"): 0,
    }
    assert found.server_version // 10_000 == database.major
    assert found.program.split(".")[0] == str(database.major)
    assert found.extensions == {"plpgsql": "1.0"}
    assert found.system_identifier == database.value(
        "SELECT system_identifier::text FROM pg_control_system()"
    )
    assert found.compression == "gzip:5"
    assert found.content == "all"
    assert found.selection is None
    assert found.bytes == sum((made / file.path).stat().st_size for file in found.files)
    assert [Path(command[0]).name for command in found.commands] == ["pg_dumpall", "pg_dump"]
    assert "CREATE ROLE postgres;" in (made / "globals.sql").read_text()
    assert hidden(backups) == []


def test_only_the_owner_may_read_it(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    made = create(cli, database, backups)
    for path in (backups, made, *made.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_pg_restore_brings_it_back(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    made = create(cli, database, backups)
    pg_restore = programs.find(database.major, ["pg_restore"]).path("pg_restore")
    database.execute('DROP SCHEMA "Odd one" CASCADE')
    database.execute("DROP TABLE agents, logs, scratch")
    database.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    subprocess.run([pg_restore, "-d", database.url, str(made / "data")], check=True)
    assert database.value("SELECT count(*) FROM agents") == 1000
    assert database.value("SELECT count(*) FROM logs") == 2


def test_parts_of_a_database(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    found = manifest.read(create(cli, database, backups, "--table", "logs", "-t", "ag*"))
    assert [table.name for table in found.tables] == ["agents", "logs_2025", "logs_2026"]
    assert found.selection == ("logs", "ag*")
    found = manifest.read(create(cli, database, backups, "--schema-only"))
    assert (found.content, found.tables, found.rows) == ("schema", (), None)
    made = create(cli, database, backups, "--data-only")
    found = manifest.read(made)
    assert (found.content, found.rows) == ("data", 1004)
    assert not (made / "globals.sql").exists()
    assert cli("backup", "verify", "--all", "--dir", backups).code == 0


def test_an_unknown_table(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    done = cli("backup", "create", "-d", database.url, "--to", backups, "-t", "agent")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: there is no table 'agent' in this database; did you mean 'agents'?\n"
        "hint: write it as schema.table; agentdb inspect table-sizes shows the tables\n"
    )
    assert not backups.exists()


def test_schema_and_data_alone_exclude_each_other(cli: Cli) -> None:
    done = cli("backup", "create", "--schema-only", "--data-only")
    assert done.code == 2
    assert done.err == "error: --schema-only and --data-only leave nothing; take one of them\n"


def test_a_dry_run_makes_nothing(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    done = cli("backup", "create", "-d", database.url, "--to", backups, "--dry-run", "-f", "json")
    assert done.code == 0
    assert json.loads(done.out)["tables"] == 5
    assert not backups.exists()


def test_the_rows_are_those_of_the_dump(cli: Cli, database: Database, backups: Path) -> None:
    """An inserter goes on meanwhile; what pg_restore reads is what was counted."""
    database.execute("CREATE TABLE busy (id int)")
    loop = "BEGIN LOOP INSERT INTO busy VALUES (1); COMMIT; END LOOP; END"
    psql = programs.find(database.major, ["psql"]).path("psql")
    inserter = subprocess.Popen(
        [psql, "-q", database.url, "-c", f"DO $${loop}$$"],
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: bool(database.value("SELECT count(*) > 100 FROM busy")))
        made = create(cli, database, backups)
    finally:
        inserter.terminate()
        inserter.wait()
        eventually(
            lambda: (
                not database.value(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$BEGIN LOOP%'"
                    " AND pg_terminate_backend(pid)"
                )
            )
        )
    (table,) = manifest.read(made).tables
    restored = subprocess.run(
        [
            programs.find(database.major, ["pg_restore"]).path("pg_restore"),
            *("--data-only", "-f", "-", str(made / "data")),
        ],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert table.rows == restored.splitlines().count("1")


def test_how_far_a_dump_is(database: Database) -> None:
    """A COPY that nobody reads on: the server tells how many rows it has written."""
    database.execute("CREATE TABLE big AS SELECT md5(g::text) FROM generate_series(1, 100000) g")
    with (
        psycopg.connect(database.url, autocommit=True) as dumping,
        psycopg.connect(database.url, autocommit=True) as connection,
        dumping.cursor() as cursor,
        cursor.copy("COPY big TO STDOUT") as copy,
    ):
        assert next(iter(copy))
        tables = source.relations(connection, ())
        with source.snapshot(connection), Counting(connection, tables) as counting:
            assert list(counting.result().values()) == [100_000]
            copied = eventually(lambda: counting.copied.get("public big"))
            assert isinstance(copied, int)
            assert 0 < copied < 100_000
        assert len(list(copy)) > 0  # the rest: a COPY must be read to its end


# --- Secrets, roles, poolers ---------------------------------------------------


def test_a_password_is_in_no_argument_and_no_manifest(
    cli: Cli, database: Database, backups: Path
) -> None:
    fill(database)
    url = database.url.replace("postgres@", "postgres:s3cret-w0rd@")
    done = cli("backup", "create", "-d", url, "--to", backups)
    assert done.code == 0, done.err
    (found,) = catalog.backups(backups)
    assert "s3cret" not in (found.directory / "manifest.json").read_text() + done.out + done.err
    with psycopg.connect(url) as connection:
        assert "s3cret" not in programs.conninfo(connection)
        assert programs.environment(connection)["PGPASSWORD"] == "s3cret-w0rd"


@contextmanager
def role(database: Database, name: str, options: str = "") -> Iterator[str]:
    database.execute(f"CREATE ROLE {name} LOGIN {options}")
    try:
        yield database.url.replace("postgres@", f"{name}@")
    finally:
        database.execute(f"DROP OWNED BY {name}")
        database.execute(f"DROP ROLE {name}")


def test_a_role_that_may_not_read_a_table(cli: Cli, database18: Database, backups: Path) -> None:
    database18.execute("CREATE TABLE closed (id int)")
    with role(database18, "backup_reader") as url:
        done = cli("backup", "create", "-d", url, "--to", backups)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: the role backup_reader may not read public.closed, "
        "so the backup would not be whole\n"
        "hint: GRANT pg_read_all_data TO backup_reader; or connect as the owner, "
        "or name the tables to back up with --table\n"
    )
    assert not backups.exists()


def test_row_level_security_is_no_smaller_backup(
    cli: Cli, database18: Database, backups: Path
) -> None:
    database18.execute("CREATE TABLE tenants (id int)")
    database18.execute("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY")
    with role(database18, "backup_tenant") as url:
        database18.execute("GRANT SELECT ON tenants TO backup_tenant")
        done = cli("backup", "create", "-d", url, "--to", backups)
    assert done.code == 1
    assert done.err == (
        "error: row-level security hides rows of public.tenants from the role backup_tenant, "
        "so the backup would not be whole\n"
        "hint: connect as the owner, or ALTER ROLE backup_tenant BYPASSRLS;\n"
    )


def test_an_ordinary_role_with_short_timeouts(
    cli: Cli, database18: Database, backups: Path
) -> None:
    fill(database18)
    with role(database18, "backup_ordinary") as url:
        database18.execute("GRANT pg_read_all_data TO backup_ordinary")
        database18.execute("ALTER ROLE backup_ordinary SET statement_timeout = '5ms'")
        database18.execute("ALTER ROLE backup_ordinary SET idle_in_transaction_session_timeout = 5")
        database18.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        done = cli("backup", "create", "-d", url, "--to", backups)
        assert done.code == 0, done.err
    assert manifest.read(catalog.named(backups, "latest").directory).rows == 1004


def test_passwords_that_the_role_may_not_read(
    cli: Cli, database18: Database, backups: Path
) -> None:
    with role(database18, "backup_curious") as url:
        done = cli("backup", "create", "-d", url, "--to", backups, "--role-passwords")
    assert (done.code, done.out) == (1, "")
    assert "permission denied for table pg_authid" in done.err
    assert done.err.endswith(
        "hint: reading passwords takes a superuser or pg_read_all_data; "
        "or leave out --role-passwords\n"
    )
    assert list(backups.iterdir()) == []


def test_role_passwords_on_request(cli: Cli, database: Database, backups: Path) -> None:
    with role(database, "backup_known", "PASSWORD 'x'"):
        without = (create(cli, database, backups) / "globals.sql").read_text()
        asked = (create(cli, database, backups, "--role-passwords") / "globals.sql").read_text()
    assert "SCRAM-SHA-256" not in without
    assert "SCRAM-SHA-256" in asked


def test_behind_pgbouncer(cli: Cli, pgbouncer: str, backups: Path) -> None:
    done = cli("backup", "create", "-d", pgbouncer, "--to", backups)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "error: a pooler is in between, and pg_dump's sessions and their snapshot do not survive "
        "it\nhint: connect to the server directly\n"
    )


def test_too_few_connections(cli: Cli, database: Database, backups: Path) -> None:
    done = cli("backup", "create", "-d", database.url, "--to", backups, "--jobs", "500")
    assert done.code == 1
    assert done.err.startswith("error: the server has ")
    assert "connections left, and pg_dump with 500 jobs needs 501\n" in done.err


def test_no_program_is_new_enough() -> None:
    with pytest.raises(Exception, match="there is no pg_dump of PostgreSQL 99 or newer here"):
        programs.find(99, ["pg_dump"])


def test_the_programs_of_the_server_s_release_come_first(servers: dict[str, Binaries]) -> None:
    for major in servers:
        assert programs.find(int(major), ["pg_dump", "pg_restore"]).major == int(major)
    assert programs.find(17, ["pg_dump"]).major == 18


def test_whether_programs_can_do_tls(servers: dict[str, Binaries]) -> None:
    for installation in servers.values():
        directory = Path(installation.program("pg_dump")).parent
        built = subprocess.run(
            [directory / "pg_config", "--configure"], capture_output=True, text=True, check=True
        ).stdout
        able = "--with-ssl" in built or "--with-openssl" in built
        assert programs.has_tls(directory) == able
        with pytest.raises(AgentdbError) as caught:
            programs.find(99, ["pg_dump"], tls=True)
        assert (f" in {directory} without TLS" in caught.value.message) == (not able)


# --- Locks -------------------------------------------------------------------


def test_a_locked_table_is_named_with_who_has_it(
    cli: Cli, database: Database, backups: Path
) -> None:
    fill(database)
    with psycopg.connect(database.url, application_name="an upgrade") as other:
        other.execute("LOCK TABLE agents IN ACCESS EXCLUSIVE MODE")
        pid = other.info.backend_pid
        done = cli(
            "backup", "create", "-d", database.url, "--to", backups, "--lock-timeout", "50ms"
        )
        other.rollback()
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        f"error: public.agents cannot be read: locked by pid {pid} (an upgrade, "
    )
    assert done.err.endswith(
        "hint: wait until that session has ended, or wait longer with --lock-timeout\n"
    )
    assert not backups.exists()


# --- Killed, interrupted, out of room --------------------------------------------


def started(database: Database, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "agentdb_cli", "backup", "create", "-d", database.url),
            *("--to", str(directory), "-j", "2"),
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def heavy(database: Database) -> None:
    """Enough to dump for a second or so."""
    for number in range(4):
        database.execute(
            f"CREATE TABLE heavy_{number} AS SELECT g, md5(g::text) AS text"
            " FROM generate_series(1, 150000) g"
        )


def sessions(database: Database) -> int:
    return int(
        str(
            database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name ~ 'pg_dump|agentdb backup'"
            )
        )
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_all(
    database: Database, backups: Path, number: signal.Signals, code: int
) -> None:
    heavy(database)
    process = started(database, backups)
    eventually(lambda: any(backups.glob(".*.partial/data/*.gz")))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (code, "")
    assert err == f"error: stopped by {number.name}; no backup was left behind\n"
    assert list(backups.iterdir()) == []
    eventually(lambda: sessions(database) == 0)


def kill_at_random(cli: Cli, database: Database, directory: Path, rounds: int) -> int:
    """Kill runs at random instants; whatever is listed must verify. How many were unfinished."""
    chance = random.Random(database.major)
    begun = time.monotonic()
    started(database, directory).communicate()
    whole = time.monotonic() - begun
    unfinished = 0
    for _ in range(rounds):
        process = started(database, directory)
        time.sleep(chance.uniform(0.1, whole * 1.05))
        process.kill()
        process.communicate()
        unfinished += process.returncode != 0
        for backup in catalog.backups(directory):
            done = cli("backup", "verify", backup.name, "--dir", directory)
            assert done.code == 0, done.err
            files.delete(backup.directory)
        eventually(lambda: sessions(database) == 0)
    return unfinished


def test_killed_at_any_instant_it_leaves_no_broken_backup(
    cli: Cli, database: Database, backups: Path
) -> None:
    heavy(database)
    rounds = int(os.environ.get("AGENTDB_KILLS", "6"))
    assert kill_at_random(cli, database, backups, rounds) > 0
    create(cli, database, backups)
    assert hidden(backups) == []
    assert cli("backup", "verify", "--dir", backups).code == 0


def test_the_next_run_says_what_it_removes(cli: Cli, database: Database, backups: Path) -> None:
    heavy(database)
    process = started(database, backups)
    eventually(lambda: any(backups.glob(".*.partial/data/*.gz")))
    process.kill()
    process.communicate()
    eventually(lambda: sessions(database) == 0)
    (partial,) = backups.glob(".*.partial")
    assert catalog.backups(backups) == ()
    done = cli("backup", "create", "-d", database.url, "--to", backups)
    assert done.code == 0
    assert f"removed {partial}, which a killed run had left\n" in done.err
    assert hidden(backups) == []


def test_a_run_at_work_is_left_alone(cli: Cli, database: Database, backups: Path) -> None:
    with files.in_work(backups, "other") as partial:
        (partial.path / "data").mkdir()
        create(cli, database, backups)
        assert (partial.path / "data").is_dir()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_too_little_room_is_seen_before(cli: Cli, database: Database, small: Path) -> None:
    heavy(database)
    done = cli("backup", "create", "-d", database.url, "--to", small)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {small} has too little room: about ")
    assert list(small.iterdir()) == []


def test_a_full_disk_leaves_nothing(cli: Cli, database: Database, small: Path) -> None:
    """What cannot be compressed takes more than was to be expected."""
    database.execute(
        "CREATE TABLE noise AS SELECT string_agg(md5(random()::text), '') AS text"
        " FROM generate_series(1, 180000) g GROUP BY g / 50"
    )
    assert int(str(database.value("SELECT pg_table_size('noise')"))) < 8 * 2**20
    done = cli("backup", "create", "-d", database.url, "--to", small)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {small} is full (")
    assert "; no backup was left behind\nhint: agentdb backup prune makes room" in done.err
    assert list(small.iterdir()) == []


def test_names_that_are_taken_leave_no_lock(backups: Path) -> None:
    """Several at once, so that some must wait for the next second."""
    for _ in range(3):
        with files.in_work(backups, "busy") as partial:
            partial.finish()
    assert len(list(backups.iterdir())) == 3
    assert hidden(backups) == []


# --- The catalog ---------------------------------------------------------------


def test_list_and_verify(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    made = create(cli, database, backups)

    def listed() -> dict[str, object]:
        (row,) = json.loads(cli("backup", "list", "--dir", backups, "-f", "json").out)
        return dict(row)

    assert (listed()["verified_ok"], listed()["rows"], listed()["problem"]) == (None, 1004, None)
    done = cli("backup", "verify", made.name, "--dir", backups)
    assert done.code == 0
    assert f"{made.name}: " in done.out
    assert (listed()["verified_ok"], listed()["verified_by"]) == (True, "checksums")


def test_a_damaged_file_is_found(cli: Cli, database: Database, backups: Path) -> None:
    fill(database)
    made = create(cli, database, backups)
    victim = next(made.glob("data/*.gz"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    assert catalog.named(backups, "latest").problem is None  # sizes alone do not tell
    done = cli("backup", "verify", "--dir", backups)
    assert done.code == 1
    assert done.err == (
        "error: 1 of 1 backup does not verify:\n"
        f"  {made.name}: data/{victim.name} is damaged: another SHA-256\n"
        "hint: do not rely on them; agentdb backup create makes a new one\n"
    )
    (record,) = verified.read(made)
    assert not record.ok


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda made: (made / "data/toc.dat").unlink(), "data/toc.dat is missing"),
        (
            lambda made: (made / "globals.sql").write_text("short"),
            "globals.sql has 5 bytes instead of ",
        ),
        (lambda made: (made / "manifest.json").unlink(), "has no manifest.json"),
        (lambda made: (made / "manifest.json").write_text("{"), "not the JSON of a manifest"),
        (
            lambda made: (made / "manifest.json").write_text(
                (made / "manifest.json").read_text().replace("1000", "1001")
            ),
            "its checksum does not match",
        ),
    ],
)
def test_broken_ones_are_listed_as_broken(
    cli: Cli, database18: Database, backups: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    fill(database18)
    made = create(cli, database18, backups)
    spoil(made)
    done = cli("backup", "list", "--dir", backups)
    assert done.code == 0
    assert problem in done.out
    assert done.err == f"warning: 1 of 1 broken: {made.name}\n"
    assert cli("backup", "verify", made.name, "--dir", backups).code == 1
    done = cli("backup", "prune", "--keep-last", 1, "--dir", backups)
    assert done.code == 0
    assert made.exists()


def test_an_unknown_name(cli: Cli, database18: Database, backups: Path) -> None:
    made = create(cli, database18, backups)
    done = cli("backup", "verify", made.name[:-1], "--dir", backups)
    assert done.err == (
        f"error: there is no backup '{made.name[:-1]}' in {backups}; did you mean '{made.name}'?\n"
        "hint: agentdb backup list shows what is there\n"
    )


def test_no_backups(cli: Cli, backups: Path) -> None:
    assert cli("backup", "list", "--dir", backups).out == f"no backups in {backups}\n"
    assert cli("backup", "list", "--dir", backups, "-f", "json").out == "[]\n"
    done = cli("backup", "verify", "--dir", backups)
    assert done.err == (
        f"error: there is no whole backup in {backups}\nhint: agentdb backup create makes one\n"
    )


def test_the_directory_of_the_settings_file(cli: Cli, database18: Database, tmp_path: Path) -> None:
    Path("agentdb.toml").write_text(
        f'url = "{database18.url}"\n[backup]\ndir = "kept"\n'
        f'[environments.live]\nurl = "{database18.url}"\nbackup = {{ dir = "live" }}\n'
    )
    assert cli("backup", "create").code == 0
    assert cli("backup", "create", "-e", "live").code == 0
    assert len(catalog.backups(Path("kept"))) == len(catalog.backups(Path("live"))) == 1


def test_prune(cli: Cli, database18: Database, backups: Path) -> None:
    oldest = create(cli, database18, backups)
    assert cli("backup", "verify", "--dir", backups).code == 0
    middle = create(cli, database18, backups)
    newest = create(cli, database18, backups)
    options = ("backup", "prune", "--keep-last", 1, "--dir", backups)
    done = cli(*options, "--dry-run", "-f", "csv")
    assert done.code == 0
    assert [line.split(",", 3)[3] for line in done.out.splitlines()] == [
        "action,because",
        'keep,"last, newest"',
        "delete,no rule keeps it",
        "keep,newest verified",
    ]
    assert middle.exists()
    done = cli(*options)
    assert done.code == 0
    assert done.out.endswith(f"1 of 3 backups deleted, {backups}\n")
    assert [oldest.exists(), middle.exists(), newest.exists()] == [True, False, True]
    assert hidden(backups) == []


def test_prune_wants_a_rule(cli: Cli, backups: Path) -> None:
    done = cli("backup", "prune", "--dir", backups)
    assert done.code == 2
    assert done.err == (
        "error: no rule says which backups to keep\n"
        "hint: agentdb backup prune --keep-daily 7 --keep-weekly 5 --keep-monthly 12\n"
    )


def test_a_killed_prune_leaves_nothing_listed(
    cli: Cli, database18: Database, backups: Path
) -> None:
    made = create(cli, database18, backups)
    made.rename(backups / f".{made.name}.deleted")
    assert catalog.backups(backups) == ()
    assert cli("backup", "prune", "--keep-last", 1, "--dir", backups).code == 0
    assert hidden(backups) == []


# --- Standbys --------------------------------------------------------------------


def test_from_a_standby(cli: Cli, binaries: Binaries, tmp_path: Path) -> None:
    primary = clusters.make(binaries, "backup-primary")
    database = clusters.opened(primary)
    standby = None
    try:
        fill(database)
        standby = clusters.copy_of(database, binaries, "backup-standby", "-R")
        copy = clusters.opened(standby)
        eventually(lambda: copy.value("SELECT to_regclass('scratch') IS NOT NULL") is True)
        found = manifest.read(create(cli, copy, tmp_path / "backups"))
        assert {table.name: table.rows for table in found.tables} == {
            "agents": 1000, 'a.b "c': 2, "logs_2025": 1, "logs_2026": 1, "scratch": None,
        }  # fmt: skip
        copy.connection.close()
    finally:
        database.connection.close()
        for cluster in filter(None, (standby, primary)):
            cluster.stop()
