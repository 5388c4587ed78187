"""`agentdb retention`: which rows are kept how long, and what is past its time."""

from __future__ import annotations

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.commands.retention.check import check
from agentdb_cli.commands.retention.declare import declare
from agentdb_cli.commands.retention.upkeep import partitions

app = group("Show and declare which rows are kept how long.")


@register(app, "list")
def list_(run: Invocation) -> None:
    """List the retention policies, and where each comes from."""
    from agentdb_cli.commands import policies

    with run.connect(in_schema=True) as connection:
        found = policies.of_database(run, connection)
    rows = [
        {
            "table": policy.table,
            "days": policy.days,
            "by": policy.time_column,
            "enabled": policy.enabled,
            "fixed": policy.fixed,
            "where": policy.where,
            "keep_last": policy.keep_last,
            "per": ", ".join(policy.per),
            "archive": str(policy.archive) if policy.archive else None,
            "partitioned": policy.partitioned,
            "source": policy.source,
        }
        for policy in found
    ]
    columns = list(rows[0]) if rows else []
    if run.output.for_people:  # what no policy says needs no column
        columns = [name for name in columns if any(row[name] not in (None, "") for row in rows)]
    run.output.rows(columns, rows)


register(app, "set")(declare)
register(app, "check")(check)
register(app, "partitions")(partitions)
