"""Values of rows as text: for people, as lines of csv and plain, as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum

from agentdb_cli.render import UNSAFE, duration

_BREAKS = re.compile(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSAFE = re.compile(f"[{UNSAFE}]")

# json writes no Decimal, and a float would lose digits of it. So a Decimal goes
# through json as a string between NULs, which PostgreSQL has in no value.
_DECIMAL = re.compile(r'"\\u0000([^"\\]+)\\u0000"')


def shown(value: object) -> str:
    """`value` as a person reads it: `yes`, `12 ms`, times to the second."""
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case timedelta():
            return duration(value.total_seconds())
        case None:
            return ""
    return exact(value) or ""


def exact(value: object) -> str | None:
    """`value` as a program reads it, with nothing lost; None stays None.

    Times are ISO 8601, durations are seconds, bytea is hex as in psql.
    """
    match value:
        case None | str():
            return value if not isinstance(value, Enum) else str(value.value)
        case bool():
            return "true" if value else "false"
        case Decimal() if value.is_finite():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return str(value.total_seconds())
        case bytes() | bytearray() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case Mapping() | list() | tuple():
            return to_json(value)
        case Enum():
            return exact(value.value)
    return str(value)


def is_number(value: object) -> bool:
    """Whether a table aligns `value` to the right; None goes with numbers."""
    return isinstance(value, int | float | Decimal | None) and not isinstance(value, bool)


def to_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON; numbers with all their digits, None as null.

    NaN and infinities, which JSON lacks, become strings as in PostgreSQL.
    """
    text = json.dumps(_jsonable(value), indent=indent, ensure_ascii=False)
    text = _DECIMAL.sub(r"\1", text)
    # The same strings to a parser, but harmless when shown on a terminal.
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_line(fields: Sequence[str | None]) -> str:
    """One line of CSV; an empty string is `""` and None is nothing, as in COPY."""
    if list(fields) == [None]:
        return '""'  # readers skip empty lines
    return ",".join("" if field is None else _csv_field(field) for field in fields)


def plain_line(fields: Sequence[str | None]) -> str:
    """One line of fields between tabs; tabs and line breaks in a field become spaces."""
    return "\t".join(_BREAKS.sub(" ", field or "") for field in fields)


def _csv_field(text: str) -> str:
    if text and not re.search(r'[",\r\n]', text):
        return text
    return '"{}"'.format(text.replace('"', '""'))


def _jsonable(value: object) -> object:
    match value:
        case None | bool():
            return value
        case Enum():
            return _jsonable(value.value)
        case int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _not_finite(value)
        case Decimal():
            return f"\0{value:f}\0" if value.is_finite() else _not_finite(float(value))
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): _jsonable(item) for key, item in value.items()}
        case list() | tuple():
            return [_jsonable(item) for item in value]
    return exact(value)


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
