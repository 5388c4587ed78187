"""Which collections a database has: those of its packs and of agentdb.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.policies import packs_of
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.packs import Collection
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located


CollectionOption = Annotated[
    str | None,
    typer.Option("--collection", "-c", metavar="NAME", help="Which; needed where there are many."),
]

DISCOVERED = "found in the database"
"""The source of a collection that nobody declared."""


def of_database(run: Invocation, connection: Connection) -> tuple[Collection, ...]:
    """All collections that were declared; those of packs completed by the user's own.

    Raises:
        SettingsError: a declaration is incomplete.
    """
    from agentdb_cli.packs import collections_of

    found: dict[str, Collection] = {}
    own = dict(run.settings.catalog.get("collections", {}))
    for pack in packs_of(run, connection):
        entries = pack.content.get("collections", {})
        for name, entry in entries.items():
            over = own.pop(name, {})
            source = f"agentdb.toml over pack {pack.name}" if over else f"pack {pack.name}"
            (found[name],) = collections_of({name: {**entry, **over}}, source)
    found.update((each.name, each) for each in collections_of(own, "agentdb.toml"))
    return tuple(found.values())


def discovered(connection: Connection) -> tuple[Collection, ...]:
    """What looks like a collection in a database for which nobody declared any."""
    from agentdb_cli.packs import collections_of
    from agentdb_cli.postgres.discover import discover

    return collections_of(discover(connection).collections, DISCOVERED)


def known(run: Invocation, connection: Connection) -> tuple[Collection, ...]:
    """All that were declared; in a database without any, those that are found there will do.

    Raises:
        AgentdbError: there is none.
    """
    found = of_database(run, connection) or discovered(connection)
    if not found:
        raise AgentdbError(
            "this database has no collection: no table with a vector column, a key and text",
            hint="agentdb inspect vector-columns shows what there is;"
            " [collections.NAME] in agentdb.toml declares one",
        )
    return found


def chosen(run: Invocation, connection: Connection, name: str | None) -> Located:
    """The collection that `--collection` names, or the only one, with what the server knows.

    Raises:
        AgentdbError: there is none, or it cannot be used.
    """
    from agentdb_cli.vectors.collections import locate, named

    return locate(connection, named(known(run, connection), name))


def writable(located: Located) -> Located:
    """The collection, if its rows are in a table.

    Raises:
        AgentdbError: they are a view's or a foreign server's.
    """
    if located.kind not in "rp":
        kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
        raise AgentdbError(
            f"collection {located.collection.name}: {located.name} is {kinds[located.kind]}",
            hint="name the table behind it in agentdb.toml",
        )
    return located
