"""Running pg_dump: its arguments, its words on stderr, and its end, also when we are killed."""

from __future__ import annotations

import ctypes
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from agentdb_cli.errors import AgentdbError

_TICK = 0.2
"""Seconds between two looks at how far it is."""
_PATIENCE = 5.0
"""Seconds that its sessions get to end after SIGTERM."""
_CONTENTS = re.compile(r'pg_dump: dumping contents of table "(.+)"')
_FINISHED = re.compile(r"pg_dump: finished item \d+ TABLE DATA (.+)")
_TOLD = re.compile(r"\w+: (error|warning|fatal): ")
_DETAIL = re.compile(r"\w+: (detail|hint): ")
_LONGEST = 500
"""Characters of a line: one may hold the names of all tables."""
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Words:
    """What pg_dump has said so far.

    Attributes:
        running: the tables that are being dumped, as `schema.table`.
        finished: those that are done.
        errors: the last of its lines since the first error.
        warnings: what it warned of, to be told and forgotten.
    """

    parallel: bool
    running: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    _warning: bool = False

    def hear(self, line: str) -> None:
        """Take in a line of its stderr."""
        told = _TOLD.match(line)
        line = line[:_LONGEST]
        if _DETAIL.match(line):
            (self.errors if self.errors else self.warnings).append(line)
        elif told is not None and told[1] == "warning" and not self.errors:
            self.warnings.append(line.partition("warning: ")[2])
        elif told is not None or self.errors:
            self.errors.append(line.partition(": ")[2] if told else line)
        elif contents := _CONTENTS.match(line):
            if not self.parallel:
                self._finish_all()
            self.running.append(contents[1])
        elif finished := _FINISHED.match(line):
            self._finish(finished[1])

    def _finish(self, name: str) -> None:
        """pg_dump says the name without its schema here."""
        for table in self.running:
            if table == name or table.endswith(f".{name}"):
                self.running.remove(table)
                self.finished.append(table)
                return

    def _finish_all(self) -> None:
        self.finished += self.running
        self.running.clear()


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    words: Words,
    lock: int,
    tick: Callable[[], None],
) -> None:
    """Run a program of PostgreSQL's to its end; it ends when we do.

    Args:
        environment: all of its variables; where secrets are.
        lock: a file descriptor that it keeps open, so that the lock lasts until it has died.
        tick: called now and then; may raise.

    Raises:
        AgentdbError: it cannot be started, or failed; the message holds its own words.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=(lock,),
            umask=0o077,
            # A Ctrl-C of the terminal is ours to hand on, once and in order.
            start_new_session=True,
            preexec_fn=_die_with_us if sys.platform == "linux" else None,
        )
    except OSError as error:
        raise AgentdbError(f"cannot run {command[0]}: {error.strerror}") from None
    assert process.stderr is not None
    try:
        with process.stderr as stream:
            _listen(stream, words, tick)
        while process.poll() is None:
            tick()
            time.sleep(0.01)
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        said = "\n  ".join(words.errors) or f"exit code {process.returncode}"
        name = os.path.basename(command[0])  # noqa: PTH119
        raise AgentdbError(f"{name} failed: {said}")


def _listen(stream: IO[bytes], words: Words, tick: Callable[[], None]) -> None:
    """Take in its lines until it closes its end."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if selector.select(_TICK):
                data = os.read(stream.fileno(), 65536)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    words.hear(line.decode(errors="replace"))
            tick()
    if rest:
        words.hear(rest.decode(errors="replace"))


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


def _die_with_us() -> None:
    """In the child: ask the kernel for a SIGTERM when our process dies."""
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
