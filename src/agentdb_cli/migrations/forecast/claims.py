"""From a statement to the locks that it takes, as far as its words tell."""

from __future__ import annotations

from collections.abc import Iterator

from agentdb_cli.migrations.forecast import alter, levels
from agentdb_cli.migrations.forecast.levels import Level, Work
from agentdb_cli.migrations.forecast.model import (
    Claim,
    Reach,
    Reading,
    accept,
    names_in,
    of_rows,
    skip,
)
from agentdb_cli.migrations.forecast.special import SPECIAL
from agentdb_cli.migrations.lint.reader import Reader
from agentdb_cli.migrations.lint.statement import Parsed

_BETWEEN = ("or", "replace", "temporary", "temp", "unlogged", "default", "trusted", "procedural")
_ROUTINES = {
    "do": "DO runs code that is not read",
    "call": "CALL runs a procedure that is not read",
    "execute": "EXECUTE runs a statement that was prepared elsewhere",
    "explain": "EXPLAIN with ANALYZE runs the statement",
}


def read(statement: Parsed, columns: alter.Columns) -> Reading:
    """What a statement tells about its locks."""
    words = statement.words
    match words:
        case ("do" | "call" | "execute" | "explain" as word, *_):
            return Reading(unknown=_ROUTINES[word])
        case ("alter", *_) if statement.actions:
            return Reading(tuple(_alter_table(statement, columns)))
        case ("create", *_) if statement.index:
            return Reading((_index(statement),))
        case ("insert" | "update" | "delete" | "merge" | "with" | "select" | "values" | "copy" |
              "table", *_):  # fmt: skip
            return of_rows(statement)
        case () if statement.tokens[0].is_symbol("("):
            return of_rows(statement)
    reader = Reader(statement.tokens)
    for first, special in SPECIAL.items():
        if accept(reader, tuple(first.split())):
            return special(statement, reader)
        reader.position = 0
    for entry in levels.STATEMENTS:
        if accept(reader, entry.words):
            return _listed(statement, reader, entry)
        reader.position = 0
    words = tuple(word for word in words if word not in _BETWEEN)
    if words[:2] in levels.NOTHING or words[:1] in levels.NOTHING:
        return Reading(unknown=_cascade(statement))
    return Reading(unknown="what it locks is not known here")


def _alter_table(statement: Parsed, columns: alter.Columns) -> Iterator[Claim]:
    table = statement.table
    assert table is not None
    found = [alter.level(action, table[-1], columns) for action in statement.actions]
    mode = max(level.mode for level in found)
    # One lock for all of it, and one pass over the rows.
    work = max((level.work for level in found), key=list(Work).index)
    notes: list[str] = []
    further, dropped = (Reach.alone, levels.READ), ""
    for action in statement.actions:
        if name := alter.constraint(action, "drop"):
            further, dropped = (Reach.constraint, levels.OTHER_TABLE["dropped foreign key"]), name
        elif name := alter.constraint(action, "validate"):
            further, dropped = (Reach.constraint, levels.OTHER_TABLE["validated foreign key"]), name
        if action.words[:1] == ("drop",) and action.tokens[-1].is_word("cascade"):
            notes.append("CASCADE drops what depends on it, too")
        if "set not null" in alter.phrase(action, "", {}):
            notes.append("not if a validated CHECK (… IS NOT NULL) proves it")
    level = Level(mode, work, found[0].source)
    yield Claim(table, level, further, dropped, note="; ".join(dict.fromkeys(notes)))
    for action in statement.actions:
        for name_, other in alter.others(action):
            yield Claim(name_, other)


def _index(statement: Parsed) -> Claim:
    index = statement.index
    assert index is not None
    level = levels.INDEX_CONCURRENTLY if index.concurrently else levels.INDEX
    return Claim(index.table, Level(level.mode, Work.none, level.source) if index.only else level)


def _listed(statement: Parsed, reader: Reader, entry: levels.Entry) -> Reading:
    """A statement of the table of levels."""
    skip(reader)
    level, note = entry.level, ""
    drops = level.work is Work.drop
    if statement.tokens[-1].is_word("cascade"):
        note = "CASCADE drops what depends on it, too" if drops else ""
    further = (Reach.alone, levels.READ)
    if entry.words[:2] == ("drop", "index"):
        further = (Reach.table, Level(level.mode, Work.none, level.source))
    elif entry.words == ("drop", "table"):
        further = (Reach.referenced, levels.OTHER_TABLE["dropped foreign key"])
    elif level.work is Work.empty and statement.tokens[-1].is_word("cascade"):
        further, note = (Reach.referencing, level), "CASCADE empties all that refer to it"
    claims = tuple(
        Claim(name, level, further, note=note, certain=entry.words[0] not in ("grant", "revoke"))
        for name in names_in(statement.tokens, reader, entry.where)
    )
    unknown = ""
    if drops and note and entry.words[:2] != ("drop", "index"):
        unknown = "CASCADE also drops what depends on it"
    return Reading(claims, unknown)


def _cascade(statement: Parsed) -> str:
    drops = statement.words[:1] == ("drop",) and statement.tokens[-1].is_word("cascade")
    return "CASCADE also drops what depends on it" if drops else ""
