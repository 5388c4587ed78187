"""Reading the tokens of a statement: words, names, and what parentheses hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentdb_cli.migrations.lint.tokens import Token

Name = tuple[str, ...]
"""A name with its schema, if that is written: `("public", "users")`."""


class Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def rest(self) -> tuple[Token, ...]:
        """What has not been read."""
        return tuple(self.tokens[self.position :])

    def accept(self, *words: str) -> bool:
        """Read these words if they come next."""
        ahead = self.tokens[self.position : self.position + len(words)]
        if len(ahead) < len(words) or not all(
            token.is_word(word) for token, word in zip(ahead, words, strict=True)
        ):
            return False
        self.position += len(words)
        return True

    def accept_any(self, words: Sequence[str]) -> str | None:
        """Read one of these words if it comes next."""
        return next((word for word in words if self.accept(word)), None)

    def name(self) -> Name | None:
        """Read a name, with its schema if that is written."""
        parts: list[str] = []
        while self.position < len(self.tokens) and self.tokens[self.position].is_name:
            parts.append(self.tokens[self.position].value)
            self.position += 1
            if not self.symbol("."):
                break
        return tuple(parts) or None

    def symbol(self, symbol: str) -> bool:
        """Read this symbol if it comes next."""
        found = self.position < len(self.tokens) and self.tokens[self.position].is_symbol(symbol)
        self.position += found
        return found

    def parentheses(self) -> tuple[Token, ...] | None:
        """Read what is in parentheses, if these come next."""
        if not self.symbol("("):
            return None
        start = self.position
        for depth, position in _depths(self.tokens, start):
            if depth < 0:
                self.position = position + 1
                return tuple(self.tokens[start:position])
        self.position = len(self.tokens)
        return tuple(self.tokens[start:])


def find(tokens: Sequence[Token], *words: str) -> int | None:
    """Where these words stand one after the other outside of parentheses."""
    for depth, i in _depths(tokens, 0):
        if (
            depth == 0
            and len(tokens) - i >= len(words)
            and all(tokens[i + n].is_word(word) for n, word in enumerate(words))
        ):
            return i
    return None


def split(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The parts between the commas that stand outside of parentheses."""
    parts: list[tuple[Token, ...]] = []
    start = 0
    for depth, i in _depths(tokens, 0):
        if depth == 0 and tokens[i].is_symbol(","):
            parts.append(tuple(tokens[start:i]))
            start = i + 1
    parts.append(tuple(tokens[start:]))
    return [part for part in parts if part]


def words_of(tokens: Sequence[Token], count: int = 4) -> tuple[str, ...]:
    """The leading words, at most `count`; names in quotes are none."""
    found: list[str] = []
    for token in tokens[:count]:
        if not token.is_word(token.value):
            break
        found.append(token.value)
    return tuple(found)


def _depths(tokens: Sequence[Token], start: int) -> Iterator[tuple[int, int]]:
    """(depth, position) of each token; a closing parenthesis has the depth outside of it."""
    depth = 0
    for i in range(start, len(tokens)):
        token = tokens[i]
        if token.is_symbol(")") or token.is_symbol("]"):
            depth -= 1
        yield depth, i
        if token.is_symbol("(") or token.is_symbol("["):
            depth += 1
