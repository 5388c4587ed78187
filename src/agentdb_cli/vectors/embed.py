"""Embedding rows that have no vector yet, a batch at a time.

No row is locked while the provider works: a batch is read, embedded, and written back to those
of its rows whose text is still the one that was read. Rows that somebody else has locked are
left for the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.vectors import values
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.embedding import Embedder, TextRefused

CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly; source: OpenAI's help page "What are tokens and how to count them?"."""

_PASSES = 3  # over rows that were locked or changed when their turn came


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows to embed.

    Attributes:
        where: SQL of the operator's own, or None.
        again: also rows that have an embedding.
        after: only keys behind this one, as text; or None.
        limit: at most so many; None for all.
    """

    where: str | None = None
    again: bool = False
    after: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What there is to do.

    Attributes:
        empty: rows without a text, of which no vector can be made.
    """

    rows: int
    characters: int
    empty: int

    @property
    def tokens(self) -> int:
        """Roughly."""
        return -(-self.characters // CHARACTERS_PER_TOKEN)


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        changed: rows that were changed, deleted or locked by others when their vector was there.
        refused: keys whose text the provider does not take, and why.
        last: the last key that was dealt with, as text.
        stopped: why it ended early, or None.
    """

    embedded: int = 0
    changed: int = 0
    requests: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    last: str | None = None
    stopped: str | None = None


def estimate(connection: Connection, located: Located, choice: Choice) -> Estimate:
    """Count the rows and the characters of their texts; reads the whole table.

    Raises:
        AgentdbError: the server refuses the operator's condition.
    """
    text = _statement("embed_estimate", located, choice)
    row = _run(connection, text, (choice.after, choice.limit)).fetchone()
    assert row is not None
    rows, characters, empty = (int(str(value)) for value in row)
    return Estimate(rows, characters, empty)


def embed(
    connection: Connection,
    located: Located,
    choice: Choice,
    embedder: Embedder,
    *,
    progress: Callable[[int], None],
    stopped: Callable[[], str | None],
) -> Outcome:
    """Embed the rows, and commit each batch.

    Args:
        progress: told how many rows have been dealt with.
        stopped: asked between two batches whether to end, and why.

    Raises:
        AgentdbError: the provider fails, or its vectors do not fit the column; what has been
            written stays.
    """
    outcome = Outcome()
    for _ in range(_PASSES):
        outcome.changed = 0
        for keys, texts in _batches(connection, located, choice, embedder.batch_size, outcome):
            outcome.stopped = stopped()
            if outcome.stopped:
                return outcome
            _one(connection, located, choice, embedder, keys, texts, outcome)
            progress(outcome.embedded + len(outcome.refused))
        if not outcome.changed or choice.again:
            break
    return outcome


def _batches(
    connection: Connection, located: Located, choice: Choice, size: int, outcome: Outcome
) -> Iterator[tuple[list[str], list[str]]]:
    text = _statement("embed_batch", located, choice)
    after, left = choice.after, choice.limit
    if left is not None:
        left -= outcome.embedded
    while left is None or left > 0:
        most = size if left is None else min(size, left)
        rows = _run(connection, text, (after, most)).fetchall()
        if not rows:
            return
        keys = [str(row[0]) for row in rows]
        after = keys[-1]
        left = None if left is None else left - len(keys)
        wanted = [(key, str(row[1])) for key, row in zip(keys, rows, strict=True)]
        wanted = [pair for pair in wanted if pair[0] not in outcome.refused]
        if wanted:
            yield [key for key, _ in wanted], [text for _, text in wanted]
        outcome.last = after


def _one(
    connection: Connection,
    located: Located,
    choice: Choice,
    embedder: Embedder,
    keys: Sequence[str],
    texts: Sequence[str],
    outcome: Outcome,
) -> None:
    try:
        outcome.requests += 1
        vectors = embedder.embed(texts)
    except TextRefused as refused:
        if len(texts) == 1:
            outcome.refused[keys[0]] = refused.message
            if len(outcome.refused) > 10 and not outcome.embedded:
                raise AgentdbError(f"no text is taken: {refused.message}") from None
            return
        middle = len(texts) // 2
        for part in (slice(None, middle), slice(middle, None)):
            _one(connection, located, choice, embedder, keys[part], texts[part], outcome)
        return
    for vector in vectors:
        values.check(vector, located, f"a vector of {embedder.model or embedder.place}")
    written = [values.text(vector, located.type) for vector in vectors]
    statement = _statement("embed_write", located, choice)
    done = _run(connection, statement, (list(keys), list(texts), written)).rowcount
    outcome.embedded += done
    outcome.changed += len(keys) - done


def _statement(name: str, located: Located, choice: Choice) -> str:
    key = located.columns[located.collection.key]
    names = {
        "{table}": located.quoted,
        "{key_type}": key.full_type,
        "{key}": key.quoted,
        "{text}": located.columns[located.collection.text].quoted,
        "{embedding_type}": located.embedding.full_type,
        "{embedding}": located.embedding.quoted,
        "{wanted}": "true" if choice.again else f"t.{located.embedding.quoted} IS NULL",
        # On a line of its own: it may end in a comment.
        "{where}": f"\n{choice.where}\n" if choice.where else "true",
    }
    text = query(f"vectors/{name}")
    for placeholder, value in names.items():
        text = text.replace(placeholder, value)
    return text


def _run(
    connection: Connection, text: str, parameters: Sequence[object]
) -> psycopg.RawCursor[tuple[object, ...]]:
    cursor = psycopg.RawCursor(connection)
    try:
        cursor.execute(text.encode(), parameters)
    except psycopg.errors.SyntaxError as error:
        raise AgentdbError(
            f"the server cannot read the statement: {error.diag.message_primary}",
            hint="--where holds a condition in SQL, such as 'agent_id = 1'",
        ) from None
    return cursor
