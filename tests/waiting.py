"""Waiting for what another process or thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(found: Callable[[], object], seconds: float = 30) -> object:
    """The first true value of `found()`; the test fails if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return value
