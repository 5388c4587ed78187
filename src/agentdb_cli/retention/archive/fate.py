"""What became of a transaction whose end nobody saw: the server is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, cast

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

PATIENCE = 10.0
"""Seconds that a killed run's session gets to end: it has noticed, or is at its COMMIT."""

_POLL = 0.05


class Fate(StrEnum):
    """How a transaction ended; unknown when this server cannot tell."""

    committed = "committed"
    aborted = "aborted"
    unknown = "unknown"


class Server(NamedTuple):
    """Which history of transactions a connection sees.

    Attributes:
        cluster: the system identifier, or "" if the role may not read it.
        timeline: in hexadecimal; changes when a server is restored or promoted.
    """

    cluster: str
    timeline: str


def server(connection: Connection) -> Server:
    """The history that this connection's transactions belong to."""
    try:
        row = connection.execute(
            "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
        ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = ("",)
    return Server(str(row[0]) if row else "", _timeline(connection))


def _timeline(connection: Connection) -> str:
    try:
        row = connection.execute(
            "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
        ).fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        raise AgentdbError(
            "this server is a standby, where nothing can be written",
            hint="connect to its primary",
        ) from None
    return str(row[0]) if row else ""


def current_xid(connection: Connection) -> int:
    """The id of the transaction in progress."""
    row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    return int(str(row[0])) if row else 0


def of(
    connection: Connection,
    here: Server,
    xid: int,
    origin: Server,
    notice: Callable[[str], None],
) -> Fate:
    """How a transaction of `origin` ended.

    Args:
        connection: outside a transaction.
        here: the history that the connection sees.
        notice: told when it has to be waited for.

    Raises:
        AgentdbError: it is still open after `PATIENCE` seconds.
    """
    if not origin.cluster or origin != here:
        return Fate.unknown
    deadline, told = time.monotonic() + PATIENCE, False
    while True:
        status = _status(connection, xid)
        if status != "in progress":
            return Fate(status) if status else Fate.unknown
        if time.monotonic() >= deadline:
            raise AgentdbError(
                f"transaction {xid} of a run that was killed is still open"
                f"{_holder(connection, xid)}",
                hint="wait until its session has ended, or end it with "
                "SELECT pg_terminate_backend(pid)",
            )
        if not told:
            notice(f"waiting for transaction {xid} of a run that was killed")
            told = True
        time.sleep(_POLL)


def _status(connection: Connection, xid: int) -> str | None:
    try:
        row = connection.execute(f"SELECT pg_xact_status('{xid}'::xid8)".encode()).fetchone()
    except psycopg.errors.InvalidParameterValue:  # not begun yet: another history
        return None
    return cast(str | None, row[0]) if row else None


def _holder(connection: Connection, xid: int) -> str:
    text = query("retention/archive_holder").replace(":xid", str(xid))
    row = connection.execute(text.encode()).fetchone()
    return f" (pid {row[0]})" if row else ""
