"""Which partitions a table lacks, and which rows wait for them in its default partition."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.ranged import Table
from agentdb_cli.retention.schedule import AHEAD, Range, days_from, wanted

_FIRST, _LAST = "1900-01-01", "9000-01-01"
"""A time outside of them is no time but a sign, such as a program's zero: it gets no partition."""


@dataclass(frozen=True, slots=True)
class Step:
    """A partition that is to be made.

    Attributes:
        rows: those that lie in the default partition and belong into it.
    """

    days: Range
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one table.

    Attributes:
        scan: seconds that reading the default partition took; attaching a
            partition reads it once more, under lock.
        expired: rows of the default partition that are past their time.
        beyond: rows of the default partition for days further ahead.
    """

    table: Table
    steps: tuple[Step, ...]
    scan: float
    expired: int
    beyond: int


def plan(connection: Connection, table: Table, ahead: int | None = None) -> Plan:
    """What a table lacks from today on, and in the past where rows wait for it.

    Args:
        ahead: days to prepare; by the interval if None.
    """
    waiting, scan = _waiting(connection, table)
    last = list(days_from(table.today, AHEAD[table.interval] if ahead is None else ahead))
    # What is past its time is purged where it is; moving it would be in vain.
    late = [d for d in waiting if d < table.today and (table.cutoff is None or d >= table.cutoff)]
    ranges = wanted((*late, *last), table.interval, [each.range for each in table.known])
    steps = []
    for days in ranges:
        rows = sum(n for day, n in waiting.items() if days.lower <= day < days.upper)
        steps.append(Step(days, table.naming.name(days.lower), rows))
    moved = sum(step.rows for step in steps)
    expired = sum(
        n
        for day, n in waiting.items()
        if day < table.today and not any(s.days.lower <= day < s.days.upper for s in steps)
    )
    return Plan(table, tuple(steps), scan, expired, sum(waiting.values()) - moved - expired)


def _waiting(connection: Connection, table: Table) -> tuple[dict[date, int], float]:
    """Rows of the default partition by their day, and the seconds it took to read it."""
    if table.default is None:
        return {}, 0.0
    column = f"t.{identifier(table.column)}"
    begun = time.monotonic()
    rows = connection.execute(
        f"SELECT {table.day_of('t')}, count(*) FROM {table.default.quoted} AS t"  # noqa: S608
        f" WHERE {column} > '{_FIRST}' AND {column} < '{_LAST}'"
        " GROUP BY 1 ORDER BY 1".encode()
    ).fetchall()
    found: dict[date, int] = {}
    for day, count in rows:
        assert isinstance(day, date)
        found[day] = int(str(count))
    return found, time.monotonic() - begun
