"""Statements that PostgreSQL runs outside of a transaction alone, and what they leave.

After PreventInTransactionBlock in the server's sources. What depends on more than
a statement's words (CREATE SUBSCRIPTION, CALL, REINDEX of a partitioned table) is
left to the server, which refuses it before anything of it has happened.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agentdb_cli.migrations.statements import Statement

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NEW_INDEX = re.compile(
    r"(?P<head>CREATE\s+(?:UNIQUE\s+)?INDEX)\s+CONCURRENTLY\s+"
    rf"(?P<guarded>IF\s+NOT\s+EXISTS\s+)?(?!ON\s)(?P<name>{_NAME})\s+ON\s+(?:ONLY\s+)?"
    rf"(?P<table>{_NAME}(?:\s*\.\s*{_NAME})?)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_REINDEX_OPTION = re.compile(
    r"REINDEX\s*\([^)]*\bCONCURRENTLY\b(?!\s+(?:false|off|0))", re.IGNORECASE
)
_REINDEX_MANY = re.compile(
    r"REINDEX\s*(?:\([^)]*\)\s*)?(?:SCHEMA|DATABASE|SYSTEM)\b", re.IGNORECASE
)
_CLUSTER_ALL = re.compile(r"CLUSTER(?:\s+VERBOSE|\s*\([^)]*\))?", re.IGNORECASE)
_DETACH = re.compile(r"\bDETACH\s+PARTITION\s.*\sCONCURRENTLY", re.IGNORECASE | re.DOTALL)
_SET_TABLESPACE = re.compile(r"\sSET\s+TABLESPACE\s", re.IGNORECASE)

_REPEATABLE = frozenset({"VACUUM", "REINDEX", "CLUSTER", "DISCARD", "ANALYZE", "REFRESH"})
_GUARDED = re.compile(r"\w[\w\s]*?\bIF\s+(?:NOT\s+)?EXISTS\b", re.IGNORECASE)


class NewIndex(NamedTuple):
    """What CREATE INDEX CONCURRENTLY is asked for.

    Attributes:
        head: `CREATE UNIQUE INDEX`.
        guarded: whether it says IF NOT EXISTS.
        name: the index's name, as the catalog has it.
        table: its table, as SQL.
        rest: all that follows the table.
    """

    head: str
    guarded: bool
    name: str
    table: str
    rest: str


def needs_no_transaction(statement: Statement) -> str | None:
    """What of a statement no transaction may hold, such as `CREATE INDEX CONCURRENTLY`."""
    words, text = statement.keywords, statement.text
    match words[:1]:
        case ("VACUUM",):
            return "VACUUM"
        case ("CREATE",) if builds_index(statement):
            return "CREATE INDEX CONCURRENTLY"
        case ("DROP",) if words[1:3] == ("INDEX", "CONCURRENTLY"):
            return "DROP INDEX CONCURRENTLY"
        case ("CREATE" | "DROP",) if words[1:2] in (("DATABASE",), ("TABLESPACE",)):
            return " ".join(words[:2])
        case ("REINDEX",) if "CONCURRENTLY" in words[1:3] or _REINDEX_OPTION.match(text):
            return "REINDEX CONCURRENTLY"
        case ("REINDEX",) if found := _REINDEX_MANY.match(text):
            return f"REINDEX {found[0].split()[-1].upper()}"
        case ("CLUSTER",) if _CLUSTER_ALL.fullmatch(text):
            return "CLUSTER of all tables"
        case ("DISCARD",) if words[1:2] == ("ALL",):
            return "DISCARD ALL"
    return _altering(words, text) if words[:1] == ("ALTER",) else None


def _altering(words: tuple[str, ...], text: str) -> str | None:
    if words[1:2] == ("SYSTEM",):
        return "ALTER SYSTEM"
    if words[1:2] == ("DATABASE",) and _SET_TABLESPACE.search(text):
        return "ALTER DATABASE … SET TABLESPACE"
    if words[1:2] == ("TABLE",) and _DETACH.search(text):
        return "DETACH PARTITION … CONCURRENTLY"
    return None


def lets_others_pass(statement: Statement) -> bool:
    """Whether nobody who reads or writes waits behind it, however long it waits itself."""
    return "CONCURRENTLY" in (needs_no_transaction(statement) or "") and statement.keywords[:1] != (
        "ALTER",
    )


def builds_index(statement: Statement) -> bool:
    """Whether it is CREATE INDEX CONCURRENTLY, which leaves an invalid index when broken off."""
    words = statement.keywords
    return words[:1] == ("CREATE",) and (
        words[1:3] == ("INDEX", "CONCURRENTLY") or words[1:4] == ("UNIQUE", "INDEX", "CONCURRENTLY")
    )


def new_index(text: str) -> NewIndex | None:
    """The parts of CREATE INDEX CONCURRENTLY; None for another statement, or without a name."""
    found = _NEW_INDEX.match(text)
    if found is None:
        return None
    name = found["name"]
    plain = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
    return NewIndex(found["head"], bool(found["guarded"]), plain, found["table"], found["rest"])


def is_repeatable(statement: Statement) -> bool:
    """Whether a statement may run twice with the same end as once."""
    words = statement.keywords
    if words[:1] in (("CREATE",), ("DROP",), ("ALTER",)):
        return words[1:2] == ("SYSTEM",) or _GUARDED.match(statement.text) is not None
    return words[:1] != () and words[0] in _REPEATABLE
