"""A throw-away database, for finding out what SQL does without doing it to anyone's data."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from psycopg import sql

from agentdb_cli.postgres.connect import Connection, open_connection
from agentdb_cli.settings import Connection as ConnectionSettings


@contextmanager
def scratch_database(
    keywords: Mapping[str, str], settings: ConnectionSettings, *, command: str
) -> Iterator[Connection]:
    """Create a database with a name of its own, connect to it, and drop it at the end.

    Args:
        keywords: libpq keywords of a server where we may create databases.
        settings: how to connect.
        command: what runs, for application_name.

    Raises:
        ConnectionFailed: the server was not reached.
        psycopg.errors.InsufficientPrivilege: the role may not create databases.
    """
    name = f"agentdb_scratch_{secrets.token_hex(4)}"
    source = "the scratch server"
    with open_connection(keywords, settings, command=command, source=source) as server:
        server.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
        try:
            with open_connection(
                {**keywords, "dbname": name}, settings, command=command, source=source
            ) as connection:
                yield connection
        finally:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
