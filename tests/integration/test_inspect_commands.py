"""agentdb inspect: the commands around the queries."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from conftest import Database, Result
from inspecting import inspect, subcommands

from agentdb_cli import app
from agentdb_cli.monitoring import checks, inspections

Cli = Callable[..., Result]


def test_list_has_every_inspection(cli: Cli) -> None:
    listed = cli("inspect", "--list", "-f", "plain").out.splitlines()
    assert [line.split("\t")[0] for line in listed] == list(inspections.available())


def commands() -> set[str]:
    found = set()
    for name in app.COMMANDS:
        command = app.load(name)
        found |= {name} | {f"{name} {child}" for child in subcommands(command)}
    return found


def advice() -> list[tuple[str, str]]:
    texts = [(i.name, i.advice) for i in inspections.available().values()]
    return texts + [(c.name, f"{c.advice} {c.dig}") for c in checks.available().values()]


@pytest.mark.parametrize(("name", "text"), advice())
def test_advice_names_commands_that_there_are(name: str, text: str) -> None:
    for words in re.findall(r"agentdb ([a-z-]+(?: [a-z-]+)?)", text):
        first = words.split()[0]
        assert words in commands() or (first in commands() and first not in ("inspect", "migrate"))


def test_sort_and_limit(cli: Cli, database: Database) -> None:
    for size in (1, 3, 2):
        database.execute(f"CREATE TABLE t{size} AS SELECT generate_series(1, {size}0000) AS id")
    rows = inspect(cli, database, "table-sizes", "--sort", "table_size", "--limit", "2")
    assert [row["relation"] for row in rows] == ["public.t1", "public.t2"]
    rows = inspect(cli, database, "table-sizes", "--sort", "table_size desc", "--limit", "1")
    assert [row["relation"] for row in rows] == ["public.t3"]


def test_an_unknown_column_names_the_nearest(cli: Cli, database18: Database) -> None:
    result = cli("inspect", "table-sizes", "-d", database18.url, "--sort", "tabel_size")
    assert result.code == 1
    assert result.err.startswith(
        "error: there is no column 'tabel_size'; did you mean 'table_size'?\nhint: columns: "
    )


class TestEnding:
    def test_cancel_shows_the_session_and_ends_its_statement(
        self, cli: Cli, database: Database
    ) -> None:
        with psycopg.connect(f"{database.url}&application_name=stuck") as other:
            pid = other.info.backend_pid
            other.execute("SELECT 1")
            result = cli("inspect", "cancel", pid, "--yes", "-d", database.url)
            assert result.code == 0
            assert re.search(r"application +stuck\n", result.out)
            assert re.search(r"query +SELECT 1\n", result.out)
            assert result.err == f"cancelled pid {pid}\n"

    def test_kill_ends_it(self, cli: Cli, database: Database) -> None:
        with psycopg.connect(database.url) as other:
            pid = other.info.backend_pid
            assert cli("inspect", "kill", pid, "--yes", "-d", database.url).code == 0
            with pytest.raises(psycopg.OperationalError):
                other.execute("SELECT 1")

    def test_dry_run_and_nobody_to_ask(self, cli: Cli, database18: Database) -> None:
        with psycopg.connect(database18.url) as other:
            pid = other.info.backend_pid
            dry = cli("inspect", "kill", pid, "--dry-run", "-d", database18.url)
            assert (dry.code, dry.err) == (0, "nothing was done\n")
            unasked = cli("inspect", "kill", pid, "-d", database18.url)
            assert (unasked.code, unasked.err) == (
                2,
                "error: nobody can be asked here\nhint: --yes goes on without a question\n",
            )
            assert other.execute("SELECT 1").fetchone() == (1,)

    def test_no_such_session(self, cli: Cli, database18: Database) -> None:
        assert cli("inspect", "cancel", 4194304, "-d", database18.url) == Result(
            1,
            "",
            "error: no session has the pid 4194304; it may have ended\n"
            "hint: agentdb inspect activity lists the sessions\n",
        )
