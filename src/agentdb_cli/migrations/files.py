"""Migration files on disk: `NNN_name.sql`, in the order of their numbers."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agentdb_cli.errors import MigrationError

_NUMBERED = re.compile(r"(?P<version>\d+)[_-](?P<name>.+)\.sql", re.IGNORECASE)
_DOWN = re.compile(r".*\.down\.sql", re.IGNORECASE)

_LARGEST_VERSION = 2**63 - 1  # bigint
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One migration.

    Attributes:
        version: its number; leading zeros do not count.
        name: the file's name without number and suffix.
        path: where it was read.
        text: its content, without byte order mark and with LF line ends.
        checksum: SHA-256 of `text` in UTF-8, hexadecimal.
    """

    version: int
    name: str
    path: Path
    text: str
    checksum: str

    @property
    def label(self) -> str:
        """The file's name without suffix, as messages call it: `003_add_users`."""
        return self.path.name[: -len(".sql")]


class Directory(NamedTuple):
    """The migrations of a directory, and the `.sql` files that are none.

    Attributes:
        files: in the order of their versions.
        ignored: names of `.sql` files without a number.
    """

    path: Path
    files: tuple[MigrationFile, ...]
    ignored: tuple[str, ...]


def read(directory: Path) -> Directory:
    """Read all migrations of a directory.

    Raises:
        MigrationError: the directory or a file cannot be read, a file is
            empty or not UTF-8, a number is too large or used twice.
    """
    files: dict[int, MigrationFile] = {}
    ignored: list[str] = []
    for name in _sql_names(directory):
        if _DOWN.fullmatch(name):
            continue
        match = _NUMBERED.fullmatch(name)
        if match is None:
            ignored.append(name)
            continue
        version = int(match["version"])
        path = directory / name
        if version > _LARGEST_VERSION:
            raise MigrationError(
                f"{path}: the number is too large", hint=f"the largest is {_LARGEST_VERSION}"
            )
        if version in files:
            raise MigrationError(
                f"two migrations have the number {version}: {files[version].path.name} and {name}",
                hint=f"renumber one of them in {directory}",
            )
        files[version] = _read_file(path, version, match["name"])
    return Directory(directory, tuple(files[v] for v in sorted(files)), tuple(ignored))


def _sql_names(directory: Path) -> list[str]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  (a Path for each costs more)
    except FileNotFoundError:
        raise MigrationError(
            f"there is no directory {directory}",
            hint="name the directory of the migrations with --dir, or a pack with --pack",
        ) from None
    except OSError as error:
        raise MigrationError(f"cannot read the directory {directory}: {error.strerror}") from error
    return [name for name in names if name.lower().endswith(".sql")]


def _read_file(path: Path, version: int, name: str) -> MigrationFile:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MigrationError(f"cannot read {path}: {error.strerror}") from error
    content = content.removeprefix(_BOM)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MigrationError(
            f"{path}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from None
    if not text.strip():
        raise MigrationError(f"{path} is empty", hint="write its SQL, or remove the file")
    return MigrationFile(version, name, path, text, hashlib.sha256(content).hexdigest())
