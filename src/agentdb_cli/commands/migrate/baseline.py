"""`agentdb migrate baseline`: record migrations as applied without running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of, progress_of
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.migrations.files import MigrationFile
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.postgres.connect import Connection


def baseline(
    run: Invocation,
    version: Annotated[
        int | None,
        typer.Argument(metavar="[VERSION]", help="The last migration that was applied."),
    ] = None,
    detect: Annotated[
        bool,
        typer.Option("--detect", help="Find out from the database which were applied."),
    ] = False,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be recorded.")
    ] = False,
) -> None:
    """Record migrations as applied that were applied by other means, without running them.

    With --detect, the migrations are applied to a scratch database on the
    embedded server, and the database is searched for what each of them does.
    """
    from agentdb_cli.migrations import baseline as baselines
    from agentdb_cli.postgres.connect import place

    if (version is None) != detect:
        raise SettingsError(
            "baseline wants either a version or --detect",
            hint="for example agentdb migrate baseline 8",
        )
    job = job_of(run, directory, variables)
    with run.connect() as connection:
        files: Sequence[MigrationFile]
        if version is not None:
            files = baselines.up_to(job, version)
            if version not in {file.version for file in files}:
                raise AgentdbError(f"there is no migration {version} in {job.directory.path}")
        else:
            files = detected(run, connection, job)
        if dry_run:
            recorded = baselines.unrecorded(connection, job, files)
        else:
            recorded = baselines.record(connection, job, files, progress_of(run))
        where = place(connection)
    if not run.output.for_people:
        run.output.rows(("migration",), [{"migration": file.label} for file in recorded])
        return
    for file in recorded:
        run.output.line(f"{'would record' if dry_run else 'recorded'}  {file.label}")
    count = f"{len(recorded)} recorded as applied" if recorded else "nothing to record"
    run.output.line(f"{count}, database {where}{' (dry run)' if dry_run else ''}")


def detected(run: Invocation, connection: Connection, job: Job) -> list[MigrationFile]:
    """The migrations that a database has seen; a half-seen one is an error."""
    from agentdb_cli.migrations import drift

    with run.scratch() as scratch:
        traces = drift.detect(connection, scratch, job)
    for trace in traces:
        run.output.notice(f"{trace.seen.value:9} {trace.file.label}")
    for trace in traces:
        if trace.seen is drift.Seen.partly:
            there = trace.effects - len(trace.lacking)
            listed = "".join(f"\n  {key.kind} {key}" for key in trace.lacking[:10])
            raise AgentdbError(
                f"{trace.file.label} is there in part: {there} of its {trace.effects} changes; "
                f"not as it makes them:{listed}",
                hint="complete it or undo it by hand, or name the last one that counts as "
                "applied: agentdb migrate baseline VERSION",
            )
    seen = [trace.file for trace in traces if trace.seen is drift.Seen.yes]
    if not seen:
        raise AgentdbError(
            f"the database shows no trace of the migrations in {job.directory.path}",
            hint="check --pack, --dir, --schema and the variables (agentdb config show)",
        )
    return seen
