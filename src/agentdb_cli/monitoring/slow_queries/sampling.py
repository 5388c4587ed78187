"""Finding slow statements without any extension: looking at pg_stat_activity again and again.

A statement that is seen in a tenth of the looks has been running for a tenth of
the time. That costs the server one short query a look, whatever else it does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from agentdb_cli.monitoring.slow_queries.normalise import fingerprint, normalise
from agentdb_cli.monitoring.slow_queries.server import Server, ours

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

INTERVAL = 0.1
"""Seconds between two looks."""

CPU = "CPU"
"""What a session does that waits for nothing that the server tells of."""

_REMEMBERED = 2_000
"""Texts whose normalised form is remembered, so that a long run does not grow."""


class Look(NamedTuple):
    """One session at one moment, as `sql/slow_queries/sample.sql` returns it.

    Attributes:
        started: when its statement began, seconds since the epoch.
        age: how many seconds ago that was.
    """

    pid: int
    started: float | None
    age: float | None
    query_id: int | None
    state: str | None
    wait_type: str | None
    wait: str | None
    database: str | None
    role: str | None
    application: str | None
    query: str | None


@dataclass(slots=True)
class Group:
    """All that was seen of one statement.

    Attributes:
        id: the server's query id, or a fingerprint of the normalised text.
        text: one of its texts, with literals as the server showed it.
        normalised: its text without literals.
        seen: how often a session was seen to run it.
        executions: the longest age in seconds of each execution, by session and start.
        waits: how often it was seen to wait for what, `CPU` for nothing.
    """

    id: str
    text: str
    normalised: str
    seen: int = 0
    executions: dict[tuple[int, float], float] = field(default_factory=dict)
    waits: Counter[str] = field(default_factory=Counter)
    databases: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)
    applications: Counter[str] = field(default_factory=Counter)

    def add(self, look: Look) -> None:
        """Count one look at a session that runs it."""
        self.seen += 1
        key = (look.pid, look.started or 0.0)
        self.executions[key] = max(look.age or 0.0, self.executions.get(key, 0.0))
        waits = ": ".join(part for part in (look.wait_type, look.wait) if part)
        self.waits[waits or CPU] += 1
        self.databases[look.database or ""] += 1
        self.roles[look.role or ""] += 1
        self.applications[look.application or ""] += 1

    def merge(self, other: Group) -> None:
        """Take over what was counted for the same statement under another identifier."""
        self.seen += other.seen
        for key, age in other.executions.items():
            self.executions[key] = max(age, self.executions.get(key, 0.0))
        for name in ("waits", "databases", "roles", "applications"):
            getattr(self, name).update(getattr(other, name))

    @property
    def longest(self) -> float:
        """The greatest age that an execution was seen to have, in seconds."""
        return max(self.executions.values())

    @property
    def mean(self) -> float:
        """The mean of the greatest ages of its executions, in seconds."""
        return sum(self.executions.values()) / len(self.executions)


def is_cut(text: str, server: Server) -> bool:
    """Whether the server may have cut a text at track_activity_query_size."""
    size = int(server.settings.get("track_activity_query_size", 1024))
    # It cuts before a character of several bytes, and ends with a zero byte.
    return len(text.encode("utf-8", "surrogatepass")) >= size - 4


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a series of looks found.

    Attributes:
        groups: the statements, the one that was seen most first.
        looks: how many there were.
        seconds: from the first to the last, one interval included.
        hidden: the most sessions at one moment that this role may not see.
        disabled: the most sessions at one moment with track_activities off.
        ended: why it ended early, or None.
    """

    groups: tuple[Group, ...]
    looks: int
    seconds: float
    hidden: int
    disabled: int
    ended: str | None = None

    @property
    def seen(self) -> int:
        """How often any session was seen to run any statement."""
        return sum(group.seen for group in self.groups)

    @property
    def seconds_a_look(self) -> float:
        """The time that each look stands for."""
        return self.seconds / self.looks if self.looks else 0.0


def sample(
    connection: Connection,
    seconds: float,
    *,
    database_oid: int | None,
    enough: Callable[[Group], bool] = lambda _: False,
) -> Sampling:
    """Look at what the server's clients run, ten times a second.

    Looks are due at fixed moments: one that comes late does not delay the next,
    and those that were missed are left out. Ctrl-C and the end of the session
    end the series; what was gathered is returned.

    Args:
        seconds: how long.
        database_oid: whose sessions; None for those of all databases.
        enough: called with each group that was seen; ends the series if true.
    """
    series = _Series()
    started = time.monotonic()
    due, end, ended = started, started + seconds, None
    columns = {"query_id"} if connection.info.server_version >= 140_000 else set()
    query = ours("sample", columns=columns)
    try:
        while True:
            # Not prepared: a pooler may give each look another server session.
            rows = connection.execute(query, (database_oid, database_oid), prepare=False).fetchall()
            seen = series.look(Look(*row) for row in rows)  # type: ignore[arg-type]
            now = time.monotonic()
            if any(enough(group) for group in seen):
                break
            due += INTERVAL * max(1, -(-(now - due) // INTERVAL))
            if due >= end - INTERVAL / 2:
                break
            time.sleep(max(due - now, 0.0))
    except KeyboardInterrupt:
        ended = "interrupted"
    except psycopg.OperationalError as error:
        if not series.looks:
            raise
        ended = "the connection was lost: " + (str(error).strip().splitlines() or ["?"])[0]
    elapsed = max(time.monotonic() - started, INTERVAL)
    return Sampling(
        groups=tuple(series.groups()),
        looks=series.looks,
        # A look stands for the interval after it, the last one too.
        seconds=max(min(elapsed + INTERVAL, seconds), INTERVAL),
        hidden=series.hidden,
        disabled=series.disabled,
        ended=ended,
    )


class _Series:
    """Puts looks together into groups."""

    def __init__(self) -> None:
        self.looks = self.hidden = self.disabled = 0
        self._by_id: dict[int, Group] = {}
        self._by_text: dict[str, Group] = {}
        self._normalised: dict[str, str] = {}

    def look(self, sessions: Iterable[Look]) -> list[Group]:
        """Count one look at all sessions; returns the groups that were seen."""
        self.looks += 1
        hidden = disabled = 0
        seen = []
        for session in sessions:
            if session.state is None:
                hidden += 1
            elif session.state == "disabled":
                disabled += 1
            else:
                group = self._group(session)
                group.add(session)
                seen.append(group)
        self.hidden, self.disabled = max(self.hidden, hidden), max(self.disabled, disabled)
        return seen

    def _group(self, session: Look) -> Group:
        text = session.query or ""
        if session.query_id is not None:
            group = self._by_id.get(session.query_id)
            if group is None:
                group = Group(str(session.query_id), text, normalise(text))
                self._by_id[session.query_id] = group
            return group
        normalised = self._normalise(text)
        group = self._by_text.get(normalised)
        if group is None:
            group = Group(fingerprint(normalised), text, normalised)
            self._by_text[normalised] = group
        return group

    def _normalise(self, text: str) -> str:
        found = self._normalised.get(text)
        if found is None:
            if len(self._normalised) >= _REMEMBERED:
                self._normalised.clear()
            found = self._normalised[text] = normalise(text)
        return found

    def groups(self) -> list[Group]:
        """The groups, the one that was seen most first.

        A statement has no query id until it is parsed. What was seen of it
        before then goes to the group of the same text.
        """
        groups = list(self._by_id.values())
        by_text = {group.normalised: group for group in groups}
        for normalised, group in self._by_text.items():
            if normalised in by_text:
                by_text[normalised].merge(group)
            else:
                groups.append(group)
        return sorted(groups, key=lambda group: (-group.seen, group.id))
