"""The tracking table: what has been applied, by whom, and from which file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

import psycopg
from psycopg import sql

from agentdb_cli import __version__
from agentdb_cli.errors import MigrationError, SettingsError
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.settings import DEFAULT_HISTORY_TABLE, Settings
from agentdb_cli.settings.keys import Scalar

LOCAL_PACK = "local"
"""The pack of files that come from a directory of the user's own."""


UNDOING = "undoing "
"""Stands before the checksum of a migration of which some statements have been undone."""


class Table(NamedTuple):
    """The name of a tracking table."""

    schema: str
    name: str

    @classmethod
    def of(cls, text: str) -> Table:
        """From `schema.table`, or `table` in schema public.

        Raises:
            SettingsError: it is not such a name.
        """
        match = re.fullmatch(r"(?:([^.\"]+)\.)?([^.\"]+)", text)
        if match is None:
            raise SettingsError(
                f"migrations.table must be schema.table, not {text!r}",
                hint='for example table = "public.agentdb_migrations"',
            )
        return cls(match[1] or "public", match[2])

    @classmethod
    def in_force(cls, settings: Settings) -> Table:
        """The one that settings name: with `--schema` the default one lies there, too.

        Raises:
            SettingsError: `migrations.table` is no table's name.
        """
        table = cls.of(settings.migrations.table)
        if settings.schema is not None and settings.migrations.table == DEFAULT_HISTORY_TABLE:
            return cls(settings.schema, table.name)
        return table

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def unfinished(self) -> Table:
        """The table beside it, of migrations that are not done yet."""
        return Table(self.schema, f"{self.name}_unfinished")

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


class Applied(NamedTuple):
    """A migration that the tracking table has a row for."""

    version: int
    name: str
    checksum: str
    variables: Mapping[str, Scalar]

    @property
    def label(self) -> str:
        """How messages call it when there is no file: `003_add_users`."""
        return f"{self.version:03d}_{self.name}"


class Details(NamedTuple):
    """The circumstances under which a migration was applied."""

    version: int
    applied_at: datetime
    duration: timedelta
    applied_by: str
    tool_version: str


def read(connection: Connection, table: Table, pack: str) -> tuple[Applied, ...]:
    """What has been applied of a pack, by version; nothing if there is no table.

    Raises:
        MigrationError: the role may not read the table, or it is another
            tool's table of the same name.
    """
    try:
        rows = connection.execute(statement("history/read", table, pack)).fetchall()
    except psycopg.errors.UndefinedTable:
        return ()
    except psycopg.errors.UndefinedColumn:
        raise MigrationError(
            f"{table} is not a tracking table of agentdb",
            hint="choose another name: table in [migrations] of agentdb.toml",
        ) from None
    except psycopg.errors.InsufficientPrivilege:
        raise MigrationError(
            f"the role '{connection.info.user}' may not read {table}",
            hint=f"GRANT SELECT, INSERT ON {table} TO {connection.info.user};",
        ) from None
    return tuple(
        Applied(version, name, checksum, {} if variables == "{}" else json.loads(variables))
        for version, name, checksum, variables in cast(list[tuple[int, str, str, str]], rows)
    )


def packs(connection: Connection, table: Table) -> tuple[str, ...]:
    """The names of the packs that have been applied; none without a table, or a right to it."""
    try:
        rows = connection.execute(statement("history/packs", table)).fetchall()
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InsufficientPrivilege,
    ):
        return ()
    return tuple(str(name) for (name,) in rows)


def details(connection: Connection, table: Table, pack: str) -> dict[int, Details]:
    """The circumstances of each applied migration of a pack, by version.

    To be called when `read` has found some.
    """
    rows = connection.execute(statement("history/details", table, pack)).fetchall()
    return {int(row[0]): Details(*row) for row in cast(list[tuple[Any, ...]], rows)}


def create(connection: Connection, table: Table) -> bool:
    """Create the tracking table, and its schema, if they are missing.

    Returns:
        Whether there is a table of unfinished migrations beside it.

    Raises:
        MigrationError: the role may not, or the server is read-only.
    """
    exists = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL, to_regnamespace(%s) IS NOT NULL,"
        " to_regclass(%s) IS NOT NULL",
        (table.quoted, identifier(table.schema), table.unfinished.quoted),
    ).fetchone()
    table_exists, schema_exists, unfinished = cast(tuple[bool, bool, bool], exists)
    if not table_exists:
        _create(connection, table, schema_exists=schema_exists)
    return unfinished


def _create(connection: Connection, table: Table, *, schema_exists: bool) -> None:
    try:
        with connection.transaction():
            if not schema_exists:
                schema = sql.Identifier(table.schema)
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            connection.execute(statement("history/create", table))
    except psycopg.errors.InsufficientPrivilege:
        user = connection.info.user
        raise MigrationError(
            f"the role '{user}' may not create the tracking table {table}",
            hint=f"GRANT CREATE ON SCHEMA {table.schema} TO {user}; "
            "or choose another schema: table in [migrations] of agentdb.toml",
        ) from None
    except psycopg.errors.ReadOnlySqlTransaction:
        raise MigrationError(
            "the server is read-only (a replica, or default_transaction_read_only is on)",
            hint="connect to the primary",
        ) from None


def insertion(
    table: Table,
    pack: str,
    file: MigrationFile,
    variables: Mapping[str, Scalar],
    *,
    begun: str = "transaction_timestamp()",
) -> str:
    """The INSERT that records a file, to be sent in the file's own transaction.

    Args:
        begun: SQL for the moment from which its duration runs; else the BEGIN
            of that transaction.
    """
    values = (
        literal(pack),
        str(file.version),
        literal(file.name),
        literal(file.checksum),
        f"clock_timestamp() - {begun}",
        literal(__version__),
        literal(json.dumps(dict(variables))),
    )
    return (  # every part is quoted above
        f"INSERT INTO {table.quoted} "  # noqa: S608
        "(pack, version, name, checksum, duration, tool_version, variables) "
        f"VALUES ({', '.join(values)})"
    )


def deletion(table: Table, pack: str, version: int) -> str:
    """The DELETE that takes a record back, to be sent in the transaction that undoes it."""
    # Every part is quoted.
    return f"DELETE FROM {table.quoted} WHERE pack = {literal(pack)} AND version = {version}"  # noqa: S608


@lru_cache
def statement(name: str, table: Table, pack: str = "") -> Any:
    """A query of `sql/history/` with its variables filled in.

    Without the lexer of migration files: these are ours, and the run that has
    nothing to do should not pay for it.
    """
    text = query(name).replace(':"schema"', identifier(table.schema))
    return text.replace(':"table"', identifier(table.name)).replace(":'pack'", literal(pack))
