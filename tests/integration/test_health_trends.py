"""`agentdb health`: growth between runs, statistics that nobody renews, and the bounds of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result
from test_health import eventually, health, one, thresholds

from agentdb_cli.monitoring import health_growth

Cli = Callable[..., Result]


# --- Growth -----------------------------------------------------------------------


def samples() -> list[dict[str, object]]:
    """What was kept of the only database."""
    (path,) = Path.home().glob(".local/state/agentdb/samples/*/sizes.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def age_samples(seconds: float) -> None:
    """Make all samples older."""
    (path,) = Path.home().glob(".local/state/agentdb/samples/*/sizes.jsonl")
    older = [{**kept, "taken_at": float(str(kept["taken_at"])) - seconds} for kept in samples()]
    path.write_text("".join(json.dumps(kept) + "\n" for kept in older))


def size(database: Database) -> int:
    return int(str(database.value("SELECT pg_database_size(current_database())")))


def test_a_first_run_knows_no_growth(cli: Cli, database: Database) -> None:
    megabytes = round(size(database) / 1024**2)
    found = one(cli, database.url, "disk-growth")
    missing = f"{megabytes} MB now; no earlier sample to compare it with"
    assert found == (3, "skipped", None, missing)
    assert [kept["content"] for kept in samples()] == [{"bytes": size(database)}]
    assert one(cli, database.url, "disk-growth") == (
        3, "skipped", None, f"{megabytes} MB now; the first sample is 0 min old, an hour tells",
    )  # fmt: skip
    assert len(samples()) == 1  # the second one came too soon after it


def test_a_database_that_grows(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_growth, "SMALLEST", 1)
    one(cli, database.url, "disk-growth")
    before = size(database)
    age_samples(43_200)
    code, status, value, detail = one(cli, database.url, "disk-growth")
    assert (code, status) == (0, "ok")
    assert abs(value) < 0.01
    assert len(samples()) == 2

    database.execute("CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)")
    code, status, value, detail = one(cli, database.url, "disk-growth")
    assert (code, status) == (2, "critical")
    assert value == pytest.approx(2 * (size(database) - before) / before, rel=0.01)
    assert detail == f"{size(database) / 1024**2:.0f} MB now, {before / 1024**2:.0f} MB 12 h ago"


def test_a_small_database_may_double(cli: Cli, database: Database) -> None:
    thresholds("disk-growth", warning=0.01)
    one(cli, database.url, "disk-growth")
    age_samples(86_000)
    database.execute("CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)")
    code, status, value, _ = one(cli, database.url, "disk-growth")
    assert (code, status) == (0, "ok")
    assert 0 < value < 0.01


def test_samples_that_cannot_be_kept(cli: Cli, database: Database) -> None:
    state = Path.home() / ".local" / "state"
    state.parent.mkdir()
    state.write_text("")
    code, rows = health(cli, database.url, "--only", "disk-growth")
    row = rows["disk-growth"]
    assert (code, row["status"], row["value"]) == (3, "unknown", None)
    assert str(row["detail"]).startswith(f"the sample could not be kept: {state}/agentdb/samples/")
    assert row["advice"] == "XDG_STATE_HOME names another place for it"


def test_without_a_home(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    _, rows = health(cli, database.url, "--only", "disk-growth")
    row = rows["disk-growth"]
    assert (row["status"], row["advice"]) == (
        "unknown",
        "set HOME or XDG_STATE_HOME, or --skip disk-growth",
    )
    assert str(row["detail"]).endswith("; there is no place to keep it for later runs")


# --- Statistics -------------------------------------------------------------------


def changes(database: Database, table: str) -> int:
    return int(str(database.value("SELECT pg_stat_get_mod_since_analyze(%s::regclass)", table)))


def test_stale_statistics(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int) WITH (autovacuum_enabled = false)")
    database.execute("INSERT INTO t SELECT generate_series(1, 60000)")
    eventually(lambda: changes(database, "t") == 60_000)
    code, status, value, detail = one(cli, database.url, "stale-statistics")
    assert (code, status, value) == (1, "warning", 1.0)
    assert detail.startswith("t (60000 rows changed), counted since 20")
    database.execute("ANALYZE t")
    eventually(lambda: changes(database, "t") == 0)
    code, status, value, detail = one(cli, database.url, "stale-statistics")
    assert (code, status, value) == (0, "ok", 0.0)
    assert detail.startswith("none, counted since 20")


def test_changes_that_autovacuum_would_let_pass(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int) WITH (autovacuum_enabled = false)")
    database.execute("INSERT INTO t SELECT generate_series(1, 400000)")
    eventually(lambda: changes(database, "t") == 400_000)
    database.execute("ANALYZE t")
    database.execute("INSERT INTO t SELECT generate_series(1, 60000)")
    eventually(lambda: changes(database, "t") == 60_000)  # of 2 * (50 + 40000)
    assert one(cli, database.url, "stale-statistics")[:3] == (0, "ok", 0.0)
    database.execute("ALTER TABLE t SET (autovacuum_analyze_scale_factor = 0.01)")
    assert one(cli, database.url, "stale-statistics")[:3] == (1, "warning", 1.0)


def test_few_changes_do_not_matter(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int) WITH (autovacuum_enabled = false)")
    database.execute("INSERT INTO t SELECT generate_series(1, 50000)")
    eventually(lambda: changes(database, "t") == 50_000)
    assert one(cli, database.url, "stale-statistics")[:3] == (0, "ok", 0.0)
