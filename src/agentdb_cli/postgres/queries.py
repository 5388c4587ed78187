"""The SQL that agentdb ships: one query a file, under the top-level `sql/`.

A line that ends in `-- server >= 16` or `-- server < 16` belongs to those
servers alone, so that one text serves all versions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_ONLY = re.compile(r"^(?P<line>.*?)\s*--\s*server\s*(?P<operator>>=|<)\s*(?P<major>\d+)\s*$")
_SLOT = re.compile(r"(?<!:):([a-z]+)\b")


@cache
def sql_directory() -> Path:
    """The `sql/` directory: inside an installed package, beside `src/` in a checkout."""
    installed = _PACKAGE / "sql"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "sql"


@cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`.

    Args:
        name: the path without suffix, such as `history/read`.

    Raises:
        FileNotFoundError: there is no such query (a defect of agentdb).
    """
    return (sql_directory() / f"{name}.sql").read_text(encoding="utf-8")


def filled(name: str, slots: Mapping[str, str]) -> str:
    """The text of `sql/<name>.sql` without its comments, each `:slot` replaced by SQL."""
    text = "\n".join(line for line in query(name).splitlines() if not line.startswith("--"))
    return _SLOT.sub(lambda slot: slots[slot[1]], text)


def for_server(text: str, major: int) -> str:
    """A query for a server: lines that belong to other major versions are empty."""
    lines = []
    for line in text.splitlines():
        only = _ONLY.match(line)
        if only is None:
            lines.append(line)
        elif (major >= int(only["major"])) == (only["operator"] == ">="):
            lines.append(only["line"])
        else:
            lines.append("")  # so that the numbers of the lines stay
    return "\n".join(lines)
