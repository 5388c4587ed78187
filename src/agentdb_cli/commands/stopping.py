"""Ending long work between two of its steps: what is in flight is finished first."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stopping() -> Iterator[Callable[[], str | None]]:
    """Catch SIGTERM and SIGINT; gives a function that names the one that came, or None.

    A second one is not waited for: it interrupts at once.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: f"stopped by {signal.Signals(came[0]).name}" if came else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
