"""Output: five formats of the same rows, terminals, pipes, and hostile text."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdb_cli import render
from agentdb_cli.render import Format, Output, duration
from agentdb_cli.render.values import csv_line, plain_line, to_json

BERLIN = timezone(timedelta(hours=2))


class State(Enum):
    """As a command may put one into a row."""

    done = "done"


ROWS: list[dict[str, object]] = [
    {
        "name": "planner",
        "count": 3,
        "cost": Decimal("1.50"),
        "active": True,
        "seen_at": datetime(2024, 5, 6, 7, 8, 9, 123456, BERLIN),
        "took": timedelta(seconds=3, milliseconds=400),
        "details": {"model": "x", "tags": ["a", None]},
    },
    {
        "name": None,
        "count": None,
        "cost": None,
        "active": False,
        "seen_at": None,
        "took": None,
        "details": None,
    },
]
COLUMNS = tuple(ROWS[0])

Shown = Callable[..., str]


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Shown:
    """What `Output(format).rows` writes to a pipe."""

    def write(format: str, rows: Sequence[Mapping[str, object]], *columns: str) -> str:
        capfd.readouterr()
        Output(Format(format)).rows(columns or tuple(rows[0]), rows)
        return capfd.readouterr().out

    return write


def on_a_terminal(program: str, columns: int = 200, **environ: str) -> str:
    """What a program that uses `render` writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        subprocess.run(
            [sys.executable, "-c", f"from agentdb_cli.render import *\n{program}"],
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            env={
                "PATH": os.defpath,
                "TERM": "xterm",
                "LANG": "C.UTF-8",
                "COLUMNS": str(columns),
                **environ,
            },
            check=True,
        )
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux: the other side is closed
        pass
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


# --- The same rows in five formats -------------------------------------------


def test_table(shown: Shown) -> None:
    assert shown("table", ROWS) == (
        "name      count   cost   active   seen at                     took    details\n"
        f"{'─' * 105}\n"
        "planner       3   1.50   yes      2024-05-06 07:08:09+02:00   3.4 s   "
        '{"model": "x", "tags": ["a", null]}\n'
        "                         no\n"
    )


def test_json(shown: Shown) -> None:
    out = shown("json", ROWS)
    assert out.startswith('[\n  {\n    "name": "planner",\n    "count": 3,\n    "cost": 1.50,\n')
    assert json.loads(out) == [
        {
            "name": "planner",
            "count": 3,
            "cost": 1.5,
            "active": True,
            "seen_at": "2024-05-06T07:08:09.123456+02:00",
            "took": 3.4,
            "details": {"model": "x", "tags": ["a", None]},
        },
        {**dict.fromkeys(COLUMNS), "active": False},
    ]


def test_jsonl(shown: Shown) -> None:
    lines = shown("jsonl", ROWS).splitlines()
    assert [json.loads(line) for line in lines] == json.loads(shown("json", ROWS))


def test_csv(shown: Shown) -> None:
    assert shown("csv", ROWS) == (
        "name,count,cost,active,seen_at,took,details\n"
        "planner,3,1.50,true,2024-05-06T07:08:09.123456+02:00,3.4,"
        '"{""model"": ""x"", ""tags"": [""a"", null]}"\n'
        ",,,false,,,\n"
    )


def test_plain(shown: Shown) -> None:
    assert shown("plain", ROWS) == (
        "planner\t3\t1.50\ttrue\t2024-05-06T07:08:09.123456+02:00\t3.4\t"
        '{"model": "x", "tags": ["a", null]}\n'
        "\t\t\tfalse\t\t\t\n"
    )


@pytest.mark.parametrize(
    ("format", "text"),
    [("table", "a\n─\n"), ("json", "[]\n"), ("jsonl", ""), ("csv", "a\n"), ("plain", "")],
)
def test_no_rows(format: str, text: str, shown: Shown) -> None:
    assert shown(format, [], "a") == text


def test_one_object(capfd: pytest.CaptureFixture[str]) -> None:
    record = {"status": "running", "data_directory": Path("/data"), "port": None}
    for format, text in {
        "table": "status          running\ndata directory  /data\nport\n",
        "json": '{\n  "status": "running",\n  "data_directory": "/data",\n  "port": null\n}\n',
        "jsonl": '{"status": "running", "data_directory": "/data", "port": null}\n',
        "csv": "status,data_directory,port\nrunning,/data,\n",
        "plain": "running\t/data\t\n",
    }.items():
        Output(Format(format)).record(record)
        assert capfd.readouterr().out == text


def test_lines_for_people_are_left_out_of_what_programs_read(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for format in Format:
        Output(format).line("3 applied")
    assert capfd.readouterr().out == "3 applied\n"


# --- Values ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "table", "plain", "as_json"),
    [
        (2**63, "9223372036854775808", "9223372036854775808", "9223372036854775808"),
        (-(10**30), f"-1{'0' * 30}", f"-1{'0' * 30}", f"-1{'0' * 30}"),
        (Decimal(10) ** 5000, f"1{'0' * 5000}", f"1{'0' * 5000}", f"1{'0' * 5000}"),
        (Decimal("0.12345678901234567890"), *["0.12345678901234567890"] * 3),
        (Decimal("-12345678901234567.89"), *["-12345678901234567.89"] * 3),
        (Decimal("1E+3"), *["1000"] * 3),
        (Decimal("0E-10"), *["0.0000000000"] * 3),
        (Decimal("NaN"), "NaN", "NaN", '"NaN"'),
        (Decimal("-Infinity"), "-Infinity", "-Infinity", '"-Infinity"'),
        (float("nan"), "nan", "nan", '"NaN"'),
        (float("inf"), "inf", "inf", '"Infinity"'),
        (0.1, "0.1", "0.1", "0.1"),
        (True, "yes", "true", "true"),
        (date(2024, 5, 6), "2024-05-06", "2024-05-06", '"2024-05-06"'),
        (time(7, 8), "07:08:00", "07:08:00", '"07:08:00"'),
        (
            datetime(2024, 5, 6, tzinfo=UTC),
            "2024-05-06 00:00:00+00:00",
            "2024-05-06T00:00:00+00:00",
            '"2024-05-06T00:00:00+00:00"',
        ),
        (timedelta(days=1, seconds=61), "24 h 01 min", "86461.0", "86461.0"),
        (timedelta(seconds=-3), "-3.0 s", "-3.0", "-3.0"),
        ([1, [Decimal("2.50")]], "[1, [2.50]]", "[1, [2.50]]", "[1, [2.50]]"),
        ([], "[]", "[]", "[]"),
        ({}, "{}", "{}", "{}"),
        (b"\x00\xff", "\\x00ff", "\\x00ff", '"\\\\x00ff"'),
        (memoryview(b"a"), "\\x61", "\\x61", '"\\\\x61"'),
        (State.done, "done", "done", '"done"'),
        (Format.csv, "csv", "csv", '"csv"'),
        (Path("/a b"), "/a b", "/a b", '"/a b"'),
        (
            UUID(int=1),
            "00000000-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000001",
            '"00000000-0000-0000-0000-000000000001"',
        ),
        ("naïve — 日本 🚀", "naïve — 日本 🚀", "naïve — 日本 🚀", '"naïve — 日本 🚀"'),
        ("", "", "", '""'),
        (None, "", "", "null"),
    ],
)
def test_values(value: object, table: str, plain: str, as_json: str, shown: Shown) -> None:
    rows = [{"v": value}]
    assert shown("table", rows).split("\n")[2].strip() == table
    assert shown("plain", rows) == f"{plain}\n"
    assert shown("jsonl", rows) == f'{{"v": {as_json}}}\n'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.42, "3.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (11_220, "3 h 07 min"),
        (-0.5, "-500 ms"),
    ],
)
def test_durations_as_a_person_reads_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_json_reads_back_exactly(value: object) -> None:
    text = to_json(value)
    assert json.loads(text) == value
    assert "\x9b" not in text


@settings(deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1)))
def test_csv_reads_back_exactly(rows: list[list[str]]) -> None:
    written = "".join(f"{csv_line(row)}\n" for row in rows)
    assert list(csv.reader(io.StringIO(written, newline=""))) == rows


@settings(deadline=None)
@given(st.lists(st.text(), min_size=1))
def test_plain_has_one_line_a_row_and_one_tab_between_fields(fields: list[str]) -> None:
    line = plain_line(fields)
    assert line.count("\t") == len(fields) - 1
    assert len(f"{line}|".splitlines()) == 1


def test_csv_tells_an_empty_text_from_none() -> None:
    assert csv_line(["", None, "a"]) == '"",,a'
    assert csv_line([None]) == '""'  # an empty line would be no row to most readers


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "plain"])
def test_programs_get_utf8_in_every_locale(format: str) -> None:
    program = (
        f"from agentdb_cli.render import *\nOutput(Format.{format}).rows(['a'], [{{'a': 'é日'}}])"
    )
    for encoding in ("ascii", "latin-1"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        )
        assert "é日".encode() in done.stdout


def test_people_without_utf8_get_escapes() -> None:
    program = (
        "from agentdb_cli.render import *\nOutput().rows(['a'], [{'a': 'é'}]); Output().line('…')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"a\n-\n\\xe9\n\\u2026\n"


# --- Hostile text ------------------------------------------------------------

MALICIOUS = "\x1b[2J\x1b[31magent\x07\r\nok  7\t\x9b1m\u202egpj\x7f\udcff"
HARMLESS = r"\x1b[2J\x1b[31magent\x07\r\nok  7\t\x9b1m\u202egpj\x7f\udcff"


def test_a_table_shows_control_characters_as_escapes_in_one_line(shown: Shown) -> None:
    assert shown("table", [{"agent": MALICIOUS}]).split("\n")[2:] == [HARMLESS, ""]


def test_a_terminal_gets_no_control_characters_from_data() -> None:
    show = f"Output(Format.{{}}).rows(['agent'], [{{{{'agent': {MALICIOUS!r}}}}}])"
    for format in Format:
        written = on_a_terminal(show.format(format), TERM="dumb")
        assert "\x1b" not in written
        assert "\x9b" not in written
        assert "\u202e" not in written
        assert "\r" not in written


def test_messages_show_control_characters_as_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.line(MALICIOUS)
    output.record({"agent": MALICIOUS})
    output.notice(MALICIOUS)
    output.warning(MALICIOUS)
    render.error(MALICIOUS, MALICIOUS)
    out, err = capfd.readouterr()
    # A message may have several lines and tabs; the rest is harmless.
    kept = HARMLESS.replace(r"\n", "\n").replace(r"\t", "\t")
    indented = kept.replace("\n", "\n       ")
    assert out == f"{kept}\nagent  {indented}\n"
    assert err == f"{kept}\nwarning: {kept}\nerror: {kept}\nhint: {kept}\n"


def test_a_terminal_shows_our_own_styles_and_no_others() -> None:
    show = "Output().line(style('done', 'ok', sys.stdout) + ' \\x1b[31mred \\x1b[1;31mopen')"
    assert on_a_terminal(show) == "\x1b[32mdone\x1b[0m \\x1b[31mred \\x1b[1;31mopen\n"


def test_markup_is_shown_literally(shown: Shown) -> None:
    rows = [{"[bold]name": "[red]x[/red] :rocket: [link=http://h]y"}]
    assert shown("table", rows).split("\n")[::2] == [
        "[bold]name",
        "[red]x[/red] :rocket: [link=http://h]y",
    ]


def test_wide_characters_are_aligned(shown: Shown) -> None:
    rows = [{"name": "日本", "n": "x"}, {"name": "abc", "n": "x"}]
    assert shown("table", rows).split("\n")[2:4] == ["日本   x", "abc    x"]


def test_numbers_are_aligned_to_the_right_and_booleans_are_no_numbers(shown: Shown) -> None:
    rows = [{"n": 1, "b": True}, {"n": Decimal("100"), "b": None}, {"n": None, "b": None}]
    assert shown("table", rows).split("\n")[2:5] == ["  1   yes", "100", ""]


# --- Terminals and pipes -----------------------------------------------------

LONG = "Output().rows(['text'], [{'text': 'word ' * 40_000}])"


def test_a_pipe_is_neither_folded_nor_coloured() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"from agentdb_cli.render import *\n{LONG}; error('x', 'y')"],
        env={"PYTHONIOENCODING": "utf-8", "COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "xterm"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[2:] == ["word " * 39_999 + "word", ""]
    assert done.stderr == "error: x\nhint: y\n"


def test_a_terminal_is_folded_to_its_width_with_nothing_left_out() -> None:
    written = on_a_terminal("Output().rows(['id'], [{'id': '0123456789' * 5}])", columns=20)
    assert written.split("\n")[2:5] == [
        "01234567890123456789",
        "01234567890123456789",
        "0123456789",
    ]


def test_a_terminal_is_coloured() -> None:
    written = on_a_terminal("Output().rows(['a'], []); error('x', 'y')")
    assert written.startswith("\x1b[1ma\x1b[0m\n")
    assert written.endswith("\x1b[1;31merror:\x1b[0m x\n\x1b[1;36mhint:\x1b[0m y\n")


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_switched_off(environ: dict[str, str]) -> None:
    show = (
        "Output().rows(['a'], [{'a': 1}]); Output().record({'b': 2});"
        "Output().notice('n'); error('x', 'y')"
    )
    assert on_a_terminal(show, **environ) == "a\n─\n1\nb  2\nn\nerror: x\nhint: y\n"


def test_an_empty_no_color_switches_nothing_off() -> None:
    assert "\x1b[" in on_a_terminal("error('x', None)", NO_COLOR="")


def test_quiet_leaves_out_notices_but_no_warnings(capfd: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        output = Output(quiet=quiet)
        output.notice("starting")
        output.warning("low on space")
    assert capfd.readouterr().err == ("starting\nwarning: low on space\nwarning: low on space\n")
