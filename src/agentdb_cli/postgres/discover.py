"""What an unknown database looks like: its vector columns, logs, heartbeats and metrics.

Guessed from types and names, in the way an engineer new to it would; every
guess is a proposal for `agentdb.toml`, to be read before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

PROPOSED_DAYS = 30
"""Background Agents' document keeps telemetry for 30 days."""

TIME_TYPES = ("timestamp with time zone", "timestamp without time zone", "date")
"""What a row's age can be counted from, as format_type() spells it."""

_TIME_NAMES = (
    "timestamp", "occurred_at", "recorded_at", "logged_at", "event_time", "time", "ts",
    "created_at", "inserted_at", "started_at",
)  # fmt: skip
_LOG = re.compile(r"(?:^|_)(?:\w*log|logs|events?|heartbeats?|metrics?|audit\w*|traces?|history)$")
_TEXT_NAMES = ("content", "text", "answer", "value", "body", "chunk", "document", "description")
_AGENT_NAMES = ("agent_id", "agent", "agent_name", "worker_id", "instance_id")
_DISTANCES = {
    "cosine": "cosine",
    "l2": "l2",
    "ip": "inner_product",
    "l1": "l1",
}


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, each part as the tables of `agentdb.toml` of that name.

    Attributes:
        dimensions: the dimensions of the vector columns, by `table.column`.
    """

    retention: Mapping[str, Mapping[str, object]]
    collections: Mapping[str, Mapping[str, object]]
    heartbeats: Mapping[str, object]
    metrics: Mapping[str, object]
    dimensions: Mapping[str, int]


def discover(connection: Connection) -> Discovery:
    """Look at the tables of a database; nothing is changed."""
    with connection.cursor(row_factory=dict_row) as cursor:
        vectors = cursor.execute(query("discover/vectors").encode()).fetchall()
        tables = cursor.execute(query("discover/tables").encode()).fetchall()
    columns = {_name(row): row["columns"] for row in tables}
    return Discovery(
        retention=_retention(columns),
        collections={name: entry for row in vectors for name, entry in [_collection(row)] if entry},
        heartbeats=_heartbeats(columns),
        metrics=_metrics(columns),
        dimensions={
            f"{_name(row)}.{row['embedding']}": row["dimensions"]
            for row in vectors
            if row["dimensions"]
        },
    )


Columns = Mapping[str, Mapping[str, str]]
"""For each table the types of its columns, by name."""


def _name(row: Mapping[str, Any]) -> str:
    schema, relation = row["schema"], row["relation"]
    return str(relation if schema == "public" else f"{schema}.{relation}")


def _time_column(columns: Mapping[str, str]) -> str | None:
    found = [name for name in columns if columns[name] in TIME_TYPES]
    return next((name for name in _TIME_NAMES if name in found), None)


def _retention(tables: Columns) -> dict[str, dict[str, object]]:
    """Tables whose name says that they are a log; switched off until somebody agrees."""
    return {
        table: {"time_column": column, "days": PROPOSED_DAYS, "enabled": False}
        for table, columns in tables.items()
        if _LOG.search(table.rpartition(".")[2]) and (column := _time_column(columns))
    }


def _collection(row: Mapping[str, Any]) -> tuple[str, dict[str, object] | None]:
    columns: Mapping[str, str] = row["columns"]
    texts = [name for name in columns if columns[name] in ("text", "character varying")]
    text = next((name for name in _TEXT_NAMES if name in texts), texts[0] if texts else None)
    if row["key"] is None or text is None:
        return "", None  # nothing to name a hit by, or nothing to show of it
    kind = (row["operator_class"] or "vector_cosine_ops").split("_")[1]
    entry: dict[str, object] = {
        "table": _name(row),
        "key": row["key"],
        "embedding": row["embedding"],
        "text": text,
        "distance": _DISTANCES.get(kind, "cosine"),
    }
    if columns.get("metadata") in ("json", "jsonb"):
        entry["metadata"] = "metadata"
    if row["references"]:
        entry["filters"] = list(row["references"])
    return row["relation"], entry


def _heartbeats(tables: Columns) -> dict[str, object]:
    for table, columns in tables.items():
        agent = next((name for name in _AGENT_NAMES if name in columns), None)
        time = _time_column(columns)
        if "heartbeat" in table and agent and time:
            return {"table": table, "agent_column": agent, "time_column": time}
    return {}


def _metrics(tables: Columns) -> dict[str, object]:
    for table, columns in tables.items():
        name = next((n for n in ("metric_name", "metric", "name") if n in columns), None)
        time = _time_column(columns)
        if "metric" in table and name and time and "value" in columns:
            return {
                "table": table,
                "name_column": name,
                "value_column": "value",
                "time_column": time,
            }
    return {}
