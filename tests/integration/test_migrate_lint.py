"""agentdb migrate lint: which files it reads, how it says what it found, and bad input."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

from agentdb_cli import packs

Cli = Callable[..., Result]

NOBODY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
def directory() -> Path:
    """Two migrations: a table, and an index on it."""
    path = Path("migrations")
    path.mkdir()
    (path / "001_users.sql").write_text("CREATE TABLE users (id bigint PRIMARY KEY);\n")
    (path / "002_index.sql").write_text("CREATE INDEX ON users (id);\n")
    return path


def test_without_a_database_all_files_are_read(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "lint", "--dir", directory, "-d", NOBODY)
    assert result.code == 1
    assert result.out == (
        "migrations/002_index.sql:1:1: error index-without-concurrently\n"
        "    CREATE INDEX ON users (id)\n"
        "  why:     CREATE INDEX stops all writing to the table until the index is built\n"
        "  instead: CREATE INDEX CONCURRENTLY, in a file of its own with "
        "-- agentdb: no-transaction; on a partitioned table ON ONLY it, CONCURRENTLY on each "
        "partition, then ATTACH PARTITION\n"
    )
    notice, *rest = result.err.splitlines()
    assert notice.startswith("all migrations are read, applied or not: cannot connect to ")
    assert rest == [
        "error: 1 finding in 1 of 2 files",
        "hint: rewrite them, or say why they are meant: -- agentdb: allow RULE reason",
    ]


def test_all_asks_no_database(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "lint", "--all", "--dir", directory, "-d", NOBODY)
    assert result.code == 1
    assert result.err.startswith("error: 1 finding in 1 of 2 files\n")


def test_pending_files_run_in_one_go(cli: Cli, directory: Path, database: Database) -> None:
    args = ("--dir", directory, "-d", database.url)
    result = cli("migrate", "lint", *args)
    assert result == Result(0, "nothing found in 2 files\n", "")
    assert cli("migrate", *args).code == 0
    assert cli("migrate", "lint", *args) == Result(0, "nothing found in 0 files\n", "")

    (directory / "003_more.sql").write_text("CREATE INDEX ON users (id);\n")
    result = cli("migrate", "lint", *args)
    assert result.out.startswith("migrations/003_more.sql:1:1: error index-without-concurrently\n")
    assert result.err.startswith("error: 1 finding in 1 of 1 file\n")


def test_named_files(cli: Cli, directory: Path) -> None:
    index = directory / "002_index.sql"
    assert cli("migrate", "lint", index).code == 1
    both = cli("migrate", "lint", directory / "001_users.sql", index)
    assert both == Result(0, "nothing found in 2 files\n", "")
    excluded = cli("migrate", "lint", index, "--all")
    assert excluded.code == 2
    assert excluded.err.startswith("error: file names exclude --all and --dir\n")


def test_rule_and_skip(cli: Cli, directory: Path) -> None:
    args = ("migrate", "lint", "--all", "--dir", directory)
    assert cli(*args, "--skip", "index-without-concurrently").code == 0
    assert cli(*args, "--rule", "truncate").code == 0
    assert cli(*args, "--rule", "index-without-concurrently").code == 1
    wrong = cli(*args, "--rule", "drop-tabel")
    assert wrong.code == 2
    assert wrong.err.startswith("error: there is no rule 'drop-tabel'; did you mean 'drop-table'?")


def test_variables_are_known(cli: Cli) -> None:
    Path("001_x.sql").write_text(
        "CREATE TABLE t (a vector(:dims));\nCREATE INDEX ON t USING hnsw (a vector_l2_ops);\n"
    )
    assert cli("migrate", "lint", "001_x.sql", "--set", "dims=768").code == 0
    result = cli("migrate", "lint", "001_x.sql", "--set", "dims=3072", "-f", "jsonl")
    finding = json.loads(result.out)
    assert finding["rule"] == "too-many-dimensions"
    assert finding["reason"] == ("3,072 dimensions: an HNSW index on vector takes at most 2,000")


# --- Formats -------------------------------------------------------------------


def test_json(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "lint", "--all", "--dir", directory, "-f", "json")
    (finding,) = json.loads(result.out)
    assert {name: finding[name] for name in ("file", "line", "column", "severity", "rule")} == {
        "file": "migrations/002_index.sql",
        "line": 1,
        "column": 1,
        "severity": "error",
        "rule": "index-without-concurrently",
    }
    clean = cli("migrate", "lint", directory / "001_users.sql", "-f", "json")
    assert (clean.code, clean.out) == (0, "[]\n")


def test_github(cli: Cli) -> None:
    name = "odd,na%me:1.sql"
    Path(name).write_text("SELECT 1;\n  DROP TABLE t;\n")
    result = cli("migrate", "lint", name, "-f", "github")
    assert result.code == 1
    assert result.out.startswith(
        "::warning file=odd%2Cna%25me%3A1.sql,line=2,col=3,title=drop-table::"
        "the data is lost, and programs that still use it fail. Instead: "
    )
    assert result.out.count("\n") == 1


def test_github_is_silent_if_nothing_is_found(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "lint", directory / "001_users.sql", "-f", "github")
    assert result == Result(0, "", "")


def test_sarif(cli: Cli) -> None:
    Path("a b.sql").write_text("DROP TABLE t;\nDROP TABLE u;\nTRUNCATE v;\n")
    result = cli("migrate", "lint", "a b.sql", "--format", "sarif")
    log = json.loads(result.out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "agentdb"
    assert [rule["id"] for rule in driver["rules"]] == ["drop-table", "truncate"]
    assert [(r["ruleId"], r["ruleIndex"], r["level"]) for r in run["results"]] == [
        ("drop-table", 0, "warning"),
        ("drop-table", 0, "warning"),
        ("truncate", 1, "warning"),
    ]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "a%20b.sql"},
        "region": {"startLine": 2, "startColumn": 1},
    }
    assert all(result["message"]["text"] for result in run["results"])


def test_sarif_without_findings(cli: Cli, directory: Path) -> None:
    result = cli("migrate", "lint", directory / "001_users.sql", "-f", "sarif")
    assert result.code == 0
    assert json.loads(result.out)["runs"][0]["results"] == []


# --- Packs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ("agentdb", {}),
        ("background-agents", {}),
        # What stands in the documents to the letter; the files say so.
        ("automagik", {"timestamp-without-time-zone": 9, "ivfflat-on-empty-table": 1}),
        ("gathering", {"ivfflat-on-empty-table": 1}),
        ("openagent", {"ivfflat-on-empty-table": 1}),
        ("project-2501", {"timestamp-without-time-zone": 13}),
    ],
)
def test_packs_break_no_other_rule(cli: Cli, pack: str, expected: dict[str, int]) -> None:
    result = cli("migrate", "lint", "--all", "--pack", pack, "-f", "json")
    assert Counter(finding["rule"] for finding in json.loads(result.out)) == expected


def test_files_that_undo_packs(cli: Cli) -> None:
    downs = sorted(packs.load("agentdb").directory.glob("*.down.sql"))
    assert cli("migrate", "lint", *downs).code == 0, downs


# --- Bad input -------------------------------------------------------------------


def test_what_cannot_be_split_is_a_finding(cli: Cli) -> None:
    Path("001_x.sql").write_text("SELECT 1;\n\\echo hello\n")
    result = cli("migrate", "lint", "001_x.sql")
    assert result.code == 1
    assert result.out.splitlines()[:2] == [
        "001_x.sql:2:1: error unreadable",
        "  why:     psql meta-command \\echo cannot be sent to the server",
    ]


def test_no_such_directory(cli: Cli) -> None:
    result = cli("migrate", "lint", "--all", "--dir", "nowhere")
    assert result.code == 1
    assert result.err.startswith("error: there is no directory nowhere\n")


@pytest.mark.parametrize("named", [True, False])
def test_bad_files(cli: Cli, named: bool) -> None:
    path = Path("m/001_x.sql")
    path.parent.mkdir()

    def lint() -> Result:
        where = (path,) if named else ("--all", "--dir", "m")
        return cli("migrate", "lint", *where)

    path.write_text(" \n")
    assert lint().err.startswith("error: m/001_x.sql is empty\n")
    path.write_bytes(b"SELECT 1;\nSELECT '\xff';\n")
    assert lint().err.startswith("error: m/001_x.sql, line 2: not UTF-8 (byte 0xff)\n")
    path.unlink()
    path.symlink_to(path.name)
    assert lint() == Result(
        1, "", "error: cannot read m/001_x.sql: Too many levels of symbolic links\n"
    )
    path.unlink()
    path.mkdir()
    assert lint() == Result(1, "", "error: cannot read m/001_x.sql: Is a directory\n")


def test_no_such_file(cli: Cli) -> None:
    result = cli("migrate", "lint", "nothing.sql")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: there is no file nothing.sql\n")


def test_a_pipe_is_not_waited_for(cli: Cli) -> None:
    os.mkfifo("pipe.sql")
    result = cli("migrate", "lint", "pipe.sql")
    assert result.err.startswith("error: pipe.sql is not a regular file\n")


def test_a_file_of_50_megabytes(cli: Cli) -> None:
    with Path("001_big.sql").open("wb") as file:
        file.truncate(50_000_000)
    result = cli("migrate", "lint", "001_big.sql")
    assert result.code == 1
    assert result.err.startswith("error: 001_big.sql is too large to read: 50,000,000 bytes\n")


def test_numbers(cli: Cli, directory: Path) -> None:
    (directory / "2_again.sql").write_text("SELECT 1;\n")
    twice = cli("migrate", "lint", "--all", "--dir", directory)
    assert twice.err.startswith(
        "error: two migrations have the number 2: 002_index.sql and 2_again.sql\n"
    )
    (directory / "2_again.sql").rename(directory / f"{2**63}_x.sql")
    large = cli("migrate", "lint", "--all", "--dir", directory)
    assert large.err.startswith(f"error: migrations/{2**63}_x.sql: the number is too large\n")
