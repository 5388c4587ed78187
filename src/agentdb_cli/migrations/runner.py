"""Applying what is pending: one run at a time, one transaction and round trip a file."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import history, plan
from agentdb_cli.migrations.failure import Place, explain
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.plan import Entry
from agentdb_cli.migrations.prepare import Prepared, prepare
from agentdb_cli.migrations.variables import identifier
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_LOCK_CLASS = 0x61676462  # "agdb": tells our advisory locks from an application's
_FIRST_POLL, _LONGEST_POLL = 0.02, 0.5  # seconds
_TELL_AFTER = 1.0  # seconds of waiting before saying so


@dataclass(frozen=True, slots=True)
class Done:
    """One file that this run has applied; `seconds` is the time it took."""

    file: MigrationFile
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run reports while it goes on."""

    applied: Callable[[Done], None] = lambda _: None
    notice: Callable[[str], None] = lambda _: None
    warning: Callable[[str], None] = lambda _: None


def status(connection: Connection, job: Job) -> tuple[Entry, ...]:
    """Every migration of the job with its state, by version.

    Raises:
        MigrationError: the history cannot be read.
    """
    return plan.compare(job.directory, history.read(connection, job.table, job.pack))


def check(connection: Connection, job: Job, progress: Progress) -> tuple[Prepared, ...]:
    """What is pending, ready to be sent; nothing is changed.

    Raises:
        MigrationError: files and history contradict each other, a file
            cannot work, or the server lacks an extension that a file needs.
    """
    entries = status(connection, job)
    _warn(entries, job, progress)
    prepared = tuple(prepare(f, job.variables) for f in plan.pending(entries, job.tolerance))
    return _with_extensions(connection, prepared, job, progress)


def migrate(connection: Connection, job: Job, progress: Progress) -> list[Done]:
    """Apply what is pending, in order.

    Args:
        connection: in autocommit mode, used by nothing else meanwhile.

    Returns:
        The files that this run has applied; none if another run was faster.

    Raises:
        MigrationError: as `check`; or a file failed, in which case nothing of
            it is kept and those before it stay applied; or another run held
            the lock for too long.
    """
    prepared = check(connection, job, progress)
    if not prepared:
        return []
    done: list[Done] = []
    with _notices(connection, progress), _only_runner(connection, job, progress):
        history.create(connection, job.table)
        # Another run may have applied some of it while this one waited.
        now = plan.pending(status(connection, job), job.tolerance)
        left = {file.version for file in now}
        for item in prepared:
            if item.file.version in left:
                done.append(_apply(connection, item, job, len(done)))
                progress.applied(done[-1])
    return done


def _apply(connection: Connection, prepared: Prepared, job: Job, before: int) -> Done:
    opening = _opening(prepared, job)
    prefix = "".join(f"{statement};" for statement in opening)
    message = prefix + prepared.rest(job.table, job.pack)
    started = time.monotonic()
    try:
        results = _send(connection, message)
    except psycopg.OperationalError as error:
        raise MigrationError(
            f"the connection was lost while {prepared.file.label} was applied: {error}",
            hint="agentdb migrate status shows whether the server completed it; "
            "a file is applied as a whole or not at all",
        ) from error
    if results[-1].status == ExecStatus.FATAL_ERROR:
        refusal = psycopg.errors.error_from_result(results[-1])
        if connection.info.transaction_status is TransactionStatus.INERROR:
            connection.execute("ROLLBACK")
        # Not counted: what the opening holds, and the failure itself.
        place = Place(prepared, prefix, len(results) - len(opening) - 1)
        raise explain(refusal, place, before) from refusal
    return Done(prepared.file, time.monotonic() - started)


def _opening(prepared: Prepared, job: Job) -> list[str]:
    """What is sent before a file: its BEGIN, and settings for this transaction alone."""
    statements = [prepared.begin, f"SET LOCAL lock_timeout = {job.lock_timeout}"]
    if job.schema is not None:
        # An extension goes to public, where every other schema finds it too.
        statements.append(f"SET LOCAL search_path = {identifier(job.schema)}, public")
        statements += [
            f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA public"
            for name in prepared.extensions
        ]
    return statements


def _send(connection: Connection, message: str) -> list[Any]:
    """Send several statements in one message; one result for each that was run.

    Not by a cursor, which keeps the failed statement's place in the sequence
    to itself.
    """
    connection.pgconn.send_query(message.encode())
    return connection.wait(generators.execute(connection.pgconn))


def _with_extensions(
    connection: Connection, files: tuple[Prepared, ...], job: Job, progress: Progress
) -> tuple[Prepared, ...]:
    """The files whose extensions the server has; the others are refused, or left out."""
    if not any(p.extensions for p in files):
        return files
    available = available_extensions(connection)
    lacking = [p for p in files if not available.issuperset(p.extensions)]
    for prepared in lacking:
        name = next(name for name in prepared.extensions if name not in available)
        major = connection.info.server_version // 10_000
        problem = (
            f"{prepared.file.label} needs the extension '{name}', "
            f"which this PostgreSQL {major} server does not have"
        )
        if not job.tolerance.unavailable:
            package = {"vector": "pgvector"}.get(name, name)
            raise MigrationError(
                problem,
                hint="install it on the server "
                f"(Debian: apt install postgresql-{major}-{package}), "
                "or leave out what needs it with --skip-unavailable",
            )
        progress.warning(f"left out: {problem}")
    return tuple(p for p in files if p not in lacking)


def available_extensions(connection: Connection) -> set[str]:
    """The names of the extensions that are installed on the server, enabled or not."""
    rows = connection.execute("SELECT name::text FROM pg_available_extensions").fetchall()
    return {str(row[0]) for row in rows}


def _warn(entries: Sequence[Entry], job: Job, progress: Progress) -> None:
    for name in job.directory.ignored:
        progress.warning(f"{job.directory.path / name} is ignored: its name has no number")
    newer = plan.newer_than_files(entries)
    if newer:
        progress.warning(
            f"the database is ahead of these files: a newer release applied {newer[-1].label}"
        )
    for name, label, then, now in plan.changed_variables(entries, job.variables):
        progress.warning(
            f"{name} is {now} now, but was {then} when {label} was applied: "
            "what that file made keeps its value"
        )


# --- One run at a time ---------------------------------------------------------


@contextmanager
def _only_runner(connection: Connection, job: Job, progress: Progress) -> Iterator[None]:
    """Hold the advisory lock of the job's tracking table.

    The lock is polled, never waited for: a session blocked in
    pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY in the
    session that has the lock would wait for it for ever.
    """
    key = (_LOCK_CLASS, zlib.crc32(str(job.table).encode()))
    started = time.monotonic()
    poll, told = _FIRST_POLL, False
    while not _try_lock(connection, key):
        waited = time.monotonic() - started
        if waited * 1000 >= job.lock_wait:
            raise MigrationError(
                f"another migration run did not finish within {job.lock_wait / 1000:g} s: "
                + _holder(connection, key),
                hint="wait for it, or end it with SELECT pg_terminate_backend(pid); "
                "--lock-wait sets how long to wait",
            )
        if waited >= _TELL_AFTER and not told:
            progress.notice(f"waiting for another migration run: {_holder(connection, key)}")
            told = True
        time.sleep(poll * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, no secret)
        poll = min(poll * 1.5, _LONGEST_POLL)
    try:
        yield
    finally:
        if not connection.closed and not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", _signed(key))


def _try_lock(connection: Connection, key: tuple[int, int]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _signed(key)).fetchone()
    return row is not None and bool(row[0])


def _signed(key: tuple[int, int]) -> tuple[int, int]:
    """The key as PostgreSQL's two signed 32-bit integers."""
    return key[0], key[1] - 2**32 if key[1] >= 2**31 else key[1]


def _holder(connection: Connection, key: tuple[int, int]) -> str:
    text = query("history/lock_holder").replace(":classid", str(key[0]))
    row = connection.execute(text.replace(":objid", str(key[1])).encode()).fetchone()
    if row is None:
        return "it has just ended"
    pid, application, user, host, since = row
    return f"pid {pid} ({application}, {user}@{host}), connected since {since:%Y-%m-%d %H:%M:%S %Z}"


@contextmanager
def _notices(connection: Connection, progress: Progress) -> Iterator[None]:
    """Pass on what the files RAISE, but not the server's "already exists, skipping"."""

    def handle(diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if diagnostic.severity_nonlocalized == "WARNING":
            progress.warning(f"from the server: {text}")
        elif diagnostic.source_function == "exec_stmt_raise":  # PL/pgSQL's RAISE
            progress.notice(f"from the server: {text}")

    connection.add_notice_handler(handle)
    try:
        yield
    finally:
        connection.remove_notice_handler(handle)
