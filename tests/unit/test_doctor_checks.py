"""The check-list of `agentdb doctor`: each file is whole, and advises what exists."""

from __future__ import annotations

import re
from dataclasses import replace

import psycopg
import pytest

from agentdb_cli import app
from agentdb_cli.diagnosis.checks import AREAS, Check, available
from agentdb_cli.diagnosis.findings import Finding, Item, judge, overall
from agentdb_cli.diagnosis.script import script
from agentdb_cli.monitoring import checks as health
from agentdb_cli.postgres.pipeline import Table
from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.status import Status

CHECKS = available()
VARIABLES = dict.fromkeys(
    ("memory", "disk_free", "disk_size", "pooled", "today", "backups", "backed_up"), "NULL"
)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_a_check_says_all(check: Check) -> None:
    assert check.area in AREAS
    for text in (check.title, check.why, check.source):
        assert text
        assert not text.endswith(".")
    for major in (13, 18):
        text = check.query(major, VARIABLES)
        assert "-- include" not in text
        assert not re.search(r"(?<!:):[a-z]\w*\b(?!\()", text.split("WITH")[0])


def test_the_commands_that_are_advised_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(f"{c.why} {c.source} {c.text}" for c in CHECKS.values())
    found = set(re.findall(r"agentdb ([a-z-]+)(?: ([a-z-]+))?(?: (--[a-z-]+))?", text))
    assert len(found) > 10
    for command, sub, option in found:
        assert command in app.COMMANDS
        group = hasattr(app.load(command), "list_commands")
        arguments = [command, sub] if group and sub not in ("takes", "then") else [command]
        assert app.execute([*arguments, "--help"]) == 0, arguments
        assert option in capsys.readouterr().out


def test_backups_are_as_old_as_health_lets_them_be() -> None:
    text = CHECKS["backups"].text
    theirs = health.available()["backups-age"]
    assert theirs.critical is not None
    assert f"> {theirs.warning:.0f}" in text
    assert f"> {theirs.critical:.0f}" in text


def test_slots_keep_as_much_as_health_lets_them() -> None:
    critical = health.available()["replication-slots"].critical
    assert critical is not None
    assert f"> {critical:.0f}" in CHECKS["replication-slots"].text


def test_what_is_included_is_there() -> None:
    for check in CHECKS.values():
        for name in re.findall(r"-- include: (\S+)", check.text):
            assert (sql_directory() / f"{name}.sql").is_file()


CHECK = replace(CHECKS["tls"], needs="")


def finding(*statuses: str) -> Finding:
    return Finding(CHECK, tuple(Item(Status[status], status) for status in statuses))


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (("ok", "warning", "unknown"), "warning"),
        (("warning", "critical"), "critical"),
        (("ok", "unknown", "skipped"), "unknown"),
        (("ok", "skipped"), "ok"),
        (("skipped",), "unknown"),
        ((), "unknown"),
    ],
)
def test_the_worst_wins(statuses: tuple[str, ...], worst: str) -> None:
    assert overall(finding(status) for status in statuses).name == worst


def test_no_row_is_ok_and_the_worst_row_counts() -> None:
    none = judge(replace(CHECK, none="nothing"), Table(("status",), ()), user="u", hidden=_NONE)
    assert (none.status, none.items[0].value, none.problems) == (Status.ok, "nothing", ())
    rows = (("ok", "a", "x"), ("unknown", "b", None), ("critical", "c", "y"))
    found = judge(CHECK, Table(("status", "value", "sql"), rows), user="u", hidden=_NONE)
    assert [item.value for item in found.items] == ["c", "b", "a"]
    assert [item.sql for item in found.items] == ["y", None, None]  # what is well needs nothing
    assert len(found.problems) == 2


_NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (psycopg.errors.InsufficientPrivilege("denied"), "not permitted: needs denied"),
        (psycopg.errors.LockNotAvailable("x"), "a table is locked against reading"),
        (psycopg.errors.QueryCanceled("x"), "took too long: x"),
        (psycopg.OperationalError("no answer within 1 s"), "took too long: no answer within 1 s"),
        (psycopg.errors.UndefinedColumn("x"), "the server says: x"),
    ],
)
def test_what_fails_is_unknown(error: psycopg.Error, said: str) -> None:
    found = judge(CHECK, error, user="u", hidden=_NONE)
    assert (found.status, found.items[0].value) == (Status.unknown, said)


def test_no_name_ends_a_comment() -> None:
    item = Item(
        Status.warning,
        "x\nDROP TABLE a;",
        'DROP INDEX "x\r\nDROP TABLE b;\rDROP TABLE c;"',
        "mind\nDROP TABLE d;",
        "do\u2028DROP TABLE e;",
    )
    text = script([Finding(CHECK, (item,))], place="p\nDROP TABLE f;", database="a'b")
    lines = re.split(r"[\r\n]+", text)
    assert [line for line in lines if "DROP" in line and not line.startswith("--")] == []
    assert "  IF current_database() <> 'a''b' THEN" in lines
