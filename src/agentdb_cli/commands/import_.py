"""`agentdb import`: rows from elsewhere into the database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.retention.archive.importing import Done, Job

app = group("Put rows into the database: purged ones, out of their archive.")


@register(app, "archive")
def archive(
    run: Invocation,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="The directory that purge archived to.")
    ],
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="SCHEMA.TABLE", help="Only the rows of this table."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="SCHEMA.TABLE", help="Another table than their own."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was put back before.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the files, say what would be put back.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put purged rows back.

    All files are checked before the first row goes in. A row whose key is in the
    table already is left alone. What was put back is skipped the next time.
    """
    from agentdb_cli.retention.archive import importing

    with (
        importing.opened(directory, table, locked=not dry_run) as manifests,
        run.connect() as connection,
    ):
        if into and len(manifests) > 1:
            raise SettingsError(
                "--into takes the rows of one table, and the archive has several",
                hint="choose one: --table schema.table",
            )
        jobs = importing.plan(
            connection, manifests, into=into, again=again, notice=run.output.notice
        )
        importing.verify(jobs)
        _announce(run, jobs)
        jobs = [job for job in jobs if job.steps]
        if dry_run or not jobs:
            _show_plan(run, jobs)
            return
        if not run.confirmed(_question(jobs), yes=yes):
            raise typer.Abort
        done = [
            importing.run(connection, job, lambda step: run.output.notice(f"{step.path.name} done"))
            for job in jobs
        ]
    _show_done(run, jobs, done)


def _announce(run: Invocation, jobs: Sequence[Job]) -> None:
    for job in jobs:
        name = job.target.name
        if job.skipped:
            run.output.notice(
                f"{name}: {_count(job.skipped, 'file')} put back before, left out "
                "(--again takes them too)"
            )
        if job.added and job.steps:
            run.output.notice(f"{name}: new since, filled by default: {', '.join(job.added)}")
        if job.may_repeat:
            run.output.warning(
                f"{name} has no key that tells its rows apart, and some may be there already: "
                "those would come in twice"
            )


def _question(jobs: Sequence[Job]) -> str:
    files = sum(len(job.steps) for job in jobs)
    rows = sum(job.rows for job in jobs)
    tables = ", ".join(job.target.name for job in jobs)
    return f"Put {_count(rows, 'row')} of {_count(files, 'file')} back into {tables}?"


def _show_plan(run: Invocation, jobs: Sequence[Job]) -> None:
    if run.output.for_people:
        for job in jobs:
            of = f"{_count(job.rows, 'row')} of {_count(len(job.steps), 'file')}"
            run.output.line(f"would put back  {job.target.name}  {of}")
        run.output.line("dry run: nothing was changed" if jobs else "nothing to put back")
        return
    run.output.rows(
        ("table", "files", "rows"),
        [{"table": j.target.name, "files": len(j.steps), "rows": j.rows} for j in jobs],
    )


def _show_done(run: Invocation, jobs: Sequence[Job], done: Sequence[Done]) -> None:
    for job, result in zip(jobs, done, strict=True):
        if result.in_default:
            partitions = ", ".join(job.target.defaults.values())
            run.output.notice(
                f"{result.table}: {_count(result.in_default, 'row')} without a partition of "
                f"their own went to {partitions}"
            )
    run.output.rows(
        ("table", "files", "rows", "inserted", "present"),
        [
            {
                "table": result.table,
                "files": result.parts,
                "rows": result.rows,
                "inserted": result.inserted,
                "present": result.present,
            }
            for result in done
        ],
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
