"""Embedding: how texts become vectors.

An endpoint that speaks OpenAI's protocol, a command, or a model on this machine: `[embedding]`
of agentdb.toml decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from agentdb_cli.errors import AgentdbError, SettingsError

HOW = (
    "in agentdb.toml, [embedding] url and model name an endpoint that speaks OpenAI's protocol,"
    ' command a program; model = "all-MiniLM-L6-v2" alone runs on this machine'
)


class TextRefused(AgentdbError):
    """The provider works, but not with one of these texts: too long, for example."""


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        model: its name, or None if nobody said.
        place: where the work is done, for messages: a URL, a command, `this machine`.
        batch_size: how many texts are best sent at once.
    """

    model: str | None
    place: str
    batch_size: int

    def embed(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        """The vectors of texts, in their order.

        Args:
            query: the texts are searched for rather than searched in: some models want
                another prefix for them.

        Raises:
            TextRefused: a text cannot be embedded.
            AgentdbError: the provider failed, or answered something else.
        """


def embedder(
    settings: Mapping[str, Any],
    *,
    environ: Mapping[str, str] | None = None,
    notice: Callable[[str], None] = lambda text: None,
    pause: Callable[[float], None] = time.sleep,
) -> Embedder:
    """What `[embedding]` names.

    Args:
        settings: the table.
        environ: where the endpoint's key is; the process's own by default.
        notice: told when something has to be tried again.
        pause: waits so many seconds between two requests.

    Raises:
        SettingsError: nothing is configured, or too much, or it cannot be used here.
    """
    if "url" in settings and "command" in settings:
        raise SettingsError(
            "[embedding] has both url and command", hint="keep the one that is to be asked"
        )
    if "url" in settings:
        from agentdb_cli.vectors.embedding.endpoint import Endpoint

        return Endpoint.of(settings, environ, notice, pause)
    if "command" in settings:
        from agentdb_cli.vectors.embedding.command import Command

        return Command.of(settings)
    if "model" in settings:
        from agentdb_cli.vectors.embedding.local import Local

        return Local.of(settings)
    raise SettingsError("nothing says how texts become vectors", hint=HOW)


def prefixed(settings: Mapping[str, Any], texts: Sequence[str], query: bool) -> list[str]:
    """Texts with the prefix that `[embedding]` gives to queries or to documents."""
    prefix = settings.get("query_prefix" if query else "document_prefix", "")
    return [prefix + text for text in texts]


def checked(
    settings: Mapping[str, Any], vectors: Sequence[object], texts: Sequence[str], place: str
) -> list[list[float]]:
    """A provider's answer, if it is one vector a text, all of the same dimensions.

    Raises:
        AgentdbError: it is not.
    """
    from agentdb_cli.vectors.values import numbers

    if len(vectors) != len(texts):
        raise AgentdbError(f"{place} answered {len(vectors)} vectors for {len(texts)} texts")
    found = []
    for place_of, vector in enumerate(vectors, 1):
        try:
            found.append(numbers(vector))
        except ValueError as error:
            raise AgentdbError(f"{place}: vector {place_of}: {error}") from None
    wanted = settings.get("dimensions") or (len(found[0]) if found else 0)
    wrong = next((vector for vector in found if len(vector) != wanted), None)
    if wrong is not None:
        raise AgentdbError(
            f"{place} answered a vector of {len(wrong):,} dimensions instead of {wanted:,}",
            hint="[embedding] dimensions says how many there have to be",
        )
    return found


def cut(text: str, most: int = 300) -> str:
    """What a provider says, in one line and not too long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
