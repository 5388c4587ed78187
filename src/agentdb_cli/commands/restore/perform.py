"""The steps of `agentdb restore` once all is checked: restore, compare, say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.commands.restore.work import Work
from agentdb_cli.errors import AgentdbError, ConnectionFailed

if TYPE_CHECKING:
    from agentdb_cli.backups.compare import Difference
    from agentdb_cli.backups.crew import Crew
    from agentdb_cli.backups.following import Step
    from agentdb_cli.backups.manifest import Manifest
    from agentdb_cli.postgres.connect import Connection

_STOPPED = {"stopped by SIGTERM": 143, "stopped by SIGINT": 130}


def perform(
    run: Invocation,
    connection: Connection,
    work: Work,
    open_: Callable[[], Connection],
    *,
    comment: str | None,
    made: bool,
) -> None:
    """Restore, compare, and say what came of it.

    Args:
        open_: opens further connections to the same database.
        comment: what the database's comment was.
        made: whether it was made for this restore.

    Raises:
        AgentdbError: it failed or something differs.
    """
    from agentdb_cli.backups import target
    from agentdb_cli.backups.compare import differences
    from agentdb_cli.backups.restore import restore
    from agentdb_cli.commands.stopping import stopping

    begun = time.monotonic()
    name = work.manifest.name
    if not target.comment(connection, target.incomplete(name)):
        run.output.warning("the database cannot be marked as incomplete: its owner is another role")
    with stopping() as stop, crew(run, connection, open_, stop, work.options.jobs) as sessions:
        try:
            with shown(run, "restore", sessions) as step:
                restore(sessions, work.archive, work.options, step)
                found = differences(
                    sessions, work.expected, applied(run, connection, work.manifest), step
                )
        except Exception as error:
            raise _incomplete(error, connection.info.dbname, name) from error
    own = work.properties.comment if work.gives_properties else None
    target.comment(connection, (own or comment) if not found else target.different(name))
    if work.gives_properties:
        _give_properties(run, connection, work, made=made)
    _show(run, connection, work, found, time.monotonic() - begun)


def _give_properties(run: Invocation, connection: Connection, work: Work, *, made: bool) -> None:
    from agentdb_cli.backups import properties

    options = work.options
    refused = properties.apply(
        connection,
        work.properties,
        options.owners,
        owner=options.owner and made,
        privileges=options.privileges,
    )
    for each in refused:
        run.output.warning(f"not given back to the database: {each}")


@contextmanager
def crew(
    run: Invocation,
    connection: Connection,
    open_: Callable[[], Connection],
    stop: Callable[[], str | None],
    jobs: int,
) -> Iterator[Crew]:
    """A connection and further ones, as many as jobs; fewer if the server has no more left."""
    from agentdb_cli.backups.crew import Crew

    with ExitStack() as stack:

        def more() -> list[Connection]:
            opened: list[Connection] = []
            try:
                while len(opened) < jobs - 1:
                    opened.append(stack.enter_context(open_()))
            except ConnectionFailed as error:
                run.output.warning(
                    f"going on with {count(len(opened) + 1, 'job', 'jobs')}: {error}"
                )
            return opened

        yield Crew(connection, stop, more)


@contextmanager
def shown(run: Invocation, name: str, sessions: Crew) -> Iterator[Step]:
    """What is told of each step: shows it, unless a signal came."""
    from agentdb_cli.commands.restore.estimate import Estimate
    from agentdb_cli.render.progress import Progress

    with Progress(run.output) as progress:
        progress.start(name)
        estimate = Estimate()

        def step(what: str, done: int, total: int) -> None:
            sessions.check()
            progress.step(name, what + estimate.left(done, total), done, total)

        yield step


def applied(run: Invocation, connection: Connection, manifest: Manifest) -> Mapping[str, int]:
    """The last migration by pack, as the database's own history has it."""
    from agentdb_cli.migrations import history

    table = history.Table.of(run.settings.migrations.table)
    found = {pack: history.read(connection, table, pack) for pack in manifest.packs}
    return {pack: rows[-1].version for pack, rows in found.items() if rows}


def _incomplete(error: Exception, database: str, name: str) -> Exception:
    """What ended a restore, with what it has left."""
    import psycopg

    from agentdb_cli.backups.crew import Stopped
    from agentdb_cli.postgres.connect import database_error

    if isinstance(error, psycopg.Error):
        error = database_error(error)
    if not isinstance(error, AgentdbError):
        return error
    what = f"the database {database} is incomplete; do not use it"
    hint = f"agentdb restore {name} --to {database} --clean begins again"
    if isinstance(error, Stopped):
        return stopped(error, what, hint)
    return AgentdbError(f"{error.message}\n  {what}", hint=hint)


def stopped(error: AgentdbError, what: str, hint: str | None = None) -> AgentdbError:
    """The error of a run that a signal ended, with the exit code that a shell gives it."""
    code = _STOPPED.get(error.message)
    return AgentdbError(f"{error.message}\n  {what}", hint=hint, exit_code=code)


def _show(
    run: Invocation,
    connection: Connection,
    work: Work,
    found: Sequence[Difference],
    seconds: float,
) -> None:
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.render import duration

    rows = [
        {"kind": d.kind, "name": d.name, "expected": d.expected, "actual": d.actual} for d in found
    ]
    where, tables = place(connection), work.tables
    if not run.output.for_people:
        run.output.record(
            {
                "backup": work.manifest.name,
                "database": where,
                "tables": len(tables),
                "rows": sum(table.rows or 0 for table in tables),
                "seconds": round(seconds, 3),
                "differences": rows,
            }
        )
    elif found:
        run.output.rows(tuple(rows[0]), rows)
    if found:
        many = count(len(found), "difference", "differences")
        raise AgentdbError(f"{many} from the backup {work.manifest.name}, database {where}")
    if not run.output.quiet:
        run.output.line(
            f"restored {work.manifest.name}: {count(len(tables), 'table', 'tables')}, "
            "as the manifest says, in "
            f"{duration(seconds)}, database {where}"
        )
