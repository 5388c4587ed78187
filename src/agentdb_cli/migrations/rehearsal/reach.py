"""What a file must not do in a rehearsal: change more than the scratch database."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from agentdb_cli.migrations.lint.tokens import Kind, Token, tokenize
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.statements import line_and_column

_VERBS = ("create", "alter", "drop")
_OF_THE_SERVER = ("role", "user", "group", "database", "tablespace", "system", "subscription")


def beyond(prepared: Prepared) -> tuple[int, str] | None:
    """The line and the words of the first statement that changes the whole server, or leaves it.

    Roles, databases and tablespaces belong to all databases of a server; a
    subscription connects to another one, and COPY reads and writes its files. What a
    function does is not read; what a DO block says is.
    """
    for statement in prepared.statements:
        found = _words(tokenize(statement.text[:20_000]))
        if found is not None:
            line, _ = line_and_column(prepared.file.text, statement.start)
            return line, found
    return None


def _words(tokens: list[Token]) -> str | None:
    words = [token for token in tokens if token.kind is not Kind.comment]
    if not words:
        return None
    first = words[0]
    if first.is_word(*_VERBS) and len(words) > 1 and words[1].is_word(*_OF_THE_SERVER):
        return None if _is_mapping(words) else f"{first.value} {words[1].value}".upper()
    if first.is_word("grant", "revoke") and not any(token.is_word("on") for token in words):
        return f"{first.value} of a role".upper().replace("OF A ROLE", "of a role")
    if first.is_word("reassign") or (
        first.is_word("drop") and words[1:2] and words[1].is_word("owned")
    ):
        return f"{first.value} OWNED".upper()
    if first.is_word("copy"):
        return _copy(words)
    return next(_in_code(words), None) if first.is_word("do") else None


def _is_mapping(words: list[Token]) -> bool:
    """CREATE USER MAPPING belongs to the database."""
    return len(words) > 2 and words[1].is_word("user") and words[2].is_word("mapping")


def _copy(words: list[Token]) -> str | None:
    for token, after in itertools.pairwise(words):
        if token.is_word("from", "to") and (after.kind is Kind.string or after.is_word("program")):
            return f"COPY {token.value.upper()} a file or program"
    return None


def _in_code(words: Iterable[Token]) -> Iterator[str]:
    for word in words:
        if word.kind is not Kind.string:
            continue
        inner = [token for token in tokenize(word.value) if token.kind is not Kind.comment]
        for token, after in itertools.pairwise(inner):
            if token.is_word(*_VERBS) and after.is_word(*_OF_THE_SERVER):
                yield f"{token.value} {after.value}".upper()
        # What is executed as a string.
        yield from _in_code(token for token in inner if token.kind is Kind.string)
