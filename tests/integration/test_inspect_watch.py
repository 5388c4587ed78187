"""agentdb inspect --watch, as a process of its own: in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Database, Result

Cli = Callable[..., Result]

AGENTDB = [sys.executable, "-m", "agentdb_cli", "inspect"]
HEAD = r"agentdb inspect activity, every 100 ms: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n"


@contextmanager
def watch(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A watch every 100 ms whose output goes into pipes."""
    with subprocess.Popen(
        [*AGENTDB, *arguments, "--watch", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    return out, err


def lines(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdout is not None
    return "".join(process.stdout.readline() for _ in range(count))


def end(database: Database) -> None:
    """End the watch's session."""
    assert database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'agentdb inspect%'"
    ) == [(True,)]


def test_in_a_pipe_one_table_follows_the_other(database: Database) -> None:
    with watch("activity", "-n", "1", "-d", database.url) as process:
        seen = lines(process, 9)
        _, err = interrupted(process)
    table = r" *pid   .*\n─+\n *\d+ .*\n"
    assert re.fullmatch(f"{HEAD}{table}\n{HEAD}{table}", seen)
    assert err.endswith("error: interrupted\n")
    assert "Traceback" not in err


def test_for_programs_each_row_has_its_time(database18: Database) -> None:
    with watch("activity", "-n", "1", "-q", "-f", "jsonl", "-d", database18.url) as process:
        rows = [json.loads(lines(process, 1)) for _ in range(3)]
        assert interrupted(process)[1].strip() == "error: interrupted"
    assert next(iter(rows[0])) == "at"
    assert rows[0]["at"] < rows[1]["at"] < rows[2]["at"]
    assert rows[0]["pid"] == rows[1]["pid"]
    with watch("activity", "-n", "1", "-q", "-f", "csv", "-d", database18.url) as process:
        header, *rows = lines(process, 3).splitlines()
        interrupted(process)
    assert header.startswith("at,pid,")
    assert not [row for row in rows if row.startswith("at,")]


def test_json_is_one_array_and_so_has_an_end(cli: Cli) -> None:
    assert cli("inspect", "activity", "--watch", "1", "-f", "json") == Result(
        2,
        "",
        "error: --watch never ends, and json is one array\nhint: --format jsonl: a row a line\n",
    )


def test_a_lost_connection_is_opened_again(database: Database) -> None:
    with watch("activity", "-n", "1", "-q", "-f", "jsonl", "-d", database.url) as process:
        lines(process, 1)
        end(database)
        assert process.stderr is not None
        assert process.stderr.readline() == (
            "warning: the connection is lost: terminating connection due to administrator "
            "command; trying again every 100 ms\n"
        )
        lines(process, 3)
        interrupted(process)


def test_a_server_that_is_not_there_at_first_ends_it(cli: Cli) -> None:
    done = cli("inspect", "activity", "--watch", "1", "-d", "postgresql://u@127.0.0.1:1/db")
    assert done.code == 1
    assert done.err.startswith("error: ")


def test_on_a_terminal_it_redraws_and_shows_what_fits(database18: Database) -> None:
    Path("agentdb.toml").write_text('inspect.dir = "."')
    Path("mine.sql").write_text("-- title: Mine\nSELECT generate_series(1, 60) AS n")
    pid, terminal = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (16, 200))
        command = [*AGENTDB, "mine", "--watch", "0.1", "-d", database18.url]
        # os.environ is without the size that readline may have put into C's own environment.
        os.execve(command[0], command, {**os.environ, "TERM": "xterm"})
    seen, deadline = b"", time.monotonic() + 30
    while seen.count(b"\x1b[H\x1b[2J") < 3:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    try:
        while more := os.read(terminal, 65536):
            seen += more
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    before, first, second, *_ = seen.decode().split("\x1b[H\x1b[2J")
    assert before == ""
    assert first.startswith("agentdb inspect mine, every 100 ms: ")
    for frame in (first, second):
        assert "the first 10 of 60 rows" in frame
        assert frame.count("\n") <= 15
    assert "Traceback" not in seen.decode()
