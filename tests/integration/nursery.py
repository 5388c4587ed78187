"""Starts runs of agentdb in no time: it has loaded the program once, and forks.

Each run is a process of its own that can be killed like any other. As a program it
reads commands, a line each, and tells when a run has ended:

    start NUMBER ERRORS ARGUMENT…   (between tabs)      ended NUMBER STATUS
    kill NUMBER
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class Nursery:
    """Where runs are started, killed and waited for; a context manager."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="agentdb-nursery-")
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ended: dict[int, int] = {}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill what still runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._thread.join()
        self._directory.cleanup()

    def start(self, number: int, *arguments: str) -> None:
        """Start a run, with a number of its own."""
        self._say("start", str(number), str(self._errors(number)), *arguments)

    def kill(self, number: int) -> None:
        """Kill a run, if it has not ended."""
        self._say("kill", str(number))

    def status(self, number: int) -> int | None:
        """The exit code of a run, or minus its signal; None while it runs."""
        assert self._process.poll() is None, "the nursery has ended"
        return self._ended.get(number)

    def error(self, number: int) -> str:
        """What a run wrote to stderr."""
        return self._errors(number).read_text()

    def _errors(self, number: int) -> Path:
        return Path(self._directory.name) / f"{number}.err"

    def _say(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            _, number, status = line.split()
            self._ended[int(number)] = int(status)


def _serve() -> None:
    # All that a run needs, so that the forks share it. It starts no thread.
    import agentdb_cli.commands.migrate
    import agentdb_cli.migrations.apply
    import agentdb_cli.migrations.prepare
    import agentdb_cli.migrations.stepwise
    import agentdb_cli.migrations.unfinished
    import agentdb_cli.postgres.connect  # noqa: F401

    running: dict[int, str] = {}
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], 0.01)
        _reap(running)
        if not readable:
            continue
        read = os.read(0, 1 << 16)
        if not read:
            break
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            word, number, *more = line.decode().split("\t")
            if word == "start":
                running[_fork(*more)] = number
            else:
                for pid in [pid for pid, each in running.items() if each == number]:
                    os.kill(pid, signal.SIGKILL)
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _reap(running: dict[int, str]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            print("ended", running.pop(pid), os.waitstatus_to_exitcode(status), flush=True)


def _fork(errors: str, *arguments: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nothing, number)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        from agentdb_cli.app import execute

        code = execute(list(arguments))
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
