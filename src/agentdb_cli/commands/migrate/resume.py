"""`agentdb migrate resume`: say where a file that was broken off goes on."""

from __future__ import annotations

from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of, progress_of


def resume(
    run: Invocation,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The migration's number.")],
    start: Annotated[
        int,
        typer.Option("--from", metavar="NUMBER", help="The statement to go on with, from 1."),
    ],
    directory: Directory = None,
    variables: Variables = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show it, and change nothing.")
    ] = False,
) -> None:
    """Say where a file without a transaction goes on, if agentdb cannot tell.

    The statements before count as done; nothing is run. One past the last
    statement: nothing is left to do. Then run agentdb migrate.
    """
    from agentdb_cli.migrations import resume as resuming

    job = job_of(run, directory, variables)
    with run.connect() as connection:
        if dry_run:
            prepared = resuming.resumable(connection, job, version, start)
        else:
            prepared = resuming.resume(connection, job, version, start, progress_of(run))
    label, count = prepared.file.label, len(prepared.steps)
    if not run.output.for_people:
        run.output.rows(("migration", "from"), [{"migration": label, "from": start}])
        return
    where = f"goes on with statement {start} of {count}" if start <= count else "has nothing left"
    done = (
        " (dry run: nothing was changed)"
        if dry_run
        else f": run agentdb migrate{' down' if prepared.undoes else ''}"
    )
    run.output.line(f"{label} {where}{done}")
