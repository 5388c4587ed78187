"""The arithmetic of `vectors recall`, `tune` and `index`: intervals, settings, lists, names."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from agentdb_cli.vectors.build.definition import lists_for, suits
from agentdb_cli.vectors.build.machine import Machine, Server
from agentdb_cli.vectors.build.plan import Needs, Settings, settings, unique
from agentdb_cli.vectors.intervals import interval
from agentdb_cli.vectors.tune import smallest


def test_the_interval_of_all_hits_is_no_point() -> None:
    recall, low, high = interval([10] * 100, [10] * 100)
    assert (recall, high) == (1.0, 1.0)
    assert low == pytest.approx(1000 / (1000 + 1.96**2))


def test_whole_queries_that_miss_widen_it() -> None:
    apart = interval([9] * 100, [10] * 100)
    together = interval([10] * 90 + [0] * 10, [10] * 100)
    assert apart[0] == together[0] == 0.9
    assert together[2] - together[1] > 2.5 * (apart[2] - apart[1])
    # as one trial a query, by Wilson's formula
    assert together[1] == pytest.approx(0.8256, abs=0.002)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    generator = random.Random(7)
    covered = []
    for _ in range(400):
        hits = []
        for _ in range(100):
            share = generator.betavariate(9.5, 0.5)  # queries differ: 0.95 in the mean
            hits.append(sum(generator.random() < share for _ in range(10)))
        _, low, high = interval(hits, [10] * 100)
        covered.append(low <= 0.95 <= high)
    assert 0.91 <= fmean(covered) <= 0.99


@pytest.mark.parametrize("least", [1, 20, 21, 57, 300, 999, 1000])
def test_smallest_is_near_and_reaches(least: int) -> None:
    asked: list[int] = []

    def reaches(value: int) -> bool:
        asked.append(value)
        return value >= least

    found = smallest([11, 20, 40, 80, 160, 320, 640, 1000], reaches)
    assert found is not None
    assert found == 11 if least == 1 else least <= found <= least * 1.06 + 1
    assert len(asked) < 15


def test_smallest_of_none() -> None:
    assert smallest([1, 2, 4], lambda value: False) is None
    assert smallest([1, 2, 4], lambda value: None if value == 2 else False) is None


@pytest.mark.parametrize(
    ("rows", "lists"), [(0, 1), (900, 1), (100_000, 100), (1_000_000, 1000), (4_000_000, 2000)]
)
def test_lists(rows: int, lists: int) -> None:
    assert lists_for(rows) == lists
    assert suits(lists, rows)
    assert not suits(lists * 3, rows)


def test_names_are_cut_and_numbered() -> None:
    assert unique("docs", "_idx", ["docs_idx", "docs_idx1"]) == "docs_idx2"
    long = unique("ä" * 40, "_idx", [])
    assert len(long.encode()) <= 63
    assert long.endswith("ä_idx")
    assert unique("ä" * 40, "_idx", [long]) != long


MB = 1024**2
SERVER = Server(64 * MB, 2, 8, 8, "posix", 128 * MB)


def needs(memory: int, machine: Machine | None) -> Needs:
    return Needs(rows=100_000, memory=memory, disk=200 * MB, free=None, machine=machine)


def test_a_build_gets_what_it_needs_of_half_the_memory() -> None:
    machine = Machine(memory=4096 * MB, shared=4096 * MB, cores=4)
    assert settings(needs(500 * MB, machine), SERVER, None, None) == (
        Settings(500 * MB, 3, 8),
        None,
    )
    assert settings(needs(10 * MB, machine), SERVER, None, None) == (Settings(64 * MB, 1, 8), None)
    chosen, note = settings(needs(5000 * MB, machine), SERVER, None, None)
    assert chosen.memory == 2048 * MB
    assert note == (
        "the build would need 5000MB of memory to be fast and gets 2048MB: half of the memory"
        " that is available here is 2048MB; --memory gives it more"
    )
    assert settings(needs(5000 * MB, machine), SERVER, 6000 * MB, 9)[0] == Settings(6000 * MB, 9, 9)


def test_a_build_elsewhere_keeps_to_the_servers_settings() -> None:
    chosen, note = settings(needs(500 * MB, None), SERVER, None, None)
    assert chosen == Settings(64 * MB, 1, 8)
    assert note == (
        "the build would need 500MB of memory to be fast and gets 64MB: the memory of a server"
        " elsewhere is not known; --memory gives it more"
    )


def test_without_shared_memory_one_process_builds() -> None:
    machine = Machine(memory=4096 * MB, shared=64 * MB, cores=4)
    chosen, note = settings(needs(500 * MB, machine), SERVER, None, None)
    assert chosen == Settings(500 * MB, 0, 8)
    assert note == ("built by one process: /dev/shm has 64MB free, and several need 500MB there")
