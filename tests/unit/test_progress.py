"""Progress: bars on a terminal, lines in a log, nothing with --quiet."""

from __future__ import annotations

import io
import os
import sys

import pytest

from agentdb_cli.render import Output
from agentdb_cli.render.progress import Progress, size


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_after_5_seconds_and_then_ever_more_rarely(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = []
    with Progress(Output(), clock) as progress:
        progress.start("events")
        for second in range(300):
            clock.now = float(second)
            progress.step("events", "scanning heap", second, 400)
            if said := capsys.readouterr().err:
                lines.append((second, said))
        progress.finish("events")
    assert [second for second, _ in lines] == [5, 15, 35, 75, 135, 195, 255]
    assert lines[0][1] == "events: scanning heap, 1%, 5.0 s\n"
    assert lines[3][1] == "events: scanning heap, 19%, 1 min 15 s\n"


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(Output(), clock) as progress:
        progress.start("events")
        clock.now = 4.9
        progress.step("events", "scanning heap", 9, 10)
        progress.finish("events")
        clock.now = 100
        progress.step("events", "is over", 10, 10)
    assert capsys.readouterr() == ("", "")


def test_a_share_needs_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(Output(), clock) as progress:
        progress.start("x")
        clock.now = 6
        progress.step("x", "truncating heap")
    assert capsys.readouterr().err == "x: truncating heap, 6.0 s\n"


def test_every_piece_of_work_has_its_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(Output(), clock) as progress:
        progress.start("a")
        clock.now = 4
        progress.start("b")
        clock.now = 6
        progress.step("a", "x")
        progress.step("b", "x")
        assert capsys.readouterr().err == "a: x, 6.0 s\n"
        clock.now = 9
        progress.step("b", "x")
        assert capsys.readouterr().err == "b: x, 5.0 s\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_with_quiet(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    clock = Clock()
    with Progress(Output(quiet=True), clock) as progress:
        progress.start("events")
        clock.now = 60
        progress.step("events", "scanning heap", 1, 2)
    assert stderr.getvalue() == ""


def shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, name: str, phase: str) -> str:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stderr, stdout = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "stdout", stdout)
    with Progress(Output()) as progress:
        progress.start(name)
        progress.step(name, phase, 3, 4)
        assert progress._bars is not None
        progress._bars.refresh()
        print("result")
    assert stdout.getvalue() == "result\n"
    return stderr.getvalue()


def test_a_terminal_gets_a_bar_on_stderr_and_stdout_stays_clean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = shown_on_a_terminal(monkeypatch, "public.events", "scanning heap")
    assert "public.events" in shown
    assert "75%" in shown
    assert "scanning heap" in shown


def test_a_name_is_neither_markup_nor_a_command_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = shown_on_a_terminal(monkeypatch, "[red]x\x1b[5m", "waiting for [bold]\x07")
    assert "[red]x\\x1b[5m" in shown
    assert "[bold]\\x07" in shown
    assert "\x07" not in shown


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    clock = Clock()
    with Progress(Output(), clock) as progress:
        progress.start("x")
        clock.now = 5
        progress.step("x", "scanning heap", 1, 2)
    assert stderr.getvalue() == "x: scanning heap, 50%, 5.0 s" + os.linesep


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 kB"),
        (8192, "8 kB"),
        (1536, "1.5 kB"),
        (1023 * 1024, "1 MB"),
        (20 * 1024**2, "20 MB"),
        (int(1.4 * 1024**3), "1.4 GB"),
        (3 * 1024**5, "3072 TB"),
        (-1536, "-1.5 kB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text
