"""Groups that list their commands by name and one line, and make the one that runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup


class Line(NamedTuple):
    """A command as the help of its group lists it."""

    help: str
    panel: str | None = None


class LazyGroup(TyperGroup):
    """Makes a command only when it runs, or when its own help is wanted.

    `--help` and completion of command names need names and one line of text,
    which `lines` gives.
    """

    _listed: Mapping[str, Line] | None = None

    def lines(self, ctx: Any) -> Mapping[str, Line]:
        """All commands by name, in the order in which they are listed."""
        raise NotImplementedError

    def make(self, ctx: Any, name: str) -> Any:
        """The command `name`, or None if there is none."""
        raise NotImplementedError

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return list(self.lines(ctx) if self._listed is None else self._listed)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or a stand-in with its help line while listing."""
        if self._listed is None:
            return self.make(ctx, cmd_name)
        line = self._listed[cmd_name]
        return TyperCommand(cmd_name, help=line.help, rich_help_panel=line.panel)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help without making any command."""
        self._listed = self.lines(ctx)
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listed = None
