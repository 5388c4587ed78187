"""Which backups stay: restic's rules for `forget`, and never the last good one goes.

A rule keeps the newest backup of each of the last N days (weeks, months) that have one;
days without a backup do not count. While a rule has some left, the oldest backup stays too.
What any rule keeps, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agentdb_cli.backups.catalog import Backup
from agentdb_cli.backups.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Rules:
    """How many backups to keep of each kind; days, weeks and months are in UTC."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a backup, and the rules that keep it."""

    backup: Backup
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


@dataclass(slots=True)
class _Rule:
    name: str
    left: int
    period: Callable[[datetime, int], object]
    keeps_oldest: bool = True
    last: object = field(default=None)

    def keeps(self, moment: datetime, number: int, *, oldest: bool) -> bool:
        """Whether it keeps a backup; asked once for each, from the newest on."""
        if self.left <= 0:
            return False
        period = self.period(moment.astimezone(UTC), number)
        if period == self.last and not (oldest and self.keeps_oldest):
            return False
        self.last = period
        self.left -= 1
        return True


def decide(backups: Iterable[Backup], rules: Rules) -> tuple[Decision, ...]:
    """What becomes of each backup, in the order given.

    Backups of other databases, and of other parts of one, do not count for each other.
    Broken ones are left out: it is for people to look at them.
    """
    groups: dict[object, list[Backup]] = {}
    whole = [b for b in backups if b.manifest is not None and b.problem is None]
    for backup in whole:
        assert backup.manifest is not None
        groups.setdefault(_group(backup.manifest), []).append(backup)
    reasons = {name: kept for group in groups.values() for name, kept in _kept(group, rules)}
    return tuple(Decision(backup, reasons[backup.name]) for backup in whole)


def _group(manifest: Manifest) -> object:
    return (
        manifest.system_identifier or manifest.server,
        manifest.database,
        manifest.content,
        manifest.selection,
    )


def _kept(group: list[Backup], rules: Rules) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The reasons to keep each backup of a group."""
    newest_first = sorted(group, key=_moment, reverse=True)
    verified = next((backup for backup in newest_first if backup.is_verified), None)
    each = [
        _Rule("last", rules.last, lambda _, number: number, keeps_oldest=False),
        _Rule("daily", rules.daily, lambda moment, _: moment.date()),
        _Rule("weekly", rules.weekly, lambda moment, _: moment.isocalendar()[:2]),
        _Rule("monthly", rules.monthly, lambda moment, _: (moment.year, moment.month)),
    ]
    for number, backup in enumerate(newest_first):
        oldest = number == len(newest_first) - 1
        reasons = [r.name for r in each if r.keeps(_moment(backup), number, oldest=oldest)]
        if number == 0:
            reasons.append("newest")
        if backup is verified:
            reasons.append("newest verified")
        yield backup.name, tuple(reasons)


def _moment(backup: Backup) -> datetime:
    assert backup.manifest is not None
    return backup.manifest.created
