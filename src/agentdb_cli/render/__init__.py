"""Output: results on stdout in the chosen format, everything else on stderr.

table   for people; aligned, coloured on a terminal, a row a line
json    one array of objects (or one object)
jsonl   one object a line
csv     RFC 4180 with a header, but lines end in a newline alone
plain   values separated by tabs, no header: for cut and awk

Values come out of databases that agents write to. A name in one must neither
move the cursor nor change a colour, so people see control characters as escapes
(`\\x1b`). Programs get every value exactly, in UTF-8.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TextIO


class Format(StrEnum):
    """The formats of `--format`."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    plain = "plain"


Row = Mapping[str, object]

_STYLES = {"error": "1;31", "warning": "1;33", "hint": "1;36", "dim": "2", "ok": "32"}
_STYLED = rf"(\x1b\[(?:{'|'.join(_STYLES.values())})m)([^\x1b]*)(\x1b\[0m)"

# Control characters without tab and newline, those that reverse or break lines,
# and halves of characters, which no encoding has.
UNSAFE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_CELL = re.compile(rf"[\t\n{UNSAFE}]")
_IN_MESSAGE = re.compile(rf"[{UNSAFE}]")
_IN_COLOURED_MESSAGE = re.compile(rf"{_STYLED}|[{UNSAFE}]")


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
        # Imported here because --help and most errors need none of it.
        from agentdb_cli.render import values

        match self.format:
            case Format.table:
                _write_table(columns, rows)
            case Format.json:
                found = [{name: row[name] for name in columns} for row in rows]
                _data(values.to_json(found, indent=2))
            case Format.jsonl:
                for row in rows:
                    _data(values.to_json({name: row[name] for name in columns}))
            case Format.csv:
                _data(values.csv_line(columns))
                for row in rows:
                    _data(values.csv_line([values.exact(row[name]) for name in columns]))
            case Format.plain:
                for row in rows:
                    _data(values.plain_line([values.exact(row[name]) for name in columns]))

    def record(self, record: Row) -> None:
        """Write one object: a line a field for people, one row or object otherwise."""
        from agentdb_cli.render import values

        if self.format is Format.json:
            _data(values.to_json(record, indent=2))
        elif self.format is Format.table:
            width = max(map(len, record), default=0)
            for name, value in record.items():
                label = style(name.replace("_", " ").ljust(width), "dim", sys.stdout)
                # Further lines are indented, so that none passes for a field of its own.
                text = values.shown(value).replace("\n", "\n" + " " * (width + 2))
                _line(f"{label}  {_message(text, sys.stdout)}".rstrip())
        else:
            self.rows(tuple(record), [record])

    def line(self, text: str = "") -> None:
        """Write a line of a result made for people (format `table` only)."""
        if self.for_people:
            _line(_message(text, sys.stdout))

    def notice(self, text: str) -> None:
        """Tell on stderr what is going on, unless `--quiet`."""
        if not self.quiet:
            print(style(_message(text, sys.stderr), "dim", sys.stderr), file=sys.stderr, flush=True)

    def warning(self, text: str) -> None:
        """Warn on stderr, also with `--quiet`."""
        mark = style("warning:", "warning", sys.stderr)
        print(f"{mark} {_message(text, sys.stderr)}", file=sys.stderr, flush=True)


def error(message: str, hint: str | None) -> None:
    """Write an error and what to do about it to stderr."""
    print(
        f"{style('error:', 'error', sys.stderr)} {_message(message, sys.stderr)}", file=sys.stderr
    )
    if hint:
        print(f"{style('hint:', 'hint', sys.stderr)} {_message(hint, sys.stderr)}", file=sys.stderr)
    sys.stderr.flush()


def style(text: str, name: str, stream: TextIO) -> str:
    """`text` in one of our styles if `stream` is a terminal that shows colours."""
    return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if _coloured(stream) else text


def duration(seconds: float) -> str:
    """A duration as a person reads it: `12 ms`, `3.4 s`, `2 min 05 s`, `3 h 07 min`."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:  # what would be rounded to 1000 ms is a second, and so on
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
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


def _message(text: str, stream: TextIO) -> str:
    """`text` with everything that a terminal would act upon escaped, but our own styles."""
    if not _coloured(stream):
        return _IN_MESSAGE.sub(_escaped, text)
    return _IN_COLOURED_MESSAGE.sub(
        lambda match: (
            f"{match[1]}{_IN_MESSAGE.sub(_escaped, match[2])}{match[3]}"
            if match[1]
            else _escaped(match)
        ),
        text,
    )


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _line(text: str) -> None:
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # a locale without UTF-8: show what it lacks as escapes
        encoding = sys.stdout.encoding
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def _data(text: str) -> None:
    """Write a line for programs: in UTF-8 whatever the locale; but safe on a terminal."""
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper) and stdout.encoding.lower() != "utf-8":
        stdout.reconfigure(encoding="utf-8")
    _line(_IN_MESSAGE.sub(_escaped, text) if stdout.isatty() else text)


def _write_table(columns: Sequence[str], rows: Iterable[Row]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agentdb_cli.render import values

    rows = list(rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        numbers = bool(rows) and all(values.is_number(row[name]) for row in rows)
        justify: Any = "right" if numbers else "left"
        table.add_column(Text(name.replace("_", " ")), justify=justify, overflow="fold")
    for row in rows:
        # Text, not str: rich would read [red] in a str as markup.
        table.add_row(*(Text(_IN_CELL.sub(_escaped, values.shown(row[name]))) for name in columns))
    console = Console(
        file=sys.stdout,
        # In a pipe there is no width to fit into: a cell is never folded there.
        width=None if sys.stdout.isatty() else 1_000_000,
        # no_color would keep bold and dim.
        color_system="auto" if _coloured(sys.stdout) else None,
        highlight=False,
    )
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().rstrip("\n").split("\n"):
        _line(line.rstrip())
