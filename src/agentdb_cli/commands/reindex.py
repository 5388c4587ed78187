"""`agentdb reindex`: rebuild indexes CONCURRENTLY, and leave nothing behind."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import conclude, count, readable, reporting, show
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.maintenance.indexes import Action
    from agentdb_cli.maintenance.reindex import Outcome
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False)


@register(app, "reindex")
def reindex(
    run: Invocation,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INDEX|TABLE]...",
            help="These, whether they need it or not.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every index, but not the system's own.")
    ] = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="TIME", help="Longest wait for an older transaction.")
    ] = "10min",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and why.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Rebuild indexes that need it, without locking anyone out.

    Without a name: what a failed REINDEX CONCURRENTLY left is dropped; invalid
    indexes, B-trees that are 40 percent bloat or more, and vector indexes with
    many dead rows are rebuilt, after a question.

    All of it is done CONCURRENTLY. What cannot be, is refused. A rebuild needs
    the disk space of the index once more, and waits for older transactions.

    Exit code: 1 if something was not done.
    """
    from agentdb_cli.maintenance import reindex
    from agentdb_cli.maintenance.states import State
    from agentdb_cli.postgres import server
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.settings import milliseconds

    if names and every:
        raise SettingsError("name either indexes and tables or --all")
    try:
        longest = milliseconds(wait)
    except ValueError as error:
        raise SettingsError(f"--wait must be {error}") from None
    lock_timeout = run.settings.connection.lock_timeout
    with run.connect() as connection:
        server.refuse_standby(connection, "REINDEX")
        if not server.lock_timeout_holds(connection, lock_timeout):
            raise AgentdbError(
                "a pooler in between keeps --lock-timeout from the server",
                hint="connect to the server directly",
            )
        actions = _chosen(run, connection, names or (), every=every)
        where = place(connection)
        if not actions:
            show(run, [])
            run.output.line(f"no index {'needs it' if not every else 'is there'}, database {where}")
            return
        _check_disk(connection, actions)
        if dry_run:
            _show_plan(run, actions)
            run.output.line(f"{_summary(actions)}, database {where} (dry run: nothing was changed)")
            return
        if not (names or every):
            if not yes and run.output.for_people:
                _show_plan(run, actions)
            if not run.confirmed(f"{_summary(actions)}, database {where}: go on?", yes=yes):
                run.output.notice("nothing was done")
                return
        started = time.monotonic()
        refused = [
            reindex.Outcome(action, State.not_permitted, detail=_forbidden(connection))
            for action in actions
            if not action.index.permitted
        ]
        outcomes = _run(run, connection, actions, refused, longest)
    conclude(
        run,
        [_row(outcome) for outcome in outcomes],
        {o.action.index.name: o.state.told(o.detail) for o in outcomes if o.state != "done"},
        count(len(outcomes), "index", "indexes"),
        where,
        time.monotonic() - started,
        _HINTS,
    )


def _chosen(
    run: Invocation, connection: Connection, names: Sequence[str], *, every: bool
) -> list[Action]:
    """What to do; what is left out although it was meant is said."""
    from agentdb_cli.maintenance import indexes

    known = indexes.read(connection)
    needed = indexes.needed_sizes(connection)
    if names:
        meant = indexes.named(connection, known, names)
    else:
        meant = [index for index in known if not (index.catalog or index.temporary)]
    for index in meant:
        if index.refusal and (names or every or not index.valid):
            run.output.warning(f"{index.name} is left out: {index.refusal}")
        elif not (names or every or index.valid) and index.busy:
            run.output.notice(
                f"{index.name} is invalid, and left alone: pid {index.busy} works on its table"
            )
    if not (names or every):
        guessed = [i for i in meant if i.method == "btree" and i.size >= indexes.BLOAT_SIZE]
        if missing := sum(index.oid not in needed for index in guessed if index.valid):
            run.output.notice(
                f"the bloat of {missing} large indexes is not known: their tables were never "
                "analyzed, or this role may not read the statistics"
            )
        return indexes.in_need(meant, needed)
    actions = [indexes.action(index, needed) for index in meant if not index.refusal]
    if names and not actions:
        raise AgentdbError("nothing of that can be rebuilt without locking the application out")
    return actions


def _check_disk(connection: Connection, actions: Sequence[Action]) -> None:
    """Make sure that the largest rebuild has room, where that can be seen.

    Raises:
        AgentdbError: it has not.
    """
    from agentdb_cli.postgres import disk
    from agentdb_cli.render.progress import size

    rebuilt = [action.index for action in actions if not action.drop]
    for tablespace in {index.tablespace for index in rebuilt}:
        largest = max((i for i in rebuilt if i.tablespace == tablespace), key=lambda i: i.size)
        free = disk.free(connection, tablespace)
        if free is not None and free < largest.size:
            raise AgentdbError(
                f"the disk has not enough room to rebuild {largest.name}: "
                f"{size(largest.size)} needed, {size(free)} free",
                hint="rebuild smaller ones by name, or make room",
            )


def _forbidden(connection: Connection) -> str:
    from agentdb_cli.postgres.server import role

    grant = " nor has MAINTAIN on the table" if connection.info.server_version >= 170_000 else ""
    return f"the role {role(connection)} does not own it{grant}"


def _summary(actions: Sequence[Action]) -> str:
    """`drop 1 index, rebuild 2 (one at a time, with up to 1.2 GB of disk)`."""
    from agentdb_cli.render.progress import size

    rebuilt = [action.index.size for action in actions if not action.drop]
    dropped = len(actions) - len(rebuilt)
    parts = [f"drop {dropped}"] if dropped else []
    if rebuilt:
        parts.append(
            f"rebuild {len(rebuilt)}, one at a time, with up to {size(max(rebuilt))} more on disk"
        )
    return "; ".join(parts)


def _show_plan(run: Invocation, actions: Sequence[Action]) -> None:
    people = run.output.for_people
    rows = [
        {
            "index": action.index.name,
            "relation": action.index.relation,
            "size": action.index.size,
            "gain": action.gain,
            "permitted": action.index.permitted,
            "statement": action.statement,
            "reason": action.reason,
        }
        for action in actions
    ]
    columns = ["index", "relation", "size", "gain", "permitted", "statement", "reason"]
    if people:
        columns.remove("index")  # the statement names it
        if all(action.index.permitted for action in actions):
            columns.remove("permitted")
    run.output.rows(columns, [readable(row) for row in rows] if people else rows)


def _run(
    run: Invocation,
    connection: Connection,
    actions: Sequence[Action],
    outcomes: list[Outcome],
    wait: int,
) -> list[Outcome]:
    """Do what is permitted; when interrupted, show what was done until then."""
    from agentdb_cli.maintenance import reindex
    from agentdb_cli.maintenance.states import State

    permitted = [action for action in actions if action.index.permitted]

    def all_outcomes() -> list[Outcome]:
        ended = {outcome.action.index.oid for outcome in outcomes}
        left = (action for action in permitted if action.index.oid not in ended)
        return [*outcomes, *(reindex.Outcome(action, State.not_started) for action in left)]

    try:
        with reporting(run) as report:
            reindex.run(
                connection,
                permitted,
                report,
                outcomes.append,
                lock_timeout=run.settings.connection.lock_timeout,
                wait=wait,
            )
    except KeyboardInterrupt:
        show(run, [_row(outcome) for outcome in all_outcomes()])
        raise
    return all_outcomes()


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "index": outcome.action.index.name,
        "action": "drop" if outcome.action.drop else "rebuild",
        "state": outcome.state.value,
        "duration": None if outcome.seconds is None else round(outcome.seconds, 3),
        "size_before": outcome.size_before,
        "size_after": outcome.size_after,
        "detail": outcome.detail,
    }


_HINTS = {
    "locked": "run again when they have ended; --lock-timeout and --wait set how long to wait",
    "not permitted": "connect as the owner",
}
