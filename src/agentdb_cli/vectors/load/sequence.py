"""The sequence that makes a table's keys: loaded keys do not move it on."""

from __future__ import annotations

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import literal
from agentdb_cli.vectors.collections import Located


def behind(connection: Connection, located: Located) -> str | None:
    """What to say if the application's next key would be one that is there, or None."""
    key = located.columns[located.collection.key]
    if not key.has_default or not key.base.startswith("int"):
        return None
    try:
        name = _value(
            connection,
            "SELECT pg_catalog.pg_get_serial_sequence(%s, %s)",
            (located.quoted, key.name),
        )
        if name is None:
            return None
        last = _value(connection, f"SELECT last_value FROM {name}")  # noqa: S608  (quoted by it)
        most = _value(connection, f"SELECT max({key.quoted}) FROM {located.quoted}")  # noqa: S608
    except psycopg.errors.InsufficientPrivilege:
        return None
    if not isinstance(last, int) or not isinstance(most, int) or last >= most:
        return None
    return (
        f"{name} stands at {last:,}, and the largest key is {most:,}: the application's own rows"
        f" would get keys that are taken; SELECT setval({literal(str(name))}, {most}) moves it on"
    )


def _value(connection: Connection, text: str, values: tuple[str, ...] | None = None) -> object:
    row = connection.execute(text.encode(), values).fetchone()
    return None if row is None else row[0]
