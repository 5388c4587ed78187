"""Retention policies: which tables may lose rows, and when a row is past its time.

From pack.toml and, over it, `[retention]` in agentdb.toml:

    [retention."telemetry.events"]
    time_column = "occurred_at"
    days = 30                       # rows older than this are past their time
    fixed = true                    # purge --days does not change it
    where = "severity <> 'ERROR'"   # only rows for which this is true
    keep_last = 100                 # but never the newest 100 …
    per = ["agent_id"]              # … of each agent
    archive = "archive"             # rows leave into this directory
    enabled = false                 # proposed, but nobody has agreed yet
    partitioned = "day"             # what `retention partitions` makes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdb_cli.errors import SettingsError, nearest
from agentdb_cli.packs import Pack

FORMATS = ("jsonl", "csv", "parquet")
"""What an archive may be written in."""

LONGEST_DAYS = 36_500
"""A hundred years; more is a slip of the finger, and soon before the year 1."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When the rows of one table are past their time.

    Attributes:
        table: as written, with a schema or to be found on the search path.
        time_column: what a row's age is counted from.
        days: a row that is older is past its time.
        source: what laid it down: `pack NAME`, `agentdb.toml` or both.
        where: SQL; only rows for which it is true are past their time.
        keep_last: so many of the newest rows stay, whatever their age.
        per: columns; `keep_last` counts for each of their values.
        archive: the directory that rows leave into, or None.
        archive_format: csv, jsonl or parquet.
        partitioned: day, week or month for a table partitioned by time.
        fixed: whether `--days` leaves it alone.
        enabled: whether somebody agreed to it.
    """

    table: str
    time_column: str
    days: int
    source: str
    where: str | None = None
    keep_last: int | None = None
    per: tuple[str, ...] = ()
    archive: Path | None = None
    archive_format: str = "jsonl"
    partitioned: str | None = None
    fixed: bool = False
    enabled: bool = True

    @property
    def by_age_alone(self) -> bool:
        """Whether nothing but its time decides on a row, so that whole partitions may go."""
        return self.where is None and self.keep_last is None


def policies(
    packs: Iterable[Pack], own: Mapping[str, Mapping[str, Any]], directory: Path | None
) -> tuple[Policy, ...]:
    """All policies, those of packs completed and overruled by the user's own.

    Args:
        packs: the packs whose tables are in the database.
        own: `[retention]` of agentdb.toml.
        directory: where agentdb.toml is; paths in it count from there.

    Raises:
        SettingsError: a policy has no time column or no days.
    """
    found: dict[str, Policy] = {}
    for pack in packs:
        for table, entry in pack.content.get("retention", {}).items():
            found[table] = _policy(table, entry, f"pack {pack.name}", directory)
    for table, entry in own.items():
        known = found.get(table)
        if known is None:
            found[table] = _policy(table, entry, "agentdb.toml", directory)
        else:
            changes = _fields(table, entry, directory)
            found[table] = replace(known, **changes, source=f"agentdb.toml over {known.source}")
    return tuple(found.values())


def _policy(table: str, entry: Mapping[str, Any], source: str, directory: Path | None) -> Policy:
    missing = [name for name in ("time_column", "days") if name not in entry]
    if missing:
        raise SettingsError(
            f'[retention."{table}"] has no {" and no ".join(missing)}',
            hint=f'no pack in use has a policy for "{table}" that could be completed; '
            "write both time_column and days",
        )
    return Policy(table=table, source=source, **_fields(table, entry, directory))


def _fields(table: str, entry: Mapping[str, Any], directory: Path | None) -> dict[str, Any]:
    fields = dict(entry)
    if "per" in fields:
        fields["per"] = tuple(fields["per"])
        if "keep_last" not in fields:
            raise SettingsError(
                f'[retention."{table}"] has per without keep_last',
                hint='keep_last = 100, per = ["agent_id"] keeps the newest 100 of each agent',
            )
    if "archive" in fields:
        fields["archive"] = (directory or Path()) / Path(fields["archive"]).expanduser()
    return fields


def with_days(found: Iterable[Policy], days: int, named: Iterable[str]) -> tuple[Policy, ...]:
    """The policies with the days of `--days`, but for those that are fixed and not named.

    Raises:
        SettingsError: it is no number of days that could be meant.
    """
    check_days(days, "--days")
    tables = set(named)
    return tuple(
        policy if policy.fixed and policy.table not in tables else replace(policy, days=days)
        for policy in found
    )


def into(
    found: Iterable[Policy], archive: Path | None, archive_format: str | None
) -> tuple[Policy, ...]:
    """The policies with the directory and format of `--archive`, where these are given.

    Raises:
        SettingsError: there is no such format, or nothing to write in it.
    """
    changes: dict[str, Any] = {}
    if archive is not None:
        changes["archive"] = archive
    if archive_format is not None:
        if archive_format not in FORMATS:
            raise SettingsError(
                f"there is no archive format '{archive_format}'{nearest(archive_format, FORMATS)}",
                hint=f"formats: {', '.join(FORMATS)}",
            )
        changes["archive_format"] = archive_format
    policies = tuple(replace(policy, **changes) for policy in found)
    if archive_format is not None and all(policy.archive is None for policy in policies):
        raise SettingsError(
            "--archive-format without an archive", hint="--archive DIR names its directory"
        )
    return policies


def check_days(days: int, what: str) -> None:
    """Refuse a number of days that would purge everything or reach before time.

    Raises:
        SettingsError: it is below 1 or above `LONGEST_DAYS`.
    """
    if days < 1:
        raise SettingsError(
            f"{what} {days} would take rows of today and of the future",
            hint=f"{what} 1 is the least: rows older than a day",
        )
    if days > LONGEST_DAYS:
        raise SettingsError(
            f"{what} {days} is more than a hundred years",
            hint=f"the most is {LONGEST_DAYS}",
        )


def chosen(found: tuple[Policy, ...], tables: Iterable[str]) -> tuple[Policy, ...]:
    """The policies of the named tables; all of them if none is named.

    Raises:
        SettingsError: a table has no policy.
    """
    by_table = {policy.table: policy for policy in found}
    wanted = list(tables)
    for table in wanted:
        if table not in by_table:
            raise SettingsError(
                f"'{table}' has no retention policy{nearest(table, by_table)}",
                hint="agentdb retention list shows them, agentdb retention set declares one",
            )
    return tuple(by_table[table] for table in wanted) if wanted else found
