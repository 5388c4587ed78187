"""Parquet: rows as Arrow columns, and back. Imported only when a part is kept so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow  # type: ignore[import-untyped]
from pyarrow import csv, parquet

from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive.columns import Column, decimal_digits
from agentdb_cli.retention.archive.files import PartFile

_ROW_GROUP = 4 * 2**20  # bytes in memory before compression
_BATCH = 10_000  # rows in memory at a time when reading

# Arrow's own allocator keeps what it has had: 25 MB more at the peak, and no faster here.
pyarrow.set_memory_pool(pyarrow.system_memory_pool())

_TYPES = {
    "bool": pyarrow.bool_(),
    "int2": pyarrow.int16(),
    "int4": pyarrow.int32(),
    "int8": pyarrow.int64(),
    "float4": pyarrow.float32(),
    "float8": pyarrow.float64(),
    "timestamp": pyarrow.timestamp("us"),
    "timestamptz": pyarrow.timestamp("us", tz="UTC"),
    "date": pyarrow.date32(),
}


class ParquetEncoder:
    """Writes a part in row groups, each as it fills."""

    def __init__(self, file: PartFile, columns: Sequence[Column]) -> None:
        self._schema = pyarrow.schema([(c.name, _arrow_type(c)) for c in columns])
        # Times arrive as whole numbers, see columns._for_arrow.
        self._read = {field.name: _counted_in(field.type) for field in self._schema}
        self._batches: list[pyarrow.RecordBatch] = []
        self._held = 0
        self._writer = parquet.ParquetWriter(
            pyarrow.PythonFile(file, mode="w"), self._schema, compression="zstd"
        )

    def write(self, rows: bytes) -> None:
        """Append whole rows.

        Raises:
            AgentdbError: a value has no place in its Arrow type, such as a numeric NaN.
        """
        try:
            table = self._parsed(rows)
        except pyarrow.ArrowInvalid as error:
            raise AgentdbError(
                f"a row cannot be kept as Parquet: {error}",
                hint="csv and jsonl hold every value that PostgreSQL has",
            ) from None
        self._batches += table.to_batches()
        self._held += table.nbytes
        if self._held >= _ROW_GROUP:
            self._write_group()

    def _parsed(self, rows: bytes) -> pyarrow.Table:
        table = csv.read_csv(
            pyarrow.BufferReader(rows),
            csv.ReadOptions(
                use_threads=False,
                block_size=len(rows) + 1,  # a row may not lie across two blocks
                column_names=list(self._read),
            ),
            csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=self._read,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return table.cast(self._schema)

    def _write_group(self) -> None:
        table = pyarrow.Table.from_batches(self._batches, self._schema)
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._batches, self._held = [], 0

    def finish(self) -> None:
        """Write the last row group and the index."""
        if self._batches:
            self._write_group()
        self._writer.close()


def count(path: Path) -> int:
    """How many rows a file has."""
    return int(parquet.read_metadata(path).num_rows)


def blocks(path: Path) -> Iterator[bytes]:
    """The rows as CSV, a block at a time."""
    options = csv.WriteOptions(include_header=False)
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, use_threads=False):
            sink = pyarrow.BufferOutputStream()
            csv.write_csv(_as_text(batch), sink, options)
            yield sink.getvalue().to_pybytes()


def _as_text(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """Every column as text, times as whole numbers: the server reads these as it likes."""
    arrays = [array.cast(_counted_in(array.type)).cast(pyarrow.string()) for array in batch.columns]
    return pyarrow.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _arrow_type(column: Column) -> pyarrow.DataType:
    """What a column is in Arrow; a string unless its type maps exactly."""
    if digits := decimal_digits(column):
        return pyarrow.decimal128(*digits)
    return _TYPES.get(column.builtin, pyarrow.string())


def _counted_in(type: pyarrow.DataType) -> pyarrow.DataType:
    """The type itself; for times, that of their microseconds or days."""
    if pyarrow.types.is_timestamp(type):
        return pyarrow.int64()
    return pyarrow.int32() if pyarrow.types.is_date32(type) else type
