"""What writes rows of a file, and how they are sent."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from types import TracebackType
from typing import Self

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors.load.encode import Bulk, Plan, Row
from agentdb_cli.vectors.load.sources import Bad

_HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TAIL = struct.pack(">h", -1)
_PIECE = 256 * 1024  # bytes of one message; psql sends 8 kB

Send = Callable[[Sequence[Row] | Bulk], None]
"""Sends rows of the plan that it was made for."""


@dataclass(slots=True)
class Counts:
    """What became of the rows of one transaction, or of all of them."""

    inserted: int = 0
    updated: int = 0
    skipped: int = 0

    def add(self, other: Counts) -> None:
        """Add those of another transaction."""
        self.inserted += other.inserted
        self.updated += other.updated
        self.skipped += other.skipped


class Writer(ABC):
    """Writes the rows of one transaction, which its user begins and ends.

    Attributes:
        counts: what became of them.
    """

    def __init__(self) -> None:
        self.counts = Counts()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the connection fit for the end of the transaction."""
        return

    @abstractmethod
    def write(self, rows: Sequence[Row] | Bulk, bad: list[Bad]) -> list[Bad]:
        """Send the rows of a block.

        Args:
            bad: its others.

        Returns:
            All bad ones: with those that the server refused, if that is to be forgiven.
        """

    @abstractmethod
    def finish(self) -> None:
        """Have all rows in their place."""


@contextmanager
def copying(connection: Connection, table: str, plan: Plan) -> Iterator[Send]:
    """A binary COPY that is open, and ends as the block of its user does.

    Args:
        table: as SQL.

    Raises:
        psycopg.Error: the server refuses a row: when it is sent, or much later.
    """
    names = ", ".join(column.quoted for column in plan.columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT binary)".encode()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEAD)
        yield partial(_send, copy)
        copy.write(_TAIL)


def _send(copy: psycopg.Copy, rows: Sequence[Row] | Bulk) -> None:
    content = memoryview(
        rows.content
        if isinstance(rows, Bulk)
        else b"".join(chain.from_iterable(row.parts for row in rows))
    )
    for start in range(0, len(content), _PIECE):
        copy.write(content[start : start + _PIECE])


def by_plan(rows: Sequence[Row]) -> list[tuple[Plan, list[Row]]]:
    """Rows that have the same fields, together."""
    ordered = sorted(rows, key=lambda row: id(row.plan))
    return [(plan, list(group)) for plan, group in groupby(ordered, key=lambda row: row.plan)]
