"""The database of a setup: made if it is missing, and closed to PUBLIC."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.provisioning.model import Plan, Step, Wanted


@dataclass(frozen=True, slots=True)
class Database:
    """A database that exists; `granted` as sql/provisioning/database.sql has it."""

    owner: str
    encoding: str
    granted: list[str]


def read(connection: Connection, wanted: Wanted) -> Database | None:
    """The wanted database, or None if it is to be made.

    Raises:
        AgentdbError: it belongs to another role.
    """
    with connection.cursor(row_factory=class_row(Database)) as cursor:
        found = cursor.execute(
            query("provisioning/database").encode(), {"database": wanted.database}
        ).fetchone()
    if found is not None and found.owner != wanted.owner:
        raise AgentdbError(
            f"the database '{wanted.database}' exists and belongs to '{found.owner}'",
            hint=f"--owner {found.owner}, or another --database",
        )
    return found


def plan(wanted: Wanted, found: Database | None) -> Plan:
    """What makes the database, and lets in the wanted roles alone."""
    name = identifier(wanted.database)
    steps = []
    if found is None:
        locale = f" LOCALE {literal(wanted.locale)}" if wanted.locale else ""
        steps.append(
            Step(
                f"create the database {wanted.database}",
                f"CREATE DATABASE {name} OWNER {identifier(wanted.owner)}"
                f" TEMPLATE template0 ENCODING 'UTF8'{locale}",
            )
        )
    granted = ["", " CONNECT", " TEMPORARY"] if found is None else found.granted
    if {" CONNECT", " TEMPORARY", " CREATE"} & set(granted):
        steps.append(
            Step(
                "close the database to PUBLIC",
                f"REVOKE ALL PRIVILEGES ON DATABASE {name} FROM PUBLIC",
            )
        )
    for role in wanted.users.values():
        if f"{role} CONNECT" not in granted:
            steps.append(
                Step(
                    f"let {role} connect",
                    f"GRANT CONNECT ON DATABASE {name} TO {identifier(role)}",
                )
            )
    return Plan(tuple(steps))


def elsewhere(connection: Connection, wanted: Wanted) -> list[str]:
    """Other databases that the new roles may connect to, because PUBLIC may."""
    rows = connection.execute(
        query("provisioning/elsewhere").encode(), {"database": wanted.database}
    )
    return [str(name) for (name,) in rows]
