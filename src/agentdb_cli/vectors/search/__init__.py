"""`agentdb search`: the rows of a collection that are nearest to a vector, and a text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import Cursor, errors

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.lost import is_lost
from agentdb_cli.postgres.quoting import doubled
from agentdb_cli.vectors import filters, nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.nearest import Condition, Statement
from agentdb_cli.vectors.search import estimate, hybrid, picking, result
from agentdb_cli.vectors.search.choice import Choice, Facts
from agentdb_cli.vectors.search.model import Found, Hit, Request
from agentdb_cli.vectors.search.query import of_row

__all__ = ["Found", "Hit", "Request", "search"]

_LONG = re.compile(r"('[\[{]?[^' ]{24})[^' ]{40,}('?)")
"""A vector in a plan, of which the beginning will do."""

_PATIENCE = 60_000
"""Milliseconds for reading all rows after an index gave too few, without a statement_timeout."""


def search(
    connection: Connection,
    located: Located,
    request: Request,
    *,
    session: Mapping[str, str] | None = None,
) -> Found:
    """Find the rows that are nearest, in one read-only transaction.

    Args:
        session: settings for the transaction, such as statement_timeout: behind a pooler those
            of the connection are lost.

    Raises:
        AgentdbError: a filter cannot be used, or the row that is named has no vector.
    """
    run = _Run(connection, located, request, session or {})
    try:
        with nearest.transaction(connection, run.session):
            run.prepare()
            run.find()
        if run.short and run.choice.way != "exact":
            run.find_exactly()
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        if is_lost(connection, error):
            raise
        blamed = filters.refused(connection, located, request.filters, error)
        if blamed is None:
            raise
        raise blamed from None
    hits, fewer = result.hits(located, request, run.rows, run.columns, complete=run.complete)
    return Found(hits, run.complete, fewer, run.choice, tuple(run.reasons), run.statement, run.plan)


class _Run:
    """One search, step by step."""

    def __init__(
        self,
        connection: Connection,
        located: Located,
        request: Request,
        session: Mapping[str, str],
    ) -> None:
        self.connection = connection
        self.located = located
        self.request = request
        self.session = session
        self.reasons: list[str] = []
        self.rows: list[tuple[Any, ...]] = []
        self.plan: tuple[str, ...] = ()
        self.complete = True

    # --- Before the search ----------------------------------------------------

    def prepare(self) -> None:
        """Read the vector, look at the table and its rows, and choose how to search."""
        request, located = self.request, self.located
        table = estimate.table(self.connection, located)
        self.query = request.query or of_row(self.connection, located, str(request.like))
        self.where = self._condition(table.gin)
        self.document = hybrid.document(located, table) if request.hybrid else None
        self.facts = self._facts(table.row_security)
        self.choice = picking.pick(
            self.connection, located, self.facts, request, self._by_vector, self.query
        )
        self.reasons += self.choice.why
        if table.row_security:
            self.reasons.append("row security hides rows from this role")
        if self.document is not None:
            self.reasons.append(f"full text in {self.document.said}")

    @property
    def wanted(self) -> int:
        """How many rows the search by vector is to give."""
        limit = self.request.limit
        return hybrid.candidates(limit) if self.request.hybrid else limit

    def _condition(self, gin: tuple[str, ...]) -> Condition | None:
        where = filters.condition(self.request.filters, self.located, gin=gin)
        if self.request.like is None:
            return where
        key = doubled(self.located.columns[self.located.collection.key].quoted)
        itself = f"{key} IS DISTINCT FROM %(like)s"
        if where is None:
            return Condition(itself, {"like": self.request.like})
        return Condition(
            f"({where.sql}) AND {itself}", {**where.parameters, "like": self.request.like}
        )

    def _facts(self, row_security: bool) -> Facts:
        return estimate.facts(
            self.connection,
            self.located,
            filters.condition(self.request.filters, self.located),
            limit=self.wanted + (self.request.like is not None),
            dimensions=self.located.dimensions or len(self.query) // 4,
            row_security=row_security,
            conditions=sum(len(each.path) for each in self.request.filters),
        )

    # --- The search -----------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """What is read of each hit."""
        collection = self.located.collection
        wanted = (collection.key, collection.text, collection.metadata)
        return tuple(dict.fromkeys(name for name in wanted if name is not None))

    def _by_vector(self, choice: Choice) -> Statement:
        columns = self.columns
        if self.document is not None and self.located.collection.tsvector is not None:
            columns = tuple(dict.fromkeys((*columns, self.located.collection.tsvector)))
        return nearest.statement(
            self.located,
            choice.index,
            self.wanted,
            columns=columns,
            where=self.where,
            candidates=choice.candidates,
        )

    def _statement(self, choice: Choice) -> Statement:
        by_vector, both = self._by_vector(choice), self.request.hybrid
        if both is None or self.document is None:
            return by_vector
        return hybrid.statement(
            self.located,
            both,
            self.document,
            by_vector,
            self.columns,
            self.where,
            self.request.limit,
        )

    def find(self) -> None:
        """Run the search as chosen, and scan on if that gave too few rows; in a transaction."""
        self._look()
        if self.short and self.choice.onward is not None:
            self.reasons.append(f"the index gave {self._given} rows, so it was scanned on")
            self.choice = self.choice.onward
            self._look()
        if self.request.explain:
            self._explain()

    def _look(self) -> None:
        if self.choice.settings:
            nearest.apply(self.connection, self.choice.settings)
        self.statement = self._statement(self.choice)
        cursor = self._executed(self.statement.text)
        self.rows = nearest.known(cursor.fetchall())

    def _executed(self, text: str) -> Cursor[tuple[object, ...]]:
        vectors = {"query": self.query}
        return nearest.execute(self.connection, text, self.statement.parameters, vectors)

    def _explain(self) -> None:
        text = f"EXPLAIN (ANALYZE, COSTS, TIMING OFF) {self.statement.text}"
        found = nearest.execute(
            self.connection, text, self.statement.parameters, {"query": self.query}
        )
        self.plan = tuple(_LONG.sub(r"\1…\2", str(row[0])) for row in found.fetchall())

    @property
    def short(self) -> bool:
        """Whether fewer rows came than were wanted, of those that may exist."""
        if self.facts.filtered and self.facts.counted:
            return self._given < min(self.wanted, round(self.facts.matching))
        return self._given < self.wanted

    @property
    def _given(self) -> int:
        """How many rows the search by vector gave."""
        if self.request.hybrid is None:
            return len(self.rows)
        return int(self.rows[0][-1]) if self.rows else 0

    def find_exactly(self) -> None:
        """Read all rows, because the index gave too few; what it gave stays if that takes long."""
        given, before = len(self.rows), (self.rows, self.statement, self.plan, self.choice)
        self.choice = Choice("exact", None, (), {})
        try:
            with nearest.transaction(self.connection, self._patience()):
                self.find()
        except errors.QueryCanceled as error:
            if "statement timeout" not in str(error):
                raise
            self.rows, self.statement, self.plan, self.choice = before
            self.complete = False
            self.reasons.append(f"the index gave {given} rows; reading all of them took too long")
            return
        self.reasons.append(f"the index gave {given} rows, so all of them were read")

    def _patience(self) -> Mapping[str, str]:
        timeout = self.session.get("statement_timeout", "0")
        return {**self.session, "statement_timeout": timeout if timeout != "0" else str(_PATIENCE)}
