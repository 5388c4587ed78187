"""`agentdb migrate`: apply numbered SQL migrations, and show where they stand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate import (
    adopt,
    baseline,
    down,
    dump,
    lint,
    new,
    plan,
    resume,
    verify,
)
from agentdb_cli.commands.migrate.options import (
    AllowChanged,
    AllowMissing,
    Directory,
    DryRun,
    LockRetries,
    LockRetryTime,
    LockWait,
    OutOfOrder,
    SkipUnavailable,
    Variables,
    job_of,
    progress_of,
)
from agentdb_cli.commands.registration import by_default, register
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.migrations import unfinished
    from agentdb_cli.migrations.apply import Done
    from agentdb_cli.migrations.history import Details
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.migrations.plan import Entry
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False, invoke_without_command=True)


def up(
    run: Invocation,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: DryRun = False,
    lock_wait: LockWait = None,
    lock_retries: LockRetries = None,
    lock_retry_time: LockRetryTime = None,
    allow_changed: AllowChanged = False,
    allow_missing: AllowMissing = False,
    out_of_order: OutOfOrder = False,
    skip_unavailable: SkipUnavailable = False,
) -> None:
    """Apply what is pending (the same as plain `agentdb migrate`)."""
    from dataclasses import replace

    from agentdb_cli.migrations import runner
    from agentdb_cli.migrations.plan import Tolerance
    from agentdb_cli.postgres.connect import place

    job = job_of(run, directory, variables, lock_wait, lock_retries, lock_retry_time)
    tolerance = Tolerance(allow_changed, out_of_order, allow_missing, skip_unavailable)
    job = replace(job, tolerance=tolerance)
    started = time.monotonic()
    with run.connect() as connection:
        where = place(connection)
        if dry_run:
            plan.show(run, connection, job, runner.check(connection, job, progress_of(run)))
            return
        done = runner.migrate(connection, job, progress_of(run))
    if not run.output.for_people:
        run.output.rows(_DONE_COLUMNS, [_done_row(item) for item in done])
    total = f"in {duration(time.monotonic() - started)}"
    if done:
        run.output.line(f"{len(done)} applied {total}, database {where}")
    elif job.directory.files:
        # Files that were left out are pending still.
        nothing = "nothing to apply" if skip_unavailable else "nothing pending"
        count = len(job.directory.files)
        files = f"{count} file{'' if count == 1 else 's'}"
        run.output.line(f"{nothing}, {files}, database {where}")
    else:
        run.output.line(f"no migrations in {job.directory.path}")


by_default(
    app,
    up,
    """Apply numbered SQL migrations.

    Without a sub-command: apply what is pending, each file in one transaction
    together with its row in the tracking table.
    """,
)
register(app, "up")(up)


@register(app, "status")
def status(
    run: Invocation,
    directory: Directory = None,
    variables: Variables = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 unless every migration is applied.")
    ] = False,
) -> None:
    """Show every migration: applied, pending, changed since, or missing."""
    from agentdb_cli.migrations import foreign, history, runner
    from agentdb_cli.migrations.foreign import Format

    job = job_of(run, directory, variables)
    with run.connect() as connection:
        entries = runner.status(connection, job)
        applied = any(entry.applied for entry in entries)
        details = history.details(connection, job.table, job.pack) if applied else {}
        begun = _begun(connection, job, entries)
    rows = [
        _status_row(entry, details.get(entry.version), begun.get(entry.version))
        for entry in entries
    ]
    run.output.rows(_STATUS_COLUMNS, rows)
    for entry in entries:
        if entry.version in begun:
            undoing = "is being undone: " if _is_undoing(entry) else ""
            run.output.warning(f"{entry.label} {undoing}{begun[entry.version].described}")
    counts = _counts(entries)
    run.output.notice(counts or f"no migrations in {job.directory.path}")
    format = foreign.recognise(job.directory)
    if format is not Format.own:
        run.output.notice(f"{job.directory.path} is written for {format}")
    if check and any(entry.state.value != "applied" for entry in entries):
        raise AgentdbError(f"not every migration is applied: {counts}")


register(app, "down")(down.down)
register(app, "adopt")(adopt.adopt)
register(app, "baseline")(baseline.baseline)
register(app, "resume")(resume.resume)
register(app, "lint")(lint.lint)
register(app, "new")(new.new)
register(app, "plan")(plan.plan)
register(app, "verify")(verify.verify)
register(app, "dump")(dump.dump)


_DONE_COLUMNS = ("version", "migration", "duration", "checksum")


def _done_row(done: Done) -> dict[str, object]:
    return {
        "version": done.file.version,
        "migration": done.file.label,
        "duration": round(done.seconds, 6),
        "checksum": done.file.checksum,
    }


_STATUS_COLUMNS = ("version", "migration", "state", "applied_at", "duration", "applied_by")


def _begun(
    connection: Connection, job: Job, entries: Sequence[Entry]
) -> dict[int, unfinished.Unfinished]:
    """How far the files without a transaction have come that are applied or undone."""
    from agentdb_cli.migrations import unfinished

    begun = {entry.version for entry in entries if not entry.applied or _is_undoing(entry)}
    found = unfinished.read(connection, job) if begun else {}
    return {version: each for version, each in found.items() if version in begun}


def _is_undoing(entry: Entry) -> bool:
    return entry.state.value == "being undone"


def _status_row(
    entry: Entry, details: Details | None, begun: unfinished.Unfinished | None
) -> dict[str, object]:
    return {
        "version": entry.version,
        "migration": entry.label,
        "state": begun.state if begun and not entry.applied else entry.state.value,
        "applied_at": details.applied_at if details else None,
        "duration": details.duration if details else None,
        "applied_by": details.applied_by if details else None,
    }


def _counts(entries: Sequence[Entry]) -> str:
    """`12 applied, 2 pending`."""
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.state.value] = counts.get(entry.state.value, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())
