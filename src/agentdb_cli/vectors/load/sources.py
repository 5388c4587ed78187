"""Files of vectors, read row by row: JSON lines, CSV, Parquet and numpy's .npy.

Each gives blocks of raw rows: the row's number, and its fields by name or why it cannot be read.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.vectors.load.matrix import Matrix

FORMATS = ("jsonl", "csv", "parquet", "npy")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv",
             ".parquet": "parquet", ".pq": "parquet", ".npy": "npy"}  # fmt: skip

BLOCK = 4 * 1024**2
"""Bytes of a file that are read, sent and looked up together: some 2,500 vectors of 384."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that cannot be loaded: its number, why, and what there is of it."""

    number: int
    reason: str
    row: object


class Raw(NamedTuple):
    """A row as its file has it.

    Attributes:
        number: of the line (JSON lines, CSV) or of the row, from 1 on.
        fields: by name; an embedding may be a view on big-endian 4-byte floats.
    """

    number: int
    fields: dict[str, object]


Values = Sequence[object] | Matrix
"""Of a column, all of them."""


class Columns(NamedTuple):
    """Rows of a file that has them by columns.

    Attributes:
        number: of the first row.
        names: of the columns.
        values: of each column, as many as there are rows.
    """

    number: int
    names: tuple[str, ...]
    values: tuple[Values, ...]

    def rows(self) -> list[Raw]:
        """The same, row by row."""
        return [
            Raw(number, dict(zip(self.names, row, strict=True)))
            for number, row in enumerate(zip(*self.values, strict=True), self.number)
        ]


Block = tuple[list[Raw | Bad] | Columns, int]
"""Rows, and how many bytes of the file have been read so far."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is open.

    Attributes:
        fields: the names of all fields, or None where every row has its own.
        size: bytes, 0 if nobody knows.
    """

    fields: tuple[str, ...] | None
    size: int
    blocks: Iterator[Block]


@dataclass(frozen=True, slots=True)
class File:
    """A file to be read.

    Attributes:
        path: `-` for stdin.
        format: one of FORMATS.
        keys: a file with a key a line, for .npy.
    """

    path: str
    format: str
    keys: Path | None = None

    def __post_init__(self) -> None:
        if self.keys is not None and self.format != "npy":
            raise SettingsError("--keys is for .npy files, which have no keys of their own")

    @property
    def name(self) -> str:
        """For messages."""
        return "stdin" if self.path == "-" else self.path

    @property
    def unit(self) -> str:
        """What a row's number counts."""
        return "line" if self.format in ("jsonl", "csv") else "row"

    @property
    def lasting(self) -> bool:
        """Whether it can be read twice: a pipe cannot."""
        paths = [Path(self.path), *([self.keys] if self.keys else [])]
        return self.path != "-" and all(path.is_file() for path in paths)

    @contextmanager
    def opened(self, key: str, embedding: str, block: int = BLOCK) -> Iterator[Source]:
        """Open it.

        Args:
            key, embedding: the columns that a .npy file's rows go to, which has no names.
            block: bytes of a block, roughly.

        Raises:
            AgentdbError: it cannot be read, or has another format.
        """
        piped = self.path == "-"
        # stdin may never end: to close it would be to wait for the thread that reads it.
        with nullcontext(_stdin()) if piped else _file(self.path) as file:
            size = 0 if piped else os.fstat(file.fileno()).st_size
            if self.format == "jsonl":
                yield Source(None, size, _json_lines(file, block))
            elif self.format == "csv":
                names, blocks = _csv(file, self.name, block)
                yield Source(names, size, blocks)
            elif self.format == "parquet":
                from agentdb_cli.vectors.load.parquet import read

                names, blocks = read(file, self.name, piped, block)
                yield Source(names, size, blocks)
            else:
                from agentdb_cli.vectors.load.npy import read as read_npy

                with _keys(self.keys) as found:
                    blocks = read_npy(file, self.name, key, embedding, found, block)
                    yield Source((key, embedding), size, blocks)


def format_of(path: str, given: str | None) -> str:
    """The format of a file: as given, or by its name's ending; of stdin JSON lines.

    Raises:
        SettingsError: the name says nothing, or there is no such format.
    """
    if given is not None:
        if given not in FORMATS:
            raise SettingsError(
                f"there is no file format '{given}'", hint=f"formats: {', '.join(FORMATS)}"
            )
        return given
    if path == "-":
        return "jsonl"
    found = _SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise SettingsError(
            f"{path}: its name does not say what format it has",
            hint="--as jsonl, csv, parquet or npy says it",
        )
    return found


def _file(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise AgentdbError(f"there is no file {path}", exit_code=2) from None


def _stdin() -> BinaryIO:
    """stdin with a buffer of its own, which the end of the process does not wait for."""
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


def _json_lines(file: BinaryIO, size: int) -> Iterator[Block]:
    number, done = 0, 0
    while lines := file.readlines(size):
        block: list[Raw | Bad] = []
        for line in lines:
            number += 1
            done += len(line)
            if not line.strip():
                continue
            try:
                row = json.loads(line.rstrip())
            except ValueError as error:
                text = line.decode(errors="replace").rstrip("\n")
                block.append(Bad(number, f"no JSON: {_complaint(error)}", text))
                continue
            if isinstance(row, dict):
                block.append(Raw(number, row))
            else:
                block.append(Bad(number, "no JSON object", row))
        yield block, done


def _complaint(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "no UTF-8"


def _csv(file: BinaryIO, name: str, size: int) -> tuple[tuple[str, ...], Iterator[Block]]:
    csv.field_size_limit(2**31 - 1)  # a vector of 16,000 dimensions is longer than the usual limit
    reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline=""))
    names = tuple(next(reader, ()))
    if not names:
        raise AgentdbError(f"{name} is empty: a CSV file begins with the names of its columns")
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise AgentdbError(f"{name}: two columns are called '{twice}'")
    return names, _csv_rows(reader, names, size)


def _csv_rows(reader: Iterable[list[str]], names: tuple[str, ...], most: int) -> Iterator[Block]:
    block: list[Raw | Bad] = []
    size = done = 0
    line = getattr(reader, "line_num", 1)
    rows = iter(reader)
    while True:
        number = line + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise AgentdbError(f"line {number}: no CSV: {error}") from None
        line = getattr(reader, "line_num", number)
        if row is None:
            break
        if not row:
            continue
        size += sum(map(len, row)) + len(row)
        if len(row) == len(names):
            # As COPY takes it: nothing between two commas is NULL.
            fields = {key: value or None for key, value in zip(names, row, strict=True)}
            block.append(Raw(number, fields))  # type: ignore[arg-type]
        else:
            block.append(Bad(number, f"{len(row)} fields instead of {len(names)}", row))
        if size >= most:
            done += size
            yield block, done
            block, size = [], 0
    yield block, done + size


@contextmanager
def _keys(path: Path | None) -> Iterator[Iterator[str] | None]:
    """The keys of a file, a line each; one that begins with a quote is a JSON string."""
    if path is None:
        yield None
        return
    try:
        file = path.open(encoding="utf-8", newline="\n")
    except FileNotFoundError:
        raise AgentdbError(f"there is no file {path}", exit_code=2) from None
    with file:
        yield (json.loads(line) if line.startswith('"') else line.rstrip("\n") for line in file)
