"""A migration that the server refused: which file, line, column and statement, and why."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.statements import line_and_column

_WIDTH = 100
"""Characters of a statement or line that are shown."""


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

    def offset(self, error: psycopg.Error) -> int | None:
        """The character offset in the file; None if it failed at COMMIT."""
        body, statements = self.prepared.body, self.prepared.statements
        if error.diag.statement_position:
            position = int(error.diag.statement_position) - 1 - len(self.prefix)
            if 0 <= position <= len(body.text):
                return body.offset_in_script(position)
        return statements[self.done].start if 0 <= self.done < len(statements) else None


def explain(error: psycopg.Error, place: Place, before: int) -> MigrationError:
    """The server's error as one that leads to the place in the file.

    Args:
        before: how many files this run has applied before this one.
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
    return MigrationError("\n".join(lines), hint=_hint(error, prepared, before))


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


def _hint(error: psycopg.Error, prepared: Prepared, before: int) -> str:
    kept = "nothing of this file was kept"
    if before:
        kept += f"; the {before} before it stay{'s' if before == 1 else ''} applied"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return f"{kept}. Another session holds a lock on it: run again, or raise --lock-timeout"
    if isinstance(error, psycopg.errors.ActiveSqlTransaction):
        return f"{kept}. agentdb applies each file in one transaction; use a form that allows it"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        if "extension" in (error.diag.message_primary or "") and prepared.extensions:
            names = "; ".join(f"CREATE EXTENSION {name}" for name in prepared.extensions)
            return f"{kept}. An administrator must run {names} in this database once"
        return f"{kept}. Run it as a role that may do this, or have the right granted"
    return f"{kept}. Mend the file, then run agentdb migrate again"
