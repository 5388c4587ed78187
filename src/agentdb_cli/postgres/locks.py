"""Locks that others queue behind: asked for again and again, for a moment each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from agentdb_cli.errors import AgentdbError

AT_MOST = 200
"""Milliseconds of one attempt: so long everybody else may have to wait behind it."""

Done = TypeVar("Done")


def moment(_: int) -> float:
    """Seconds between two attempts that each lock for a moment."""
    return random.uniform(0.05, 0.4)  # noqa: S311  (jitter, no secret)


def back_off(repetition: int) -> float:
    """Seconds before a repetition (the first is 1): about 0.2, 0.4, 0.8 … 10.

    Jittered by half, so that those who wait for one lock do not come back together.
    """
    longest = min(0.2 * 2.0 ** min(repetition - 1, 10), 10.0)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  (jitter, no secret)


def patiently(
    attempt: Callable[[], Done],
    longest: int,
    given_up: Callable[[Exception], AgentdbError],
    *,
    between: Callable[[], None] = lambda: None,
    also: tuple[type[Exception], ...] = (),
    retries: int | None = None,
    pause: Callable[[int], float] = moment,
) -> Done:
    """Repeat an attempt until its locks are to be had.

    Args:
        attempt: sets `lock_timeout` for itself.
        longest: milliseconds after which it is not repeated.
        given_up: makes the error to raise then of the last attempt's.
        between: called before each repetition; may raise.
        also: further exceptions that make it worth repeating.
        retries: how often it is repeated at most; None for no such limit.
        pause: seconds to sleep before a repetition, by its number.

    Raises:
        AgentdbError: what `given_up` makes.
    """
    worth: tuple[type[Exception], ...] = (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.DeadlockDetected,
        *also,
    )
    begun, repetition = time.monotonic(), 0
    while True:
        try:
            return attempt()
        except worth as error:
            late = (time.monotonic() - begun) * 1000 >= longest
            if late or (retries is not None and repetition >= retries):
                raise given_up(error) from None
        repetition += 1
        between()
        time.sleep(pause(repetition))
