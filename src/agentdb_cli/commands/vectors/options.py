"""What the commands that write vectors share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.embedding import Embedder

Collection = Annotated[
    str | None,
    typer.Option(
        "--collection", "-c", metavar="NAME", help="The collection, if there are several."
    ),
]


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


def record_schema(run: Invocation) -> str:
    """The schema in which the models of collections are recorded."""
    from agentdb_cli.migrations import history

    return history.Table.in_force(run.settings).schema


def embedder_of(run: Invocation, pause: Callable[[float], None]) -> Embedder:
    """The provider that [embedding] names; its key may stand in .env.

    Raises:
        SettingsError: there is none, or it cannot be used.
    """
    import os

    from agentdb_cli.settings import dotenv
    from agentdb_cli.vectors.embedding import embedder

    path = run.settings.dotenv
    known: Mapping[str, Any] = dotenv.read(path) if path else {}
    return embedder(
        run.settings.embedding,
        environ={**known, **os.environ},
        notice=run.output.notice,
        pause=pause,
    )
