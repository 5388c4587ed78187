"""How many of the rows that are nearest an index finds, and how fast.

Rows of the collection are the queries, each without itself. A row at the distance of the last of
the nearest is a hit too: which of several that are equally far is found says nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors import drawing, nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index
from agentdb_cli.vectors.intervals import interval

_EQUAL = 1e-9
"""Relative difference of two distances that are the same number, added up in another order."""

_EF_SEARCH = (20, 40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000)
_PROBES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000)
MOST_QUERIES, LEAST_QUERIES, EXACT_SECONDS = 1000, 200, 30.0
"""How many rows are queries unless somebody says: what exact search answers in half a minute, in
these bounds. A thousand tell recall to about 0.005, two hundred to 0.01 or 0.02."""

_ENOUGH = 0.9995
"""From which recall on larger settings have nothing to add."""

_BEYOND = {"hnsw": ("ivfflat.probes", "32768"), "ivfflat": ("hnsw.ef_search", "1000")}
"""What makes an index of the other method too dear for the planner to take it instead."""

Tell = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Query:
    """A row as a query.

    Attributes:
        key: of the row, which is none of the answers.
        vector: in binary, as the server sends it.
        distances: of the nearest other rows, exactly, nearest first.
    """

    key: object
    vector: bytes | str
    distances: tuple[float, ...]


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


@dataclass(frozen=True, slots=True)
class Truth:
    """Queries with their exact answers, and how long these took."""

    queries: tuple[Query, ...]
    exact: Point


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


def truth(
    connection: Connection, located: Located, count: int | None, limit: int, seed: int, tell: Tell
) -> Truth:
    """Draw rows as queries, and find the nearest others of each by reading all of them.

    Args:
        count: of the queries, None for what half a minute allows; fewer if there are not so
            many rows.
        seed: draws the same rows again, as long as the table stays as it is.

    Raises:
        AgentdbError: there are too few rows to measure anything.
    """
    rows_drawn = drawing.drawn(connection, located, count or MOST_QUERIES, seed)
    statement = nearest.statement(located, None, limit + 1, exact=True)
    queries: list[Query] = []
    seconds: list[float] = []
    with nearest.transaction(connection, {}):
        for number, (key, vector) in enumerate(rows_drawn):
            if count is None and number >= LEAST_QUERIES and sum(seconds) > EXACT_SECONDS:
                break
            tell("exact search", number, len(rows_drawn))
            started = time.perf_counter()
            rows = statement.run(connection, vector)
            seconds.append(time.perf_counter() - started)
            distances = _others(rows, key, limit)
            if distances:
                queries.append(Query(key, vector, distances))
    if not queries:
        raise AgentdbError(
            f"{located.name} has too few rows with an embedding to measure recall",
            hint="load more; a search of so few needs no index",
        )
    p50, p95 = _times(seconds)
    return Truth(tuple(queries), Point(None, 1.0, 1.0, 1.0, p50, p95))


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
            found = _others(rows, query.key, limit)
            furthest = query.distances[-1]
            within = furthest + abs(furthest) * _EQUAL
            hits.append(sum(distance <= within for distance in found))
    recall, low, high = interval(hits, [len(query.distances) for query in queries])
    p50, p95 = _times(seconds)
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


def _others(rows: Sequence[tuple[object, ...]], key: object, limit: int) -> tuple[float, ...]:
    """The distances of the nearest rows without the query itself; NaN is no distance."""
    others = [row for row in rows if row[0] != key]
    distances = [float(str(row[-1])) for row in others[:limit]]
    return tuple(distance for distance in distances if not math.isnan(distance))


def _times(seconds: Sequence[float]) -> tuple[float, float]:
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
