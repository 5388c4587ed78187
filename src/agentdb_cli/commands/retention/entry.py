"""The entry of a table in `[retention]`: under which name, and what a new one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.policy import Policy


def known_as(connection: Connection, table: str, known: tuple[Policy, ...]) -> str:
    """The name by which a policy knows the table; the same one may be written in two ways.

    Raises:
        SettingsError: it is no name of a table.
    """
    import psycopg

    names = [policy.table for policy in known]
    if table in names:
        return table
    try:
        row = connection.execute(
            "SELECT name FROM unnest(%s::text[]) AS name"
            " WHERE pg_catalog.to_regclass(name) = pg_catalog.to_regclass(%s)",
            (names, table),
        ).fetchone()
    except psycopg.Error as error:
        raise SettingsError(
            f"'{table}' is no name of a table: {error.diag.message_primary}",
            hint="schema.table, with double quotes around what is not lower case: '\"Log\"'",
        ) from None
    return table if row is None else str(row[0])


def completed(
    run: Invocation,
    connection: Connection,
    table: str,
    given: dict[str, Any],
    known: tuple[Policy, ...],
) -> dict[str, Any]:
    """What a new policy needs and was not given.

    Raises:
        SettingsError: it cannot be found out.
    """
    policy = next((each for each in known if each.table == table), None)
    if policy is not None:
        if not policy.enabled and "enabled" not in given:
            run.output.notice(f"the policy of {table} is switched off; --enabled makes it count")
        return {}
    if "days" not in given:
        raise SettingsError(
            f"'{table}' has no policy yet, so --days is needed", hint="such as --days 30"
        )
    if "time_column" in given:
        return {}
    return {"time_column": _time_column(run, connection, table)}


def _time_column(run: Invocation, connection: Connection, table: str) -> str:
    """The one column that can be meant.

    Raises:
        SettingsError: there is none, or more than one.
    """
    from agentdb_cli.retention.ages import exists, sensible, time_columns

    every = time_columns(connection, table)
    found = sensible(every)
    if found is not None:
        others = [name for name in every if name != found]
        beside = f", not from {', '.join(others)}: --column" if others else ""
        run.output.notice(f"a row's age is counted from {found}{beside}")
        return found
    if not every and not exists(connection, table):  # said when it is examined
        return "created_at"
    if not every:
        raise SettingsError(
            f"{table} has no column of a time",
            hint="a row's age is counted from a timestamptz, timestamp or date",
        )
    raise SettingsError(
        f"it is not clear which column of {table} a row's age is counted from",
        hint=f"name it with --column: {', '.join(every)}",
    )
