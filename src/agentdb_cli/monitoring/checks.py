"""Health checks as files: one query each, with its thresholds and what to do.

    -- title: Share of max_connections in use
    -- unit: share | seconds | count | bytes
    -- direction: above (the default: more is worse) | below
    -- warning: 0.8
    -- critical: 0.95 | none
    -- source: where the thresholds come from
    -- advice: what to do about it
    -- dig: the command that shows more
    -- requires: role pg_monitor      without it the answer is not to be trusted
    -- needs: heartbeats agents       tables of pack.toml whose names it uses
    SELECT … AS value, … AS detail, … AS unseen

`unseen` may be left out: it names what a role without privileges cannot see,
which makes an answer that would be ok unknown.

A value beyond a threshold (not at it) is a finding. Names from pack.toml stand
as psql's variables: `:"time_column"`, `:'open_statuses'`, `:interval_seconds`;
`:"table"` belongs to the first of `needs`, `:"agents_table"` to the agents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.postgres.quoting import identifier, literal

_FIELD = re.compile(r"--\s*(\w+):\s*(.*)")


@dataclass(frozen=True, slots=True)
class Check:
    """One health check.

    Attributes:
        name: the file's name, with dashes.
        unit: what its value is measured in: share, seconds, count or bytes.
        below: whether a value below the thresholds is the bad one.
        warning: the threshold of a warning.
        critical: the threshold of a critical finding, or None.
        source: where the thresholds come from.
        needs: the tables of pack.toml that it takes names from.
        role: a role without which its answer is not to be trusted.
    """

    name: str
    title: str
    unit: str
    below: bool
    warning: float
    critical: float | None
    source: str
    advice: str
    dig: str
    needs: tuple[str, ...]
    role: str | None
    text: str = field(repr=False)

    def with_thresholds(self, given: Mapping[str, float]) -> Check:
        """The check with thresholds of the user's own."""
        return replace(
            self,
            warning=given.get("warning", self.warning),
            critical=given.get("critical", self.critical),
            source="agentdb.toml" if given else self.source,
        )

    def query(self, pack: Mapping[str, Any]) -> str | None:
        """Its SQL with the names of a pack filled in; None if the pack lacks one.

        Args:
            pack: the content of pack.toml.
        """
        names: dict[str, Any] = {}
        for section in reversed(self.needs):
            if section not in pack:
                return None
            names |= pack[section]
        names["agents_table"] = pack.get("agents", {}).get("table")
        missing = []

        def fill(match: re.Match[str]) -> str:
            name = match[1] or match[2] or match[3]
            value = names.get(name)
            if value is None:
                missing.append(name)
                return ""
            if match[1]:
                return ".".join(identifier(part) for part in str(value).split("."))
            if match[2]:
                return literal("{" + ",".join(f'"{item}"' for item in value) + "}")
            return str(float(value))

        text = _filled(self.text, fill) if self.needs else self.text
        return None if missing else text


def _filled(text: str, fill: Any) -> str:
    """Replace variables, but not the second colon of a `::cast`."""
    return re.sub(r"(?<!:):(?:\"(\w+)\"|'(\w+)'|([a-z]\w*))", fill, text)


REACHABLE = Check(
    name="reachable",
    title="Whether the server answers",
    unit="seconds",
    below=False,
    warning=0,
    critical=None,
    source="a database that cannot be reached serves nobody",
    advice="look at the server and the network in between",
    dig="agentdb config show",
    needs=(),
    role=None,
    text="",
)
"""What stands for all checks when there is no connection."""


@cache
def available() -> dict[str, Check]:
    """All checks by name."""
    paths = sorted((sql_directory() / "health").glob("*.sql"))
    return {check.name: check for check in map(_read, paths)}


def _read(path: Path) -> Check:
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("--")]
    head = {m[1]: m[2].strip() for line in lines if (m := _FIELD.match(line))}
    critical = head["critical"]
    role = re.match(r"role (\w+)", head.get("requires", ""))
    return Check(
        name=path.stem.replace("_", "-"),
        title=head["title"],
        unit=head["unit"],
        below=head.get("direction") == "below",
        warning=float(head["warning"]),
        critical=None if critical == "none" else float(critical),
        source=head["source"],
        advice=head["advice"],
        dig=head["dig"],
        needs=tuple(head.get("needs", "").split()),
        role=role[1] if role else None,
        text=text,
    )
