"""`agentdb backup prune`: delete backups that no rule keeps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.backup.options import Directory, ago, directory_of, remove_leftovers
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.backups.prune import Decision


def prune(
    run: Invocation,
    last: Annotated[
        int, typer.Option("--keep-last", metavar="N", min=0, help="Keep the last N.")
    ] = 0,
    daily: Annotated[
        int,
        typer.Option("--keep-daily", metavar="N", min=0, help="Keep the newest of N days."),
    ] = 0,
    weekly: Annotated[
        int,
        typer.Option("--keep-weekly", metavar="N", min=0, help="Keep the newest of N weeks."),
    ] = 0,
    monthly: Annotated[
        int,
        typer.Option("--keep-monthly", metavar="N", min=0, help="Keep the newest of N months."),
    ] = 0,
    directory: Directory = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; delete nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
) -> None:
    """Delete the backups that no rule keeps.

    The rules are restic's: days (UTC), weeks and months without a backup do not
    count; what one rule keeps, stays. Each database counts for itself. Its newest
    backup and the newest verified one always stay, broken ones are left alone.

    For cron: agentdb backup prune --keep-daily 7 --keep-weekly 5 --keep-monthly 12
    --quiet.
    """
    from agentdb_cli.backups import files
    from agentdb_cli.backups.catalog import backups
    from agentdb_cli.backups.prune import Rules, decide

    rules = Rules(last, daily, weekly, monthly)
    if rules == Rules():
        raise SettingsError(
            "no rule says which backups to keep",
            hint="agentdb backup prune --keep-daily 7 --keep-weekly 5 --keep-monthly 12",
        )
    place = directory_of(run, directory)
    found = backups(place)
    for backup in found:
        if backup.problem:
            run.output.warning(f"{backup.name} is broken and left alone: {backup.problem}")
    decisions = decide(found, rules)
    _show(run, decisions)
    doomed = [decision.backup for decision in decisions if not decision.keep]
    what = f"{len(doomed)} of {count(len(decisions), 'backup', 'backups')}"
    if dry_run:
        _say(run, f"{what} would go, {place} (dry run: nothing was deleted)")
        return
    if doomed and sys.stdin.isatty() and not run.confirmed(f"delete {what}, {place}?", yes=yes):
        run.output.notice("nothing was deleted")
        return
    for backup in doomed:
        files.delete(backup.directory)
    remove_leftovers(run, place)
    _say(run, f"{what} deleted, {place}")


def _say(run: Invocation, text: str) -> None:
    if not run.output.quiet:
        run.output.line(text)


def _show(run: Invocation, decisions: Sequence[Decision]) -> None:
    from agentdb_cli.render.progress import size

    people = run.output.for_people
    if people and (run.output.quiet or not decisions):
        return
    columns = ("name", "age" if people else "created_at", "size" if people else "bytes")
    rows = []
    for decision in decisions:
        manifest = decision.backup.manifest
        assert manifest is not None
        facts = (
            decision.backup.name,
            ago(manifest.created) if people else manifest.created,
            size(manifest.bytes) if people else manifest.bytes,
        )
        action = "keep" if decision.keep else "delete"
        because = ", ".join(decision.reasons) or "no rule keeps it"
        rows.append(
            {**dict(zip(columns, facts, strict=True)), "action": action, "because": because}
        )
    run.output.rows((*columns, "action", "because"), rows)
