"""The check-list as files: one query each, under sql/doctor, with what it means.

    -- title: what is looked at, in a few words
    -- area: infrastructure | security | performance | monitoring
    -- none: what it means that there is no row
    -- why: why a finding matters
    --      (further lines are indented)
    -- source: where the thresholds come from
    -- needs: a role without which the answer is not to be trusted, or whatever
    --        privilege the server asks for
    SELECT … AS status, … AS value, … AS sql, … AS caution, … AS advice

A row is one thing that was found. `status` is ok, warning, critical, unknown or
skipped; `value` says what was found; `sql` mends it, and `caution` says why
nobody should run that unread (it locks, it loses something, it takes a
restart); `advice` is what to do where no SQL helps. The last three may be left
out.

What SQL cannot know stands in the query as psql's variables:

    :memory        bytes of memory of the server's machine, or NULL
    :disk_free, :disk_size   bytes of the file system of the data directory, or NULL
    :pooled        whether this session came through a pooler
    :today         a date
    :backups       the backups that are known here, as jsonb
    :backed_up     whether agentdb.toml names a directory of backups

`-- include: inspect/NAME` on a line of its own stands for that query, without
its last semicolon, so that a question to the server is written once. A line
`-- large: AND …` in it counts here: it leaves out small relations before they
are opened, which takes a second where there are thousands. A line that ends in
`-- server >= 16` or `-- server < 16` belongs to those servers alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from agentdb_cli.postgres.queries import for_server, query, sql_directory

AREAS = ("infrastructure", "security", "performance", "monitoring")

_FIELD = re.compile(r"--\s*(title|area|none|why|source|needs):\s*(.*)")
_CONTINUED = re.compile(r"--\s{3,}(\S.*)")
_HEADER = re.compile(r"\A(?:--.*\n)+")
_INCLUDE = re.compile(r"^\s*-- include: (\S+)$", re.MULTILINE)
_LARGE = re.compile(r"^(\s*)-- large: ", re.MULTILINE)
_VARIABLE = re.compile(r"(?<!:):([a-z]\w*)")


@dataclass(frozen=True, slots=True)
class Check:
    """One entry of the check-list.

    Attributes:
        name: the file's name, with dashes.
        area: one of `AREAS`.
        none: what it means that its query returns nothing; "" where it always does.
        why: why a finding matters.
        source: where its thresholds come from.
        needs: a role or a privilege that it needs; "" for none.
    """

    name: str
    title: str
    area: str
    none: str
    why: str
    source: str
    needs: str
    text: str = field(repr=False)

    @property
    def role(self) -> str | None:
        """The predefined role without which its answer is not to be trusted."""
        return self.needs if self.needs.startswith("pg_") else None

    def query(self, major: int, variables: Mapping[str, str]) -> str:
        """Its SQL for a server of a major version.

        Args:
            variables: SQL by the name of the variable that it stands for.
        """
        text = _VARIABLE.sub(lambda match: variables[match[1]], self.text)
        # Only now, since what is included has colons of its own.
        return for_server(_INCLUDE.sub(_included, text), major)


def _included(match: re.Match[str]) -> str:
    return _LARGE.sub(r"\1", query(match[1])).rstrip().removesuffix(";")


@cache
def available() -> dict[str, Check]:
    """All checks by name, area by area."""
    checks = map(_read, sorted((sql_directory() / "doctor").glob("*.sql")))
    ordered = sorted(checks, key=lambda check: (AREAS.index(check.area), check.name))
    return {check.name: check for check in ordered}


def _read(path: Path) -> Check:
    text = path.read_text(encoding="utf-8")
    fields: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if match := _FIELD.match(line):
            current = match[1]
            fields[current] = match[2].strip()
        elif more := _CONTINUED.match(line):
            fields[current] += f" {more[1].strip()}"
        else:
            break
    return Check(
        name=path.stem.replace("_", "-"),
        title=fields["title"],
        area=fields["area"],
        none=fields.get("none", ""),
        why=fields["why"],
        source=fields["source"],
        needs=fields.get("needs", ""),
        text=_HEADER.sub("", text),
    )
