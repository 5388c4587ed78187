"""What is known of the rows before a search: how many there are, and how many fulfil the filter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import doubled
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.nearest import Condition
from agentdb_cli.vectors.search.choice import Facts, worth_counting


@dataclass(frozen=True, slots=True)
class Table:
    """What a search has to know of a table beside its columns.

    Attributes:
        row_security: whether policies hide rows from this role.
        gin: its columns in a GIN index.
        generated: the expression that its tsvector column is generated from, or None.
        default_config: the session's default_text_search_config.
    """

    row_security: bool
    gin: tuple[str, ...]
    generated: str | None
    default_config: str


def table(connection: Connection, located: Located) -> Table:
    """Ask the catalog."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(
            query("vectors/search_table").encode(), (located.oid, located.collection.tsvector)
        )
        row = cursor.fetchone()
    assert row is not None
    return Table(row["row_security"], tuple(row["gin"]), row["generated"], row["default_config"])


def facts(
    connection: Connection,
    located: Located,
    where: Condition | None,
    *,
    limit: int,
    dimensions: int,
    row_security: bool,
    conditions: int,
) -> Facts:
    """Estimate how many rows there are, and how many a search may find.

    The planner's estimate is taken where it can be trusted. It cannot for a table that was never
    analysed, for several conditions (it takes columns to be independent), for keys within json and
    for policies: then the rows are counted, but no further than an exact search would be the
    quicker one.

    Args:
        conditions: how many the filter has; those within json count twice.
    """
    filtered = where is not None or row_security or located.kind == "v"
    plan = _plan(connection, located, where)
    matching = float(plan["Plan Rows"])
    whole = any(node["Node Type"] == "Seq Scan" for node in nodes(plan))
    rows = matching
    if filtered:
        known = located.rows
        rows = float(known) if known else float(_plan(connection, located, None)["Plan Rows"])
        rows = max(rows, matching)
    counted = False
    sure = located.rows is not None and conditions <= 1 and not row_security
    if filtered and not (sure and located.kind != "v"):
        bound = worth_counting(rows, limit, dimensions)
        found = _count(connection, located, where, bound + 1)
        counted = found <= bound
        matching = float(found) if counted else max(matching, float(found))
    return Facts(rows, matching, counted, filtered, whole and filtered, dimensions, limit)


def _from(located: Located, where: Condition | None) -> str:
    relation = doubled(located.quoted)
    embedding = doubled(located.embedding.quoted)
    return f"FROM {relation} WHERE {embedding} IS NOT NULL" + (
        f" AND ({where.sql})" if where else ""
    )


def _plan(connection: Connection, located: Located, where: Condition | None) -> Mapping[str, Any]:
    text = f"EXPLAIN (FORMAT JSON) SELECT {_from(located, where)}"
    row = connection.execute(text.encode(), where.parameters if where else {}).fetchone()
    assert row is not None
    plan: Any = row[0]
    found: Mapping[str, Any] = plan[0]["Plan"]
    return found


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def _count(connection: Connection, located: Located, where: Condition | None, most: int) -> int:
    text = (
        f"SELECT pg_catalog.count(*) FROM (SELECT {_from(located, where)}"  # noqa: S608
        f" LIMIT {most}) AS found"
    )
    row = connection.execute(text.encode(), where.parameters if where else {}).fetchone()
    assert row is not None
    return int(str(row[0]))
