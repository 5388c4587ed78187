"""Readings that are kept, and what was added between two of them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from agentdb_cli.monitoring.samples import Sample, Samples
from agentdb_cli.monitoring.slow_queries.server import Server
from agentdb_cli.monitoring.slow_queries.statements import Counters, Key, Reading, Statement

KIND = "statements"
KEEP = 48
"""Readings a database. One of 5,000 statements takes about a quarter of a megabyte."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What was added between two readings.

    Attributes:
        statements: those that ran in between.
        seconds: how long the time shown is.
        was_reset: everything was reset in between; the time shown begins there.
        restarted: statements whose own counters began anew; of them, what
            they took since then is shown.
        dropped: how often statements had to go for want of room in between;
            what those took is missing.
    """

    statements: tuple[Statement, ...]
    seconds: float
    was_reset: bool
    restarted: int
    dropped: int


def difference(old: Reading, new: Reading) -> Difference:
    """What was added from `old` to `new`."""
    was_reset = old.reset_at != new.reset_at
    before = {} if was_reset else {statement.key: statement for statement in old.statements}
    found, restarted = [], 0
    for statement in new.statements:
        known = before.get(statement.key)
        counters = statement.counters
        if known is not None:
            if _began_anew(known, statement):
                restarted += 1
            else:
                counters = counters.minus(known.counters)
        if counters.calls or counters.plans:
            found.append(
                replace(statement, counters=counters, minimum_ms=None, maximum_ms=None)
                if known is not None
                else statement
            )
    start = new.reset_at if was_reset and new.reset_at is not None else old.taken_at
    dropped = 0 if was_reset else (new.dropped or 0) - (old.dropped or 0)
    return Difference(tuple(found), new.taken_at - start, was_reset, restarted, dropped)


def _began_anew(known: Statement, now: Statement) -> bool:
    """Whether a statement's counters were reset, or it was dropped and came again."""
    # The clock of the second is rounded in what is kept.
    if known.since is not None and now.since is not None and now.since - known.since > 0.01:
        return True
    return (
        now.counters.calls < known.counters.calls
        or now.counters.total_ms < known.counters.total_ms - 0.01
    )


# --- Keeping -----------------------------------------------------------------------


def keep(samples: Samples, reading: Reading, server: Server) -> None:
    """Keep a reading.

    Raises:
        AgentdbError: the file cannot be written.
    """
    samples.add(Sample(reading.taken_at, _packed(reading, server)))


def kept(samples: Samples, server: Server) -> tuple[Reading, ...]:
    """The readings that can be compared with one taken now, the oldest first.

    They are of this very server, and their role saw no less than this one does.
    """
    found = []
    for sample in samples.read():
        content = sample.content
        try:
            same = content["instance"] == server.instance
            if same and (content["reads_all"] or content["role"] == server.role):
                found.append(_unpacked(sample))
        except (KeyError, TypeError, ValueError, zlib.error):
            continue  # of another version of agentdb, or damaged
    return tuple(found)


def nearest(readings: Iterable[Reading], moment: float) -> Reading | None:
    """The reading that was taken nearest to a moment (seconds since the epoch)."""
    return min(readings, key=lambda reading: abs(reading.taken_at - moment), default=None)


def _packed(reading: Reading, server: Server) -> dict[str, Any]:
    rows = [
        [*statement.key, statement.since, *map(_short, statement.counters)]
        for statement in reading.statements
    ]
    text = json.dumps(rows, separators=(",", ":"))
    return {
        "instance": server.instance,
        "role": server.role,
        "reads_all": server.reads_all,
        "reset_at": reading.reset_at,
        "dropped": reading.dropped,
        "counters": base64.b64encode(zlib.compress(text.encode())).decode(),
    }


def _short(value: float | None) -> float | None:
    """A counter without digits that nobody needs: microseconds are enough."""
    if value is None or value == int(value):
        return None if value is None else int(value)
    return round(value, 3)


def _unpacked(sample: Sample) -> Reading:
    content = sample.content
    rows = json.loads(zlib.decompress(base64.b64decode(content["counters"])))
    size = len(Key._fields)
    statements = (
        Statement(
            key=Key(*row[:size]),
            database=None,
            role=None,
            since=row[size],
            minimum_ms=None,
            maximum_ms=None,
            counters=Counters(*row[size + 1 :]),
        )
        for row in rows
    )
    return Reading(sample.taken_at, content["reset_at"], content["dropped"], tuple(statements))
