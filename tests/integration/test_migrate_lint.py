"""agentdb migrate lint: which files it reads, how it says what it found, and bad input."""

from __future__ import annotations

import json
import os
import re
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


def test_files_that_other_tools_run_without_a_transaction(cli: Cli) -> None:
    path = Path("db")
    path.mkdir()
    (path / "1_a.sql").write_text("-- migrate:up\nCREATE TABLE a (b int);\n-- migrate:down\n")
    index = path / "2_i.sql"
    up = "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON a (b);\n"
    index.write_text(up + "-- migrate:down\nDROP INDEX i;\n")
    chosen = ("--rule", "not-in-transaction")
    for named in ([index], ["--all", "--dir", path, "-d", NOBODY]):
        assert cli("migrate", "lint", *chosen, *named).code == 0
    index.write_text(up.replace(" transaction:false", ""))
    result = cli("migrate", "lint", *chosen, index)
    assert result.out.startswith("db/2_i.sql:2:1: error not-in-transaction\n")


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


# The parts of the SARIF 2.1.0 schema (OASIS, sarif-schema-2.1.0.json) that apply here: for each
# type its required and its other properties that agentdb writes; it allows no others.
_LEVEL = ("none", "note", "warning", "error")
_SARIF: dict[str, tuple[set[str], dict[str, object]]] = {
    "log": ({"version", "runs"}, {"$schema": "uri", "version": ("2.1.0",), "runs": ["run"]}),
    "run": (
        {"tool"},
        {
            "tool": "tool",
            "results": ["result"],
            "columnKind": ("utf16CodeUnits", "unicodeCodePoints"),
        },
    ),
    "tool": ({"driver"}, {"driver": "component"}),
    "component": ({"name"}, {"name": "text", "version": "text", "rules": ["rule"]}),
    "rule": (
        {"id"},
        {
            "id": "text",
            "shortDescription": "message",
            "help": "message",
            "defaultConfiguration": "configuration",
        },
    ),
    "configuration": (set(), {"level": _LEVEL}),
    "message": ({"text"}, {"text": "text"}),
    "result": (
        {"message"},
        {
            "ruleId": "text",
            "ruleIndex": 0,
            "level": _LEVEL,
            "message": "message",
            "locations": ["location"],
        },
    ),
    "location": (set(), {"physicalLocation": "place"}),
    "place": ({"artifactLocation"}, {"artifactLocation": "artifact", "region": "region"}),
    "artifact": (set(), {"uri": "uri"}),
    "region": (set(), {"startLine": 1, "startColumn": 1}),
}


def _conforms(value: object, wanted: object, where: str) -> None:
    """Check a value against a type's name, [a type's name], the values or the least number."""
    match wanted:
        case tuple():
            assert value in wanted, where
        case [str(kind)]:
            assert isinstance(value, list), where
            for number, item in enumerate(value):
                _conforms(item, kind, f"{where}[{number}]")
        case int():
            assert isinstance(value, int), where
            assert value >= wanted, where
        case "text":
            assert isinstance(value, str), where
        case "uri":  # RFC 3986: a URI or a relative reference
            assert isinstance(value, str), where
            assert re.fullmatch(r"(?:[\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-F]{2})+", value), where
        case str(kind):
            required, known = _SARIF[kind]
            assert isinstance(value, dict), where
            assert required <= value.keys() <= known.keys(), where
            for name, inner in value.items():
                _conforms(inner, known[name], f"{where}.{name}")


def test_sarif_keeps_to_its_schema(cli: Cli) -> None:
    Path("ä {b}%.sql").write_text("DROP TABLE t;\n\\echo\n")
    Path("c.sql").write_text("DROP TABLE t;\nSELECT 'é'; TRUNCATE v;\n-- agentdb: allow x\n")
    absolute = Path("c.sql").absolute()
    for files in (("ä {b}%.sql", "c.sql"), (absolute,), (Path("..", "work", "c.sql"),)):
        result = cli("migrate", "lint", *files, "-f", "sarif")
        log = json.loads(result.out)
        assert len(log["runs"][0]["results"]) >= 3
        _conforms(log, "log", "log")
        for found in log["runs"][0]["results"]:
            assert (
                log["runs"][0]["tool"]["driver"]["rules"][found["ruleIndex"]]["id"]
                == (found["ruleId"])
            )


# --- Settings --------------------------------------------------------------------


def test_settings_switch_rules_off(cli: Cli, directory: Path) -> None:
    args = ("migrate", "lint", "--all", "--dir", directory)
    Path("agentdb.toml").write_text('[lint]\nskip = ["index-without-concurrently"]\n')
    assert cli(*args) == Result(0, "nothing found in 2 files\n", "")
    assert cli(*args, "--rule", "index-without-concurrently").code == 1
    assert cli(*args, "--skip", "truncate").code == 0


def test_settings_of_an_environment(cli: Cli, directory: Path) -> None:
    args = ("migrate", "lint", "--all", "--dir", directory)
    Path("agentdb.toml").write_text(
        'url = "postgresql://h/d"\n[lint]\nskip = ["index-without-concurrently"]\n'
        '[environments.strict]\nurl = "postgresql://h/d"\nlint = { skip = [] }\n'
    )
    assert cli(*args).code == 0
    assert cli(*args, "--env", "strict").code == 1


def test_settings_leave_files_out(cli: Cli, directory: Path) -> None:
    args = ("migrate", "lint", "--all", "--dir", directory)
    Path("agentdb.toml").write_text('[lint]\nignore = ["migrations/002_*"]\n')
    result = cli(*args)
    assert result == Result(0, "nothing found in 1 file\n", "1 file left out: ignore in [lint]\n")
    assert cli("migrate", "lint", directory / "002_index.sql").code == 0
    Path("agentdb.toml").write_text('[lint]\nignore = ["002_*"]\n')
    assert cli(*args).code == 1
    # What a file that is left out makes is known all the same.
    Path("agentdb.toml").write_text('[lint]\nignore = ["*/001_*"]\n')
    both = (directory / "001_users.sql", directory / "002_index.sql")
    assert cli("migrate", "lint", *both).out == "nothing found in 1 file\n"


def test_patterns_count_from_the_settings_file(cli: Cli, directory: Path) -> None:
    Path("agentdb.toml").write_text('[lint]\nignore = ["migrations/*"]\n')
    settings = Path("agentdb.toml").absolute()
    os.chdir(directory)
    assert cli("migrate", "lint", "002_index.sql", "--config", settings).code == 0
    whole = f"{Path.cwd().as_posix()}/002*"
    settings.write_text(f'[lint]\nignore = ["{whole}"]\n')
    assert cli("migrate", "lint", "002_index.sql").code == 0


def test_a_rule_in_the_settings_that_is_none(cli: Cli, directory: Path) -> None:
    Path("agentdb.toml").write_text('[lint]\nskip = ["drop-tabel"]\n')
    result = cli("migrate", "lint", "--all", "--dir", directory)
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        f"error: skip in [lint] of {Path('agentdb.toml').absolute()}: "
        "there is no rule 'drop-tabel'; did you mean 'drop-table'?"
    )
    Path("agentdb.toml").write_text('[lint]\nskipp = ["drop-table"]\n')
    result = cli("migrate", "lint", "--all", "--dir", directory)
    assert result.err.splitlines() == [
        f"error: {Path('agentdb.toml').absolute()}, line 2: unknown key 'lint.skipp'; "
        "did you mean 'skip'?",
        "hint: known keys here: ignore, skip",
    ]
    Path("agentdb.toml").write_text("[lint]\nignore = 'x'\n")
    assert cli("migrate", "lint", "--all").err.startswith(
        f"error: {Path('agentdb.toml').absolute()}, line 2: 'lint.ignore' must be a list of strings"
    )


def test_settings_that_leave_no_rule(cli: Cli, directory: Path) -> None:
    from agentdb_cli.migrations.lint.rules import RULES

    Path("agentdb.toml").write_text(f"[lint]\nskip = {list(RULES)}\n")
    result = cli("migrate", "lint", "--all", "--dir", directory)
    assert (result.code, result.err) == (
        2,
        f"error: --rule, --skip and skip in [lint] of {Path('agentdb.toml').absolute()} "
        "leave no rule to look for\n",
    )
