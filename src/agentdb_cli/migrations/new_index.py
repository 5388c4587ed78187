"""Indexes that are built CONCURRENTLY: whether they are there, valid, and what was asked for."""

from __future__ import annotations

from typing import NamedTuple, cast

import psycopg

from agentdb_cli.migrations.alone import NewIndex
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query


class Found(NamedTuple):
    """What has the name of an index.

    Attributes:
        qualified: the name with its schema, as SQL.
        found: whether anything has it.
        own: whether that is an index of the table in question.
        valid: whether that index is complete.
        definition: of that index.
    """

    qualified: str
    found: bool
    own: bool
    valid: bool
    definition: str | None


def find(connection: Connection, wanted: NewIndex) -> Found | None:
    """What has the name of the wanted index; None if its table does not exist."""
    row = connection.execute(
        query("history/new_index").encode(), {"name": wanted.name, "table": wanted.table}
    ).fetchone()
    return Found(*cast(tuple[str, bool, bool, bool, str | None], row)) if row else None


def is_invalid(connection: Connection, qualified: str) -> bool:
    """Whether there is an index of that name that was never completed."""
    row = connection.execute(
        "SELECT NOT indisvalid FROM pg_catalog.pg_index"
        " WHERE indexrelid = pg_catalog.to_regclass(%s)",
        (qualified,),
    ).fetchone()
    return row is not None and bool(row[0])


def is_as_wanted(connection: Connection, wanted: NewIndex, there: Found) -> bool:
    """Whether an index has the wanted definition: a like one is built on an empty table."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                f'CREATE TEMPORARY TABLE "agentdb trial" (LIKE {wanted.table})'.encode()
            )
            connection.execute(
                f'{wanted.head} "agentdb trial index" ON pg_temp."agentdb trial" '
                f"{wanted.rest}".encode()
            )
            row = connection.execute(
                "SELECT pg_catalog.pg_get_indexdef("
                "'pg_temp.\"agentdb trial index\"'::pg_catalog.regclass)"
            ).fetchone()
    except psycopg.Error:
        if connection.closed:
            raise
        return False
    return row is not None and _essence(str(row[0])) == _essence(there.definition or "")


def _essence(definition: str) -> tuple[bool, str]:
    """Whether an index is unique, and all that follows the name of its table."""
    return definition.startswith("CREATE UNIQUE"), definition.partition(" USING ")[2]
