"""Statements that read or write rows: which relations and functions they name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from agentdb_cli.migrations.forecast.levels import READ, READ_FOR_UPDATE, WRITTEN, Level
from agentdb_cli.migrations.lint.reader import Name, Reader
from agentdb_cli.migrations.lint.tokens import Token

# Words that end a list of tables after FROM rather than being somebody's alias.
_NO_ALIAS = (
    "where", "group", "order", "having", "limit", "offset", "union", "intersect", "except", "on",
    "join", "left", "right", "full", "inner", "cross", "natural", "using", "set", "returning",
    "for", "window", "fetch", "when", "as", "values", "select", "default", "tablesample",
)  # fmt: skip


def relations(tokens: Sequence[Token]) -> Iterator[tuple[Name, Level]]:
    """What a statement reads and writes; a name after FROM may be no relation."""
    reading = READ_FOR_UPDATE if _for_update(tokens) else READ
    seen: set[tuple[Name, Level]] = set()
    for found in (*_written(tokens), *_read(tokens, reading)):
        if found not in seen:
            seen.add(found)
            yield found


def calls(tokens: Sequence[Token]) -> Iterator[Name]:
    """Every name that stands before a parenthesis."""
    for i, token in enumerate(tokens[:-1]):
        if token.is_name and tokens[i + 1].is_symbol("("):
            qualified = i >= 2 and tokens[i - 1].is_symbol(".") and tokens[i - 2].is_name
            yield (tokens[i - 2].value, token.value) if qualified else (token.value,)


def after(tokens: Sequence[Token], *words: str) -> Iterator[Name]:
    """The name after each place where these words stand."""
    reader = Reader(tokens)
    for position in range(len(tokens)):
        reader.position = position
        if reader.accept(*words) and (name := reader.name()):
            yield name


def _written(tokens: Sequence[Token]) -> Iterator[tuple[Name, Level]]:
    reader = Reader(tokens)
    for position, token in enumerate(tokens):
        reader.position = position
        before = tokens[position - 1] if position else None
        if token.is_word("update") and before and before.is_word("for", "key", "do", "on", "then"):
            continue  # of a lock, an ON CONFLICT, a foreign key or a MERGE
        if not (
            reader.accept("insert", "into")
            or reader.accept("merge", "into")
            or reader.accept("delete", "from")
            or reader.accept("update")
            or (position == 0 and reader.accept("copy"))
        ):
            continue
        reader.accept("only")
        name = reader.name()
        if name and token.is_word("copy"):
            reader.parentheses()
            yield name, WRITTEN if reader.accept("from") else READ
        elif name:
            yield name, WRITTEN


def _read(tokens: Sequence[Token], level: Level) -> Iterator[tuple[Name, Level]]:
    reader = Reader(tokens)
    for position in range(len(tokens)):
        reader.position = position
        if not reader.accept_any(("from", "join", "using", "table")):
            continue
        if position and tokens[position - 1].is_word("delete", "distinct"):
            continue
        reader.accept("lateral")
        reader.accept("only")
        while name := reader.name():
            yield name, level
            reader.accept("as")
            if reader.rest and reader.rest[0].is_name and not reader.rest[0].is_word(*_NO_ALIAS):
                reader.name()
            if not reader.symbol(","):
                break


def _for_update(tokens: Sequence[Token]) -> bool:
    return any(
        token.is_word("for") and after_.is_word("update", "share", "no", "key")
        for token, after_ in itertools.pairwise(tokens)
    )
