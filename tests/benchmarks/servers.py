"""The throw-away PostgreSQL server that the benchmarks run against.

The embedded one, started by agentdb's own code below a temporary directory,
with PostgreSQL's default settings (fsync is on). Everybody connects by its
Unix socket.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from harness import tell
from psycopg import sql

from agentdb_cli.postgres.embedded.binaries import embedded
from agentdb_cli.postgres.embedded.cluster import SUPERUSER, Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner


@dataclass(frozen=True, slots=True)
class Server:
    """The running server."""

    socket_directory: Path
    administrator: psycopg.Connection

    def url(self, database: str, scheme: str = "postgresql") -> str:
        """How a database is reached; TLS is off for everybody."""
        host = quote(str(self.socket_directory), safe="/")
        return f"{scheme}://{SUPERUSER}@/{database}?host={host}&sslmode=disable"

    def recreate(self, database: str) -> None:
        """An empty database, with nothing left to write of what was before it."""
        name = sql.Identifier(database)
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self.administrator.execute(drop.format(name))
        self.administrator.execute(sql.SQL("CREATE DATABASE {}").format(name))
        self.administrator.execute("CHECKPOINT")

    def connect(self, database: str) -> psycopg.Connection:
        """A session of the harness's own."""
        return psycopg.connect(self.url(database), autocommit=True)


def postgresql_version() -> str:
    """The version of the embedded server, such as `18.4`.

    Raises:
        ServerError: the wheel that holds it is missing.
    """
    command = [embedded().program("postgres"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


@contextmanager
def workspace() -> Iterator[Path]:
    """A temporary directory that the server's account can reach; removed at the end."""
    # Not one of mode 0700: as root the server runs as another account.
    directory = Path(tempfile.mkdtemp(prefix="agentdb-bench-"))
    try:
        directory.chmod(0o755)
        yield directory
    finally:
        with uninterrupted():
            shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """A server below `directory`; stopped at the end, also on Ctrl-C.

    Raises:
        ServerError: it could not be made or started.
    """
    binaries = embedded()
    cluster = Cluster(binaries, Layout.of(directory / "server", binaries.major), ensure_owner(tell))
    try:
        with uninterrupted():
            socket = cluster.start(tell).socket_directory
        server = f"host={socket} user={SUPERUSER} dbname=postgres"
        with psycopg.connect(server, autocommit=True) as administrator:
            yield Server(socket, administrator)
    finally:
        with uninterrupted():
            cluster.stop()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that end the run wait until this is done.

    Also for the programs that it starts: a Ctrl-C reaches the whole terminal,
    and a pg_ctl that dies half-way would leave a server behind.
    """
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
