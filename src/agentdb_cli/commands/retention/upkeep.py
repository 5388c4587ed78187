"""`agentdb retention partitions`: partitions ahead of time, and rows where they belong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.attach import Maker
    from agentdb_cli.retention.ranged import Table, Wish
    from agentdb_cli.retention.upkeep import Plan, Step

_LOCK = "partitions"
_COLUMNS = ("table", "partition", "from", "to", "moved", "state", "detail")


def partitions(
    run: Invocation,
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TABLE]...", help="These, whether they have a policy or not; default: all."
        ),
    ] = None,
    ahead: Annotated[
        int | None,
        typer.Option(
            "--ahead",
            metavar="DAYS",
            min=0,
            max=3660,
            help="Days to prepare (default: 7 of daily partitions, 28 of weekly, 62 of monthly).",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is missing; change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Lock a table for longer than a second if need be.")
    ] = False,
) -> None:
    """Create the partitions of the days to come.

    Of all tables with `partitioned` in their retention policy, or of those
    named, which may be any that are partitioned by range of one time column:
    names, bounds and intervals follow the partitions that are there.

    Rows that have landed in a default partition are moved to where they belong.
    Nobody can read or write the table meanwhile, so that nobody misses a row;
    if that would take longer than a second, it is left until you say --yes.
    Rows past their time stay where they are; agentdb purge deletes them there.

    For cron, once a day: agentdb retention partitions --quiet. It does nothing
    if nothing is missing, or while another run is at work.

    Exit code: 1 if a partition could not be made, or a table cannot have any.
    """
    from agentdb_cli.postgres import advisory

    with run.connect(in_schema=True) as connection:
        wishes = _wishes(run, connection, tables or ())
        if dry_run:
            _work(run, connection, wishes, ahead, dry_run=True, yes=yes)
            return
        if not advisory.try_lock(connection, _LOCK):
            other = advisory.holder(connection, _LOCK)
            run.output.notice(f"another run is at work, so nothing was done: {other}")
            return
        try:
            _work(run, connection, wishes, ahead, dry_run=False, yes=yes)
        finally:
            if not connection.closed:
                advisory.unlock(connection, _LOCK)


def _wishes(run: Invocation, connection: Connection, tables: Sequence[str]) -> list[Wish]:
    """The tables that are named, else those whose policies say `partitioned`.

    Raises:
        AgentdbError: no policy says so.
    """
    from agentdb_cli.commands import policies
    from agentdb_cli.retention.ranged import Wish

    found = {policy.table: policy for policy in policies.of_database(run, connection)}
    names = tables or [name for name, policy in found.items() if policy.partitioned]
    if not names:
        raise AgentdbError(
            "no retention policy says that its table is partitioned; nothing was done",
            hint="name the tables, or agentdb retention set TABLE --days DAYS --partitioned day",
        )
    wishes = []
    for name in dict.fromkeys(names):
        policy = found.get(name)
        by_age = policy is not None and policy.enabled and policy.by_age_alone
        wishes.append(
            Wish(
                name,
                policy.partitioned if policy else None,
                policy.days if policy is not None and by_age else None,
                # A pack may have more tables than this database.
                required=bool(tables) or policy is None or not policy.source.startswith("pack "),
            )
        )
    return wishes


def _work(
    run: Invocation,
    connection: Connection,
    wishes: Sequence[Wish],
    ahead: int | None,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """Make what is missing, table by table, and show it.

    Raises:
        AgentdbError: something was not done.
    """
    import psycopg

    from agentdb_cli.retention.ranged import Unfit, look

    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for wish, found in zip(wishes, look(connection, wishes), strict=True):
        if isinstance(found, Unfit):
            if found.missing and not wish.required:
                run.output.notice(f"{found.table}: not in this database")
            else:
                problems.append(f"{found.table}: {found.reason}; {found.hint}")
            continue
        try:
            made = _of_table(run, connection, found, ahead, dry_run=dry_run, yes=yes)
        except psycopg.Error as error:
            if connection.closed:
                raise
            said = error.diag.message_primary or str(error).strip()
            problems.append(f"{found.name}: {said}")
            continue
        rows += made
        problems += [
            f"{row['table']}, {row['partition']}: {row['detail']}"
            for row in made
            if row["state"] in ("failed", "left")
        ]
    _show(run, rows, dry_run=dry_run)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise AgentdbError(f"not all partitions {'can be' if dry_run else 'were'} made:{lines}")


def _of_table(
    run: Invocation,
    connection: Connection,
    table: Table,
    ahead: int | None,
    *,
    dry_run: bool,
    yes: bool,
) -> list[dict[str, Any]]:
    """Make what one table lacks; a row for each partition."""
    from agentdb_cli.retention.attach import Maker
    from agentdb_cli.retention.upkeep import plan

    missing = plan(connection, table, ahead)
    _notices(run, missing)
    if not missing.steps:
        return []
    maker = Maker(connection, missing, run.settings.connection.lock_timeout)
    if maker.model.own and table.sibling is not None:
        run.output.notice(
            f"{table.name}: {table.sibling.name} has for itself, and new partitions have not:"
            f" {', '.join(maker.model.own)}"
        )
    rows = []
    for step in missing.steps:
        row = _row(missing, step)
        _look_ahead(maker, step, row) if dry_run else _make(run, maker, step, row, yes=yes)
        rows.append(row)
    return rows


def _row(missing: Plan, step: Step) -> dict[str, Any]:
    return {
        "table": missing.table.name,
        "partition": step.name,
        "from": step.days.lower,
        "to": step.days.upper,
        "moved": step.rows,
        "state": "missing",
        "detail": None,
    }


def _make(run: Invocation, maker: Maker, step: Step, row: dict[str, Any], *, yes: bool) -> None:
    """Make one partition, unless that would lock the table for long and nobody agrees."""
    problem, long = maker.problem(step), False
    if problem is None:
        seconds = maker.seconds(step)
        long = _is_long(seconds)
        if long and not (yes or _agreed(run, maker, step, seconds)):
            problem = _too_long(seconds, step)
    if problem is not None:
        row |= {"state": "left", "moved": 0, "detail": problem}
        return
    try:
        moved = maker.make(step, at_leisure=long)
    except AgentdbError as error:
        detail = f"{error.message}; {error.hint}" if error.hint else error.message
        row |= {"state": "failed", "moved": 0, "detail": detail}
        return
    row |= {"state": "created", "moved": moved}


def _look_ahead(maker: Maker, step: Step, row: dict[str, Any]) -> None:
    problem = maker.problem(step)
    if problem is not None:
        row |= {"state": "left", "detail": problem}
        return
    seconds = maker.seconds(step)
    if _is_long(seconds):
        row["detail"] = _too_long(seconds, step)


def _is_long(seconds: float) -> bool:
    from agentdb_cli.retention.attach import LONGEST_LOCK

    return seconds > LONGEST_LOCK


def _too_long(seconds: float, step: Step) -> str:
    why = f"moving {_rows(step.rows)}" if step.rows else "reading the default partition"
    return f"{why} would lock the table for about {duration(seconds)}: needs --yes"


def _agreed(run: Invocation, maker: Maker, step: Step, seconds: float) -> bool:
    if not sys.stdin.isatty():
        return False
    table = maker.plan.table.name
    return run.confirmed(
        f"{step.name}: lock {table} for about {duration(seconds)}, to move {_rows(step.rows)}?",
        yes=False,
    )


def _notices(run: Invocation, missing: Plan) -> None:
    table = missing.table
    if table.default is None:
        return
    if missing.expired:
        run.output.notice(
            f"{table.default.name}: {_rows(missing.expired)} past their time stay there;"
            " agentdb purge deletes them"
        )
    if missing.beyond:
        run.output.notice(
            f"{table.default.name}: {_rows(missing.beyond)} of days further ahead stay there;"
            " --ahead reaches them"
        )


def _show(run: Invocation, rows: Sequence[dict[str, Any]], *, dry_run: bool) -> None:
    if not run.output.for_people:
        run.output.rows(_COLUMNS, rows)
        return
    if not rows:
        run.output.notice("every table has its partitions; nothing to do")
        return
    if run.output.quiet and not dry_run:
        return
    columns = [c for c in _COLUMNS if c not in ("moved", "detail") or any(row[c] for row in rows)]
    shown = rows
    if not dry_run:  # the error repeats what was not done
        shown = [{**row, "detail": None} for row in rows]
        columns = [c for c in columns if c != "detail"]
    run.output.rows(columns, shown)
    if dry_run:
        run.output.line("dry run: nothing was changed")
        return
    made = [row for row in rows if row["state"] == "created"]
    moved = sum(row["moved"] for row in made)
    line = f"{count(len(made), 'partition', 'partitions')} created"
    run.output.line(f"{line}, {_rows(moved)} moved" if moved else line)


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
