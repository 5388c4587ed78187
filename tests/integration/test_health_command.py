"""`agentdb health` as a command: formats, thresholds of a pack, advice, and `--watch`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result
from test_health import health, session, silence, thresholds, without_privileges

Cli = Callable[..., Result]


# --- Whether it answers -----------------------------------------------------------


def test_reachable(cli: Cli, database: Database) -> None:
    code, rows = health(cli, database.url, "--only", "reachable")
    row = rows["reachable"]
    assert (code, row["status"], row["unit"]) == (0, "ok", "seconds")
    assert 0 < float(str(row["value"])) < 1
    version = str(database.value("SHOW server_version")).split()[0]
    assert row["detail"] == f"PostgreSQL {version}"
    _, rows = health(cli, database.url, "--skip", "reachable")
    assert "reachable" not in rows


def test_a_server_that_is_reached_slowly(cli: Cli, database: Database) -> None:
    thresholds("reachable", warning=1e-9)
    code, rows = health(cli, database.url, "--only", "reachable")
    row = rows["reachable"]
    assert (code, row["status"], row["source"]) == (1, "warning", "agentdb.toml")


@pytest.mark.parametrize("options", [("--skip", "reachable"), ("--only", "sequences")])
def test_a_server_that_is_not_reached_is_always_said(cli: Cli, options: tuple[str, str]) -> None:
    with silence() as url:
        code, rows = health(cli, url, "--timeout", "0.2", *options)
    assert code == 2
    assert {name: row["status"] for name, row in rows.items()} == {"reachable": "critical"}


# --- Formats ----------------------------------------------------------------------


def test_the_format_may_stand_before_the_command(cli: Cli, database: Database) -> None:
    some = ("--only", "sequences", "-d", database.url)
    (row,) = json.loads(cli("-f", "json", "health", *some).out)
    assert row["check"] == "sequences"
    assert cli("-f", "json", "health", "-f", "nagios", *some) == Result(
        0, "AGENTDB OK - all checks passed | sequences=0;0.75;0.9\n", ""
    )
    assert cli("-f", "json", "health", "-f", "plain", *some).out.startswith("sequences\tok\t")
    assert cli("health", "-f", "table", *some).out.startswith("ok        sequences")


def test_formats_that_do_not_exist(cli: Cli) -> None:
    formats = "'table', 'json', 'jsonl', 'csv', 'plain'"
    assert cli("health", "-f", "xml") == Result(
        2,
        "",
        "error: invalid value for '--format' / '-f': 'xml' is not one of "
        f"{formats}, 'nagios', 'prometheus'\nhint: agentdb health --help shows the usage\n",
    )
    assert cli("config", "show", "-f", "nagios") == Result(
        2,
        "",
        f"error: invalid value for '--format' / '-f': 'nagios' is not one of {formats}\n"
        "hint: agentdb config show --help shows the usage\n",
    )


# --- Thresholds -------------------------------------------------------------------


def test_thresholds_of_a_pack(cli: Cli, database: Database) -> None:
    _, rows = health(cli, database.url, "--pack", "background-agents")
    found = {name: (row["warning"], row["source"]) for name, row in rows.items()}
    pack = "the pack background-agents: "
    assert found["connections"] == (0.8, f"{pack}thresholds.pool_utilization = 0.8")
    assert found["blocked-sessions"] == (0.05, f"{pack}thresholds.blocking_share = 0.05")
    assert found["error-events"] == (0.05, f"{pack}thresholds.error_rate = 0.05")
    assert found["metrics"] == (120, f"{pack}4 * thresholds.metrics_interval_seconds = 30")
    assert not str(found["rollbacks"][1]).startswith(pack)


def test_agentdb_toml_goes_before_the_pack_and_the_pack_before_the_file(
    cli: Cli, database: Database
) -> None:
    only = ("--only", "error-events")
    _, rows = health(cli, database.url, *only)
    source = "the pack agentdb: events.error_rate_warning = 0.05"
    assert rows["error-events"]["source"] == source
    thresholds("error-events", warning=0.2)
    _, rows = health(cli, database.url, *only)
    assert (rows["error-events"]["warning"], rows["error-events"]["source"]) == (
        0.2,
        "agentdb.toml",
    )
    _, rows = health(cli, database.url, "--pack", "gathering", "--only", "connections")
    assert str(rows["connections"]["source"]).startswith("Background Agents' pool target")


# --- Advice -----------------------------------------------------------------------


def test_what_is_unknown_has_its_advice(cli: Cli, database: Database) -> None:
    with without_privileges(database) as url:
        result = cli("health", "-d", url, "--only", "connections")
    assert result.out.splitlines()[:2] == [
        "unknown   connections                    -  not permitted: needs pg_monitor",
        "          do: GRANT pg_monitor TO nobody_in_particular",
    ]


def test_what_kept_a_session_from_being_opened_has_its_advice(cli: Cli, database: Database) -> None:
    url = database.url.replace("/test?", "/nowhere?")
    code, rows = health(cli, url)
    assert (code, rows["reachable"]["status"]) == (3, "unknown")
    shown = cli("health", "-d", url).out
    assert f"\n          do: {rows['reachable']['advice']}\n" in shown


def test_a_locked_table_has_advice_of_its_own(cli: Cli, database: Database) -> None:
    pack = ("--pack", "background-agents")
    assert cli("migrate", "-q", "-d", database.url, *pack).code == 0
    with session(database, "rewrite") as holder:
        holder.execute("LOCK TABLE agents")
        result = cli("health", "-d", database.url, *pack, "--only", "agents-in-error")
    assert result.out.splitlines()[1] == (
        "          do: agentdb inspect locks shows the statement, "
        "agentdb inspect kill PID ends it; see: agentdb agents"
    )


def test_a_chosen_packs_missing_tables_have_advice(cli: Cli, database: Database) -> None:
    _, rows = health(cli, database.url, "--pack", "background-agents")
    assert rows["heartbeats"]["advice"] == (
        "agentdb migrate makes the pack's tables; --pack names another pack"
    )


# --- Repeating --------------------------------------------------------------------


def test_watch(database18: Database, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "agentdb_cli", "health", "-d", database18.url),
        *("--only", "sequences", "--watch", "0.5"),
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        database18.execute("CREATE SEQUENCE s AS smallint")
        database18.execute("SELECT setval('s', 32767)")
        while not (line := process.stdout.readline()).startswith("critical"):
            assert line
        process.send_signal(signal.SIGINT)
        code, said = process.wait(20), process.stderr.read()
    assert (
        lines[0] == "ok        sequences                   0.0%  none that could run out is used\n"
    )
    assert lines[1].startswith("ok: 1 ok in ")
    assert lines[2] == "\n"
    assert line == "critical  sequences                 100.0%  public.s\n"
    assert (code, said) == (130, "error: interrupted\n")


def test_watch_survives_a_server_that_is_not_there(tmp_path: Path) -> None:
    with silence() as url:
        command = [
            *(sys.executable, "-m", "agentdb_cli", "health", "-d", url),
            *("--timeout", "0.2", "--watch", "0.5", "-f", "nagios"),
        ]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            cwd=tmp_path,
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            code = process.wait(20)
    assert lines[0] == lines[1]
    assert lines[0].startswith("AGENTDB CRITICAL - reachable: cannot connect to ")
    assert code == 130


def test_what_never_happened_is_not_said_to_be_long_ago(cli: Cli, database: Database) -> None:
    pack = ("--pack", "background-agents")
    assert cli("migrate", "-q", "-d", database.url, *pack).code == 0
    database.execute("INSERT INTO agents (agent_id, state) VALUES ('a', 'running')")
    result = cli("health", "-d", database.url, *pack, "--only", "metrics")
    assert result.out.splitlines()[0] == (
        "critical  metrics                    never  none within a day"
    )
