"""`agentdb migrate down`: undo applied migrations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import (
    AllowChanged,
    Directory,
    LockRetries,
    LockRetryTime,
    LockWait,
    Variables,
    job_of,
    progress_of,
)
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.migrations.apply import Done
    from agentdb_cli.migrations.down import Undoing
    from agentdb_cli.migrations.down_losses import Loss


def down(
    run: Invocation,
    to: Annotated[
        int | None,
        typer.Option("--to", metavar="N", min=0, help="Undo all migrations after number N."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="K", min=1, help="Undo the last K migrations (default 1)."),
    ] = None,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be undone and lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    lock_wait: LockWait = None,
    lock_retries: LockRetries = None,
    lock_retry_time: LockRetryTime = None,
    allow_changed: AllowChanged = False,
) -> None:
    """Undo the last migration, or several, by their down parts.

    A down part is NNN_name.down.sql, or the part of the file under
    -- migrate:down, or its rollback notes. What it drops and deletes is shown
    with live row counts before anything is asked or done. Each down part runs
    in one transaction with the removal of its record.
    """
    from dataclasses import replace

    from agentdb_cli.migrations import down as undoing
    from agentdb_cli.migrations import down_losses
    from agentdb_cli.migrations.plan import Tolerance
    from agentdb_cli.postgres.connect import place

    if to is not None and steps is not None:
        raise SettingsError("--to and --steps exclude each other", hint="leave one of them out")
    job = job_of(run, directory, variables, lock_wait, lock_retries, lock_retry_time)
    job = replace(job, tolerance=Tolerance(changed=allow_changed))
    with run.connect() as connection:
        where = place(connection)
        items = undoing.check(connection, job, to=to, steps=steps or 1)
        losses = down_losses.survey(connection, job, items) if items else ()
        if dry_run:
            _show(run, items, losses, where)
            return
        done: list[Done] = []
        started = time.monotonic()
        if items:
            for line in _lines(items, losses):
                run.output.notice(line)
            question = f"undo {count(len(items), 'migration', 'migrations')}, database {where}?"
            if not run.confirmed(question, yes=yes):
                raise AgentdbError("nothing was undone")
            started = time.monotonic()
            done = undoing.undo(connection, job, items, progress_of(run, "undone"))
    if not run.output.for_people:
        run.output.rows(_DONE_COLUMNS, [_done_row(item) for item in done])
        return
    total = f"in {duration(time.monotonic() - started)}"
    undone = f"{len(done)} undone {total}" if done else "nothing to undo"
    run.output.line(f"{undone}, database {where}")


_DONE_COLUMNS = ("version", "migration", "duration")
_LOSS_COLUMNS = ("version", "migration", "loses", "object", "rows", "exact", "detail")


def _done_row(done: Done) -> dict[str, object]:
    return {
        "version": done.file.version,
        "migration": done.file.label,
        "duration": round(done.seconds, 6),
    }


def _show(run: Invocation, items: Sequence[Undoing], losses: Sequence[Loss], where: str) -> None:
    if not run.output.for_people:
        rows = [row for item in items for row in _loss_rows(item, losses)]
        run.output.rows(_LOSS_COLUMNS, rows)
        return
    for line in _lines(items, losses):
        run.output.line(line)
    undone = f"{len(items)} to undo" if items else "nothing to undo"
    run.output.line(f"{undone}, database {where} (dry run: nothing was changed)")


def _loss_rows(item: Undoing, losses: Sequence[Loss]) -> list[dict[str, object]]:
    """A row a loss; one without a loss for a migration that loses nothing."""
    migration = {"version": item.applied.version, "migration": item.label}
    nothing = dict.fromkeys(_LOSS_COLUMNS[2:])
    rows = [
        {
            **migration,
            "loses": loss.kind,
            "object": loss.name,
            "rows": loss.rows,
            "exact": loss.exact if loss.rows is not None else None,
            "detail": loss.why,
        }
        for loss in losses
        if loss.label == item.label
    ]
    return rows or [{**migration, **nothing}]


def _lines(items: Sequence[Undoing], losses: Sequence[Loss]) -> list[str]:
    lines = []
    for item in items:
        own = [loss for loss in losses if loss.label == item.label]
        mark = "" if own else "  (loses no rows)"
        lines.append(f"undo  {item.label}  by {item.prepared.file.filename}{mark}")
        lines += [f"      {_described(loss)}" for loss in own]
    return lines


def _described(loss: Loss) -> str:
    if loss.kind == "unknown":
        return f"may lose anything ({loss.why}): {loss.name}"
    does = {"table": "drops the table", "column": "drops the column", "rows": "deletes from"}
    noun = ("value", "values") if loss.kind == "column" else ("row", "rows")
    number = f"not counted: {loss.why}"
    if loss.rows is not None:
        number = f"{'' if loss.exact else 'about '}{loss.rows:,} {noun[loss.rows != 1]}"
    return f"{does[loss.kind]} {loss.name}: {number}"
