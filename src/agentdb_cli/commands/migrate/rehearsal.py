"""`agentdb migrate plan --rehearse`: what is pending, applied to a copy of the schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import progress_of
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.migrations.rehearsal.copy import Copied
    from agentdb_cli.migrations.rehearsal.rehearse import Rehearsed
    from agentdb_cli.postgres.catalog import Difference
    from agentdb_cli.postgres.connect import Connection

    Scratch = Callable[[], AbstractContextManager[Connection]]

_COLUMNS = (
    "version", "migration", "state", "duration", "locks", "rewritten", "changes", "detail",
)  # fmt: skip
_SIGNS = {"extra": "+", "missing": "-", "different": "~"}
_CHANGES = {"extra": "added", "missing": "dropped", "different": "changed"}
_SHOWN = 10


def rehearse(run: Invocation, live: Connection, job: Job, url: str | None) -> None:
    """Rehearse what is pending, and write what each file did.

    Raises:
        AgentdbError: a file failed there, or there is no place for a rehearsal.
    """
    from agentdb_cli.migrations import runner
    from agentdb_cli.migrations.rehearsal.rehearse import Outcome
    from agentdb_cli.postgres.connect import place

    files = runner.check(live, job, progress_of(run))
    done: list[Rehearsed] = []
    if files:
        done = _rehearsed(run, live, job, files, url)
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [_row(each) for each in done])
    stopped = next((each for each in done if each.error), None)
    if stopped is not None:
        assert stopped.error is not None
        failed = stopped.outcome is Outcome.failed
        raise AgentdbError(
            f"the rehearsal {'failed' if failed else 'ended early'}; the database itself was not "
            f"changed\n{stopped.error.message}",
            hint="mend the file, then rehearse again" if failed else stopped.error.hint,
        )
    total = f"{len(done)} rehearsed" if done else "nothing to rehearse"
    run.output.line(f"{total}, database {place(live)} (nothing was changed there)")


def _rehearsed(
    run: Invocation, live: Connection, job: Job, files: tuple[object, ...], url: str | None
) -> list[Rehearsed]:
    from dataclasses import replace

    from agentdb_cli.migrations.rehearsal import copy
    from agentdb_cli.migrations.rehearsal import rehearse as rehearsal
    from agentdb_cli.migrations.runner import Progress
    from agentdb_cli.postgres.connect import another

    settings = run.settings.connection
    done: list[Rehearsed] = []

    def told(each: Rehearsed) -> None:
        done.append(each)
        for line in _lines(each):
            run.output.line(line)

    script = copy.schema_of(live, job, settings.lock_timeout)
    with (
        _server(run, url) as (server, scratch_database),
        copy.roles_for(live, server, script, files) as lacking_roles,  # type: ignore[arg-type]
        scratch_database() as scratch,
    ):
        copied = copy.copy(script, live, scratch, job)
        _tell_what_lacks(run, live, scratch, copied, lacking_roles)
        progress = Progress(notice=run.output.notice, warning=run.output.warning)
        # Nobody else is there, so that a long wait is of no harm.
        own = replace(job, lock_timeout=60_000)
        with another(scratch, settings, command=run.command) as looker:
            rehearsal.rehearse(scratch, looker, own, files, progress, told)  # type: ignore[arg-type]
    return done


@contextmanager
def _server(run: Invocation, url: str | None) -> Iterator[tuple[Connection, Scratch]]:
    """The server to rehearse on: a connection to it, and what makes a scratch database there."""
    from functools import partial

    import psycopg

    from agentdb_cli.postgres import connect, embedded
    from agentdb_cli.postgres.scratch import scratch_database
    from agentdb_cli.settings.sources import from_url

    if url is None:
        cluster, postmaster = embedded.ensure_running(run.settings.server, run.output.notice)
        keywords = cluster.keywords(postmaster, "postgres")
    else:
        keywords = connect.parameters(from_url("--rehearse-url", "--rehearse-url", url))
    settings = run.settings.connection
    source = "--rehearse-url" if url else "the embedded server"
    make = partial(scratch_database, keywords, settings, command=run.command)
    with connect.open_connection(
        keywords, settings, command=run.command, source=source
    ) as connection:
        try:
            yield connection, make
        except psycopg.errors.InsufficientPrivilege as error:
            raise AgentdbError(
                f"cannot rehearse on {connect.place(connection)}: {error.diag.message_primary}",
                hint=f"ALTER ROLE {connection.info.user} CREATEDB; or name another server with "
                "--rehearse-url",
            ) from None


def _tell_what_lacks(
    run: Invocation,
    live: Connection,
    scratch: Connection,
    copied: Copied,
    roles: tuple[str, ...],
) -> None:
    """Say in what the copy is not like the database."""
    warning = run.output.warning
    majors = [each.info.server_version // 10_000 for each in (live, scratch)]
    if majors[0] != majors[1]:
        warning(f"rehearsed on PostgreSQL {majors[1]}; the database is on {majors[0]}")
    if copied.lacking:
        warning(
            f"the scratch server does not have {_names('extension', copied.lacking)}: "
            "what needs it is not in the copy"
        )
    if roles:
        warning(f"the scratch server does not have {_names('role', roles)}, and may not make it")
    if copied.refused:
        shown = "".join(f"\n  {line}" for line in copied.refused[:_SHOWN])
        more = len(copied.refused) - _SHOWN
        warning(
            f"{count(len(copied.refused), 'statement', 'statements')} of the schema could not be "
            f"copied:{shown}" + (f"\n  and {more} more" if more > 0 else "")
        )


def _names(noun: str, names: tuple[str, ...]) -> str:
    return f"the {noun}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _row(each: Rehearsed) -> dict[str, object]:
    return {
        "version": each.file.version,
        "migration": each.file.label,
        "state": each.outcome.value,
        "duration": None if each.seconds is None else round(each.seconds, 6),
        "locks": [{"lock": str(held.mode), "relation": held.relation} for held in each.held],
        "rewritten": list(each.rewritten),
        "changes": [
            {"change": _CHANGES[c.change.value], "kind": c.key.kind, "name": str(c.key)}
            for c in each.changes
        ],
        "detail": each.error.message if each.error else None,
    }


def _lines(each: Rehearsed) -> Iterator[str]:
    took = "" if each.seconds is None else f"  {duration(each.seconds)}"
    yield f"{each.outcome.value:9}  {each.file.label}{took}"
    for held in each.held:
        stops = f": stops {held.mode.stops}" if held.mode.stops else ""
        yield f"  lock     {held.mode} on {held.relation}{stops}"
    for name in each.rewritten:
        yield f"  rewrite  {name} is kept in a new file: written anew, or emptied"
    for change in each.changes:
        yield f"  change   {_change(change)}"


def _change(change: Difference) -> str:
    sign = _SIGNS[change.change.value]
    text = f"{sign} {change.key.kind} {change.key}"
    if change.key.kind in ("view", "function"):
        return text
    match change.expected, change.actual:
        case None, str(now):
            return f"{text}: {now}"
        case str(then), str(now):
            return f"{text}: {then} → {now}"
    return text
