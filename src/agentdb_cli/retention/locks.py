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


def patiently(
    attempt: Callable[[], Done],
    lock_timeout: int,
    given_up: Callable[[Exception], AgentdbError],
    *,
    between: Callable[[], None] = lambda: None,
    also: tuple[type[Exception], ...] = (),
) -> Done:
    """Repeat an attempt until its locks are to be had.

    Args:
        attempt: sets `lock_timeout` to `AT_MOST` for itself.
        lock_timeout: milliseconds after which it is not repeated.
        given_up: makes the error to raise then of the last attempt's.
        between: called before each repetition; may raise.
        also: further exceptions that make it worth repeating.

    Raises:
        AgentdbError: what `given_up` makes.
    """
    worth: tuple[type[Exception], ...] = (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.DeadlockDetected,
        *also,
    )
    begun = time.monotonic()
    while True:
        try:
            return attempt()
        except worth as error:
            if (time.monotonic() - begun) * 1000 >= lock_timeout:
                raise given_up(error) from None
        between()
        time.sleep(random.uniform(0.05, 0.4))  # noqa: S311  (jitter, no secret)
