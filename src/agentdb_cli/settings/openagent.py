"""OpenAgent's own settings file, read as an `agentdb.toml` (`--config openagent.toml`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentdb_cli.errors import SettingsError

PACK = "openagent"


def translate(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The part of OpenAgent's file that concerns PostgreSQL, in our keys.

    `[storage.postgres]` gives the URL, the SSL mode, the connect timeout and
    the vector dimension; its pool settings concern the application alone.

    Raises:
        SettingsError: the file has no `[storage.postgres]`, or a value in it
            is of the wrong kind.
    """
    storage = content["storage"]
    postgres = storage.get("postgres") if isinstance(storage, Mapping) else None
    if not isinstance(postgres, Mapping):
        raise SettingsError(
            f"{path} is OpenAgent's settings file, but has no [storage.postgres]",
            hint="agentdb administers its PostgreSQL storage only",
        )
    ours: dict[str, Any] = {"pack": PACK}
    if url := _value(postgres, "url", str, path):
        mode = _value(postgres, "ssl_mode", str, path)
        separator = "&" if "?" in url else "?"
        ours["url"] = f"{url}{separator}sslmode={mode}" if mode and "sslmode=" not in url else url
    if (seconds := _value(postgres, "connect_timeout_secs", int, path)) is not None:
        ours["connection"] = {"connect_timeout": seconds * 1000}
    if (dimensions := _value(postgres, "vector_dimensions", int, path)) is not None:
        ours["variables"] = {"embedding_dimensions": dimensions}
    return ours


def _value(table: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    value = table.get(key)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise SettingsError(
            f"{path}: 'storage.postgres.{key}' must be "
            + ("a string" if kind is str else "a whole number")
        )
    return value
