"""Extensions of a database: their state, what needs them, creating and upgrading them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.provisioning.facts import Rebuild, facts, how_to_get


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that the server has, or the database uses.

    Attributes:
        installed: its version in this database, or None.
        schema: where its objects are, or None.
        available: the version that CREATE EXTENSION makes; None if its files are gone.
        newest: the newest version of the server's files.
    """

    name: str
    installed: str | None
    schema: str | None
    available: str | None
    newest: str | None

    @property
    def outdated(self) -> bool:
        """Whether ALTER EXTENSION … UPDATE would change its version."""
        return None not in (self.installed, self.available) and self.installed != self.available


def read(connection: Connection) -> list[Extension]:
    """All extensions, those of the database and those it could have, by name."""
    with connection.cursor(row_factory=class_row(Extension)) as cursor:
        return cursor.execute(query("provisioning/extensions").encode()).fetchall()


def named(connection: Connection, name: str) -> Extension:
    """One extension.

    Raises:
        AgentdbError: the server does not have it.
    """
    found = {extension.name: extension for extension in read(connection)}
    if name not in found:
        raise AgentdbError(
            f"this server has no extension '{name}'{nearest(name, {*found, *facts()})}",
            hint=how_to_get(name, connection.info.server_version // 10_000),
        )
    return found[name]


def create_statement(extension: Extension) -> str:
    """What creates an extension in the first schema of search_path."""
    return f"CREATE EXTENSION IF NOT EXISTS {identifier(extension.name)}"


def upgrade_statement(extension: Extension) -> str:
    """What brings an extension to the version that is available."""
    return f"ALTER EXTENSION {identifier(extension.name)} UPDATE"


def execute(connection: Connection, statement: str) -> None:
    """Run one of these statements, or ALTER SYSTEM.

    Raises:
        AgentdbError: we may not, or it failed.
    """
    try:
        connection.execute(statement.encode())
    except errors.InsufficientPrivilege as error:
        raise AgentdbError(
            f"{connection.info.user} may not do that: {error.diag.message_primary}",
            hint=f"as a superuser in the database {connection.info.dbname}: {statement}",
        ) from None
    except psycopg.Error as error:
        raise AgentdbError(
            f"{statement}: {error.diag.message_primary or error}", hint=error.diag.message_hint
        ) from None


@dataclass(frozen=True, slots=True)
class Damaged:
    """An index that must be rebuilt after an upgrade, and why."""

    name: str
    why: str
    source: str


def to_rebuild(connection: Connection, name: str, before: str, after: str) -> list[Damaged]:
    """The indexes that an older version may have damaged, and that no upgrade mends.

    Args:
        name: the extension.
        before: its version until now.
        after: its version from now on.
    """
    fact = facts().get(name)
    found: dict[str, Damaged] = {}
    for rebuild in fact.rebuild if fact else ():
        if not concerns(rebuild, before, after):
            continue
        rows = connection.execute(
            query("provisioning/vector_indexes").encode(), {"methods": list(rebuild.methods)}
        )
        for index, _ in rows:
            found.setdefault(str(index), Damaged(str(index), rebuild.why, rebuild.source))
    return [found[index] for index in sorted(found)]


def concerns(rebuild: Rebuild, before: str, after: str) -> bool:
    """Whether an upgrade passes the version that mends, coming from one that breaks."""
    if version(before) >= version(rebuild.mended) or version(after) < version(rebuild.mended):
        return False
    return rebuild.broken is None or version(before) >= version(rebuild.broken)


def version(text: str) -> tuple[int, ...]:
    """A version as numbers, to be compared; what is no number counts as 0."""
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))


@dataclass(frozen=True, slots=True)
class Need:
    """What one agentdb command needs of one extension.

    Attributes:
        met: None where this role may not see it.
        detail: why it is not met, or cannot be seen.
    """

    command: str
    extension: str
    purpose: str
    met: bool | None
    detail: str


def needs(
    connection: Connection, found: Sequence[Extension], loaded: Sequence[str] | None
) -> list[Need]:
    """The needs of all agentdb commands.

    Args:
        found: from `read`.
        loaded: the libraries that the server has loaded; None if that is hidden.
    """
    by_name = {extension.name: extension for extension in found}
    major = connection.info.server_version // 10_000
    result = []
    for fact in facts().values():
        extension = by_name.get(fact.name)
        met: bool | None = True
        detail = ""
        if extension is None or (extension.installed is None and extension.available is None):
            met, detail = False, f"the server does not have it; {how_to_get(fact.name, major)}"
        elif extension.installed is None:
            met, detail = False, f"agentdb extensions enable {fact.name}"
        elif extension.available is None:
            met, detail = False, "its files are gone from the server: install its package again"
        elif fact.preload and loaded is None:
            met, detail = None, "whether it is preloaded: not permitted, needs pg_read_all_settings"
        elif fact.preload and loaded is not None and fact.name not in loaded:
            met, detail = False, f"not preloaded; agentdb extensions enable {fact.name}"
        for command, purpose in fact.commands.items():
            result.append(Need(command, fact.name, purpose, met, detail))
    return sorted(result, key=lambda need: (need.command, need.extension))
