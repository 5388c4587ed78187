"""What turns texts into vectors here, and where it is recorded which model did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.invocation import Invocation

if TYPE_CHECKING:
    from agentdb_cli.vectors.embedding import Embedder


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
