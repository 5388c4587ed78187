"""Bringing a server to the wanted state: first what all databases share, then one database.

Each step is one statement on its own, for CREATE DATABASE can be in no
transaction. What is planned follows from the catalog, so a run that was ended
anywhere is completed by the next one, and a further one plans nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg
from psycopg import errors

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.provisioning import database, extensions, privileges, roles
from agentdb_cli.provisioning.facts import how_to_get
from agentdb_cli.provisioning.model import LeftOut, Plan, Step, Wanted

LOCK = "setup"
"""The advisory lock that keeps two runs apart."""


def plan_server(
    connection: Connection, wanted: Wanted, verifiers: Mapping[str, str]
) -> tuple[Plan, bool]:
    """What is to be done for roles and database.

    Args:
        connection: an administrator's, to any database of the server.
        verifiers: SCRAM verifiers by role name (see `roles.plan`).

    Returns:
        The plan, and whether the database exists already.

    Raises:
        AgentdbError: a role or the database stands in the way, or we may not make them.
    """
    existing = roles.read(connection, wanted)
    found = database.read(connection, wanted)
    us = roles.administrator(connection)
    missing = [name for name in wanted.roles.values() if name not in existing]
    if missing and not (us.superuser or us.createrole):
        raise AgentdbError(
            f"{us.name} may not create roles, and {', '.join(missing)} is missing",
            hint="connect as a superuser, or as a role with CREATEROLE and CREATEDB",
        )
    if found is None and not (us.superuser or us.createdb):
        raise AgentdbError(
            f"{us.name} may not create databases, and {wanted.database} is missing",
            hint="connect as a superuser, or as a role with CREATEROLE and CREATEDB",
        )
    first = roles.plan(connection, wanted, existing, verifiers)
    second = database.plan(wanted, found)
    return Plan(first.steps + second.steps, first.left_out), found is not None


def plan_database(connection: Connection, wanted: Wanted) -> Plan:
    """What is to be done within the database of a connection."""
    inside = privileges.read(connection, wanted)
    return _within(connection, wanted, inside, new=False)


def plan_new_database(connection: Connection, wanted: Wanted) -> Plan:
    """What is to be done within a database that is still to be made.

    Args:
        connection: to another database of the server.
    """
    superuser = roles.administrator(connection).superuser
    inside = privileges.of_new_database(connection, wanted, superuser=superuser)
    return _within(connection, wanted, inside, new=True)


def _within(
    connection: Connection, wanted: Wanted, inside: privileges.Inside, *, new: bool
) -> Plan:
    made = _extensions(connection, wanted, new=new)
    granted = privileges.plan(wanted, inside)
    return Plan(made.steps + granted.steps, made.left_out + granted.left_out)


def _extensions(connection: Connection, wanted: Wanted, *, new: bool) -> Plan:
    found = {each.name: each for each in extensions.read(connection)}
    steps, left_out = [], []
    for name in wanted.extensions:
        extension = found.get(name)
        if extension is None:
            left_out.append(
                LeftOut(
                    f"this server has no extension {name}",
                    how_to_get(name, connection.info.server_version // 10_000),
                    fails=name in wanted.asked,
                )
            )
        elif new or extension.installed is None:
            steps.append(
                Step(
                    f"create the extension {name}",
                    f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA public",
                    otherwise=f"as a superuser, in the database {wanted.database}:"
                    f" CREATE EXTENSION {identifier(name)} SCHEMA public; then run setup again",
                )
            )
    return Plan(tuple(steps), tuple(left_out))


def apply(connection: Connection, plan: Plan, done: Callable[[Step], None]) -> list[LeftOut]:
    """Run the steps of a plan, each by itself.

    Args:
        done: told of each step that is done.

    Returns:
        What could not be done.

    Raises:
        AgentdbError: a step failed on which the others depend.
    """
    left_out = list(plan.left_out)
    for step in plan.steps:
        try:
            connection.execute(step.sql.encode())
        except psycopg.Error as error:
            message = error.diag.message_primary or "the connection was lost"
            if step.otherwise is not None and isinstance(error, errors.InsufficientPrivilege):
                left_out.append(LeftOut(f"cannot {step.what}: {message}", step.otherwise))
                continue
            # from None: the error's own text may hold the statement, and this a verifier.
            raise AgentdbError(
                f"cannot {step.what}: {message}",
                hint="what was done before stays; once that is mended, run setup again",
            ) from None
        done(step)
    return left_out
