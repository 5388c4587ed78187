"""Which scripts are read, and which of them run in one go."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.encoding import plain
from agentdb_cli.migrations.files import Directory, MigrationFile
from agentdb_cli.migrations.lint.check import LARGEST, Source


def named(paths: Iterable[Path]) -> tuple[Source, ...]:
    """The scripts of some files, which are taken to run one after the other in one go.

    Raises:
        MigrationError: a file cannot be read, is empty, too large or not UTF-8.
    """
    return tuple(Source(_file(path)) for path in paths)


def whole(directory: Directory, *, together: bool) -> tuple[Source, ...]:
    """All migrations of a directory.

    Args:
        together: they run in one go, on an empty database; otherwise each
            one meets tables that the others have filled.
    """
    return tuple(Source(file, together) for file in directory.files)


def pending(directory: Directory, versions: Collection[int]) -> tuple[Source, ...]:
    """The migrations with these versions; the others have been applied, and tell what is there."""
    applied = [file for file in directory.files if file.version not in versions]
    others = [file for file in directory.files if file.version in versions]
    return (
        *(Source(file, judged=False) for file in applied),
        *(Source(file, together=i > 0) for i, file in enumerate(others)),
    )


def without(sources: Iterable[Source], patterns: Collection[str], base: Path) -> tuple[Source, ...]:
    """The scripts, of which those that match a pattern only tell what they make.

    Args:
        patterns: as fnmatch has them, for the path from `base` on, or a whole path.
    """
    here = Path.cwd()

    def ignored(path: Path) -> bool:
        whole = Path(os.path.normpath(here / path))
        below = whole.relative_to(base) if whole.is_relative_to(base) else whole
        names = {whole.as_posix(), below.as_posix()}
        return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)

    return tuple(
        replace(source, judged=False) if source.judged and ignored(source.path) else source
        for source in sources
    )


def _file(path: Path) -> MigrationFile:
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
    content = plain(str(path), content)
    if not content.strip():
        raise MigrationError(f"{path} is empty", hint="write its SQL, or leave it out")
    # Nobody asks a script that is only read for its number and checksum.
    return MigrationFile(0, path.stem, path.parent, path.name, content, checksum="")
