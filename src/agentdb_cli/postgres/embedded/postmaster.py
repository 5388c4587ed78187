"""Which process serves a data directory: `postmaster.pid`, read with suspicion.

The file outlives a killed server, and the data directory may have been moved.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentdb_cli.postgres.embedded.layout import Layout

# No process can have this id: Linux's largest pid_max is 2**22.
_IMPOSSIBLE_PID = 2**22 + 1


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says of a running server.

    Attributes:
        port: the port, which also names the socket file.
        tcp: the address that it listens on, or None for sockets alone.
        ready: whether it accepts connections.
    """

    pid: int
    started: datetime
    port: int
    socket_directory: Path
    tcp: str | None
    ready: bool


def find(layout: Layout) -> Postmaster | None:
    """The running server of a data directory, or None."""
    try:
        lines = (layout.data / "postmaster.pid").read_text().splitlines()
        found = Postmaster(
            pid=int(lines[0]),
            started=datetime.fromtimestamp(int(lines[2]), UTC),
            port=int(lines[3]),
            socket_directory=_socket_directory(layout, Path(lines[4]), int(lines[3])),
            tcp=lines[5] or None,
            ready=len(lines) > 7 and lines[7].strip() == "ready",
        )
    except (OSError, ValueError, IndexError):
        # No file, or the server is just about to write it.
        return None
    return found if _serves(found.pid, layout.data) else None


def defuse_stale_lock_files(layout: Layout) -> None:
    """Keep PostgreSQL from taking a reused pid, or a zombie, for a running server.

    To be called when `find` finds none. In a container without an init process
    a killed server stays a zombie. Only the pid is replaced: PostgreSQL still
    checks by the shared-memory line of postmaster.pid that no orphan of the
    old server is at work.
    """
    sockets = layout.socket_directory().glob(".s.PGSQL.*.lock")
    for path in (layout.data / "postmaster.pid", *sockets):
        try:
            lines = path.read_text().splitlines(keepends=True)
            os.kill(int(lines[0]), 0)
        except (OSError, ValueError, IndexError):
            continue
        path.write_text("".join([f"{_IMPOSSIBLE_PID}\n", *lines[1:]]))


def _socket_directory(layout: Layout, recorded: Path, port: int) -> Path:
    """The recorded directory, unless the data has been moved since."""
    if (recorded / f".s.PGSQL.{port}").exists():
        return recorded
    return layout.socket_directory()


def _serves(pid: int, data: Path) -> bool:
    """Whether `pid` is a process whose working directory is `data`, as a postmaster's is."""
    try:
        return (Path("/proc") / str(pid) / "cwd").samefile(data)
    except OSError:
        if Path("/proc/self").exists():
            return False
    shown = subprocess.run(  # no /proc: macOS
        ["/bin/ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return Path(shown.stdout.strip()).name == "postgres"
