"""What is past its time, before anything is deleted: for dry runs and `retention check`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.deletion import Deletion
from agentdb_cli.retention.partitions import by_cutoff, leaves, partitions
from agentdb_cli.retention.policy import LONGEST_DAYS
from agentdb_cli.retention.references import Reference, references
from agentdb_cli.retention.targets import Target

_DAYS_SEEN = 7
"""Days back from now over which growth is measured: a whole week, as weekends differ."""

_ROWS_TOLD = 1_000
"""Rows below which a table's size says nothing of a row's: most of it is empty pages."""


@dataclass(frozen=True, slots=True)
class Affected:
    """Rows of another table that change or go with those of a table.

    Attributes:
        effect: `deleted`, or what the foreign key sets: `set null`, `set default`.
    """

    table: str
    rows: int
    effect: str


@dataclass(frozen=True, slots=True)
class Due:
    """What a purge of one table would do.

    Attributes:
        rows: rows past their time that would go.
        bytes: what they take: exact for whole partitions, else by the
            table's average.
        oldest: the time of the oldest of them.
        partitions: those that would be dropped as a whole.
        affected: rows of other tables that go or change with them.
        missing: SQL for indexes that the purge would be faster with.
    """

    target: Target
    rows: int
    bytes: int
    oldest: datetime | None
    partitions: tuple[str, ...]
    affected: tuple[Affected, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast a table grows.

    Attributes:
        rows: that it has now, by the server's statistics; bytes with indexes.
        rows_a_day: on average over the last week, or since the first row if
            that is later; None if that is less than a day ago.
        bytes_a_day: those rows at the table's average size; None for small tables.
        settles_at: bytes that the table will take if rows keep coming at this
            rate and leave after the policy's days; None where not age alone
            decides which leave.
        doubles_at: when it will take twice as much as now; None unless that is
            before its first rows are past their time, as from then on rows leave.
    """

    rows: int
    bytes: int
    rows_a_day: float | None
    bytes_a_day: float | None
    settles_at: float | None
    doubles_at: datetime | None


def due(connection: Connection, target: Target, *, archived: bool = False) -> Due:
    """Count what is past its time in one table. Reads it, and changes nothing.

    Args:
        archived: whether the rows would leave into an archive.
    """
    found = partitions(connection, target.oid) if target.by_time else ()
    past, straddling = by_cutoff(connection, target, found) if found else ((), ())
    dropped = past if target.droppable else ()
    one_by_one = straddling if target.droppable else (*past, *straddling)
    whole = _chosen(connection, target, [p.oid for p in dropped], archived)
    if target.strategy is None:
        single = [_due(connection, Deletion(target, target.quoted, archived))]
    else:
        tops = [p.oid for p in one_by_one] if target.by_time else [target.oid]
        single = _chosen(connection, target, tops, archived)
    size = sum(p.bytes for p in dropped)
    return Due(
        target=target,
        rows=sum(rows for rows, _ in (*whole, *single)),
        bytes=size + _bytes(connection, target, sum(rows for rows, _ in single)),
        oldest=min((first for _, first in (*whole, *single) if first is not None), default=None),
        partitions=tuple(partition.name for partition in dropped),
        affected=tuple(_affected(connection, target)) if not archived else (),
        missing=tuple(_missing(target, by_rows=bool(single))),
    )


def _chosen(
    connection: Connection, target: Target, oids: Iterable[int], archived: bool
) -> list[tuple[int, datetime | None]]:
    """For each table that holds rows of partitions, how many would go, and the oldest's time."""
    return [
        _due(connection, Deletion(target, relation, archived))
        for oid in oids
        for relation, _ in leaves(connection, oid)
    ]


def _due(connection: Connection, deletion: Deletion) -> tuple[int, datetime | None]:
    """How many rows of one table or partition would go, and the time of the oldest."""
    row = connection.execute(deletion.summary().encode()).fetchone()
    assert row is not None
    return int(str(row[0])), row[1] if isinstance(row[1], datetime) else None


def growth(connection: Connection, target: Target) -> Growth:
    """How fast a table grows, and what it will come to."""
    column = f"t.{identifier(target.policy.time_column)}"
    week = f"now() - interval '{_DAYS_SEEN} days'"
    past = f"FROM {target.quoted} AS t WHERE {column} > '-infinity' AND {column} < now()"
    row = connection.execute(
        f"SELECT (SELECT count(*) {past} AND {column} >= {week}),"
        f" (SELECT min({column})::timestamptz {past}), now()".encode()
    ).fetchone()
    assert row is not None
    seen, first, now = int(str(row[0])), row[1], row[2]
    rows, size = _size(connection, target)
    if not isinstance(first, datetime) or not isinstance(now, datetime):
        return Growth(rows, size, None, None, None, None)
    days = min((now - first) / timedelta(days=1), _DAYS_SEEN)
    if days < 1:
        return Growth(rows, size, None, None, None, None)
    a_day = seen / days
    bytes_a_day = a_day * size / rows if rows >= _ROWS_TOLD else None
    settles = doubles = None
    if bytes_a_day is not None and target.policy.by_age_alone:
        settles = bytes_a_day * target.policy.days
        doubles = _doubles(size, bytes_a_day, now, first + timedelta(days=target.policy.days))
    return Growth(rows, size, a_day, bytes_a_day, settles, doubles)


def _doubles(size: int, a_day: float, now: datetime, leaving: datetime) -> datetime | None:
    """When a table has doubled, if no row leaves before then."""
    if not a_day or size / a_day > LONGEST_DAYS:
        return None
    doubled = now + timedelta(days=size / a_day)
    return doubled if doubled <= leaving else None


def _number(connection: Connection, statement: str) -> int:
    row = connection.execute(statement.encode()).fetchone()
    return int(str(row[0])) if row and row[0] is not None else 0


def _size(connection: Connection, target: Target) -> tuple[int, int]:
    """Rows by the server's statistics, and bytes with indexes; of all partitions."""
    row = connection.execute(
        # Before its first ANALYZE a table has no reltuples, but a running count.
        "SELECT sum(coalesce(nullif(greatest(c.reltuples, 0), 0),"
        " pg_catalog.pg_stat_get_live_tuples(c.oid)))::bigint,"
        " sum(pg_catalog.pg_total_relation_size(c.oid))::bigint"
        " FROM pg_catalog.pg_class AS c WHERE c.oid = %s::bigint::oid AND c.relkind = 'r'"
        " OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(%s::bigint::oid::regclass)"
        " WHERE isleaf AND level > 0)",
        (target.oid, target.oid),
    ).fetchone()
    return (int(str(row[0] or 0)), int(str(row[1] or 0))) if row else (0, 0)


def _bytes(connection: Connection, target: Target, rows: int) -> int:
    known, size = _size(connection, target)
    return round(size / max(known, rows) * rows) if rows else 0


def _affected(connection: Connection, target: Target) -> list[Affected]:
    """Rows that foreign keys delete or change, down to the last table."""
    found: list[Affected] = []
    seen = {target.oid}

    def follow(referring: tuple[Reference, ...], parent: tuple[str, str], condition: str) -> None:
        relation, name = parent
        for each in referring:
            if each.holds or each.child_oid in seen:
                continue
            alias = f"c{len(seen)}"
            matched = (
                f"EXISTS (SELECT FROM {relation} AS {name}"
                f" WHERE {each.matches(alias, name)} AND {condition})"
            )
            rows = _number(
                connection,
                f"SELECT count(*) FROM {each.quoted} AS {alias} WHERE {matched}",  # noqa: S608
            )
            deleted = each.on_delete == "cascade"
            found.append(Affected(each.child, rows, "deleted" if deleted else each.on_delete))
            if deleted and rows:
                seen.add(each.child_oid)
                own = references(connection, [each.child_oid])[each.child_oid]
                follow(own, (each.quoted, alias), matched)

    follow(target.references, (target.quoted, "t"), target.due("t"))
    return [each for each in found if each.rows]


def _missing(target: Target, *, by_rows: bool) -> list[str]:
    """SQL for the indexes that a purge by rows would use."""
    concurrently = "" if target.strategy else "CONCURRENTLY "
    wanted = []
    if by_rows and not target.indexed:
        column = identifier(target.policy.time_column)
        wanted.append(f"CREATE INDEX {concurrently}ON {target.quoted} ({column});")
    for each in target.references:
        if not each.indexed:
            columns = ", ".join(map(identifier, each.columns))
            wanted.append(f"CREATE INDEX CONCURRENTLY ON {each.quoted} ({columns});")
    return wanted
