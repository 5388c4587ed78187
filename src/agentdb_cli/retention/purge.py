"""`agentdb purge`: all tables with a policy, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import advisory
from agentdb_cli.postgres.connect import Connection, is_pooled
from agentdb_cli.retention.drops import PartitionPurge
from agentdb_cli.retention.load import Load
from agentdb_cli.retention.outcome import Budget, Options, Outcome, Stopped
from agentdb_cli.retention.partitions import by_cutoff, leaves, partitions
from agentdb_cli.retention.rows import RowPurge
from agentdb_cli.retention.saving import Saving
from agentdb_cli.retention.targets import Target

_LOCK = "purge"


@dataclass(frozen=True, slots=True)
class Calls:
    """What a purge tells while it runs.

    Attributes:
        progress: called after each step with the table's outcome so far.
        notice: called with a line for people.
        stop: says why to stop, or None to go on.
    """

    progress: Callable[[Outcome], None]
    notice: Callable[[str], None]
    stop: Callable[[], str | None]


@contextmanager
def only_purge(connection: Connection, another: Callable[[], Connection]) -> Iterator[str | None]:
    """Hold the lock of purges in this database; gives None, or who has it already.

    Args:
        another: opens a further connection. Behind a pooler a session keeps no lock, so
            it is held by a transaction there, which has no snapshot and so is in nobody's way.
    """
    if is_pooled(connection):
        with another() as holder, holder.transaction():
            holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            mine = advisory.try_lock(holder, _LOCK, for_transaction=True)
            yield None if mine else advisory.holder(holder, _LOCK)
        return
    if not advisory.try_lock(connection, _LOCK):
        yield advisory.holder(connection, _LOCK)
        return
    try:
        yield None
    finally:
        advisory.unlock(connection, _LOCK)


def purge(
    connection: Connection, targets: Sequence[Target], options: Options, calls: Calls
) -> Iterator[Outcome]:
    """Delete what is past its time, table by table.

    A table that fails does not keep the others from being purged.

    Args:
        connection: in autocommit mode.
        targets: from `targets.examine`, in its order.

    Yields:
        What became of each table.
    """
    budget = Budget(options, calls.stop)
    for target in targets:
        outcome = Outcome(target)
        load = Load(connection, options.limits, calls.notice)
        begun = time.monotonic()
        try:
            budget.check()
            _table(connection, outcome, budget, load, calls)
        except Stopped as reason:
            outcome.left = str(reason)
        except AgentdbError as error:
            outcome.problem = error.message
        except psycopg.Error as error:
            if connection.closed:
                raise
            outcome.problem = error.diag.message_primary or str(error).strip()
        outcome.seconds = time.monotonic() - begun
        outcome.waited = load.waited
        yield outcome


def _table(
    connection: Connection, outcome: Outcome, budget: Budget, load: Load, calls: Calls
) -> None:
    target = outcome.target
    saving = Saving.open(connection, target, calls.notice)
    archive = saving.archive if saving is not None else None
    try:
        rows = RowPurge(connection, outcome, budget, load, saving, calls.progress)
        if target.strategy is None:
            rows.run(target.quoted, target.oid)
        elif not target.by_time:
            for leaf in leaves(connection, target.oid):
                rows.run(*leaf)
        else:
            drops = PartitionPurge(connection, outcome, budget, archive, calls.progress)
            _partitioned(connection, rows, drops)
    finally:
        if saving is not None:
            saving.close()


def _partitioned(connection: Connection, rows: RowPurge, drops: PartitionPurge) -> None:
    """Whole partitions first, since that is quick; then rows of those that straddle the cutoff."""
    target = rows.outcome.target
    found = partitions(connection, target.oid)
    past, straddling = by_cutoff(connection, target, found)
    has_default = any(partition.is_default for partition in found)
    if target.droppable:
        drops.run(past, has_default=has_default)
    else:
        straddling = (*past, *straddling)
    for partition in straddling:
        for leaf in leaves(connection, partition.oid):
            rows.run(*leaf)
    if not target.droppable:
        drops.run_empty(past)
