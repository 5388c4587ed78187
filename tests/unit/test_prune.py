"""The rules of `agentdb backup prune`, which are those of restic's forget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_cli.backups.catalog import Backup, name_of
from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.backups.prune import Rules, decide
from agentdb_cli.backups.verified import Verification

START = datetime(2026, 3, 1, 3, tzinfo=UTC)


def backup(
    moment: datetime,
    database: str = "app",
    *,
    verified: bool | None = None,
    problem: str | None = None,
    selection: tuple[str, ...] | None = None,
    identifier: str | None = "1",
) -> Backup:
    name = name_of(database, moment)
    manifest = Manifest(
        name=name,
        created_at=moment.isoformat(),
        seconds=1.0,
        database=database,
        server=f"postgresql://postgres@/{database}",
        system_identifier=identifier,
        server_version=180_004,
        tool="agentdb 0.1.0",
        program="18.4",
        commands=(),
        content="all",
        selection=selection,
        compression="gzip:5",
        jobs=2,
        extensions={},
        packs={},
        tables=(),
        files=(),
        bytes=0,
    )
    record = ()
    if verified is not None:
        record = (Verification(moment.isoformat(), "checksums", verified, ""),)
    return Backup(Path("/backups") / name, manifest, record, problem)


def kept(backups: list[Backup], rules: Rules) -> list[str]:
    return [
        f"{d.backup.created:%m-%d %H} {', '.join(d.reasons)}"
        for d in decide(backups, rules)
        if d.keep
    ]


def daily(days: int) -> list[Backup]:
    """One a day, newest first, the last on 1 March 2026 (a Sunday)."""
    return [backup(START - timedelta(days=number)) for number in range(days)]


def test_last() -> None:
    assert kept(daily(5), Rules(last=2)) == ["03-01 03 last, newest", "02-28 03 last"]


def test_the_newest_of_each_day() -> None:
    hourly = [backup(START - timedelta(hours=number)) for number in range(60)]
    assert kept(hourly, Rules(daily=2)) == ["03-01 03 daily, newest", "02-28 23 daily"]


def test_days_without_a_backup_do_not_count() -> None:
    sparse = [backup(START - timedelta(days=days)) for days in (0, 10, 20, 30)]
    assert kept(sparse, Rules(daily=3)) == [
        "03-01 03 daily, newest",
        "02-19 03 daily",
        "02-09 03 daily",
    ]


def test_weeks_begin_on_monday() -> None:
    assert kept(daily(14), Rules(weekly=2)) == ["03-01 03 weekly, newest", "02-22 03 weekly"]


def test_weeks_across_the_new_year_are_one() -> None:
    """29 December 2025 to 4 January 2026 is week 1 of 2026."""
    days = [datetime(2026, 1, 4 - n, tzinfo=UTC) for n in range(4)]
    days += [datetime(2025, 12, 31 - n, tzinfo=UTC) for n in range(4)]
    assert kept([backup(day) for day in days], Rules(weekly=2)) == [
        "01-04 00 weekly, newest",
        "12-28 00 weekly",
    ]


def test_months() -> None:
    assert kept(daily(100), Rules(monthly=3)) == [
        "03-01 03 monthly, newest",
        "02-28 03 monthly",
        "01-31 03 monthly",
    ]


def test_the_oldest_stays_while_a_rule_has_some_left() -> None:
    assert kept(daily(10), Rules(monthly=12)) == [
        "03-01 03 monthly, newest",
        "02-28 03 monthly",
        "02-20 03 monthly",
    ]


def test_the_oldest_does_not_stay_for_keep_last() -> None:
    same_day = [backup(START - timedelta(minutes=number)) for number in range(3)]
    assert len(kept(same_day, Rules(last=2))) == 2


def test_rules_add_up() -> None:
    found = kept(daily(40), Rules(last=1, daily=2, weekly=2, monthly=2))
    assert found == [
        "03-01 03 last, daily, weekly, monthly, newest",
        "02-28 03 daily, monthly",
        "02-22 03 weekly",
    ]


def test_the_newest_verified_one_stays() -> None:
    backups = daily(5)
    backups[2] = backup(START - timedelta(days=2), verified=True)
    backups[4] = backup(START - timedelta(days=4), verified=True)
    assert kept(backups, Rules(last=1)) == ["03-01 03 last, newest", "02-27 03 newest verified"]


def test_one_that_failed_its_verification_is_not_the_verified_one() -> None:
    backups = [
        backup(START),
        backup(START - timedelta(days=1), verified=False),
        backup(START - timedelta(days=2), verified=True),
    ]
    assert kept(backups, Rules(last=1))[1:] == ["02-27 03 newest verified"]


def test_broken_ones_do_not_count_and_are_not_deleted() -> None:
    broken = backup(START, problem="data/toc.dat is missing")
    backups = [broken, *daily(4)[1:]]
    decisions = decide(backups, Rules(last=2))
    assert broken not in [decision.backup for decision in decisions]
    assert [d.keep for d in decisions] == [True, True, False]


@pytest.mark.parametrize(
    "other",
    [
        {"database": "other"},
        {"identifier": "2"},
        {"selection": ("public.a",)},
    ],
)
def test_other_databases_and_parts_count_for_themselves(other: dict[str, object]) -> None:
    mine = daily(2)
    others = [backup(START - timedelta(days=n, hours=1), **other) for n in range(2)]
    decisions = decide([*mine, *others], Rules(last=1))
    assert [d.keep for d in decisions] == [True, False, True, False]


@given(
    st.lists(st.integers(0, 5000), unique=True, min_size=1, max_size=60),
    st.builds(Rules, *[st.integers(0, 10)] * 4),
)
def test_never_without_the_newest_and_never_more_than_the_rules_say(
    hours: list[int], rules: Rules
) -> None:
    backups = [backup(START - timedelta(hours=number)) for number in sorted(hours)]
    found = kept(backups, rules)
    assert found[0].startswith(f"{backups[0].created:%m-%d %H}")
    assert len(found) <= max(1, rules.last + rules.daily + rules.weekly + rules.monthly)
