"""VACUUM of chosen tables, and what it has truly done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import psycopg

from agentdb_cli.maintenance.plan import Options, Task
from agentdb_cli.maintenance.states import State
from agentdb_cli.maintenance.tables import FREEZE_SHARE
from agentdb_cli.postgres import holders
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.progress import Report, watch
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.workers import ended_like_interrupted, run_all, several

FULL_TRIES = 3
"""How often VACUUM FULL asks for its lock; while it asks, others queue behind it."""

# Where the server's source writes "skipping …", which it does as a mere warning: it goes on,
# and VACUUM seems to have succeeded. The texts are translated, these names are not.
_SKIPPING = {
    "vacuum_is_relation_owner",
    "vacuum_is_permitted_for_relation",
    "vacuum_open_relation",
    "vacuum_rel",
    "analyze_rel",
}


class _Warning(NamedTuple):
    """A warning of the server, and the function of its source that gave it."""

    source: str | None
    sqlstate: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task. Sizes in bytes with indexes and TOAST; None if never measured."""

    task: Task
    state: State
    seconds: float | None = None
    dead_before: int | None = None
    dead_after: int | None = None
    size_before: int | None = None
    size_after: int | None = None
    detail: str = ""


def run(
    connection: Connection,
    tasks: Sequence[Task],
    options: Options,
    report: Report,
    finished: Callable[[Outcome], None],
    *,
    jobs: int,
    lock_timeout: int,
) -> None:
    """Run all tasks, each worker on one table at a time; partitioned tables after all others.

    Args:
        finished: called with every outcome, also when the run is interrupted.
        jobs: how many connections work at once.
        lock_timeout: milliseconds.

    Raises:
        KeyboardInterrupt: what ran was cancelled.
    """
    names = {oid: t.table.relation for t in tasks for oid in (t.table.oid, t.table.toast) if oid}

    def done(outcome: Outcome) -> None:
        report.finished(outcome.task.table.relation)
        finished(outcome)

    count = min(jobs, len(tasks))
    with (
        ended_like_interrupted(),
        several(connection, count, lock_timeout, report.warning) as (workers, watcher),
    ):
        work = partial(_perform, options=options, report=report)
        for last in (False, True):
            batch = [task for task in tasks if task.table.partitioned is last]
            run_all(batch, work, workers, finished=done, tick=watch(watcher, names, report))


def _perform(connection: Connection, task: Task, options: Options, report: Report) -> Outcome:
    """Run one task, and measure before and after.

    Whatever the server says, this returns an outcome.
    """
    warnings: list[_Warning] = []

    def heard(diagnostic: psycopg.errors.Diagnostic) -> None:
        # Copied, as the diagnostic is empty once this function has returned.
        if diagnostic.severity_nonlocalized == "WARNING":
            said = diagnostic.message_primary or ""
            warnings.append(_Warning(diagnostic.source_function, diagnostic.sqlstate, said))

    started = time.monotonic()
    connection.add_notice_handler(heard)
    try:
        before = _state(connection, task)
        started = time.monotonic()
        report.started(task.table.relation)
        _execute(connection, task, options, report)
        if options.full:
            _vacuum_again(connection, task)
        seconds = time.monotonic() - started
        skipped = [warning for warning in warnings if warning.source in _SKIPPING]
        if skipped:
            return _skipped(connection, task, skipped[0], seconds)
        for warning in warnings:
            report.warning(f"{task.table.relation}: {warning.text}")
        return _judged(connection, task, seconds, before)
    except psycopg.errors.LockNotAvailable:
        detail = holders.locked_by(connection, task.table.oid, exclusive=options.full)
        return Outcome(task, State.locked, time.monotonic() - started, detail=detail)
    except psycopg.errors.QueryCanceled as error:
        detail = error.diag.message_primary or ""
        return Outcome(task, State.interrupted, time.monotonic() - started, detail=detail)
    except psycopg.Error as error:
        detail = error.diag.message_primary or str(error).strip()
        return Outcome(task, State.failed, time.monotonic() - started, detail=detail)
    finally:
        connection.remove_notice_handler(heard)


def _execute(connection: Connection, task: Task, options: Options, report: Report) -> None:
    """Run the statement; VACUUM FULL asks for its lock again if it does not get it."""
    for attempt in range(1, FULL_TRIES + 1):
        try:
            connection.execute(task.statement.encode())
            return
        except psycopg.errors.LockNotAvailable:
            if not options.full or attempt == FULL_TRIES:
                raise
            who = holders.locked_by(connection, task.table.oid, exclusive=True)
            report.notice(
                f"{task.table.relation} is {who}; trying again ({attempt + 1} of {FULL_TRIES})"
            )
            # Whoever queued behind us goes first. On the server, so that Ctrl-C ends it too.
            connection.execute("SELECT pg_catalog.pg_sleep(%s)", (2 * attempt,))


def _vacuum_again(connection: Connection, task: Task) -> None:
    """After VACUUM FULL, a plain one.

    A rewritten table has no visibility map, without which there are no index-only scans; and
    the statistics count its dead rows as before. There is little left to read by then.
    """
    if not task.table.partitioned:
        connection.execute(f"VACUUM (TRUNCATE false) {task.table.relation}".encode())


_State = tuple[int, int, int, int]
"""Dead rows, transaction age, multixact age, bytes."""


def _state(connection: Connection, task: Task) -> _State:
    row = connection.execute(query("maintenance/state").encode(), (task.table.oid,)).fetchone()
    if row is None:
        raise psycopg.errors.UndefinedTable("the table has been dropped meanwhile")
    dead, xid_age, multixact_age, size = (int(str(value or 0)) for value in row)
    return dead, xid_age, multixact_age, size


def _skipped(connection: Connection, task: Task, warning: _Warning, seconds: float) -> Outcome:
    if warning.sqlstate == psycopg.errors.LockNotAvailable.sqlstate:
        detail = holders.locked_by(connection, task.table.oid, exclusive=False)
        return Outcome(task, State.locked, seconds, detail=detail)
    return Outcome(task, State.failed, seconds, detail=warning.text)


def _judged(connection: Connection, task: Task, seconds: float, before: _State) -> Outcome:
    """Done; or held back, if what called for VACUUM is there still."""
    table = task.table
    after = _state(connection, task)
    dead, xid_age, multixact_age, size = after
    stays = []
    vacuumed = task.statement.startswith("VACUUM")
    if vacuumed and dead:
        stays.append(f"{dead:,} dead rows stay")
    old = max(
        xid_age / (table.freeze_max_age or xid_age or 1),
        multixact_age / (table.multixact_max_age or multixact_age or 1),
    )
    if vacuumed and table.needs_freeze and old >= FREEZE_SHARE:
        stays.append(f"its transaction age stays {xid_age:,}")
    over = dead > (table.dead_threshold or 0) or len(stays) > 1 or (stays and not dead)
    holder = holders.of_horizon(connection) if stays else None
    detail = " and ".join(stays) + (f", needed by {holder}" if holder else "")
    state = State.held_back if stays and over else State.done
    return Outcome(task, state, seconds, before[0], dead, before[3], size, detail)
