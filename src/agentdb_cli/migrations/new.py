"""The next migration: two files with its number, ready to be filled in."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agentdb_cli.errors import MigrationError, SettingsError
from agentdb_cli.migrations import files

_NUMBER = re.compile(r"(\d+)([_-])")
_WIDTH = 3
_LARGEST = 2**63 - 1  # bigint
_LONGEST_NAME = 100
_TIMESTAMP = "%Y%m%d%H%M%S"

_UP = """\
-- {label}: what it is for, in one line.
--
-- The file is applied in one transaction: all of it or nothing. agentdb migrate lint says what
-- would stop the application; agentdb migrate --dry-run shows what is pending.

"""
_DOWN = "-- Undoes {label}.\n\n"


class Pair(NamedTuple):
    """The two files of a migration."""

    up: Path
    down: Path


def plan(directory: Path, name: str) -> Pair:
    """The files that a new migration of this name would have; nothing is written.

    The number is the next one in the width in use, or the time (UTC) where the
    last number is a time of 14 digits, as dbmate's and Rails' are.

    Raises:
        SettingsError: the name holds nothing that a file name could.
        MigrationError: the directory or a file in it cannot be read, or there
            is no next number.
    """
    safe = _safe(name)
    known = files.read(directory).files
    label = f"{_next(known)}{safe}"
    return Pair(directory / f"{label}.sql", directory / f"{label}.down.sql")


def write(pair: Pair) -> None:
    """Write both files; one that exists is never overwritten.

    Raises:
        MigrationError: a file exists or cannot be written; then neither is.
    """
    label = pair.up.stem
    written: list[Path] = []
    try:
        for path, template in ((pair.down, _DOWN), (pair.up, _UP)):
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(template.format(label=label))
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


def _next(known: tuple[files.MigrationFile, ...]) -> str:
    """The next number, with what separates it from the name."""
    if not known:
        return f"{1:0{_WIDTH}}_"
    last = known[-1]
    match = _NUMBER.match(last.path.name)
    assert match is not None  # files.read lets no other in
    digits, separator = match[1], match[2]
    number = last.version + 1
    if _is_time(digits):
        number = max(number, int(datetime.now(UTC).strftime(_TIMESTAMP)))
    if number > _LARGEST:
        raise MigrationError(
            f"{last.path} has the largest number that there is",
            hint="renumber it; nothing can come after it",
        )
    return f"{number:0{len(digits)}}{separator}"


def _is_time(digits: str) -> bool:
    if len(digits) != len("20261231235959"):
        return False
    try:
        return datetime.strptime(digits, _TIMESTAMP).replace(tzinfo=UTC).year >= 1970
    except ValueError:
        return False
