"""Many queries in one round trip, each a transaction of its own.

By libpq's pipeline mode directly: psycopg's own stops at the first error.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from agentdb_cli.errors import ServerDown
from agentdb_cli.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Table:
    """What a query returned, each cell as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]


Answer = Table | psycopg.Error
"""What a query returned, or why there is nothing."""

Row = tuple[str | None, ...] | psycopg.Error
"""The first row of a query, each cell as text, or why there is none."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the server said.

    Attributes:
        tables: an answer for each query, in their order.
        first_at: when the first one arrived, by `time.monotonic`.
    """

    tables: tuple[Answer, ...]
    first_at: float

    @property
    def rows(self) -> tuple[Row, ...]:
        """The first row of each answer."""
        return tuple(
            answer if isinstance(answer, psycopg.Error) else (*answer.rows, (None, "no row"))[0]
            for answer in self.tables
        )


def ask(connection: Connection, texts: Sequence[str], *, timeout: float, started: float) -> Answers:
    """Send all queries at once.

    If only some are answered in time, the others get an error each, and the
    connection is closed.

    Args:
        timeout: seconds from `started` on until what has not come is given up.
        started: a moment of `time.monotonic`.

    Raises:
        ServerDown: the server ended the session.
        TimeoutError: no answer at all.
    """
    arrived: list[tuple[float, PGresult]] = []
    connection.pgconn.enter_pipeline_mode()
    try:
        exchange = _exchange(connection.pgconn, texts, arrived)
        connection.wait(_bounded(exchange, started + timeout))
    except psycopg.OperationalError:
        raise ServerDown("the server ended the session") from None
    except TimeoutError:
        connection.close()
        said = f"no answer within {timeout:g} s"
        if not arrived:
            raise TimeoutError(said) from None
        late = psycopg.OperationalError(said)
        missing = [late] * (len(texts) - len(arrived))
        return Answers((*(_answer(result) for _, result in arrived), *missing), arrived[0][0])
    connection.pgconn.exit_pipeline_mode()
    return Answers(tuple(_answer(result) for _, result in arrived), arrived[0][0])


def _exchange(
    pgconn: PGconn, texts: Sequence[str], arrived: list[tuple[float, PGresult]]
) -> Generator[Any, Any, None]:
    """Send queries with a synchronisation point after each, and add one result of each."""
    for text in texts:
        pgconn.send_query_params(text.encode(), None)
        pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    for _ in texts:
        found = yield from generators.fetch_many(pgconn)
        arrived.append((time.monotonic(), found[-1]))
        yield from generators.fetch(pgconn)  # the synchronisation point


def _answer(result: Any) -> Answer:
    if result.status != ExecStatus.TUPLES_OK:
        return psycopg.errors.error_from_result(result)
    columns = range(result.nfields)
    return Table(
        tuple(str((result.fname(column) or b"").decode()) for column in columns),
        tuple(
            tuple(_text(result.get_value(row, column)) for column in columns)
            for row in range(result.ntuples)
        ),
    )


def _text(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode()


def _bounded(generator: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    """A psycopg generator that gives up at a moment of `time.monotonic`."""
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise TimeoutError
            wanted = generator.send(ready)
    except StopIteration as stop:
        return stop.value
