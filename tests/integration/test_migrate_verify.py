"""agentdb migrate verify: files against history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

Cli = Callable[..., Result]


@pytest.fixture
def applied(cli: Cli, database: Database) -> tuple[object, ...]:
    """Migrations 10, 20 and 30, applied; the arguments that name them."""
    Path("m").mkdir()
    for number in (10, 20, 30):
        Path(f"m/{number:03d}_x.sql").write_text(f"CREATE TABLE t{number} (id int);\n")
    args = ("--dir", "m", "-d", database.url)
    assert cli("migrate", *args).code == 0
    return args


def test_all_is_well(cli: Cli, applied: tuple[object, ...]) -> None:
    result = cli("migrate", "verify", *applied)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("3 applied and unchanged, 0 pending, database postgresql://")


def test_what_is_pending_is_no_fault(cli: Cli, applied: tuple[object, ...]) -> None:
    Path("m/040_x.sql").write_text("SELECT 1;\n")
    result = cli("migrate", "verify", *applied)
    assert result.code == 0
    assert result.out.startswith("3 applied and unchanged, 1 pending, ")
    assert cli("migrate", "status", "--check", *applied).code == 1


def test_each_fault_is_named(cli: Cli, applied: tuple[object, ...]) -> None:
    before = hashlib.sha256(b"CREATE TABLE t10 (id int);\n").hexdigest()[:12]
    after = hashlib.sha256(b"SELECT 1;\n").hexdigest()[:12]
    Path("m/010_x.sql").write_text("SELECT 1;\n")
    Path("m/015_late.sql").write_text("SELECT 1;\n")
    Path("m/020_x.sql").unlink()
    result = cli("migrate", "verify", *applied, "-f", "json")
    assert result.code == 1
    assert json.loads(result.out) == [
        {
            "version": 10,
            "migration": "010_x",
            "state": "changed",
            "detail": f"applied with SHA-256 {before}…, the file has {after}…",
        },
        {
            "version": 15,
            "migration": "015_late",
            "state": "out of order",
            "detail": "not applied, though 030_x is",
        },
        {
            "version": 20,
            "migration": "020_x",
            "state": "missing",
            "detail": "applied, without a file",
        },
    ]
    assert result.err.startswith("error: 3 migrations contradict the history, database postgres")


def test_a_newer_release_has_been_here(cli: Cli, applied: tuple[object, ...]) -> None:
    Path("m/030_x.sql").unlink()
    result = cli("migrate", "verify", *applied)
    assert result.code == 1
    assert "applied by a newer release, which has more files" in result.out
    assert result.err.startswith("error: 1 migration contradicts the history, ")


def test_line_ends_and_byte_order_marks_change_nothing(
    cli: Cli, applied: tuple[object, ...]
) -> None:
    Path("m/010_x.sql").write_bytes(b"\xef\xbb\xbfCREATE TABLE t10 (id int);\r\n")
    assert cli("migrate", "verify", *applied).code == 0


def test_files_without_a_number_are_named(cli: Cli, applied: tuple[object, ...]) -> None:
    Path("m/notes.sql").write_text("SELECT 1;\n")
    result = cli("migrate", "verify", *applied)
    assert (result.code, result.err) == (
        0, "warning: without a number, and so ignored: notes.sql\n"
    )  # fmt: skip


def test_a_database_without_history(cli: Cli, database18: Database) -> None:
    Path("m").mkdir()
    Path("m/001_x.sql").write_text("SELECT 1;\n")
    result = cli("migrate", "verify", "--dir", "m", "-d", database18.url)
    assert result.code == 0
    assert result.out.startswith("0 applied and unchanged, 1 pending, ")
    assert database18.value("SELECT to_regclass('agentdb_migrations')") is None


# --- Half done -----------------------------------------------------------------


@pytest.fixture
def half_done(cli: Cli, applied: tuple[object, ...]) -> tuple[object, ...]:
    """Besides, a file without a transaction of which the second statement failed."""
    Path("m/040_half.sql").write_text(
        "-- agentdb: no-transaction\nCREATE TABLE once ();\nSELECT 1 / 0;\n"
    )
    assert cli("migrate", *applied).code == 1
    return applied


def test_a_half_done_file_is_named(cli: Cli, half_done: tuple[object, ...]) -> None:
    result = cli("migrate", "verify", *half_done, "-f", "json")
    assert result.code == 1
    assert json.loads(result.out) == [
        {
            "version": 40,
            "migration": "040_half",
            "state": "failed",
            "detail": "failed at statement 2 (division by zero)",
        }
    ]
    error, hint = result.err.splitlines()
    assert error.startswith("error: 1 migration is half done, database postgresql://")
    assert hint == (
        "hint: agentdb migrate goes on where it was, once what the error names is mended"
    )
    assert "040_half" in cli("migrate", "verify", *half_done).out


def test_a_half_done_file_that_was_changed(cli: Cli, half_done: tuple[object, ...]) -> None:
    Path("m/040_half.sql").write_text("-- agentdb: no-transaction\nSELECT 2;\nSELECT 3;\n")
    [row] = json.loads(cli("migrate", "verify", *half_done, "-f", "json").out)
    assert row["detail"] == (
        "failed at statement 2 (division by zero), "
        "and statement 1 of the file is not the one that was completed"
    )


def test_a_half_done_file_that_is_gone(cli: Cli, half_done: tuple[object, ...]) -> None:
    Path("m/040_half.sql").unlink()
    Path("m/010_x.sql").unlink()
    result = cli("migrate", "verify", *half_done, "-f", "json")
    assert [(row["migration"], row["detail"]) for row in json.loads(result.out)] == [
        ("010_x", "applied, without a file"),
        ("040_half", "failed at statement 2 (division by zero), and has no file any more"),
    ]
    assert result.err.startswith("error: 1 migration contradicts the history, 1 half done, ")


def test_once_it_is_done_all_is_well(cli: Cli, half_done: tuple[object, ...]) -> None:
    Path("m/040_half.sql").write_text(
        "-- agentdb: no-transaction\nCREATE TABLE once ();\nSELECT 1;\n"
    )
    assert cli("migrate", *half_done).code == 0
    assert cli("migrate", "verify", *half_done).code == 0
