"""What is known when a statement is looked at: all that stands before it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agentdb_cli.migrations.lint.reader import Name, Reader
from agentdb_cli.migrations.lint.statement import Action, Column, Parsed
from agentdb_cli.migrations.lint.tokens import Kind, Token, tokenize
from agentdb_cli.settings.keys import Scalar


@dataclass(slots=True)
class Context:
    """What earlier statements have made.

    Attributes:
        variables: the values of the variables in the files.
        fresh: tables that did not exist before this run: empty, and used by nobody.
        filled: fresh tables, and tables with a new column, that have been written to.
        new_columns: (table, column) added in this run.
        columns: (table, column) and its definition as far as files have told it.
        indexes: indexes made in this run.
        schemas: schemas made in this run.
        validated: tables with a constraint that was validated in this run.
        unvalidated: (table, constraint) added NOT VALID in this file.
        in_transaction: whether the file runs in one transaction.
        lock_timeout: whether the file has set one.
    """

    variables: dict[str, Scalar] = field(default_factory=dict)
    fresh: set[Name] = field(default_factory=set)
    filled: set[Name] = field(default_factory=set)
    new_columns: set[tuple[str, str]] = field(default_factory=set)
    columns: dict[tuple[str, str], Column] = field(default_factory=dict)
    indexes: set[Name] = field(default_factory=set)
    schemas: set[Name] = field(default_factory=set)
    validated: set[Name] = field(default_factory=set)
    unvalidated: set[tuple[str, str]] = field(default_factory=set)
    in_transaction: bool = True
    lock_timeout: bool = False

    @classmethod
    def of(cls, variables: Mapping[str, Scalar]) -> Context:
        """Before the first statement."""
        return cls(variables=dict(variables))

    def begin_run(self) -> None:
        """From here on the statements run together; what stands before is in use."""
        for names in (self.fresh, self.filled, self.indexes, self.schemas, self.validated):
            names.clear()
        self.new_columns.clear()

    def begin_file(self, in_transaction: bool) -> None:
        """A file begins."""
        self.in_transaction = in_transaction
        self.lock_timeout = False
        self.unvalidated.clear()

    def exists(self, table: Name | None) -> bool:
        """Whether a table was there before this run, as far as its name tells."""
        return table is not None and not known(self.fresh, table)

    def changes(self, statement: Parsed) -> Iterator[Action]:
        """The actions of an ALTER TABLE on a table that was there before this run."""
        if self.exists(statement.table):
            yield from statement.actions

    def learn(self, statement: Parsed) -> None:
        """Take note of what a statement does."""
        match statement.words:
            case ("create", "schema", *_):
                self._create_schema(statement)
            case ("do", *_):
                for token in statement.tokens:
                    self._take_tables(_in_string(token))
            case ("set" | "reset", *_) if any(
                token.is_word("lock_timeout") for token in statement.tokens[:3]
            ):
                self.lock_timeout = True
            case ("insert" | "merge", "into", *_) | ("update" | "copy", *_):
                self._fill(statement)
            case _:
                self._take(statement)

    def _take(self, statement: Parsed) -> None:
        table = statement.table
        if table is None:
            return
        if statement.index:
            # An index lives in the schema of its table.
            if statement.index.name:
                self.indexes.add((*table[:-1], statement.index.name[-1]))
        elif statement.actions:
            self._alter(statement, table)
        elif statement.words[:1] == ("create",):
            self.fresh.add(table)
            if statement.has("as"):
                self.filled.add(table)
            for column in statement.columns:
                self.columns[table[-1], column.name] = column

    def _alter(self, statement: Parsed, table: Name) -> None:
        for action in statement.actions:
            if action.column:
                self.columns[table[-1], action.column.name] = action.column
                if action.words[:1] == ("add",):
                    self.new_columns.add((table[-1], action.column.name))
            match action.words:
                case ("rename", "to", *_) if not self.exists(table):
                    self.fresh.add((*table[:-1], action.tokens[-1].value))
                case ("set", "schema", *_) if not self.exists(table):
                    self.fresh.add((action.tokens[-1].value, table[-1]))
                case ("validate", "constraint", *_):
                    self.validated.add(table)
                case ("add", "constraint", *_) if len(action.tokens) > 2:
                    if [token.value for token in action.tokens[-2:]] == ["not", "valid"]:
                        self.unvalidated.add((table[-1], action.tokens[2].value))

    def _create_schema(self, statement: Parsed) -> None:
        reader = Reader(statement.tokens)
        reader.accept("create", "schema")
        reader.accept("if", "not", "exists")
        if name := reader.name():
            self.schemas.add(name)
        self._take_tables(statement.tokens)

    def _take_tables(self, tokens: Sequence[Token]) -> None:
        for i, token in enumerate(tokens):
            if token.is_word("table") and any(
                t.is_word("create") for t in tokens[max(i - 3, 0) : i]
            ):
                reader = Reader(tokens[i + 1 : i + 8])
                reader.accept("if", "not", "exists")
                if name := reader.name():
                    self.fresh.add(name)

    def _fill(self, statement: Parsed) -> None:
        if table := written(statement):
            self.filled.add(table)


def written(statement: Parsed) -> Name | None:
    """The table that an INSERT, UPDATE, DELETE, MERGE or COPY writes to."""
    reader = Reader(statement.tokens)
    reader.accept_any(("insert", "update", "delete", "merge", "copy"))
    reader.accept_any(("into", "from"))
    reader.accept("only")
    return reader.name()


def known(names: Collection[Name], name: Name) -> bool:
    """Whether a name is among others; a missing schema may be any."""
    return name in names or any(
        other[-1] == name[-1] and 1 in (len(other), len(name)) for other in names
    )


def _in_string(token: Token) -> list[Token]:
    """The tokens in a string, and in the strings in it: a DO block, and what it executes."""
    if token.kind is not Kind.string:
        return []
    found = tokenize(token.value)
    return [
        *found,
        *(t for inner in found if inner.kind is Kind.string for t in tokenize(inner.value)),
    ]
