"""What the tests of `agentdb doctor` share: one check, and what it says mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from conftest import Database, Result

Cli = Callable[..., Result]


def look(cli: Cli, url: str, check: str, *options: object) -> dict[str, Any]:
    """The row of one check; its exit code is that of its status."""
    result = cli("doctor", "-d", url, "-f", "json", "--only", check, *options)
    (row,) = json.loads(result.out)
    assert row["check"] == check
    codes = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3, "skipped": 3}
    assert result.code == codes[row["status"]], result.err
    assert result.err == ""
    return row  # type: ignore[no-any-return]


def values(row: dict[str, Any]) -> list[str]:
    """What a check found, one thing after the other."""
    return [found["value"] for found in row["findings"]]


def mend(database: Database, row: dict[str, Any]) -> list[str]:
    """Run the SQL of all that a check found, and return it."""
    statements = [s for found in row["findings"] if found["sql"] for s in found["sql"].split("; ")]
    assert statements, f"{row['check']} has no SQL"
    for statement in statements:
        database.execute(statement)
    return statements
