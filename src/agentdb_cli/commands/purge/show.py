"""What `agentdb purge` shows: what it would do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import readable
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.outcome import Outcome
    from agentdb_cli.retention.policy import Policy
    from agentdb_cli.retention.targets import Target


def announce(run: Invocation, targets: Sequence[Target]) -> None:
    """Say which rows of which tables will go, and who laid that down."""
    for target in targets:
        run.output.notice(f"{target.name}: rows before {_moment(target)}, {_keeps(target.policy)}")


def _keeps(policy: Policy) -> str:
    kept = f"{policy.days} days by {policy.time_column}"
    if policy.where:
        kept += f", only where {policy.where}"
    if policy.keep_last:
        per = f" of each {', '.join(policy.per)}" if policy.per else ""
        kept += f", but never the last {policy.keep_last}{per}"
    if policy.archive:
        kept += f", into {policy.archive}"
    return f"{kept} ({policy.source})"


def _moment(target: Target) -> str:
    return f"{target.cutoff_at:%Y-%m-%d %H:%M:%S %Z}"


def show_due(run: Invocation, connection: Connection, targets: Sequence[Target]) -> None:
    """What a purge would delete."""
    from agentdb_cli.retention.survey import due

    rows = []
    for target in targets:
        found = due(connection, target, archived=target.policy.archive is not None)
        rows.append(
            {
                "table": target.name,
                "before": target.cutoff_at,
                "rows": found.rows,
                "size": found.bytes,
                "oldest": found.oldest,
                "partitions": len(found.partitions),
                "also": "; ".join(
                    f"{each.rows} rows of {each.table} {each.effect}" for each in found.affected
                ),
            }
        )
        for statement in found.missing:
            run.output.notice(f"{target.name}: this index would make it faster: {statement}")
        if target.triggers:
            run.output.notice(
                f"{target.name}: triggers fire for each row: {', '.join(target.triggers)}"
            )
    columns = ("table", "before", "rows", "size", "oldest", "partitions", "also")
    run.output.rows(columns, [readable(row) if run.output.for_people else row for row in rows])
    run.output.line("dry run: nothing was deleted")


def show(run: Invocation, outcomes: Sequence[Outcome], seconds: float, where: str) -> None:
    rows = [
        {
            "table": outcome.target.name,
            "state": _state(outcome),
            "before": outcome.target.cutoff_at,
            "rows": outcome.rows,
            "size": outcome.bytes,
            "archived": outcome.archived,
            "partitions": len(outcome.partitions),
            "batches": outcome.batches,
            "skipped": outcome.skipped,
            "by": ", ".join(outcome.methods),
            "duration": outcome.seconds,
            "waited": sum(outcome.waited.values()),
            "detail": _detail(outcome),
        }
        for outcome in outcomes
    ]
    if not run.output.for_people:
        run.output.rows(tuple(rows[0]) if rows else (), rows)
        return
    if run.output.quiet:
        return
    # The times in all, and what there is nothing of, do not need a column.
    always = ("table", "state", "rows")
    columns = [name for name in rows[0] if name in always or any(row[name] for row in rows)]
    columns = [name for name in columns if name not in ("before", "batches")]
    run.output.rows(columns, [_readable(row) for row in rows])
    total = sum(outcome.rows for outcome in outcomes)
    run.output.line(f"{total:,} rows in {duration(seconds)}, database {where}")


def _readable(row: Mapping[str, Any]) -> Mapping[str, object]:
    shown = dict(readable(row))
    shown["rows"] = f"{row['rows']:,}"
    shown["waited"] = duration(row["waited"]) if row["waited"] else ""
    return shown


def _state(outcome: Outcome) -> str:
    if outcome.problem:
        return "failed"
    return "stopped" if outcome.left else "done"


def _detail(outcome: Outcome) -> str:
    parts = [outcome.problem, outcome.left]
    if outcome.skipped:
        parts.append(f"{outcome.skipped} rows were locked and are left for the next purge")
    parts += [f"waited {duration(s)} for {reason}" for reason, s in outcome.waited.items()]
    return "; ".join(part for part in parts if part)
