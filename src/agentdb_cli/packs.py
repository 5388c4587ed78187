"""Packs: a schema as numbered migrations, with what agentdb needs to know about it.

A pack is a directory `sql/packs/<name>/` with `NNN_name.sql` files and a
`pack.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.errors import SettingsError, nearest
from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.settings.file import Scalar


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as its `pack.toml` describes it.

    Attributes:
        name: the directory's name.
        title: one line.
        variables: the defaults of the variables that its migrations use.
        directory: where its migrations are.
    """

    name: str
    title: str
    variables: Mapping[str, Scalar]
    directory: Path


def names() -> tuple[str, ...]:
    """The names of all packs, sorted."""
    return tuple(sorted(path.parent.name for path in _packs().glob("*/pack.toml")))


def load(name: str) -> Pack:
    """Read one pack.

    Raises:
        SettingsError: there is no pack of that name.
    """
    path = _packs() / name / "pack.toml"
    if name not in names():
        raise SettingsError(
            f"there is no pack '{name}'{nearest(name, names())}",
            hint=f"packs: {', '.join(names())}",
        )
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Pack(name, content["title"], content.get("variables", {}), path.parent)


def _packs() -> Path:
    return sql_directory() / "packs"
