"""COPY TO STDOUT in blocks of whole rows.

psycopg's Copy hands out a row at a time through its event loop, 2.8 s for a million
rows; many rows at a turn halve that, and Ctrl-C still ends the wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.waiting import Ready, Wait

from agentdb_cli.postgres.connect import Connection

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

_BLOCK = 128 * 1024  # bytes; a larger one takes memory and gains nothing
_CANCEL = 5.0  # seconds for the server to take note

Waiting = Generator[Wait, Ready | int, bytes]


def copy_out(connection: Connection, statement: str, take: Callable[[bytes], None]) -> int:
    """Run `COPY … TO STDOUT` and hand over its rows.

    Args:
        statement: sent as it is, without parameters.
        take: called with one or more whole rows.

    Returns:
        How many rows the server counted.

    Raises:
        psycopg.Error: the statement failed; `take` may have had rows of it.
    """
    finished: list[PGresult] = []
    try:
        with connection.cursor() as cursor, cursor.copy(statement.encode()):
            while not finished:
                if block := connection.wait(_block(connection.pgconn, finished)):
                    take(block)
    except BaseException:
        _end_early(connection)
        raise
    if finished[0].status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(finished[0])
    return finished[0].command_tuples or 0


def _end_early(connection: Connection) -> None:
    """Leave the connection ready for ROLLBACK.

    psycopg cancels a COPY whose block fails, but leaves one open that Ctrl-C met before
    its first row.
    """
    finished: list[PGresult] = []
    if connection.info.transaction_status is not TransactionStatus.ACTIVE:
        return
    try:
        connection.cancel_safe(timeout=_CANCEL)
        while not finished:
            connection.wait(_block(connection.pgconn, finished))
    except psycopg.Error:
        connection.close()


def _block(pgconn: PGconn, finished: list[PGresult]) -> Waiting:
    rows: list[memoryview] = []
    size = 0
    while size < _BLOCK:
        length, row = pgconn.get_copy_data(1)
        if length > 0:
            rows.append(row)
            size += length
        elif length < 0:
            yield from _end(pgconn, finished)
            break
        else:
            yield from _readable()
            pgconn.consume_input()
    return b"".join(rows)


def _end(pgconn: PGconn, finished: list[PGresult]) -> Waiting:
    """Wait for the statement to end: triggers and foreign keys come after the last row."""
    while True:
        pgconn.consume_input()
        while pgconn.is_busy():
            yield from _readable()
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return b""
        finished.append(result)


def _readable() -> Waiting:
    """Until the server has sent something; psycopg comes back without when time is up."""
    while not (yield Wait.R):
        pass
    return b""
