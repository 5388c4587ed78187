"""Packs: a schema as numbered migrations, with what agentdb needs to know about it.

A pack is a directory `sql/packs/<name>/` with `NNN_name.sql` files and a
`pack.toml`, read here into typed objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agentdb_cli.errors import SettingsError, nearest
from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.settings.keys import Scalar


@dataclass(frozen=True, slots=True)
class Collection:
    """A table with embeddings that can be searched.

    Attributes:
        distance: `cosine`, `l2`, `inner_product`, `l1`, `hamming` or `jaccard`.
        filters: columns by which a search may be narrowed.
    """

    name: str
    table: str
    key: str
    embedding: str
    text: str
    distance: str
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as its `pack.toml` describes it.

    Attributes:
        name: the directory's name.
        title: one line.
        description: a few lines.
        variables: the defaults of the variables that its migrations use.
        directory: where its migrations are.
        movable: whether its tables can be put into any schema (`--schema`);
            otherwise it has schemas of its own.
        content: all of `pack.toml`.
    """

    name: str
    title: str
    description: str
    variables: Mapping[str, Scalar]
    directory: Path
    movable: bool
    content: Mapping[str, Any]

    @property
    def collections(self) -> tuple[Collection, ...]:
        """The tables that can be searched, in the order of `pack.toml`."""
        return tuple(
            Collection(
                name,
                entry["table"],
                entry["key"],
                entry["embedding"],
                entry["text"],
                entry["distance"],
                tuple(entry.get("filters", ())),
            )
            for name, entry in self.content.get("collections", {}).items()
        )


def names() -> tuple[str, ...]:
    """The names of all packs, sorted."""
    return tuple(sorted(path.parent.name for path in _packs().glob("*/pack.toml")))


@cache
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
    import tomllib  # here, because migrations of the user's own need no pack

    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Pack(
        name=name,
        title=content["title"],
        description=content["description"].strip(),
        variables=content.get("variables", {}),
        directory=path.parent,
        movable=content.get("movable", False),
        content=content,
    )


def _packs() -> Path:
    return sql_directory() / "packs"
