"""Migration files on disk: `NNN_name.sql`, in the order of their numbers."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from agentdb_cli.errors import MigrationError

_NUMBERED = re.compile(r"(?P<version>\d+)[_-](?P<name>.+)\.sql", re.IGNORECASE)
_DOWN = re.compile(r".*\.down\.sql", re.IGNORECASE)

_LARGEST_VERSION = 2**63 - 1  # bigint
_BOM = b"\xef\xbb\xbf"


class MigrationFile(NamedTuple):
    """One migration.

    Attributes:
        version: its number; leading zeros do not count.
        name: the file's name without number and suffix.
        directory: where it was read.
        filename: its name there.
        text: its content, without byte order mark and with LF line ends.
        checksum: SHA-256 of `text` in UTF-8, hexadecimal.
    """

    version: int
    name: str
    directory: Path
    filename: str
    text: str
    checksum: str

    @property
    def path(self) -> Path:
        """Where it was read; made when asked for, as most of thousands are never named."""
        return self.directory / self.filename

    @property
    def label(self) -> str:
        """The file's name without suffix, as messages call it: `003_add_users`."""
        return self.filename[: -len(".sql")]


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
        if version > _LARGEST_VERSION:
            raise MigrationError(
                f"{directory / name}: the number is too large",
                hint=f"the largest is {_LARGEST_VERSION}",
            )
        if version in files:
            raise MigrationError(
                f"two migrations have the number {version}: {files[version].filename} and {name}",
                hint=f"renumber one of them in {directory}",
            )
        files[version] = _read_file(directory, name, version, match["name"])
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


def _read_file(directory: Path, filename: str, version: int, name: str) -> MigrationFile:
    try:
        content = _content(f"{directory}/{filename}")
    except OSError as error:
        raise MigrationError(f"cannot read {directory / filename}: {error.strerror}") from error
    content = content.removeprefix(_BOM)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MigrationError(
            f"{directory / filename}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from None
    if not text or text.isspace():
        raise MigrationError(
            f"{directory / filename} is empty", hint="write its SQL, or remove the file"
        )
    checksum = hashlib.sha256(content).hexdigest()
    return MigrationFile(version, name, directory, filename, text, checksum)


def _content(path: str) -> bytes:
    """All of a file, in as few steps as can be: every run reads every file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = b""
        while part := os.read(descriptor, 1 << 20):
            content += part
        return content
    finally:
        os.close(descriptor)
