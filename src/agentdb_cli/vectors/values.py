"""Vectors as values: reading, checking and encoding them.

The binary forms are those of pgvector's `vector_recv` and its siblings.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from agentdb_cli.errors import AgentdbError
from agentdb_cli.vectors.collections import Located

LARGEST = {"vector": 3.4028234663852886e38, "halfvec": 65504.0, "sparsevec": 3.4028234663852886e38}
"""The largest value that each type holds: of IEEE 754's binary32 and binary16."""

Vector = Sequence[float]

_LARGEST_SPARSE = 1_000_000  # dimensions that are held in memory; pgvector allows a thousand times


def parse(text: str) -> list[float]:
    """The numbers of `[1, 2.5, 3]`, which is both JSON and pgvector's own form.

    Raises:
        ValueError: it is not that; the message says what is wrong.
    """
    try:
        found = json.loads(text)
    except ValueError:  # json.JSONDecodeError, or what is not UTF-8
        raise ValueError("no list of numbers such as [0.1, 0.2]") from None
    return numbers(found)


def of_text(text: str, type: str) -> list[float]:
    """The numbers of a vector as the server writes those of a type: `{1:0.5}/3`, `101`, `[…]`.

    Raises:
        ValueError: it is no such text.
    """
    if type == "bit" and re.fullmatch("[01]+", text):
        return [float(bit) for bit in text]
    sparse = re.fullmatch(r"\{([^}]*)\}/(\d+)", text) if type == "sparsevec" else None
    if sparse is None:
        return parse(text)
    found = [0.0] * min(int(sparse[2]), _LARGEST_SPARSE)
    for pair in filter(None, sparse[1].split(",")):
        place, _, value = pair.partition(":")
        try:
            found[int(place) - 1] = float(value)
        except (ValueError, IndexError):
            raise ValueError(f"'{pair}' is no place and value of a sparsevec") from None
    return found


def numbers(value: object) -> list[float]:
    """A list out of JSON as a vector.

    Raises:
        ValueError: it is no list, is empty, or holds something else than numbers.
    """
    if not isinstance(value, list):
        raise ValueError(f"no list of numbers but {_kind(value)}")
    if not value:
        raise ValueError("an empty list")
    if {*map(type, value)} <= {int, float}:  # without a look at each
        return value
    for place, each in enumerate(value, 1):
        if not isinstance(each, int | float) or isinstance(each, bool):
            raise ValueError(f"value {place} is no number but {_kind(each)}")
    return value


def read(source: str) -> list[float]:
    """The vector that an option names: `[…]` itself, a file that holds it, or `-` for stdin.

    Raises:
        AgentdbError: there is no such file, or no vector in it.
    """
    if source.lstrip().startswith("["):
        return _parsed(source, "the vector")
    what = "stdin" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AgentdbError(
            f"there is no file {source}",
            hint="a vector is given as '[0.1, 0.2, …]', as a file that holds that, or as - for"
            " stdin",
            exit_code=2,
        ) from None
    except UnicodeDecodeError:
        raise AgentdbError(f"{what}: no text in UTF-8", exit_code=2) from None
    return _parsed(text, what)


def check(values: Vector, located: Located, what: str) -> None:
    """Refuse what cannot be compared with the vectors of a collection.

    Args:
        what: whose vector it is, for the message: `the query`, `line 3`.

    Raises:
        AgentdbError: another number of dimensions, NaN, an infinity, too large a value, or
            nothing but zeros where the distance is the cosine's.
    """
    reason = flaw(values, located.type, located.dimensions, located.collection.distance)
    if reason is not None:
        raise AgentdbError(
            f"{what}: {reason} (collection {located.collection.name},"
            f" {located.name}.{located.collection.embedding})"
        )


def flaw(values: Vector, type: str, dimensions: int | None, distance: str) -> str | None:
    """What is wrong with a vector for a column of that type, or None."""
    if dimensions is not None and len(values) != dimensions:
        return f"has {len(values):,} dimensions, and the column {dimensions:,}"
    # NaN and infinities reach the sum: in most vectors no value is looked at by itself.
    largest = LARGEST.get(type)
    if largest is None:
        wrong = next((n for n, value in enumerate(values, 1) if value not in (0, 1)), None)
        return None if wrong is None else f"value {wrong} is {values[wrong - 1]}, neither 0 nor 1"
    if not math.isfinite(sum(values)) or max(values) > largest or min(values) < -largest:
        for place, value in enumerate(values, 1):
            if math.isnan(value):
                return f"value {place} of {len(values):,} is NaN"
            if math.isinf(value):
                return f"value {place} of {len(values):,} is infinite"
            if abs(value) > largest:
                return f"value {place} is {value:g}, more than a {type} holds ({largest:g})"
    if distance == "cosine" and not any(values):
        return "all values are zero: such a vector has no direction, and so no cosine distance"
    return None


def text(values: Vector, type: str) -> str:
    """A vector as the server reads it: `[…]`, `{1:0.5}/3` of a sparsevec, `101` of bits."""
    if type == "bit":
        return "".join("1" if value else "0" for value in values)
    if type == "sparsevec":
        some = ",".join(f"{n}:{value!r}" for n, value in enumerate(values, 1) if value)
        return f"{{{some}}}/{len(values)}"
    return f"[{','.join(map(repr, values))}]"


def encoder(type: str) -> Callable[[Vector], bytes]:
    """What turns a vector, which `flaw` found nothing in, into the server's binary form."""
    return {"vector": _vector, "halfvec": _halfvec, "sparsevec": _sparsevec, "bit": _bit}[type]


def _vector(values: Vector) -> bytes:
    return _floats(len(values), "f").pack(len(values), 0, *values)


def _halfvec(values: Vector) -> bytes:
    return _floats(len(values), "e").pack(len(values), 0, *values)


@cache
def _floats(count: int, code: str) -> struct.Struct:
    return struct.Struct(f">hh{count}{code}")


def _sparsevec(values: Vector) -> bytes:
    some = [(n, value) for n, value in enumerate(values) if value]
    head = struct.pack(">iii", len(values), len(some), 0)
    places, found = [n for n, _ in some], [value for _, value in some]
    return head + struct.pack(f">{len(some)}i{len(some)}f", *places, *found)


def _bit(values: Vector) -> bytes:
    bits = text(values, "bit")
    size = -(-len(bits) // 8)
    padded = int(bits.ljust(size * 8, "0"), 2)
    return struct.pack(">i", len(bits)) + padded.to_bytes(size, "big")


def _parsed(source: str, what: str) -> list[float]:
    try:
        return parse(source)
    except ValueError as error:
        raise AgentdbError(f"{what}: {error}", exit_code=2) from None


def _kind(value: object) -> str:
    names = {"NoneType": "null", "str": "a string", "dict": "an object", "list": "a list",
             "bool": "true or false"}  # fmt: skip
    return names.get(type(value).__name__, "a number")
