"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentdb_cli.migrations.lint.context import Context
    from agentdb_cli.migrations.lint.statement import Parsed
    from agentdb_cli.migrations.lint.tokens import Token


class Severity(StrEnum):
    """How bad a finding is; both fail a run."""

    error = "error"  # fails, stops the application or loses data
    warning = "warning"  # may do so, or costs more than it must


class Hit(NamedTuple):
    """Where a rule is broken, and what is wrong there if the rule's reason does not say it all."""

    at: Token
    detail: str = ""


Check = Callable[["Parsed", "Context"], Iterator[Hit]]
"""Yields a hit for each thing in the statement that breaks the rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        name: as `--rule` and `-- agentdb: allow` write it.
        reason: what happens if nobody does anything about it.
        rewrite: what to write instead.
        check: looks at one statement; None for what is found in other ways.
        on_request: looked for only when `--rule` names it.
        in_down: looked for also in `.down.sql` files, which undo by their nature.
    """

    name: str
    severity: Severity
    reason: str
    rewrite: str
    check: Check | None = None
    on_request: bool = False
    in_down: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a file that breaks a rule.

    Attributes:
        line: 1-based.
        column: 1-based, in characters.
        statement: the first line or so of the statement.
        detail: what is wrong here, where the rule's reason does not say it all.
    """

    path: Path
    line: int
    column: int
    rule: Rule
    statement: str
    detail: str = ""

    @property
    def reason(self) -> str:
        """Why it is a finding."""
        return self.detail or self.rule.reason
