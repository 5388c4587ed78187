"""What a search is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from agentdb_cli.vectors.filters import Filter
from agentdb_cli.vectors.nearest import Statement
from agentdb_cli.vectors.search.choice import Choice
from agentdb_cli.vectors.search.hybrid import Hybrid


@dataclass(frozen=True, slots=True)
class Request:
    """What is looked for.

    Attributes:
        query: the vector in the server's binary form; None if `like` names a row.
        like: the key of the row whose vector it is; that row is no hit.
        min_similarity: of the vectors, whatever else the score is made of.
        exact: whether every row is to be read.
        ef_search, probes: None for what agentdb finds right.
        explain: whether the plan is wanted; the statement is run once more for it.
    """

    query: bytes | None
    like: str | None = None
    limit: int = 10
    min_similarity: float | None = None
    filters: tuple[Filter, ...] = ()
    hybrid: Hybrid | None = None
    exact: bool = False
    ef_search: int | None = None
    probes: int | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that was found.

    Attributes:
        score: what hits are ordered by: the similarity, or of a hybrid search both halves.
        similarity: `pgvector.Distance.similarity`.
        distance: as the operator computes it.
        text_rank: ts_rank of the row's text, None without a hybrid search.
    """

    score: float
    similarity: float
    distance: float
    text_rank: float | None
    key: object
    text: object
    metadata: object


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and how.

    Attributes:
        hits: best first.
        complete: False if there may be more rows than were found, up to the limit.
        said: why there are fewer hits than the limit, or None.
        choice: how the search was run.
        reasons: why so, and what came of it, for people.
        statement: what was run.
        plan: its plan, as EXPLAIN ANALYZE writes it; empty unless it was asked for.
    """

    hits: tuple[Hit, ...]
    complete: bool
    said: str | None
    choice: Choice
    reasons: tuple[str, ...]
    statement: Statement
    plan: tuple[str, ...]
