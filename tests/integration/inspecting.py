"""What the tests of inspections share: running one and reading its rows."""

from __future__ import annotations

import json
from collections.abc import Callable

from conftest import Database, Result


def inspect(
    cli: Callable[..., Result], database: Database, name: str, *arguments: str
) -> list[dict[str, object]]:
    """The rows of `agentdb inspect NAME` on a database."""
    result = cli("inspect", name, "-d", database.url, "-f", "json", *arguments)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert isinstance(rows, list)
    return rows
