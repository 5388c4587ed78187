"""Values of a file as the server's binary forms, for the types that have a simple one.

Forms: `*_recv` in PostgreSQL's src/backend/utils/adt. What is of another type is sent as text,
and the server casts it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from itertools import repeat
from uuid import UUID

from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.values import encoder, flaw, numbers, of_text

Encode = Callable[[object], bytes]

_EPOCH = datetime(2000, 1, 1)
_INTEGERS = {"int2": ("h", 2), "int4": ("i", 4), "int8": ("q", 8)}
KEY_TYPES = {"int2", "int4", "int8", "text", "varchar", "uuid"}
"""Types of a key by which a row of a file finds its row in the table."""


def binary(base: str, zone: tzinfo, *, json_is_text: bool) -> Encode | None:
    """What encodes values of a type, or None if the server has to cast them from text.

    Args:
        base: the type's name in pg_type.
        zone: of timestamps that name none: the session's, as for the server.
        json_is_text: whether a text for a column of JSON is JSON, as in CSV, or a text in it.
    """

    def as_json(value: object) -> bytes:
        return _text(value) if json_is_text and isinstance(value, str) else _json(value)

    simple: dict[str, Encode] = {
        "bool": _bool,
        **{name: _integer(code, size) for name, (code, size) in _INTEGERS.items()},
        "float4": lambda value: struct.pack(">f", _float(value)),
        "float8": lambda value: struct.pack(">d", _float(value)),
        "text": _text,
        "varchar": _text,
        "json": as_json,
        "jsonb": lambda value: b"\x01" + as_json(value),
        "uuid": lambda value: _uuid(value).bytes,
        "date": _date,
        "timestamp": lambda value: _timestamp(value, None),
        "timestamptz": lambda value: _timestamp(value, zone),
    }
    return simple.get(base)


def integers(base: str, values: Iterable[object]) -> list[bytes] | None:
    """A whole column of integers, each with its length before it; None if it is of anything else.

    Raises:
        ValueError: one does not fit.
    """
    if base not in _INTEGERS or {*map(type, values)} != {int}:
        return None
    code, size = _INTEGERS[base]
    try:
        return list(map(struct.Struct(f">i{code}").pack, repeat(size), values))
    except struct.error as error:
        raise ValueError(str(error)) from None


def as_text(value: object) -> bytes:
    """A value as the text of which the server makes its column's type."""
    if isinstance(value, list):
        return _text("{" + ",".join(map(_element, value)) + "}")
    if isinstance(value, dict):
        return _json(value)
    return _text(value)


def view_head(located: Located) -> Callable[[memoryview], bytes] | None:
    """What makes the 8 bytes that stand before big-endian floats in a tuple of COPY.

    NaN and infinities are left to the server, which looks at every value anyway.

    Returns:
        None if the collection's type has another form.
    """
    if located.type != "vector":
        return None
    cosine, dimensions = located.collection.distance == "cosine", located.dimensions

    @cache
    def head(size: int) -> bytes:
        if dimensions is not None and size != 4 * dimensions:
            raise ValueError(str(flaw((1.0,) * (size // 4), "vector", dimensions, "l2")))
        return struct.pack(">ihh", 4 + size, size // 4, 0)

    def of(value: memoryview) -> bytes:
        if cosine and not any(value):
            raise ValueError(str(flaw((0.0,), "vector", None, "cosine")))
        return head(len(value))

    return of


def floats(view: memoryview) -> list[float]:
    """The numbers of a view on big-endian floats."""
    return list(struct.unpack(f">{len(view) // 4}f", view))


def vector(located: Located) -> Encode:
    """What encodes a vector of a collection: a list, its text, or a view on big-endian floats.

    Raises (what it returns):
        ValueError: with what is wrong about it.
    """
    dimensions, distance, kind = located.dimensions, located.collection.distance, located.type
    encode = encoder(kind)

    def from_list(value: list[float]) -> bytes:
        try:
            # Of a faultless vector no value is looked at by itself: that takes its time.
            usual = kind in ("vector", "halfvec") and len(value) == dimensions
            if usual and math.isfinite(sum(value)) and any(value):
                return encode(value)
            wrong = flaw(value, kind, dimensions, distance)
        except OverflowError:
            wrong = flaw(value, kind, dimensions, distance)
        except TypeError:
            numbers(value)
            raise
        if wrong is not None:
            raise ValueError(wrong)
        return encode(value)

    def encoded(value: object) -> bytes:
        if isinstance(value, memoryview):
            return from_list(floats(value))
        if isinstance(value, str):
            value = of_text(value, kind)
        if not isinstance(value, list) or not value:
            numbers(value)
        return from_list(value)  # type: ignore[arg-type]

    return encoded


def key_of(base: str) -> Callable[[object], int | str]:
    """What makes of a file's key the form in which two equal ones are equal."""
    if base == "uuid":
        return lambda value: str(_uuid(value))
    if base.startswith("int"):
        return _whole
    return lambda value: _text(value).decode()


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        if isinstance(value, str):
            return int(value)
    except ValueError:
        pass
    raise ValueError(f"{_shown(value)} is no whole number")


def _integer(code: str, size: int) -> Encode:
    pack = struct.Struct(f">{code}").pack

    def encode(value: object) -> bytes:
        try:
            return pack(value if type(value) is int else _whole(value))
        except struct.error:
            raise ValueError(f"{_shown(value)} does not fit into {size} bytes") from None

    return encode


def _float(value: object) -> float:
    try:
        if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise ValueError(f"{_shown(value)} is no number")


def _bool(value: object) -> bytes:
    known = {True: b"\1", False: b"\0", "true": b"\1", "false": b"\0", "t": b"\1", "f": b"\0"}
    found = known.get(value.lower() if isinstance(value, str) else value)
    if found is None:
        raise ValueError(f"{_shown(value)} is neither true nor false")
    return bytes(found)


def _text(value: object) -> bytes:
    if isinstance(value, bool | dict | list | bytes):
        raise ValueError(f"{_shown(value)} is no text")
    text = value if isinstance(value, str) else str(value)
    if "\0" in text:
        raise ValueError("a text with the character NUL, which PostgreSQL does not store")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text with half of a character (a lone surrogate)") from None


def _json(value: object) -> bytes:
    return _text(json.dumps(value, ensure_ascii=False, default=str))


def _uuid(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        raise ValueError(f"{_shown(value)} is no UUID") from None


def _date(value: object) -> bytes:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{_shown(value)} is no date such as 2026-01-31") from None
    if not isinstance(value, date):
        raise ValueError(f"{_shown(value)} is no date")
    return struct.pack(">i", (date(value.year, value.month, value.day) - _EPOCH.date()).days)


def _timestamp(value: object, zone: tzinfo | None) -> bytes:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"{_shown(value)} is no timestamp such as 2026-01-31T12:00:00Z"
            ) from None
    if not isinstance(value, datetime):
        raise ValueError(f"{_shown(value)} is no timestamp")
    if zone is not None:
        value = (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)
    passed = value.replace(tzinfo=None) - _EPOCH
    microseconds = (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    return struct.pack(">q", microseconds)


def _element(value: object) -> str:
    """An element of an array in the server's text form."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "{" + ",".join(map(_element, value)) + "}"
    text = json.dumps(value) if isinstance(value, dict | bool) else str(value)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
