"""agentdb migrate new: the number, the name, the template, and what it must not touch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

Cli = Callable[..., Result]


@pytest.fixture
def directory() -> Path:
    """An empty directory of migrations."""
    path = Path("migrations")
    path.mkdir()
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_the_first_one(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "new", "add_users", "--dir", directory)
    assert result == Result(
        0,
        "wrote  migrations/001_add_users.sql\nwrote  migrations/001_add_users.down.sql\n",
        "",
    )
    assert names(directory) == ["001_add_users.down.sql", "001_add_users.sql"]


@pytest.mark.parametrize(
    ("last", "following"),
    [
        ("001_a.sql", "002_x.sql"),
        ("7_a.sql", "8_x.sql"),
        ("0099_a.sql", "0100_x.sql"),
        ("999_a.sql", "1000_x.sql"),
        ("005-a.sql", "006-x.sql"),
        ("20269931000000_a.sql", "20269931000001_x.sql"),  # no time: there is no month 99
    ],
)
def test_the_next_number_in_the_width_in_use(
    cli: Cli, directory: Path, last: str, following: str
) -> None:
    (directory / last).write_text("SELECT 1;\n")
    assert cli("migrate", "new", "x", "--dir", directory).code == 0
    assert following in names(directory)


def test_times_where_the_directory_numbers_by_time(cli: Cli, directory: Path) -> None:
    (directory / "20240102030405_a.sql").write_text("SELECT 1;\n")
    result = cli("migrate", "new", "x", "--dir", directory, "-f", "plain")
    match = re.fullmatch(r"migrations/(20\d{12})_x\.sql", result.out.splitlines()[0])
    assert match
    assert int(match[1]) > 20240102030405


def test_a_time_to_come_is_followed_by_the_next_number(cli: Cli, directory: Path) -> None:
    (directory / "29991231235958_a.sql").write_text("SELECT 1;\n")
    cli("migrate", "new", "x", "--dir", directory)
    assert "29991231235959_x.sql" in names(directory)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Add Users", "add_users"),
        ("../../etc/passwd", "etc_passwd"),
        ("Größe der Straße", "grosse_der_strasse"),
        ("a.down", "a_down"),
        ("--x--", "x"),
        ("x\n; DROP TABLE y", "x_drop_table_y"),
    ],
)
def test_names_are_made_safe(cli: Cli, directory: Path, name: str, safe: str) -> None:
    assert cli("migrate", "new", "--dir", directory, "--", name).code == 0
    assert names(directory) == [f"001_{safe}.down.sql", f"001_{safe}.sql"]


def test_names_that_cannot_be(cli: Cli, directory: Path) -> None:
    nothing = cli("migrate", "new", "!?", "--dir", directory)
    assert nothing.code == 2
    assert nothing.err.startswith(
        "error: a migration's name needs a letter or a digit, '!?' has none\n"
    )
    long = cli("migrate", "new", "x" * 101, "--dir", directory)
    assert long.err.startswith("error: the name has 101 characters, the limit is 100\n")
    assert names(directory) == []


def test_the_template_lints_clean_and_is_not_applied(
    cli: Cli, directory: Path, database18: Database
) -> None:
    cli("migrate", "new", "x", "--dir", directory)
    assert cli("migrate", "lint", *sorted(directory.iterdir())).code == 0
    result = cli("migrate", "--dir", directory, "-d", database18.url)
    assert result.code == 1
    assert result.err.startswith("error: migrations/001_x.sql holds no SQL statement\n")


def test_dry_run_writes_nothing(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "new", "x", "--dir", directory, "--dry-run", "-f", "json")
    assert json.loads(result.out) == [
        {"file": "migrations/001_x.sql"},
        {"file": "migrations/001_x.down.sql"},
    ]
    assert names(directory) == []


def test_no_file_is_overwritten(cli: Cli, directory: Path) -> None:
    (directory / "001_x.down.sql").write_text("mine")
    result = cli("migrate", "new", "x", "--dir", directory)
    assert result.code == 1
    assert result.err.startswith("error: migrations/001_x.down.sql exists already\n")
    assert names(directory) == ["001_x.down.sql"]
    assert (directory / "001_x.down.sql").read_text() == "mine"


def test_the_directory_of_the_settings(cli: Cli, directory: Path) -> None:
    refused = cli("migrate", "new", "x")
    assert refused.code == 2
    assert refused.err == (
        "error: there is no directory of migrations of your own\n"
        "hint: name it with --dir, or in agentdb.toml: dir in [migrations]\n"
    )
    Path("agentdb.toml").write_text('[migrations]\ndir = "migrations"\n')
    assert cli("migrate", "new", "x").code == 0
    assert len(names(directory)) == 2


def test_bad_directories(cli: Cli, directory: Path) -> None:
    missing = cli("migrate", "new", "x", "--dir", "nowhere")
    assert missing.err.startswith("error: there is no directory nowhere\n")
    Path("file").write_text("")
    assert cli("migrate", "new", "x", "--dir", "file").err.startswith(
        "error: cannot read the directory file: Not a directory\n"
    )
    (directory / f"{2**63 - 1}_last.sql").write_text("SELECT 1;\n")
    last = cli("migrate", "new", "x", "--dir", directory)
    assert last.err.startswith(
        f"error: migrations/{2**63 - 1}_last.sql has the largest number that there is\n"
    )
    assert len(names(directory)) == 1
