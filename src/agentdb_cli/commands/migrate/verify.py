"""`agentdb migrate verify`: whether files and history agree."""

from __future__ import annotations

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError


def verify(run: Invocation, directory: Directory = None, variables: Variables = None) -> None:
    """Check that the files are those that were applied.

    Names each that has changed since, is missing, or has come in below the
    last one. Pending migrations are no fault: agentdb migrate status --check
    wants them applied as well. agentdb packs diff compares the database itself.

    Exit code: 0 files and history agree, 1 they do not.
    """
    from agentdb_cli.migrations import runner
    from agentdb_cli.migrations import verify as integrity
    from agentdb_cli.postgres.connect import place

    job = job_of(run, directory, variables)
    with run.connect() as connection:
        entries = runner.status(connection, job)
        where = place(connection)
    if job.directory.ignored:
        run.output.warning(f"without a number, and so ignored: {', '.join(job.directory.ignored)}")
    problems = integrity.verify(entries)
    rows = [
        {
            "version": problem.entry.version,
            "migration": problem.entry.label,
            "state": problem.entry.state.value,
            "detail": problem.detail,
        }
        for problem in problems
    ]
    if rows or not run.output.for_people:
        run.output.rows(("version", "migration", "state", "detail"), rows)
    if problems:
        contradict = "contradicts" if len(problems) == 1 else "contradict"
        raise AgentdbError(
            f"{count(len(problems), 'migration', 'migrations')} {contradict} the history, "
            f"database {where}",
            hint="restore the files from version control; a change goes into a new migration: "
            "agentdb migrate new",
        )
    applied = sum(entry.applied is not None for entry in entries)
    pending = len(entries) - applied
    run.output.line(f"{applied} applied and unchanged, {pending} pending, database {where}")
