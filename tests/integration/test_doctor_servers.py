"""`agentdb doctor` on servers of its own, broken in their settings: found and mended."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from clusters import as_owner, give, make
from conftest import Database, Result, free_port
from doctoring import Cli, look, mend, values

from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster
from waiting import eventually

ELSEWHERE = "127.0.0.1, 192.0.2.1"
"""Addresses to listen on: the second is nobody's, so the server warns and goes on."""


@dataclass
class Server:
    """A server of its own that a test restarts."""

    cluster: Cluster
    port: int = field(default_factory=free_port)
    database: Database = field(init=False)

    def start(self) -> Database:
        """Start it, and connect."""
        postmaster = self.cluster.start(lambda _: None, self.port)
        keywords = self.cluster.keywords(postmaster, "postgres")
        url = "postgresql://{user}@/{dbname}?host={host}&port={port}".format(**keywords)
        connection = psycopg.connect(url, autocommit=True)
        self.database = Database(connection, url, self.cluster.binaries.major)
        return self.database

    def stop(self) -> None:
        """Stop it."""
        self.database.connection.close()
        self.cluster.stop()

    def restart(self) -> Database:
        """Stop and start it."""
        self.stop()
        return self.start()

    def set(self, *settings: str) -> None:
        """Settings for ALTER SYSTEM; they count from the next start."""
        for setting in settings:
            self.database.execute(f"ALTER SYSTEM SET {setting}")

    def status(self, cli: Cli, check: str, *options: object) -> str:
        """How one check comes out."""
        return str(look(cli, self.database.url, check, *options)["status"])


@pytest.fixture(scope="module")
def server(binaries: Binaries) -> Iterator[Server]:
    """A server whose settings are its own."""
    cluster = make(binaries, "doctor")
    try:
        server = Server(cluster)
        server.start()
        yield server
    finally:
        cluster.stop()
        shutil.rmtree(cluster.layout.base, ignore_errors=True)


# --- What a reload mends ----------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "setting", "status", "found", "options"),
    [
        ("autovacuum", "autovacuum = off", "critical", "autovacuum is off", ()),
        ("autovacuum", "track_counts = off", "critical", "track_counts is off", ()),
        ("password-encryption", "password_encryption = md5", "warning", "md5", ()),
        ("logged-secrets", "log_statement = 'all'", "warning", "log_statement is all", ()),
        (
            "logged-secrets",
            "log_min_duration_statement = 0",
            "warning",
            "log_min_duration_statement is 0: every statement is logged",
            (),
        ),
        (
            "logged-secrets",
            "log_parameter_max_length_on_error = 64",
            "warning",
            "log_parameter_max_length_on_error is 64B",
            (),
        ),
        (
            "slow-query-log",
            "log_min_duration_statement = -1",
            "warning",
            "log_min_duration_statement is -1: none is logged",
            (),
        ),
        ("io-timing", "track_io_timing = off", "warning", "track_io_timing is off", ()),
        ("random-page-cost", "random_page_cost = 4", "warning", "4", ()),
        (
            "effective-cache-size",
            "effective_cache_size = '100MB'",
            "warning",
            "100 MB of 4096 MB memory",
            ("--memory", "4GB"),
        ),
        (
            "work-mem",
            "work_mem = '1GB'",
            "warning",
            "1024 MB × 100 connections is 100 GB, of 3968 MB memory beside shared_buffers",
            ("--memory", "4GB"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value else "",
)
def test_a_setting(
    cli: Cli,
    server: Server,
    check: str,
    setting: str,
    status: str,
    found: str,
    options: tuple[str, ...],
) -> None:
    database = server.database
    server.set(setting)
    database.execute("SELECT pg_reload_conf()")
    eventually(lambda: server.status(cli, check, *options) == status)
    row = look(cli, database.url, check, *options)
    assert values(row) == [found]
    statements = mend(database, row)
    assert statements[0].startswith("ALTER SYSTEM SET ")
    assert row["findings"][0]["caution"] is None
    eventually(lambda: server.status(cli, check, *options) == "ok")


# --- What takes a restart ---------------------------------------------------------


@pytest.fixture(scope="module")
def broken(server: Server) -> Server:
    """The server without checksums, archiving, memory and TLS, open to other machines."""
    server.set(
        "archive_mode = off",
        "shared_buffers = '1MB'",
        "effective_cache_size = '2MB'",
        "maintenance_work_mem = '1MB'",
        f"listen_addresses = '{ELSEWHERE}'",
        "ssl = off",
        "max_wal_size = '32MB'",
        "min_wal_size = '32MB'",
        "max_connections = 20",
        "superuser_reserved_connections = 1",
        "autovacuum = off",
    )
    server.stop()
    _checksums(server, "--disable")
    server.start()
    return server


def _checksums(server: Server, how: str) -> None:
    data = str(server.cluster.layout.data)
    showing = as_owner(server.cluster, "pg_controldata", "-D", data).stdout
    enabled = "Data page checksum version:           0" not in showing
    if enabled != (how == "--enable"):
        as_owner(server.cluster, "pg_checksums", how, "-D", data)


MEMORY = ("--memory", "64MB")


def test_checksums_memory_and_archiving(cli: Cli, broken: Server) -> None:
    url = broken.database.url
    assert look(cli, url, "checksums")["value"] == "off"
    memory = look(cli, url, "shared-buffers", *MEMORY)
    assert (memory["status"], memory["value"]) == ("warning", "1024 kB of 64 MB memory")
    archiving = look(cli, url, "archiving")
    assert (archiving["status"], archiving["value"]) == ("warning", "archiving is off")
    for row in (memory, archiving):
        assert row["findings"][0]["caution"].startswith("takes a restart")
        mend(broken.database, row)
    broken.stop()
    _checksums(broken, "--enable")  # as the advice says
    broken.start()
    assert broken.status(cli, "checksums") == "ok"
    assert look(cli, url, "shared-buffers", *MEMORY)["value"] == "16 MB of 64 MB memory"
    assert broken.status(cli, "shared-buffers", *MEMORY) == "ok"
    row = look(cli, url, "archiving")
    assert (row["status"], values(row)) == (
        "critical",
        ["archiving is on, and neither archive_command nor archive_library is set"],
    )


def test_an_archive_command_that_fails(cli: Cli, broken: Server) -> None:
    archive = broken.cluster.layout.base / "archive"  # it is missing
    database = broken.database
    row = look(cli, database.url, "archiving")
    for found in row["findings"]:
        assert "/mnt/archive" in found["caution"]
        found["sql"] = found["sql"].replace("/mnt/archive", str(archive))
    mend(database, row)
    database.execute("CREATE TABLE written ()")
    database.execute("SELECT pg_switch_wal()")
    eventually(lambda: " failed at " in look(cli, database.url, "archiving")["value"])
    row = look(cli, database.url, "archiving")
    assert (row["status"], row["findings"][0]["sql"]) == ("critical", None)
    assert row["findings"][0]["advice"].startswith("mend archive_command or what it writes to")
    archive.mkdir()
    give(broken.cluster, archive)
    # The archiver tries again after a minute, or when there is something new.
    database.execute("CREATE TABLE more ()")
    database.execute("SELECT pg_switch_wal()")
    eventually(lambda: broken.status(cli, "archiving") == "ok", seconds=120)


def test_wal_that_a_slot_keeps(cli: Cli, broken: Server) -> None:
    database = broken.database
    database.execute("SELECT pg_create_physical_replication_slot('gone', true)")
    for number in range(6):
        database.execute(f"CREATE TABLE filling_{number} ()")
        database.execute("SELECT pg_switch_wal()")
    database.execute("CHECKPOINT")
    assert broken.status(cli, "wal-size") == "warning"
    row = look(cli, database.url, "replication-slots")
    assert row["status"] == "warning"
    kept, unbounded = values(row)
    assert kept.startswith("slot gone is inactive, and keeps ")
    assert unbounded == "max_slot_wal_keep_size is -1: nothing bounds what a slot may keep"
    mend(database, row)
    assert broken.status(cli, "replication-slots") == "ok"
    row = look(cli, database.url, "wal-size")
    assert mend(database, row) == ["CHECKPOINT"]

    def removed() -> bool:
        database.execute("CHECKPOINT")  # what was not archived yet has to wait for the next one
        return broken.status(cli, "wal-size") == "ok"

    eventually(removed)


def test_too_many_checkpoints(cli: Cli, broken: Server) -> None:
    database = broken.database
    for _ in range(12):
        database.execute("CHECKPOINT")
    eventually(lambda: broken.status(cli, "max-wal-size") == "warning")
    row = look(cli, database.url, "max-wal-size")
    assert row["value"].endswith("; max_wal_size is 32MB")
    mend(database, row)
    eventually(lambda: broken.status(cli, "max-wal-size") == "ok")
    assert look(cli, database.url, "max-wal-size")["value"].endswith("; max_wal_size is 64MB")


def test_idle_sessions_without_a_pooler(cli: Cli, broken: Server) -> None:
    with ExitStack() as stack:
        for _ in range(11):
            stack.enter_context(psycopg.connect(broken.database.url))
        found = "none seen; 12 of 13 sessions idle, max_connections is 20"
        # Sessions of the commands before may be ending still.
        eventually(lambda: look(cli, broken.database.url, "pooler")["value"] == found)
        assert broken.status(cli, "pooler") == "warning"
    eventually(lambda: broken.status(cli, "pooler") == "ok")


def test_through_a_pooler(cli: Cli, pgbouncer: str) -> None:
    row = look(cli, pgbouncer, "pooler")
    assert (row["status"], row["value"]) == ("ok", "this session came through one")


@pytest.mark.parametrize("binaries", ["18"], indirect=True)
def test_a_vector_index_larger_than_memory(cli: Cli, broken: Server) -> None:
    broken.set("shared_buffers = '1MB'")
    database = broken.restart()
    database.execute("CREATE EXTENSION vector")
    database.execute("CREATE TABLE items (embedding vector(1536))")
    database.execute(
        "INSERT INTO items SELECT array_fill(n::real, ARRAY[1536])::vector"
        " FROM generate_series(1, 300) AS n"
    )
    database.execute("CREATE INDEX graph ON items USING hnsw (embedding vector_l2_ops)")
    row = look(cli, database.url, "maintenance-work-mem")
    assert row["status"] == "warning"
    assert values(row)[0].startswith("1024 kB; public.graph takes 2")
    mend(database, row)
    eventually(lambda: broken.status(cli, "maintenance-work-mem") == "ok")
    row = look(cli, database.url, "vector-cache")
    assert row["status"] == "critical"  # effective_cache_size is 2 MB
    assert row["findings"][0]["caution"] == "takes a restart, and that much memory"
    mend(database, row)
    mend(database, look(cli, database.url, "effective-cache-size", *MEMORY))
    broken.restart()
    assert broken.status(cli, "vector-cache") == "ok"


# --- TLS and pg_hba.conf ----------------------------------------------------------


def test_tls(cli: Cli, broken: Server) -> None:
    database = broken.database
    row = look(cli, database.url, "tls")
    assert (row["status"], row["value"]) == (
        "critical", f"off, and listen_addresses is '{ELSEWHERE}'",
    )  # fmt: skip
    if not database.value("SHOW ssl_library"):
        assert row["findings"][0]["advice"].startswith("this server was built without TLS")
    else:
        _certificate(broken.cluster)
        mend(database, row)
        eventually(lambda: broken.status(cli, "tls") == "ok")
    database.execute("ALTER SYSTEM SET ssl = off")
    database.execute("ALTER SYSTEM RESET listen_addresses")
    broken.restart()
    assert look(cli, database.url, "tls")["value"].startswith("off, no other machine gets in")


def _certificate(cluster: Cluster) -> None:
    data = cluster.layout.data
    subprocess.run(
        [
            *("openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"),
            *("-newkey", "rsa:2048"),
            *("-keyout", str(data / "server.key"), "-out", str(data / "server.crt")),
        ],
        check=True,
        capture_output=True,
    )
    (data / "server.key").chmod(0o600)
    give(cluster, data)


LINES = """\
hostnossl all all 10.0.0.0/8 scram-sha-256
host all all 0.0.0.0/0 trust
local all somebody trust
host all all 127.0.0.1/32 md5
host all all 10.1.0.0/16 password
host all all 10.2.0.0/16 reject
nonsense
"""


def test_pg_hba_conf(cli: Cli, broken: Server) -> None:
    broken.set(f"listen_addresses = '{ELSEWHERE}'")
    database = broken.restart()
    path = broken.cluster.layout.data / "pg_hba.conf"
    before = path.read_text()
    first = len(before.splitlines()) + 1
    try:
        path.write_text(before + LINES)
        row = look(cli, database.url, "tls-enforced")
        assert values(row) == [
            f"line {first}: hostnossl all all 10.0.0.0",
            f"line {first + 1}: host all all 0.0.0.0",
            f"line {first + 4}: host all all 10.1.0.0",
        ]
        row = look(cli, database.url, "authentication")
        assert row["status"] == "critical"
        assert {found["value"]: found["status"] for found in row["findings"]} == {
            f"line {first + 1}: host all all 0.0.0.0 trust": "critical",
            f"line {first + 4}: host all all 10.1.0.0 password": "critical",
            f'line {first + 6}: invalid connection type "nonsense"': "critical",
            f"line {first + 2}: local all somebody trust": "warning",
            f"line {first + 3}: host all all 127.0.0.1 md5": "warning",
        }
        _as_advised(path, row)
        assert broken.status(cli, "authentication") == "ok"
        if not database.value("SHOW ssl_library"):
            return  # it takes a line with hostssl for an error
        _as_advised(path, look(cli, database.url, "tls-enforced"))
        assert broken.status(cli, "tls-enforced") == "ok"
    finally:
        path.write_text(before)


def _as_advised(path: Path, row: dict[str, object]) -> None:
    """Change the lines of pg_hba.conf as the advice of a check says."""
    lines = path.read_text().splitlines()
    for found in row["findings"]:  # type: ignore[attr-defined]
        words = found["advice"].split()
        number = int(words[words.index("line") + 1])
        if words[0] == "correct":
            lines[number - 1] = ""
        else:
            instead = words[words.index("of") + 1]
            fields = lines[number - 1].split()
            lines[number - 1] = " ".join(words[1] if f == instead else f for f in fields)
    path.write_text("\n".join(lines) + "\n")


# --- pg_stat_statements -----------------------------------------------------------


@pytest.mark.parametrize("binaries", ["15"], indirect=True)
def test_pg_stat_statements(cli: Cli, server: Server) -> None:
    row = look(cli, server.database.url, "pg-stat-statements")
    assert (row["status"], row["value"]) == ("warning", "pg_stat_statements is not preloaded")
    advised = row["findings"][0]["advice"].split()
    result: Result = cli(*advised[1:], "--yes", "-d", server.database.url)
    assert advised[0] == "agentdb"
    assert result.code == 0, result.err
    database = server.restart()
    assert server.status(cli, "pg-stat-statements") == "ok"
    database.execute("DROP EXTENSION pg_stat_statements")
    row = look(cli, database.url, "pg-stat-statements")
    assert row["value"] == "pg_stat_statements is loaded, and not created in this database"
    assert mend(database, row) == ["CREATE EXTENSION pg_stat_statements"]
    assert server.status(cli, "pg-stat-statements") == "ok"


# --- Secrets ----------------------------------------------------------------------

SECRET = "pass_word-nobody_may-see"


def test_a_password_stays_unseen(cli: Cli, server: Server, tmp_path: Path) -> None:
    server.set("log_statement = 'all'", "log_connections = on", "log_min_messages = debug1")
    database = server.restart()
    verifier = database.connection.pgconn.encrypt_password(
        SECRET.encode(), b"secretive", b"scram-sha-256"
    )
    database.execute(f"CREATE ROLE secretive LOGIN PASSWORD '{verifier.decode()}'")
    database.execute("GRANT pg_monitor TO secretive")
    url = f"postgresql://secretive:{SECRET}@127.0.0.1:{server.port}/postgres"
    try:
        said = ""
        for number, written in enumerate(("table", "json", "csv", "markdown", "html")):
            file = tmp_path / f"{number}.sql"
            result = cli("doctor", "-d", url, "-f", written, "--fix", file)
            assert "secretive" in result.out + file.read_text()
            said += result.out + result.err + file.read_text()
        said += cli("doctor", "-d", url.replace("secretive:", "secretive:x"), "--debug").err
        logs = [path.read_text() for path in server.cluster.layout.base.rglob("*.log")]
    finally:
        database.execute("DROP ROLE secretive")
        server.set("log_statement = 'none'", "log_min_messages = warning")
        database.execute("SELECT pg_reload_conf()")
    assert any("pg_hba_file_rules" in log for log in logs)  # it was logged what was asked
    assert SECRET not in said
    assert not [log for log in logs if SECRET in log]
