"""Monitoring queries: one `.sql` file each, with a header that says what it needs and means.

    -- title: Sessions that wait for a lock, and who holds it
    -- advice: what to do about it, in a line or two
    --         (further lines are indented)
    -- columns: duration: seconds; size: bytes
    -- sort: duration desc
    -- requires: server >= 14
    -- requires: extension pg_stat_statements
    -- requires: role pg_monitor
    -- names: advisory_locks
    SELECT …

The title alone is needed. `requires: role` names a role without which rows or
columns stay hidden; the query still runs. `names: advisory_locks` wants the
columns namespace_name and action_name filled by `lock_names`. A line that ends
in `-- server >= 16` or `-- server < 16` belongs to those servers alone, so that
one text serves all versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from agentdb_cli.errors import SettingsError
from agentdb_cli.postgres.queries import for_server, sql_directory

_FIELD = re.compile(r"--\s*(title|advice|columns|sort|requires|names):\s*(.*)")
_CONTINUED = re.compile(r"--\s{3,}(\S.*)")
_REQUIRES = re.compile(
    r"(?:server\s*>=\s*(?P<server>\d+)|(?P<kind>extension|role)\s+(?P<name>\w+))"
)


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
        names_locks: whether it wants names for advisory locks.
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
    names_locks: bool
    path: Path
    text: str = field(repr=False)

    @property
    def own(self) -> bool:
        """Whether it is the user's own, not one of agentdb's."""
        return self.path.parent != _ours()

    def query(self, major: int) -> str:
        """The query for a server of a major version."""
        return for_server(self.text, major)


def _ours() -> Path:
    return sql_directory() / "inspect"


def files(own: Path | None = None) -> dict[str, Path]:
    """The files of all inspections by name, agentdb's and those of a directory of one's own.

    One's own goes before agentdb's of the same name.

    Raises:
        SettingsError: there is no such directory.
    """
    if own and not own.is_dir():
        raise SettingsError(
            f"there is no directory {own} for inspections",
            hint="create it, or correct dir under [inspect] in agentdb.toml",
        )
    directories = (_ours(), own) if own else (_ours(),)
    found = {_name(path): path for folder in directories for path in sorted(folder.glob("*.sql"))}
    return dict(sorted(found.items()))


@cache
def available() -> dict[str, Inspection]:
    """Agentdb's own inspections by name."""
    return {name: read(path) for name, path in files().items()}


def _name(path: Path) -> str:
    return path.stem.replace("_", "-")


def read(path: Path) -> Inspection:
    """Read one file.

    Raises:
        SettingsError: it cannot be read, has no title or no statement, or a
            `requires` or `names` that means nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"cannot read {path}: {reason}") from None
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
    if not fields.get("title", [""])[0]:
        raise SettingsError(f"{path} has no '-- title:' line", hint="write one at its top")
    if not re.sub(r"--.*", "", text).strip(" \t\r\n;"):
        raise SettingsError(f"{path} has no statement", hint="write a SELECT below its header")
    names = fields.get("names", [])
    if names not in ([], ["advisory_locks"]):
        raise SettingsError(
            f"{path}: 'names: {', '.join(names)}' means nothing", hint="write names: advisory_locks"
        )
    minimum, extension, role = _requirements(path, fields.get("requires", ()))
    return Inspection(
        name=_name(path),
        title=fields["title"][0],
        advice=" ".join(fields.get("advice", ())),
        units="; ".join(fields.get("columns", ())),
        sort=" ".join(fields.get("sort", ())),
        minimum=minimum,
        extension=extension,
        role=role,
        names_locks=bool(names),
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
