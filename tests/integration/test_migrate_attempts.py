"""How long a migration waits for a lock in one attempt, unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result

from agentdb_cli.migrations.job import ATTEMPT, Job
from agentdb_cli.postgres import locks
from agentdb_cli.settings import Connection, Migrations

Cli = Callable[..., Result]


@pytest.mark.parametrize(
    ("settings", "options", "limit"),
    [
        ("", (), "1s"),
        ("", ("--lock-timeout", "7s"), "7s"),
        ("[connection]\nlock_timeout = '3s'\n", (), "3s"),
        ("[connection]\nlock_timeout = '3s'\n", ("--lock-timeout", "7s"), "7s"),
        ("[connection]\nlock_timeout = '5s'\n", (), "5s"),
        ("[connection]\nstatement_timeout = '1min'\n", (), "1s"),
    ],
)
def test_the_limit_of_one_attempt(
    cli: Cli, database18: Database, settings: str, options: tuple[str, ...], limit: str
) -> None:
    setting = "current_setting('lock_' || 'timeout')"  # a file that names it sets its own
    Path("agentdb.toml").write_text(settings)
    Path("m").mkdir()
    Path("m/1_together.sql").write_text(f"CREATE TABLE seen AS SELECT {setting} AS found;")
    Path("m/2_alone.sql").write_text(
        f"-- agentdb: no-transaction\nINSERT INTO seen SELECT {setting};"
    )
    assert cli("migrate", "--dir", "m", "-d", database18.url, *options).code == 0
    assert database18.execute("SELECT found FROM seen") == [(limit,), (limit,)]


def test_the_total_time_is_what_it_was_with_attempts_of_5_seconds() -> None:
    def seconds(attempt: float, retries: int) -> float:
        # The pauses are jittered from half of it to the whole.
        pauses = [min(0.2 * 2.0 ** (n - 1), 10.0) * 0.75 for n in range(1, retries + 1)]
        assert all(p / 1.5 <= locks.back_off(n) <= p / 0.75 for n, p in enumerate(pauses, start=1))
        return (retries + 1) * attempt + sum(pauses)

    assert Migrations().lock_retries == Job.__dataclass_fields__["lock_retries"].default == 15
    assert ATTEMPT == 1_000
    assert Connection().lock_timeout == 5_000
    before, now = seconds(5.0, 10), seconds(1.0, 15)
    assert before == pytest.approx(now, rel=0.03)
    assert now < Migrations().lock_retry_time / 1000
