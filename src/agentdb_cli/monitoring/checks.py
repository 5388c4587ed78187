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
    -- pack: thresholds.x 4 * y.z     keys of pack.toml: the first that is there is the warning
    -- needs: heartbeats agents       tables of pack.toml whose names it uses
    -- each: collections              one statement for each entry there; the worst one counts
    -- samples: sizes                 judged by what earlier runs measured, kept under that name
    -- catalog: backups               judged by the backups that are known here
    SELECT … AS value, … AS detail, … AS unseen

`unseen` may be left out: it names what a role without privileges cannot see,
which makes an answer that would be ok unknown. A check with `samples` returns
a size in bytes, the database's identity and the time in seconds instead; one
with `catalog` the system identifier, the database's name and the time.

A value beyond a threshold (not at it) is a finding. Names from pack.toml stand
as psql's variables: `:"time_column"`, `:'open_statuses'`, `:interval_seconds`;
`:"table"` belongs to the first of `needs`, `:"agents_table"` to the agents, and
`:'relation'` is the table's name as a text for regclass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from agentdb_cli.monitoring import naming
from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.postgres.quoting import identifier

_FIELD = re.compile(r"--\s*(\w+):\s*(.*)")
_KEY = re.compile(r"(?:(?P<factor>\d+) \* )?(?P<table>\w+)\.(?P<key>\w+)")


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
        keys: the keys of pack.toml that hold its warning, the first one first.
        each: the table of pack.toml that has entries with a statement each.
        samples: under which name earlier measurements are kept.
        catalog: whether it is about the backups that are known here.
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
    keys: str
    each: str | None
    samples: str | None
    catalog: bool
    text: str = field(repr=False)

    def with_pack(self, pack: Mapping[str, Any], name: str) -> Check:
        """The check with the warning that a pack wants, if it says so.

        Args:
            pack: the content of pack.toml.
            name: what the pack is called.
        """
        for match in _KEY.finditer(self.keys):
            value = pack.get(match["table"], {}).get(match["key"])
            if value is not None:
                source = f"the pack {name}: {match[0]} = {value:g}"
                return replace(self, warning=int(match["factor"] or 1) * value, source=source)
        return self

    def with_thresholds(self, given: Mapping[str, float]) -> Check:
        """The check with thresholds of the user's own."""
        return replace(
            self,
            warning=given.get("warning", self.warning),
            critical=given.get("critical", self.critical),
            source="agentdb.toml" if given else self.source,
        )

    def queries(self, pack: Mapping[str, Any]) -> dict[str, str]:
        """Its SQL by the table or collection that it is about; empty if the pack has none.

        Args:
            pack: the content of pack.toml.
        """
        if self.each is None:
            text = self.query(pack)
            return {} if text is None else {" ".join(self.needs): text}
        entries = pack.get(self.each, {})
        found = {name: self.query({**pack, self.each: entry}) for name, entry in entries.items()}
        return {f"{self.each}.{name}": text for name, text in found.items() if text is not None}

    def tables(self, pack: Mapping[str, Any], about: str) -> tuple[str, ...]:
        """The tables of a pack that one of its queries reads.

        Args:
            about: as `queries` names the query.
        """
        if self.each is not None:
            return (str(pack[self.each][about.partition(".")[2]]["table"]),)
        return tuple(str(pack[section]["table"]) for section in self.needs if section in pack)

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
        table = str(names.get("table", ""))
        names["relation"] = ".".join(identifier(part) for part in table.split("."))
        return naming.fill(self.text, names) if self.needs else self.text


REACHABLE = "reachable"
"""The check that stands for all when there is no connection. What it measures
is our own clock: from the first packet to the answer of the first query."""


@cache
def available() -> dict[str, Check]:
    """All checks by name; whether the server answers at all comes first."""
    paths = sorted(
        (sql_directory() / "health").glob("*.sql"),
        key=lambda path: (path.stem != REACHABLE, path.stem),
    )
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
        keys=head.get("pack", ""),
        each=head.get("each"),
        samples=head.get("samples"),
        catalog="catalog" in head,
        text=text,
    )
