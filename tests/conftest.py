"""Real servers and the command line for all tests.

Integration tests run on the embedded PostgreSQL 18 (with pgvector) and, where
Debian's packages are installed, on PostgreSQL 15 with contrib. In CI both must
be there. Both are started here by agentdb's own code, below a directory of
their own, and handed to pytest-postgresql, which makes a database a test.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import ExecStatus
from pytest_postgresql import factories

from agentdb_cli import app
from agentdb_cli.postgres.embedded.binaries import Binaries, embedded
from agentdb_cli.postgres.embedded.cluster import Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner

DEBIAN_15 = Path("/usr/lib/postgresql/15")
IN_CI = bool(os.environ.get("CI"))

# Not pytest's own temporary directory: as root the servers run as another
# account, which could not reach a directory below one of mode 0700.
SERVERS = Path(tempfile.gettempdir()) / f"agentdb-tests-{os.getpid()}"


def _cluster(binaries: Binaries) -> Cluster:
    layout = Layout.of(SERVERS / f"pg{binaries.major}", binaries.major)
    return Cluster(binaries, layout, ensure_owner(print))


def _installations() -> dict[str, Binaries]:
    found = {"18": embedded()}
    if (DEBIAN_15 / "bin" / "postgres").exists():
        found["15"] = Binaries(DEBIAN_15, 15)
    return found


def _server(major: str) -> Callable[..., object]:
    return factories.postgresql_noproc(
        host=str(SERVERS / f"pg{major}" / "run"), port=5432, user="postgres", dbname="test"
    )


server18 = _server("18")
server15 = _server("15")
connection18 = factories.postgresql("server18")
connection15 = factories.postgresql("server15")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the servers, if a collected test needs one."""
    if any("servers" in item.fixturenames for item in session.items):  # type: ignore[attr-defined]
        SERVERS.mkdir(mode=0o755)
        SERVERS.chmod(0o755)
        for binaries in _installations().values():
            _cluster(binaries).start(lambda _: None)


def pytest_unconfigure() -> None:
    """Stop the servers and remove their directory."""
    if SERVERS.exists():
        for binaries in _installations().values():
            _cluster(binaries).stop()
        shutil.rmtree(SERVERS)


@pytest.fixture(scope="session")
def servers() -> dict[str, Binaries]:
    """The PostgreSQL installations whose servers run, by major version."""
    return _installations()


@dataclass(frozen=True)
class Database:
    """An empty database of one test."""

    connection: psycopg.Connection
    url: str
    major: int

    def execute(self, statement: str, *values: object) -> list[tuple]:
        """Run a statement and return its rows, if it has any."""
        cursor = self.connection.execute(statement, values or None)
        result = cursor.pgresult  # a row may have no column, and cursor.description is then None
        found = result is not None and result.status == ExecStatus.TUPLES_OK
        return cursor.fetchall() if found else []

    def value(self, statement: str, *values: object) -> object:
        """The first column of the first row."""
        return self.execute(statement, *values)[0][0]


def _database(connection: psycopg.Connection) -> Database:
    connection.autocommit = True
    info = connection.info
    url = f"postgresql://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"
    return Database(connection, url, info.server_version // 10_000)


def _database_on(major: str, request: pytest.FixtureRequest) -> Database:
    if major not in request.getfixturevalue("servers"):
        if IN_CI:
            pytest.fail(f"PostgreSQL {major} must be installed in CI")
        pytest.skip(f"no PostgreSQL {major} on this machine")
    return _database(request.getfixturevalue(f"connection{major}"))


@pytest.fixture(scope="module", params=["18", "15"])
def binaries(request: pytest.FixtureRequest, servers: dict[str, Binaries]) -> Binaries:
    """The programs of each PostgreSQL in turn."""
    if request.param not in servers:
        if IN_CI:
            pytest.fail(f"PostgreSQL {request.param} must be installed in CI")
        pytest.skip(f"no PostgreSQL {request.param} on this machine")
    return servers[request.param]


@pytest.fixture(params=["18", "15"])
def database(request: pytest.FixtureRequest, servers: object) -> Database:
    """An empty database, on each server in turn."""
    return _database_on(request.param, request)


@pytest.fixture
def database18(request: pytest.FixtureRequest, servers: object) -> Database:
    """An empty database on the embedded PostgreSQL 18, which has pgvector."""
    return _database_on("18", request)


@pytest.fixture
def database15(request: pytest.FixtureRequest, servers: object) -> Database:
    """An empty database on Debian's PostgreSQL 15, which has contrib and no pgvector."""
    return _database_on("15", request)


@dataclass(frozen=True)
class Result:
    """What one command did."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting of the machine reaches a test: an empty HOME, an empty directory."""
    for name in list(os.environ):
        if name.startswith(("PG", "POSTGRESQL_", "XDG_", "AGENTDB_")) or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    return monkeypatch


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process: `cli("migrate", "status", "-d", url)`."""

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        code = app.execute([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def pgbouncer(database18: Database) -> Iterator[str]:
    """The URL of `database18` through a PgBouncer in transaction mode."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        if IN_CI:
            pytest.fail("pgbouncer must be installed in CI")
        pytest.skip("no pgbouncer on this machine")
    info, port, owner = database18.connection.info, free_port(), ensure_owner(lambda _: None)
    directory = Path(tempfile.mkdtemp(prefix="agentdb-pgbouncer-"))
    directory.chmod(0o755)
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={info.host} port={info.port} user=postgres\n"
        "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\n"
    )
    account = {} if owner.is_us else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    with subprocess.Popen(
        [program, "-q", configuration],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
        **account,  # type: ignore[arg-type]
    ) as process:
        try:
            _wait_for_port(port)
            yield f"postgresql://postgres@127.0.0.1:{port}/{info.dbname}"
        finally:
            process.terminate()
    shutil.rmtree(directory)


def _wait_for_port(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Write migrations: `files({"001_a.sql": "CREATE TABLE a ();"})` -> their directory."""
    directory = tmp_path / "migrations"
    directory.mkdir()

    def write(contents: dict[str, str | bytes]) -> Path:
        for name, content in contents.items():
            data = content.encode() if isinstance(content, str) else content
            (directory / name).write_bytes(data)
        return directory

    return write
