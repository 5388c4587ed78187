"""`-- agentdb: allow RULE reason`: what a file says is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentdb_cli.errors import nearest
from agentdb_cli.migrations.lint.model import Hit, Rule
from agentdb_cli.migrations.lint.rules import ALLOW_UNKNOWN_RULE, ALLOW_WITHOUT_REASON, RULES
from agentdb_cli.migrations.lint.tokens import Kind, Token
from agentdb_cli.migrations.statements import Statement

_ALLOW = re.compile(r"--\s*agentdb:\s*allow\b\s*(\S*)\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What comments allow.

    Attributes:
        everywhere: rules that are allowed in the whole file.
        statements: (number of the statement, rule).
        wrong: comments that allow nothing.
    """

    everywhere: frozenset[str]
    statements: frozenset[tuple[int, str]]
    wrong: tuple[tuple[Rule, Hit], ...]

    def covers(self, statement: int, rule: Rule) -> bool:
        """Whether a rule may be broken by a statement."""
        return rule.name in self.everywhere or (statement, rule.name) in self.statements


def read(text: str, tokens: Iterable[Token], statements: Sequence[Statement]) -> Allowed:
    """What the comments of a script allow.

    One before the first statement counts for the whole file, one inside a
    statement or on the line of its end for that one, any other for the next.
    """
    everywhere: set[str] = set()
    single: set[tuple[int, str]] = set()
    wrong: list[tuple[Rule, Hit]] = []
    for token in tokens:
        match = _ALLOW.match(token.value) if token.kind is Kind.comment else None
        if match is None:
            continue
        name, reason = match[1], match[2].strip()
        if name not in RULES:
            detail = f"there is no rule '{name}'{nearest(name, RULES)}" if name else ""
            wrong.append((ALLOW_UNKNOWN_RULE, Hit(token, detail)))
        elif not reason:
            wrong.append((ALLOW_WITHOUT_REASON, Hit(token)))
        elif not statements or token.start < statements[0].start:
            everywhere.add(name)
        else:
            single.add((_statement_of(text, token, statements), name))
    return Allowed(frozenset(everywhere), frozenset(single), tuple(wrong))


def _statement_of(text: str, comment: Token, statements: Sequence[Statement]) -> int:
    before = max(i for i, s in enumerate(statements) if s.start < comment.start)
    end = statements[before].end
    same_line = comment.start < end or "\n" not in text[end : comment.start]
    return before if same_line else before + 1
