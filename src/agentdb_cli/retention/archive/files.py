"""Files that are whole and on disk, or not there: names, permissions, the lock."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agentdb_cli.durable import sync_directory
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PARTIAL = ".partial"
_PART = re.compile(r"\d{8}T\d{6}Z-(?P<number>\d{6,})-x(?P<xid>\d+)\.(csv\.zst|jsonl\.zst|parquet)")
_LONGEST_NAME = 200  # bytes; file systems take 255, and a suffix must fit
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class PartName(NamedTuple):
    """What the name of a part's file says."""

    number: int
    xid: int


def part_name(name: str) -> PartName | None:
    """What a file's name says, or None if it is no part's."""
    match = _PART.fullmatch(name)
    return PartName(int(match["number"]), int(match["xid"])) if match else None


def directory_name(schema: str, table: str) -> str:
    """`schema.table` as the name of one directory, different for every table.

    Some file systems fold case and normalise letters, so that all but a-z, 0-9, `_` and
    `-` is written as %XX of its UTF-8 bytes.
    """
    name = ".".join(
        re.sub(rb"[^a-z0-9_-]", lambda m: b"%%%02X" % m[0][0], part.encode()).decode()
        for part in (schema, table)
    )
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:160]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def make_directory(path: Path) -> None:
    """Make a directory that only its owner may enter, and its parents, all durably.

    Raises:
        AgentdbError: it cannot be made, or nothing can be written there.
    """
    try:
        missing = [p for p in (path, *path.parents) if not p.exists()]
        for directory in reversed(missing):
            directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(directory.parent)
    except OSError as error:
        raise cannot("make", path, error) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise AgentdbError(
            f"cannot write into {path}: permission denied or a read-only file system",
            hint="name another directory, or make this one writable for the account that runs this",
        )


def cannot(do: str, path: Path, error: OSError) -> AgentdbError:
    """A failure of the file system as an error of ours; says how much space is free."""
    message = f"cannot {do} {path}: {error.strerror or error}"
    if error.errno not in _NO_SPACE:
        return AgentdbError(message)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        free = 0
    return AgentdbError(
        f"{message} ({free / 2**20:.1f} MB free)",
        hint="the rows of this batch are still in the table; make room, or name a directory "
        "on another file system",
    )


class PartFile(io.RawIOBase):
    """A file that has its name only once it is complete and on disk.

    Args:
        path: the final name; must not exist.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.bytes = 0
        self._partial = path.with_name(path.name + PARTIAL)
        self._digest = hashlib.sha256()
        try:
            descriptor = os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except OSError as error:
            raise cannot("write", path, error) from None
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    @property
    def sha256(self) -> str:
        """The checksum of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Append all of `data`.

        Raises:
            AgentdbError: the disk is full, or fails.
        """
        rest = view = memoryview(data)
        if self._file.closed:  # discarded; an encoder that is collected later still flushes
            return len(view)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise cannot("write", self.path, error) from None
        self._digest.update(view)
        self.bytes += len(view)
        return len(view)

    def finish(self) -> None:
        """Put the file on disk and give it its name.

        Raises:
            AgentdbError: the disk is full, or fails.
        """
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.rename(self.path)
            sync_directory(self.path.parent)
        except OSError as error:
            raise cannot("write", self.path, error) from None

    def discard(self) -> None:
        """Remove the file, complete or not."""
        self._file.close()
        self._partial.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class Lock:
    """One process at a time in a table's directory; the kernel frees it when we die.

    Raises:
        AgentdbError: another process has it, or the file cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "lock"
        try:
            self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise cannot("write", path, error) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 20).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise AgentdbError(
                f"another process{f' (pid {holder})' if holder else ''} works on {directory}",
                hint="wait until it has ended: two must not write into one table's archive",
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in."""
        os.close(self._descriptor)
