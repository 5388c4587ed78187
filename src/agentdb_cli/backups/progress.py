"""How far a backup is: told from pg_dump's words and the files that grow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.backups import dumping
from agentdb_cli.backups.planning import LEAST_SHARE, Options, Plan

_PAUSE = 0.5
"""Seconds between two steps."""


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
    """Tells how far pg_dump is, from its words and the files that grow."""

    def __init__(self, planned: Plan, options: Options, data: Path, calls: Calls) -> None:
        self.words = dumping.Words(planned.jobs > 1)
        self._sizes = {str(t): t.bytes for t in planned.tables if not t.partitioned}
        self._total = sum(self._sizes.values())
        self._with_rows = options.content != "schema"
        self._data = data
        self._calls = calls
        self._share = planned.expected / planned.bytes if planned.bytes else LEAST_SHARE
        self._started = time.monotonic()
        self._next = self._started

    def tick(self) -> None:
        """Tell what there is to tell; steps not more often than a person reads."""
        while self.words.warnings:
            self._calls.warning(f"pg_dump: {self.words.warnings.popleft()}")
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PAUSE
        done = self._done() if self._with_rows else 0
        passed = now - self._started
        known = 0 < done < self._total and passed > 1
        left = passed / done * (self._total - done) if known else None
        self._calls.step(
            Step(
                ", ".join(self.words.running[:3]) or "schema",
                (len(self.words.finished), len(self._sizes)),
                done,
                self._total if self._with_rows else 0,
                left,
            )
        )

    def _done(self) -> int:
        """Bytes of the finished tables, and of the others as much as their files tell."""
        finished = sum(self._sizes.get(name, 0) for name in self.words.finished)
        running = sum(self._sizes.get(name, 0) for name in self.words.running)
        try:
            written = sum(entry.stat().st_size for entry in os.scandir(self._data))
        except OSError:
            written = 0
        return int(max(finished, min(finished + running, written / (self._share or 1))))
