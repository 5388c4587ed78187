"""What the tests of inspections share: running one and reading its rows."""

from __future__ import annotations

import json
from collections.abc import Callable

import typer
from conftest import Database, Result


def inspect(
    cli: Callable[..., Result], database: Database, name: str, *arguments: str
) -> list[dict[str, object]]:
    """The rows of `agentdb inspect NAME` on a database."""
    result = cli("inspect", name, "-d", database.url, "-f", "json", *arguments)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert isinstance(rows, list)
    return rows


def subcommands(command: object) -> list[str]:
    """The names of the sub-commands of a group; none of a command."""
    if not hasattr(command, "list_commands"):
        return []
    return command.list_commands(typer.Context(command))
