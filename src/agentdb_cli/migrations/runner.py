"""Applying what is pending: one run at a time, one transaction and round trip a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import history, plan
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.plan import Entry
from agentdb_cli.postgres.connect import Connection

if TYPE_CHECKING:
    from agentdb_cli.migrations.apply import Applier, Done
    from agentdb_cli.migrations.prepare import Prepared
    from agentdb_cli.migrations.unfinished import Unfinished

# What only a run with something to do needs is imported where it is needed:
# most runs find nothing pending, and should end at once.


class Progress(NamedTuple):
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
    applied = history.read(connection, job.table, job.pack)
    if plan.is_nothing_to_do(job.directory, applied):
        _warn((), job, progress)
        return ()
    entries = plan.compare(job.directory, applied)
    _warn(entries, job, progress)
    pending = plan.pending(entries, job.tolerance)
    if not pending:
        return ()
    from agentdb_cli.migrations import foreign
    from agentdb_cli.migrations.prepare import prepare

    foreign.recognise(job.directory)  # which refuses what is written for two tools
    prepared = tuple(prepare(file, job.variables) for file in pending)
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
    from agentdb_cli.migrations.apply import Applier
    from agentdb_cli.migrations.blockers import Watch
    from agentdb_cli.migrations.lock import only_run

    with (
        notices(connection, progress),
        only_run(connection, job, progress.notice) as turn,
        closing(Watch(connection, turn.name)) as watch,
    ):
        if not turn.held:
            refuse_steps(connection, prepared)
        with turn.guarded():
            begun_before = history.create(connection, job.table)
        known = _unfinished(connection, job) if begun_before else {}
        # Another run may have applied some of it while this one waited.
        now = plan.pending(status(connection, job), job.tolerance)
        left = {file.version for file in now}
        applier = Applier(connection, job, turn, watch, progress.notice)
        mine = [(item.file.label, item) for item in prepared if item.file.version in left]
        return apply_each(applier, mine, known, progress)


def apply_each(
    applier: Applier,
    items: Iterable[tuple[str, Prepared]],
    known: Mapping[int, Unfinished],
    progress: Progress,
) -> list[Done]:
    """Apply files, or undo them, in this order.

    Args:
        items: each with what messages call it.
        known: how far runs have come that were broken off, by version.

    Returns:
        Those that this run has completed, not those in which another was faster.
    """
    done: list[Done] = []
    for label, item in items:
        try:
            result = apply_one(applier, item, known.get(item.file.version))
        except KeyboardInterrupt:
            progress.warning(f"interrupted in {label}: see agentdb migrate status")
            raise
        if result is not None:
            done.append(result)
            applier.before = len(done)
            progress.applied(result)
    return done


def apply_one(applier: Applier, item: Prepared, known: Unfinished | None) -> Done | None:
    """Apply one file, or undo one, the way it wants to be.

    Args:
        known: how far a run has come that was broken off.

    Returns:
        None if another run was faster.

    Raises:
        MigrationError: it failed, or the connection was lost.
    """
    if item.steps:
        from agentdb_cli.migrations import stepwise

        return stepwise.apply(applier, item, known)
    if known is not None:
        from agentdb_cli.migrations.prepare import NO_TRANSACTION

        raise MigrationError(
            f"{item.file.path} was begun without a transaction and is not done, "
            f"but has no {NO_TRANSACTION} any more",
            hint="put it back above its first statement",
        )
    return applier.apply(item)


def _unfinished(connection: Connection, job: Job) -> dict[int, Unfinished]:
    from agentdb_cli.migrations import unfinished

    return unfinished.read(connection, job)


def refuse_steps(connection: Connection, files: Sequence[Prepared]) -> None:
    """Refuse what needs a session of its own behind a pooler."""
    stepwise = next((item for item in files if item.steps), None)
    if stepwise is not None:
        row = connection.execute("SELECT pg_catalog.current_setting('port')").fetchone()
        port = row[0] if row else "5432"
        raise MigrationError(
            f"{stepwise.file.label} runs without a transaction, which a pooler in between "
            "does not allow",
            hint=f"connect to the server itself: it listens on port {port}, "
            f"the pooler on {connection.info.port}",
        )


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


@contextmanager
def notices(connection: Connection, progress: Progress) -> Iterator[None]:
    """Pass on what the files RAISE, but not the server's "already exists, skipping"."""

    def handle(diagnostic: psycopg.errors.Diagnostic) -> None:
        text = diagnostic.message_primary or ""
        if diagnostic.message_hint:
            text += f" ({diagnostic.message_hint})"
        if diagnostic.severity_nonlocalized == "WARNING":
            progress.warning(f"from the server: {text}")
        elif diagnostic.source_function == "exec_stmt_raise":  # PL/pgSQL's RAISE
            progress.notice(f"from the server: {text}")

    connection.add_notice_handler(handle)
    try:
        yield
    finally:
        connection.remove_notice_handler(handle)
