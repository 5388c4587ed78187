"""One agent, put together from what each table says of it, and whether that is trouble."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentdb_cli.monitoring.agents.reading import Section

Row = Mapping[str, Any]


class Trouble(StrEnum):
    """What is wrong with an agent, the gravest first."""

    error_state = "error_state"
    silent = "silent"
    error_events = "error_events"
    new_errors = "new_errors"

    @property
    def grave(self) -> bool:
        """Whether it means that the agent does not work."""
        return self in (Trouble.error_state, Trouble.silent)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent at the moment of a snapshot; None for what is not known of it.

    Attributes:
        agent: its key.
        due: whether it owes signs of life.
        troubles: the gravest first.
        since: when the gravest trouble began.
        state_since: since when it has been in this state.
        uptime: of a running agent, since its start.
        missed: heartbeats due since the last one; see `missed_heartbeats`.
        errors: error events within the window.
        error_count: errors that the agent counts, with the last heartbeat.
        new_errors: those of them within the window.
        metric: its metric with samples, bounds and means of parts of the window.
        sent, received: messages within the window.
        calls, tokens, cost: of language models within the window.
        calls_without_cost: those of the calls whose cost nobody wrote down.
        open_requests: help requests that it answered and that are still open.
    """

    agent: str
    name: str | None
    state: str | None
    due: bool
    active: bool | None
    troubles: tuple[Trouble, ...]
    since: datetime | None
    state_since: datetime | None
    uptime: timedelta | None
    last_heartbeat: datetime | None
    missed: int | None
    errors: int | None
    last_error_at: datetime | None
    error_count: int | None
    new_errors: int | None
    metric: Mapping[str, Any] | None
    sent: int | None
    received: int | None
    calls: int | None
    tokens: Decimal | None
    cost: Decimal | None
    calls_without_cost: int | None
    open_requests: int | None

    @property
    def urgency(self) -> tuple[object, ...]:
        """What sorts agents: trouble by gravity, the newest first; those that are retired last."""
        order = list(Trouble)
        gravest = order.index(self.troubles[0]) if self.troubles else len(order)
        newest = -self.since.timestamp() if self.since else 0.0
        return gravest, newest, self.active is False, not self.due, self.name or "", self.agent


def missed_heartbeats(age: timedelta, interval: float) -> int:
    """How many heartbeats were due since the last one and did not come.

    With heartbeats every 60 s, the one of 60 s ago is not missed, that of 61 s
    ago is. Background Agents' document gives the interval of 60 s and wants an
    alert at more than 2 in a row, which is more than 180 s of silence, as for
    the check `heartbeats` of `agentdb health`.

    Args:
        age: time since the last heartbeat.
        interval: seconds between two.
    """
    return max(math.ceil(age.total_seconds() / interval) - 1, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What each section says, by agent; None for a section that was not read.

    Attributes:
        interval: seconds between two heartbeats, or None if the pack does not say.
        allowed: heartbeats that may be missed in a row.
        now: the moment of the snapshot.
    """

    heartbeats: Mapping[str, Row] | None
    error_counts: Mapping[str, Row] | None
    metrics: Mapping[str, Row] | None
    sent: Counter[str] | None
    received: Counter[str] | None
    calls: Mapping[str, Row] | None
    requests: Mapping[str, Row] | None
    interval: float | None
    allowed: float
    now: datetime

    @classmethod
    def of(
        cls,
        sections: Mapping[str, Section],
        catalog: Mapping[str, Mapping[str, Any]],
        now: datetime,
    ) -> Facts:
        """The facts of sections that were read."""
        by_agent = sections["calls"].only(lambda row: row["by_agent"])
        heartbeats = catalog.get("heartbeats", {})
        return cls(
            heartbeats=sections["heartbeats"].by_agent(),
            error_counts=sections["error_counts"].by_agent(),
            metrics=sections["metrics"].by_agent(),
            sent=_messages(sections["messages"], "sender"),
            received=_messages(sections["messages"], "receiver"),
            calls=by_agent.by_agent(),
            requests=sections["requests_by_agent"].by_agent(),
            interval=heartbeats.get("interval_seconds"),
            allowed=heartbeats.get("missed_warning", 0),
            now=now,
        )


def judged(row: Row, facts: Facts) -> Agent:
    """An agent from its row of the register and from all other facts."""
    key, active = row["agent"], row.get("active")
    due = active is not False and (row["running"] is True if "running" in row else True)
    beat, counted, calls = (
        (found or {}).get(key, {}) for found in (facts.heartbeats, facts.error_counts, facts.calls)
    )
    started, last = row.get("started_at"), beat.get("last_heartbeat")
    sign = max((sign for sign in (started, last) if sign is not None), default=None)
    watched = due and facts.heartbeats is not None
    missed = None
    if watched and sign is not None and facts.interval:
        missed = missed_heartbeats(facts.now - sign, facts.interval)
    errors = _number(facts.error_counts, key, "errors")
    grown = _grown(beat)
    state_since = _state_since(row, beat)
    found = {
        Trouble.error_state: (active is not False and row.get("in_error"), state_since),
        Trouble.silent: (watched and (sign is None or (missed or 0) > facts.allowed), sign),
        Trouble.error_events: (errors, counted.get("first_error_at")),
        Trouble.new_errors: (grown, None),
    }
    troubles = tuple(trouble for trouble, (holds, _) in found.items() if holds)
    return Agent(
        agent=key,
        name=row.get("name"),
        state=row.get("state", _activity(active)),
        due=due,
        active=active,
        troubles=troubles,
        since=found[troubles[0]][1] if troubles else None,
        state_since=state_since,
        uptime=facts.now - started if due and started is not None else None,
        last_heartbeat=last,
        missed=missed,
        errors=errors,
        last_error_at=counted.get("last_error_at"),
        error_count=beat.get("error_count"),
        new_errors=grown,
        metric=(facts.metrics or {}).get(key),
        sent=None if facts.sent is None else facts.sent[key],
        received=None if facts.received is None else facts.received[key],
        calls=_number(facts.calls, key, "recent_calls"),
        tokens=calls.get("recent_tokens"),
        cost=calls.get("recent_cost"),
        calls_without_cost=calls.get("recent_calls_without_cost"),
        open_requests=_number(facts.requests, key, "open_requests"),
    )


def _number(found: Mapping[str, Row] | None, key: str, name: str) -> int | None:
    """A number of rows: of an agent without any it is 0, but None where nothing was read."""
    return None if found is None else int(found.get(key, {}).get(name, 0))


def _messages(section: Section, side: str) -> Counter[str] | None:
    if section.rows is None:
        return None
    counter: Counter[str] = Counter()
    for row in section.rows:
        counter[row[side]] += row["messages"]
    return counter


def _grown(beat: Row) -> int | None:
    """By how much an agent's own count of errors rose; it begins anew when the agent does."""
    count, before = beat.get("error_count"), beat.get("errors_before")
    if count is None or before is None:
        return None
    return int(count - before if count >= before else count)


def _state_since(row: Row, beat: Row) -> datetime | None:
    """Since when an agent has been in its state, as far as the tables tell.

    A running one since its start; another one since it stopped. One in an error
    state that has not stopped: since its last heartbeat that said otherwise.
    """
    started: datetime | None = row.get("started_at")
    stopped: datetime | None = row.get("stopped_at")
    said_otherwise: datetime | None = beat.get("other_state_at")
    if row.get("running"):
        return started
    if stopped is not None and (started is None or stopped >= started):
        return stopped
    if not row.get("in_error"):
        return None
    if beat.get("heartbeat_state") not in (None, row["state"]):
        said_otherwise = beat["last_heartbeat"]
    return said_otherwise


def _activity(active: bool | None) -> str | None:
    return None if active is None else "active" if active else "inactive"
