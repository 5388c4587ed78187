"""Vectors for benchmarks: clustered, seeded, with columns to filter by.

A table has `id`, `content`, `embedding` and four columns that keep 50 %, 10 %, 1 % and 0.1 % of its
rows where they are 0: `half`, `tenth`, `hundredth`, `thousandth`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import psycopg

from agentdb_cli.vectors.indexes import EF_CONSTRUCTION, M

FILTERS = {"half": 2, "tenth": 10, "hundredth": 100, "thousandth": 1000}
"""The columns to filter by: each holds 0 up to one less than its number."""


@dataclass(frozen=True, slots=True)
class Data:
    """One set of rows.

    Attributes:
        table: what it is called.
        spread: of a cluster's vectors around its centre, by the centres' own.
    """

    table: str
    rows: int
    dimensions: int
    clusters: int
    spread: float = 0.5
    seed: int = 20_260_101

    @property
    def name(self) -> str:
        """For a report."""
        return str(self.dimensions)

    def vectors(self) -> np.ndarray:
        """All rows' vectors, of length 1, float32."""
        return _vectors(self)

    def queries(self, count: int) -> np.ndarray:
        """Vectors that are no row's, out of the same clusters."""
        return self._drawn(np.random.default_rng(self.seed + 1), count)

    def _drawn(self, random: np.random.Generator, count: int) -> np.ndarray:
        # The centres are those of the seed, whoever draws.
        centres = np.random.default_rng(self.seed + 2).standard_normal(
            (self.clusters, self._intrinsic), dtype=np.float32
        )
        # Real embeddings lie near a surface of far fewer dimensions than they have.
        plane = np.random.default_rng(self.seed + 3).standard_normal(
            (self._intrinsic, self.dimensions), dtype=np.float32
        ) / np.sqrt(self._intrinsic, dtype=np.float32)
        chosen = centres[random.integers(0, self.clusters, count)]
        inner = chosen + self.spread * random.standard_normal(chosen.shape, dtype=np.float32)
        drawn = inner @ plane
        drawn += 0.05 * random.standard_normal(drawn.shape, dtype=np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    @property
    def _intrinsic(self) -> int:
        return min(self.dimensions, 48)


@lru_cache(maxsize=1)
def _vectors(data: Data) -> np.ndarray:
    """Kept: to draw them takes longer than to search in them."""
    return data._drawn(np.random.default_rng(data.seed), data.rows)


SMALL = Data("docs_384", 100_000, 384, clusters=500)
WIDE = Data("docs_1536", 20_000, 1536, clusters=200)


def fill(connection: psycopg.Connection, data: Data, *, indexed: bool = True) -> None:
    """Create the table and fill it by binary COPY; without a vector index.

    Args:
        connection: in autocommit mode, to a database that may have pgvector already.
        indexed: whether the columns to filter by get a btree index each.
    """
    filters = ", ".join(f"{name} integer NOT NULL" for name in FILTERS)
    connection.execute(
        f"CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS {data.table};"
        f"CREATE TABLE {data.table} (id integer PRIMARY KEY, content text NOT NULL, {filters},"
        f" embedding vector({data.dimensions}))"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {data.table} FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(binary(data))
    if indexed:
        for name in FILTERS:
            connection.execute(f"CREATE INDEX ON {data.table} ({name})")
    connection.execute(f"VACUUM (ANALYZE) {data.table}")


HNSW = "hnsw (embedding vector_cosine_ops)"
OURS = f"{HNSW} WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
"""An index with pgvector's parameters, and one with those of `vectors index create`."""


def index(connection: psycopg.Connection, data: Data, definition: str) -> None:
    """Build a vector index as quickly as the machine can.

    Args:
        definition: such as `HNSW`.
    """
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute("SET max_parallel_maintenance_workers = 1")
    connection.execute(f"DROP INDEX IF EXISTS {data.table}_hnsw")
    connection.execute(f"CREATE INDEX {data.table}_hnsw ON {data.table} USING {definition}")
    connection.execute("RESET maintenance_work_mem; RESET max_parallel_maintenance_workers")


def binary(data: Data) -> bytes:
    """The rows as COPY reads them in binary: header, tuples, trailer."""
    vectors = data.vectors()
    fields: list[tuple] = [("fields", ">i2"), ("id_size", ">i4"), ("id", ">i4")]
    fields += [("content_size", ">i4"), ("content", "S40")]
    for name in FILTERS:
        fields += [(f"{name}_size", ">i4"), (name, ">i4")]
    fields += [("size", ">i4"), ("dimensions", ">i2"), ("unused", ">i2")]
    fields += [("embedding", ">f4", (data.dimensions,))]
    rows = np.zeros(data.rows, dtype=fields)
    rows["fields"], rows["id_size"], rows["id"] = 3 + len(FILTERS), 4, np.arange(data.rows)
    rows["content_size"] = 40
    rows["content"] = [f"document {number:>31}" for number in range(data.rows)]
    random = np.random.default_rng(data.seed + 4)
    for name, values in FILTERS.items():
        rows[f"{name}_size"], rows[name] = 4, random.integers(0, values, data.rows)
    rows["size"], rows["dimensions"] = 4 + 4 * data.dimensions, data.dimensions
    rows["embedding"] = vectors
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    return head + rows.tobytes() + b"\xff\xff"


def text(vector: np.ndarray) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(str, vector.tolist()))}]"
