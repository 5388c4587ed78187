"""The database that a backup is restored into: is it empty, who uses it, and how it is marked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql

from agentdb_cli.backups.manifest import Table
from agentdb_cli.backups.source import system_identifier
from agentdb_cli.errors import AgentdbError, DatabaseMissing
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query
from agentdb_cli.postgres.quoting import identifier

Open = Callable[[str], Connection]
"""Opens a connection to a database of the target's server, by name."""

_OTHER_DATABASES = ("postgres", "template1")
_MARK = "agentdb restore:"
_ENCODING = re.compile(r"ENCODING = '[^']*'")


@dataclass(frozen=True, slots=True)
class State:
    """A database as it is before a restore.

    Attributes:
        exists: whether there is one of that name; otherwise nothing else is known.
        objects: how many objects it holds, by kind; extensions do not count.
        comment: its comment.
        system_identifier: of its server; None where this role may not ask.
        sessions: the others that are connected to it, as `pid 12 (psql, app@10.0.0.7)`.
    """

    exists: bool
    objects: Mapping[str, int]
    comment: str | None
    system_identifier: str | None
    sessions: tuple[str, ...]

    @property
    def held(self) -> str:
        """`3 tables, 1 function`."""
        return ", ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in self.objects.items() if n)


def look(open_: Open, database: str) -> State:
    """Look at a database, which need not exist."""
    try:
        connection = open_(database)
    except DatabaseMissing:
        return State(False, {}, None, None, ())
    with connection:
        text = for_server(
            query("backups/restore_objects"), connection.info.server_version // 10_000
        )
        objects = cast(list[tuple[str, int]], connection.execute(text.encode()).fetchall())
        row = connection.execute(query("backups/restore_database").encode()).fetchone()
        sessions = connection.execute(query("backups/restore_sessions").encode()).fetchall()
        comment = cast(str | None, row[0]) if row else None
        return State(
            True,
            dict(objects),
            comment,
            system_identifier(connection),
            tuple(str(s) for (s,) in sessions),
        )


def create(open_: Open, database: str, locale: str) -> str | None:
    """Create a database for a restore: out of template0, so that nothing is in it.

    Args:
        locale: encoding and locale, as CREATE DATABASE takes them.

    Returns:
        Why it has the server's own locale instead, or None.

    Raises:
        AgentdbError: the role may not.
    """
    with beside(open_, database) as server:
        return _create(server, database, locale, None)


def recreate(open_: Open, database: str, locale: str) -> str | None:
    """Drop a database and create it anew, for the same owner; otherwise as `create`.

    Raises:
        AgentdbError: somebody is connected to it, or the role may not.
    """
    with beside(open_, database) as server:
        row = server.execute(
            "SELECT pg_catalog.pg_get_userbyid(datdba)::text FROM pg_catalog.pg_database"
            " WHERE datname = %s",
            (database,),
        ).fetchone()
        try:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(database)))
        except psycopg.errors.ObjectInUse:
            raise AgentdbError(
                f"the database {database} is in use; nothing was changed",
                hint="stop what uses it: agentdb inspect activity shows who",
            ) from None
        except psycopg.errors.InsufficientPrivilege:
            raise AgentdbError(
                f"the role '{server.info.user}' may not drop the database {database}",
                hint="connect as its owner",
            ) from None
        return _create(server, database, locale, str(row[0]) if row else None)


def _create(server: Connection, database: str, locale: str, owner: str | None) -> str | None:
    statement = f"CREATE DATABASE {identifier(database)} TEMPLATE template0 "
    if owner is not None and owner != server.info.user:
        statement += f"OWNER {identifier(owner)} "
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.DuplicateDatabase)
    try:
        try:
            server.execute((statement + locale).encode())
        except refused:
            raise
        except psycopg.DatabaseError as error:
            if server.closed:
                raise
            encoding = _ENCODING.search(locale)
            server.execute((statement + (encoding[0] if encoding else "")).encode())
            return error.diag.message_primary or str(error)
    except psycopg.errors.InsufficientPrivilege:
        raise AgentdbError(
            f"the role '{server.info.user}' may not create the database {database}",
            hint=f"ALTER ROLE {server.info.user} CREATEDB; or create it by hand and restore again",
        ) from None
    return None


def beside(open_: Open, database: str) -> AbstractContextManager[Connection]:
    """A connection to another database of the same server."""
    for name in _OTHER_DATABASES:
        if name != database:
            try:
                return open_(name)
            except DatabaseMissing:
                continue
    raise AgentdbError(
        f"the server has no database but {database} to connect to", hint="CREATE DATABASE postgres;"
    )


def comment(connection: Connection, text: str | None) -> bool:
    """Write what a database is into its comment, where psql and other tools show it.

    Returns:
        False if the role may not.
    """
    statement = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(connection.info.dbname), text
    )
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


def incomplete(backup: str) -> str:
    """The comment of a database while it is restored, and if that fails."""
    return f"{_MARK} {backup} is not completely restored; do not use this database"


def different(backup: str) -> str:
    """The comment of a database that is not as its backup says."""
    return f"{_MARK} this database differs from its backup {backup}"


def is_incomplete(state: State) -> bool:
    """Whether a restore has left it as it is."""
    return (state.comment or "").startswith(_MARK)


def check_for_rows(connection: Connection, tables: Sequence[Table]) -> None:
    """Refuse a restore of rows alone where tables are missing or hold some.

    Raises:
        AgentdbError: they do, or the role may not switch off their triggers.
    """
    row = connection.execute(
        "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ).fetchone()
    if row is None or not row[0]:
        raise AgentdbError(
            "--data-only switches off triggers and foreign keys while it loads, which only a "
            "superuser may",
            hint="connect as a superuser, or restore everything into a new database",
        )
    for table in tables:
        name = f"{table.schema}.{table.name}"
        statement = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
            sql.Identifier(table.schema, table.name)
        )
        try:
            row = connection.execute(statement).fetchone()
        except psycopg.errors.UndefinedTable:
            raise AgentdbError(f"the database has no table {name} to load rows into") from None
        if row is None or row[0]:
            raise AgentdbError(
                f"the table {name} holds rows already; nothing was changed",
                hint="--data-only loads into empty tables alone",
            )
