"""Growth between samples: which sample counts, and what is too little to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdb_cli.monitoring.health_growth import DAY, Growth, measure
from agentdb_cli.monitoring.samples import Sample, Samples

GB = 1024**3
HOUR = 3600.0
NOW = 1_000_000.0


def growth(directory: Path, size: int, *earlier: tuple[float, int]) -> Growth | float | None:
    """What a run finds, after samples so many seconds ago."""
    kept = samples(directory)
    for seconds, number in earlier:
        kept.add(Sample(NOW - seconds, {"bytes": number}))
    return measure(directory, "7001-16384", "sizes", size=size, now=NOW)


def samples(directory: Path) -> Samples:
    return Samples(directory, "7001-16384", "sizes", keep=600)


def test_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert growth(tmp_path, GB) is None
    assert samples(tmp_path).read() == (Sample(NOW, {"bytes": GB}),)


def test_less_than_an_hour_is_too_little(tmp_path: Path) -> None:
    assert growth(tmp_path, GB, (HOUR - 1, GB), (600, GB)) == HOUR - 1


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        ([(2 * DAY, 10 * GB), (DAY, 20 * GB), (HOUR, 39 * GB)], Growth(1.0, 40 * GB, 20 * GB, DAY)),
        ([(DAY / 2, 20 * GB)], Growth(2.0, 40 * GB, 20 * GB, DAY / 2)),
        ([(3 * DAY, 5 * GB), (2 * DAY, 20 * GB)], Growth(0.5, 40 * GB, 20 * GB, 2 * DAY)),
        ([(2 * DAY, 20 * GB), (HOUR / 2, 30 * GB)], Growth(0.5, 40 * GB, 20 * GB, 2 * DAY)),
        ([(DAY, 5 * GB)], Growth(3.5, 40 * GB, 5 * GB, DAY)),  # as if it had been 10 GB
        ([(DAY, 80 * GB)], Growth(-0.5, 40 * GB, 80 * GB, DAY)),
    ],
)
def test_it_is_compared_with_a_day_ago_or_the_next_best(
    tmp_path: Path, earlier: list[tuple[float, int]], expected: Growth
) -> None:
    assert growth(tmp_path, 40 * GB, *earlier) == expected


def test_a_sample_is_kept_every_five_minutes(tmp_path: Path) -> None:
    growth(tmp_path, GB, (299, GB))
    assert len(samples(tmp_path).read()) == 1
    samples(tmp_path).path.unlink()
    growth(tmp_path, GB, (300, GB))
    assert len(samples(tmp_path).read()) == 2


def test_what_is_no_size_and_what_is_still_to_come_does_not_count(tmp_path: Path) -> None:
    samples(tmp_path).add(Sample(NOW - DAY, {}))
    samples(tmp_path).add(Sample(NOW + 10, {"bytes": 1}))
    assert growth(tmp_path, GB) is None
