"""What the server knows of the tables that have a policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.errors import SettingsError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified, identifier, literal
from agentdb_cli.retention import refusals
from agentdb_cli.retention.policy import Policy
from agentdb_cli.retention.references import Reference, references
from agentdb_cli.retention.refusals import Refused


@dataclass(frozen=True, slots=True)
class Target(Qualified):
    """A table that may be purged.

    Attributes:
        name: `schema.table`; `quoted` is the same as SQL.
        cutoff: rows whose time is before it are past their time; a literal of
            `type`, computed by the server.
        cutoff_at: the same as a moment.
        type: of the time column.
        strategy: how it is partitioned: r, l, h, or None.
        by_time: whether its partitions are ranges of the time column alone.
        indexed: whether a btree index begins with the time column.
        triggers: user triggers that fire when rows are deleted.
        references: the foreign keys that refer to it.
    """

    policy: Policy
    oid: int
    schema: str
    relation: str
    type: str
    cutoff: str
    cutoff_at: datetime
    strategy: str | None
    by_time: bool
    indexed: bool
    triggers: tuple[str, ...]
    references: tuple[Reference, ...]

    @property
    def droppable(self) -> bool:
        """Whether partitions may go as a whole: a drop fires no trigger and asks no foreign key."""
        return self.policy.by_age_alone and not self.triggers and not self.references

    @property
    def refers_to_itself(self) -> bool:
        """Whether its rows may keep other rows of its own from being deleted."""
        return any(reference.to_itself for reference in self.references)

    @property
    def cutoff_sql(self) -> str:
        """The cutoff as SQL, of the time column's type."""
        return f"{literal(self.cutoff)}::{self.type}"

    def due(self, alias: str) -> str:
        """SQL: whether a row, by its alias, is past its time; `keep_last` is not part of it."""
        column = f"{alias}.{identifier(self.policy.time_column)}"
        # A row at -infinity was never given a time, so it has no age.
        condition = f"{column} < {self.cutoff_sql} AND {column} > '-infinity'"
        return f"{condition} AND ({self.policy.where})" if self.policy.where else condition


def examine(
    connection: Connection, policies: Sequence[Policy]
) -> tuple[tuple[Target, ...], tuple[Refused, ...]]:
    """Look at the tables of policies: those that may be purged, and those that may not.

    The cutoffs are counted from one moment, the server's now(). They come in
    the order in which they can be purged: tables that refer to others first.
    """
    names = [policy.table for policy in policies]
    columns = [policy.time_column for policy in policies]
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(query("retention/targets").encode(), (names, columns))
        rows = cursor.fetchall()
    referring = references(connection, [row["oid"] for row in rows if row["oid"] is not None])
    cutoffs = _cutoffs(connection, policies, [str(row["type"]) for row in rows])
    targets, refused = [], []
    for policy, row, cutoff in zip(policies, rows, cutoffs, strict=True):
        own = referring.get(row["oid"], ())
        problem = refusals.of_table(policy, row) or refusals.of_references(
            policy, own, policies, rows
        )
        if problem is not None:
            refused.append(problem)
            continue
        text, moment = cutoff
        targets.append(
            Target(
                policy=policy,
                oid=row["oid"],
                schema=row["schema"],
                relation=row["relation"],
                type=row["type"],
                cutoff=text,
                cutoff_at=moment,
                strategy=row["strategy"],
                by_time=bool(row["by_time"]) and row["strategy"] == "r",
                indexed=row["indexed"],
                triggers=tuple(row["triggers"]),
                references=own,
            )
        )
    return _children_first(targets), tuple(refused)


def _cutoffs(
    connection: Connection, policies: Sequence[Policy], types: Sequence[str]
) -> list[tuple[str, datetime]]:
    """For each policy the cutoff as a literal of the column's type, and as a moment."""
    row = connection.execute(
        "SELECT array_agg((CASE kind"
        "   WHEN 'date' THEN moment::date::text"
        "   WHEN 'timestamp without time zone' THEN moment::timestamp::text"
        "   ELSE moment::text END) ORDER BY place), array_agg(moment ORDER BY place)"
        " FROM unnest(%s::int[], %s::text[]) WITH ORDINALITY AS u (days, kind, place),"
        " LATERAL (SELECT now() - make_interval(days => days) AS moment) AS m",
        ([policy.days for policy in policies], list(types)),
    ).fetchone()
    assert row is not None
    texts, moments = row
    return list(zip(texts or [], moments or [], strict=True))  # type: ignore[call-overload]


def _children_first(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, each after those that refer to it; a circle keeps its order."""
    ordered: list[Target] = []
    waiting = list(targets)
    while waiting:
        ready = [
            target
            for target in waiting
            if not any(
                reference.child_oid == other.oid
                for reference in target.references
                for other in waiting
                if other is not target
            )
        ]
        for target in ready or waiting[:1]:
            ordered.append(target)
            waiting.remove(target)
    return tuple(ordered)


def checked_where(connection: Connection, targets: Iterable[Target]) -> None:
    """Have the server read each `where`, without running it.

    Raises:
        SettingsError: one is no condition on its table.
    """
    for target in targets:
        if target.policy.where is None:
            continue
        try:
            connection.execute(
                f"EXPLAIN SELECT FROM {target.quoted} AS t WHERE {target.due('t')}".encode()
            )
        except psycopg.Error as error:
            raise SettingsError(
                f"'where' of {target.policy.table} is no condition on it: "
                f"{error.diag.message_primary}",
                hint=f"it stands in {target.policy.source}: {target.policy.where}",
            ) from None
