"""Directories written for other migration tools: which one, and what their file names mean.

Names after the tools' own sources: golang-migrate's source/parse.go and sqlx's
migration_type.rs for pairs, Flyway's reference of naming, yoyo's `yoyo new`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from agentdb_cli.errors import MigrationError

if TYPE_CHECKING:
    from agentdb_cli.migrations.files import Directory, MigrationFile


class Naming(StrEnum):
    """How the files of a directory are named."""

    numbered = "NNN_name.sql"
    pairs = "NNN_name.up.sql"
    flyway = "V1__name.sql"
    yoyo = "20240131_01_AbCdE-name.sql"


class Format(StrEnum):
    """The tool for which files are written."""

    own = "agentdb"
    dbmate = "dbmate"
    flyway = "Flyway"
    goose = "goose"
    pairs = "golang-migrate or sqlx"
    pycopg = "pycopg"
    sqlx = "sqlx"
    yoyo = "yoyo"


Named = tuple[str, str, str]
"""A migration's number in digits, its name, and its file."""

_NUMBERED = re.compile(r"(?P<version>\d+)[_-](?P<name>.+)\.sql", re.IGNORECASE)
# Compiled when they are needed: every run imports this, and most have numbered files.
_PAIRED = r"(?i)(?P<version>\d+)[_-](?P<name>.+)\.up\.sql"
_YOYO = r"(?i)(?P<version>\d{8}_\d\d)_\w{5}-(?P<name>.+)\.sql"
_FLYWAY = r"(?P<kind>[VUB])(?P<version>\d[\d._]*?)__(?P<name>.+)\.sql|R__.+\.sql"
_GO = r"\d+_.+(?<!_test)\.go"
_PLACEHOLDER = r"\$\{[\w.:-]+\}"


def naming(directory: Path, names: Sequence[str]) -> Naming:
    """How the `.sql` files of a directory are named.

    Raises:
        MigrationError: in two ways at once.
    """
    flyway = next(
        (name for name in names if name[0] in "VUBR" and re.fullmatch(_FLYWAY, name)), None
    )
    paired = next((name for name in names if name[-7:-4].lower() == ".up"), None)
    if flyway is None and paired is None:
        yoyo = all(name[8:9] == "_" == name[11:12] for name in names) and all(
            _is_undoing(name) or re.fullmatch(_YOYO, name) for name in names
        )
        return Naming.yoyo if names and yoyo else Naming.numbered
    plain = [name for name in names if _NUMBERED.fullmatch(name) and not _is_undoing(name)]
    other = next((name for name in plain if not re.fullmatch(_PAIRED, name)), None)
    found = [(name, tool) for name, tool in ((flyway, "for Flyway"), (paired, "as half of a pair"),
             (other, "by its number alone")) if name]  # fmt: skip
    if len(found) > 1:
        (first, one), (second, another) = found[:2]
        raise MigrationError(
            f"{directory} mixes migrations of two tools: {first} is named {one}, "
            f"{second} {another}",
            hint="give the files of each tool a directory of their own",
        )
    return Naming.flyway if flyway else Naming.pairs


def migrations(directory: Path, names: Sequence[str], way: Naming) -> Iterator[Named | str]:
    """The migrations among the `.sql` files of a directory; other names as they are.

    Raises:
        MigrationError: a file is of a kind that agentdb does not run.
    """
    if way is Naming.flyway:
        yield from _of_flyway(directory, names)
        return
    own = {Naming.pairs: _PAIRED, Naming.yoyo: _YOYO}.get(way)
    fullmatch = (re.compile(own) if own else _NUMBERED).fullmatch
    for name in names:
        if name[-8:-4].lower() in _ENDS_OF_UNDOING and _undoes(name, names):
            continue
        match = fullmatch(name)
        if match is None:
            yield name
        else:
            version, title = match.groups()
            yield version.replace("_", "") if way is Naming.yoyo else version, title, name


def undoing(file: MigrationFile, names: Iterable[str]) -> str | None:
    """The name of the file that undoes a migration, if there is one."""
    if file.naming is Naming.flyway:
        matches = ((name, re.fullmatch(_FLYWAY, name)) for name in names)
        return next(
            (name for name, match in matches
             if match and match["kind"] == "U" and match["version"].isdecimal()
             and int(match["version"]) == file.version), None,
        )  # fmt: skip
    wanted = {f"{file.label}.down.sql".lower(), f"{file.label}.rollback.sql".lower()}
    return next((name for name in names if name.lower() in wanted), None)


def recognise(directory: Directory) -> Format:
    """The tool for which the files of a directory are written.

    Raises:
        MigrationError: they are written for two tools, a file's sections are not
            in order, or the directory has migrations that are no SQL.
    """
    by_name = {Naming.flyway: Format.flyway, Naming.yoyo: Format.yoyo, Naming.pairs: Format.pairs}
    written: dict[Format, MigrationFile] = {}
    for file in directory.files:
        written.setdefault(file.format, file)
    if len(written) == 1 and Format.own not in written:
        found = next(iter(written))
    elif set(written) == {Format.own, Format.sqlx}:
        found = Format.sqlx
    # agentdb's own files may have dbmate's sections, each as it likes.
    elif len(written) > 1 and set(written) != {Format.own, Format.dbmate}:
        (one, first), (another, second) = list(written.items())[:2]
        raise MigrationError(
            f"{directory.path} mixes migrations of two tools: {first.filename} is written for "
            f"{one}, {second.filename} for {another}",
            hint="give the files of each tool a directory of their own",
        )
    else:
        found = by_name.get(directory.naming, Format.own)
    if found is Format.goose:
        _refuse_go(directory.path)
    return found


def refuse_placeholders(file: MigrationFile, text: str) -> None:
    """Refuse what Flyway would put something else in place of."""
    if file.naming is Naming.flyway and (found := re.search(_PLACEHOLDER, text)):
        line = text.count("\n", 0, found.start()) + 1
        raise MigrationError(
            f"{file.path}, line {line}: {found[0]} is a placeholder of Flyway, "
            "which agentdb does not fill in",
            hint="write the value itself, or a variable (:name) and set it with --set",
        )


def _is_undoing(name: str) -> bool:
    return name.lower().endswith((".down.sql", ".rollback.sql"))


_ENDS_OF_UNDOING = ("down", "back")


def _undoes(name: str, names: Sequence[str]) -> bool:
    """Whether a file is what undoes another one: yoyo's way of saying so needs that one."""
    lowered = name.lower()
    if lowered.endswith(".rollback.sql"):
        return f"{name[:-13]}.sql" in names
    return lowered.endswith(".down.sql")


def _of_flyway(directory: Path, names: Sequence[str]) -> Iterator[Named | str]:
    for name in names:
        match = re.fullmatch(_FLYWAY, name)
        if match is None:
            yield name
        elif match["kind"] in (None, "B"):
            kind = "a baseline" if match["kind"] else "a repeatable"
            raise MigrationError(
                f"{directory / name} is {kind} migration of Flyway, which agentdb does not run",
                hint="move it out of the directory; what it does goes into a numbered file",
            )
        elif not match["version"].isdecimal():
            raise MigrationError(
                f"{directory / name}: the version {match['version']} is not a whole number",
                hint="agentdb numbers migrations by whole numbers: rename it, for example "
                f"V{re.sub('[._]', '', match['version'])}__{match['name']}.sql",
            )
        elif match["kind"] == "V":
            yield match["version"], match["name"], name


def _refuse_go(directory: Path) -> None:
    found = sorted(path.name for path in directory.iterdir() if re.fullmatch(_GO, path.name))
    if found:
        raise MigrationError(
            f"{directory / found[0]} is a migration written in Go, which agentdb cannot run",
            hint="write it as SQL, or let goose apply it before: agentdb migrate adopt",
        )
