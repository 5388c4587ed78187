"""Which of a collection's indexes a search takes, if any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors import nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index
from agentdb_cli.vectors.nearest import Statement
from agentdb_cli.vectors.search.choice import Choice, Facts, choose
from agentdb_cli.vectors.search.estimate import nodes
from agentdb_cli.vectors.search.model import Request


def pick(
    connection: Connection,
    located: Located,
    facts: Facts,
    request: Request,
    statement: Callable[[Choice], Statement],
    query: bytes,
) -> Choice:
    """The way of the search, with an index that can serve it.

    A partial index is taken if the filter implies its predicate, which the planner is asked.

    Args:
        statement: the search by vector as it would be with a choice.
        query: the vector.
    """
    usable = nearest.usable(located)
    whole = [index for index in usable if index.predicate is None]
    partial = [index for index in usable if index.predicate is not None]
    options: dict[str, Any] = {
        "exact": request.exact,
        "ef_search": request.ef_search,
        "probes": request.probes,
    }
    chosen = choose(located, whole[0] if whole else None, facts, **options)
    if request.exact:
        return chosen
    for index in partial:
        # Of the rows in such an index, the filter keeps most.
        within = replace(facts, rows=max(facts.matching, 1.0))
        tried = choose(located, index, within, **options)
        if tried.index is not None and index.relation in _used(
            connection, statement(tried), tried, query
        ):
            why = f"{index.name} holds the rows WHERE {index.predicate}, which the filter implies"
            return replace(tried, why=(*tried.why, why))
    return _noted(located, chosen)


def _noted(located: Located, chosen: Choice) -> Choice:
    """The choice, with what there is to say of each index."""
    if chosen.index is None:
        return chosen
    why = [f"index {chosen.index.name} ({chosen.index.method}, {chosen.index.form})"]
    why += [_left(located, index) for index in located.indexes if index is not chosen.index]
    return replace(chosen, why=(*chosen.why, *why))


def _left(located: Located, index: Index) -> str:
    """Why an index was not taken."""
    reason = nearest.unusable(located, index)
    if reason is not None:
        return f"{index.name} {reason}"
    if index.predicate is not None:
        return (
            f"{index.name} is partial, and too few rows are in it or the filter does not imply it"
        )
    return f"{index.name} would serve as well"


def _used(connection: Connection, statement: Statement, choice: Choice, query: bytes) -> set[str]:
    """The names of the indexes that the planner takes for a search."""
    text = f"EXPLAIN (FORMAT JSON) {statement.text}"
    with connection.transaction():
        nearest.apply(connection, choice.settings)
        row: Any = nearest.execute(
            connection, text, statement.parameters, {"query": query}
        ).fetchone()
        # What was set is for this look alone.
        raise psycopg.Rollback
    return {node.get("Index Name", "") for node in nodes(row[0][0]["Plan"])}
