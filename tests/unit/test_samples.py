"""What earlier runs measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring.samples import Sample, Samples


def samples(directory: Path, keep: int = 3) -> Samples:
    return Samples(directory, "7001-16384", "sizes", keep)


def test_nothing_is_kept_at_first(tmp_path: Path) -> None:
    assert samples(tmp_path / "state").read() == ()


def test_the_newest_are_kept_in_order(tmp_path: Path) -> None:
    for moment in (5.0, 1.0, 4.0, 3.0, 2.0):
        samples(tmp_path).add(Sample(moment, {"bytes": int(moment)}))
    assert [sample.taken_at for sample in samples(tmp_path).read()] == [3.0, 4.0, 5.0]
    assert samples(tmp_path).read()[-1].content == {"bytes": 5}
    assert [path.name for path in samples(tmp_path).path.parent.iterdir()] == ["sizes.jsonl"]


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    samples(tmp_path).add(Sample(1.0, {}))
    with samples(tmp_path).path.open("a") as file:
        file.write('{"taken_at": \n[]\n{"content": {}}\n')
    samples(tmp_path).add(Sample(2.0, {}))
    assert [sample.taken_at for sample in samples(tmp_path).read()] == [1.0, 2.0]


def test_databases_do_not_mix(tmp_path: Path) -> None:
    samples(tmp_path).add(Sample(1.0, {}))
    assert Samples(tmp_path, "7001-16385", "sizes", 3).read() == ()
    with pytest.raises(ValueError, match="not a database's identity"):
        Samples(tmp_path, "../7001-1", "sizes", 3).read()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("")
    with pytest.raises(AgentdbError) as caught:
        samples(tmp_path).add(Sample(1.0, {}))
    assert caught.value.message == (
        f"the sample could not be kept: {samples(tmp_path).path}: Not a directory"
    )
    assert caught.value.hint == "XDG_STATE_HOME names another place for it"
