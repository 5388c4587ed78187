"""Output: results on stdout in the chosen format, everything else on stderr.

    table   for people; aligned, coloured on a terminal
    json    one array of objects (or one object)
    jsonl   one object a line
    csv     RFC 4180 with a header
    plain   values separated by tabs, no header: for cut and awk
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, TextIO


class Format(str, Enum):
    """The formats of `--format`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    plain = "plain"


Row = Mapping[str, object]

_STYLES = {"error": "1;31", "warning": "1;33", "hint": "1;36", "dim": "2", "ok": "32"}


class Output:
    """Where a command writes.

    Args:
        format: how results are written to stdout.
        quiet: leave out notices (warnings and errors stay).
    """

    def __init__(self, format: Format = Format.table, *, quiet: bool = False) -> None:
        self.format = format
        self.quiet = quiet

    @property
    def for_people(self) -> bool:
        """Whether results are read by a person rather than by a program."""
        return self.format is Format.table

    def rows(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Write a list of rows; every row has the keys `columns`."""
        match self.format:
            case Format.table:
                _write_table(columns, rows)
            case Format.json:
                _write_json([_plain_row(columns, row) for row in rows])
            case Format.jsonl:
                for row in rows:
                    _line(json.dumps(_plain_row(columns, row), ensure_ascii=False))
            case Format.csv:
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows([_text(row[name]) for name in columns] for row in rows)
            case Format.plain:
                for row in rows:
                    _line("\t".join(_one_line(_text(row[name])) for name in columns))

    def record(self, record: Row) -> None:
        """Write one object: a line a field for people, one row or object otherwise."""
        if self.format is Format.json:
            _write_json(_plain_row(tuple(record), record))
        elif self.format is Format.table:
            width = max(map(len, record), default=0)
            for name, value in record.items():
                label = style(name.replace("_", " ").ljust(width), "dim", sys.stdout)
                _line(f"{label}  {_text(value)}".rstrip())
        else:
            self.rows(tuple(record), [record])

    def line(self, text: str = "") -> None:
        """Write a line of a result made for people (format `table` only)."""
        if self.for_people:
            _line(text)

    def notice(self, text: str) -> None:
        """Tell on stderr what is going on, unless `--quiet`."""
        if not self.quiet:
            print(style(text, "dim", sys.stderr), file=sys.stderr, flush=True)

    def warning(self, text: str) -> None:
        """Warn on stderr, also with `--quiet`."""
        print(f"{style('warning:', 'warning', sys.stderr)} {text}", file=sys.stderr, flush=True)


def error(message: str, hint: str | None) -> None:
    """Write an error and what to do about it to stderr."""
    print(f"{style('error:', 'error', sys.stderr)} {message}", file=sys.stderr)
    if hint:
        print(f"{style('hint:', 'hint', sys.stderr)} {hint}", file=sys.stderr)
    sys.stderr.flush()


def style(text: str, name: str, stream: TextIO) -> str:
    """`text` in one of our styles if `stream` is a terminal that shows colours."""
    return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if _coloured(stream) else text


def duration(seconds: float) -> str:
    """A duration as a person reads it: `12 ms`, `3.4 s`, `2 min 05 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _coloured(stream: TextIO) -> bool:
    """Whether to colour: a terminal, and neither NO_COLOR nor a dumb one."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _line(text: str) -> None:
    print(text, file=sys.stdout, flush=True)


def _write_json(value: object) -> None:
    _line(json.dumps(value, indent=2, ensure_ascii=False))


def _write_table(columns: Sequence[str], rows: Iterable[Row]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = list(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        numeric = all(isinstance(row[name], int | float | Decimal | None) for row in rows)
        justify: Any = "right" if numeric and rows else "left"
        table.add_column(name.replace("_", " "), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(row[name])) for name in columns))
    terminal = sys.stdout.isatty()
    # In a pipe there is no width to fit into: a cell is never folded there.
    console = Console(
        file=sys.stdout,
        width=None if terminal else 10_000,
        no_color=not _coloured(sys.stdout),
        highlight=False,
    )
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        _line(line.rstrip())


def _plain_row(columns: Sequence[str], row: Row) -> dict[str, object]:
    return {name: _jsonable(row[name]) for name in columns}


def _jsonable(value: object) -> object:
    """`value` as JSON has it: ISO 8601 times, durations in seconds, exact numbers."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): _jsonable(item) for key, item in value.items()}
        case Sequence():
            return [_jsonable(item) for item in value]
    return str(value)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case timedelta():
            return duration(value.total_seconds())
        case Mapping() | list() | tuple():
            return json.dumps(_jsonable(value), ensure_ascii=False)
    return str(value)


def _one_line(text: str) -> str:
    return text.replace("\t", " ").replace("\n", " ")
