"""The relations that pending migrations name, in the live database."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from agentdb_cli.migrations.lint.reader import Name
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier

_MEASURED = "pg_catalog.pg_total_relation_size(c.oid)"
_ESTIMATED = "c.relpages * pg_catalog.current_setting('block_size')::bigint"  # takes no lock


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation; of a partitioned table, or one with heirs, all of them together.

    Attributes:
        wanted: the quoted name by which it was asked for.
        name: `schema.relation`.
        kind: pg_class.relkind.
        rows: the planner's estimate; None if it was never analysed.
        size: bytes with indexes and TOAST.
        children: how many partitions or heirs it has.
        table_of_index: quoted.
        referenced: quoted names of the tables that its foreign keys refer to.
        referencing: quoted names of the tables that refer to it.
        foreign_keys: constraint and quoted name of the table that it refers to.
        columns: name and type.
        triggers: whether it has triggers of the user's own.
    """

    wanted: str
    oid: int
    name: str
    kind: str
    rows: int | None
    size: int
    children: int
    table_of_index: str | None
    referenced: list[str]
    referencing: list[str]
    foreign_keys: dict[str, str]
    columns: dict[str, str]
    triggers: bool


def quoted(name: Name) -> str:
    """A name as SQL."""
    return ".".join(identifier(part) for part in name)


def look_up(connection: Connection, names: Collection[str], home: str) -> Mapping[str, Relation]:
    """The relations among some quoted names, by name; and those that hang on them.

    Args:
        home: the schema of names without one.
    """
    found = _read(connection, names, home)
    more = {
        other
        for relation in found.values()
        for other in (
            *relation.referenced,
            *relation.referencing,
            *([relation.table_of_index] if relation.table_of_index else []),
        )
    }
    if left := more - found.keys():
        found |= _read(connection, left, home)
    return found


def functions(connection: Connection, names: Collection[str]) -> frozenset[str]:
    """Those of the names that are functions which may do anything."""
    if not names:
        return frozenset()
    rows = connection.execute(
        query("migrations/functions").encode(), {"names": sorted(names)}
    ).fetchall()
    return frozenset(str(row[0]) for row in rows)


def _read(connection: Connection, names: Collection[str], home: str) -> dict[str, Relation]:
    try:
        return _sized(connection, names, home, _MEASURED)
    except psycopg.errors.LockNotAvailable:
        return _sized(connection, names, home, _ESTIMATED)


def _sized(
    connection: Connection, names: Collection[str], home: str, size: str
) -> dict[str, Relation]:
    # A database's name in front makes to_regclass fail rather than find nothing.
    plain = sorted(name for name in names if name.count('"."') < 2)
    statement = query("migrations/relations").replace(":size", size, 2).encode()
    with connection.transaction(), connection.cursor(row_factory=class_row(Relation)) as cursor:
        cursor.execute(
            "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ',"
            " pg_catalog.quote_ident(%s), pg_catalog.current_setting('search_path')), true)",
            (home,),
        )
        return {r.wanted: r for r in cursor.execute(statement, {"names": plain}).fetchall()}
