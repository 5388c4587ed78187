"""Monitoring queries: one `.sql` file each, with a header that says what it needs and means.

    -- title: Sessions that wait for a lock, and who holds it
    -- advice: what to do about it, in a line or two
    --         (further lines are indented)
    -- columns: duration: seconds; size: bytes
    -- sort: duration desc
    -- requires: server >= 14
    -- requires: extension pg_stat_statements
    -- requires: role pg_monitor
    SELECT …

`requires: role` names a role without which rows or columns stay hidden; the
query still runs. A line that ends in `-- server >= 16` or `-- server < 16`
belongs to those servers alone, so that one text serves all versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.postgres.queries import sql_directory

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

_FIELD = re.compile(r"--\s*(title|advice|columns|sort|requires):\s*(.*)")
_CONTINUED = re.compile(r"--\s{3,}(\S.*)")
_ONLY = re.compile(r"^(?P<line>.*?)\s*--\s*server\s*(?P<operator>>=|<)\s*(?P<major>\d+)\s*$")
_REQUIRES = re.compile(
    r"(?:server\s*>=\s*(?P<server>\d+)|(?P<kind>extension|role)\s+(?P<name>\w+))"
)

DEFAULT_LIMIT = 50
"""Rows that are shown unless `--limit` says otherwise."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One monitoring query.

    Attributes:
        name: the file's name without suffix, with dashes.
        title: one line.
        advice: what to do about what it shows.
        units: what its columns are measured in, by column.
        sort: the column that orders it, `desc` behind it if descending.
        minimum: the oldest major server version that it runs on.
        extension: an extension that it reads, or None.
        role: a role without which some of it stays hidden, or None.
        text: the query, with the lines of all server versions.
    """

    name: str
    title: str
    advice: str
    units: str
    sort: str
    minimum: int
    extension: str | None
    role: str | None
    path: Path
    text: str = field(repr=False)

    def query(self, major: int) -> str:
        """The query for a server of a major version."""
        lines = []
        for line in self.text.splitlines():
            only = _ONLY.match(line)
            if only is None:
                lines.append(line)
            elif (major >= int(only["major"])) == (only["operator"] == ">="):
                lines.append(only["line"])
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Table:
    """What a query returned."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def dicts(self) -> list[dict[str, object]]:
        """The rows by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@cache
def available(own: Path | None = None) -> dict[str, Inspection]:
    """All inspections by name: agentdb's, and those of a directory of the user's own.

    Raises:
        SettingsError: a file has no title, or a `requires` that means nothing.
    """
    found = {}
    for directory in (sql_directory() / "inspect", own):
        for path in sorted(directory.glob("*.sql")) if directory else ():
            inspection = read(path)
            found[inspection.name] = inspection
    return dict(sorted(found.items()))


def read(path: Path) -> Inspection:
    """Read one file.

    Raises:
        SettingsError: it has no title, or a `requires` that means nothing.
    """
    text = path.read_text(encoding="utf-8")
    fields: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if match := _FIELD.match(line):
            current = match[1]
            fields.setdefault(current, []).append(match[2].strip())
        elif current and (more := _CONTINUED.match(line)):
            fields[current][-1] += f" {more[1].strip()}"
    if "title" not in fields:
        raise SettingsError(f"{path} has no '-- title:' line", hint="write one at its top")
    minimum, extension, role = _requirements(path, fields.get("requires", ()))
    return Inspection(
        name=path.stem.replace("_", "-"),
        title=fields["title"][0],
        advice=" ".join(fields.get("advice", ())),
        units="; ".join(fields.get("columns", ())),
        sort=" ".join(fields.get("sort", ())),
        minimum=minimum,
        extension=extension,
        role=role,
        path=path,
        text=text,
    )


def _requirements(path: Path, lines: Iterable[str]) -> tuple[int, str | None, str | None]:
    minimum, extension, role = 13, None, None
    for line in lines:
        match = _REQUIRES.fullmatch(line)
        if match is None:
            raise SettingsError(
                f"{path}: 'requires: {line}' means nothing",
                hint="write server >= N, extension NAME or role NAME",
            )
        if match["server"]:
            minimum = int(match["server"])
        elif match["kind"] == "extension":
            extension = match["name"]
        else:
            role = match["name"]
    return minimum, extension, role


def run(
    connection: Connection,
    inspection: Inspection,
    *,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Table:
    """Run an inspection in a read-only transaction.

    Args:
        sort: a column, with `desc` behind it for descending; the
            inspection's own order by default.
        limit: the most rows to return.

    Raises:
        AgentdbError: the server is too old for it or lacks the extension, or
            there is no such column.
    """
    major = connection.info.server_version // 10_000
    if major < inspection.minimum:
        raise AgentdbError(
            f"{inspection.name} needs PostgreSQL {inspection.minimum}, this server is {major}"
        )
    if inspection.extension and not _has_extension(connection, inspection.extension):
        raise AgentdbError(
            f"{inspection.name} needs the extension {inspection.extension} in this database",
            hint=f"CREATE EXTENSION {inspection.extension}; it must be installed on the server",
        )
    with connection.transaction():
        # Catalog queries are over before their compilation would pay.
        connection.execute("SET TRANSACTION READ ONLY; SET LOCAL jit = off")
        cursor = connection.execute(inspection.query(major).encode())
        columns = tuple(column.name for column in cursor.description or ())
        rows = cursor.fetchall()
    ordered = _sorted(columns, rows, sort) if sort else rows
    return Table(columns, tuple(ordered[:limit]))


def hidden_without(connection: Connection, inspection: Inspection) -> str | None:
    """A sentence on what stays hidden from this role, or None if nothing does."""
    if inspection.role is None:
        return None
    row = connection.execute(
        "SELECT pg_has_role(current_user, %s, 'USAGE')", (inspection.role,)
    ).fetchone()
    if row is None or row[0]:
        return None
    user = connection.info.user
    return (
        f"{user} sees only its own part of this: GRANT {inspection.role} TO {user} shows the rest"
    )


def _has_extension(connection: Connection, name: str) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_extension WHERE extname = %s", (name,)
    ).fetchone()
    return row is not None and bool(row[0])


def _sorted(
    columns: tuple[str, ...], rows: list[tuple[object, ...]], sort: str
) -> list[tuple[object, ...]]:
    name, _, direction = sort.strip().partition(" ")
    if name not in columns:
        raise AgentdbError(
            f"there is no column '{name}'{nearest(name, columns)}",
            hint=f"columns: {', '.join(columns)}",
        )
    place = columns.index(name)
    known = [row for row in rows if row[place] is not None]
    unknown = [row for row in rows if row[place] is None]
    known.sort(key=lambda row: row[place], reverse=direction.strip() == "desc")  # type: ignore[arg-type,return-value]
    return known + unknown
