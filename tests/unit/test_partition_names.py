"""Which partitions a table should have, and what they are called."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_cli.retention.schedule import Known, Range, days_from, interval_of, naming_of, wanted

FIRST = date(2024, 12, 30)  # a Monday, in the first ISO week of 2025
MONTH = Range(date(2025, 1, 1), date(2025, 2, 1))


def week(lower: date) -> Range:
    return Range(lower, lower + timedelta(days=7))


@pytest.mark.parametrize(
    ("known", "interval", "name"),
    [
        ("log_20241230", "day", "log_20250106"),
        ("log_2024_12_30", "day", "log_2025_01_06"),
        ("log_p2024-12-30", "week", "log_p2025-01-06"),
        ("log_p2024_12_30_v2", "day", "log_p2025_01_06_v2"),
        ("log_2025w01", "week", "log_2025w02"),
        ("log_2025W01", "week", "log_2025W02"),
        ("log_2025_w01", "week", "log_2025_w02"),
        ("20241230_log", "day", "20250106_log"),
        # A number of which the day is only a part says nothing of it.
        ("log_9920241230", "day", "log_20250106"),
        ("log_a", "day", "log_20250106"),
        # A month alone does not name a day.
        ("log_202412", "day", "log_20250106"),
    ],
)
def test_names_follow_the_newest_partition(known: str, interval: str, name: str) -> None:
    naming = naming_of("log", interval, [Known(known, week(FIRST))])
    assert naming.name(date(2025, 1, 6)) == name


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("log_p2025_01", "log_p2025_02"),
        ("log_202501", "log_202502"),
        ("log_y2025m01", "log_y2025m02"),
        ("log_20250101", "log_20250201"),
        ("log_2025-01", "log_2025-02"),
    ],
)
def test_names_of_months(known: str, name: str) -> None:
    assert naming_of("log", "month", [Known(known, MONTH)]).name(date(2025, 2, 1)) == name


def test_a_long_table_name_is_cut_so_that_the_day_stays() -> None:
    name = naming_of("ä" * 40, "day", []).name(FIRST)
    assert name == "ä" * 27 + "_20241230"
    assert len(name.encode()) == 63


@pytest.mark.parametrize(
    ("ranges", "interval"),
    [
        ([], None),
        ([Range(FIRST, FIRST + timedelta(days=1))], "day"),
        ([week(FIRST)], "week"),
        ([MONTH], "month"),
        ([Range(date(2025, 2, 1), date(2025, 3, 1))], "month"),
        ([Range(date(2025, 1, 1), date(2025, 4, 1))], None),
        ([MONTH, Range(date(2025, 2, 1), date(2025, 2, 2))], None),
        ([Range(date.min, FIRST)], None),
        ([Range(date.min, FIRST), week(FIRST), Range(date(2025, 1, 6), date.max)], "week"),
    ],
)
def test_intervals(ranges: list[Range], interval: str | None) -> None:
    assert interval_of(ranges) == interval


def test_where_the_interval_changed_neither_gap_nor_overlap_is_left() -> None:
    found = wanted(days_from(date(2025, 1, 20), 20), "week", [MONTH])
    assert found == (week(date(2025, 2, 1)), week(date(2025, 2, 8)))
    # Weeks go on from the weekday on which the last partition ends.
    between = wanted([date(2025, 1, 15)], "month", [Range(date(2025, 1, 10), date(2025, 1, 12))])
    assert between == (Range(date(2025, 1, 12), date(2025, 2, 1)),)


def test_an_open_partition_covers_its_days() -> None:
    assert wanted([FIRST], "day", [Range(date.min, date.max)]) == ()
    assert wanted([FIRST], "day", [Range(date.min, FIRST)]) == (
        Range(FIRST, FIRST + timedelta(days=1)),
    )


@given(
    st.sets(st.dates(date(2024, 1, 1), date(2024, 12, 31)), min_size=1, max_size=30),
    st.sampled_from(["day", "week", "month"]),
    st.lists(st.dates(date(2024, 1, 1), date(2024, 12, 31)), max_size=6, unique=True),
)
def test_each_wanted_day_is_covered_once(days: set[date], interval: str, cuts: list[date]) -> None:
    ends = sorted(cuts)
    known = [Range(a, b) for a, b in zip(ends[::2], ends[1::2], strict=False)]
    ranges = sorted([*known, *wanted(days, interval, known)])
    for one, after in pairwise(ranges):
        assert one.upper <= after.lower
    for day in days:
        assert sum(each.lower <= day < each.upper for each in ranges) == 1
