"""Names for advisory locks of two integers, from `[advisory_locks]` of a pack or agentdb.toml.

    [advisory_locks]
    namespaces = { 1 = "schedule" }

    [advisory_locks.names.schedule]
    table = "schedule.scheduled_actions"
    key = "id"
    name_column = "name"

The first integer is the namespace; the second is the key of a row of its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg

from agentdb_cli.monitoring.looking import Table
from agentdb_cli.postgres.lost import is_lost
from agentdb_cli.postgres.quoting import identifier

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

_COLUMNS = ("database", "namespace", "namespace_name", "action", "action_name")
_NEEDED = ("table", "key", "name_column")


def named(
    connection: Connection, table: Table, catalog: Mapping[str, Any]
) -> tuple[Table, tuple[str, ...]]:
    """`table` with its columns namespace_name and action_name filled where that is known.

    Args:
        table: has the columns database, namespace, namespace_name, action and
            action_name; locks of other databases keep what they have.
        catalog: the content of `[advisory_locks]`.

    Returns:
        The table, and for each namespace whose names could not be read a
        sentence that says why.
    """
    missing = [column for column in _COLUMNS if column not in table.columns]
    if missing:
        return table, (f"names for advisory locks want the columns {', '.join(missing)} as well",)
    titles = catalog.get("namespaces", {})
    rows = table.dicts()
    actions: dict[str, set[int]] = {}
    for row in rows:
        title = titles.get(str(row["namespace"]))
        if title is not None and row["database"] == connection.info.dbname:
            row["namespace_name"] = title
            actions.setdefault(title, set()).add(int(str(row["action"])))
    problems = []
    for title, keys in actions.items():
        if title not in catalog.get("names", {}):
            continue
        found = _read(connection, title, catalog["names"][title], keys)
        if isinstance(found, str):
            problems.append(found)
            continue
        for row in rows:
            if row["namespace_name"] == title and row["database"] == connection.info.dbname:
                row["action_name"] = found.get(row["action"])
    filled = tuple(tuple(row[column] for column in table.columns) for row in rows)
    return replace(table, rows=filled), tuple(problems)


def _read(
    connection: Connection, title: str, source: Mapping[str, str], keys: Iterable[int]
) -> dict[object, object] | str:
    """The names of `keys`, or why they could not be read."""
    missing = [name for name in _NEEDED if name not in source]
    if missing:
        return f"[advisory_locks.names.{title}] has no {', '.join(missing)}: no names of actions"
    key_column, name_column = identifier(source["key"]), identifier(source["name_column"])
    table = ".".join(identifier(part) for part in source["table"].split("."))
    query = (
        f"SELECT {key_column}, {name_column}::text FROM {table}"  # noqa: S608
        f" WHERE {key_column} = ANY(%s::bigint[])"
    )
    try:
        with connection.transaction():
            # Whoever looks at locks must not wait for one: names are an extra.
            connection.execute("SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '200ms'")
            cursor = connection.execute(query.encode(), (list(keys),))
            return {row[0]: row[1] for row in cursor}
    except psycopg.Error as error:
        if is_lost(connection, error):
            raise
        return (
            f"no names of the actions of '{title}' from {source['table']}: "
            f"{error.diag.message_primary}"
        )
