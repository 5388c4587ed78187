"""How far a backup is: told from pg_dump's words, and from how many rows it has got."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agentdb_cli.backups import dumping
from agentdb_cli.backups.counting import Counting
from agentdb_cli.backups.planning import Plan

_PAUSE = 0.5
"""Seconds between two steps."""
_OF_LATE, _LEAST_SECONDS = 10.0, 2.0
"""How long one looks back, and must at least, to tell how long the rest takes: seconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a run is.

    Attributes:
        phase: what is going on, or the tables that are being dumped.
        tables: how many are done, of how many.
        done, total: bytes of tables; an estimate.
        left: seconds, or None as long as nobody can tell.
    """

    phase: str
    tables: tuple[int, int] = (0, 0)
    done: int = 0
    total: int = 0
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Calls:
    """Whom a run tells: of each step, of what was noticed, and of what is not as it should be."""

    step: Callable[[Step], None]
    notice: Callable[[str], None]
    warning: Callable[[str], None]


class Watch:
    """Tells how far pg_dump is, from its words and the server's."""

    def __init__(self, planned: Plan, counting: Counting, calls: Calls) -> None:
        self.words = dumping.Words(planned.jobs > 1)
        self._tables = {str(t): t for t in planned.tables if not t.partitioned}
        self._total = planned.bytes
        self._counting = counting
        self._calls = calls
        self._past: deque[tuple[float, int]] = deque()
        self._next = 0.0

    def tick(self) -> None:
        """Tell what there is to tell; steps not more often than a person reads."""
        while self.words.warnings:
            self._calls.warning(f"pg_dump: {self.words.warnings.popleft()}")
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PAUSE
        done = self._done()
        self._calls.step(
            Step(
                ", ".join(self.words.running[:3]) or "schema",
                (len(self.words.finished), len(self._tables)),
                done,
                self._total,
                self._left(now, done),
            )
        )

    def _left(self, now: float, done: int) -> float | None:
        """Seconds, at the speed of late: tables of vectors are slower than others by the byte."""
        self._past.append((now, done))
        while now - self._past[0][0] > _OF_LATE:
            self._past.popleft()
        passed, grown = now - self._past[0][0], done - self._past[0][1]
        if passed < _LEAST_SECONDS or grown <= 0 or done >= self._total:
            return None
        return passed / grown * (self._total - done)

    def _done(self) -> int:
        """Bytes of the finished tables, and of the others by the share of their rows."""
        done = float(sum(self._tables[n].bytes for n in self.words.finished if n in self._tables))
        for name in self.words.running:
            table = self._tables.get(name)
            if table is not None and (rows := self._counting.counts.get(table.oid)):
                copied = self._counting.copied.get(f"{table.schema} {table.name}", 0)
                done += table.bytes * min(copied / rows, 1)
        return int(done)
