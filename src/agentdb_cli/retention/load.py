"""Making way: a purge waits while the server has more important things to do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import time as clock_time

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query

_LOOK_EVERY = 1.0
"""Seconds between two looks at the server."""

_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day, by the server's clock and time zone; may reach over midnight."""

    begin: clock_time
    end: clock_time

    def holds(self, clock: clock_time) -> bool:
        """Whether the clock is inside."""
        if self.begin <= self.end:
            return self.begin <= clock < self.end
        return clock >= self.begin or clock < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What makes a purge wait.

    Attributes:
        lag_bytes: WAL that a standby has not replayed; 64 MB are four segments.
        active: sessions that run something at the moment, or None for half of
            max_connections.
        checkpoints: requested checkpoints within a minute. They are a sign
            that WAL is written faster than max_wal_size is meant for.
        window: the hours in which to work, or None for all.
    """

    lag_bytes: int = 64 * 1024 * 1024
    active: int | None = None
    checkpoints: int = 2
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class _Load:
    lag_bytes: int | None
    lag_hidden: bool
    active: int
    checkpoints: int | None
    clock: clock_time


@dataclass
class Load:
    """Looks at the server now and then, and says when to wait.

    Attributes:
        waited: seconds of waiting so far, by reason.
    """

    connection: Connection
    limits: Limits
    notice: Callable[[str], None]
    waited: dict[str, float] = field(default_factory=dict)
    _next_look: float = 0.0
    _checkpoints: deque[tuple[float, int]] = field(default_factory=deque)
    _told_hidden: bool = False

    def make_way(self, stopped: Callable[[], bool]) -> None:
        """Return at once, or when the server is no longer too busy, or when stopped."""
        if time.monotonic() < self._next_look:
            return
        told = ""
        while (found := self._look()) is not None:
            reason, detail = found
            if reason != told:
                self.notice(f"waiting: {detail}")
                told = reason
            begun = time.monotonic()
            while not stopped() and time.monotonic() - begun < _LOOK_EVERY:
                time.sleep(0.1)
            self.waited[reason] = self.waited.get(reason, 0.0) + time.monotonic() - begun
            if stopped():
                return
        if told:
            self.notice("going on")
        self._next_look = time.monotonic() + _LOOK_EVERY

    def _look(self) -> tuple[str, str] | None:
        """Why to wait, as a word for the summary and a sentence; or None."""
        major = self.connection.info.server_version // 10_000
        with self.connection.cursor(row_factory=class_row(_Load)) as cursor:
            load = cursor.execute(for_server(query("retention/load"), major).encode()).fetchone()
        assert load is not None
        if load.lag_hidden and not self._told_hidden:
            self._told_hidden = True
            user = self.connection.info.user
            self.notice(
                f"{user} may not see how far replicas lag behind, so nothing waits for them: "
                f"GRANT pg_monitor TO {user} changes that"
            )
        window = self.limits.window
        if window is not None and not window.holds(load.clock):
            return "window", f"it is {load.clock:%H:%M} at the server, the window is {window}"
        if (load.lag_bytes or 0) > self.limits.lag_bytes:
            megabytes = (load.lag_bytes or 0) // 1024**2
            limit = self.limits.lag_bytes // 1024**2
            return "replicas", f"a replica lags {megabytes} MB behind (limit {limit} MB)"
        active = self._active_limit()
        if load.active > active:
            return "sessions", f"{load.active} sessions are active (limit {active})"
        if load.checkpoints is not None and self._rate(load.checkpoints) > self.limits.checkpoints:
            return (
                "checkpoints",
                f"more than {self.limits.checkpoints} checkpoints were requested within a minute",
            )
        return None

    def _active_limit(self) -> int:
        if self.limits.active is None:
            row = self.connection.execute("SHOW max_connections").fetchone()
            self.limits = Limits(
                self.limits.lag_bytes,
                max(int(str(row[0])) // 2, 2) if row else 50,
                self.limits.checkpoints,
                self.limits.window,
            )
        assert self.limits.active is not None
        return self.limits.active

    def _rate(self, checkpoints: int) -> int:
        """Requested checkpoints within the last minute, as far as we have looked."""
        now = time.monotonic()
        self._checkpoints.append((now, checkpoints))
        while self._checkpoints[0][0] < now - _MINUTE:
            self._checkpoints.popleft()
        return checkpoints - self._checkpoints[0][1]
