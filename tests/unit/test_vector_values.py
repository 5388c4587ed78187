"""Vectors as values: what is read, what is refused, and the forms that the server takes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from agentdb_cli.errors import AgentdbError
from agentdb_cli.vectors import values


@pytest.mark.parametrize("text", ["[1, 2.5, -3e-2]", " [1,2.5,-0.03]\n"])
def test_a_vector_is_read(text: str, tmp_path: Path) -> None:
    assert values.read(text) == [1, 2.5, -0.03]
    file = tmp_path / "query.json"
    file.write_text(text)
    assert values.read(str(file)) == [1, 2.5, -0.03]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2", "no list of numbers such as [0.1, 0.2]"),
        ("[]", "an empty list"),
        ('["1"]', "value 1 is no number but a string"),
        ("[1, true]", "value 2 is no number but true or false"),
        ("[[1]]", "value 1 is no number but a list"),
    ],
)
def test_what_is_no_vector(text: str, said: str) -> None:
    with pytest.raises(AgentdbError) as caught:
        values.read(text)
    assert (caught.value.message, caught.value.exit_code) == (f"the vector: {said}", 2)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(AgentdbError) as caught:
        values.read("query.json")
    assert caught.value.message == "there is no file query.json"


@pytest.mark.parametrize(
    ("vector", "type", "distance", "said"),
    [
        ([1, 2, 3], "vector", "cosine", None),
        ([0, 0, 0], "vector", "l2", None),
        ([1, 2], "vector", "l2", "has 2 dimensions, and the column 3"),
        ([1, math.nan, 2], "vector", "l2", "value 2 of 3 is NaN"),
        ([math.inf, -math.inf, 2], "vector", "l2", "value 1 of 3 is infinite"),
        ([1, 70000, 2], "halfvec", "l2", "value 2 is 70000, more than a halfvec holds (65504)"),
        ([0, 2, 1], "bit", "hamming", "value 2 is 2, neither 0 nor 1"),
        (
            [0, -0.0, 0],
            "vector",
            "cosine",
            "all values are zero: such a vector has no direction, and so no cosine distance",
        ),
    ],
)
def test_flaws(vector: list[float], type: str, distance: str, said: str | None) -> None:
    assert values.flaw(vector, type, 3, distance) == said


def test_the_forms_of_each_type() -> None:
    vector = [0, 0.5, 1]
    assert values.text(vector, "vector") == "[0,0.5,1]"
    assert values.text(vector, "sparsevec") == "{2:0.5,3:1}/3"
    assert values.text([0, 1, 1], "bit") == "011"
    assert values.encoder("vector")(vector).hex() == "00030000000000003f0000003f800000"
    assert values.encoder("halfvec")(vector).hex() == "00030000000038003c00"
    assert values.encoder("bit")([1, 0, 0, 0, 0, 0, 0, 0, 1]).hex() == "000000098080"
    assert values.of_text("{2:0.5,3:1}/3", "sparsevec") == vector
    assert values.of_text("{}/2", "sparsevec") == [0, 0]
    assert values.of_text("011", "bit") == [0, 1, 1]
    assert values.of_text("[1,2]", "halfvec") == [1, 2]


def test_a_place_behind_a_sparse_vectors_end() -> None:
    with pytest.raises(ValueError, match="'4:1' is no place and value of a sparsevec"):
        values.of_text("{4:1}/3", "sparsevec")
