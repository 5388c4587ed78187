"""How soon agentdb is there: the cost that every command pays."""

from __future__ import annotations

import sys
from pathlib import Path

from harness import Contender, Peer, Race, agentdb

_ROUNDS = 21  # short processes: many rounds cost little

_TWO_COMMANDS = '''\
from typing import Annotated, Optional

import typer

app = typer.Typer(add_completion=False)


@app.command()
def one(name: Annotated[Optional[str], typer.Option("--name", help="A name.")] = None) -> None:
    """The first command."""


@app.command()
def two(loud: Annotated[bool, typer.Option("--loud", help="Be loud.")] = False) -> None:
    """The second command."""


if __name__ == "__main__":
    app()
'''


def version() -> Race:
    """`agentdb --version` against an interpreter that does nothing."""
    nothing = Contender("python -c pass", [sys.executable, "-c", "pass"])
    ours = Contender("agentdb --version", [agentdb(), "--version"])
    return Race("version", ours, (Peer(nothing.name, nothing, bar=9),), _ROUNDS)


def help_screen(directory: Path) -> Race:
    """`agentdb --help` against that of the smallest Typer application with commands."""
    script = directory / "two_commands.py"
    script.write_text(_TWO_COMMANDS)
    small = Contender("two-command Typer app", [sys.executable, str(script), "--help"])
    ours = Contender("agentdb --help", [agentdb(), "--help"])
    return Race("help", ours, (Peer(small.name, small, bar=1.3),), _ROUNDS)
