"""REINDEX CONCURRENTLY, one index after the other, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import psycopg

from agentdb_cli.maintenance.indexes import Action
from agentdb_cli.maintenance.states import State
from agentdb_cli.postgres import waits
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.progress import Report, Step, watch
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.workers import ended_like_interrupted, run_all, several


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action. Sizes in bytes; None if never measured."""

    action: Action
    state: State
    seconds: float | None = None
    size_before: int | None = None
    size_after: int | None = None
    detail: str = ""


def run(
    connection: Connection,
    actions: Sequence[Action],
    report: Report,
    finished: Callable[[Outcome], None],
    *,
    lock_timeout: int,
    wait: int,
) -> None:
    """Do all actions, one at a time; what a failed one leaves is dropped at once.

    REINDEX CONCURRENTLY waits for transactions that are older than itself, several times, and
    lock_timeout bounds these waits too. As it keeps no reader and no writer away, it may wait
    longer for them than for the table, which somebody else vacuums, alters or indexes.

    Args:
        finished: called with every outcome, also when the run is interrupted.
        lock_timeout: milliseconds to wait until nobody works on the table.
        wait: milliseconds to wait for an older transaction; 0 for ever.

    Raises:
        KeyboardInterrupt: what ran was cancelled.
    """
    with (
        ended_like_interrupted(),
        several(connection, 1, wait, report.warning) as (workers, watcher),
    ):
        for action in actions:
            if workers[0].broken:
                return
            before = {oid for oid, _, _ in _invalid(connection, action.index.table)}

            def done(outcome: Outcome, before: set[int] = before) -> None:
                report.finished(outcome.action.index.name)
                try:
                    cleaned = _cleaned(connection, outcome, before)
                except KeyboardInterrupt:
                    left = (
                        f"{outcome.detail}; an invalid index may be left: agentdb reindex drops it"
                    )
                    finished(replace(outcome, detail=left))
                    raise
                finished(cleaned)

            work = partial(_perform, report=report, lock_timeout=lock_timeout)
            tick = watch(watcher, {action.index.table: action.index.name}, report)
            run_all([action], work, workers, finished=done, tick=tick)


def _perform(connection: Connection, action: Action, report: Report, lock_timeout: int) -> Outcome:
    """Run one action. Whatever the server says, this returns an outcome."""
    index = action.index

    def heard(diagnostic: psycopg.errors.Diagnostic) -> None:
        tell = report.warning if diagnostic.severity_nonlocalized == "WARNING" else report.notice
        hint = f" ({diagnostic.message_hint})" if diagnostic.message_hint else ""
        tell(f"{index.name}: {diagnostic.message_primary}{hint}")

    started = time.monotonic()
    connection.add_notice_handler(heard)
    try:
        report.started(index.name)
        tell = partial(_waiting, report, index.name)
        if busy := waits.stays_busy(connection, index.table, lock_timeout, tell):
            return Outcome(action, State.locked, time.monotonic() - started, detail=busy)
        if action.drop and not _still_invalid(connection, action):
            return Outcome(action, State.done, detail="somebody else has dropped it")
        before = None if action.drop else _size(connection, index.oid)
        connection.execute(action.statement.encode())
        seconds = time.monotonic() - started
        after = None if action.drop else _size_of(connection, index.name)
        return Outcome(action, State.done, seconds, before or index.size, after)
    except psycopg.errors.LockNotAvailable:
        return Outcome(
            action,
            State.locked,
            time.monotonic() - started,
            detail=waits.awaited(connection, index.table),
        )
    except psycopg.errors.QueryCanceled as error:
        detail = error.diag.message_primary or ""
        return Outcome(action, State.interrupted, time.monotonic() - started, detail=detail)
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        more = (error.diag.message_detail or "").rstrip(".")
        detail = f"{said}: {more}" if more else said
        return Outcome(action, State.failed, time.monotonic() - started, detail=detail)
    finally:
        connection.remove_notice_handler(heard)


def _waiting(report: Report, name: str, who: str) -> None:
    report.step(name, Step(f"waiting for {who}", 0, 0))


def _cleaned(connection: Connection, outcome: Outcome, before: set[int]) -> Outcome:
    """Drop what a failed REINDEX left, and say so in its detail."""
    if outcome.state is State.done or outcome.action.drop:
        return outcome
    details = [outcome.detail] if outcome.detail else []
    try:
        left = [
            (oid, name)
            for oid, name, leftover in _invalid(connection, outcome.action.index.table)
            if leftover and oid not in before
        ]
    except psycopg.Error as error:
        details.append(f"whether an invalid index is left could not be seen: {error}".strip())
        left = []
    for _, name in left:
        try:
            connection.execute(f"DROP INDEX CONCURRENTLY {name}".encode())
            details.append(f"dropped {name}, which it left")
        except psycopg.Error as error:
            rebuilt = "the rebuilt index is in use, but " if "_ccold" in name else ""
            details.append(
                f"{rebuilt}{name} is left and could not be dropped "
                f"({error.diag.message_primary or error}): agentdb reindex {name} drops it"
            )
    return replace(outcome, detail="; ".join(details))


def _invalid(connection: Connection, table: int) -> list[tuple[int, str, bool]]:
    rows = connection.execute(query("catalog/invalid").encode(), (table,)).fetchall()
    return [(int(str(oid)), str(name), bool(leftover)) for oid, name, leftover in rows]


def _still_invalid(connection: Connection, action: Action) -> bool:
    index = action.index
    return (index.oid, index.name) in [
        (oid, name) for oid, name, _ in _invalid(connection, index.table)
    ]


def _size(connection: Connection, oid: int) -> int | None:
    row = connection.execute("SELECT pg_catalog.pg_relation_size(%s::oid)", (oid,)).fetchone()
    return int(str(row[0])) if row and row[0] is not None else None


def _size_of(connection: Connection, name: str) -> int | None:
    """The size by name: a rebuilt index has its name from the old one, and an OID of its own."""
    row = connection.execute(
        "SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass(%s))", (name,)
    ).fetchone()
    return int(str(row[0])) if row and row[0] is not None else None
