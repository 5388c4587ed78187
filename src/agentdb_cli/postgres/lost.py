"""Telling the end of a connection from the failure of one statement."""

from __future__ import annotations

import psycopg
from psycopg import errors

from agentdb_cli.postgres.connect import Connection

_FAREWELLS = (errors.AdminShutdown, errors.CrashShutdown)


def is_lost(connection: Connection, error: psycopg.Error) -> bool:
    """Whether `error` means that the connection is of no more use.

    Of a server that says farewell, libpq notices only at the next statement
    that it is gone.
    """
    return connection.closed or isinstance(error, _FAREWELLS)
