"""Migration files on disk: `NNN_name.sql`, in the order of their numbers.

Directories that were written for other tools are read as they are: `foreign`.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import foreign
from agentdb_cli.migrations.encoding import plain
from agentdb_cli.migrations.foreign import Format, Naming

if TYPE_CHECKING:
    from agentdb_cli.migrations.sections import Sections

_LARGEST_VERSION = 2**63 - 1  # bigint
_SQLX_ALONE = b"-- no-transaction"
_MARKS = (b"+goose", b"migrate:", b"-- DOWN")
_ROOM = 1 << 16


class MigrationFile(NamedTuple):
    """One migration, or what undoes it.

    Attributes:
        version: its number; leading zeros do not count.
        name: the file's name without number and suffix.
        directory: where it was read.
        filename: its name there.
        content: without byte order mark and with LF line ends.
        checksum: SHA-256 of `content`, hexadecimal.
        naming: how files are named there.
        undone_by: what undoes a migration: its text, with blanks for the rest
            of the file, and whether it runs without a transaction.
    """

    version: int
    name: str
    directory: Path
    filename: str
    content: bytes
    checksum: str
    naming: Naming = Naming.numbered
    undone_by: tuple[str, bool] | None = None

    @property
    def path(self) -> Path:
        """Where it was read; made when asked for, as most of thousands are never named."""
        return self.directory / self.filename

    @property
    def label(self) -> str:
        """The file's name without suffix, as messages call it: `003_add_users`."""
        stem = self.filename[:-4]
        before, dot, last = stem.rpartition(".")
        if dot and (last.lower() == "up" or (self.undone_by and last in ("down", "rollback"))):
            return before
        return stem

    @property
    def source(self) -> str:
        """All of the file."""
        return self.content.decode()

    @property
    def text(self) -> str:
        """What is run of it: all, or the up part, with blanks for the rest.

        Raises:
            MigrationError: its sections are not in order.
        """
        if self.undone_by:
            return self.undone_by[0]
        found = self.sections
        return found.up.text if found else self.source

    @property
    def no_transaction(self) -> bool:
        """Whether another tool's mark says that it runs without a transaction."""
        if self.undone_by:
            return self.undone_by[1]
        found = self.sections
        return found.up.no_transaction if found else self.content.startswith(_SQLX_ALONE)

    @property
    def sections(self) -> Sections | None:
        """Its up and its down part, if it has both in sections.

        Raises:
            MigrationError: they are not in order.
        """
        if not any(mark in self.content for mark in _MARKS):
            return None
        from agentdb_cli.migrations import sections

        return sections.split(self.source, str(self.path))

    @property
    def format(self) -> Format:
        """The tool that its content is written for, as far as that shows."""
        if found := self.sections:
            return found.format
        return Format.sqlx if self.content.startswith(_SQLX_ALONE) else Format.own

    @property
    def is_foreign(self) -> bool:
        """Whether it is written for a tool that lets a migration be empty."""
        return self.naming is not Naming.numbered or self.sections is not None


class Directory(NamedTuple):
    """The migrations of a directory, and the `.sql` files that are none.

    Attributes:
        files: in the order of their versions.
        ignored: names of `.sql` files without a number.
        naming: how its files are named.
    """

    path: Path
    files: tuple[MigrationFile, ...]
    ignored: tuple[str, ...]
    naming: Naming = Naming.numbered


def read(directory: Path) -> Directory:
    """Read all migrations of a directory.

    Raises:
        MigrationError: the directory or a file cannot be read, a file is
            empty or not UTF-8, a number is too large or used twice, or the
            files are named for two tools.
    """
    names = sql_names(directory)
    naming = foreign.naming(directory, names)
    place = str(directory)
    files: dict[int, MigrationFile] = {}
    ignored: list[str] = []
    for found in foreign.migrations(directory, names, naming):
        if isinstance(found, str):
            ignored.append(found)
            continue
        digits, name, filename = found
        version = int(digits)
        if version > _LARGEST_VERSION:
            raise MigrationError(
                f"{directory / filename}: the number is too large",
                hint=f"the largest is {_LARGEST_VERSION}",
            )
        if version in files:
            raise MigrationError(
                f"two migrations have the number {version}: "
                f"{files[version].filename} and {filename}",
                hint=f"renumber one of them in {directory}",
            )
        content, checksum = _content(f"{place}/{filename}")
        if naming is Naming.numbered and (not content or content.isspace()):
            raise MigrationError(
                f"{directory / filename} is empty", hint="write its SQL, or remove the file"
            )
        files[version] = MigrationFile(
            version, name, directory, filename, content, checksum, naming
        )
    ordered = tuple(files[version] for version in sorted(files))
    return Directory(directory, ordered, tuple(ignored), naming)


def read_one(directory: Path, filename: str, migration: MigrationFile) -> MigrationFile:
    """Another file of a migration: the one that undoes it.

    Raises:
        MigrationError: it cannot be read, or is not UTF-8.
    """
    content, checksum = _content(f"{directory}/{filename}")
    return migration._replace(
        directory=directory, filename=filename, content=content, checksum=checksum
    )


def sql_names(directory: Path) -> list[str]:
    """The names of all `.sql` files of a directory, sorted.

    Raises:
        MigrationError: there is no such directory, or it cannot be read.
    """
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  (a Path for each costs more)
    except FileNotFoundError:
        raise MigrationError(
            f"there is no directory {directory}",
            hint="name the directory of the migrations with --dir, or a pack with --pack",
        ) from None
    except OSError as error:
        raise MigrationError(f"cannot read the directory {directory}: {error.strerror}") from error
    return [name for name in names if name[-4:].lower() == ".sql"]


def _content(path: str) -> tuple[bytes, str]:
    """A file without byte order mark and with LF line ends, and its checksum."""
    try:
        content = raw(path)
    except OSError as error:
        raise MigrationError(f"cannot read {path}: {error.strerror}") from error
    content = plain(path, content)
    return content, sha256(content).hexdigest()


def raw(path: str) -> bytes:
    """All of a file, in as few steps as can be: every run reads every file.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        content = os.read(descriptor, _ROOM)
        if len(content) < _ROOM:  # of a regular file that is all
            return content
        while part := os.read(descriptor, 1 << 20):
            content += part
        return content
    finally:
        os.close(descriptor)
