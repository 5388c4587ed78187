"""`agentdb migrate plan`: what is pending, what it will lock, and a rehearsal of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import (
    AllowChanged,
    AllowMissing,
    Directory,
    OutOfOrder,
    SkipUnavailable,
    Variables,
    job_of,
    progress_of,
)
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import style

if TYPE_CHECKING:
    from agentdb_cli.migrations.forecast.files import Forecast, Lock, Step
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.postgres.connect import Connection

Row = dict[str, object]


def plan(
    run: Invocation,
    directory: Directory = None,
    variables: Variables = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse", help="Apply it to a copy of the schema, without rows, and tell."
        ),
    ] = False,
    rehearse_url: Annotated[
        str | None,
        typer.Option(
            "--rehearse-url",
            metavar="URL",
            help="Rehearse on this server instead of the embedded one.",
        ),
    ] = None,
    allow_changed: AllowChanged = False,
    allow_missing: AllowMissing = False,
    out_of_order: OutOfOrder = False,
    skip_unavailable: SkipUnavailable = False,
) -> None:
    """Show what is pending and what it will lock, and change nothing.

    For each statement: the lock, on which relation, how large that is by the
    server's statistics, and what the statement does there meanwhile. Marked
    with !! is what stops others for as long as a large table (32 MB or more)
    is read or written, with ! what stops them for a moment, and with ? what
    cannot be told by reading. A statement with nothing below it locks no
    relation that is there already. A lock is held to the end of its file.

    With --rehearse the pending files are applied to a copy of the schema in a
    scratch database, which is dropped afterwards: the locks that were really
    taken, the tables that were written anew, and what is different then. The
    database itself is only read. Times tell little there: the tables are empty.
    """
    from dataclasses import replace

    from agentdb_cli.migrations import runner
    from agentdb_cli.migrations.plan import Tolerance

    if rehearse_url and not rehearse:
        raise SettingsError("--rehearse-url goes with --rehearse", hint="add --rehearse")
    job = job_of(run, directory, variables)
    tolerance = Tolerance(allow_changed, out_of_order, allow_missing, skip_unavailable)
    job = replace(job, tolerance=tolerance)
    with run.connect() as connection:
        if rehearse:
            from agentdb_cli.commands.migrate import rehearsal

            rehearsal.rehearse(run, connection, job, rehearse_url)
        else:
            show(run, connection, job, runner.check(connection, job, progress_of(run)))


def show(run: Invocation, connection: Connection, job: Job, prepared: Sequence[object]) -> None:
    """Write what pending files will lock.

    Args:
        prepared: from `runner.check`.
    """
    from agentdb_cli.migrations.forecast.files import forecast
    from agentdb_cli.postgres.connect import place

    found = forecast(connection, job, prepared)  # type: ignore[arg-type]
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [row for file in found for row in _rows(file)])
        return
    for file in found:
        for line in _lines(file):
            run.output.line(line)
    if warning := _worst(found):
        run.output.warning(warning)
    total = str(len(found)) if found else "nothing"
    run.output.line(
        f"{total} to apply, database {place(connection)} (dry run: nothing was changed)"
    )


_COLUMNS = (
    "version", "migration", "line", "statement", "lock", "relation", "rows", "size", "children",
    "work", "stops", "danger", "note",
)  # fmt: skip


def _rows(file: Forecast) -> Iterator[Row]:
    """A row a lock; a statement without one has a row, too."""
    for step in file.steps:
        place = {
            "version": file.file.version,
            "migration": file.file.label,
            "line": step.line,
            "statement": step.text,
        }
        nothing = dict.fromkeys(_COLUMNS[4:])
        for lock in step.locks:
            yield {**place, **nothing, **_lock_row(lock)}
        if step.unknown:
            yield {**place, **nothing, "danger": "unknown", "note": step.unknown}
        elif not step.locks:
            yield {**place, **nothing, "danger": "", "note": _HARMLESS}


_HARMLESS = "locks no relation that is there already"


def _lock_row(lock: Lock) -> Row:
    return {
        "lock": str(lock.mode),
        "relation": lock.relation,
        "rows": lock.rows,
        "size": lock.size,
        "children": lock.children,
        "work": lock.work.value,
        "stops": lock.mode.stops,
        "danger": lock.danger.value,
        "note": lock.note,
    }


def _lines(file: Forecast) -> Iterator[str]:
    alone = "" if file.together else "  (each statement in a transaction of its own, or in none)"
    yield f"pending  {file.file.label}{alone}"
    for step in file.steps:
        yield f"  line {step.line}: {step.text}"
        for lock in step.locks:
            yield _lock_line(lock)
        if step.unknown:
            yield f"  {_mark('?')} not known: {step.unknown}"


def _lock_line(lock: Lock) -> str:
    from agentdb_cli.migrations.forecast.files import Danger

    mark = {Danger.long: "!!", Danger.brief: "!"}.get(lock.danger, "")
    what = "; ".join(
        part
        for part in (
            f"stops {lock.mode.stops}" if lock.mode.stops else "",
            lock.work.value,
            lock.note,
        )
        if part
    )
    return (
        f"  {_mark(mark)} {lock.mode} on {lock.relation}{_size(lock)}{f': {what}' if what else ''}"
    )


def _size(lock: Lock) -> str:
    from agentdb_cli.render.progress import size

    if lock.size is None:
        return ""
    rows = "never analysed" if lock.rows is None else f"about {lock.rows:,} rows"
    parts = f", {count(lock.children, 'part', 'parts')}" if lock.children else ""
    return f" ({rows}, {size(lock.size)}{parts})"


def _mark(mark: str) -> str:
    padded = mark.rjust(2)
    return style(padded, "error" if mark == "!!" else "warning", sys.stdout) if mark else padded


def _worst(files: Sequence[Forecast]) -> str:
    """A sentence on what stops others for long, the largest first."""
    from agentdb_cli.migrations.forecast.files import Danger

    long: list[tuple[Forecast, Step, Lock]] = [
        (file, step, lock)
        for file in files
        for step in file.steps
        for lock in step.locks
        if lock.danger is Danger.long and lock.size is not None
    ]
    if not long:
        return ""
    long.sort(key=lambda found: -(found[2].size or 0))
    listed = "".join(
        f"\n  {file.file.label}, line {step.line}: {lock.mode} on {lock.relation}{_size(lock)}: "
        f"{lock.work.value}"
        for file, step, lock in long[:10]
    )
    return (
        f"{count(len(long), 'lock stops', 'locks stop')} others for as long as a large table is "
        f"read or written (agentdb migrate lint shows another way):{listed}"
    )
