"""Roles: which exist, whether they are fit, and the steps that make them so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.provisioning.model import LeftOut, Plan, Step, Wanted

MASK = "'***'"

_TITLES = {"owner": "owner", "app": "application role", "readonly": "read-only role"}


@dataclass(frozen=True, slots=True)
class Role:
    """A role that exists.

    Attributes:
        login: whether it may log in.
        beyond: its attributes that reach past grants, such as SUPERUSER.
        through: roles that it is a member of and that do so.
        member_of: the roles that it is a direct member of.
        usable: whether we have its privileges.
        settable: whether we may become it, which CREATE DATABASE … OWNER asks for.
    """

    name: str
    login: bool
    beyond: list[str]
    through: list[str]
    member_of: list[str]
    usable: bool
    settable: bool


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who runs the setup."""

    name: str
    superuser: bool
    createrole: bool
    createdb: bool


def administrator(connection: Connection) -> Administrator:
    """The role of a connection."""
    row = connection.execute(
        "SELECT rolname::text, rolsuper, rolcreaterole, rolcreatedb"
        " FROM pg_catalog.pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row is not None
    return Administrator(str(row[0]), bool(row[1]), bool(row[2]), bool(row[3]))


def read(connection: Connection, wanted: Wanted) -> dict[str, Role]:
    """The wanted roles that exist, by name.

    Raises:
        AgentdbError: one of them may do more than any grant allows.
    """
    text = for_server(query("provisioning/roles"), connection.info.server_version // 10_000)
    names = list(wanted.roles.values())
    with connection.cursor(row_factory=class_row(Role)) as cursor:
        cursor.execute(text.encode(), {"names": names, "owner": wanted.owner})
        found = {role.name: role for role in cursor}
    for kind, name in wanted.roles.items():
        if name in found:
            _refuse_mighty(_TITLES[kind], found[name])
    return found


def _refuse_mighty(title: str, role: Role) -> None:
    quoted = identifier(role.name)
    if role.beyond:
        refused = " ".join(f"NO{attribute}" for attribute in role.beyond)
        raise AgentdbError(
            f"the {title} '{role.name}' exists and is {', '.join(role.beyond)}: "
            "no grant could limit it",
            hint=f"name another role, or: ALTER ROLE {quoted} {refused}",
        )
    if role.through:
        raise AgentdbError(
            f"the {title} '{role.name}' exists and is a member of {', '.join(role.through)}: "
            "that reaches past what setup grants",
            hint=f"name another role, or: REVOKE {identifier(role.through[0])} FROM {quoted}",
        )


def without_password(
    connection: Connection, wanted: Wanted, existing: Mapping[str, Role], *, rotate: bool
) -> list[str]:
    """The kinds of roles that get a password: those that have none, or with `rotate` all.

    Only a superuser sees whether an existing role has one; to others it has.
    """
    if rotate:
        return list(wanted.roles)
    kept: dict[str, Any] = {}
    if administrator(connection).superuser:
        rows = connection.execute(
            query("provisioning/hashes").encode(), {"names": list(wanted.roles.values())}
        )
        kept = {str(name): how for name, how in rows}
    return [
        kind
        for kind, name in wanted.roles.items()
        if name not in existing or kept.get(name, "unknown") is None
    ]


def plan(
    connection: Connection,
    wanted: Wanted,
    existing: Mapping[str, Role],
    verifiers: Mapping[str, str],
) -> Plan:
    """What makes the roles as they are wanted.

    Args:
        existing: the roles that there are, by name.
        verifiers: SCRAM verifiers by role name, for the roles that get a password; for a plan
            that is only shown they may be empty.
    """
    us = administrator(connection)
    steps: list[Step] = []
    left_out: list[LeftOut] = []
    for kind, name in wanted.roles.items():
        steps += _role(kind, name, existing.get(name), verifiers.get(name))
        for group in wanted.pack_roles.get(kind, {}).get("member_of", ()):
            if name in existing and group in existing[name].member_of:
                continue
            if _may_grant(connection, us, group):
                sql = f"GRANT {identifier(group)} TO {identifier(name)}"
                steps.append(Step(f"make {name} a member of {group}", sql))
            else:
                left_out.append(
                    LeftOut(
                        f"{name} is no member of {group}: {us.name} may not grant that",
                        f"as a superuser: GRANT {identifier(group)} TO {identifier(name)}",
                        fails=False,
                    )
                )
    steps += _membership(connection, us, wanted.owner, existing.get(wanted.owner))
    return Plan(tuple(steps), tuple(left_out))


def _role(kind: str, name: str, role: Role | None, verifier: str | None) -> Sequence[Step]:
    quoted = identifier(name)
    if role is None:
        what = f"create the {_TITLES[kind]} {name}"
        head = f"CREATE ROLE {quoted} LOGIN"
    elif verifier is not None:
        what, head = f"give {name} a password", f"ALTER ROLE {quoted} LOGIN"
    elif not role.login:
        return [Step(f"let {name} log in", f"ALTER ROLE {quoted} LOGIN")]
    else:
        return []
    return [Step(what, f"{head} PASSWORD {literal(verifier or '')}", f"{head} PASSWORD {MASK}")]


def _membership(
    connection: Connection, us: Administrator, owner: str, role: Role | None
) -> Sequence[Step]:
    """Let an administrator who is no superuser act for the owner, as the next steps need it."""
    if us.superuser or us.name == owner or (role is not None and role.usable and role.settable):
        return []
    # From 16 on a role made by CREATEROLE is administered by its maker, but neither
    # inherited nor assumed: https://www.postgresql.org/docs/16/role-attributes.html
    options = " WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160_000 else ""
    sql = f"GRANT {identifier(owner)} TO {identifier(us.name)}{options}"
    return [Step(f"let {us.name} act for {owner}", sql)]


def _may_grant(connection: Connection, us: Administrator, group: str) -> bool:
    if us.superuser:
        return True
    if connection.info.server_version < 160_000:
        return us.createrole
    row = connection.execute(
        "SELECT pg_catalog.pg_has_role(%s, 'MEMBER WITH ADMIN OPTION')", (group,)
    ).fetchone()
    return row is not None and bool(row[0])
