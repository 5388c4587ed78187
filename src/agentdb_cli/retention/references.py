"""Foreign keys: what deleting the rows of a table does to those of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key that refers to a table.

    Attributes:
        child: the referring table, `schema.table`; `quoted` is its name as SQL.
        on_delete: what happens to its rows: cascade, set null, set default,
            restrict or no action.
        columns: the referring columns, in the order of `referenced`.
        indexed: whether an index of the child finds the referring rows.
        to_itself: whether the table refers to itself.
    """

    name: str
    child: str
    child_oid: int
    quoted: str
    on_delete: str
    columns: tuple[str, ...]
    referenced: tuple[str, ...]
    indexed: bool
    to_itself: bool

    @property
    def holds(self) -> bool:
        """Whether a referring row keeps the row that it refers to from being deleted."""
        return self.on_delete in ("restrict", "no action")

    @property
    def label(self) -> str:
        """`schema.table (column, …)`."""
        return f"{self.child} ({', '.join(self.columns)})"

    def matches(self, child: str, parent: str) -> str:
        """SQL: whether a row of the child, by its alias, refers to one of the parent."""
        return " AND ".join(
            f"{child}.{identifier(own)} = {parent}.{identifier(other)}"
            for own, other in zip(self.columns, self.referenced, strict=True)
        )


def references(connection: Connection, oids: Sequence[int]) -> dict[int, tuple[Reference, ...]]:
    """The foreign keys that refer to tables, by the tables' oids."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        rows = cursor.execute(query("retention/references").encode(), (list(oids),)).fetchall()
    return {oid: tuple(_reference(row) for row in rows if row["oid"] == oid) for oid in oids}


def _reference(row: dict[str, Any]) -> Reference:
    return Reference(
        name=row["name"],
        child=row["child"],
        child_oid=row["child_oid"],
        quoted=row["quoted"],
        on_delete=row["on_delete"],
        columns=tuple(row["columns"]),
        referenced=tuple(row["referenced"]),
        indexed=row["indexed"],
        to_itself=row["to_itself"],
    )
