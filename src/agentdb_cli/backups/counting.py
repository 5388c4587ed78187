"""Counting the rows of tables while they are dumped, and how far that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Event, Thread
from typing import cast

import psycopg

from agentdb_cli.backups.source import Relation
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_LOOK_SECONDS = 1.0
"""Between two looks at how far the dump is."""
_CANCEL_SECONDS = 0.2
"""Until it is tried again: what arrives between two statements cancels neither."""


class Counting:
    """Counts rows beside the dump, in the same snapshot; a context manager.

    Args:
        connection: in the transaction of `snapshot`; nobody else may use it meanwhile.
        tables: those to count.

    Attributes:
        counts: rows by OID, of the tables that were counted so far.
        copied: rows that pg_dump has got so far, by `schema table`; servers before 14 do not
            tell.
    """

    def __init__(self, connection: Connection, tables: Sequence[Relation]) -> None:
        self.counts: dict[int, int] = {}
        self.copied: Mapping[str, int] = {}
        self._connection = connection
        self._tables = tables
        self._ended = Event()
        self._counted: Future[None] = Future()
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        while self._thread.is_alive():
            if not self._counted.done():
                self._connection.cancel_safe(timeout=5)
            self._thread.join(_CANCEL_SECONDS)

    def result(self) -> dict[int, int]:
        """The number of rows of each table, by its OID; waits for it.

        Raises:
            psycopg.Error: a count failed.
        """
        self._counted.result()
        return self.counts

    def _work(self) -> None:
        try:
            for table in self._tables:
                if self._ended.is_set():
                    break
                row = self._connection.execute(
                    f"SELECT pg_catalog.count(*) FROM ONLY {table.quoted}".encode()  # noqa: S608
                ).fetchone()
                self.counts[table.oid] = int(str(row[0])) if row else 0
                self.copied = copied(self._connection)
        except BaseException as error:
            self._counted.set_exception(error)
            return
        self._counted.set_result(None)
        with suppress(psycopg.Error):  # that is the dump's to report
            while not self._ended.wait(_LOOK_SECONDS):
                self.copied = copied(self._connection)


def copied(connection: Connection) -> Mapping[str, int]:
    """How many rows each COPY has got through, by `schema table`; nothing before server 14."""
    if connection.info.server_version < 140_000:
        return {}
    # Within a transaction the server would tell the same each time.
    connection.execute("SELECT pg_catalog.pg_stat_clear_snapshot()")
    rows = connection.execute(query("backups/loading").encode()).fetchall()
    return dict(cast(list[tuple[str, int]], rows))
