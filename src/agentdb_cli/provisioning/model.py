"""What `agentdb setup` is to reach, and the steps that lead there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentdb_cli.errors import SettingsError

LONGEST_NAME = 63
"""Bytes: NAMEDATALEN - 1. The server cuts what is longer, and a second run would not find it."""

KINDS = ("owner", "app", "readonly")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The state that is wanted.

    Attributes:
        database: its name.
        roles: role names by kind: `owner`, `app`, and perhaps `readonly`.
        schema: a schema of the owner's to be made, beside public.
        locale: the database's locale; None takes the server's.
        extensions: extensions to be created where the server has them.
        asked: those of them that somebody named, and whose absence is a failure.
        pack_roles: the pack's own `[roles.*]` that say what `app` and `readonly` may do.
    """

    database: str
    roles: Mapping[str, str]
    schema: str | None = None
    locale: str | None = None
    extensions: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    pack_roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The role that owns the database and runs the migrations."""
        return self.roles["owner"]

    @property
    def users(self) -> Mapping[str, str]:
        """The roles that get privileges instead of ownership, by kind."""
        return {kind: name for kind, name in self.roles.items() if kind != "owner"}


@dataclass(frozen=True, slots=True)
class Step:
    """One statement that changes something.

    Attributes:
        what: what it does, in a few words.
        sql: the statement.
        masked: the statement without its secret, if it has one.
        otherwise: what to do about it where the right to do it may be missing; the other steps
            are then done all the same. None if all depends on it.
    """

    what: str
    sql: str = field(repr=False)
    masked: str | None = None
    otherwise: str | None = None

    @property
    def shown(self) -> str:
        """The statement as it may be printed."""
        return self.sql if self.masked is None else self.masked


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something wanted that this run cannot do.

    Attributes:
        what: what, and why not.
        hint: what to do about it.
        fails: whether an administrator has to act, so that the command is to fail.
    """

    what: str
    hint: str
    fails: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what cannot be."""

    steps: tuple[Step, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def checked_names(wanted: Wanted) -> None:
    """Refuse names that the server would cut, refuse or confuse.

    Raises:
        SettingsError: a name is unfit, or one role is named twice.
    """
    names = {"--database": wanted.database, **{_option(k): n for k, n in wanted.roles.items()}}
    if wanted.schema is not None:
        names["--schema"] = wanted.schema
    for option, name in names.items():
        if not name or "\0" in name or "\n" in name:
            raise SettingsError(f"{option} is empty or holds a line break")
        if len(name.encode()) > LONGEST_NAME:
            raise SettingsError(
                f"{option} '{name}' is longer than {LONGEST_NAME} bytes",
                hint="PostgreSQL cuts longer names",
            )
    for kind, name in wanted.roles.items():
        if name.startswith("pg_") or name in ("public", "none"):
            raise SettingsError(f"{_option(kind)} '{name}' is a name that PostgreSQL reserves")
    if len(set(wanted.roles.values())) < len(wanted.roles):
        raise SettingsError(
            "one role is named twice",
            hint="owner, application and read-only role differ in what they may do",
        )
    if wanted.database in ("postgres", "template0", "template1"):
        raise SettingsError(
            f"--database '{wanted.database}' is the server's own", hint="name another database"
        )


def _option(kind: str) -> str:
    return {"owner": "--owner", "app": "--app-user", "readonly": "--readonly-user"}[kind]


def roles_of_pack(roles: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Which of a pack's roles stands for `app` and which for `readonly`.

    The first that may write is the application's, the first that only reads the
    other. Roles without a word on schemas (they name single tables of one
    schema) follow the general grants, which give them the same.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for role in roles.values():
        if not role.get("schemas"):
            continue
        given = [*role["schemas"].values(), *role.get("tables", {}).values()]
        kind = "app" if any(set(each) - {"SELECT"} for each in given) else "readonly"
        found.setdefault(kind, role)
    return found
