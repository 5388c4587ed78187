"""How many of the rows that are nearest an index finds, and how fast.

Rows of the collection are the queries, each without itself. A row at the distance of the last of
the nearest is a hit too: which of several that are equally far is found says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors import drawing, nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index
from agentdb_cli.vectors.intervals import interval
from agentdb_cli.vectors.truth import Query, Tell, Truth, others, spread

_EF_SEARCH = (20, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000)
_PROBES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
MOST_QUERIES, SECONDS = 1000, 30.0
"""Rows that are queries, and how long exact search may take for them, unless somebody names a
number. A thousand tell recall to about 0.005."""

_ENOUGH = 0.9995
"""From which recall on larger settings have nothing to add."""

_BEYOND = {"hnsw": ("ivfflat.probes", "32768"), "ivfflat": ("hnsw.ef_search", "1000")}
"""What makes an index of the other method too dear for the planner to take it instead."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one setting came to.

    Attributes:
        value: of hnsw.ef_search or ivfflat.probes; None for the exact search.
        recall: the mean of the queries'; low and high bound its 95 percent interval.
        p50, p95: seconds of a query, with the way to the server and back.
    """

    value: int | None
    recall: float
    low: float
    high: float
    p50: float
    p95: float


def index_for(located: Located, name: str | None) -> Index:
    """The index to measure: the one named, or the one that searches use.

    Raises:
        AgentdbError: there is none that can be used.
    """
    for index in located.indexes:
        if name in (index.relation, index.name):
            if why := nearest.unusable(located, index):
                raise AgentdbError(f"{index.name} {why}")
            return index
    usable = nearest.usable(located)
    if name is None and usable:
        return usable[0]
    missing = f"no vector index '{name}'" if name else "no vector index that its searches can use"
    others = "".join(
        f"\n  {index.name} {why}"
        for index in located.indexes
        if (why := nearest.unusable(located, index))
    )
    raise AgentdbError(
        f"{located.name}.{located.collection.embedding} has {missing}{others}",
        hint="agentdb vectors status shows its indexes; agentdb vectors index create makes one",
    )


def exact(found: Truth) -> Point:
    """What the exact search came to."""
    return Point(None, 1.0, 1.0, 1.0, found.p50, found.p95)


def measure(
    connection: Connection,
    located: Located,
    index: Index,
    queries: Sequence[Query],
    limit: int,
    value: int,
    tell: Tell,
) -> Point:
    """Search with an index at one setting, and compare with the exact answers.

    Raises:
        NotUsed: the planner uses another index, or none.
    """
    statement = nearest.statement(located, index, limit + 1)
    name = setting(index)
    chosen = nearest.settings(located, index, statement.candidates, **{name: value})  # type: ignore[arg-type]
    hits, seconds = [], []
    if any(other.method != index.method for other in located.indexes):
        chosen = dict((_BEYOND[index.method],)) | chosen
    with nearest.transaction(connection, chosen):
        drawing.refuse_other(connection, index, statement, queries[0].vector, f"{name} {value}")
        for number, query in enumerate(queries):
            tell(f"{name} {value}", number, len(queries))
            started = time.perf_counter()
            rows = statement.run(connection, query.vector)
            seconds.append(time.perf_counter() - started)
            found = others(rows, query.key, limit)
            hits.append(sum(distance <= query.within for distance in found))
    recall, low, high = interval(hits, [len(query.distances) for query in queries])
    p50, p95 = spread(seconds)
    return Point(value, recall, low, high, p50, p95)


def curve(
    connection: Connection,
    located: Located,
    index: Index,
    queries: Sequence[Query],
    limit: int,
    values: Sequence[int],
    tell: Tell,
) -> list[Point]:
    """Measure several settings, ascending; without `values` those that make a difference."""
    warm(connection, located, index, queries, limit)
    points = []
    for value in sorted(set(values)) or settings_for(located, index, limit):
        try:
            points.append(measure(connection, located, index, queries, limit, value, tell))
        except drawing.NotUsed:
            # At larger settings the planner finds it cheaper to read all rows.
            if not points:
                raise
            break
        if not values and points[-1].recall >= _ENOUGH:
            break
    return points


def warm(
    connection: Connection, located: Located, index: Index, queries: Sequence[Query], limit: int
) -> None:
    """Search once without a clock, so that the first setting does not pay for the cache."""
    least = settings_for(located, index, limit)[0]
    measure(connection, located, index, queries[:50], limit, least, lambda *_: None)


def setting(index: Index) -> str:
    """The name of what is tuned: `ef_search` or `probes`."""
    return "ef_search" if index.method == "hnsw" else "probes"


def settings_for(located: Located, index: Index, limit: int) -> list[int]:
    """Values to try, ascending; ef_search is never less than what has to be found."""
    if index.method == "ivfflat":
        lists = index.parameters["lists"]
        return [*(value for value in _PROBES if value < lists), lists]
    least = nearest.statement(located, index, limit + 1).candidates
    larger = [value for value in _EF_SEARCH if value > least]
    return [min(least, nearest.EF_BOUNDS[1]), *larger]
