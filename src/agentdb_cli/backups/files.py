"""Files of backups: checksums, what is durable, and backups that are still in work.

A backup has its name only when it is whole. Until then it is `.NAME.partial`, beside a
lock that the kernel frees when its processes have died, pg_dump among them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentdb_cli.backups.catalog import name_of
from agentdb_cli.backups.manifest import File
from agentdb_cli.durable import sync_directory
from agentdb_cli.errors import AgentdbError

PARTIAL = ".partial"
DELETED = ".deleted"
_LOCK = ".lock"
_READERS = 4
"""Files that are read at the same time; more keep no disk busier."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A backup in work.

    Attributes:
        path: where its files go.
        final: where it will be.
        created: the moment that its name says, in UTC.
        lock: a file descriptor; who has it keeps the next run from cleaning up.
    """

    path: Path
    final: Path
    created: datetime
    lock: int

    def finish(self) -> None:
        """Put everything on disk, and give the backup its name.

        Raises:
            OSError: the disk fails.
        """
        for directory, _, _ in os.walk(self.path):
            sync_directory(Path(directory))
        self.path.rename(self.final)
        sync_directory(self.final.parent)


@contextmanager
def in_work(directory: Path, database: str) -> Iterator[Partial]:
    """A new, empty backup; unless it is finished, nothing of it stays.

    Raises:
        AgentdbError: the directory cannot be made or written.
    """
    try:
        _make_directory(directory)
        partial = _begin(directory, database)
    except OSError as error:
        raise cannot("write into", directory, error) from None
    try:
        partial.path.mkdir(mode=0o700)
        yield partial
    finally:
        shutil.rmtree(partial.path, ignore_errors=True)
        _lock_path(partial.path).unlink(missing_ok=True)
        os.close(partial.lock)


def clean(directory: Path) -> tuple[str, ...]:
    """Remove what killed runs have left; what one is still at work on stays.

    Returns:
        The names of what was removed.
    """
    removed = []
    for path in sorted(directory.glob(f".*{DELETED}")):
        removed.append(path.name)
        shutil.rmtree(path, ignore_errors=True)
    names = {path.name for path in directory.glob(f".*{PARTIAL}")}
    names |= {path.name.removesuffix(_LOCK) for path in directory.glob(f".*{PARTIAL}{_LOCK}")}
    for name in sorted(names):
        path = directory / name
        with suppress(OSError):
            lock = _locked(_lock_path(path))
            if lock is None:
                continue
            if path.exists():
                removed.append(name)
                shutil.rmtree(path, ignore_errors=True)
            _lock_path(path).unlink(missing_ok=True)
            os.close(lock)
    return tuple(removed)


def delete(backup: Path) -> None:
    """Delete a backup: at once nobody sees it any more, then its files go.

    Raises:
        AgentdbError: it cannot be removed.
    """
    hidden = backup.with_name(f".{backup.name}{DELETED}")
    try:
        if hidden.exists():
            shutil.rmtree(hidden)
        backup.rename(hidden)
        sync_directory(backup.parent)
        shutil.rmtree(hidden)
    except OSError as error:
        raise cannot("delete", backup, error) from None


def seal(directory: Path) -> tuple[File, ...]:
    """Put every file below a directory on disk, and take its checksum.

    Raises:
        OSError: the disk fails.
    """
    paths = sorted(path for path in directory.rglob("*") if path.is_file())

    def sealed(path: Path) -> File:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return File(path.relative_to(directory).as_posix(), stream.tell(), digest)

    with ThreadPoolExecutor(_READERS) as readers:
        return tuple(readers.map(sealed, paths))


def differences(
    directory: Path, files: tuple[File, ...], read: Callable[[File], None]
) -> list[str]:
    """What is wrong with the files of a backup, one line a file; nothing if all are as written.

    Args:
        read: told of each file that was read; may be called by several threads.
    """

    def wrong(file: File) -> str | None:
        try:
            with (directory / file.path).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
        except FileNotFoundError:
            return f"{file.path} is missing"
        except OSError as error:
            return f"cannot read {file.path}: {error.strerror}"
        read(file)
        if size != file.bytes:
            return f"{file.path} has {size} bytes instead of {file.bytes}"
        return None if digest == file.sha256 else f"{file.path} is damaged: another SHA-256"

    with ThreadPoolExecutor(_READERS) as readers:
        return [found for found in readers.map(wrong, files) if found is not None]


def free(directory: Path) -> int:
    """Bytes free where a directory is, or will be."""
    for path in (directory, *directory.parents):
        with suppress(OSError):
            return shutil.disk_usage(path).free
    return 0


def cannot(do: str, path: Path, error: OSError) -> AgentdbError:
    """A failure of the file system as an error of ours."""
    message = f"cannot {do} {path}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return AgentdbError(
            f"{message}; no backup was left behind",
            hint="make room, or name a directory of another file system with --to",
        )
    return AgentdbError(message)


def _make_directory(path: Path) -> None:
    """Make a directory and its parents, durably; those that are new are closed to others."""
    for directory in reversed([p for p in (path, *path.parents) if not p.exists()]):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


def _begin(directory: Path, database: str) -> Partial:
    """Take a name that nobody has or is about to have; one second has one."""
    while True:
        created = datetime.now(UTC).replace(microsecond=0)
        final = directory / name_of(database, created)
        path = directory / f".{final.name}{PARTIAL}"
        lock = _locked(_lock_path(path))
        if lock is not None:
            if not final.exists() and not path.exists():
                return Partial(path, final, created, lock)
            if not path.exists():
                _lock_path(path).unlink(missing_ok=True)
            os.close(lock)
        time.sleep(0.1)


def _lock_path(partial: Path) -> Path:
    return partial.with_name(partial.name + _LOCK)


def _locked(path: Path) -> int | None:
    """The descriptor of a lock file with our process id in it; None if somebody has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed the file meanwhile: then it is no lock any more.
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
