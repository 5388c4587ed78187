"""The smallest setting that finds as much as is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from agentdb_cli.errors import AgentdbError
from agentdb_cli.packs import Collection
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.vectors import recall, truth
from agentdb_cli.vectors.build import definition
from agentdb_cli.vectors.collections import Located, locate
from agentdb_cli.vectors.indexes import Index
from agentdb_cli.vectors.recall import Point
from agentdb_cli.vectors.truth import Query, Tell

MOST_QUERIES, SECONDS = 4000, 60.0
"""Rows that are queries, and how long exact search may take for them, unless somebody names a
number. The interval has to be narrow, or the setting that is chosen is far larger than needed:
where a graph misses a query it often misses all of its rows, and of those that choose, 1,000 tell
a recall of 0.98 to 0.009 and 3,000 to 0.005."""

_CHECKING = 4
"""One query of so many has no part in the choice, and checks it."""

_FINE = 0.05
"""How near to the smallest setting the search goes: latency grows with it, not with its steps."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the search for a setting came to.

    Attributes:
        point: the smallest that reaches the target by the lower bound of its interval; without
            one, the one that found most.
        reached: whether it does.
        tried: all that were measured, ascending.
        check: the same setting on `checked` rows that had no part in choosing it.
    """

    point: Point
    reached: bool
    tried: tuple[Point, ...]
    check: Point
    checked: int


def choose(
    connection: Connection,
    located: Located,
    index: Index,
    queries: tuple[Query, ...],
    limit: int,
    target: float,
    tell: Tell,
) -> Choice:
    """Find the smallest setting whose recall reaches the target.

    Three quarters of the queries choose; the rest checks the choice.

    Args:
        target: recall from 0 to 1; the lower bound of the 95 percent interval has to reach it.
    """
    cut = max(len(queries) - len(queries) // _CHECKING, 1)
    choosing, checking = queries[:cut], queries[cut:] or queries
    recall.warm(connection, located, index, choosing, limit)
    tried: dict[int, Point] = {}

    def reaches(value: int) -> bool:
        if value not in tried:
            tried[value] = recall.measure(connection, located, index, choosing, limit, value, tell)
        return tried[value].low >= target

    found = smallest(recall.settings_for(located, index, limit), reaches)
    best = max(tried.values(), key=lambda point: (point.recall, -(point.value or 0)))
    point = best if found is None else tried[found]
    assert point.value is not None
    check = recall.measure(connection, located, index, checking, limit, point.value, tell)
    ordered = tuple(tried[value] for value in sorted(tried))
    return Choice(point, found is not None, ordered, check, len(checking))


def smallest(values: list[int], reaches: Callable[[int], bool | None]) -> int | None:
    """The smallest value that reaches, to a twentieth; None if the last does not.

    Args:
        values: ascending; between two of them it is halved further.
        reaches: whether a value does; None if it cannot be used, and no larger one either.
    """
    below: int | None = None
    for value in values:
        reached = reaches(value)
        if reached:
            break
        if reached is None:
            return None
        below = value
    else:
        return None
    if below is None:
        return value
    low, high = below, value
    while high - low > max(1, round(high * _FINE)):
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True, slots=True)
class Trial:
    """An index that was built on a copy of some rows, and measured.

    Attributes:
        name: of what differs.
        seconds: that its build took.
        bytes: of the index.
        point: the smallest setting that reached the target there, or the best one.
    """

    name: str
    seconds: float
    bytes: int
    reached: bool
    point: Point


def trials(
    connection: Connection,
    located: Located,
    index: Index,
    limit: int,
    target: float,
    rows: int,
    count: int,
    seed: int,
    tell: Tell,
) -> list[Trial]:
    """Build other indexes on a temporary copy of some rows, and measure each.

    Args:
        rows: of the copy, at most.
        count: of the queries.
    """
    copy = _copied(connection, located, rows, seed)
    # Without an index: of so few rows each query reads all.
    some = truth.Wanted(count, count, 0.0, seed)
    known = truth.find(connection, copy, None, some, limit, tell)
    made = []
    try:
        for name, wanted in _variants(copy, index):
            tell(f"building {name}", 0, 0)
            started = time.perf_counter()
            connection.execute(
                f"CREATE INDEX agentdb_try_idx ON {copy.quoted} {wanted.clause(copy)}".encode()
            )
            seconds = time.perf_counter() - started
            again = locate(connection, copy.collection)
            (built,) = again.indexes
            chosen = choose(connection, again, built, known.queries, limit, target, tell)
            made.append(Trial(name, seconds, built.bytes, chosen.reached, chosen.point))
            connection.execute(f"DROP INDEX {built.quoted}".encode())
    finally:
        if not connection.broken:
            connection.execute(f"DROP TABLE IF EXISTS {copy.quoted}".encode())
    return made


def _copied(connection: Connection, located: Located, rows: int, seed: int) -> Located:
    key = identifier(located.collection.key)
    share = min(100.0, 110.0 * rows / located.rows) if located.rows else 100.0
    connection.execute(b"DROP TABLE IF EXISTS pg_temp.agentdb_try")
    connection.execute(
        f"CREATE TEMPORARY TABLE agentdb_try AS SELECT {key}, {located.embedding.quoted},"  # noqa: S608
        f" ''::text AS agentdb_text FROM {located.quoted}"
        f" TABLESAMPLE BERNOULLI ({share}) REPEATABLE ({seed})"
        f" WHERE {located.embedding.quoted} IS NOT NULL LIMIT {rows}".encode()
    )
    connection.execute(b"ANALYZE pg_temp.agentdb_try")
    collection = Collection(
        name=located.collection.name,
        table="pg_temp.agentdb_try",
        key=located.collection.key,
        embedding=located.collection.embedding,
        text="agentdb_text",
        distance=located.collection.distance,
        source="a copy",
    )
    return locate(connection, collection)


def _variants(located: Located, index: Index) -> list[tuple[str, definition.Definition]]:
    """The index as it is, and others that are worth a look."""
    rows = located.rows or 1
    form = index.form
    # What differs is the form alone: an index of other parameters would tell nothing about it.
    now = dict(index.parameters) if index.method == "hnsw" else {}
    if index.method == "ivfflat":
        asked = [
            ("as it is", definition.Wishes("ivfflat", form, {"lists": definition.lists_for(rows)})),
            ("hnsw", definition.Wishes("hnsw", form)),
        ]
    else:
        longer = {"ef_construction": min(now["ef_construction"] * 2, 1000)}
        wider = {"m": min(now["m"] * 2, 100)}
        asked = [
            ("as it is", definition.Wishes("hnsw", form, now)),
            ("twice ef_construction", definition.Wishes("hnsw", form, now | longer)),
            ("twice m as well", definition.Wishes("hnsw", form, now | longer | wider)),
        ]
    if located.type == "vector":
        asked += [
            (other, definition.Wishes("hnsw", other, now))
            for other in ("half", "binary")
            if other != form
        ]
    found = []
    for name, wishes in asked:
        try:
            found.append((name, definition.define(located, wishes, rows)))
        except AgentdbError:
            continue  # pgvector has no such index for these values
    return found
