"""What a build may use: memory and processes of the server, as far as they can be known."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_SHARE = 0.5
"""The most of the memory that is available now: the rest is the server's cache, and others'."""


@dataclass(frozen=True, slots=True)
class Server:
    """The settings of a server that bound a build. Sizes in bytes.

    Attributes:
        memory: maintenance_work_mem.
        workers: max_parallel_maintenance_workers.
        most_workers: max_parallel_workers, of all sessions together.
        processes: max_worker_processes, which takes a restart to change.
        shared_memory: dynamic_shared_memory_type.
    """

    memory: int
    workers: int
    most_workers: int
    processes: int
    shared_memory: str
    shared_buffers: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a server that runs on this one.

    Attributes:
        memory: bytes available now.
        shared: bytes free for shared memory, or None if that has no limit of its own.
        cores: that this process may use.
    """

    memory: int
    shared: int | None
    cores: int

    @property
    def usable(self) -> int:
        """Bytes that a build may take."""
        return round(self.memory * _SHARE)


def server(connection: Connection) -> Server:
    """The server's settings, as this session has them."""
    with connection.cursor(row_factory=class_row(Server)) as cursor:
        found = cursor.execute(query("vectors/server").encode()).fetchone()
    assert found is not None
    return found


def of(connection: Connection, server: Server) -> Machine | None:
    """The machine, if the server is on this one (a socket leads to it), else None."""
    if not connection.info.host.startswith("/"):
        return None
    memory = _available()
    if memory is None:
        return None
    shared = None
    if server.shared_memory == "posix":
        try:
            shared = shutil.disk_usage("/dev/shm").free  # noqa: S108  (looked at, not written)
        except OSError:
            shared = None
    return Machine(memory, shared, _cores())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _available() -> int | None:
    """Bytes of memory available: the system's, or less where a control group has a limit."""
    system = _meminfo()
    limit, used = _number("memory.max"), _number("memory.current")
    if limit is None or used is None:
        return system
    left = max(limit - used, 0)
    return left if system is None else min(system, left)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _number(name: str) -> int | None:
    try:
        text = (Path("/sys/fs/cgroup") / name).read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None
