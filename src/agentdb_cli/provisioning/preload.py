"""shared_preload_libraries: read from the server's files, and added to without loss."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import literal

SETTING = "shared_preload_libraries"

_ELEMENT = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^,"]*?))\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Preload:
    """The libraries of a server.

    Attributes:
        running: those that it has loaded.
        next: those that its files name, for the next start.
        fixed: whether the server's command line names them, before which no file counts.
        data_directory: where the server keeps its data.
    """

    running: tuple[str, ...]
    next: tuple[str, ...]
    fixed: bool
    data_directory: str


def loaded(connection: Connection) -> tuple[str, ...] | None:
    """The libraries that the server has loaded, without directories; None if that is hidden."""
    row = connection.execute(
        "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = %s", (SETTING,)
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return tuple(base(name) for name in parse(str(row[0])))


def read(connection: Connection) -> Preload:
    """What the server has loaded, and what it will load.

    Raises:
        AgentdbError: this role may not read the server's files, so that what
            stands there could be lost.
    """
    try:
        row = connection.execute(query("provisioning/preload").encode()).fetchone()
    except errors.InsufficientPrivilege:
        row = None
    if row is None or row[0] is None:
        raise AgentdbError(
            f"{connection.info.user} may not read {SETTING} from the server's files, "
            "and what stands there must not be lost",
            hint="as a superuser; on a managed server in its parameters, with a restart",
        )
    running, source, following, directory = row
    return Preload(
        tuple(parse(str(running))),
        tuple(parse(str(following or ""))),
        source == "command line",
        str(directory),
    )


def may_alter(connection: Connection) -> bool:
    """Whether this role may use ALTER SYSTEM for the setting (by a GRANT since 15)."""
    test = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
    if connection.info.server_version >= 150_000:
        test = f"SELECT pg_catalog.has_parameter_privilege('{SETTING}', 'ALTER SYSTEM')"
    row = connection.execute(test.encode()).fetchone()
    return row is not None and bool(row[0])


def statement(libraries: Sequence[str], library: str) -> str:
    """ALTER SYSTEM for `libraries` and one more.

    Each is a literal of its own: in one, the server would take them for the name of a single
    library, and not start.
    """
    values = ", ".join(literal(name).strip() for name in (*libraries, library))
    return f"ALTER SYSTEM SET {SETTING} = {values}"


def parse(value: str) -> list[str]:
    """The names in a value of the setting: between commas, perhaps in double quotes."""
    names, position = [], 0
    while position < len(value):
        match = _ELEMENT.match(value, position)
        if match is None or match.end() == position:
            raise AgentdbError(f"{SETTING} of the server cannot be read: {value}")
        name = match["plain"] if match["quoted"] is None else match["quoted"].replace('""', '"')
        if name:
            names.append(name)
        position = match.end()
    return names


def base(library: str) -> str:
    """A library without directory and suffix, as one may name it."""
    return library.rpartition("/")[2].removesuffix(".so")
