"""How fast a database grows: its size now against the sizes that earlier runs kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.monitoring.samples import Sample, Samples

DAY = 86_400.0

BETWEEN = 300.0
"""Seconds between two samples: a check every minute must not fill the file with one afternoon."""

SHORTEST = 3600.0
"""Seconds that growth is measured over at least: less is one batch that somebody loads."""

KEPT = 600
"""Samples of a database: two days of them, 40 kB."""

SMALLEST = 10 * 1024**3
"""Bytes that growth is compared with at least: a small database may double and nobody minds."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How fast it grows.

    Attributes:
        share: growth a day, by the size at the beginning (or by `SMALLEST`).
        size, earlier: bytes.
        seconds: between the two.
    """

    share: float
    size: int
    earlier: int
    seconds: float


def measure(
    directory: Path, database: str, kind: str, *, size: int, now: float
) -> Growth | float | None:
    """Compare a size with the earlier ones, and keep it for later runs.

    Args:
        directory: the user's state directory.
        database: its identity, as `Samples` wants it.
        kind: the name of the samples.
        size: bytes.
        now: the server's clock, in seconds.

    Returns:
        The growth over the last day, or over as much of it as is known; the
        seconds since the first sample if these are too few to tell; None if
        there is no earlier sample.

    Raises:
        AgentdbError: the sample cannot be kept.
    """
    samples = Samples(directory, database, kind, keep=KEPT)
    earlier = _sizes(samples, now)
    if not earlier or now - earlier[-1][0] >= BETWEEN:
        samples.add(Sample(now, {"bytes": size}))
    if not earlier:
        return None
    known = [sample for sample in earlier if now - sample[0] >= SHORTEST]
    if not known:
        return now - earlier[0][0]
    within_a_day = [sample for sample in known if now - sample[0] <= DAY]
    taken_at, before = within_a_day[0] if within_a_day else known[-1]
    seconds = now - taken_at
    share = (size - before) / max(before, SMALLEST) * DAY / seconds
    return Growth(share, size, before, seconds)


def _sizes(samples: Samples, now: float) -> list[tuple[float, int]]:
    """When and how much, the oldest first; without what another clock says is still to come."""
    return [
        (sample.taken_at, sample.content["bytes"])
        for sample in samples.read()
        if sample.taken_at < now and isinstance(sample.content.get("bytes"), int)
    ]
