"""The embedded server: PostgreSQL + pgvector without an installation.

Started on first use, left running, reached over a Unix socket that only its
owner may open. `commands/server.py` controls it, `connect` reaches it.
"""

from __future__ import annotations

import os
import secrets

import psycopg
from psycopg import sql

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.embedded import binaries
from agentdb_cli.postgres.embedded.cluster import SUPERUSER, Cluster
from agentdb_cli.postgres.embedded.layout import Layout, Notify, ensure_owner, find_owner
from agentdb_cli.postgres.embedded.postmaster import Postmaster
from agentdb_cli.settings import Server

__all__ = [
    "Cluster",
    "Notify",
    "Postmaster",
    "create_database",
    "ensure_running",
    "find",
    "find_running",
]


def find(settings: Server) -> Cluster | None:
    """The embedded server as it is, without making or starting anything.

    Returns:
        None if it cannot exist yet: root's server has no system account.

    Raises:
        ServerError: the wheel is missing, or the user has no home directory.
    """
    owner = find_owner()
    if owner is None:
        return None
    programs = binaries.embedded()
    return Cluster(programs, Layout.of(settings.data_dir, programs.major), owner)


def find_running(settings: Server) -> tuple[Cluster, Postmaster] | None:
    """The embedded server if it runs, without starting it.

    Raises:
        ServerError: the wheel is missing, or the user has no home directory.
    """
    cluster = find(settings)
    postmaster = cluster.postmaster() if cluster else None
    return (cluster, postmaster) if cluster and postmaster else None


def ensure_running(
    settings: Server, notify: Notify, port: int | None = None
) -> tuple[Cluster, Postmaster]:
    """The running embedded server; made and started if need be.

    Args:
        settings: its directory and TCP port.
        notify: told of each step that takes time.
        port: a TCP port to listen on, before the one of `settings`.

    Raises:
        ServerError: it could not be made or started.
    """
    running = find_running(settings)
    if running is not None and running[1].ready:
        return running
    programs = binaries.embedded()
    owner = ensure_owner(notify)
    cluster = Cluster(programs, Layout.of(settings.data_dir, programs.major), owner)
    return cluster, cluster.start(notify, port or settings.port)


def create_database(connection: Connection, name: str) -> bool:
    """Create a database unless it exists.

    Args:
        connection: to any other database of the server, in autocommit mode.

    Returns:
        False if it existed, or another run created it at the same moment.
    """
    try:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return False
    return True


def ensure_tcp_password(connection: Connection, cluster: Cluster, port: int) -> None:
    """Give the superuser a password for TCP, kept in a passfile that only we can read.

    The server gets its SCRAM verifier, so that the password itself is in no
    log of it.
    """
    passfile = cluster.layout.passfile
    if passfile.exists() and passfile.read_text().startswith(f"127.0.0.1:{port}:"):
        return
    password = secrets.token_urlsafe(24)
    verifier = connection.pgconn.encrypt_password(
        password.encode(), SUPERUSER.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), verifier)
    )
    passfile.unlink(missing_ok=True)
    descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"127.0.0.1:{port}:*:{SUPERUSER}:{password}\n")
