"""Running the queries of `sql/agents`: in one snapshot, each allowed to fail by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.monitoring import naming
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.lost import is_lost
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier

STATEMENT_TIMEOUT = "10s"
"""How long one query may take, unless a statement_timeout is set already: a look at a
database in trouble must not add to it."""

_MISSING = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.InvalidSchemaName,
)


@dataclass(frozen=True, slots=True)
class Section:
    """What one query returned.

    Attributes:
        rows: by column; None if it was not run, or failed.
        why: why there are no rows, or None.
        named: whether the pack names what the query needs.
        missing: whether it failed because the database lacks a table or column.
    """

    rows: tuple[dict[str, Any], ...] | None
    why: str | None = None
    named: bool = True
    missing: bool = False

    def only(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Section:
        """The section with some of its rows."""
        if self.rows is None:
            return self
        return Section(tuple(row for row in self.rows if wanted(row)))

    def by_agent(self) -> dict[str, dict[str, Any]] | None:
        """The rows by agent, of whom each has one; None without rows."""
        return None if self.rows is None else {row["agent"]: row for row in self.rows}


@contextmanager
def snapshot(connection: Connection, schema: str | None, lock_timeout: int) -> Iterator[datetime]:
    """A read-only transaction in which all queries see the same moment; yields that moment.

    Args:
        schema: comes before public in the search path.
        lock_timeout: in milliseconds.
    """
    path = f"SET LOCAL search_path = {identifier(schema)}, public;" if schema else ""
    with connection.transaction():
        # Queries over a window are over before their compilation would pay.
        connection.execute(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
            f"SET LOCAL jit = off; SET LOCAL lock_timeout = {lock_timeout}; {path}".encode()
        )
        row = connection.execute(
            "SELECT pg_catalog.now(), CASE WHEN pg_catalog.current_setting('statement_timeout')"
            " = '0' THEN pg_catalog.set_config('statement_timeout', %s, true) END",
            (STATEMENT_TIMEOUT,),
        ).fetchone()
        connection.execute("SAVEPOINT section")
        assert row is not None
        assert isinstance(row[0], datetime)
        yield row[0].astimezone(UTC)


class Reader:
    """Runs the queries with the names of one pack.

    Args:
        catalog: the tables of pack.toml.
        given: further names for the queries.
    """

    def __init__(
        self,
        connection: Connection,
        catalog: Mapping[str, Mapping[str, Any]],
        given: Mapping[str, object],
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._given = given
        self.names = {**_names(catalog), **given}

    def about(self, agent: str) -> Reader:
        """A reader whose queries are about one agent.

        Args:
            agent: its key.
        """
        names = self.names
        calls = "agent_of_call" if "llm_calls.agent_column" in names else "agent_of_conversation"
        about = {**self._given, "agent": agent, calls: agent}
        if not names["calls_have_agents"]:
            about["llm_calls.table"] = None
        return Reader(self._connection, self._catalog, about)

    def read(self, name: str, given: Mapping[str, object] | None = None) -> Section:
        """Run `sql/agents/<name>.sql`.

        Args:
            given: further names for this query alone.

        Raises:
            psycopg.OperationalError: the session has ended.
        """
        text = naming.fill(query(f"agents/{name}"), {**self.names, **(given or {})})
        if text is None:
            return Section(None, "the pack names no such table", named=False)
        try:
            with self._connection.cursor(row_factory=dict_row) as cursor:
                # Never prepared: with --watch it would be, and stay behind in PgBouncer's session.
                found = cursor.execute(text.encode(), prepare=False).fetchall()
                return Section(tuple(map(_in_utc, found)))
        except psycopg.Error as error:
            if is_lost(self._connection, error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT section")
            return Section(None, _why(error), missing=isinstance(error, _MISSING))


def _in_utc(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose times are in UTC, whatever the time zone of the session."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _names(catalog: Mapping[str, Mapping[str, Any]]) -> dict[str, object]:
    """All keys as `table.key`, and what follows from them."""
    names: dict[str, object] = {
        f"{table}.{key}": value for table, keys in catalog.items() for key, value in keys.items()
    }
    # What a call says itself goes before what its conversation says.
    for own, other in (
        ("llm_calls.agent_column", "conversations.agent_column"),
        ("llm_calls.model_column", "conversations.model_column"),
        ("llm_calls.tokens_column", "llm_calls.input_tokens_column"),
    ):
        if own in names:
            names.pop(other, None)
    agents = "llm_calls.agent_column", "conversations.agent_column"
    models = "llm_calls.model_column", "conversations.model_column"
    tokens = "llm_calls.tokens_column", "llm_calls.input_tokens_column"
    states = "agents.state_column", "agents.error_states", "heartbeats.state_column"
    return {
        **names,
        "calls_have_agents": any(name in names for name in agents) or None,
        "calls_have_models": any(name in names for name in models) or None,
        "calls_have_tokens": any(name in names for name in tokens) or None,
        "states": all(name in names for name in states) or None,
    }


def _why(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error).strip()
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return f"not permitted: {said}"
        case psycopg.errors.LockNotAvailable():
            return "a table is locked against reading; agentdb inspect blocking shows by whom"
        case psycopg.errors.QueryCanceled():
            return f"took too long and was cancelled: {said}"
    return said
