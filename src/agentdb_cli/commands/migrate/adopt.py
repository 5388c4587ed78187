"""`agentdb migrate adopt`: go on where another migration tool has left off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of, progress_of

if TYPE_CHECKING:
    from agentdb_cli.migrations.adopt import Adopted
    from agentdb_cli.migrations.adopt_model import History
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.postgres.connect import Connection


def adopt(
    run: Invocation,
    tool: Annotated[
        str | None,
        typer.Option("--from", metavar="TOOL", help="Whose history, if there are several."),
    ] = None,
    directory: Directory = None,
    variables: Variables = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be recorded.")
    ] = False,
) -> None:
    """Record what another tool has applied: its table is read, nothing is run.

    Knows the tables of alembic, dbmate, flyway, golang-migrate, goose, pycopg,
    rails, sqlx and yoyo. Files are compared with the checksums that sqlx and
    Flyway keep. The other tool's table is left as it is.
    """
    from agentdb_cli.migrations import adopt as adopting
    from agentdb_cli.migrations import adopt_tables, baseline
    from agentdb_cli.postgres.connect import place

    job = job_of(run, directory, variables)
    with run.connect() as connection:
        found = adopt_tables.find(connection, job.schema, tool)
        for remark in found.remarks:
            run.output.warning(remark)
        adopted = adopting.match(connection, job, found)
        if adopted is None:
            adopted = _detected(run, connection, job, found)
        new = adopting.unrecorded(connection, job, adopted)
        if new and not dry_run:
            files = [each.file for each in new]
            recorded = set(baseline.record(connection, job, files, progress_of(run)))
            new = [each for each in new if each.file in recorded]
        where = place(connection)
    rows = [_row(each, found) for each in new]
    if not run.output.for_people:
        run.output.rows(_COLUMNS, rows)
        return
    for row in rows:
        proof = f", {row['proof']} agrees" if row["proof"] else ""
        verb = "would record" if dry_run else "recorded"
        run.output.line(f"{verb}  {row['migration']}  ({found.tool}: {row['recorded_as']}{proof})")
    source = f"{found.table} of {found.tool}"
    count = f"{len(new)} {'to record' if dry_run else 'recorded as applied'}, from {source}"
    if not new:
        count = f"nothing to record{', from' if adopted else ':'} {source}"
        count += "" if adopted else " is empty"
    ending = " (dry run: nothing was changed)" if dry_run else ""
    run.output.line(f"{count}, database {where}{ending}")


_COLUMNS = ("version", "migration", "tool", "recorded_as", "proof")


def _row(adopted: Adopted, found: History) -> dict[str, object]:
    return {
        "version": adopted.file.version,
        "migration": adopted.file.label,
        "tool": found.tool.value,
        "recorded_as": adopted.recorded_as,
        "proof": adopted.proof,
    }


def _detected(
    run: Invocation, connection: Connection, job: Job, found: History
) -> tuple[Adopted, ...]:
    """What the database itself shows, as Alembic's revisions name no file."""
    from agentdb_cli.commands.migrate.baseline import detected
    from agentdb_cli.migrations.adopt import Adopted

    revisions = ", ".join(found.revisions)
    run.output.notice(
        f"no single file in {job.directory.path} carries Alembic's revision {revisions}: "
        "looking in the database for what each file does"
    )
    return tuple(Adopted(file, "seen in the database", None)
                 for file in detected(run, connection, job))  # fmt: skip
