"""What a server offers for finding slow statements, and our queries in its dialect."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from psycopg.rows import dict_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

OURS = "/* agentdb slow-queries */"
"""How the queries of this command begin, so that they can be left out of what it shows."""

EXTENSION = "pg_stat_statements"


@dataclass(frozen=True, slots=True)
class Server:
    """What is known of a server.

    Attributes:
        schema: where pg_stat_statements is in this database, or None.
        version: the extension's version in this database, or None.
        installed: whether the extension could be created.
        settings: settings that decide what is recorded, by name; those of the
            module are there only if it is loaded.
        role: the current role.
        reads_all: whether this role may see what other roles run.
        instance: what tells a standby from its primary: address, port, role.
    """

    schema: str | None
    version: str | None
    installed: bool
    settings: Mapping[str, str]
    database: str
    database_oid: int
    role: str
    reads_all: bool
    instance: str

    @property
    def loaded(self) -> bool:
        """Whether the server runs with the module."""
        return f"{EXTENSION}.max" in self.settings

    def unusable(self) -> AgentdbError | None:
        """Why pg_stat_statements cannot be read here and what to do, or None if it can."""
        preload = f"shared_preload_libraries = '{EXTENSION}' and restart the server"
        create = f"CREATE EXTENSION {EXTENSION} in the database {self.database}"
        if self.schema is not None and self.loaded:
            return None
        if self.schema is not None:
            return AgentdbError(f"{EXTENSION} is created but not loaded", hint=f"set {preload}")
        if self.loaded:
            return AgentdbError(
                f"{EXTENSION} is loaded but not created in this database", hint=create
            )
        if self.installed:
            return AgentdbError(
                f"{EXTENSION} is neither loaded nor created", hint=f"set {preload}; then {create}"
            )
        return AgentdbError(
            f"{EXTENSION} is not installed on this server",
            hint="install PostgreSQL's contrib modules",
        )

    def silence(self) -> str | None:
        """Why pg_stat_statements records nothing now, or None if it does."""
        if self.settings.get(f"{EXTENSION}.track") == "none":
            return f"nothing is recorded: {EXTENSION}.track = none"
        if self.settings.get("compute_query_id") == "off":
            return "nothing is recorded: compute_query_id = off"
        return None


def look(connection: Connection) -> Server:
    """What this server offers."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(ours("server")).fetchone()
    return Server(**cast("dict[str, str]", row))  # type: ignore[arg-type]


def ours(name: str, *, schema: str = "", columns: Collection[str] = ()) -> bytes:
    """One of our queries, marked as ours.

    Args:
        name: its file below `sql/slow_queries`, without suffix.
        schema: stands for `{schema}` in it.
        columns: what there is: a line that ends in `-- has NAME` or
            `-- lacks NAME` is left out if that is not so.
    """
    lines = []
    for line in query(f"slow_queries/{name}").splitlines():
        only = re.search(r"\s*-- (has|lacks) (\w+)$", line)
        if only is None:
            lines.append(line)
        elif (only[2] in columns) == (only[1] == "has"):
            lines.append(line[: only.start()])
    text = "\n".join(line for line in lines if not line.startswith("--"))
    text = text.replace("{schema}", identifier(schema)).replace("{ours}", OURS)
    return f"{OURS} {text}".encode()
