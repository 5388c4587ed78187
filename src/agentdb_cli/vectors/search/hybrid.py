"""Full text and vector in one statement: the SQL, and what the text is read with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentdb_cli.postgres.queries import filled
from agentdb_cli.postgres.quoting import doubled, identifier
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.nearest import Condition, Statement, distance_sql
from agentdb_cli.vectors.search.estimate import Table

TEXT_WEIGHT, VECTOR_WEIGHT = 0.3, 0.7
"""Source: OpenAgent's document, of its hybrid search."""

_RRF = 60
"""The constant of reciprocal rank fusion; source: Cormack, Clarke and Buettcher, SIGIR 2009."""

_CANDIDATES = 50
"""The least rows of each half; more would hardly come to the top of both."""

_GENERATED = re.compile(r"to_tsvector\('(?P<config>(?:[^']|'')+)'::regconfig")
_OPERATORS = re.compile(r"\"|(?:^|\s)-\w|\bor\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hybrid:
    """How both halves are to be put together.

    Attributes:
        text: what is searched for in the texts.
        text_weight, vector_weight: what each half counts.
        rrf: whether places count (reciprocal rank fusion) rather than scores.
    """

    text: str
    text_weight: float = TEXT_WEIGHT
    vector_weight: float = VECTOR_WEIGHT
    rrf: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """What full-text search looks into.

    Attributes:
        sql: a tsvector.
        config: the text search configuration, for the words that are searched for.
        said: both, for people.
    """

    sql: str
    config: str
    said: str


def document(located: Located, table: Table) -> Document:
    """The collection's tsvector column, or its text as tsvector."""
    collection = located.collection
    generated = _GENERATED.search(table.generated or "")
    config, source = collection.text_search_config, collection.source
    if config is None and generated is not None:
        config, source = generated["config"].replace("''", "'"), "what the column is generated with"
    if config is None:
        config, source = table.default_config, "the server's default_text_search_config"
    said = f"text search configuration {config} ({source})"
    if collection.tsvector is not None:
        column = located.columns[collection.tsvector]
        return Document(doubled(column.quoted), config, f"{collection.tsvector}, {said}")
    column = located.columns[collection.text]
    sql = f"pg_catalog.to_tsvector(%(config)s::pg_catalog.regconfig, {doubled(column.quoted)})"
    return Document(sql, config, f"{collection.text} as tsvector, {said}")


def candidates(limit: int) -> int:
    """How many rows each half gives."""
    return max(_CANDIDATES, 4 * limit)


def statement(
    located: Located,
    hybrid: Hybrid,
    document: Document,
    nearest: Statement,
    columns: tuple[str, ...],
    where: Condition | None,
    limit: int,
) -> Statement:
    """The statement of both halves: the columns, then distance, rank, score, and the nearest rows.

    Args:
        nearest: the search by vector alone, for `columns` and the tsvector column.
        columns: of the result.
    """
    embedding = doubled(located.embedding.quoted)
    if located.collection.tsvector is not None:
        columns = tuple(dict.fromkeys((*columns, located.collection.tsvector)))
    slots = {
        "nearest": nearest.text,
        "columns": ", ".join(doubled(identifier(name)) for name in columns),
        "key": doubled(identifier(located.collection.key)),
        "embedding": embedding,
        "relation": doubled(located.quoted),
        "where": f"({where.sql})" if where else "true",
        "document": document.sql,
        "tsquery": _tsquery(hybrid.text),
        "distance": distance_sql(located),
        "score": _score(hybrid),
        "candidates": str(nearest.candidates),
        "limit": str(limit),
    }
    text = filled("vectors/search_hybrid", slots)
    parameters = {**nearest.parameters, "config": document.config, "words": hybrid.text}
    return Statement(text, parameters, nearest.candidates)


def _tsquery(text: str) -> str:
    """The words as tsquery: any of them, unless the text says itself how they belong together."""
    arguments = "(%(config)s::pg_catalog.regconfig, %(words)s::pg_catalog.text)"
    if _OPERATORS.search(text):
        return f"pg_catalog.websearch_to_tsquery{arguments}"
    words = f"pg_catalog.plainto_tsquery{arguments}::pg_catalog.text"
    return f"pg_catalog.replace({words}, ' & ', ' | ')::pg_catalog.tsquery"


def _score(hybrid: Hybrid) -> str:
    """Each half from 0 to 1 among the rows that were found, and weighted."""
    if hybrid.rrf:
        text = f"CASE WHEN _rank > 0 THEN 1.0 / ({_RRF} + _text_place) ELSE 0 END"
        return f"(1.0 / ({_RRF} + _vector_place) + {text})::pg_catalog.float8"
    near = "GREATEST(COALESCE((_farthest - _distance) / NULLIF(_farthest - _nearest, 0), 1), 0)"
    good = "COALESCE(_rank / NULLIF(_best, 0), 0)"
    return f"({hybrid.vector_weight!r} * {near} + {hybrid.text_weight!r} * {good})"
