"""Parquet files, read a group of rows at a time."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

from agentdb_cli.errors import AgentdbError
from agentdb_cli.vectors.load.matrix import Matrix, big_endian
from agentdb_cli.vectors.load.sources import Block, Columns, Values

_ROW = 1600  # bytes, if nobody knows better: a vector of 384 dimensions and its key


def read(
    file: BinaryIO, name: str, piped: bool, block: int
) -> tuple[tuple[str, ...], Iterator[Block]]:
    """The names of a file's columns, and its rows.

    Args:
        piped: the file cannot be read from its end, where Parquet's description stands.
        block: bytes that are read at once, roughly.

    Raises:
        AgentdbError: pyarrow is not installed, or the file is no Parquet.
    """
    try:
        import pyarrow as arrow  # type: ignore[import-untyped]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ImportError:
        raise AgentdbError(
            "Parquet needs the package pyarrow", hint='pip install "agentdb-cli[parquet]"'
        ) from None
    if piped:
        file = _spooled(file)
    try:
        found = parquet.ParquetFile(file)
    except arrow.ArrowException:
        raise AgentdbError(f"{name} is no Parquet file") from None
    return tuple(found.schema_arrow.names), _blocks(found, name, block)


def _spooled(file: BinaryIO) -> BinaryIO:
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (gone with the process)
    while block := file.read(1 << 20):
        spool.write(block)
    spool.seek(0)
    return spool


def _blocks(found: Any, name: str, block: int) -> Iterator[Block]:
    import pyarrow as arrow

    number, total = 0, found.metadata.num_rows
    size = sum(found.metadata.row_group(n).total_byte_size for n in range(found.num_row_groups))
    try:
        for batch in found.iter_batches(max(block // _ROW, 1), use_threads=False):
            columns = tuple(_values(column) for column in batch.columns)
            names = tuple(batch.schema.names)
            found_here = Columns(number + 1, names, columns)
            number += len(batch)
            yield found_here, size * number // max(total, 1)
    except arrow.ArrowException as error:
        raise AgentdbError(f"{name}, behind row {number:,}: {error}") from None


def _values(column: Any) -> Values:
    """A column's values; lists of 4-byte floats without NULLs as their big-endian bytes."""
    import pyarrow as arrow

    kind = column.type
    fixed = arrow.types.is_fixed_size_list(kind)
    if not (fixed or arrow.types.is_list(kind)) or not arrow.types.is_float32(kind.value_type):
        return list(column.to_pylist())
    flat = column.flatten()  # of this batch alone, NULLs left out
    if flat.null_count or column.null_count or not len(flat):
        return list(column.to_pylist())
    values: array[float] = array("f")
    # The buffer may hold more than this slice of it.
    buffer = flat.buffers()[1]
    if buffer is not None:
        values.frombytes(memoryview(buffer)[flat.offset * 4 : (flat.offset + len(flat)) * 4])
    content = memoryview(big_endian(values)).cast("B")
    lengths = [kind.list_size] if fixed else column.value_lengths().to_pylist()
    if len(set(lengths)) == 1:
        return Matrix(content, lengths[0])
    rows, place = [], 0
    for length in lengths:
        rows.append(content[place : place + 4 * length])
        place += 4 * length
    return rows
