"""Statements as rules see them: which kind, on which table, with which parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentdb_cli.migrations.lint.reader import Name, Reader, find, split, words_of
from agentdb_cli.migrations.lint.tokens import Token

_COLUMN_CONSTRAINTS = (
    "constraint", "not", "null", "default", "primary", "unique", "check", "references",
    "generated", "collate", "compression", "storage", "deferrable", "initially", "using",
)  # fmt: skip
_TABLE_CONSTRAINTS = ("constraint", "primary", "unique", "check", "foreign", "exclude", "not")
_BEFORE_TABLE = ("global", "local", "temporary", "temp", "unlogged", "foreign")


@dataclass(frozen=True, slots=True)
class Column:
    """A column as CREATE TABLE, ADD COLUMN or ALTER COLUMN TYPE writes it.

    Attributes:
        type: the words of its type without schema and arguments: `timestamp with time zone`.
        arguments: what stands in parentheses after the type.
        rest: default and constraints.
        at: where it begins.
    """

    name: str
    type: str
    arguments: tuple[Token, ...]
    rest: tuple[Token, ...]
    at: Token


@dataclass(frozen=True, slots=True)
class Action:
    """One action of an ALTER TABLE: `words` are its first words, at most four."""

    words: tuple[str, ...]
    tokens: tuple[Token, ...]
    column: Column | None = None

    @property
    def at(self) -> Token:
        """Where it begins."""
        return self.tokens[0]


@dataclass(frozen=True, slots=True)
class Index:
    """A CREATE INDEX."""

    name: Name | None
    table: Name
    method: str
    only: bool
    concurrently: bool
    keys: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement.

    Attributes:
        tokens: without comments.
        words: its first four words, in lower case.
        table: what CREATE TABLE, ALTER TABLE and CREATE INDEX are about.
        names: what DROP and TRUNCATE are about.
    """

    tokens: tuple[Token, ...]
    words: tuple[str, ...]
    table: Name | None = None
    temporary: bool = False
    columns: tuple[Column, ...] = ()
    actions: tuple[Action, ...] = ()
    index: Index | None = None
    names: tuple[Name, ...] = ()

    @property
    def at(self) -> Token:
        """Where it begins."""
        return self.tokens[0]

    def has(self, *words: str) -> bool:
        """Whether these words stand one after the other outside of parentheses."""
        return find(self.tokens, *words) is not None


def parse(tokens: Sequence[Token]) -> Parsed:
    """What a statement is; one that no rule knows has its words alone."""
    words = words_of(tokens)
    reader = Reader(tokens)
    match words[:1]:
        case ("create",):
            return _create(tuple(tokens), words, reader)
        case ("alter",) if reader.accept("alter") and (
            reader.accept("foreign", "table")
            or reader.accept("materialized", "view")
            or reader.accept("table")
        ):
            return _alter_table(tuple(tokens), words, reader)
        case ("drop",) | ("truncate",):
            return Parsed(tuple(tokens), words, names=_dropped(reader))
    return Parsed(tuple(tokens), words)


def column(tokens: Sequence[Token]) -> Column | None:
    """A column's definition: name, type, constraints."""
    if not tokens or not tokens[0].is_name:
        return None
    reader = Reader(tokens)
    reader.position = 1
    return column_type(tokens[0].value, reader, tokens[0])


def column_type(name: str, reader: Reader, at: Token) -> Column:
    """A column of which the type comes next."""
    words: list[str] = []
    arguments: tuple[Token, ...] = ()
    while reader.position < len(reader.tokens):
        token = reader.tokens[reader.position]
        if token.is_word(*_COLUMN_CONSTRAINTS):
            break
        if token.is_symbol("("):
            arguments = reader.parentheses() or ()
            continue
        if token.is_symbol("."):
            words.clear()
        else:
            words.append(f'"{token.value}"' if not token.is_word(token.value) else token.value)
        reader.position += 1
    return Column(name, " ".join(words), arguments, reader.rest, at)


def _create(tokens: tuple[Token, ...], words: tuple[str, ...], reader: Reader) -> Parsed:
    reader.accept("create")
    before: list[str] = []
    while word := reader.accept_any(_BEFORE_TABLE):
        before.append(word)
    if reader.accept("table") or reader.accept("materialized", "view"):
        return _create_table(tokens, words, reader, "temp" in before or "temporary" in before)
    reader.accept("unique")
    if reader.accept("index"):
        return _create_index(tokens, words, reader)
    return Parsed(tokens, words)


def _create_table(
    tokens: tuple[Token, ...], words: tuple[str, ...], reader: Reader, temporary: bool
) -> Parsed:
    reader.accept("if", "not", "exists")
    table = reader.name()
    # CREATE TABLE … AS, OF and PARTITION OF name no types in their parentheses.
    inside = reader.parentheses() or ()
    parts = () if find(reader.rest, "as") is not None else split(inside)
    columns = [column(part) for part in parts if not part[0].is_word(*_TABLE_CONSTRAINTS, "like")]
    found = tuple(c for c in columns if c is not None)
    return Parsed(tokens, words, table=table, temporary=temporary, columns=found)


def _create_index(tokens: tuple[Token, ...], words: tuple[str, ...], reader: Reader) -> Parsed:
    concurrently = reader.accept("concurrently")
    reader.accept("if", "not", "exists")
    name: Name | None = None
    if not reader.accept("on"):
        name = reader.name()
        if not reader.accept("on"):
            return Parsed(tokens, words)
    only = reader.accept("only")
    table = reader.name()
    if table is None:
        return Parsed(tokens, words)
    method = (reader.name() or ("btree",))[-1] if reader.accept("using") else "btree"
    keys = reader.parentheses() or ()
    index = Index(name, table, method, only, concurrently, keys)
    return Parsed(tokens, words, table=table, index=index)


def _alter_table(tokens: tuple[Token, ...], words: tuple[str, ...], reader: Reader) -> Parsed:
    if reader.accept("all"):  # ALL IN TABLESPACE
        return Parsed(tokens, words)
    reader.accept("if", "exists")
    reader.accept("only")
    table = reader.name()
    reader.symbol("*")
    actions = tuple(_action(part) for part in split(reader.rest))
    return Parsed(tokens, words, table=table, actions=actions)


def _action(tokens: tuple[Token, ...]) -> Action:
    reader = Reader(tokens)
    words = words_of(tokens)
    found: Column | None = None
    if reader.accept("add"):
        said = reader.accept("column")
        reader.accept("if", "not", "exists")
        if reader.rest and (said or not reader.rest[0].is_word(*_TABLE_CONSTRAINTS)):
            found = column(reader.rest)
    elif reader.accept("alter"):
        reader.accept("column")
        name = reader.name()
        reader.accept("set", "data")
        if name and reader.accept("type"):
            found = column_type(name[-1], reader, tokens[0])
    return Action(words, tokens, found)


def _dropped(reader: Reader) -> tuple[Name, ...]:
    reader.accept_any(("drop", "truncate"))
    reader.accept("materialized")
    reader.accept_any(("table", "view", "index", "schema", "sequence", "type"))
    reader.accept("concurrently")
    reader.accept("if", "exists")
    reader.accept("only")
    names: list[Name] = []
    while name := reader.name():
        names.append(name)
        reader.symbol("*")
        if not reader.symbol(","):
            break
    return tuple(names)
