"""The plan that the server would make for a statement, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring.slow_queries.normalise import CUT
from agentdb_cli.monitoring.slow_queries.parameters import parameterised
from agentdb_cli.monitoring.slow_queries.server import OURS

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

_NAME = "agentdb_explained"
_STATEMENT_TIMEOUT = "5s"
_LOCK_TIMEOUT = "1s"


def plan(connection: Connection, text: str) -> tuple[str, ...]:
    """The lines of the generic plan of a statement: one for any value of its literals.

    Nothing is executed, and nothing but one SELECT, INSERT, UPDATE, DELETE,
    MERGE or VALUES is accepted: the server itself holds the text to that, for
    the grammar of PREPARE takes nothing else and its protocol nothing after it.

    Args:
        text: the statement; its literals become parameters. Texts of
            pg_stat_statements may have some, too: of those that ran while it
            was reset.

    Raises:
        AgentdbError: it cannot be planned, and why.
    """
    statement = parameterised(text)
    if statement.endswith(CUT):
        raise AgentdbError(
            "the server has only the beginning of this statement, so it cannot be explained",
            hint="raise track_activity_query_size (it needs a restart)",
        )
    try:
        with connection.transaction():
            connection.execute(
                "SET TRANSACTION READ ONLY; SET LOCAL standard_conforming_strings = on;"
                f" SET LOCAL statement_timeout = '{_STATEMENT_TIMEOUT}';"
                f" SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';"
                " SET LOCAL plan_cache_mode = force_generic_plan"
            )
            try:
                with connection.transaction():
                    return _plan(connection, statement)
            finally:
                _forget(connection)
    except psycopg.Error as error:
        raise _unexplained(error) from None


def _plan(connection: Connection, statement: str) -> tuple[str, ...]:
    # Binary results need the extended protocol, which takes one statement only.
    connection.execute(f"PREPARE {_NAME} AS {statement}".encode(), prepare=False, binary=True)
    if connection.info.server_version >= 160_000:
        explain = f"{OURS} EXPLAIN (GENERIC_PLAN) {statement}"
    else:
        count = connection.execute(
            "SELECT pg_catalog.cardinality(parameter_types)"
            " FROM pg_catalog.pg_prepared_statements WHERE name = %s",
            (_NAME,),
        ).fetchone()
        nulls = ", ".join(["NULL"] * cast("int", count[0] if count else 0))
        explain = f"{OURS} EXPLAIN EXECUTE {_NAME}" + (f" ({nulls})" if nulls else "")
    return tuple(str(line) for (line,) in connection.execute(explain.encode(), prepare=False))


def _forget(connection: Connection) -> None:
    """Drop the prepared statement, which outlives a transaction that is rolled back."""
    there = connection.execute(
        "SELECT name FROM pg_catalog.pg_prepared_statements WHERE name = %s", (_NAME,)
    ).fetchone()
    if there is not None:
        connection.execute(f"DEALLOCATE PREPARE {_NAME}")


def _unexplained(error: psycopg.Error) -> AgentdbError:
    said = error.diag.message_primary or str(error).strip()
    hint = "EXPLAIN it by hand, with values from the application"
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
        hint = (
            "the application may use another search path: "
            "PGOPTIONS='-c search_path=…' sets it for this command"
        )
    elif isinstance(error, psycopg.errors.AmbiguousFunction | psycopg.errors.IndeterminateDatatype):
        hint = "its parameters have no types; --sample 1min takes them from a session that runs it"
    elif isinstance(error, psycopg.errors.InsufficientPrivilege):
        hint = "connect as a role that may run the statement"
    elif isinstance(error, psycopg.errors.LockNotAvailable):
        hint = "agentdb inspect blocking shows who holds the lock"
    elif isinstance(error, psycopg.errors.SyntaxError):
        hint = (
            "only one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES can be explained, "
            "and not where the grammar wants a literal"
        )
    return AgentdbError(f"the statement cannot be explained: {said}", hint=hint)
