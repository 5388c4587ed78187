"""What the tests of purges share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from conftest import Database, Result

Cli = Callable[..., Result]


def policies(**tables: str) -> None:
    """Write policies into agentdb.toml; dots in a table's name are written as two underlines."""
    Path("agentdb.toml").write_text(
        "".join(
            f'[retention."{name.replace("__", ".")}"]\n{text}\n' for name, text in tables.items()
        )
    )


def purge(cli: Cli, database: Database, *arguments: object) -> list[dict[str, object]]:
    """The rows of a purge that succeeds."""
    result = cli("purge", "-d", database.url, "-f", "json", *arguments)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert isinstance(rows, list)
    return rows


def refusal(cli: Cli, database: Database, *arguments: object) -> str:
    """What a purge says that fails."""
    result = cli("purge", "-d", database.url, "--quiet", *arguments)
    assert result.code != 0
    return result.err


def count(database: Database, table: str = "log", where: str = "true") -> object:
    """How many rows a table has."""
    return database.value(f"SELECT count(*) FROM {table} WHERE {where}")
