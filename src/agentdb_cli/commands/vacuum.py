"""`agentdb vacuum`: remove dead rows where that is needed, and say what could not be removed."""

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
    from agentdb_cli.maintenance.plan import Options, Task
    from agentdb_cli.maintenance.tables import Table
    from agentdb_cli.maintenance.vacuum import Outcome
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False)


@register(app, "vacuum")
def vacuum(
    run: Invocation,
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TABLE]...", help="These tables, whether they need it or not."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every table, but not the system's own.")
    ] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Renew the planner's statistics of each, too.")
    ] = False,
    freeze: Annotated[bool, typer.Option("--freeze", help="Freeze all rows that can be.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Rewrite the tables; nobody can read or write them meanwhile."),
    ] = False,
    truncate: Annotated[
        bool,
        typer.Option(
            "--truncate", help="Give empty pages at a table's end back; locks it for moments."
        ),
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, metavar="N", help="Tables at the same time.")
    ] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and why.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --full.")] = False,
) -> None:
    """Vacuum the tables that need it, worst first.

    Without a table: those with more dead or new rows than autovacuum's
    threshold, near the transaction ID limit, or without fresh statistics.

    For cron: agentdb vacuum --all --analyze --quiet each week; in a maintenance
    window of the month agentdb vacuum --full --all --yes, and agentdb reindex --all.

    Exit code: 1 if a table was not vacuumed, or its dead rows are held back.
    """
    from agentdb_cli.maintenance import vacuum
    from agentdb_cli.maintenance.plan import Options, plan
    from agentdb_cli.maintenance.states import State
    from agentdb_cli.postgres import server
    from agentdb_cli.postgres.connect import place

    _check_usage(tables, every=every, full=full, truncate=truncate)
    lock_timeout = run.settings.connection.lock_timeout
    with run.connect() as connection:
        server.refuse_standby(connection, "VACUUM")
        options = Options(
            analyze=analyze,
            freeze=freeze,
            full=full,
            truncate=truncate,
            wait=server.lock_timeout_holds(connection, lock_timeout),
        )
        if full and not options.wait:
            raise AgentdbError(
                "a pooler in between keeps --lock-timeout from the server, and VACUUM FULL "
                "could stop the application while it waits for its lock",
                hint="connect to the server directly",
            )
        chosen = _chosen(connection, tables or (), every=every)
        major = connection.info.server_version // 10_000
        tasks = plan(chosen, options, major, needs=not (tables or every))
        where = place(connection)
        if not tasks:
            show(run, [])
            run.output.line(f"no table {'needs it' if not every else 'is there'}, database {where}")
            return
        if full:
            _state_the_price(run, connection, tasks, jobs)
        if dry_run:
            _show_plan(run, tasks, where)
            return
        if full and not run.confirmed(f"rewrite them, database {where}?", yes=yes):
            run.output.notice("nothing was done")
            return
        started = time.monotonic()
        refused = [
            vacuum.Outcome(task, State.not_permitted, detail=_forbidden(connection))
            for task in tasks
            if not task.table.permitted
        ]
        outcomes = _run(run, connection, tasks, options, jobs, refused)
    conclude(
        run,
        [_row(outcome) for outcome in outcomes],
        {o.task.table.relation: o.state.told(o.detail) for o in outcomes if o.state != "done"},
        count(len(outcomes), "table", "tables"),
        where,
        time.monotonic() - started,
        _HINTS,
    )


def _check_usage(tables: Sequence[str] | None, *, every: bool, full: bool, truncate: bool) -> None:
    if tables and every:
        raise SettingsError("name either tables or --all")
    if full and not (tables or every):
        raise SettingsError(
            "--full wants the tables to rewrite, or --all",
            hint="agentdb inspect bloat shows which of them waste space",
        )
    if full and truncate:
        raise SettingsError("--full rewrites the whole table; leave out --truncate")


def _chosen(connection: Connection, names: Sequence[str], *, every: bool) -> list[Table]:
    from agentdb_cli.maintenance import plan
    from agentdb_cli.maintenance import tables as all_tables

    known = all_tables.read(connection)
    if names:
        return all_tables.with_partitions(known, all_tables.named(connection, known, names))
    if not every:
        return plan.in_need(known)
    return [
        table
        for table in known
        if not (table.catalog or table.temporary or table.kind == "t")
        and not (table.partitioned and table.root not in (None, table.oid))
    ]


def _forbidden(connection: Connection) -> str:
    from agentdb_cli.postgres.server import role

    grant = ", nor has it MAINTAIN" if connection.info.server_version >= 170_000 else ""
    return f"the role {role(connection)} owns neither the table nor the database{grant}"


def _state_the_price(
    run: Invocation, connection: Connection, tasks: Sequence[Task], jobs: int
) -> None:
    """Say what VACUUM FULL locks and needs.

    Raises:
        AgentdbError: a catalog is among them, or the disk is too full.
    """
    from agentdb_cli.postgres import disk, holders
    from agentdb_cli.render.progress import size

    catalogs = [task.table.relation for task in tasks if task.table.catalog]
    if catalogs:
        raise AgentdbError(
            f"{catalogs[0]} is a system catalog, and no session can work while it is rewritten",
            hint="leave out --full",
        )
    run.output.notice(
        "VACUUM FULL holds an ACCESS EXCLUSIVE lock on each table until it is rewritten: "
        "nobody can read or write it"
    )
    for task in tasks:
        table = task.table
        in_use = holders.of_lock(connection, table.oid, exclusive=True)
        users = f"; in use by {', '.join(map(str, in_use))}" if in_use else ""
        run.output.notice(f"  {table.relation}: {size(table.size)}{users}")
    for tablespace in sorted({task.table.tablespace for task in tasks}):
        sizes = (task.table.size for task in tasks if task.table.tablespace == tablespace)
        needed = sum(sorted(sizes, reverse=True)[:jobs])
        free = disk.free(connection, tablespace)
        place = f"in {tablespace}" if tablespace else "in the data directory"
        seen = f"{size(free)} are free" if free is not None else "how much is free is not seen here"
        run.output.notice(f"it needs up to {size(needed)} of disk {place}, and as much WAL; {seen}")
        if free is not None and free < needed:
            raise AgentdbError(
                f"the disk has not enough room {place}: {size(needed)} needed, {size(free)} free",
                hint="vacuum the smaller tables first, or make room",
            )


def _show_plan(run: Invocation, tasks: Sequence[Task], where: str) -> None:
    rows = [
        {
            "relation": task.table.relation,
            "size": task.table.size,
            "permitted": task.table.permitted,
            "statement": task.statement,
            "reason": "; ".join(task.reasons),
        }
        for task in tasks
    ]
    columns = ["relation", "size", "permitted", "statement", "reason"]
    if run.output.for_people and all(task.table.permitted for task in tasks):
        columns.remove("permitted")
    run.output.rows(columns, [readable(row) for row in rows] if run.output.for_people else rows)
    tables = count(len(tasks), "table", "tables")
    run.output.line(f"{tables}, database {where} (dry run: nothing was changed)")


def _run(
    run: Invocation,
    connection: Connection,
    tasks: Sequence[Task],
    options: Options,
    jobs: int,
    outcomes: list[Outcome],
) -> list[Outcome]:
    """Run what is permitted; when interrupted, show what was done until then."""
    from agentdb_cli.maintenance import vacuum
    from agentdb_cli.maintenance.states import State

    permitted = [task for task in tasks if task.table.permitted]

    def all_outcomes() -> list[Outcome]:
        ended = {outcome.task.table.oid for outcome in outcomes}
        left = (task for task in permitted if task.table.oid not in ended)
        return [*outcomes, *(vacuum.Outcome(task, State.not_started) for task in left)]

    try:
        with reporting(run) as report:
            vacuum.run(
                connection,
                permitted,
                options,
                report,
                outcomes.append,
                jobs=jobs,
                lock_timeout=run.settings.connection.lock_timeout,
            )
    except KeyboardInterrupt:
        show(run, [_row(outcome) for outcome in all_outcomes()])
        raise
    return all_outcomes()


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "relation": outcome.task.table.relation,
        "state": outcome.state.value,
        "duration": None if outcome.seconds is None else round(outcome.seconds, 3),
        "dead_before": outcome.dead_before,
        "dead_after": outcome.dead_after,
        "size_before": outcome.size_before,
        "size_after": outcome.size_after,
        "detail": outcome.detail,
    }


_HINTS = {
    "held back": "end what needs the dead rows: agentdb inspect idle-in-transaction, "
    "replication-slots and prepared-transactions show it; then run again",
    "locked": "run again later, or wait longer with --lock-timeout",
    "not permitted": "connect as the owner",
}
