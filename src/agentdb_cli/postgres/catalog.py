"""What a database holds, as comparable definitions: snapshots and their differences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

KINDS = (
    "table",
    "view",
    "column",
    "index",
    "constraint",
    "policy",
    "sequence",
    "type",
    "function",
    "trigger",
)
_OF_A_TABLE = frozenset({"view", "column", "index", "constraint", "policy", "trigger"})


class Key(NamedTuple):
    """What identifies an object: its kind, schema and name.

    The schema is `""` for objects of the home schema, so that a database whose
    objects live in another schema can be compared.
    """

    kind: str
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


Catalog = Mapping[Key, str]
"""Every object of a database with its definition."""


class Change(StrEnum):
    """How an object differs from what was expected."""

    missing = "missing"
    extra = "extra"
    different = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that is not as expected; `None` for a definition that is not there."""

    change: Change
    key: Key
    expected: str | None
    actual: str | None


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    schema: str
    name: str
    definition: str
    extension: str | None


def snapshot(
    connection: Connection,
    home: str = "public",
    *,
    ignore: Iterable[str] = (),
    without: Collection[str] = (),
) -> Catalog:
    """All objects that are neither PostgreSQL's own nor an extension's.

    Args:
        connection: in autocommit mode; a short read-only transaction is used.
        home: the schema whose objects are named without it.
        ignore: tables to leave out, as `schema.table` (tracking tables).
        without: extensions; columns and indexes that cannot be without one
            of them are left out.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(_Object)) as cursor:
        cursor.execute(
            "SELECT set_config('search_path', concat_ws(', ', quote_ident(%s), ("
            " SELECT string_agg(DISTINCT quote_ident(nspname), ', ')"
            " FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace)), true)",
            (home,),
        )
        found = cursor.execute(query("catalog/objects").encode()).fetchall()
    left_out = {tuple(name.split(".", 1)) for name in ignore}
    return {
        Key(o.kind, "" if o.schema == home else o.schema, o.name): o.definition
        for o in found
        if (o.schema, o.name.split(".")[0]) not in left_out and o.extension not in without
    }


def compare(expected: Catalog, actual: Catalog) -> tuple[Difference, ...]:
    """What is missing from, extra in, or different in `actual`, by kind and name.

    What belongs to a missing or extra table is not listed on its own.
    """
    differences = [
        *(
            Difference(Change.missing, k, expected[k], None)
            for k in expected.keys() - actual.keys()
        ),
        *(Difference(Change.extra, k, None, actual[k]) for k in actual.keys() - expected.keys()),
        *(
            Difference(Change.different, k, expected[k], actual[k])
            for k in expected.keys() & actual.keys()
            if expected[k] != actual[k]
        ),
    ]
    whole = {
        (d.key.schema, d.key.name)
        for d in differences
        if d.key.kind == "table" and d.change is not Change.different
    }
    shown = [
        d
        for d in differences
        if d.key.kind not in _OF_A_TABLE or (d.key.schema, d.key.name.split(".")[0]) not in whole
    ]
    return tuple(sorted(shown, key=lambda d: (KINDS.index(d.key.kind), d.key)))
