"""Rows as queries, and what is nearest to each: exactly, by reading the whole table."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import filled
from agentdb_cli.postgres.quoting import doubled, identifier
from agentdb_cli.vectors import drawing, nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index

LEAST_QUERIES = 200
"""Queries that are answered however long it takes, unless somebody names a number."""

_ALONE, _ALONE_SECONDS = 20, 5.0
"""Queries that are answered one by one, for the time of an exact search."""

_TOGETHER, _SECONDS = 200, 2.0
"""Queries that one scan answers at most, and the seconds that it should take at most."""

_BOUND = 200
"""hnsw.ef_search for the rows within whose distance the nearest are looked for."""

_ROUNDING = 1e-9
"""Relative difference of two distances that are the same number, added up in another order."""

Tell = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and of how much."""

Drawn = tuple[object, bytes]
"""The key of a row, and its vector in binary, as the server sends it."""


@dataclass(frozen=True, slots=True)
class Query:
    """A row as a query.

    Attributes:
        key: of the row, which is none of the answers.
        vector: in binary, as the server sends it.
        distances: of the nearest other rows, exactly, nearest first.
    """

    key: object
    vector: bytes
    distances: tuple[float, ...]

    @property
    def within(self) -> float:
        """The distance up to which a row is one of the nearest."""
        return _widened(self.distances[-1])


@dataclass(frozen=True, slots=True)
class Truth:
    """Queries with their exact answers.

    Attributes:
        p50, p95: seconds of an exact search, with the way to the server and back.
    """

    queries: tuple[Query, ...]
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows are to be queries.

    Attributes:
        count: so many, if the table has them; None for what there is time for.
        most: of them, without a count.
        seconds: after which it ends, without a count, if there are LEAST_QUERIES.
        seed: draws the same rows again, as long as the table stays as it is.
    """

    count: int | None
    most: int
    seconds: float
    seed: int


def find(
    connection: Connection,
    located: Located,
    index: Index | None,
    wanted: Wanted,
    limit: int,
    tell: Tell,
) -> Truth:
    """Draw rows as queries, and find the nearest others of each.

    An index, whatever it is worth, gives some rows; as many as are wanted lie within the distance
    of the last of them. One scan of the table then finds those of many queries: a comparison for
    each row and query, in a seventh of the time of searches one by one (100,000 x 384).

    Raises:
        AgentdbError: there are too few rows to measure anything.
    """
    drawn = drawing.drawn(connection, located, wanted.count or wanted.most, wanted.seed)
    search = _Search(connection, located, index, limit)
    started, found = time.monotonic(), list[Query]()
    for queries, done in search.answered(drawn):
        found += queries
        tell("exact search", done, len(drawn))
        late = time.monotonic() - started > wanted.seconds
        if late and wanted.count is None and done >= LEAST_QUERIES:
            break
    if not found:
        raise AgentdbError(
            f"{located.name} has too few rows with an embedding to measure recall",
            hint="load more; a search of so few needs no index",
        )
    return Truth(tuple(found), *spread(search.seconds))


class _Search:
    """Exact searches of one table."""

    def __init__(
        self, connection: Connection, located: Located, index: Index | None, limit: int
    ) -> None:
        self._connection = connection
        self._located = located
        self._index = index
        self._limit = limit
        self._exact = nearest.statement(located, None, limit + 1, exact=True)
        self.seconds: list[float] = []

    def answered(self, drawn: Sequence[Drawn]) -> Iterator[tuple[list[Query], int]]:
        """Queries with their answers, and how many of those drawn have been dealt with."""
        place, together = 0, _TOGETHER // 10
        while place < len(drawn):
            alone = self._index is None or (
                place < _ALONE and (place == 0 or sum(self.seconds) < _ALONE_SECONDS)
            )
            part = drawn[place : place + (1 if alone else together)]
            started = time.monotonic()
            queries = [self._alone(each) for each in part] if alone else self._together(part)
            took = time.monotonic() - started
            if not alone:
                together = max(min(_TOGETHER, round(together * _SECONDS / took)), 1)
            place += len(part)
            yield [query for query in queries if query.distances], place

    def _alone(self, drawn: Drawn) -> Query:
        key, vector = drawn
        with nearest.transaction(self._connection, {}):
            started = time.perf_counter()
            rows = self._exact.run(self._connection, vector)
            self.seconds.append(time.perf_counter() - started)
        return Query(key, vector, others(rows, key, self._limit))

    def _together(self, drawn: Sequence[Drawn]) -> list[Query]:
        bounds = self._bounds([vector for _, vector in drawn])
        bounded = [number for number, bound in enumerate(bounds) if bound is not None]
        slots = ", ".join(
            f"({number}, %(v{number})s::{self._located.cast()}, %(b{number})s::float8)"
            for number in bounded
        )
        found: dict[object, list[tuple[object, ...]]] = {number: [] for number in bounded}
        if bounded:
            vectors = {f"v{number}": drawn[number][1] for number in bounded}
            distances = {f"b{number}": bounds[number] for number in bounded}
            # The estimate, a third of all pairs, would make it too dear to use two processes.
            costs = {"parallel_setup_cost": "0", "parallel_tuple_cost": "0"}
            with nearest.transaction(self._connection, costs):
                cursor = nearest.execute(self._connection, self._text(slots), distances, vectors)
                for number, *row in cursor:
                    found[number].append(tuple(row))
        return [
            Query(key, vector, others(nearest.ordered(found[number]), key, self._limit))
            if number in found
            else self._alone((key, vector))
            for number, (key, vector) in enumerate(drawn)
        ]

    def _bounds(self, vectors: Sequence[bytes]) -> list[float | None]:
        """Of each vector a distance within which enough rows lie, if that is known."""
        assert self._index is not None
        located, index = self._located, self._index
        statement = nearest.statement(located, index, self._limit + 1)
        wide = nearest.settings(located, index, statement.candidates, ef_search=_BOUND)
        found: list[float | None] = []
        with nearest.transaction(self._connection, wide):
            for vector in vectors:
                rows = statement.run(self._connection, vector)
                last = float(str(rows[-1][-1])) if len(rows) > self._limit else math.nan
                found.append(None if math.isnan(last) else _widened(last))
        return found

    def _text(self, slots: str) -> str:
        located = self._located
        return filled(
            "vectors/nearest_within",
            {
                "vectors": slots,
                "distance": nearest.distance_sql(located, "t", "q.vector"),
                "key": doubled(identifier(located.collection.key)),
                "table": doubled(located.quoted),
                "limit": str(self._limit + 1),
            },
        )


def others(rows: Sequence[tuple[object, ...]], key: object, limit: int) -> tuple[float, ...]:
    """The distances of the nearest rows without the query itself; NaN is no distance."""
    found = [float(str(row[-1])) for row in rows if row[0] != key][:limit]
    return tuple(distance for distance in found if not math.isnan(distance))


def spread(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile of some times."""
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _widened(distance: float) -> float:
    return distance + abs(distance) * _ROUNDING
