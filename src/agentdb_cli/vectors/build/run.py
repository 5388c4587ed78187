"""Building an index while others go on working; what a failed build leaves is dropped at once."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import partial

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import holders, waits
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.locks import AT_MOST, patiently
from agentdb_cli.postgres.progress import Report, Step, watch
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.workers import ended_like_interrupted, run_all, several
from agentdb_cli.vectors.build.plan import Settings, quoted
from agentdb_cli.vectors.build.work import Work


def perform(
    connection: Connection,
    works: Sequence[Work],
    settings: Settings | None,
    report: Report,
    *,
    lock_timeout: int,
    wait: int,
) -> float:
    """Run statements one after the other, in a session of their own.

    Args:
        settings: of that session; None for the server's.
        lock_timeout: milliseconds to wait until nobody works on a table, 0 for ever.
        wait: milliseconds to wait for a transaction that is older than a build, 0 for ever.

    Returns:
        The seconds that it took.

    Raises:
        AgentdbError: one failed; what it left was dropped, or is named.
        KeyboardInterrupt: what ran was cancelled, and what it left dropped.
    """
    started = time.monotonic()
    builds = "REINDEX" if works[0].statement.startswith("REINDEX") else "CREATE INDEX"
    names = {work.table: work.index for work in works if work.builds}
    with (
        ended_like_interrupted(),
        several(connection, 1, wait, report.warning) as (workers, watcher),
    ):
        for statement in settings.statements() if settings else ():
            workers[0].execute(statement.encode())
        begun: list[Work] = []
        do = partial(_do, begun=begun, report=report, lock_timeout=lock_timeout)
        tick = watch(watcher, names, report, builds)
        try:
            run_all(
                works, do, workers, finished=lambda work: report.finished(work.index), tick=tick
            )
        except KeyboardInterrupt:
            for line in _cleaned(connection, begun):
                report.warning(line)
            raise
        except AgentdbError as error:
            cleaned = _cleaned(connection, begun)
            message = "; ".join([error.message, *cleaned])
            raise AgentdbError(message, hint=error.hint) from None
    return time.monotonic() - started


def _do(
    connection: Connection, work: Work, begun: list[Work], report: Report, lock_timeout: int
) -> Work:
    """Run one statement.

    Raises:
        AgentdbError: it failed.
    """

    def heard(diagnostic: psycopg.errors.Diagnostic) -> None:
        hint = f" ({diagnostic.message_hint})" if diagnostic.message_hint else ""
        report.warning(f"{work.index}: {diagnostic.message_primary}{hint}")

    report.started(work.index)
    connection.add_notice_handler(heard)
    try:
        if not work.builds:
            begun.append(work)
            _shortly(connection, work, lock_timeout)
            return work
        busy = waits.stays_busy(
            connection,
            work.table,
            lock_timeout,
            lambda who: report.step(work.index, Step(f"waiting for {who}", 0, 0)),
        )
        if busy:
            raise AgentdbError(
                f"{work.index}: its table is {busy}",
                hint="run again when they have ended; --lock-timeout sets how long to wait",
            )
        begun.append(work)
        connection.execute(work.statement.encode())
    except psycopg.errors.LockNotAvailable:
        raise AgentdbError(
            f"{work.index}: {waits.awaited(connection, work.table)}",
            hint="run again when they have ended; --wait sets how long to wait",
        ) from None
    except psycopg.Error as error:
        raise _failure(work, error) from None
    finally:
        connection.remove_notice_handler(heard)
    return work


def _shortly(connection: Connection, work: Work, lock_timeout: int) -> None:
    """Run a statement that locks everybody out for a moment, once its lock is to be had."""

    def attempt() -> None:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {AT_MOST}".encode())
            connection.execute(work.statement.encode())

    def given_up(_: Exception) -> AgentdbError:
        who = holders.locked_by(connection, work.table, exclusive=True)
        return AgentdbError(
            f"{work.index}: its table is {who}",
            hint="run again when they have ended; --lock-timeout sets how long to wait",
        )

    patiently(attempt, lock_timeout, given_up)


def _failure(work: Work, error: psycopg.Error) -> AgentdbError:
    said = error.diag.message_primary or str(error).strip()
    more = f": {error.diag.message_detail.rstrip('.')}" if error.diag.message_detail else ""
    hint = error.diag.message_hint
    if "shared memory segment" in said:
        hint = "--workers 0 builds with one process, which needs no shared memory"
    elif "maintenance_work_mem" in said:
        hint = "--memory gives the build more"
    return AgentdbError(f"{work.index}: {said}{more}", hint=hint)


def _cleaned(connection: Connection, begun: Sequence[Work]) -> list[str]:
    """Drop what unfinished statements left, as far as it is certain that they did: by name.

    Returns:
        What there is to say of it.
    """
    said: list[str] = []
    for work in reversed(begun):  # the parts that are not attached yet before their whole
        try:
            rows = connection.execute(query("catalog/invalid").encode(), (work.table,)).fetchall()
        except psycopg.Error as error:
            return [f"whether an invalid index is left could not be seen: {error}".strip()]
        for _, found, _ in rows:
            if _left_by(work, str(found)):
                said.append(_dropped(connection, work, str(found)))
    parted = [work for work in begun if work.makes and not work.builds]
    made = [work for work in begun if work.makes and work.builds]
    if not parted:
        ready = [w for w in made if _there(connection, w, valid=True)]
        return said + [
            f"{quoted(w.schema, w.index)} is ready and in use under that name" for w in ready
        ]
    if said:  # the whole is gone, and with it the parts that were attached
        for work in made:
            if _there(connection, work):
                said.append(_dropped(connection, work, quoted(work.schema, work.index)))
    return said


def _left_by(work: Work, name: str) -> bool:
    """Whether an invalid index is one that a statement makes: by its name, or as REINDEX's own."""
    bare = name.rpartition(".")[2].strip('"').replace('""', '"')
    if work.makes:
        return bare == work.index
    cut = re.escape(work.index[:40])
    return work.builds and re.match(rf"{cut}.*_cc(new|old)\d*$", bare) is not None


def _there(connection: Connection, work: Work, *, valid: bool = False) -> bool:
    """Whether its index is there, and of use if it has to be."""
    row = connection.execute(
        "SELECT i.indisvalid FROM pg_catalog.pg_index AS i"
        " WHERE i.indexrelid = pg_catalog.to_regclass(%s)",
        (quoted(work.schema, work.index),),
    ).fetchone()
    return row is not None and (not valid or bool(row[0]))


def _dropped(connection: Connection, work: Work, name: str) -> str:
    try:
        connection.execute(f"DROP INDEX {'CONCURRENTLY ' if work.builds else ''}{name}".encode())
    except psycopg.Error as error:
        why = (error.diag.message_primary or str(error)).strip()
        return (
            f"the unfinished index {name} is left and could not be dropped ({why}):"
            " agentdb vectors index create drops it first"
        )
    return f"the unfinished index {name} was dropped"
