"""The command line itself: help, wrong usage, unexpected errors, interruption."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest
from conftest import Result

import agentdb_cli
from agentdb_cli.app import COMMANDS, load

Cli = Callable[..., Result]

AGENTDB = [sys.executable, "-m", "agentdb_cli"]


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every command fail with `error` where it looks up its settings."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("agentdb_cli.commands.invocation.resolve", fail)


# --- Help --------------------------------------------------------------------


def test_help_lists_the_commands_by_subject(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    assert done.err == ""
    assert "Administer the PostgreSQL + pgvector databases behind AI-agent systems." in done.out
    for name, entry in COMMANDS.items():
        assert f"─ {entry.panel} ─" in done.out
        assert f"│ {name} " in done.out
        assert entry.help.split()[0] in done.out


@pytest.mark.parametrize("group", [(), ("config",)])
def test_a_group_without_a_command_prints_its_help_once(group: tuple[str, ...], cli: Cli) -> None:
    done = cli(*group)
    assert done.code == 2
    assert done.out.rstrip() == cli(*group, "--help").out.rstrip()
    assert done.err == ""


def test_h_is_short_for_help_everywhere(cli: Cli) -> None:
    for name in COMMANDS:
        assert cli(name, "-h") == cli(name, "--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says_of_itself(name: str) -> None:
    assert (load(name).help or "").split("\n")[0] == COMMANDS[name].help


def test_the_help_of_inspect_makes_none_of_its_commands(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setattr("agentdb_cli.commands.inspect.command_of", made.append)
    assert "vacuum-status" in cli("inspect", "--help").out
    assert made == []


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option: str, cli: Cli) -> None:
    assert cli(option) == Result(0, f"agentdb {agentdb_cli.__version__}\n", "")


# --- Wrong usage: one line and a hint, exit code 2 ---------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            "confg",
            "no such command 'confg'; did you mean 'config'?",
            "agentdb --help lists the commands",
        ),
        ("xyz", "no such command 'xyz'", "agentdb --help lists the commands"),
        ("--nope", "no such option: --nope", "agentdb --help shows the usage"),
        (
            "config shw",
            "no such command 'shw'. Did you mean 'show'?",
            "agentdb config --help shows the usage",
        ),
        (
            "config show --nope",
            "no such option: --nope",
            "agentdb config show --help shows the usage",
        ),
        (
            "config show --quiett",
            "no such option: --quiett (Possible options: --quiet)",
            "agentdb config show --help shows the usage",
        ),
        (
            "config show extra",
            "got unexpected extra argument(s) (extra)",
            "agentdb config show --help shows the usage",
        ),
        (
            "config show --format xml",
            "invalid value for '--format' / '-f': 'xml' is not one of "
            "'table', 'json', 'jsonl', 'csv', 'plain'",
            "agentdb config show --help shows the usage",
        ),
    ],
)
def test_wrong_usage(arguments: str, message: str, hint: str, cli: Cli) -> None:
    assert cli(*arguments.split()) == Result(2, "", f"error: {message}\nhint: {hint}\n")


def test_an_option_without_its_value(cli: Cli) -> None:
    done = cli("config", "show", "--url")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: option '--url' requires an argument\nhint: agentdb ")
    assert done.err.count("\n") == 2


# --- Errors ------------------------------------------------------------------


def test_an_error_has_a_traceback_with_debug_alone(cli: Cli) -> None:
    for arguments in (
        ["config", "path"],
        ["config", "path", "--debug"],
        ["--debug", "config", "path"],
    ):
        done = cli(*arguments)
        assert (done.code, done.out) == (1, "")
        assert ("Traceback" in done.err) == ("--debug" in arguments)
        assert done.err.endswith(
            "error: there is no agentdb.toml here or in a directory above\n"
            "hint: agentdb init writes one\n"
        )


def test_an_error_that_no_command_expected(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division by zero"))
    assert cli("config", "show") == Result(
        1,
        "",
        "error: internal error: ZeroDivisionError: division by zero\n"
        "hint: run it again with --debug for a traceback, and report it\n",
    )
    assert "Traceback" in cli("config", "show", "--debug").err


def test_an_error_of_the_system(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OSError(28, "No space left on device", "/var/x"))
    assert cli("config", "show") == Result(1, "", "error: /var/x: No space left on device\n")


def test_an_error_of_the_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, psycopg.OperationalError("the connection is lost"))
    assert cli("config", "show") == Result(
        1, "", "error: the server says: the connection is lost\n"
    )


def test_ctrl_c(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    done = cli("config", "show")
    assert (done.code, done.out, done.err.strip()) == (130, "", "error: interrupted")


def test_ctrl_c_while_a_server_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/db"
        with subprocess.Popen(
            [*AGENTDB, "migrate", "status", "-d", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            connection, _ = silent.accept()
            assert connection.recv(8)  # its first packet: now it waits for the answer
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
            connection.close()
    assert (process.returncode, out, err.strip()) == (130, "", "error: interrupted")


def test_nobody_reads_on() -> None:
    """As in `agentdb config show | head -c1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*AGENTDB, "config", "show"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


# --- Global options ----------------------------------------------------------


def test_global_options_stand_anywhere_and_the_innermost_wins(cli: Cli) -> None:
    wanted = cli("config", "check", "--format", "json", "-d", "postgresql://u@h/db")
    assert '"database": "postgresql://u@h:5432/db"' in wanted.out
    for arguments in (
        ["-f", "json", "-d", "postgresql://u@h/db", "config", "check"],
        ["-f", "json", "config", "-d", "postgresql://u@h/db", "check"],
        ["config", "-f", "json", "-d", "postgresql://u@h/db", "check"],
        [
            "-f",
            "csv",
            "-d",
            "dbname=x",
            "config",
            "check",
            "-f",
            "json",
            "-d",
            "postgresql://u@h/db",
        ],
        ["-f", "csv", "config", "-f", "json", "check", "-d", "postgresql://u@h/db"],
    ):
        assert cli(*arguments) == wanted
