"""What this machine says of the server's memory and disk, where the server is on it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.postgres.connect import Connection

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a server; in bytes, None for what cannot be seen from here."""

    memory: int | None = None
    disk_free: int | None = None
    disk_size: int | None = None


def of(connection: Connection, data_directory: str | None) -> Machine:
    """The machine of a server that a socket leads to; of any other nothing is known.

    An address such as 127.0.0.1 proves nothing: a tunnel or a container's port ends there, too.

    Args:
        data_directory: as the server names it, or None if that is hidden.
    """
    if not connection.info.host.startswith("/"):
        return Machine()
    try:
        disk = shutil.disk_usage(data_directory or "")
    except OSError:  # hidden, or that of a container
        return Machine(_memory())
    return Machine(_memory(), disk.free, disk.total)


def _memory() -> int | None:
    """The memory of this machine, or what the container that we are in may have of it."""
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    try:
        return min(whole, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (ValueError, OSError):  # no such file, or "max"
        return whole
