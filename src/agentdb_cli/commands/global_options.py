"""The options that every command takes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from agentdb_cli.render import Format

_PANEL = "Global options"


FORMAT = typer.Option(
    "--format", "-f", help="Format of the result on stdout.", rich_help_panel=_PANEL
)
"""`--format`, also of commands that can write more than every command can."""


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options that every command takes; None means "not given here"."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "-d",
            metavar="URL",
            help="Database: a libpq URL or conninfo, or 'embedded'.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME",
            help="An environment of agentdb.toml.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file instead of the nearest agentdb.toml.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    pack: Annotated[
        str | None,
        typer.Option(
            "--pack", metavar="NAME", help="The schema pack in use.", rich_help_panel=_PANEL
        ),
    ] = None
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="Schema for the pack's tables instead of public.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    lock_timeout: Annotated[
        str | None,
        typer.Option(
            "--lock-timeout",
            metavar="TIME",
            help="Longest wait for a lock, such as 5s (default) or 500ms.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    format: Annotated[Format | None, FORMAT] = None
    quiet: Annotated[
        bool | None,
        typer.Option("--quiet", "-q", help="No notices on stderr.", rich_help_panel=_PANEL),
    ] = None
    debug: Annotated[
        bool | None,
        typer.Option("--debug", help="Show a traceback with an error.", rich_help_panel=_PANEL),
    ] = None

    def over(self, outer: GlobalOptions) -> GlobalOptions:
        """These options, completed by those given further left."""
        given = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(outer, **given)
