"""Inspections in a directory of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

Cli = Callable[..., Result]

MINE = """-- title: Numbers [all] of mine
-- advice: count them
SELECT n, -n AS minus FROM generate_series(1, 60) AS n;
"""


def write(name: str, text: str) -> Path:
    path = Path("db/inspect") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.absolute()


@pytest.fixture(autouse=True)
def own() -> Path:
    """A settings file that names a directory with one inspection."""
    Path("agentdb.toml").write_text('[inspect]\ndir = "db/inspect"\n')
    return write("my_numbers.sql", MINE)


def listed(cli: Cli, *arguments: str) -> dict[str, dict[str, str]]:
    done = cli("inspect", "--list", "-f", "json", *arguments)
    assert done.code == 0, done.err
    return {row["name"]: row for row in json.loads(done.out)}


def helped(cli: Cli, *arguments: str) -> str:
    done = cli(*arguments)
    assert (done.code, done.err) == (0, "")
    return " ".join(done.out.replace("│", " ").split())


def test_takes_the_options_of_ours(cli: Cli, database: Database) -> None:
    def run(*arguments: str) -> Result:
        return cli("inspect", "my-numbers", "-d", database.url, "-f", "plain", *arguments)

    assert run("-n", "2") == Result(
        0, "1\t-1\n2\t-2\n", "the first 2 of 60 rows; --limit shows more\ncount them\n"
    )
    assert run("--limit", "1", "--sort", "minus", "-q") == Result(0, "60\t-60\n", "")
    assert len(run("-q").out.splitlines()) == 50


def test_is_listed_with_where_it_comes_from(cli: Cli) -> None:
    assert listed(cli)["my-numbers"] == {
        "name": "my-numbers",
        "title": "Numbers [all] of mine",
        "needs": "",
        "source": "db/inspect/my_numbers.sql",
    }
    assert listed(cli)["bloat"]["source"] == "agentdb"
    text = helped(cli, "inspect", "--help")
    assert "my-numbers Numbers [all] of mine" in text.partition("Inspections of your own")[2]


def test_its_help_says_what_it_is(cli: Cli) -> None:
    assert "Numbers [all] of mine count them ╭─ Options" in helped(
        cli, "inspect", "my-numbers", "--help"
    )


def test_goes_before_ours_of_the_same_name(cli: Cli, database: Database) -> None:
    write("table_sizes.sql", "-- title: Our sizes\nSELECT 7 AS size")
    assert listed(cli)["table-sizes"] == {
        "name": "table-sizes",
        "title": "Our sizes (in place of agentdb's)",
        "needs": "",
        "source": "db/inspect/table_sizes.sql",
    }
    assert cli("inspect", "table-sizes", "-d", database.url, "-f", "plain") == Result(0, "7\n", "")


@pytest.mark.parametrize(
    "place",
    [
        ("--config", "{}", "inspect", "my-numbers"),
        ("inspect", "--config", "{}", "my-numbers"),
        ("inspect", "my-numbers", "--config", "{}"),
        ("inspect", "my-numbers", "-n", "1", "--sort", "n", "-q", "--config={}"),
    ],
)
def test_the_settings_file_may_be_named_anywhere(
    cli: Cli, database18: Database, place: tuple[str, ...], clean_environment: pytest.MonkeyPatch
) -> None:
    path = str(Path("agentdb.toml").absolute())
    Path("elsewhere").mkdir()
    clean_environment.chdir("elsewhere")
    Path("agentdb.toml").touch()
    command = [part.format(path) for part in place]
    assert cli(*command, "-d", database18.url, "-f", "plain", "-n", "1", "-q").out == "1\t-1\n"
    assert "Numbers [all] of mine" in helped(cli, *command, "--help")


def test_an_environment_has_a_directory_of_its_own(cli: Cli, database18: Database) -> None:
    Path("agentdb.toml").write_text(
        f'[environments.test]\nurl = "{database18.url}"\ninspect.dir = "db/inspect"\n'
    )
    for command in (("-e", "test", "inspect", "my-numbers"), ("inspect", "my-numbers", "-etest")):
        assert cli(*command, "-f", "plain", "-n", "1", "-q").out == "1\t-1\n"
    assert "my-numbers" in listed(cli, "--env", "test")
    assert "my-numbers" not in listed(cli)


def test_an_unknown_one_says_how_a_directory_is_named(cli: Cli, own: Path) -> None:
    assert cli("inspect", "my-nmbers", "extra", "--nope") == Result(
        2,
        "",
        "error: there is no inspection 'my-nmbers'; did you mean 'my-numbers'?\n"
        f"hint: agentdb inspect --list shows all; one of your own is NAME.sql in {own.parent}\n",
    )
    Path("agentdb.toml").unlink()
    assert cli("inspect", "my-numbers") == Result(
        2,
        "",
        "error: there is no inspection 'my-numbers'\nhint: agentdb inspect --list shows all; "
        "one of your own is NAME.sql in the directory that [inspect] dir in agentdb.toml names\n",
    )


MALFORMED = {
    "SELECT 1": ("{} has no '-- title:' line", "write one at its top"),
    "-- title:\nSELECT 1": ("{} has no '-- title:' line", "write one at its top"),
    "-- title: x\n-- SELECT 1;\n": ("{} has no statement", "write a SELECT below its header"),
    "-- title: x\n-- requires: luck\nSELECT 1": (
        "{}: 'requires: luck' means nothing",
        "write server >= N, extension NAME or role NAME",
    ),
    "-- title: x\n-- names: people\nSELECT 1": (
        "{}: 'names: people' means nothing",
        "write names: advisory_locks",
    ),
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_file_breaks_no_other(cli: Cli, database18: Database, text: str) -> None:
    path = write("broken.sql", text)
    message, hint = MALFORMED[text]
    message = message.format(path)
    assert cli("inspect", "broken") == Result(2, "", f"error: {message}\nhint: {hint}\n")
    assert cli("inspect", "my-numbers", "-d", database18.url, "-q").code == 0
    assert cli("inspect", "blocking", "-d", database18.url, "-q").code == 0
    done = cli("inspect", "--list")
    assert (done.code, done.err) == (0, f"warning: {message}\n")
    assert "my-numbers" in done.out
    text = helped(cli, "inspect", "--help")
    assert "my-numbers Numbers [all] of mine" in text
    assert "bloat-exact" in text
    assert "broken" in text


def test_a_file_with_the_name_of_a_command_is_not_reached(cli: Cli) -> None:
    path = write("kill.sql", MINE)
    done = cli("inspect", "--list")
    assert done.err == (
        f"warning: {path} cannot be run: agentdb inspect kill is a command; rename it\n"
    )
    assert "The process id" in helped(cli, "inspect", "kill", "--help")


def test_a_directory_that_is_not_there(cli: Cli, database18: Database) -> None:
    Path("agentdb.toml").write_text('[inspect]\ndir = "nowhere"\n')
    message = f"there is no directory {Path('nowhere').absolute()} for inspections"
    hint = "hint: create it, or correct dir under [inspect] in agentdb.toml\n"
    for arguments in (["my-numbers"], ["--list"]):
        assert cli("inspect", *arguments) == Result(2, "", f"error: {message}\n{hint}")
    # At night, ours have to run all the same.
    done = cli("inspect", "blocking", "-d", database18.url, "-q")
    assert (done.code, done.err) == (0, f"warning: {message}\n")
    done = cli("inspect", "--help")
    assert (done.code, done.err) == (0, f"warning: {message}\n")
    assert "blocking" in done.out


# --- What it may do ---------------------------------------------------------------


def failed(cli: Cli, database: Database, text: str) -> str:
    path = write("mine.sql", f"-- title: Mine\n{text}")
    done = cli("inspect", "mine", "-d", database.url)
    assert (done.code, done.out) == (1, "")
    return done.err.replace(str(path), "FILE")


def test_only_reads(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    database.execute("INSERT INTO t VALUES (1)")
    assert failed(cli, database, "DELETE FROM t RETURNING id") == (
        "error: FILE: cannot execute DELETE in a read-only transaction (25006)\n"
    )
    assert failed(cli, database, "SET TRANSACTION READ WRITE; DELETE FROM t RETURNING id") == (
        "error: FILE: transaction read-write mode must be set before any query (25001)\n"
    )
    assert database.value("SELECT count(*) FROM t") == 1


def test_an_error_names_file_and_line(cli: Cli, database: Database) -> None:
    assert failed(cli, database, "\nSELECT 1,\n  nope FROM pg_class") == (
        'error: FILE, line 4: column "nope" does not exist (42703)\n'
    )
    assert failed(cli, database, "SET work_mem = '1MB'") == (
        "error: FILE returns no rows: it must end in a SELECT\n"
    )


def test_does_not_run_for_ever(cli: Cli, database: Database) -> None:
    timeout = "SELECT current_setting('statement_timeout') AS t, current_setting('lock_timeout')"
    write("mine.sql", f"-- title: Mine\n{timeout}")

    def run(url: str = database.url) -> Result:
        return cli("inspect", "mine", "-d", url, "-f", "plain")

    assert run().out == "1min\t5s\n"
    assert run(f"{database.url}&options=-c%20statement_timeout%3D5min").out == "5min\t5s\n"
    Path("agentdb.toml").write_text(
        '[inspect]\ndir = "db/inspect"\n[connection]\nstatement_timeout = "200ms"\n'
    )
    assert run().out == "200ms\t5s\n"
    write("mine.sql", "-- title: Mine\nSELECT pg_sleep(60)")
    assert run() == Result(
        1,
        "",
        "error: mine: canceling statement due to statement timeout\n"
        "hint: statement_timeout under [connection] in agentdb.toml sets how long it may run; "
        "without, 60 s\n",
    )


def test_names_for_advisory_locks_want_their_columns(cli: Cli, database18: Database) -> None:
    write(
        "mine.sql", "-- title: Mine\n-- names: advisory_locks\nSELECT 1 AS namespace, 2 AS action"
    )
    assert cli("inspect", "mine", "-d", database18.url, "-f", "plain") == Result(
        0,
        "1\t2\n",
        "warning: names for advisory locks want the columns database, namespace_name, "
        "action_name as well\n",
    )
