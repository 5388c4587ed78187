"""Progress of long work, on stderr: bars on a terminal, now and then a line in a log.

With `--quiet` there is nothing. Bars vanish when the work ends; what came of it
is for the result to say.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from agentdb_cli.render import UNSAFE, Output, duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

FIRST_LINE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds until a log gets its first line on a piece of work, and at most between two lines;
the pauses double in between."""

_UNSAFE = re.compile(rf"[\t\n{UNSAFE}]")


class Progress:
    """Where several pieces of work are; a context manager.

    Args:
        output: what decides on `--quiet`, and writes lines.
        clock: seconds that go on.
    """

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def __enter__(self) -> Self:
        if not self._output.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def start(self, name: str) -> None:
        """A piece of work begins; it may begin again after its end."""
        now = self._clock()
        self._started[name] = now
        self._pauses[name] = FIRST_LINE
        self._next[name] = now + FIRST_LINE
        if self._bars is not None:
            self._tasks[name] = self._bars.add_task(_safe(name), total=None, phase="")

    def step(self, name: str, phase: str, done: int = 0, total: int = 0) -> None:
        """Where a piece of work is.

        Args:
            phase: what is going on, in words.
            done, total: of this phase, in any unit; total 0 if nobody knows.
        """
        if name not in self._started:
            return
        if self._bars is not None:
            self._bars.update(
                self._tasks[name],
                completed=done,
                total=total or None,
                phase=_safe(phase),
            )
        elif self._clock() >= self._next[name]:
            self._line(name, phase, done, total)

    def finish(self, name: str) -> None:
        """A piece of work is over."""
        self._started.pop(name, None)
        if self._bars is not None and name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))

    def _line(self, name: str, phase: str, done: int, total: int) -> None:
        now = self._clock()
        self._pauses[name] = min(self._pauses[name] * 2, LONGEST_PAUSE)
        self._next[name] = now + self._pauses[name]
        share = f", {min(done / total, 1):.0%}" if total else ""
        self._output.notice(f"{name}: {phase}{share}, {duration(now - self._started[name])}")


def size(count: int) -> str:
    """A number of bytes as a person reads it: `512 B`, `8 kB`, `1.4 GB` (powers of 1024)."""
    if abs(count) < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1024
        if abs(value) < 999.5 or unit == "TB":
            break
    shown = f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.1f}".removesuffix(".0")
    return f"{shown} {unit}"


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    # A name out of a database may look like markup, and be longer than the line.
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    phase = TextColumn(
        "{task.fields[phase]}", markup=False, table_column=Column(no_wrap=True, ratio=1)
    )
    return Bars(
        name,
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        phase,
        console=Console(file=sys.stderr, no_color=bool(os.environ.get("NO_COLOR"))),
        transient=True,
        # stdout is the result's, and goes where it was sent.
        redirect_stdout=False,
        expand=True,
    )
