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
        table: as written, with a schema or to be found on the search path.
        key: the column that names a row.
        text: the column that was embedded, and is shown of a hit.
        distance: `cosine`, `l2`, `inner_product`, `l1`, `hamming` or `jaccard`.
        filters: columns by which a search may be narrowed; others may be, too.
        metadata: a json or jsonb column.
        tsvector: a column with the text as tsvector, for full-text search.
        text_search_config: what the text's own tsvector is computed with, without such a column.
        text_weight, vector_weight: what each half of a hybrid search counts, or None.
        model: the embedding model of all rows, or None if nobody said.
        ef_search, probes: what a search of it sets for HNSW and IVFFlat, or None.
        source: what laid it down: `pack NAME`, `agentdb.toml`, both, or `found in the database`.
    """

    name: str
    table: str
    key: str
    embedding: str
    text: str
    distance: str
    filters: tuple[str, ...] = ()
    metadata: str | None = None
    tsvector: str | None = None
    text_search_config: str | None = None
    text_weight: float | None = None
    vector_weight: float | None = None
    model: str | None = None
    ef_search: int | None = None
    probes: int | None = None
    source: str = ""


DISTANCES = ("cosine", "l2", "inner_product", "l1", "hamming", "jaccard")
"""The distances that pgvector computes."""


def collections_of(content: Mapping[str, Mapping[str, Any]], source: str) -> tuple[Collection, ...]:
    """The collections of a `[collections]` table, in its order.

    Raises:
        SettingsError: a key is missing, or there is no such distance.
    """
    return tuple(_collection(name, entry, source) for name, entry in content.items())


def _collection(name: str, entry: Mapping[str, Any], source: str) -> Collection:
    missing = [key for key in ("table", "key", "embedding", "text") if key not in entry]
    if missing:
        raise SettingsError(
            f"[collections.{name}] has no {' and no '.join(missing)}",
            hint="a collection needs table, key, embedding and text: the names of its columns",
        )
    distance = entry.get("distance", "cosine")
    if distance not in DISTANCES:
        raise SettingsError(
            f"[collections.{name}]: there is no distance '{distance}'"
            f"{nearest(distance, DISTANCES)}",
            hint=f"distances: {', '.join(DISTANCES)}",
        )
    hybrid = entry.get("hybrid", {})
    return Collection(
        name=name,
        table=entry["table"],
        key=entry["key"],
        embedding=entry["embedding"],
        text=entry["text"],
        distance=distance,
        filters=tuple(entry.get("filters", ())),
        metadata=entry.get("metadata"),
        tsvector=entry.get("tsvector"),
        text_search_config=entry.get("text_search_config"),
        text_weight=hybrid.get("text_weight"),
        vector_weight=hybrid.get("vector_weight"),
        model=entry.get("model"),
        ef_search=entry.get("ef_search"),
        probes=entry.get("probes"),
        source=source,
    )


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
        return collections_of(self.content.get("collections", {}), f"pack {self.name}")


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
