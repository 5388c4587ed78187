"""PostgreSQL's programs as processes that never outlive us."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from agentdb_cli.errors import AgentdbError

_TICK = 0.2
"""Seconds between two looks at how far a program is."""
_PATIENCE = 5.0
"""Seconds that its sessions get to end after SIGTERM."""
_PR_SET_PDEATHSIG = 1


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], *, lock: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program with all its workers; ended if the block is left by an error.

    Args:
        environment: all of its variables; where secrets are.
        lock: a file descriptor that it keeps open, so that the lock lasts until it has died.

    Raises:
        AgentdbError: it cannot be started.
    """
    ours = os.getpid()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=() if lock is None else (lock,),
            umask=0o077,
            # A Ctrl-C of the terminal is ours to hand on, once and in order.
            start_new_session=True,
            preexec_fn=(lambda: _die_with(ours)) if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise AgentdbError(f"cannot run {command[0]}: {error.strerror}") from None
    assert process.stderr is not None
    try:
        with process.stderr:
            yield process
    except BaseException:
        _end(process)
        raise


def lines(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> Iterator[str]:
    """What it writes to stderr, line by line, until it has ended.

    Args:
        tick: called now and then; may raise.
    """
    assert process.stderr is not None
    yield from _lines(process.stderr, tick)
    while process.poll() is None:
        tick()
        time.sleep(0.01)


def _lines(stream: IO[bytes], tick: Callable[[], None]) -> Iterator[str]:
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if selector.select(_TICK):
                data = os.read(stream.fileno(), 65536)
                if not data:
                    break
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
            tick()
    if rest:
        yield rest.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all its workers, which are a process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + _PATIENCE
        while _group_lives(process) and time.monotonic() < deadline:
            time.sleep(0.01)


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with(parent: int) -> None:
    """In the child: ask the kernel for a SIGTERM when our process dies."""
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it has died before that was asked for
        os._exit(1)
