"""Rollback notes at the end of a file: `-- Rollback:`, then statements in comments."""

from __future__ import annotations

import re

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.statements import ScriptError, line_and_column, parse

_HEADING = re.compile(r"^--[ \t]*Rollback[ \t]*:[ \t]*$", re.IGNORECASE | re.MULTILINE)
_NOT_BLANK = re.compile(r"[^\n]")
_DASHES = re.compile(r"^([ \t]*)--", re.MULTILINE)

# The first words of PostgreSQL's SQL commands that can undo something: what begins otherwise is
# a remark, and the notes are not to be run.
_COMMANDS = frozenset(
    {"ALTER", "ANALYZE", "BEGIN", "CALL", "CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE",
     "DELETE", "DO", "DROP", "END", "GRANT", "INSERT", "LOCK", "MERGE", "REASSIGN", "REFRESH",
     "REINDEX", "RESET", "REVOKE", "SECURITY", "SELECT", "SET", "START", "TRUNCATE", "UPDATE",
     "VACUUM", "WITH"}
)  # fmt: skip


def find(text: str, where: str) -> str | None:
    """The statements of the notes, in a text as long as the file's; None without notes.

    Args:
        where: the file, for errors.

    Raises:
        MigrationError: the notes hold something that is no SQL statement.
    """
    heading = _after_the_last_statement(text)
    if heading is None:
        return None
    notes = _DASHES.sub(r"\1  ", text[heading.end() :])
    uncommented = _NOT_BLANK.sub(" ", text[: heading.end()]) + notes
    try:
        statements = parse(uncommented).statements
    except ScriptError as error:
        raise _no_sql(where, error.line, error.message) from None
    for statement in statements:
        if statement.keywords[:1] and statement.keywords[0] in _COMMANDS:
            continue
        line, _ = line_and_column(text, statement.start)
        raise _no_sql(where, line, " ".join(statement.text.split())[:60])
    return uncommented if statements else None


def _no_sql(where: str, line: int, what: str) -> MigrationError:
    return MigrationError(
        f"{where}, line {line}: the rollback notes hold no SQL statement: {what}",
        hint="write the statements into a file of their own, NNN_name.down.sql, "
        "which comes before the notes",
    )


def _after_the_last_statement(text: str) -> re.Match[str] | None:
    """The heading of the notes, if nothing but comments follows it."""
    for heading in _HEADING.finditer(text):
        rest = text[heading.end() :]
        if all(not line.strip() or line.lstrip().startswith("--") for line in rest.split("\n")):
            try:
                parse(text[: heading.start()])
            except ScriptError:
                return None  # within a string, or not sound: preparing the file says so
            return heading
    return None
