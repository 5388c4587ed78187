"""`agentdb migrate verify`: whether files and history agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.migrations.verify import Problem


def verify(run: Invocation, directory: Directory = None, variables: Variables = None) -> None:
    """Check that the files are those that were applied.

    Names each that has changed since, is missing, has come in below the last
    one, or is half done (a file without a transaction that failed, was broken
    off or is being applied). Pending migrations are no fault: agentdb migrate
    status --check wants them applied as well. agentdb packs diff compares the
    database itself.

    Exit code: 0 files and history agree, 1 they do not.
    """
    from agentdb_cli.migrations import runner, unfinished
    from agentdb_cli.migrations import verify as integrity
    from agentdb_cli.postgres.connect import place

    job = job_of(run, directory, variables)
    with run.connect() as connection:
        entries = runner.status(connection, job)
        begun = unfinished.read(connection, job)
        where = place(connection)
    if job.directory.ignored:
        run.output.warning(f"without a number, and so ignored: {', '.join(job.directory.ignored)}")
    problems = integrity.verify(entries, begun, job.variables)
    if problems or not run.output.for_people:
        run.output.rows(_COLUMNS, [problem._asdict() for problem in problems])
    if problems:
        raise _error(problems, len(begun), where)
    applied = sum(entry.applied is not None for entry in entries)
    pending = len(entries) - applied
    run.output.line(f"{applied} applied and unchanged, {pending} pending, database {where}")


_COLUMNS = ("version", "migration", "state", "detail")


def _error(problems: Sequence[Problem], half_done: int, where: str) -> AgentdbError:
    others = len(problems) - half_done
    if not others:
        are = "is" if half_done == 1 else "are"
        command = "migrate down" if any(_undone(each) for each in problems) else "migrate"
        return AgentdbError(
            f"{count(half_done, 'migration', 'migrations')} {are} half done, database {where}",
            hint=f"agentdb {command} goes on where it was, once what the error names is mended",
        )
    contradict = "contradicts" if others == 1 else "contradict"
    further = f", {half_done} half done" if half_done else ""
    return AgentdbError(
        f"{count(others, 'migration', 'migrations')} {contradict} the history{further}, "
        f"database {where}",
        hint="restore the files from version control; a change goes into a new migration: "
        "agentdb migrate new",
    )


def _undone(problem: Problem) -> bool:
    from agentdb_cli.migrations.plan import State

    return problem.state == State.undoing.value
