"""The actions of ALTER TABLE: in which words the table of levels knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agentdb_cli.migrations.forecast.levels import ALTER_TABLE, OTHER_TABLE, Level
from agentdb_cli.migrations.lint.reader import Name, Reader, find, words_of
from agentdb_cli.migrations.lint.statement import Action, Column
from agentdb_cli.migrations.lint.tables import default_of, is_computed, keeps_values
from agentdb_cli.migrations.lint.tokens import Token

Columns = Mapping[tuple[str, str], Column]
"""(table, column) and its definition, as far as it is known."""


def level(action: Action, table: str, columns: Columns) -> Level:
    """What an action does to its table."""
    words = phrase(action, table, columns).split()
    while " ".join(words) not in ALTER_TABLE:
        words.pop()
    return ALTER_TABLE[" ".join(words)]


def others(action: Action) -> Iterator[tuple[Name, Level]]:
    """The further tables that an action names, and what it does to them."""
    reader = Reader(action.tokens)
    if (at := find(action.tokens, "references")) is not None and action.words[:1] == ("add",):
        reader.position = at + 1
        yield from _named(reader, "references")
    elif reader.accept("attach", "partition"):
        yield from _named(reader, "attach partition")
    elif reader.accept("detach", "partition"):
        yield from _named(reader, "detach partition")
    elif reader.accept("inherit"):
        yield from _named(reader, "inherit")
    elif reader.accept("no", "inherit"):
        yield from _named(reader, "no inherit")


def constraint(action: Action, verb: str) -> str | None:
    """The name of the constraint that an action drops or validates."""
    reader = Reader(action.tokens)
    if not reader.accept(verb, "constraint"):
        return None
    reader.accept("if", "exists")
    name = reader.name()
    return name[-1] if name else None


def phrase(action: Action, table: str, columns: Columns) -> str:
    """An action in the words of `levels.ALTER_TABLE`."""
    tokens, first = action.tokens, action.words[:1]
    if first == ("add",):
        return _new_column(action.column) if action.column else _constraint(tokens)
    if first == ("alter",) and action.words[1:2] != ("constraint",):
        return _altered_column(action, columns.get((table, action.column.name))
                               if action.column else None)  # fmt: skip
    if first == ("detach",):
        last = tokens[-1].value if tokens[-1].is_word("concurrently", "finalize") else ""
        return f"detach partition {last}".strip()
    return _words(tokens)


def _named(reader: Reader, kind: str) -> Iterator[tuple[Name, Level]]:
    if name := reader.name():
        yield name, OTHER_TABLE[kind]


def _new_column(column: Column) -> str:
    rest = column.rest
    if is_computed(column):
        return "add column computed"
    if find(rest, "unique") is not None or find(rest, "primary", "key") is not None:
        return "add column unique"
    required = find(rest, "not", "null") is not None and default_of(column) is None
    if required or find(rest, "check") is not None:
        return "add column checked"
    return "add column"


def _constraint(tokens: tuple[Token, ...]) -> str:
    later = " not valid" if find(tokens, "not", "valid") is not None else ""
    if find(tokens, "foreign", "key") is not None:
        return f"add foreign key{later}"
    unique = find(tokens, "unique") is not None or find(tokens, "exclude") is not None
    primary = find(tokens, "primary", "key") is not None
    if not (unique or primary):
        return f"add check{later}"  # or NOT NULL
    if find(tokens, "using", "index") is None:
        return "add unique"
    return f"add {'primary key' if primary else 'unique'} using index"


def _altered_column(action: Action, before: Column | None) -> str:
    if action.column:
        converted = find(action.column.rest, "using") is not None
        same = not converted and before is not None and keeps_values(before, action.column)
        return f"alter column type{' same bytes' if same else ''}"
    reader = Reader(action.tokens)
    reader.accept("alter")
    reader.accept("column")
    reader.position += 1  # its name, or its number
    return f"alter column {_words(reader.rest)}"


def _words(tokens: tuple[Token, ...]) -> str:
    """`set ( user_catalog_table`, `cluster on i`."""
    words = list(words_of(tokens))
    if len(words) < len(tokens) and tokens[len(words)].is_symbol("("):
        words += ["(", *words_of(tokens[len(words) + 1 :], 1)]
    return " ".join(words)
