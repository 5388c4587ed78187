"""What can be known to go wrong before a restore begins."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import cast

from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.backups.ownership import plain
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection, is_pooled
from agentdb_cli.postgres.queries import query

_IN_TABLESPACE = re.compile(
    r'^SET default_tablespace = ("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*);$', re.MULTILINE
)
_INSTALL = {"vector": "pgvector", "vectorscale": "pgvectorscale"}


def check_server(connection: Connection, manifest: Manifest) -> None:
    """Refuse a server that cannot take the backup.

    Raises:
        AgentdbError: it is a standby, behind a pooler, older than the backup's, or lacks an
            extension in the backup's version.
    """
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is not None and row[0]:
        raise AgentdbError(
            "this server is a standby, nothing can be restored into it",
            hint="connect to the primary",
        )
    if is_pooled(connection):
        raise AgentdbError(
            "a pooler is in between, and pg_restore needs sessions of its own",
            hint="name the server itself: its own host and port",
        )
    here, there = connection.info.server_version // 10_000, manifest.server_version // 10_000
    if here < there:
        raise AgentdbError(
            f"the backup is of PostgreSQL {there} and this server is PostgreSQL {here}: "
            "a newer server's definitions do not load into an older one",
            hint=f"restore it into PostgreSQL {there} or newer",
        )
    check_extensions(available(connection), manifest.extensions)


def available(connection: Connection) -> dict[str, str]:
    """The version of each extension that CREATE EXTENSION would install here."""
    rows = connection.execute(
        "SELECT name::text, default_version FROM pg_catalog.pg_available_extensions"
    ).fetchall()
    return dict(cast(list[tuple[str, str]], rows))


def check_extensions(here: Mapping[str, str], needed: Mapping[str, str]) -> None:
    """Compare what a server offers with what a backup was taken with.

    Raises:
        AgentdbError: one is missing or older; all of them are named.
    """
    problems = []
    for name, version in sorted(needed.items()):
        if name not in here:
            problems.append(f"{name} {version}: not available on this server")
        elif numbers(here[name]) < numbers(version):
            problems.append(
                f"{name} {version}: this server has {here[name]}, which may not read what the "
                "newer one wrote"
            )
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        packages = ", ".join(_INSTALL.get(p.split()[0], p.split()[0]) for p in problems)
        raise AgentdbError(
            f"the backup needs extensions that this server does not have:{lines}",
            hint=f"install on the server: {packages}",
        )


def check_extension_rights(
    connection: Connection, manifest: Manifest, present: Collection[str]
) -> None:
    """Refuse a role that may not create an extension that is not there yet.

    Args:
        present: the extensions that the database has already.

    Raises:
        AgentdbError: it may not create one; all of them are named.
    """
    needed = sorted(manifest.extensions.keys() - set(present))
    rows = connection.execute(query("backups/extension_rights").encode(), (needed,)).fetchall()
    names = ", ".join(str(name) for (name,) in rows)
    if names:
        raise AgentdbError(
            f"only a superuser may create what the backup needs: {names}",
            hint="restore as one, or let one make the database and CREATE EXTENSION in it before",
        )


def missing_roles(names: tuple[str, ...]) -> AgentdbError:
    """The error for roles that an archive needs and the server lacks."""
    listed = ", ".join(names)
    what = "role" if len(names) == 1 else "roles"
    return AgentdbError(
        f"the server has no {what} {listed}, which the backup's objects belong or are granted to",
        hint="create them (globals.sql of the backup has their definitions), map owners with "
        "--owner OLD=NEW, or leave them out with --no-owner and --no-privileges",
    )


def check_tablespaces(connection: Connection, script: str, own: str | None) -> None:
    """Refuse a server without the tablespaces that an archive's SQL puts things into.

    Args:
        own: the tablespace of the database itself, if not the usual one.

    Raises:
        AgentdbError: one is missing; all of them are named.
    """
    needed = {plain(match[1]) for match in _IN_TABLESPACE.finditer(script)}
    needed |= {own} if own is not None else set()
    rows = connection.execute("SELECT spcname::text FROM pg_catalog.pg_tablespace").fetchall()
    missing = sorted(needed - {str(name) for (name,) in rows})
    if missing:
        what = "tablespace" if len(missing) == 1 else "tablespaces"
        raise AgentdbError(
            f"the server has no {what} {', '.join(missing)}, which the backup's database, tables "
            "or indexes are in",
            hint="CREATE TABLESPACE … LOCATION … (globals.sql of the backup has where it was), or "
            "--no-tablespaces puts everything into the database's own",
        )


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, to be compared."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
