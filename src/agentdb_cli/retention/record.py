"""A line in the system's own event table: what a purge did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.outcome import Outcome

EVENT_TYPE = "agentdb_purge"


def record(
    connection: Connection, events: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> str | None:
    """Insert one event on a purge that deleted something or failed.

    Args:
        events: `[events]` of pack.toml; nothing is recorded unless it names
            the columns for type, message, severity and time.

    Returns:
        Why it could not be recorded, or None.
    """
    names = ("type_column", "message_column", "severity_column", "time_column")
    if not all(events.get(name) for name in ("table", *names)):
        return None
    if not any(outcome.rows or outcome.problem for outcome in outcomes):
        return None
    data = {
        outcome.target.name: {
            "rows": outcome.rows,
            "partitions": len(outcome.partitions),
            "archived": outcome.archived,
            "before": outcome.target.cutoff_at.isoformat(),
            "problem": outcome.problem,
        }
        for outcome in outcomes
    }
    severity = "ERROR" if any(outcome.problem for outcome in outcomes) else "INFO"
    table = ".".join(identifier(part) for part in str(events["table"]).split("."))
    columns = ", ".join(identifier(str(events[name])) for name in names)
    try:
        connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES (%s, %s, %s, now())".encode(),  # noqa: S608
            (EVENT_TYPE, json.dumps(data), severity),
        )
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error).strip()
        return f"the purge could not be recorded in {events['table']}: {said}"
    return None
