"""`agentdb vectors load` against psql's \\copy of a ready binary file.

Vectors of 384 dimensions with their keys, into an empty table with a primary key and no vector
index. psql sends bytes that are ready; ours reads the named format and checks every row. A row for
each format with 100,000 vectors, and two for .npy with 300,000 and 1,000,000. The server writes
100,000 of them in 0.7 s, which the 0.3 s that ours takes to start are to be compared with: so the
bar is that of the million.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as arrow
import vector_data
from harness import Contender, NotMeasured, Peer, Place, Race, Row, agentdb, tell
from pyarrow import parquet
from servers import Server

from agentdb_cli.postgres.embedded.binaries import embedded

BAR = 1 / 0.85
_DATABASE = "vectors_load"
_DATA = vector_data.Data("items", rows=100_000, dimensions=384, clusters=200)
_MORE = vector_data.Data("items", rows=300_000, dimensions=384, clusters=200)
_MANY = vector_data.Data("items", rows=1_000_000, dimensions=384, clusters=200)
_TABLE = "CREATE TABLE items (id bigint PRIMARY KEY, content text, embedding vector({}))"
_TOML = """
[collections.items]
table = "items"
key = "id"
embedding = "embedding"
text = "content"
"""


class Load:
    """A race a format: .npy three times, Parquet, JSON lines, CSV."""

    rounds = 5

    def __init__(self, directory: Path, server: Server) -> None:
        self._parts = (
            _Part(directory, server, _MANY, ("npy",), BAR),
            _Part(directory, server, _MORE, ("npy",)),
            _Part(directory, server, _DATA, ("npy", "parquet", "jsonl", "csv")),
        )

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Run both."""
        return [row for part in self._parts for row in part.measure(place, rounds)]


class _Part:
    """Races with the same vectors."""

    def __init__(
        self,
        directory: Path,
        server: Server,
        data: vector_data.Data,
        formats: Sequence[str],
        bar: float | None = None,
    ) -> None:
        self._directory = directory / "vectors-load"
        self._server = server
        self._data = data
        self._formats = formats
        self._bar = bar

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Make the files, then time each format against the same peer."""
        self._directory.mkdir(exist_ok=True)
        (self._directory / "agentdb.toml").write_text(_TOML)
        vectors = self._data.vectors().astype("f4")
        binary = self._write("items.bin", partial(_binary, vectors))
        formats: dict[str, Callable[[Path], object]] = {
            "npy": lambda path: np.save(path, vectors),
            "parquet": partial(_parquet, vectors),
            "jsonl": partial(_text, vectors, '{{"id": {}, "embedding": {}}}\n', ""),
            "csv": partial(_text, vectors, '{},"{}"\n', "id,embedding\n"),
        }
        self._server.recreate(_DATABASE)
        with self._server.connect(_DATABASE) as connection:
            connection.execute("CREATE EXTENSION vector")
        rows: list[Row] = []
        for name in self._formats:
            file = self._write(f"items.{name}", formats[name])
            rows += self._race(name, file, binary, rounds).measure(place, rounds)
            file.unlink()
        binary.unlink()
        return rows

    def _race(self, name: str, file: Path, binary: Path, rounds: int) -> Race:
        url = self._server.url(_DATABASE)
        toml = str(self._directory / "agentdb.toml")
        copy = f"\\copy items (id, embedding) from '{binary}' (format binary)"
        return Race(
            f"vectors-load {name} {self._data.rows // 1000}k",
            self._contender(
                "agentdb",
                [agentdb(), "vectors", "load", str(file), "-d", url, "--config", toml, "-q"],
            ),
            (
                Peer(
                    "psql \\copy",
                    self._contender("psql", [embedded().program("psql"), url, "-qc", copy]),
                    self._bar,
                ),
            ),
            rounds,
        )

    def _contender(self, name: str, command: list[str]) -> Contender:
        def prepare() -> None:
            with self._server.connect(_DATABASE) as connection:
                connection.execute("DROP TABLE IF EXISTS items")
                connection.execute(_TABLE.format(self._data.dimensions).encode())
                connection.execute("CHECKPOINT")

        def verify() -> None:
            with self._server.connect(_DATABASE) as connection:
                found = connection.execute("SELECT count(embedding) FROM items").fetchone()
            if found != (self._data.rows,):
                raise NotMeasured(f"{found} rows loaded")

        return Contender(name, command, prepare, verify)

    def _write(self, name: str, write: Callable[[Path], object]) -> Path:
        path = self._directory / name
        tell(f"vectors-load: writing {name}")
        write(path)
        return path


def _binary(vectors: np.ndarray, path: Path) -> None:
    """COPY's binary format: ready to be sent."""
    count, dimensions = vectors.shape
    kind = np.dtype(
        [("fields", ">i2"), ("key_size", ">i4"), ("key", ">i8"), ("size", ">i4"),
         ("dimensions", ">i2"), ("unused", ">i2"), ("values", ">f4", (dimensions,))]
    )  # fmt: skip
    rows = np.zeros(count, kind)
    rows["fields"], rows["key_size"], rows["key"] = 2, 8, np.arange(1, count + 1)
    rows["size"], rows["dimensions"], rows["values"] = 4 + 4 * dimensions, dimensions, vectors
    head = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
    path.write_bytes(head + rows.tobytes() + struct.pack(">h", -1))


def _parquet(vectors: np.ndarray, path: Path) -> None:
    count, dimensions = vectors.shape
    column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), dimensions)
    table = arrow.table(
        {"id": arrow.array(range(1, count + 1), arrow.int64()), "embedding": column}
    )
    parquet.write_table(table, path)


def _text(vectors: np.ndarray, line: str, head: str, path: Path) -> None:
    with path.open("w") as file:
        file.write(head)
        for number, row in enumerate(vectors, 1):
            file.write(line.format(number, f"[{','.join(f'{value:.9g}' for value in row)}]"))
