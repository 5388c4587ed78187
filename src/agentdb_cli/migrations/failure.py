"""A migration that the server refused: which file, line, column and statement, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import alone
from agentdb_cli.migrations.prepare import NO_TRANSACTION, Prepared, Step
from agentdb_cli.migrations.statements import line_and_column

# The second: ALTER TYPE … ADD VALUE, and the value is used at once.
_NEEDS_NO_TRANSACTION = (
    psycopg.errors.ActiveSqlTransaction,
    psycopg.errors.UnsafeNewEnumValueUsage,
)

_WIDTH = 100
"""Characters of a statement or line that are shown."""


class Where(Protocol):
    """Where something failed, and what of the file is kept."""

    @property
    def prepared(self) -> Prepared:
        """The file."""

    @property
    def kept(self) -> str:
        """What the failure has left of the file, as part of a sentence."""

    @property
    def patience(self) -> str:
        """The option that lets it wait longer for a lock."""

    def offset(self, error: psycopg.Error) -> int | None:
        """The character offset in the file; None if it failed at COMMIT."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message failed.

    Attributes:
        prefix: what was sent before the body.
        done: how many statements of the body were done before the failing one.
    """

    prepared: Prepared
    prefix: str
    done: int
    kept: str = "nothing of this file was kept"
    patience: str = "--lock-timeout"

    def offset(self, error: psycopg.Error) -> int | None:
        """The character offset in the file; None if it failed at COMMIT."""
        body, statements = self.prepared.body, self.prepared.statements
        if error.diag.statement_position:
            position = int(error.diag.statement_position) - 1 - len(self.prefix)
            if 0 <= position <= len(body.text):
                return body.offset_in_script(position)
        return statements[self.done].start if 0 <= self.done < len(statements) else None


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a file without a transaction failed: in its statement `number`, from 1.

    Attributes:
        prefix: how many characters were sent before the statement.
    """

    prepared: Prepared
    step: Step
    number: int
    prefix: int

    @property
    def kept(self) -> str:
        """What was done before it."""
        if self.number == 1:
            return "nothing of this file was done"
        done = "statement 1" if self.number == 2 else f"statements 1 to {self.number - 1}"
        return f"{done} of this file stay{'s' if self.number == 2 else ''} done"

    @property
    def patience(self) -> str:
        """The option that lets it wait longer for a lock."""
        patient = alone.lets_others_pass(self.step.statement)
        return "--lock-retry-time" if patient else "--lock-timeout"

    def offset(self, error: psycopg.Error) -> int | None:
        """The character offset in the file."""
        position = int(error.diag.statement_position or 0) - 1 - self.prefix
        if 0 <= position <= len(self.step.body.text):
            return self.step.statement.start + self.step.body.offset_in_script(position)
        return self.step.statement.start


def explain(
    error: psycopg.Error, place: Where, before: int, further: Sequence[str] = ()
) -> MigrationError:
    """The server's error as one that leads to the place in the file.

    Args:
        before: how many files this run has applied before this one.
        further: what else is to be said, a line each.
    """
    prepared = place.prepared
    offset = place.offset(error)
    state = f" ({error.sqlstate})" if error.sqlstate else ""
    lines = [f"{prepared.file.label} failed: {error.diag.message_primary or error}{state}"]
    if offset is None:
        lines.append(f"  in {prepared.file.path}, at COMMIT")
    else:
        lines += _excerpt(prepared, offset)
        lines += _statement_line(prepared, offset)
    diagnostic = error.diag
    context = (diagnostic.context or "").splitlines()
    for label, text in (
        ("detail", diagnostic.message_detail),
        ("server's hint", diagnostic.message_hint),
        ("where", context[0] if context else None),
    ):
        if text:
            lines.append(f"  {label}: {text}")
    lines += [f"  {line}" for line in further]
    return MigrationError("\n".join(lines), hint=_hint(error, place, before))


def _excerpt(prepared: Prepared, offset: int) -> list[str]:
    text = prepared.file.text
    line, column = line_and_column(text, offset)
    source = text.split("\n")[line - 1]
    cut = max(0, column - 1 - _WIDTH // 2)
    shown = source[cut : cut + _WIDTH].replace("\t", " ")
    number = str(line)
    return [
        f"  in {prepared.file.path}, line {line}, column {column}",
        f"  {number} | {shown}",
        f"  {' ' * len(number)} | {' ' * (column - 1 - cut)}^",
    ]


def _statement_line(prepared: Prepared, offset: int) -> list[str]:
    """The statement's first line, unless the excerpt shows it already."""
    for number, statement in enumerate(prepared.statements, start=1):
        if statement.start <= offset <= statement.end:
            first = statement.text.split("\n")[0]
            if (
                line_and_column(prepared.file.text, offset)[0]
                == (line_and_column(prepared.file.text, statement.start)[0])
            ):
                return []
            line = line_and_column(prepared.file.text, statement.start)[0]
            return [f"  in statement {number}, from line {line}: {first[:_WIDTH]}"]
    return []


def _hint(error: psycopg.Error, place: Where, before: int) -> str:
    prepared, kept = place.prepared, place.kept
    if before:
        done = "undone" if prepared.undoes else "applied"
        kept += f"; the {before} before it stay{'s' if before == 1 else ''} {done}"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"{kept}. Another session holds a lock on it: run again, or raise {place.patience}"
    if isinstance(error, _NEEDS_NO_TRANSACTION):
        return f"{kept}. Put {NO_TRANSACTION} above the file's first statement"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        if "extension" in (error.diag.message_primary or "") and prepared.extensions:
            names = "; ".join(f"CREATE EXTENSION {name}" for name in prepared.extensions)
            return f"{kept}. An administrator must run {names} in this database once"
        return f"{kept}. Run it as a role that may do this, or have the right granted"
    command = "agentdb migrate down" if prepared.undoes else "agentdb migrate"
    return f"{kept}. Mend the file, then run {command} again"
