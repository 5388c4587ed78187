"""Collections as a database has them: the table, its columns and its vector indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.packs import Collection
from agentdb_cli.postgres import pgvector
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified, identifier
from agentdb_cli.vectors.indexes import Index, read

_KINDS = {"r": "table", "p": "partitioned table", "m": "materialized view", "v": "view",
          "f": "foreign table", "S": "sequence", "i": "index", "I": "index"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `type` without its modifier (`vector`), `full_type` with it (`vector(384)`).

    Attributes:
        unique: whether the server refuses a value that is there already, when it is written.
    """

    name: str
    type: str
    full_type: str
    base: str
    modifier: int
    not_null: bool
    generated: bool
    has_default: bool
    unique: bool

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return identifier(self.name)


@dataclass(frozen=True, slots=True)
class Located(Qualified):
    """A collection as it was found in a database.

    Attributes:
        oid: of the table.
        kind: r(elation), p(artitioned), m(aterialized view), v(iew) or f(oreign).
        owned: whether this role may build indexes on it.
        bytes: of the table without its indexes; 0 for a partitioned one.
        rows: estimated, or None if it was never analysed.
        columns: by name, in their order.
        type: of the embeddings: vector, halfvec, bit or sparsevec.
        dimensions: as declared, or None.
        indexes: on the embeddings, all of them.
    """

    collection: Collection
    extension: pgvector.Extension
    oid: int
    schema: str
    relation: str
    kind: str
    owned: bool
    bytes: int
    rows: int | None
    columns: Mapping[str, Column]
    indexes: tuple[Index, ...]

    @property
    def embedding(self) -> Column:
        """The column of the embeddings."""
        return self.columns[self.collection.embedding]

    @property
    def type(self) -> str:
        """The type of the embeddings."""
        return self.embedding.base

    @property
    def dimensions(self) -> int | None:
        """How many an embedding has, as declared."""
        return self.embedding.modifier if self.embedding.modifier > 0 else None

    @property
    def distance(self) -> pgvector.Distance:
        """The collection's distance."""
        return pgvector.DISTANCES[self.collection.distance]

    @property
    def operator(self) -> str:
        """Its operator as SQL, with its schema."""
        return self.extension.operator(self.collection.distance)

    def cast(self, type: str | None = None) -> str:
        """A type of pgvector as SQL: of the embeddings, without dimensions, or the one named."""
        name = type or self.type
        return "bit varying" if name == "bit" else f"{identifier(self.extension.schema)}.{name}"


def locate(connection: Connection, collection: Collection) -> Located:
    """Look a collection up in the database.

    Raises:
        AgentdbError: pgvector, the table or a column is not there, is of another type, or may
            not be read.
    """
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(query("vectors/collection").encode(), (collection.table,))
        row = cursor.fetchone()
    if row is None:
        raise AgentdbError(
            f"collection {collection.name}: there is no table {collection.table} here"
            f" ({collection.source})",
            hint="agentdb inspect vector-columns shows the vector columns of this database",
        )
    if row["kind"] not in "rpmvf":
        raise AgentdbError(f"collection {collection.name}: {collection.table} is no table"
                           f" but a {_KINDS.get(row['kind'], 'type')}")  # fmt: skip
    name = f"{row['schema']}.{row['relation']}"
    if not row["readable"]:
        raise AgentdbError(
            f"collection {collection.name}: this role may not read {name}",
            hint=f"GRANT SELECT ON {name} TO it",
        )
    columns = {entry["name"]: Column(**entry) for entry in row["columns"]}
    _check_columns(collection, name, columns)
    extension = pgvector.extension(connection)
    if extension is None:  # a column of bits does not need it, a search does
        raise AgentdbError(
            "pgvector is not in this database", hint="agentdb extensions enable vector"
        )
    return Located(
        collection=collection,
        extension=extension,
        oid=row["oid"],
        schema=row["schema"],
        relation=row["relation"],
        kind=row["kind"],
        owned=row["owned"],
        bytes=row["bytes"],
        rows=row["rows"],
        columns=columns,
        indexes=read(connection, row["oid"], collection.embedding),
    )


def named(found: Sequence[Collection], name: str | None) -> Collection:
    """The collection of that name; without a name, the only one.

    Raises:
        AgentdbError: there is none of that name, or several to choose from.
    """
    names = [collection.name for collection in found]
    if name is None and len(found) == 1:
        return found[0]
    if name is None:
        raise AgentdbError(
            "which collection? This database has " + ", ".join(names),
            hint=f"--collection {names[0]}",
            exit_code=2,
        )
    # Of equals the last: agentdb.toml's own stand behind the pack's.
    for collection in reversed(found):
        if collection.name == name:
            return collection
    raise AgentdbError(
        f"there is no collection '{name}'{nearest(name, names)}",
        hint=f"collections: {', '.join(names)}",
        exit_code=2,
    )


def _check_columns(collection: Collection, table: str, columns: Mapping[str, Column]) -> None:
    named: dict[str, str | None] = {
        "key": collection.key,
        "embedding": collection.embedding,
        "text": collection.text,
        "metadata": collection.metadata,
        "tsvector": collection.tsvector,
    }
    named.update({f"filter {name}": name for name in collection.filters})
    for role, column in named.items():
        if column is not None and column not in columns:
            raise AgentdbError(
                f"collection {collection.name}: {table} has no column '{column}' ({role})"
                f"{nearest(column, columns)}",
                hint=_missing_hint(collection, role),
            )
    found = columns[collection.embedding]
    if found.base not in pgvector.OF_TYPE:
        raise AgentdbError(
            f"collection {collection.name}: {table}.{collection.embedding} is {found.full_type},"
            " no type of pgvector",
            hint="vector, halfvec, bit and sparsevec can be searched",
        )
    possible = pgvector.OF_TYPE[found.base]
    if collection.distance not in possible:
        raise AgentdbError(
            f"collection {collection.name}: {collection.distance} is no distance of"
            f" {found.base} ({table}.{collection.embedding})",
            hint=f"distances of {found.base}: {', '.join(possible)}",
        )


def _missing_hint(collection: Collection, role: str) -> str | None:
    if role == "embedding" and collection.source.startswith("pack "):
        return (
            "the migration that adds it needs pgvector: agentdb extensions enable vector,"
            " then agentdb migrate"
        )
    return f"declared by {collection.source}: agentdb inspect vector-columns shows what there is"
