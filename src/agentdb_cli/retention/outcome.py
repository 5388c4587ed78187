"""What a purge is asked to do, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agentdb_cli.retention.load import Limits
from agentdb_cli.retention.targets import Target


@dataclass(frozen=True, slots=True)
class Options:
    """How to purge.

    Attributes:
        lock_timeout: milliseconds to spend on a lock, over all attempts.
        max_rows: rows to delete at most, over all tables.
        max_seconds: seconds after which no further batch is begun.
        keep_detached: whether partitions are detached, but not dropped.
    """

    lock_timeout: int = 5_000
    limits: Limits = field(default_factory=Limits)
    max_rows: int | None = None
    max_seconds: float | None = None
    keep_detached: bool = False


@dataclass
class Outcome:
    """What became of one table.

    Attributes:
        methods: how its rows went: `time index`, `block ranges`, `partitions`.
        expected: rows to delete, by the planner's estimate.
        rows: rows deleted; those of dropped partitions by the server's
            statistics.
        bytes: what they took: dropped partitions exactly, rows by their table's
            average. The space of rows stays with the table, for new ones.
        skipped: rows left because another session had locked them.
        archived: rows written to the archive.
        partitions: the names of the partitions that went.
        waited: seconds of making way, by reason.
        problem: why it failed, or None.
        left: why rows past their time may be left, or None.
    """

    target: Target
    methods: list[str] = field(default_factory=list)
    expected: int = 0
    rows: int = 0
    bytes: int = 0
    batches: int = 0
    skipped: int = 0
    archived: int = 0
    partitions: list[str] = field(default_factory=list)
    seconds: float = 0.0
    waited: dict[str, float] = field(default_factory=dict)
    problem: str | None = None
    left: str | None = None

    def by(self, method: str) -> None:
        """Note how rows went."""
        if method not in self.methods:
            self.methods.append(method)


class Stopped(Exception):
    """The purge is to end before its work is done; the argument says why."""


@dataclass
class Budget:
    """How much more a purge may do, over all tables.

    Attributes:
        asked: says why to stop (a signal), or None to go on.
    """

    options: Options
    asked: Callable[[], str | None]
    rows: int = 0
    begun: float = field(default_factory=time.monotonic)

    def reason(self) -> str | None:
        """Why no further batch may begin, or None."""
        reason = self.asked()
        if reason is not None:
            return reason
        limit, seconds = self.options.max_rows, self.options.max_seconds
        if limit is not None and self.rows >= limit:
            return f"--max-rows {limit} is reached"
        if seconds is not None and time.monotonic() - self.begun >= seconds:
            return "--max-duration is over"
        return None

    def check(self) -> None:
        """Stop if need be.

        Raises:
            Stopped: no further batch may begin.
        """
        reason = self.reason()
        if reason is not None:
            raise Stopped(reason)

    @property
    def rows_left(self) -> int | None:
        """How many more rows may go, or None for any number."""
        limit = self.options.max_rows
        return None if limit is None else limit - self.rows
