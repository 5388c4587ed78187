"""`agentdb migrate`: apply numbered SQL migrations, and show where they stand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation, register, with_global_options
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration, style

if TYPE_CHECKING:
    from agentdb_cli.migrations.apply import Done
    from agentdb_cli.migrations.history import Details
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.migrations.plan import Entry, Tolerance
    from agentdb_cli.migrations.runner import Progress

app = typer.Typer(add_completion=False, invoke_without_command=True)

Directory = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Migrations of your own instead of the pack's."),
]
Variables = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a variable that the files use."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what is pending, change nothing.")]
LockWait = Annotated[
    str | None,
    typer.Option(
        "--lock-wait", metavar="TIME", help="Longest wait for another run (default 10min)."
    ),
]
AllowChanged = Annotated[
    bool,
    typer.Option("--allow-changed", help="Go on although applied files have changed."),
]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", help="Go on although applied files are missing."),
]
OutOfOrder = Annotated[
    bool,
    typer.Option("--out-of-order", help="Apply files numbered below the newest applied one."),
]

SkipUnavailable = Annotated[
    bool,
    typer.Option(
        "--skip-unavailable",
        help="Leave out files that need an extension which the server does not have.",
    ),
]


@app.callback()
@with_global_options
def migrate(
    run: Invocation,
    subcommand: str | None,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: DryRun = False,
    lock_wait: LockWait = None,
    allow_changed: AllowChanged = False,
    allow_missing: AllowMissing = False,
    out_of_order: OutOfOrder = False,
    skip_unavailable: SkipUnavailable = False,
) -> None:
    """Apply numbered SQL migrations.

    Without a sub-command: apply what is pending, each file in one transaction
    together with its row in the tracking table.
    """
    from agentdb_cli.migrations.plan import Tolerance

    tolerance = Tolerance(allow_changed, out_of_order, allow_missing, skip_unavailable)
    own = (directory, variables, dry_run, lock_wait, tolerance != Tolerance())
    if subcommand is None:
        _up(run, directory, variables, dry_run, lock_wait, tolerance)
    elif any(own):
        raise SettingsError(
            f"options of migrate stand before '{subcommand}'",
            hint=f"write them after it: agentdb migrate {subcommand} …",
        )


@register(app, "up")
def up(
    run: Invocation,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: DryRun = False,
    lock_wait: LockWait = None,
    allow_changed: AllowChanged = False,
    allow_missing: AllowMissing = False,
    out_of_order: OutOfOrder = False,
    skip_unavailable: SkipUnavailable = False,
) -> None:
    """Apply what is pending (the same as plain `agentdb migrate`)."""
    from agentdb_cli.migrations.plan import Tolerance

    tolerance = Tolerance(allow_changed, out_of_order, allow_missing, skip_unavailable)
    _up(run, directory, variables, dry_run, lock_wait, tolerance)


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
    from agentdb_cli.migrations import history, runner

    job = _job(run, directory, variables)
    with run.connect() as connection:
        entries = runner.status(connection, job)
        applied = any(entry.applied for entry in entries)
        details = history.details(connection, job.table, job.pack) if applied else {}
    rows = [_status_row(entry, details.get(entry.version)) for entry in entries]
    run.output.rows(_STATUS_COLUMNS, rows)
    counts = _counts(entries)
    run.output.notice(counts or f"no migrations in {job.directory.path}")
    if check and any(entry.state.value != "applied" for entry in entries):
        raise AgentdbError(f"not every migration is applied: {counts}")


def _up(
    run: Invocation,
    directory: Path | None,
    variables: list[str] | None,
    dry_run: bool,
    lock_wait: str | None,
    tolerance: Tolerance,
) -> None:
    from dataclasses import replace

    from agentdb_cli.migrations import runner
    from agentdb_cli.postgres.connect import place

    job = _job(run, directory, variables, lock_wait)
    job = replace(job, tolerance=tolerance)
    started = time.monotonic()
    with run.connect() as connection:
        where = place(connection)
        if dry_run:
            prepared = runner.check(connection, job, _progress(run))
            _show_pending(run, [p.file.label for p in prepared], where)
            return
        done = runner.migrate(connection, job, _progress(run))
    if not run.output.for_people:
        run.output.rows(_DONE_COLUMNS, [_done_row(item) for item in done])
    total = f"in {duration(time.monotonic() - started)}"
    if done:
        run.output.line(f"{len(done)} applied {total}, database {where}")
    elif job.directory.files:
        run.output.line(f"nothing pending, {len(job.directory.files)} files, database {where}")
    else:
        run.output.line(f"no migrations in {job.directory.path}")


def _job(
    run: Invocation,
    directory: Path | None,
    variables: list[str] | None,
    lock_wait: str | None = None,
) -> Job:
    """The files, tracking table and variables that options and settings name."""
    from dataclasses import replace

    from agentdb_cli.migrations import job
    from agentdb_cli.settings import milliseconds

    settings = run.settings
    # A pack named on the command line comes before a directory in the file.
    own = directory or (None if run.options.pack else settings.migrations.directory)
    found = job.of_directory(settings, own) if own else job.of_pack(settings, settings.pack)
    try:
        wait = milliseconds(lock_wait) if lock_wait else found.lock_wait
    except ValueError as error:
        raise SettingsError(f"--lock-wait must be {error}") from None
    values = {**found.variables, **_assignments(variables or ())}
    return replace(found, variables=values, lock_wait=wait)


def _assignments(given: Sequence[str]) -> dict[str, int | float | str]:
    """`--set NAME=VALUE` options; a value that is a number becomes one."""
    values: dict[str, int | float | str] = {}
    for assignment in given:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise SettingsError(f"--set wants NAME=VALUE, not '{assignment}'")
        values[name] = int(value) if value.lstrip("-").isdecimal() else value
    return values


def _progress(run: Invocation) -> Progress:
    import sys

    from agentdb_cli.migrations.runner import Progress

    def applied(done: Done) -> None:
        mark = style("applied", "ok", sys.stdout)
        run.output.line(f"{mark}  {done.file.label}  {duration(done.seconds)}")

    return Progress(applied, run.output.notice, run.output.warning)


def _show_pending(run: Invocation, labels: list[str], where: str) -> None:
    if not run.output.for_people:
        run.output.rows(("migration",), [{"migration": label} for label in labels])
        return
    for label in labels:
        run.output.line(f"pending  {label}")
    count = len(labels) or "nothing"
    run.output.line(f"{count} to apply, database {where} (dry run: nothing was changed)")


_DONE_COLUMNS = ("version", "migration", "duration", "checksum")


def _done_row(done: Done) -> dict[str, object]:
    return {
        "version": done.file.version,
        "migration": done.file.label,
        "duration": round(done.seconds, 6),
        "checksum": done.file.checksum,
    }


_STATUS_COLUMNS = ("version", "migration", "state", "applied_at", "duration", "applied_by")


def _status_row(entry: Entry, details: Details | None) -> dict[str, object]:
    return {
        "version": entry.version,
        "migration": entry.label,
        "state": entry.state.value,
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
