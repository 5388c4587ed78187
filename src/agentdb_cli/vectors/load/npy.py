"""numpy's .npy files, read without numpy.

Format: numpy.lib.format: magic, version, length of the header, the header as a Python literal.
"""

from __future__ import annotations

import ast
import itertools
import struct
import sys
from array import array
from collections.abc import Iterator
from typing import BinaryIO

from agentdb_cli.errors import AgentdbError
from agentdb_cli.vectors.load.matrix import Matrix, big_endian
from agentdb_cli.vectors.load.sources import Block, Columns

_CODES = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B"}


def read(
    file: BinaryIO, name: str, key: str, embedding: str, keys: Iterator[str] | None, block: int
) -> Iterator[Block]:
    """The rows of a two-dimensional array.

    Args:
        keys: a key a row; without them a row's key is its number, from 1 on.
        block: bytes of floats that are read at once.

    Raises:
        AgentdbError: it is no such array, or it ends before its last row.
    """
    rows, width, code, big = _header(file, name)
    return _blocks(file, name, rows, width, code, big, key, embedding, keys, block)


def _header(file: BinaryIO, name: str) -> tuple[int, int, str, bool]:
    """Rows, columns, the code of struct of a value, and whether it is big-endian."""
    if file.read(6) != b"\x93NUMPY":
        raise AgentdbError(f"{name} is no .npy file")
    major = file.read(2)[0]
    length = struct.unpack("<H", file.read(2)) if major == 1 else struct.unpack("<I", file.read(4))
    try:
        header = ast.literal_eval(file.read(length[0]).decode("latin-1"))
        descr, shape = header["descr"], header["shape"]
        order, code = descr[0], _CODES.get(descr[1:])
    except (ValueError, SyntaxError, KeyError, TypeError, IndexError):
        raise AgentdbError(f"{name}: the header of the .npy file cannot be read") from None
    if len(shape) != 2 or not shape[1] or code is None or header["fortran_order"]:
        form = " × ".join(map(str, shape)) or "a single value"
        by = ", columns first" if header["fortran_order"] else ""
        raise AgentdbError(
            f"{name} holds {form} of {descr}{by}",
            hint="rows of numbers are wanted: numpy.save(file, numpy.ascontiguousarray(array))",
        )
    return shape[0], shape[1], code, order == ">"


def _blocks(
    file: BinaryIO,
    name: str,
    rows: int,
    width: int,
    code: str,
    big: bool,
    key: str,
    embedding: str,
    keys: Iterator[str] | None,
    block: int,
) -> Iterator[Block]:
    size = struct.calcsize(f"={code}") * width
    at_once = max(block // max(4 * width, 1), 1)
    found: Iterator[object] = itertools.count(1) if keys is None else keys
    for start in range(0, rows, at_once):
        count = min(at_once, rows - start)
        floats = _floats(file, count * width, code, big)
        if len(floats) < count * width:
            row = start + len(floats) // max(width, 1) + 1
            raise AgentdbError(f"{name} ends in row {row:,} of {rows:,}")
        vectors = Matrix(memoryview(floats).cast("B"), width)
        of_these = list(itertools.islice(found, count))
        if len(of_these) < count:
            raise AgentdbError(
                f"{name} has {rows:,} rows, and there are keys for {start + len(of_these):,}"
            )
        yield Columns(start + 1, (key, embedding), (of_these, vectors)), (start + count) * size
    if keys is not None and next(keys, None) is not None:
        raise AgentdbError(f"{name} has {rows:,} rows, and there are more keys")


def _floats(file: BinaryIO, count: int, code: str, big: bool) -> array[float]:
    """The next numbers as big-endian floats of 4 bytes; fewer if there are not so many."""
    if code == "e":  # which array does not know
        content = file.read(2 * count)
        order, whole = ">" if big else "<", len(content) // 2
        return big_endian(array("f", struct.unpack_from(f"{order}{whole}e", content)))
    values: array[float] = array(code)
    values.frombytes(bytes(values.itemsize))
    values *= count
    read = file.readinto(memoryview(values).cast("B"))  # type: ignore[attr-defined]
    del values[read // values.itemsize :]
    if code == "f" and big:
        return values
    if big != (sys.byteorder == "big"):
        values.byteswap()
    return big_endian(values if code == "f" else array("f", values))
