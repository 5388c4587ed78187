"""Write the completion scripts for bash, zsh and fish into completions/.

    python scripts/completions           write the three files
    python scripts/completions --check   exit 1 and name the files that differ

The scripts are static: names, options and choices stand in them as text, so
that TAB answers at once and never starts Python. They are made from the Typer
commands themselves; whoever changes an option runs this again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bash import bash
from fish import fish
from tree import Command, read
from zsh import zsh

DIRECTORY = Path(__file__).resolve().parents[2] / "completions"


def scripts(root: Command) -> dict[str, str]:
    """The content of each file of completions/, by its name."""
    return {"agentdb.bash": bash(root), "_agentdb": zsh(root), "agentdb.fish": fish(root)}


def main(arguments: list[str], directory: Path = DIRECTORY) -> int:
    """Write the files, or with `--check` compare them.

    Returns:
        The exit code: 1 if a file differs, 2 for wrong usage.
    """
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    differing = []
    for name, text in scripts(read()).items():
        path = directory / name
        if arguments:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                differing.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in differing:
        print(f"completions/{name} differs: run python scripts/completions", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
