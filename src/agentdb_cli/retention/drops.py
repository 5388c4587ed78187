"""Partitions past their time leave as a whole.

Dropping a partition locks its parent ACCESS EXCLUSIVE for a moment, and all
who come meanwhile queue behind. Where PostgreSQL can, it is therefore detached
CONCURRENTLY first, which holds nobody up. It cannot before 14, and not while
the table has a default partition: there the lock is asked for again and again,
a fifth of a second at a time.

Between the two a partition stands alone. A mark in its comment tells the next
purge, should this one be killed, that it was on its way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import holders, locks
from agentdb_cli.postgres.connect import Connection, is_pooled
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified, literal
from agentdb_cli.retention.outcome import Budget, Outcome
from agentdb_cli.retention.partitions import Partition

if TYPE_CHECKING:
    from agentdb_cli.retention.archive import Archive

_AT_ONCE = 8
"""Partitions that are dropped in one transaction: some 20 ms, and one flush to disk."""


@dataclass(frozen=True, slots=True)
class Detached(Qualified):
    """A table that was a partition."""

    oid: int
    schema: str
    relation: str


@dataclass
class PartitionPurge:
    """Takes whole partitions of one table away.

    Attributes:
        archive: where their rows leave to, or None.
        report: called after each step.
    """

    connection: Connection
    outcome: Outcome
    budget: Budget
    archive: Archive | None
    report: Callable[[Outcome], None]

    def run(self, past: Sequence[Partition], *, has_default: bool) -> None:
        """Detach, archive and drop partitions.

        Args:
            past: partitions whose rows are all past their time.

        Raises:
            Stopped: the budget is used up, or somebody asked to stop.
            AgentdbError: a lock was not to be had.
        """
        self._finish_earlier()
        # Behind a pooler there is no lock_timeout for a statement outside a transaction.
        concurrently = (
            not has_default
            and self.connection.info.server_version >= 140_000
            and not is_pooled(self.connection)
        )
        keep = self.budget.options.keep_detached
        at_once = _AT_ONCE if self.archive is None else 1
        for begin in range(0, len(past), at_once):
            self.budget.check()
            group = past[begin : begin + at_once]
            names = ", ".join(partition.quoted for partition in group)
            if self.archive is not None:
                self._detach(group, concurrently=concurrently)
                for partition in group:
                    self._gone(partition, partition.rows if keep else self._archive(partition))
                continue
            if keep or concurrently:
                self._detach(group, concurrently=concurrently)
            if not keep:
                self._locking([f"DROP TABLE {names}"], group[0].oid)
            for partition in group:
                self._gone(partition, partition.rows)

    def run_empty(self, past: Sequence[Partition]) -> None:
        """Drop those of `past` that hold no row any more: their rows were deleted one by one.

        Raises:
            Stopped: the budget is used up, or somebody asked to stop.
            AgentdbError: a lock was not to be had.
        """
        parent = self.outcome.target.quoted
        for partition in past:
            self.budget.check()
            if self.budget.options.keep_detached or not self._empty(partition):
                continue
            # A late row may come in until the parent is locked.
            guard = (
                f"DO $$BEGIN IF EXISTS (SELECT FROM {partition.quoted}) THEN"
                " RAISE SQLSTATE 'AGDB1'; END IF; END$$"
            )
            lock = f"LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"
            detach = f"ALTER TABLE {parent} DETACH PARTITION {partition.quoted}"
            try:
                self._locking(
                    [lock, guard, detach, f"DROP TABLE {partition.quoted}"], partition.oid
                )
            except psycopg.Error as error:
                if error.sqlstate != "AGDB1":
                    raise
                continue
            self._gone(partition, 0)

    def _empty(self, partition: Partition) -> bool:
        row = self.connection.execute(
            f"SELECT NOT EXISTS (SELECT FROM {partition.quoted})".encode()  # noqa: S608
        ).fetchone()
        return row is not None and bool(row[0])

    def _gone(self, partition: Partition, rows: int) -> None:
        outcome = self.outcome
        outcome.by("partitions")
        outcome.partitions.append(partition.name)
        outcome.rows += rows
        outcome.bytes += partition.bytes
        outcome.batches += 1
        self.budget.rows += rows
        self.report(outcome)

    # --- Detaching ------------------------------------------------------------

    @property
    def _mark(self) -> str:
        """What the comment of a partition on its way out ends in."""
        return f"agentdb purge: detached from {self.outcome.target.quoted}, to be dropped"

    def _marking(self, partition: Partition) -> str:
        """A statement that adds the mark to the partition's comment."""
        mark = self._mark
        if self.budget.options.keep_detached:
            mark = mark.replace("to be dropped", "to be kept")
        comment = partition.comment.removesuffix(self._mark).rstrip("\n")
        text = f"{comment}\n{mark}" if comment else mark
        return f"COMMENT ON TABLE {partition.quoted} IS {literal(text)}"

    def _detach(self, group: Sequence[Partition], *, concurrently: bool) -> None:
        parent = self.outcome.target.quoted
        marking = [self._marking(partition) for partition in group]
        detaching = [f"ALTER TABLE {parent} DETACH PARTITION {p.quoted}" for p in group]
        if not concurrently:
            self._locking([*marking, *detaching], group[0].oid)
            return
        # The marks are there first: from then on nothing is lost sight of.
        self._locking(marking, group[0].oid)
        for partition, detach in zip(group, detaching, strict=True):
            how = "FINALIZE" if partition.detach_pending else "CONCURRENTLY"
            try:
                self.connection.execute(f"{detach} {how}".encode())
            except psycopg.errors.LockNotAvailable:
                raise self._locked(partition.oid) from None

    # --- Dropping -------------------------------------------------------------

    def _finish_earlier(self) -> None:
        """Drop what an earlier purge detached and was kept from dropping."""
        text = query("retention/detached").replace("$1", literal(self._mark))
        for oid, schema, relation in self.connection.execute(text.encode()).fetchall():
            self.budget.check()
            detached = Detached(int(str(oid)), str(schema), str(relation))
            if self.archive is None:
                self._locking([f"DROP TABLE {detached.quoted}"], detached.oid)
            else:
                self.outcome.rows += self._archive(detached)
            self.outcome.partitions.append(f"{schema}.{relation}")
            self.outcome.by("partitions")

    def _archive(self, detached: Detached | Partition) -> int:
        """Drop a detached partition, once its rows are in the archive.

        Returns:
            How many rows it held.
        """
        assert self.archive is not None
        part = None
        try:
            with self.connection.transaction():
                # Nobody may change it between the copy and the drop.
                self.connection.execute(
                    f"SET LOCAL lock_timeout = {self.budget.options.lock_timeout};"
                    f" LOCK TABLE {detached.quoted} IN ACCESS EXCLUSIVE MODE".encode()
                )
                part = self.archive.write(
                    self.connection,
                    f"SELECT {{row}} FROM {detached.quoted} AS t",  # noqa: S608
                )
                self.connection.execute(
                    f"SET LOCAL lock_timeout = {locks.AT_MOST};"
                    f" DROP TABLE {detached.quoted}".encode()
                )
        except BaseException as error:
            if part is not None:
                self.archive.abort(part)
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise self._locked(detached.oid) from None
            raise
        self.archive.commit(part)
        self.outcome.archived += part.rows
        return part.rows

    # --- Locks ----------------------------------------------------------------

    def _locking(self, statements: Sequence[str], oid: int) -> None:
        """Run statements in one transaction that locks for a moment, as often as it takes.

        Raises:
            AgentdbError: the lock was not to be had within the lock timeout.
        """
        text = "; ".join((f"SET LOCAL lock_timeout = {locks.AT_MOST}", *statements)).encode()
        locks.patiently(
            lambda: self.connection.execute(text),
            self.budget.options.lock_timeout,
            lambda _: self._locked(oid),
            between=self.budget.check,
        )

    def _locked(self, oid: int) -> AgentdbError:
        target = self.outcome.target
        who = [
            holders.locked_by(self.connection, relation, exclusive=True)
            for relation in (oid, target.oid)
            if holders.of_lock(self.connection, relation, exclusive=True)
        ]
        by = who[0] if who else "locked by sessions that have ended meanwhile"
        seconds = self.budget.options.lock_timeout / 1000
        return AgentdbError(
            f"{target.name} is {by}; its partitions were not to be had within {seconds:g} s",
            hint="run it again when those sessions are done, or with a longer --lock-timeout",
        )
