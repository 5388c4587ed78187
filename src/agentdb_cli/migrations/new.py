"""The next migration: its up and its down part, ready to be filled in.

Named and divided as the other files of the directory are.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agentdb_cli.errors import MigrationError, SettingsError
from agentdb_cli.migrations import files, foreign
from agentdb_cli.migrations.foreign import Format, Naming

_NUMBER = re.compile(r"V?(\d+)(__|[_-])")
_WIDTH = 3
_LARGEST = 2**63 - 1  # bigint
_LONGEST_NAME = 100
_TIMESTAMP = "%Y%m%d%H%M%S"
_YOYO_LETTERS = "agtdb"  # where yoyo has five at random, against two files of one number

_UP = """\
-- {label}: what it is for, in one line.
--
-- The file is applied in one transaction: all of it or nothing. agentdb migrate lint says what
-- would stop the application; agentdb migrate --dry-run shows what is pending.

"""
_DOWN = "-- Undoes {label}.\n\n"
_SECTIONS = {
    Format.dbmate: ("-- migrate:up\n", "-- migrate:down\n"),
    Format.goose: ("-- +goose Up\n", "-- +goose Down\n"),
    Format.pycopg: ("-- UP\n", "-- DOWN\n"),
}


class New(NamedTuple):
    """A file to be written."""

    path: Path
    text: str


def plan(directory: Path, name: str) -> tuple[New, ...]:
    """The files that a new migration of this name would have; nothing is written.

    The number is the next one in the width in use, or the time (UTC) where the
    last number is a time of 14 digits, as dbmate's and Rails' are.

    Raises:
        SettingsError: the name holds nothing that a file name could.
        MigrationError: the directory or a file in it cannot be read, or there
            is no next number.
    """
    safe = _safe(name)
    found = files.read(directory)
    label = f"{_next(found)}{safe}"
    up, down = _UP.format(label=label), _DOWN.format(label=label)
    if sections := _SECTIONS.get(foreign.recognise(found)):
        return (New(directory / f"{label}.sql", f"{sections[0]}{up}{sections[1]}{down}"),)
    match found.naming:
        case Naming.pairs:
            names = f"{label}.up.sql", f"{label}.down.sql"
        case Naming.flyway:
            names = f"{label}.sql", f"U{label[1:]}.sql"
        case Naming.yoyo:
            names = f"{label}.sql", f"{label}.rollback.sql"
        case Naming.numbered:
            names = f"{label}.sql", f"{label}.down.sql"
    return New(directory / names[0], up), New(directory / names[1], down)


def write(new: tuple[New, ...]) -> None:
    """Write all files; one that exists is never overwritten.

    Raises:
        MigrationError: a file exists or cannot be written; then none is.
    """
    written: list[Path] = []
    try:
        for path, text in reversed(new):  # the up part last: a run may come in between
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, FileExistsError):
            raise MigrationError(
                f"{error.filename} exists already", hint="choose another name, or remove the file"
            ) from None
        raise MigrationError(f"cannot write {error.filename}: {error.strerror}") from error


def _safe(name: str) -> str:
    """The name in lower case, with `_` for all but ASCII letters and digits."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if not safe:
        raise SettingsError(
            f"a migration's name needs a letter or a digit, '{name}' has none",
            hint="for example agentdb migrate new add_users",
        )
    if len(safe) > _LONGEST_NAME:
        raise SettingsError(
            f"the name has {len(safe)} characters, the limit is {_LONGEST_NAME}",
            hint="for example agentdb migrate new add_users",
        )
    return safe


def _next(found: files.Directory) -> str:
    """The next number, with what stands around it before the name."""
    if not found.files:
        return f"{1:0{_WIDTH}}_"
    last = found.files[-1]
    if found.naming is Naming.yoyo:
        number = max(last.version + 1, int(datetime.now(UTC).strftime("%Y%m%d01")))
        return f"{number // 100}_{number % 100:02}_{_YOYO_LETTERS}-"
    match = _NUMBER.match(last.filename)
    assert match is not None  # files.read lets no other in
    digits, separator = match[1], match[2]
    before = "V" if found.naming is Naming.flyway else ""
    number = last.version + 1
    if _is_time(digits):
        number = max(number, int(datetime.now(UTC).strftime(_TIMESTAMP)))
    if number > _LARGEST:
        raise MigrationError(
            f"{last.path} has the largest number that there is",
            hint="renumber it; nothing can come after it",
        )
    return f"{before}{number:0{len(digits)}}{separator}"


def _is_time(digits: str) -> bool:
    if len(digits) != len("20261231235959"):
        return False
    try:
        return datetime.strptime(digits, _TIMESTAMP).replace(tzinfo=UTC).year >= 1970
    except ValueError:
        return False
