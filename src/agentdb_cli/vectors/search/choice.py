"""How a search is run: which of three ways finds the rows, and why.

exact      all rows that fulfil the filter are read and compared: nothing is missed
index      the vector index alone, once: a row that fulfils the filter may be missed
iterative  the index again and again, until enough rows have passed the filter (pgvector 0.8)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from agentdb_cli.vectors import nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index

# Microseconds on a machine of 2025, with the table in memory; only their proportions matter.
_COMPARED = 0.3
_COMPARED_DIMENSION = 0.001
_OUT_OF_LINE = 5.0
_PASSED_BY = 0.25
_DESCENT = 300.0
_VISITED = 6.0
_VISITED_DIMENSION = 0.008

_INLINE = 2000
"""Bytes of a row from which on PostgreSQL stores long values outside of it."""

_SURE = 25_000.0
"""Microseconds that a sure result is worth where IVFFlat may have been built on other rows."""

_VISITS = 1.5
"""How many times as many rows a filtered scan visits as would do if the filter were fair."""

_ROOM, _ROOM_WELL_CONNECTED = 2.4, 1.5
"""How many times as many candidates a round needs as would do if the filter were fair.

Recall of 100,000 embedded sentences: the ten nearest of a tenth of them, 0.978 with an
hnsw.ef_search of 200 and 0.983 with 240; the 50 nearest of all, 0.976 with 100 and 0.982 with 125,
and in a well-connected graph 0.975 with 60 and 0.982 with 75.
"""

_LARGEST, _LARGEST_WELL_CONNECTED = 400, 100
"""The most candidates of a round with a filter.

A well-connected graph does as well with several short rounds: there 46 finds 0.984 of the ten
nearest of a tenth, sooner than one round of 150.
"""

_LEAST_SCANNED = 20_000
"""pgvector's default of hnsw.max_scan_tuples."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the rows before a search.

    Attributes:
        rows: of the table.
        matching: those that fulfil the filter and have an embedding.
        counted: whether they were counted, up to a bound, rather than estimated by the planner.
        filtered: whether there is a filter, be it of row security.
        whole: whether the whole table has to be read to find them.
        dimensions: of a vector.
        limit: how many rows are wanted.
    """

    rows: float
    matching: float
    counted: bool
    filtered: bool
    whole: bool
    dimensions: int
    limit: int

    @property
    def share(self) -> float:
        """How much of the table fulfils the filter: above 0, up to 1."""
        if not self.filtered:
            return 1.0
        return min(max(self.matching, 1.0) / max(self.rows, 1.0), 1.0)

    @property
    def exact_cost(self) -> float:
        """Microseconds to compare all matching rows with the vector."""
        passed_by = self.rows * _PASSED_BY if self.whole else 0.0
        return passed_by + self.matching * _compared(self.dimensions)

    @property
    def visits(self) -> float:
        """How many rows an index has to give until enough have passed the filter."""
        return self.limit / self.share * (_VISITS if self.filtered else 1)


@dataclass(frozen=True, slots=True)
class Choice:
    """How to search.

    Attributes:
        way: `exact`, `index` or `iterative`.
        why: sentences for people.
        settings: of the transaction.
        candidates: how many rows the index gives; None for the form's own number.
        onward: the scan that goes on where the index gives too few rows; None if none can.
    """

    way: str
    index: Index | None
    why: tuple[str, ...]
    settings: Mapping[str, str]
    candidates: int | None = None
    onward: Choice | None = None


def _compared(dimensions: int) -> float:
    """Microseconds to read a vector and compare it."""
    outside = _OUT_OF_LINE if dimensions * 4 > _INLINE else 0.0
    return _COMPARED + dimensions * _COMPARED_DIMENSION + outside


def _visited(dimensions: int) -> float:
    """Microseconds for each row that an HNSW scan visits."""
    return _VISITED + dimensions * _VISITED_DIMENSION


def worth_counting(rows: float, limit: int, dimensions: int) -> int:
    """Up to how many matching rows an exact search is the quicker one."""
    visits = _VISITS * limit * rows * _visited(dimensions)
    return math.ceil(math.sqrt(visits / _compared(dimensions)))


def choose(
    located: Located,
    index: Index | None,
    facts: Facts,
    *,
    exact: bool = False,
    ef_search: int | None = None,
    probes: int | None = None,
) -> Choice:
    """The way that finds `facts.limit` rows soonest, without missing what it should find.

    Args:
        index: what can serve the collection, or None.
        exact: whether that was asked for.
        ef_search, probes: of the user's own, or None.
    """
    matching = _matching(facts)
    if exact:
        return Choice("exact", None, ("--exact was given", matching), {})
    if index is None:
        return Choice("exact", None, (*without_index(located), matching), {})
    if index.method == "ivfflat":
        return _by_lists(located, index, facts, probes, matching)
    reranked = facts.limit * nearest.RERANKED[index.form]
    ef = max(ef_search or _candidates(index, facts), reranked)
    beyond = facts.visits > nearest.EF_BOUNDS[1] or reranked > nearest.EF_BOUNDS[1]
    # A scan that can go on takes a twentieth longer in its first round, which is mostly enough.
    iterative = beyond or (facts.filtered and facts.visits > ef)
    if (facts.filtered or beyond) and not located.extension.iterative:
        # All in one round, which has to be large enough.
        ef = max(ef, math.ceil(2 * facts.visits))
        iterative = False
        beyond = ef > nearest.EF_BOUNDS[1]
        if beyond:
            return Choice("exact", None, (_old(located), matching), {})
    visited = _visited(facts.dimensions)
    cost = _DESCENT + max(ef, facts.visits) * visited
    if facts.exact_cost <= cost:
        return Choice("exact", None, (matching, _costs(facts.exact_cost, cost)), {})
    once = nearest.settings(located, index, reranked, ef_search=ef)
    why = (matching, _costs(facts.exact_cost, cost), f"ef_search {once['hnsw.ef_search']}")
    if not (iterative or facts.filtered) or not located.extension.iterative:
        return Choice("index", index, why, once)
    bound = max(_LEAST_SCANNED, round(facts.exact_cost / visited))
    further = nearest.settings(
        located, index, reranked, ef_search=ef, iterative=True, max_scan_tuples=bound
    )
    scanned = (*why, f"scanned on until {facts.limit} rows have passed, at most {bound:,}")
    # What a relaxed scan gives in its later rounds is not in order: the best of twice as many.
    candidates = 2 * reranked if facts.visits > 4 * ef else None
    onward = Choice("iterative", index, scanned, further, candidates)
    return onward if iterative else Choice("index", index, why, once, onward=onward)


def _candidates(index: Index, facts: Facts) -> int:
    """The hnsw.ef_search that suits a graph, a filter, and how many rows are wanted."""
    usual = nearest.default_ef_search(index)
    room = _ROOM_WELL_CONNECTED if index.well_connected else _ROOM
    fair = min(math.ceil(room * facts.limit / facts.share), nearest.EF_BOUNDS[1])
    if facts.filtered and index.well_connected and fair > _LARGEST_WELL_CONNECTED:
        return usual
    return max(usual, min(fair, _LARGEST) if facts.filtered else fair)


def _by_lists(
    located: Located, index: Index, facts: Facts, probes: int | None, matching: str
) -> Choice:
    lists = index.parameters["lists"]
    in_a_list = max(facts.rows, 1.0) / lists * facts.share
    wanted = facts.limit * nearest.RERANKED[index.form]
    looked = probes or max(nearest.default_probes(lists), math.ceil(2 * wanted / in_a_list))
    looked = min(looked, lists)
    cost = _DESCENT + facts.rows * looked / lists * _compared(facts.dimensions)
    if probes is None and facts.exact_cost <= max(cost, _SURE):
        return Choice("exact", None, (matching, "so few are compared at once"), {})
    if probes is None and looked == lists:
        return Choice("exact", None, (matching, "that would be all lists of the index"), {})
    settings = nearest.settings(
        located, index, wanted, probes=looked, iterative=facts.filtered or wanted > in_a_list
    )
    iterative = settings.get("ivfflat.iterative_scan", "off") != "off"
    why = (matching, f"{looked} of {lists} lists")
    return Choice("iterative" if iterative else "index", index, why, settings)


def without_index(located: Located) -> tuple[str, ...]:
    """Why no index can be used, one sentence for each that there is."""
    if located.kind == "v":
        return ("a view has no index of its own",)
    reasons = [(index, nearest.unusable(located, index)) for index in located.indexes]
    found = tuple(f"{index.name} {why}" for index, why in reasons if why is not None)
    return found or (f"{located.name} has no vector index",)


def _matching(facts: Facts) -> str:
    how = "about " if not facts.counted else ""
    if not facts.filtered:
        return f"about {facts.rows:,.0f} rows, no filter"
    share = f"{facts.share:.1%}" if facts.share >= 0.001 else "less than 0.1%"
    return f"{how}{facts.matching:,.0f} of about {facts.rows:,.0f} rows fulfil the filter ({share})"


def _costs(exact: float, index: float) -> str:
    return (
        f"estimated: {exact / 1000:,.1f} ms to compare all of them,"
        f" {index / 1000:,.1f} ms by the index"
    )


def _old(located: Located) -> str:
    version = ".".join(map(str, located.extension.version))
    return f"pgvector {version} cannot scan on until enough rows have passed (0.8 can)"
