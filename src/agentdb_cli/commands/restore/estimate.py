"""How long the rest of a restore takes, as far as anybody can tell."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentdb_cli.render import duration

_LEAST_SHARE, _LEAST_SECONDS = 0.05, 3.0
"""What must be done before the rest can be told: a share, and seconds."""


class Estimate:
    """Tells what is left of a piece of work, and begins anew with the next one.

    While a large part is in work and nothing ends, the last estimate runs down; once it has
    run out, nothing is told.

    Args:
        clock: seconds that go on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = -1
        self._done = 0
        self._begun = 0.0
        self._end: float | None = None

    def left(self, done: int, total: int) -> str:
        """`, about 2 min left`, or nothing."""
        now = self._clock()
        if total != self._total:
            self._total, self._done, self._begun, self._end = total, 0, now, None
        passed = now - self._begun
        if done > self._done:
            self._done = done
            known = done >= total * _LEAST_SHARE and passed >= _LEAST_SECONDS
            self._end = now + passed / done * (total - done) if known else None
        if self._end is None or self._end <= now:
            return ""
        return f", about {duration(self._end - now)} left"
