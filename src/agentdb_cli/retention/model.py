"""What a new partition is made after, and what to heed when rows move into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.retention.partitions import Partition


@dataclass(frozen=True, slots=True)
class Model:
    """What a new partition is given besides what its parent has, after its newest sibling.

    Attributes:
        own: what the sibling has for itself, which is not carried over.
    """

    unlogged: bool = False
    access_method: str | None = None
    tablespace: str | None = None
    options: Sequence[str] = ()
    row_security: bool = False
    forced: bool = False
    replica_identity: str = "d"
    identity_index: int | None = None
    grants: Sequence[str] = ()
    own: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The default partition as the place that rows move from.

    Attributes:
        columns: quoted, without generated ones, which come out the same.
        triggers: quoted names of what fires on DELETE, behind a letter for how it is enabled.
        problem: why no rows can be moved out of it, or None.
    """

    quoted: str
    columns: Sequence[str]
    triggers: Sequence[str]
    problem: str | None


def model_of(connection: Connection, sibling: Partition | None) -> Model:
    """What new partitions are given after a sibling; nothing of their own without one."""
    if sibling is None:
        return Model()
    row = _one(connection, "retention/upkeep_sibling", sibling.oid)
    return Model(**row)


def source_of(connection: Connection, default: Partition | None) -> Source | None:
    """The default partition as the place that rows move from, or None without one."""
    if default is None:
        return None
    row = _one(connection, "retention/upkeep_columns", default.oid)
    return Source(default.quoted, row["columns"], row["triggers"], _immovable(default, row))


def _immovable(default: Partition, row: dict[str, Any]) -> str | None:
    """Why no rows can be moved out of the default partition."""
    if row["kind"] != "r":
        return f"{default.name} is a foreign table, whose rows are not moved"
    if row["referring"]:
        return (
            f"foreign keys of {_list(row['referring'])} refer to its rows, and moving them out of"
            f" {default.name} would count as deleting them"
        )
    if row["rules"]:
        return f"{default.name} has rules, which would rewrite the move: {_list(row['rules'])}"
    if row["row_security"]:
        return f"row-level security hides rows of {default.name} from its owner"
    return None


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _one(connection: Connection, name: str, oid: int) -> dict[str, Any]:
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        row = cursor.execute(query(name).encode(), (oid,)).fetchone()
    assert row is not None
    return row
