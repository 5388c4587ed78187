"""What the commands of `agentdb backup` share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import duration

Directory = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Where the backups are, if not where usual."),
]


def directory_of(run: Invocation, given: Path | None) -> Path:
    """Where backups are: as given, as [backup] dir of agentdb.toml says, or the usual place.

    Raises:
        SettingsError: there is no home directory to have a usual place in.
    """
    found = given or run.settings.backup_directory
    if found is None:
        raise SettingsError(
            "there is no home directory to keep backups in",
            hint="name a directory, here or as dir in [backup] of agentdb.toml",
        )
    return found.absolute()


def remove_leftovers(run: Invocation, place: Path) -> None:
    """Remove what killed runs have left, and say so."""
    from agentdb_cli.backups import files

    for name in files.clean(place):
        run.output.notice(f"removed {place / name}, which a killed run had left")


def ago(moment: datetime) -> str:
    """How long a moment has passed: `12 min 05 s`, `3 days`."""
    seconds = max((datetime.now(UTC) - moment).total_seconds(), 0)
    return duration(seconds) if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
