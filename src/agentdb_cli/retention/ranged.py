"""Tables that are partitioned by ranges of time: their partitions and their calendar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.discover import TIME_TYPES
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified, identifier, literal
from agentdb_cli.retention.partitions import Partition, partitions
from agentdb_cli.retention.schedule import Known, Naming, Range, interval_of, naming_of


@dataclass(frozen=True, slots=True)
class Wish:
    """A table that is to have its partitions.

    Attributes:
        interval: day, week or month; None to go by the partitions it has.
        days: so long its rows are kept; None for ever.
        required: whether it must exist.
    """

    table: str
    interval: str | None = None
    days: int | None = None
    required: bool = True


@dataclass(frozen=True, slots=True)
class Table(Qualified):
    """A table partitioned by range of one time column, with its calendar.

    Attributes:
        zone: the time zone in which its bounds are midnight.
        today: the date there, now.
        cutoff: the date of the policy's cutoff; None if rows are kept for ever.
        sibling: the newest partition, as a model for new ones.
        default: the default partition, or None.
        known: its partitions but the default one, in order.
    """

    oid: int
    schema: str
    relation: str
    owner: str
    column: str
    type: str
    zone: str
    today: date
    cutoff: date | None
    interval: str
    naming: Naming
    sibling: Partition | None
    default: Partition | None
    known: tuple[Known, ...]

    def bound(self, day: date) -> str:
        """The beginning of a day as SQL, of the time column's type."""
        if self.type == "date":
            return f"date '{day}'"
        local = f"timestamp '{day} 00:00:00'"
        if self.type != "timestamp with time zone":
            return local
        return f"({local} AT TIME ZONE {literal(self.zone)})"

    def within(self, days: Range, alias: str) -> str:
        """SQL: whether a row, by its alias, lies in a range."""
        column = f"{alias}.{identifier(self.column)}"
        return f"{column} >= {self.bound(days.lower)} AND {column} < {self.bound(days.upper)}"

    def day_of(self, alias: str) -> str:
        """The day of a row as SQL."""
        column = f"{alias}.{identifier(self.column)}"
        if self.type == "timestamp with time zone":
            column = f"({column} AT TIME ZONE {literal(self.zone)})"
        return f"{column}::date"


@dataclass(frozen=True, slots=True)
class Unfit:
    """A table that cannot be given partitions, and why.

    Attributes:
        missing: whether it does not exist in this database.
    """

    table: str
    reason: str
    hint: str
    missing: bool = False


def look(connection: Connection, wishes: Sequence[Wish]) -> list[Table | Unfit]:
    """What there is of each table, in the order of the wishes."""
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        rows = cursor.execute(
            query("retention/upkeep_tables").encode(), ([wish.table for wish in wishes],)
        ).fetchall()
    return [
        _unfit(connection, wish, row) or _table(connection, wish, row)
        for wish, row in zip(wishes, rows, strict=True)
    ]


def _unfit(connection: Connection, wish: Wish, row: Mapping[str, Any]) -> Unfit | None:
    name, user = wish.table, connection.info.user
    plain = "agentdb retention partitions is for tables partitioned by range of one time column"
    if row["oid"] is None:
        return Unfit(name, f"there is no table {name}", "agentdb retention list", missing=True)
    if row["kind"] != "p":
        return Unfit(name, f"{name} is not partitioned", plain)
    if row["partition"]:
        return Unfit(name, f"{name} is itself a partition", "name the table above it")
    if row["strategy"] != "r":
        return Unfit(name, f"{name} is not partitioned by range", plain)
    if row["columns"] != 1 or row["column"] is None:
        return Unfit(name, f"{name} is partitioned by more than one plain column", plain)
    if row["type"] not in TIME_TYPES:
        return Unfit(
            name,
            f"{name} is partitioned by {row['column']}, which is no time but {row['type']}",
            plain,
        )
    if not row["owned"]:
        return Unfit(
            name,
            f"{name} belongs to {row['owner']}, and {user} is no member of that role",
            f"connect as {row['owner']}, or GRANT {row['owner']} TO {user}",
        )
    return None


def _table(connection: Connection, wish: Wish, row: Mapping[str, Any]) -> Table | Unfit:
    found = partitions(connection, row["oid"])
    ranged = [each for each in found if not each.is_default]
    default = next((each for each in found if each.is_default), None)
    if any(each.kind == "p" for each in found):
        return Unfit(
            wish.table,
            f"the partitions of {wish.table} are partitioned themselves",
            "which parts each new one would need is not known; make them by hand",
        )
    calendar = _calendar(connection, row, ranged, wish.days)
    if calendar is None:
        zones = " nor ".join(dict.fromkeys(("UTC", row["zone"])))
        return Unfit(
            wish.table,
            f"the bounds of {wish.table}'s partitions are midnight neither in {zones}",
            "name their time zone in the environment variable PGTZ, such as PGTZ=Europe/Berlin",
        )
    zone, ranges, today, cutoff = calendar
    known = sorted(
        (Known(each.relation, days) for each, days in zip(ranged, ranges, strict=True)),
        key=lambda each: each.range,
    )
    interval = wish.interval or interval_of([each.range for each in known])
    if interval is None:
        return Unfit(
            wish.table,
            f"the partitions of {wish.table} show no interval of a day, week or month",
            f"declare it: agentdb retention set {wish.table} --days DAYS --partitioned day",
        )
    newest = known[-1].name if known else None
    return Table(
        oid=row["oid"],
        schema=row["schema"],
        relation=row["relation"],
        owner=row["owner"],
        column=row["column"],
        type=row["type"],
        zone=zone,
        today=today,
        cutoff=cutoff,
        interval=interval,
        naming=naming_of(row["relation"], interval, known),
        sibling=next((each for each in ranged if each.relation == newest), default),
        default=default,
        known=tuple(known),
    )


def _calendar(
    connection: Connection, row: Mapping[str, Any], found: Iterable[Partition], days: int | None
) -> tuple[str, list[Range], date, date | None] | None:
    """The zone that makes the bounds midnights, the ranges, today and the cutoff there; or None.

    UTC before the session's own zone, as core.create_partitions() does it: a
    zone that is as far ahead as UTC in winter must not shift the bounds in summer.
    """
    zones = [row["zone"]]
    if row["type"] == "timestamp with time zone":
        zones = list(dict.fromkeys(("UTC", row["zone"])))
    bounds = [(_closed(each.lower), _closed(each.upper)) for each in found]
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        rows = cursor.execute(
            query("retention/upkeep_bounds").encode(),
            (zones, [lower for lower, _ in bounds], [upper for _, upper in bounds], days),
        ).fetchall()
    fitting = next((each for each in rows if each["fits"]), None)
    if fitting is None:
        return None
    ranges = [
        Range(lower or date.min, upper or date.max)
        for lower, upper in zip(fitting["lower"] or [], fitting["upper"] or [], strict=True)
    ]
    return fitting["zone"], ranges, fitting["today"], fitting["cutoff"]


def _closed(bound: str | None) -> str | None:
    return None if bound in ("infinity", "-infinity") else bound
