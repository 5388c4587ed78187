"""Queries whose tables and columns a pack names.

Names stand in a query as psql's variables:

    :"events.time_column"         a table or column, quoted
    :'events.error_severities'    a text, or a list of them as an array literal
    :heartbeats.interval_seconds  a number

and a line may depend on a name that a pack need not have:

    a.:"agents.name_column"::text AS name, -- if agents.name_column
    NULL::text AS name, -- unless agents.name_column

or several lines, from the condition on a line of its own to `-- end`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from agentdb_cli.postgres.quoting import identifier, literal

# Not the second colon of a ::cast.
_VARIABLE = re.compile(r"(?<!:):(?:\"([\w.]+)\"|'([\w.]+)'|([a-z]\w*(?:\.\w+)*))")
_CONDITION = re.compile(r"(?P<line>.*?)\s*-- (?P<word>if|unless) (?P<name>[\w.]+)")


def fill(text: str, names: Mapping[str, object]) -> str | None:
    """`text` with its names filled in, or None if one of them is missing.

    Args:
        text: a query.
        names: what the variables stand for; None is as good as missing.
    """
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        found = names.get(match[1] or match[2] or match[3])
        if found is None:
            missing = True
            return ""
        if match[1]:
            return ".".join(identifier(part) for part in str(found).split("."))
        return _text(found) if match[2] else str(float(str(found)))

    filled = _VARIABLE.sub(value, "\n".join(_kept(text, names)))
    return None if missing else filled


def _kept(text: str, names: Mapping[str, object]) -> Iterator[str]:
    """The lines whose conditions hold, without the conditions."""
    block = True
    for line in text.splitlines():
        condition = _CONDITION.fullmatch(line)
        holds = condition is None or _holds(condition, names)
        if line.strip() == "-- end":
            block = True
        elif condition is not None and not condition["line"].strip():
            block = holds
        elif block and holds:
            yield line if condition is None else condition["line"]


def _holds(condition: re.Match[str], names: Mapping[str, object]) -> bool:
    named = names.get(condition["name"]) is not None
    return named == (condition["word"] == "if")


def _text(value: object) -> str:
    if isinstance(value, str):
        return literal(value)
    assert isinstance(value, list | tuple)
    items = (str(item).replace("\\", "\\\\").replace('"', '\\"') for item in value)
    return literal("{" + ",".join(f'"{item}"' for item in items) + "}")
