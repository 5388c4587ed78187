"""Writing the rows of a collection to a file, as COPY gives them."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psycopg

from agentdb_cli.durable import sync_directory
from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.vectors.collections import Located

FORMATS = ("jsonl", "csv", "parquet", "npy")
_NPY_HEADER = 128  # bytes, as numpy itself pads it
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns.

    Attributes:
        columns: by name, the key first and the embedding last.
        where: SQL, or None.
    """

    columns: tuple[str, ...]
    where: str | None = None


def selection(located: Located, columns: Sequence[str], where: str | None) -> Selection:
    """The columns that were named, or all that can be loaded again.

    Raises:
        SettingsError: there is no such column.
    """
    key, embedding = located.collection.key, located.collection.embedding
    for name in columns:
        if name not in located.columns:
            raise SettingsError(
                f"{located.name} has no column '{name}'{nearest(name, located.columns)}",
                hint=f"columns: {', '.join(located.columns)}",
            )
    chosen = columns or [
        name for name, column in located.columns.items() if not column.generated or name == key
    ]
    others = [name for name in dict.fromkeys(chosen) if name not in (key, embedding)]
    return Selection((key, *others, embedding), where)


def export(
    connection: Connection,
    located: Located,
    chosen: Selection,
    format: str,
    file: BinaryIO,
    keys: BinaryIO | None,
    progress: Callable[[int], None],
) -> int:
    """Write the rows, and return how many they are.

    Args:
        keys: of .npy, where the keys go, a line each.
        progress: told how many rows are written.

    Raises:
        AgentdbError: the server refuses the condition, or pyarrow is not there.
    """
    if format == "jsonl":
        return _text(connection, _json_rows(located, chosen), "", file, progress, _json_line)
    if format == "csv":
        options = " (FORMAT csv, HEADER)"
        return _text(connection, _rows(located, chosen), options, file, progress, None)
    if format == "parquet":
        from agentdb_cli.vectors.export_parquet import write

        with _refusing():
            return write(connection, located, chosen.columns, _where(chosen), file, progress)
    assert keys is not None
    return _npy(connection, located, chosen, file, keys, progress)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole and on disk; without that nothing is left.

    Raises:
        AgentdbError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            raise AgentdbError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def _where(chosen: Selection) -> str:
    # On a line of its own: it may end in a comment.
    return f" WHERE (\n{chosen.where}\n)" if chosen.where else ""


def _rows(located: Located, chosen: Selection) -> str:
    names = ", ".join(f"t.{identifier(name)}" for name in chosen.columns)
    key = identifier(located.collection.key)
    return f"SELECT {names} FROM {located.quoted} AS t{_where(chosen)} ORDER BY t.{key}"  # noqa: S608


def _json_rows(located: Located, chosen: Selection) -> str:
    pairs = []
    for name in chosen.columns:
        value = f"t.{identifier(name)}"
        if name == located.collection.embedding and located.type in ("vector", "halfvec"):
            value = f"{value}::text::json"  # a list, as every other program writes it
        pairs.append(f"{literal(name)}, {value}")
    key = identifier(located.collection.key)
    return (
        f"SELECT pg_catalog.json_build_object({', '.join(pairs)})"  # noqa: S608
        f" FROM {located.quoted} AS t{_where(chosen)} ORDER BY t.{key}"
    )


def _json_line(line: bytes) -> bytes:
    """A line of COPY's text format without its escapes: JSON itself has no others than these."""
    return line.replace(b"\\\\", b"\\")


def _text(
    connection: Connection,
    rows: str,
    options: str,
    file: BinaryIO,
    progress: Callable[[int], None],
    turn: Callable[[bytes], bytes] | None,
) -> int:
    held: list[bytes] = []
    size = count = 0
    cursor = connection.cursor()
    with _refusing(), cursor.copy(f"COPY ({rows}) TO STDOUT{options}".encode()) as copy:
        for block in copy:
            line = bytes(block)
            held.append(line if turn is None else turn(line))
            size += len(line)
            count += 1
            if size > _BLOCK:
                file.write(b"".join(held))
                progress(count)
                held, size = [], 0
    file.write(b"".join(held))
    return cursor.rowcount if cursor.rowcount >= 0 else count


def _npy(
    connection: Connection,
    located: Located,
    chosen: Selection,
    file: BinaryIO,
    keys: BinaryIO,
    progress: Callable[[int], None],
) -> int:
    key, embedding = identifier(located.collection.key), located.embedding.quoted
    condition = f"({chosen.where}\n) AND " if chosen.where else ""
    text = (
        f"COPY (SELECT t.{key}::text, t.{embedding}::{located.cast('vector')} FROM"  # noqa: S608
        f" {located.quoted} AS t WHERE {condition}t.{embedding} IS NOT NULL ORDER BY t.{key})"
        " TO STDOUT (FORMAT binary)"
    )
    file.write(b"\0" * _NPY_HEADER)
    count, width = 0, None
    with _refusing(), connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
        for block in copy:
            found = _pair(memoryview(block))
            if found is None:
                continue
            name, floats = found
            width = len(floats) if width is None else width
            if len(floats) != width:
                raise AgentdbError(
                    f"{located.name}: embeddings of {width // 4:,} and of {len(floats) // 4:,}"
                    " dimensions do not fit into one .npy file"
                )
            file.write(floats)
            keys.write(_key_line(name))
            count += 1
            if count % 1000 == 0:
                progress(count)
    file.seek(0)
    file.write(_header(count, (width or 4 * (located.dimensions or 0)) // 4))
    return count


def _pair(row: memoryview) -> tuple[str, memoryview] | None:
    """Key and floats of a row in COPY's binary format; None for its head and end."""
    if bytes(row[:11]) == b"PGCOPY\n\xff\r\n\0":
        row = row[19:]
    if len(row) < 6 or struct.unpack_from(">h", row)[0] != 2:
        return None
    (length,) = struct.unpack_from(">i", row, 2)
    # Behind the key: the length, the dimensions, two bytes of nothing, the floats.
    return bytes(row[6 : 6 + length]).decode(), row[6 + length + 8 :]


def _key_line(key: str) -> bytes:
    plain = key.isprintable() and not key.startswith('"') and key.strip() == key
    return f"{key if plain else json.dumps(key)}\n".encode()


def _header(rows: int, width: int) -> bytes:
    """As numpy.lib.format describes version 1.0."""
    text = f"{{'descr': '>f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}"
    filled = text.ljust(_NPY_HEADER - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(filled)) + filled.encode("latin-1")


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.SyntaxError as error:
        raise AgentdbError(
            f"the server cannot read the statement: {error.diag.message_primary}",
            hint='--where holds a condition in SQL, such as "agent_id = 1"',
        ) from None
