"""Parquet files of vectors: the embedding a list of 4-byte floats, numbers and times typed."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.vectors.collections import Located

_ROWS = 2500  # of a row group, and in memory at a time


def write(
    connection: Connection,
    located: Located,
    columns: Sequence[str],
    condition: str,
    file: BinaryIO,
    progress: Callable[[int], None],
) -> int:
    """Write rows in the order of their keys; returns how many they are.

    Args:
        columns: by name.
        condition: `WHERE …`, or nothing.

    Raises:
        AgentdbError: pyarrow is not installed.
    """
    try:
        import pyarrow as arrow  # type: ignore[import-untyped]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ImportError:
        raise AgentdbError(
            "Parquet needs the package pyarrow", hint='pip install "agentdb-cli[parquet]"'
        ) from None
    types = [_type(located, name) for name in columns]
    schema = arrow.schema(list(zip(columns, types, strict=True)))
    names = ", ".join(_value(located, name) for name in columns)
    key = identifier(located.collection.key)
    text = f"SELECT {names} FROM {located.quoted} AS t {condition} ORDER BY t.{key}"  # noqa: S608
    count = 0
    with (
        parquet.ParquetWriter(arrow.PythonFile(file, mode="w"), schema, compression="zstd") as made,
        connection.transaction(),
        connection.cursor("agentdb_export", binary=True) as cursor,
    ):
        cursor.execute(text.encode())
        while rows := cursor.fetchmany(_ROWS):
            values = zip(*rows, strict=True)
            arrays = [_array(value, kind) for value, kind in zip(values, types, strict=True)]
            made.write_batch(arrow.record_batch(arrays, schema=schema))
            count += len(rows)
            progress(count)
    return count


def _type(located: Located, name: str) -> Any:
    import pyarrow as arrow

    if name == located.collection.embedding and located.type in ("vector", "halfvec"):
        return arrow.list_(arrow.float32())
    known = {
        "bool": arrow.bool_(),
        "int2": arrow.int16(),
        "int4": arrow.int32(),
        "int8": arrow.int64(),
        "float4": arrow.float32(),
        "float8": arrow.float64(),
        "date": arrow.date32(),
        "timestamp": arrow.timestamp("us"),
        "timestamptz": arrow.timestamp("us", tz="UTC"),
    }
    return known.get(located.columns[name].base, arrow.string())


def _value(located: Located, name: str) -> str:
    import pyarrow as arrow

    kind = _type(located, name)
    if arrow.types.is_list(kind):
        return f"t.{identifier(name)}::{located.cast('vector')}"
    cast = "::text" if arrow.types.is_string(kind) else ""
    return f"t.{identifier(name)}{cast}"


def _array(values: Sequence[Any], kind: Any) -> Any:
    import pyarrow as arrow

    if not arrow.types.is_list(kind):
        return arrow.array(values, kind)
    # pgvector's binary form: the dimensions, two bytes of nothing, big-endian floats.
    floats: array[float] = array("f", b"".join(value[4:] for value in values if value is not None))
    if sys.byteorder == "little":
        floats.byteswap()
    ends = [0]
    for value in values:
        ends.append(ends[-1] + (0 if value is None else (len(value) - 4) // 4))
    offsets = arrow.array(
        [None if value is None else end for value, end in zip((*values, b""), ends, strict=True)],
        arrow.int32(),
    )
    content = arrow.Array.from_buffers(
        arrow.float32(), len(floats), [None, arrow.py_buffer(floats)]
    )
    return arrow.ListArray.from_arrays(offsets, content)
