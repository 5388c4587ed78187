"""Which column of a table tells the age of its rows, where nobody has said so."""

from __future__ import annotations

from collections.abc import Sequence

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.discover import TIME_TYPES

_HAPPENED = (
    "timestamp", "occurred_at", "recorded_at", "logged_at", "event_time", "time", "ts",
)  # fmt: skip
_WRITTEN = ("created_at", "inserted_at")


def time_columns(connection: Connection, table: str) -> tuple[str, ...]:
    """The columns of a table that hold a time, in its order; none if there is no such table."""
    rows = connection.execute(
        "SELECT a.attname::text FROM pg_catalog.pg_attribute AS a"
        " WHERE a.attrelid = pg_catalog.to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped"
        " AND pg_catalog.format_type(a.atttypid, NULL) = ANY (%s) ORDER BY a.attnum",
        (table, list(TIME_TYPES)),
    ).fetchall()
    return tuple(str(name) for (name,) in rows)


def exists(connection: Connection, table: str) -> bool:
    """Whether there is a table, view … of a name."""
    row = connection.execute("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return row is not None and bool(row[0])


def sensible(columns: Sequence[str]) -> str | None:
    """The one column that a row's age is counted from; None if that is not clear.

    When something happened comes before when it was written down.
    """
    for names in (_HAPPENED, _WRITTEN):
        found = [column for column in columns if column in names]
        if found:
            return found[0] if len(found) == 1 else None
    return columns[0] if len(columns) == 1 else None
