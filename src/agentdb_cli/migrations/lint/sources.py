"""Which scripts are read, and which of them run in one go."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.files import Directory
from agentdb_cli.migrations.lint.check import LARGEST, Source


def named(paths: Iterable[Path]) -> tuple[Source, ...]:
    """The scripts of some files, which are taken to run one after the other in one go.

    Raises:
        MigrationError: a file cannot be read, is empty, too large or not UTF-8.
    """
    return tuple(Source(path, _text(path)) for path in paths)


def whole(directory: Directory, *, together: bool) -> tuple[Source, ...]:
    """All migrations of a directory.

    Args:
        together: they run in one go, on an empty database; otherwise each
            one meets tables that the others have filled.
    """
    return tuple(Source(file.path, file.text, together) for file in directory.files)


def pending(directory: Directory, versions: Collection[int]) -> tuple[Source, ...]:
    """The migrations with these versions; the others have been applied, and tell what is there."""
    applied = [file for file in directory.files if file.version not in versions]
    others = [file for file in directory.files if file.version in versions]
    return (
        *(Source(file.path, file.text, judged=False) for file in applied),
        *(Source(file.path, file.text, together=i > 0) for i, file in enumerate(others)),
    )


def _text(path: Path) -> str:
    try:
        # A FIFO would never end, and a large file be in memory before anybody could say so.
        if not path.is_file() and path.exists() and not path.is_dir():
            raise MigrationError(f"{path} is not a regular file", hint="name a file of SQL")
        if path.stat().st_size > 4 * LARGEST:
            raise MigrationError(
                f"{path} is too large to read: {path.stat().st_size:,} bytes",
                hint="load data with COPY from a program, not in a migration",
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise MigrationError(
            f"there is no file {path}", hint="without file names the pending migrations are read"
        ) from None
    except OSError as error:
        raise MigrationError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MigrationError(
            f"{path}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from None
    if not text.strip():
        raise MigrationError(f"{path} is empty", hint="write its SQL, or leave it out")
    return text
