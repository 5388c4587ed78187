"""All rows in one COPY: the quickest way where none of them is expected to be there already.

It leaves to the server what `careful` looks after: keys that are there, and values that only the
server finds fault with. Of a row that it refuses nothing more is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.load.encode import Bulk, Plan, Row
from agentdb_cli.vectors.load.sources import Bad
from agentdb_cli.vectors.load.write import Send, Writer, by_plan, copying


class Refused(Exception):
    """These rows cannot be written like this."""


def suits(connection: Connection, located: Located, on_conflict: str) -> bool:
    """Whether to try it.

    The server has to look after the keys, none of them should be there, and it must not matter
    how long one statement takes.
    """
    if not located.columns[located.collection.key].unique:
        return False
    empty = f"NOT EXISTS (SELECT FROM {located.quoted})"
    unhurried = "pg_catalog.current_setting('statement_timeout') = '0'"
    condition = unhurried if on_conflict == "error" else f"{unhurried} AND {empty}"
    return connection.execute(f"SELECT WHERE {condition}".encode()).fetchone() is not None


class AtOnce(Writer):
    """Writes all rows of one plan by one COPY."""

    def __init__(self, connection: Connection, located: Located) -> None:
        super().__init__()
        self._connection = connection
        self._located = located
        self._plan: Plan | None = None
        self._open = ExitStack()
        self._send: Send = lambda _: None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    def write(self, rows: Sequence[Row] | Bulk, bad: list[Bad]) -> list[Bad]:
        """Send the rows of a block.

        Raises:
            Refused: one is bad, or the server says so of one, or of one of those before.
        """
        if bad:
            raise Refused  # there may be others, further up, that the server has yet to find
        groups = [(rows.plan, rows)] if isinstance(rows, Bulk) else by_plan(rows)
        for plan, group in groups:
            if plan is not self._plan:
                self._begin(plan)
            try:
                self._send(group)
            except (psycopg.DataError, psycopg.IntegrityError):
                raise Refused from None
            self.counts.inserted += len(group)
        return bad

    def finish(self) -> None:
        """Wait until the server has all rows.

        Raises:
            Refused: it does not take one of them.
        """
        try:
            self._open.close()
        except (psycopg.DataError, psycopg.IntegrityError):
            raise Refused from None

    def _begin(self, plan: Plan) -> None:
        if plan.casts:
            raise Refused
        self.finish()
        table = self._located.quoted
        self._send = self._open.enter_context(copying(self._connection, table, plan))
        self._plan = plan
