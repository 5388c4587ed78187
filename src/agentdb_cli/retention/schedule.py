"""Which partitions a table should have, by the calendar: their bounds and their names.

Everything here is in days of one calendar; which time zone its midnights are
in is for the caller to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

AHEAD = {"day": 7, "week": 28, "month": 62}
"""Days to be prepared ahead, by interval: time enough to notice that cron has stopped."""

_LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL (NAMEDATALEN - 1)."""

_FORMATS = {
    "day": ("%Y%m%d", "%Y_%m_%d", "%Y-%m-%d"),
    "week": ("%Y%m%d", "%Y_%m_%d", "%Y-%m-%d", "%Gw%V", "%GW%V", "%G_w%V", "%G_W%V", "%G_%V"),
    "month": ("%Y%m%d", "%Y_%m_%d", "%Y-%m-%d", "%Ym%m", "%Y_%m", "%Y-%m", "%Y%m"),
}
"""How names of partitions write the day that these begin on, the longer ones first."""


class Range(NamedTuple):
    """Days from `lower` to the one before `upper`; `date.min` and `date.max` are open ends."""

    lower: date
    upper: date

    def __str__(self) -> str:
        return f"{self.lower} to {self.upper}"


class Known(NamedTuple):
    """A partition that a table has already."""

    name: str
    range: Range


class Naming(NamedTuple):
    """How partitions are named: what stands around the day."""

    before: str
    format: str
    after: str

    def name(self, lower: date) -> str:
        """The name of the partition that begins on `lower`."""
        return f"{self.before}{lower.strftime(self.format)}{self.after}"


def interval_of(ranges: Sequence[Range]) -> str | None:
    """`day`, `week` or `month`, as the last three of the ranges are; None if they are neither."""
    closed = [each for each in ranges if each.lower > date.min and each.upper < date.max]
    found = {_interval(each) for each in closed[-3:]}
    return found.pop() if len(found) == 1 else None


def _interval(each: Range) -> str | None:
    if each == _around(each.lower, "month", each.lower):
        return "month"
    return {1: "day", 7: "week"}.get((each.upper - each.lower).days)


def _around(day: date, interval: str, anchor: date) -> Range:
    """The day, week or month that a day lies in; weeks begin on the weekday of `anchor`."""
    if interval == "month":
        lower = day.replace(day=1)
        return Range(lower, (lower + timedelta(days=31)).replace(day=1))
    length = 7 if interval == "week" else 1
    lower = day - timedelta(days=(day - anchor).days % length)
    return Range(lower, lower + timedelta(days=length))


MONDAY = date(2024, 1, 1)
"""A Monday, on which weeks begin unless existing partitions begin on another day."""


def wanted(days: Iterable[date], interval: str, known: Sequence[Range]) -> tuple[Range, ...]:
    """The ranges of partitions that are missing for `days`, in order.

    A range that existing partitions cover in part is cut to the rest of it,
    so that neither a gap nor an overlap is left where the interval changed.

    Args:
        interval: day, week or month.
        known: the ranges of existing partitions, in order.
    """
    closed = [each for each in known if each.upper < date.max]
    anchor = closed[-1].upper if closed else MONDAY
    found = {
        part
        for day in days
        for part in _without(_around(day, interval, anchor), known)
        if part.lower <= day < part.upper
    }
    return tuple(sorted(found))


def _without(whole: Range, known: Sequence[Range]) -> Iterator[Range]:
    """What is left of a range outside of others, which are in order."""
    begin = whole.lower
    for each in known:
        if each.upper <= begin or each.lower >= whole.upper:
            continue
        if each.lower > begin:
            yield Range(begin, each.lower)
        begin = max(begin, each.upper)
    if begin < whole.upper:
        yield Range(begin, whole.upper)


def days_from(first: date, ahead: int) -> Iterator[date]:
    """`first` and the days after it, `ahead` of them."""
    return (first + timedelta(days=n) for n in range(ahead + 1))


def naming_of(table: str, interval: str, known: Sequence[Known]) -> Naming:
    """How the newest partition is named; `<table>_YYYYMMDD` if no day is found in its name."""
    for partition in reversed(known):
        for pattern in _FORMATS[interval]:
            lower = partition.range.lower
            if lower == date.min:
                continue
            # A digit on either side belongs to a longer number, which is another format.
            text = rf"(?<!\d){re.escape(lower.strftime(pattern))}(?!\d)"
            hits = list(re.finditer(text, partition.name))
            if hits:
                begin, end = hits[-1].span()
                return Naming(partition.name[:begin], pattern, partition.name[end:])
    room = _LONGEST_NAME - len("_YYYYMMDD")
    return Naming(f"{table.encode()[:room].decode(errors='ignore')}_", "%Y%m%d", "")
