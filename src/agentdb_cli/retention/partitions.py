"""The partitions of a table that is partitioned by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query
from agentdb_cli.postgres.quoting import Qualified
from agentdb_cli.retention.targets import Target


@dataclass(frozen=True, slots=True)
class Partition(Qualified):
    """A partition of a table that is partitioned by time.

    Attributes:
        lower: where its range begins, as text of the time column's type; None
            if open.
        upper: where its range ends (exclusive).
        is_default: whether it takes what fits no other.
        detach_pending: whether a DETACH CONCURRENTLY was broken off.
        rows: by the server's statistics.
    """

    oid: int
    schema: str
    relation: str
    kind: str
    is_default: bool
    lower: str | None
    upper: str | None
    detach_pending: bool
    rows: int
    comment: str
    bytes: int


def partitions(connection: Connection, oid: int) -> tuple[Partition, ...]:
    """The partitions of a table, by their lower bound."""
    major = connection.info.server_version // 10_000
    text = for_server(query("retention/partitions"), major)
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        rows = cursor.execute(text.encode(), (oid,)).fetchall()
    return tuple(Partition(**row) for row in rows)


def by_cutoff(
    connection: Connection, target: Target, found: Sequence[Partition]
) -> tuple[tuple[Partition, ...], tuple[Partition, ...]]:
    """Partitions that lie before the cutoff as a whole, and those that hold rows on both sides.

    The default partition is one of the latter.
    """
    row = connection.execute(
        f"SELECT array_agg(upper::{target.type} <= {target.cutoff_sql} ORDER BY place),"  # noqa: S608
        f" array_agg(lower::{target.type} >= {target.cutoff_sql} ORDER BY place)"
        " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS u (lower, upper, place)",
        ([p.lower for p in found], [p.upper for p in found]),
    ).fetchone()
    assert row is not None
    before, after = (list(flags or []) for flags in row)  # type: ignore[call-overload]
    past = tuple(p for p, gone in zip(found, before, strict=True) if gone)
    straddling = tuple(
        p for p, gone, later in zip(found, before, after, strict=True) if not gone and not later
    )
    return past, straddling


def leaves(connection: Connection, oid: int) -> list[tuple[str, int]]:
    """The tables that hold the rows of a table or partition: as SQL, and their oids."""
    found = connection.execute(
        "SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.oid::bigint"
        " FROM (SELECT relid FROM pg_catalog.pg_partition_tree(%s::bigint::oid::regclass)"
        "       WHERE isleaf) AS leaf"
        " JOIN pg_catalog.pg_class AS c ON c.oid = leaf.relid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' ORDER BY c.relname",
        (oid,),
    ).fetchall()
    return [(str(name), int(str(leaf))) for name, leaf in found]
