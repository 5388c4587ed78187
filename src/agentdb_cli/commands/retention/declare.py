"""`agentdb retention set`: lay down how long the rows of a table are kept."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.retention import entry
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.policy import Policy
    from agentdb_cli.retention.targets import Target
    from agentdb_cli.settings import SettingsFile

_COUNTING = 10_000
"""Milliseconds to count what would be past its time; the policy stands without it."""


class Interval(StrEnum):
    """How long the partitions of a table are."""

    day = "day"
    week = "week"
    month = "month"


class ArchiveFormat(StrEnum):
    """What an archive is written in."""

    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


def declare(
    run: Invocation,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Such as telemetry.events.")],
    days: Annotated[
        int | None, typer.Option("--days", metavar="N", help="Rows older than N days may go.")
    ] = None,
    column: Annotated[
        str | None,
        typer.Option("--column", metavar="COLUMN", help="What a row's age is counted from."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", help="Only rows for which this is true."),
    ] = None,
    keep_last: Annotated[
        int | None,
        typer.Option("--keep-last", metavar="N", min=1, help="Never the newest N rows …"),
    ] = None,
    per: Annotated[
        list[str] | None,
        typer.Option("--per", metavar="COLUMN", help="… of each value of COLUMN (repeatable)."),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", metavar="DIR", help="Rows leave into files of this directory."),
    ] = None,
    archive_format: Annotated[
        ArchiveFormat | None, typer.Option("--archive-format", help="Of these files.")
    ] = None,
    fixed: Annotated[
        bool | None,
        typer.Option("--fixed/--no-fixed", help="Whether purge --days leaves it alone."),
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--no-enabled", help="Whether it counts.")
    ] = None,
    partitioned: Annotated[
        Interval | None,
        typer.Option("--partitioned", help="What agentdb retention partitions makes."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take the entry out of the file.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show it; write nothing.")
    ] = False,
) -> None:
    """Lay down in agentdb.toml how long the rows of a table are kept.

    What is not given stays as it is in the file or the pack. With --env NAME it
    counts for that environment alone. The rest of the file stays untouched.

    The table is looked at first: what could not be purged is refused. Nothing
    is deleted here, but the next agentdb purge will; how much is shown.
    """
    from agentdb_cli.commands import policies
    from agentdb_cli.settings import edit

    options = {
        "days": days,
        "time_column": column,
        "where": where,
        "keep_last": keep_last,
        "per": per or None,
        "archive": archive,
        "archive_format": str(archive_format) if archive_format else None,
        "fixed": fixed,
        "enabled": enabled,
        "partitioned": str(partitioned) if partitioned else None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    file = _file(run)
    text = edit.text_of(file.path)
    if remove:
        _remove(run, file, text, table, given, dry_run=dry_run)
        return
    if days is not None:
        from agentdb_cli.retention.policy import check_days

        check_days(days, "--days")
    if archive is not None:
        given["archive"] = _seen_from(file.path, archive)
    with run.connect(in_schema=True) as connection:
        known = policies.of_database(run, connection)
        name = entry.known_as(connection, table, known)
        values = given | entry.completed(run, connection, name, given, known)
        if not values:
            raise SettingsError("nothing to set", hint="such as --days 30")
        keys = _keys(run, name)
        after = edit.changed(file.path, text, keys, values)
        policy, target = _examined(run, connection, file, after, name)
        if not dry_run:
            edit.write(file.path, text, after)
        _show(run, file, keys, policy, dry_run=dry_run)
        _tell_due(run, connection, target)


def _file(run: Invocation) -> SettingsFile:
    """The settings file that counts here.

    Raises:
        AgentdbError: there is none.
    """
    if run.settings.file is None:
        raise AgentdbError(
            "there is no agentdb.toml to write the policy to", hint="agentdb init writes one"
        )
    return run.settings.file


def _keys(run: Invocation, table: str) -> tuple[str, ...]:
    environment = run.settings.environment
    return ("retention", table) if not environment else (
        "environments", environment, "retention", table,
    )  # fmt: skip


def _seen_from(file: Path, directory: Path) -> str:
    """A directory as the file names it: relative paths in it count from its own directory."""
    if directory.is_absolute() or str(directory).startswith("~"):
        return str(directory)
    return os.path.relpath(directory, file.parent)


def _examined(
    run: Invocation, connection: Connection, file: SettingsFile, text: str, table: str
) -> tuple[Policy, Target]:
    """The policy as the new text lays it down, and its table.

    Raises:
        AgentdbError: the table cannot be purged by it.
    """
    from agentdb_cli.commands.policies import packs_of
    from agentdb_cli.retention.policy import policies
    from agentdb_cli.retention.targets import checked_where, examine
    from agentdb_cli.settings.file import parse

    layer = parse(file.path, text.removeprefix("\ufeff")).layer(run.settings.environment)
    every = policies(packs_of(run, connection), layer["retention"], file.path.parent)
    targets, refused = examine(connection, every)
    for each in refused:
        if each.policy.table == table:
            # The usual hint asks where the policy comes from: from here.
            hint = "is its schema missing? such as telemetry.events" if each.missing else each.hint
            raise AgentdbError(f"{each.reason}; nothing was written", hint=hint)
    target = next(each for each in targets if each.policy.table == table)
    checked_where(connection, (target,))
    return target.policy, target


def _show(
    run: Invocation, file: SettingsFile, keys: tuple[str, ...], policy: Policy, *, dry_run: bool
) -> None:
    from agentdb_cli.render import values

    fields = {
        "table": policy.table,
        "days": policy.days,
        "by": policy.time_column,
        "where": policy.where,
        "keep_last": policy.keep_last,
        "per": ", ".join(policy.per) or None,
        "archive": str(policy.archive) if policy.archive else None,
        "partitioned": policy.partitioned,
        "fixed": policy.fixed,
        "enabled": policy.enabled,
        "source": policy.source,
    }
    if run.output.for_people:
        fields = {name: value for name, value in fields.items() if values.exact(value)}
    run.output.record(fields)
    section = f'[{".".join(keys[:-1])}."{keys[-1]}"]'
    run.output.notice(
        f"dry run: {file.path} stays as it is" if dry_run else f"wrote {section} in {file.path}"
    )


def _tell_due(run: Invocation, connection: Connection, target: Target) -> None:
    """What the next purge will delete by the policy."""
    import psycopg

    from agentdb_cli.render.progress import size
    from agentdb_cli.retention.survey import due

    if not target.policy.enabled or run.output.quiet:
        return
    before = f"{target.cutoff_at:%Y-%m-%d %H:%M:%S %Z}"
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL statement_timeout = {_COUNTING}".encode())
            found = due(connection, target, archived=target.policy.archive is not None)
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        run.output.notice(f"rows before {before} are past their time; they could not be counted")
        return
    if not found.rows:
        run.output.notice(f"no row is past its time now (before {before})")
        return
    run.output.notice(
        f"past their time now (before {before}): {found.rows:,} rows, {size(found.bytes)};"
        " the next agentdb purge deletes them"
    )
    for statement in found.missing:
        run.output.notice(f"this index would make that faster: {statement}")


def _remove(
    run: Invocation,
    file: SettingsFile,
    text: str,
    table: str,
    given: dict[str, Any],
    *,
    dry_run: bool,
) -> None:
    from agentdb_cli.errors import nearest
    from agentdb_cli.settings import edit

    if given:
        raise SettingsError("--remove takes the whole entry", hint="leave the other options out")
    keys = _keys(run, table)
    found: Any = file.content
    for key in keys[:-1]:
        found = found.get(key, {})
    where = f"[{'.'.join(keys[:-1])}] of {file.path}"
    if table not in found:
        raise SettingsError(
            f"{where} has no entry '{table}'{nearest(table, found)}",
            hint=f"entries there: {', '.join(found) or 'none'}",
        )
    after = edit.removed(file.path, text, keys)
    if dry_run:
        run.output.notice(f"dry run: '{table}' stays in {where}")
        return
    edit.write(file.path, text, after)
    run.output.notice(f"took '{table}' out of {where}; agentdb retention list shows what is left")
