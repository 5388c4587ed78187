"""The SQL that agentdb ships: one query a file, under the top-level `sql/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def sql_directory() -> Path:
    """The `sql/` directory: inside an installed package, beside `src/` in a checkout."""
    installed = _PACKAGE / "sql"
    return installed if installed.is_dir() else _PACKAGE.parent.parent / "sql"


@cache
def query(name: str) -> str:
    """The text of `sql/<name>.sql`.

    Args:
        name: the path without suffix, such as `history/read`.

    Raises:
        FileNotFoundError: there is no such query (a defect of agentdb).
    """
    return (sql_directory() / f"{name}.sql").read_text(encoding="utf-8")
