"""Deleting rows of a table, or of one partition, in short transactions.

Each transaction is sized so that it takes about a tenth of a second, waits a
moment at most for a lock, and is broken off by the server before it has held
anybody up for a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import holders, locks
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.retention.batches import Parts, cut
from agentdb_cli.retention.deletion import Deletion
from agentdb_cli.retention.load import Load
from agentdb_cli.retention.outcome import Budget, Outcome
from agentdb_cli.retention.saving import Saving

_AIM = 0.1
"""Seconds that one transaction should take."""

_AT_MOST = 900
"""Milliseconds after which the server breaks a transaction off."""

_FEW = 500
"""Rows of a batch where a part takes too long and cannot be cut further."""


@dataclass
class RowPurge:
    """Deletes the rows of one table that are past their time.

    Attributes:
        saving: the archives that the rows leave into, or None.
        report: called after each batch.
    """

    connection: Connection
    outcome: Outcome
    budget: Budget
    load: Load
    saving: Saving | None
    report: Callable[[Outcome], None]

    def run(self, relation: str, oid: int) -> None:
        """Delete from a table or partition (as SQL, and its oid).

        Raises:
            Stopped: the budget is used up, or somebody asked to stop.
            AgentdbError: a lock was not to be had.
            psycopg.Error: the server refused a batch.
        """
        target = self.outcome.target
        parts, expected = cut(self.connection, relation, target)
        self.outcome.by(parts.name)
        self.outcome.expected += expected
        deletion = Deletion(target, relation, archived=self.saving is not None)
        before, each = self.outcome.rows, self._bytes_a_row(oid)
        try:
            while self._pass(deletion, parts, oid) and target.refers_to_itself:
                # Rows that others of the same table referred to may be free now.
                parts, _ = cut(self.connection, relation, target)
        finally:
            self.outcome.bytes += round(each * (self.outcome.rows - before))

    def _bytes_a_row(self, oid: int) -> float:
        """What a row takes with its index entries, on average; 0 if nobody has counted them."""
        row = self.connection.execute(
            "SELECT (pg_catalog.pg_total_relation_size(oid) / reltuples)::float8"
            " FROM pg_catalog.pg_class WHERE oid = %s::bigint::oid AND reltuples > 0",
            (oid,),
        ).fetchone()
        return float(str(row[0])) if row else 0.0

    def _pass(self, deletion: Deletion, parts: Parts, oid: int) -> int:
        """Go through the table once; how many rows went."""
        before, size = self.outcome.rows, parts.size
        while True:
            self.budget.check()
            self.load.make_way(lambda: self.budget.reason() is not None)
            self.budget.check()
            part = parts.next(size)
            if part is None:
                return self.outcome.rows - before
            begun = time.monotonic()
            try:
                self._part(deletion, part, oid)
            except psycopg.errors.QueryCanceled:
                if time.monotonic() - begun < _AT_MOST / 1000 * 0.9:
                    raise AgentdbError(
                        f"a batch of {deletion.target.name} was cancelled by another session"
                    ) from None
                if size > parts.smallest:
                    size = max(size / 8, parts.smallest)
                    continue
                self._few_at_a_time(deletion, part, oid)
            parts.done()
            seconds = max(time.monotonic() - begun, 0.001)
            size = max(size * min(max(_AIM / seconds, 0.25), 2.0), parts.smallest)

    def _part(self, deletion: Deletion, part: str, oid: int) -> None:
        """Delete the rows of one part."""
        limit = self.budget.rows_left
        try:
            self._batch(deletion, part, limit)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            # Somebody has locked a row of it, or the table.
            self._patiently(deletion, part, limit, oid)
            if limit is None:
                self.outcome.skipped += self._remaining(deletion, part)

    def _few_at_a_time(self, deletion: Deletion, part: str, oid: int) -> None:
        """Delete a part that takes too long as a whole and cannot be cut further."""
        while True:
            self.budget.check()
            before = self.outcome.rows
            limit = min(_FEW, self.budget.rows_left or _FEW)
            self._patiently(deletion, part, limit, oid)
            if self.outcome.rows - before < limit:
                return

    def _patiently(self, deletion: Deletion, part: str, limit: int | None, oid: int) -> None:
        """Delete what nobody else has locked, and again while the table itself is locked.

        Raises:
            AgentdbError: it stayed locked for longer than the lock timeout.
        """
        locks.patiently(
            lambda: self._batch(deletion, part, limit, skip_locked=True),
            self.budget.options.lock_timeout,
            lambda _: AgentdbError(
                f"{self.outcome.target.name} is"
                f" {holders.locked_by(self.connection, oid, exclusive=False)}"
            ),
        )

    def _batch(
        self, deletion: Deletion, part: str, limit: int | None, *, skip_locked: bool = False
    ) -> None:
        """Delete in a transaction of its own, into the archive if there is one."""
        if self.saving is None:
            statement = deletion.statement(part, limit=limit, skip_locked=skip_locked)
            # One message, one transaction. If the machine fails, the last moments of a purge
            # may be lost: those rows are deleted by the next one.
            cursor = self.connection.execute(
                f"{_limits()}; SET LOCAL synchronous_commit = off; {statement}".encode()
            )
            while cursor.nextset():
                pass
            rows = max(cursor.rowcount, 0)
        else:
            rows, along = self.saving.delete(
                self.connection, deletion, part, _limits(), limit=limit, skip_locked=skip_locked
            )
            self.outcome.archived += rows + along
        self.outcome.rows += rows
        self.outcome.batches += 1
        self.budget.rows += rows
        self.report(self.outcome)

    def _remaining(self, deletion: Deletion, part: str) -> int:
        row = self.connection.execute(deletion.count(part).encode()).fetchone()
        return int(str(row[0])) if row else 0


def _limits() -> str:
    """What keeps a batch from holding anybody up, and the planner from compiling it."""
    return (
        f"SET LOCAL lock_timeout = {locks.AT_MOST}; SET LOCAL statement_timeout = {_AT_MOST};"
        " SET LOCAL jit = off"
    )
