"""Ending what a session does, after a look at what that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Session:
    """What a backend is and does; None where this role may not see it."""

    pid: int
    backend_type: str | None
    role: str | None
    database: str | None
    application: str | None
    state: str | None
    transaction: str | None
    query: str | None


def look(connection: Connection, pid: int) -> Session:
    """The session of a process id.

    Raises:
        AgentdbError: there is none, or it is our own.
    """
    with connection.cursor(row_factory=class_row(Session)) as cursor:
        found = cursor.execute(
            "SELECT pid, backend_type, usename AS role, datname AS database,"
            " application_name AS application, state,"
            " date_trunc('second', now() - xact_start)::text AS transaction,"
            " left(regexp_replace(query, '\\s+', ' ', 'g'), 200) AS query"
            " FROM pg_stat_activity WHERE pid = %s",
            (pid,),
        ).fetchone()
    if found is None:
        raise AgentdbError(
            f"no session has the pid {pid}; it may have ended",
            hint="agentdb inspect activity lists the sessions",
        )
    if pid == connection.info.backend_pid:
        raise AgentdbError(f"{pid} is this very session")
    return found


def cancel(connection: Connection, pid: int) -> bool:
    """Cancel the statement that a session runs; its transaction is undone by its client.

    Returns:
        Whether the signal was sent.

    Raises:
        AgentdbError: this role may not.
    """
    return _signal(connection, "SELECT pg_cancel_backend(%s)", pid)


def terminate(connection: Connection, pid: int) -> bool:
    """End a session; its open transaction is rolled back.

    Returns:
        Whether the signal was sent.

    Raises:
        AgentdbError: this role may not.
    """
    return _signal(connection, "SELECT pg_terminate_backend(%s)", pid)


def _signal(connection: Connection, statement: str, pid: int) -> bool:
    try:
        row = connection.execute(statement.encode(), (pid,)).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        raise AgentdbError(
            f"the role '{connection.info.user}' may not signal pid {pid}: "
            f"{error.diag.message_primary}",
            hint=f"connect as the owner of the session, or GRANT pg_signal_backend "
            f"TO {connection.info.user}",
        ) from None
    return row is not None and bool(row[0])
