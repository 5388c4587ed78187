"""Why a table that has a policy may not be purged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentdb_cli.errors import nearest
from agentdb_cli.postgres.discover import TIME_TYPES
from agentdb_cli.retention.policy import Policy
from agentdb_cli.retention.references import Reference

_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
}


@dataclass(frozen=True, slots=True)
class Refused:
    """A table that will not be purged, and why.

    Attributes:
        missing: whether it does not exist in this database.
    """

    policy: Policy
    reason: str
    hint: str
    missing: bool = False


def of_table(policy: Policy, row: Mapping[str, Any]) -> Refused | None:
    """Why the table cannot be purged, or None."""
    table, column = policy.table, policy.time_column
    if row["oid"] is None:
        return Refused(
            policy,
            f"there is no table {table}",
            "agentdb retention list shows where the policy comes from",
            missing=True,
        )
    if row["kind"] not in ("r", "p"):
        return Refused(
            policy,
            f"{table} is {_KINDS.get(row['kind'], 'no table')}",
            "name the table that holds the rows",
        )
    if row["schema"].startswith("pg_") or row["schema"] == "information_schema":
        return Refused(policy, f"{table} belongs to the server", "take the policy away")
    if row["inherited"]:
        return Refused(
            policy,
            f"other tables inherit from {table}, and a DELETE would reach into them",
            "declare a policy for each table, or make it a partitioned one",
        )
    if row["partition"]:
        return Refused(
            policy, f"{table} is a partition", "declare the policy for the partitioned table"
        )
    if row["type"] is None:
        return Refused(
            policy,
            f"{table} has no column '{column}'{nearest(column, row['columns'])}",
            f"columns: {', '.join(row['columns'])}",
        )
    if row["type"] not in TIME_TYPES:
        return Refused(
            policy,
            f"{table}.{column} is no time, but {row['type']}",
            "time_column must be a timestamptz, timestamp or date",
        )
    user = row["role"]
    if not row["owned"]:
        return Refused(
            policy,
            f"{table} belongs to {row['owner']}, and {user} is no member of that role",
            f"connect as {row['owner']}, or GRANT {row['owner']} TO {user}",
        )
    if row["row_security"]:
        return Refused(
            policy,
            f"row-level security hides rows of {table} from its owner",
            f"connect as a role with BYPASSRLS, or ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
        )
    unknown = [name for name in policy.per if name not in row["columns"]]
    if unknown:
        return Refused(
            policy,
            f"{table} has no column '{unknown[0]}'{nearest(unknown[0], row['columns'])}",
            f"'per' of its policy names columns; they are: {', '.join(row['columns'])}",
        )
    return None


def of_references(
    policy: Policy,
    references: Iterable[Reference],
    policies: Sequence[Policy],
    rows: Sequence[Mapping[str, Any]],
) -> Refused | None:
    """A refusal if rows of tables without a policy keep its rows from being deleted."""
    purged = {row["oid"] for row, other in zip(rows, policies, strict=True)}
    others = [reference for reference in references if not reference.to_itself]
    holding = [r.label for r in others if r.holds and r.child_oid not in purged]
    if holding:
        return Refused(
            policy,
            f"rows of {policy.table} are referred to, without ON DELETE, by {', '.join(holding)}",
            "declare retention for those tables as well: they are then purged first",
        )
    return None
