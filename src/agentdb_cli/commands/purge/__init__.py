"""`agentdb purge`: delete what is past its time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.purge.options import options
from agentdb_cli.commands.purge.show import announce, show, show_due
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.outcome import Options, Outcome
    from agentdb_cli.retention.refusals import Refused
    from agentdb_cli.retention.targets import Target

app = typer.Typer(add_completion=False)

_STOPPED = {"stopped by SIGTERM": 143, "stopped by SIGINT": 130}
"""Exit codes: 128 and the number of the signal, as a shell gives them."""


@register(app, "purge")
def purge(
    run: Invocation,
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="N", help="Keep N days instead of what the policies say."),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="TABLE", help="This table alone (repeatable)."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="DIR", help="Rows leave into files of this directory."),
    ] = None,
    archive_format: Annotated[
        str | None,
        typer.Option("--archive-format", metavar="FORMAT", help="jsonl (default), csv, parquet."),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option("--max-rows", metavar="N", min=1, help="Delete at most N rows.")
    ] = None,
    max_duration: Annotated[
        str | None,
        typer.Option("--max-duration", metavar="TIME", help="Begin no batch after, such as 2h."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window", metavar="HH:MM-HH:MM", help="Wait outside of it, by the server's clock."
        ),
    ] = None,
    max_lag: Annotated[
        str,
        typer.Option("--max-lag", metavar="SIZE", help="Wait while a replica lags further behind."),
    ] = "64MB",
    max_active: Annotated[
        int | None,
        typer.Option(
            "--max-active",
            metavar="N",
            min=1,
            help="Wait while more sessions are active (default: half of max_connections).",
        ),
    ] = None,
    keep_detached: Annotated[
        bool,
        typer.Option("--keep-detached", help="Detach whole partitions, but do not drop them."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would go; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
) -> None:
    """Delete rows that are past their time.

    Only tables with a retention policy (of the pack, or in [retention] of
    agentdb.toml) lose rows: agentdb retention list. Partitions that are wholly
    past their time are dropped, other rows deleted in short transactions. It
    makes way for replicas and busy sessions, and goes on where it was ended.

    For cron: agentdb purge --days 30 --quiet. SIGTERM ends it after the batch
    in flight.

    Exit code: 1 if a table could not be purged.
    """
    from agentdb_cli.commands import policies
    from agentdb_cli.retention import policy as retention
    from agentdb_cli.retention.purge import only_purge

    chosen = options(run, max_rows, max_duration, window, max_lag, max_active, keep_detached)
    if days is not None:
        retention.check_days(days, "--days")
    with run.connect(in_schema=True) as connection:
        _refuse_standby(connection)
        every = policies.of_database(run, connection)
        found = retention.chosen(every, tables or ())
        if days is not None:
            found = retention.with_days(found, days, tables or ())
        found = retention.into(found, archive, archive_format)
        targets, refused = policies.examined(run, connection, found)
        if dry_run:
            show_due(run, connection, targets)
        elif targets and _agreed(run, connection, targets, yes=yes):
            with only_purge(connection, run.connect) as other:
                if other is not None:
                    run.output.notice(f"another purge is at work, so nothing was done: {other}")
                    return
                _purge(run, connection, targets, chosen)
    _conclude(refused)


def _refuse_standby(connection: Connection) -> None:
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is not None and row[0]:
        raise AgentdbError(
            "this server is a standby, which cannot delete", hint="connect to the primary"
        )


def _agreed(
    run: Invocation, connection: Connection, targets: Sequence[Target], *, yes: bool
) -> bool:
    """Ask whoever sits at a terminal; for cron the declared policies are the consent."""
    import sys

    from agentdb_cli.postgres.connect import place

    announce(run, targets)
    if yes or not sys.stdin.isatty():
        return True
    if run.confirmed(f"delete them, database {place(connection)}?", yes=False):
        return True
    run.output.notice("nothing was deleted")
    return False


def _purge(
    run: Invocation, connection: Connection, targets: Sequence[Target], options: Options
) -> None:
    """Purge, tell how it goes and what came of it.

    Raises:
        AgentdbError: a table failed.
        Exit: a signal ended it.
    """
    from agentdb_cli.commands.stopping import stopping
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.render.progress import Progress
    from agentdb_cli.retention.purge import Calls
    from agentdb_cli.retention.purge import purge as purge_tables
    from agentdb_cli.retention.record import record

    begun = time.monotonic()
    outcomes: list[Outcome] = []
    with stopping() as stop, Progress(run.output) as progress:

        def step(outcome: Outcome) -> None:
            name, rows = outcome.target.name, outcome.rows
            if outcome.batches <= 1:
                progress.start(name)
            progress.step(name, f"{rows:,} rows", rows, max(outcome.expected, rows))

        for outcome in purge_tables(
            connection, targets, options, Calls(step, run.output.notice, stop)
        ):
            progress.finish(outcome.target.name)
            outcomes.append(outcome)
        reason = stop()
    show(run, outcomes, time.monotonic() - begun, place(connection))
    problem = record(connection, _events(run, connection), outcomes)
    if problem is not None:
        run.output.warning(problem)
    failed = [outcome for outcome in outcomes if outcome.problem]
    if failed:
        lines = "".join(f"\n  {outcome.target.name}: {outcome.problem}" for outcome in failed)
        raise AgentdbError(
            f"{len(failed)} of {len(outcomes)} tables not purged to the end:{lines}",
            hint="what was deleted stays deleted; agentdb purge goes on from there",
        )
    if reason is not None:
        raise typer.Exit(_STOPPED[reason])


def _events(run: Invocation, connection: Connection) -> Mapping[str, Any]:
    """Where the system keeps its events; nothing if it has no such table."""
    from agentdb_cli.commands.policies import packs_of

    found = dict(run.settings.catalog.get("events", {}))
    for pack in packs_of(run, connection):
        found = {**pack.content.get("events", {}), **found}
    return found


def _conclude(refused: Sequence[Refused]) -> None:
    """Fail if tables were refused, after the others were purged.

    Raises:
        AgentdbError: some were.
    """
    if not refused:
        return
    lines = "".join(f"\n  {each.policy.table}: {each.reason}; {each.hint}" for each in refused)
    count = "1 table was" if len(refused) == 1 else f"{len(refused)} tables were"
    raise AgentdbError(f"{count} not purged:{lines}")
