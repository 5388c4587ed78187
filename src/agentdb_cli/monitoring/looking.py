"""Running an inspection: in a read-only transaction, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import errors

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.monitoring.inspections import Inspection
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.lost import is_lost

LONGEST = 60
"""Seconds until a query is cancelled, unless the user has set a statement_timeout.

The slowest of ours, an exact measurement, reads whole tables; the others take
well under a second with some thousand tables.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """What a query returned: the rows up to the limit, and how many there are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    total: int

    def dicts(self) -> list[dict[str, object]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def run(
    connection: Connection,
    inspection: Inspection,
    *,
    sort: str | None = None,
    limit: int | None = None,
) -> Table:
    """Run an inspection in a read-only transaction.

    Args:
        sort: a column, with `desc` behind it for descending; the
            inspection's own order by default.
        limit: the most rows to return; all by default.

    Raises:
        AgentdbError: the server is too old for it or lacks the extension,
            refuses the query or cancels it, or there is no such column.
    """
    major = connection.info.server_version // 10_000
    if major < inspection.minimum:
        raise AgentdbError(
            f"{inspection.name} needs PostgreSQL {inspection.minimum}, this server is {major}"
        )
    if inspection.extension and not _has_extension(connection, inspection.extension):
        raise AgentdbError(
            f"{inspection.name} needs the extension {inspection.extension} in this database",
            hint=f"CREATE EXTENSION {inspection.extension}; it must be installed on the server",
        )
    query = inspection.query(major)
    try:
        with connection.transaction():
            connection.execute(_BEGIN.encode())
            cursor = connection.execute(query.encode())
            while cursor.nextset():
                pass
            columns = tuple(column.name for column in cursor.description or ())
            rows = cursor.fetchall() if columns else []
    except psycopg.Error as error:
        if is_lost(connection, error):
            raise
        raise _failure(inspection, query, error) from None
    if not columns:
        raise AgentdbError(f"{inspection.path} returns no rows: it must end in a SELECT")
    ordered = _sorted(columns, rows, sort) if sort else rows
    return Table(columns, tuple(ordered[:limit]), len(rows))


# Catalog queries are over before their compilation would pay. The SELECT comes last: after
# it, the transaction cannot be made READ WRITE any more.
_BEGIN = f"""
SET TRANSACTION READ ONLY; SET LOCAL jit = off;
SELECT pg_catalog.set_config('statement_timeout', '{LONGEST}s', true)
WHERE pg_catalog.current_setting('statement_timeout') = '0'
"""


def _failure(inspection: Inspection, query: str, error: psycopg.Error) -> AgentdbError:
    said = error.diag.message_primary or str(error)
    if isinstance(error, errors.QueryCanceled):
        return AgentdbError(
            f"{inspection.name}: {said}",
            hint="statement_timeout under [connection] in agentdb.toml sets how long it may run; "
            f"without, {LONGEST} s",
        )
    place = str(inspection.path)
    position = error.diag.statement_position
    # Without the lines of other server versions, the numbers are not the file's.
    if position and len(query.splitlines()) == len(inspection.text.splitlines()):
        place += f", line {query.count(chr(10), 0, int(position) - 1) + 1}"
    return AgentdbError(f"{place}: {said} ({error.sqlstate})", hint=error.diag.message_hint)


def hidden_without(connection: Connection, inspection: Inspection) -> str | None:
    """A sentence on what stays hidden from this role, or None if nothing does."""
    if inspection.role is None:
        return None
    row = connection.execute(
        "SELECT pg_has_role(current_user, %s, 'USAGE')", (inspection.role,)
    ).fetchone()
    if row is None or row[0]:
        return None
    user = connection.info.user
    return (
        f"{user} sees only its own part of this: GRANT {inspection.role} TO {user} shows the rest"
    )


def _has_extension(connection: Connection, name: str) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_extension WHERE extname = %s", (name,)
    ).fetchone()
    return row is not None and bool(row[0])


def _sorted(
    columns: tuple[str, ...], rows: list[tuple[object, ...]], sort: str
) -> list[tuple[object, ...]]:
    name, _, direction = sort.strip().partition(" ")
    if name not in columns:
        raise AgentdbError(
            f"there is no column '{name}'{nearest(name, columns)}",
            hint=f"columns: {', '.join(columns)}",
        )
    place = columns.index(name)
    known = [row for row in rows if row[place] is not None]
    unknown = [row for row in rows if row[place] is None]
    known.sort(key=lambda row: row[place], reverse=direction.strip() == "desc")  # type: ignore[arg-type,return-value]
    return known + unknown
