"""Finding the table in which another migration tool keeps its history."""

from __future__ import annotations

from typing import cast

import psycopg

from agentdb_cli.errors import MigrationError, SettingsError, nearest
from agentdb_cli.migrations.adopt_model import BY_TABLE, History, TheirTable, Tool
from agentdb_cli.migrations.adopt_readers import READERS
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_NAMES = ["schema_migrations", *BY_TABLE]
_OF_RAILS = "ar_internal_metadata"


def find(connection: Connection, schema: str | None, tool: str | None) -> History:
    """What another tool has recorded in this database.

    Args:
        schema: where its table is looked for; None for everywhere.
        tool: the one to adopt from; None for the only one that there is.

    Raises:
        SettingsError: there is no such tool.
        MigrationError: no tool has a table, or several have; or the tool's last run
            failed and left things half done.
    """
    if tool is not None and tool not in set(Tool):
        raise SettingsError(
            f"--from knows no tool '{tool}'{nearest(tool, Tool)}",
            hint=f"one of {', '.join(Tool)}",
        )
    parameters = {"names": [*_NAMES, _OF_RAILS], "schema": schema}
    rows = connection.execute(query("history/adoptable"), parameters).fetchall()
    typed = cast(list[tuple[str, str, list[str]]], rows)
    rails = {name for name, relation, _ in typed if relation == _OF_RAILS}
    tables = [
        TheirTable(name, relation, tuple(columns), name in rails)
        for name, relation, columns in typed
        if relation != _OF_RAILS
    ]
    table = _chosen(tables, tool)
    try:
        return READERS[Tool(tool or table.tool or "")](connection, table)
    except psycopg.errors.InsufficientPrivilege:
        user = connection.info.user
        raise MigrationError(
            f"the role '{user}' may not read {table.name}",
            hint=f"GRANT SELECT ON {table.name} TO {user};",
        ) from None


def _chosen(tables: list[TheirTable], tool: str | None) -> TheirTable:
    known = [table for table in tables if table.tool is not None]
    fitting = [table for table in known if tool is None or table.may_be_of(tool)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{table.name} ({table.tool})" for table in fitting or known)
    if fitting:
        same = len({table.tool for table in fitting}) == 1
        raise MigrationError(
            f"{len(fitting)} tables keep migrations of other tools: {listed}",
            hint="choose one by its schema: --schema" if same else "choose one: --from TOOL",
        )
    if known:
        raise MigrationError(
            f"{tool} has no table of migrations here, but there is {listed}",
            hint="choose one of those with --from, or leave it out",
        )
    strange = next((table for table in tables if table.tool is None), None)
    if strange is not None:
        raise MigrationError(
            f"{strange.name} is of no tool that agentdb knows: it has the columns "
            f"{', '.join(strange.columns)}",
            hint="agentdb migrate baseline N records the files up to number N as applied",
        )
    raise MigrationError(
        "no other tool has a table of migrations in this database",
        hint=f"looked for {', '.join(sorted(_NAMES))}; "
        "agentdb migrate baseline records files without one",
    )
