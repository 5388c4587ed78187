"""The administrator's connections: to the server, and to the database that is set up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection


def to_server(admin: Invocation) -> Connection:
    """Connect to the database that the administrator's URL names, or else to `postgres`.

    Raises:
        ConnectionFailed: the server was not reached or did not let us in.
    """
    keywords = _keywords(admin)
    if not keywords.get("dbname"):
        keywords["dbname"] = "postgres"
    return _open(admin, keywords)


def to_database(admin: Invocation, connection: Connection, name: str) -> Connection:
    """Connect as the same administrator to another database of the server.

    Raises:
        ConnectionFailed: it does not let us in.
    """
    keywords = _keywords(admin) | {"dbname": name}
    if connection.info.password:
        keywords["password"] = connection.info.password  # it may have been typed
    return _open(admin, keywords)


def _keywords(admin: Invocation) -> dict[str, str]:
    from agentdb_cli.postgres import connect, embedded

    target = admin.settings.target
    if not target.embedded:
        return connect.parameters(target)
    cluster, postmaster = embedded.ensure_running(admin.settings.server, admin.output.notice)
    return cluster.keywords(postmaster, "postgres")


def _open(admin: Invocation, keywords: dict[str, str]) -> Connection:
    from getpass import getpass

    from agentdb_cli.postgres.connect import open_connection

    return open_connection(
        keywords,
        admin.settings.connection,
        command=admin.command,
        source=admin.settings.target.source,
        ask_password=getpass if sys.stdin.isatty() else None,
    )
