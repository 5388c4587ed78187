"""A table in parts that are small enough for one transaction each.

Two ways to cut: by the time column, where an index finds the rows, and by
ranges of blocks, which reads every block once. The planner says which is
cheaper. Either goes from one end to the other and never looks back: the dead
rows that it leaves behind would be read again and again.
"""

from __future__ import annotations

from typing import Any, Protocol

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.retention.targets import Target

_ROWS_IN_BLOCK = 291
"""The most rows that a block of 8 kB holds (MaxHeapTuplesPerPage)."""

_FIRST_ROWS = 5_000
"""About how many rows the first part by time holds: some 5 ms of work."""


_LONGEST = 3.2e9
"""Seconds of the longest part by time: a hundred years, so that no sum leaves the calendar."""


class Parts(Protocol):
    """A table (or partition) cut into parts.

    Attributes:
        name: what it is cut by, for people.
        size: how large the first part should be: seconds or blocks.
        smallest: the size of a part that cannot be cut further.
    """

    name: str
    size: float
    smallest: float

    def next(self, size: float) -> str | None:
        """SQL for the next part over the alias t, of about `size`; None at the end."""

    def done(self) -> None:
        """Go on behind the part that `next` gave last."""


class ByTime:
    """Parts by stretches of time, read through the index of the time column."""

    name = "time index"

    def __init__(self, connection: Connection, relation: str, target: Target, rows: int) -> None:
        self._connection = connection
        self._relation = relation
        self._column = identifier(target.policy.time_column)
        self._type = target.type
        self._cutoff = target.cutoff_sql
        self._begin, self._low = ">", f"'-infinity'::{target.type}"
        self._high = ""
        self.smallest = 86_400.0 if target.type == "date" else 0.001
        self.size = max(self._span() / max(rows, 1) * _FIRST_ROWS, self.smallest)

    def next(self, size: float) -> str | None:
        """The rows of the next `size` seconds in which there are any."""
        column, step = f"t.{self._column}", f"make_interval(secs => {min(size, _LONGEST):f})"
        row = self._connection.execute(
            f"SELECT low::text, least({self._cutoff}, (low + {step})::{self._type})::text"  # noqa: S608
            f" FROM (SELECT {column} AS low FROM ONLY {self._relation} AS t"
            f" WHERE {column} {self._begin} {self._low} AND {column} < {self._cutoff}"
            f" ORDER BY {column} LIMIT 1) AS first".encode()
        ).fetchone()
        if row is None:
            return None
        low, self._high = (f"{literal(str(value))}::{self._type}" for value in row)
        return f"t.{self._column} >= {low} AND t.{self._column} < {self._high}"

    def done(self) -> None:
        """Go on with the moment at which the last part ended."""
        self._begin, self._low = ">=", self._high

    def _span(self) -> float:
        """Seconds from the oldest row to the cutoff."""
        row = self._connection.execute(
            f"SELECT extract(epoch FROM {self._cutoff})"  # noqa: S608
            f" - extract(epoch FROM min(t.{self._column}))"
            f" FROM ONLY {self._relation} AS t WHERE t.{self._column} > '-infinity'".encode()
        ).fetchone()
        return max(float(str(row[0])), 0.0) if row and row[0] is not None else 0.0


class ByBlocks:
    """Parts by ranges of blocks; what arrives behind the last block is left for another run."""

    name = "block ranges"
    size = 64.0
    smallest = 1.0

    def __init__(self, connection: Connection, relation: str) -> None:
        row = connection.execute(
            "SELECT pg_catalog.pg_relation_size(%s::regclass)"
            " / pg_catalog.current_setting('block_size')::bigint",
            (relation,),
        ).fetchone()
        assert row is not None
        self._end = int(str(row[0]))
        self._low = self._high = 0
        # A range of ctids is read as such from PostgreSQL 14 on.
        self._has_range_scan = connection.info.server_version >= 140_000

    def next(self, size: float) -> str | None:
        """The rows of the next `size` blocks."""
        if self._low >= self._end:
            return None
        self._high = min(self._low + max(int(size), 1), self._end)
        if self._has_range_scan:
            return f"t.ctid >= '({self._low},0)' AND t.ctid < '({self._high},0)'"
        blocks = f"generate_series({self._low}, {self._high - 1}) AS block"
        places = f"generate_series(1, {_ROWS_IN_BLOCK}) AS place"
        tids = f"SELECT ('(' || block || ',' || place || ')')::tid FROM {blocks}, {places}"  # noqa: S608
        return f"t.ctid = ANY (ARRAY({tids}))"

    def done(self) -> None:
        """Go on with the block behind the last part."""
        self._low = self._high


def cut(connection: Connection, relation: str, target: Target) -> tuple[Parts, int]:
    """How a table is best cut into parts, and how many rows are due by the planner's estimate.

    Args:
        relation: the table, or a partition of it, as SQL.
    """
    query = f"SELECT t.ctid FROM ONLY {relation} AS t WHERE {target.due('t')}"  # noqa: S608
    blocks = _plan(connection, query, by_index=False)
    rows = int(blocks["Plan Rows"])
    if target.indexed:
        index = _plan(connection, query, by_index=True)
        if index["Total Cost"] < blocks["Total Cost"]:
            return ByTime(connection, relation, target, rows), rows
    return ByBlocks(connection, relation), rows


def _plan(connection: Connection, query: str, *, by_index: bool) -> dict[str, Any]:
    """The planner's plan for a query, with indexes or without."""
    enabled = "on" if by_index else "off"
    with connection.transaction():
        connection.execute(
            f"SET LOCAL enable_indexscan = {enabled}; SET LOCAL enable_bitmapscan = {enabled};"
            f" SET LOCAL enable_seqscan = {'off' if by_index else 'on'};"
            " SET LOCAL max_parallel_workers_per_gather = 0".encode()
        )
        row = connection.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]  # type: ignore[index]
    return plan
