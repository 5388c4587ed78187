"""What a down part would lose: tables and columns it drops, rows it deletes, with live counts.

Read from its statements, and counted without running any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, cast

import psycopg

from agentdb_cli.migrations.down import Undoing
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lint.reader import Name, Reader, find
from agentdb_cli.migrations.lint.statement import Parsed
from agentdb_cli.migrations.lint.statement import parse as parse_statement
from agentdb_cli.migrations.lint.tokens import tokenize
from agentdb_cli.migrations.statements import line_and_column, parse
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier

LONGEST_COUNT = 5_000
"""Milliseconds after which rows are no longer counted, but estimated from the statistics."""

Kind = Literal["table", "column", "rows", "unknown"]

# What may do anything, and is not run to find out.
_OPAQUE = ("do", "call", "execute", "merge", "with")
_HARMLESS_FUNCTIONS = ("set_config", "setval", "pg_catalog")


@dataclass(frozen=True, slots=True)
class Loss:
    """What one statement of a down part would lose.

    Attributes:
        kind: a dropped table, a dropped column, deleted rows, or a statement that
            cannot be looked into.
        name: `schema.table`, `schema.table.column`, or the statement.
        rows: rows, or values that are not null; None if they could not be counted.
        exact: whether they were counted; an estimate otherwise.
        why: why they could not be counted, or where the statement stands.
    """

    label: str
    kind: Kind
    name: str
    rows: int | None = None
    exact: bool = True
    why: str | None = None


class _Relation(NamedTuple):
    schema: str
    relation: str
    estimate: int

    @property
    def quoted(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.relation)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.relation}"


def survey(connection: Connection, job: Job, items: Iterable[Undoing]) -> tuple[Loss, ...]:
    """What would be lost, in the order in which it would be.

    Args:
        connection: only read from, in a transaction that waits for no lock longer
            than the job does.
    """
    found: list[Loss] = []
    with connection.transaction(force_rollback=True):
        connection.execute("SET TRANSACTION READ ONLY")
        # Rows that a policy hides would not be counted: so the server refuses to count at all.
        connection.execute("SET LOCAL row_security = off")
        connection.execute(f"SET LOCAL lock_timeout = {job.lock_timeout}".encode())
        connection.execute(f"SET LOCAL statement_timeout = {LONGEST_COUNT}".encode())
        if job.schema is not None:
            path = f"SET LOCAL search_path = {identifier(job.schema)}, public"
            connection.execute(path.encode())
        for item in items:
            look = _Look(connection, item)
            found += look.losses()
    return tuple(found)


class _Look:
    """At one down part."""

    def __init__(self, connection: Connection, item: Undoing) -> None:
        self._connection, self._item = connection, item

    def losses(self) -> Iterator[Loss]:
        body = self._item.prepared.body
        for statement in parse(body.text).statements:
            if statement.keywords[:1] in (("BEGIN",), ("COMMIT",), ("START",), ("END",)):
                continue
            parsed = parse_statement(tokenize(statement.text))
            yield from self._of_statement(
                parsed, statement.text, body.offset_in_script(statement.start)
            )

    def _of_statement(self, parsed: Parsed, text: str, offset: int) -> Iterator[Loss]:
        match parsed.words[:2]:
            case ("drop", "table"):
                for name in parsed.names:
                    yield from self._table(name)
            case ("drop", "schema") if parsed.has("cascade"):
                for relation in self._of_schemas([name[-1] for name in parsed.names]):
                    yield from self._counted("table", str(relation), relation, "count(*)")
            case ("drop", "type" | "domain" | "extension") if parsed.has("cascade"):
                yield from self._of_types(parsed)
            case ("alter", _) if parsed.actions and parsed.table:
                yield from self._columns(parsed.table, parsed)
            case ("truncate", *_):
                for name in _truncated(parsed):
                    yield from self._rows(name, "")
            case ("delete", "from"):
                yield from self._deleted(parsed, text, offset)
            case (first, *_) if first in _OPAQUE or _calls_a_function(parsed):
                yield self._unknown(text, offset)

    def _table(self, name: Name) -> Iterator[Loss]:
        relation = self._relation(name)
        if relation is not None:
            yield from self._counted("table", str(relation), relation, "count(*)")

    def _rows(self, name: Name, condition: str) -> Iterator[Loss]:
        relation = self._relation(name)
        if relation is not None:
            yield from self._counted("rows", str(relation), relation, "count(*)", condition)

    def _columns(self, table: Name, parsed: Parsed) -> Iterator[Loss]:
        relation = self._relation(table)
        for column in _dropped_columns(parsed) if relation else ():
            assert relation is not None
            yield from self._counted(
                "column", f"{relation}.{column}", relation, f"count({identifier(column)})"
            )

    def _deleted(self, parsed: Parsed, text: str, offset: int) -> Iterator[Loss]:
        reader = Reader(parsed.tokens)
        reader.accept("delete", "from")
        reader.accept("only")
        name = reader.name()
        reader.symbol("*")
        start = find(parsed.tokens, "where")
        end = find(parsed.tokens, "returning")
        if name is None or find(parsed.tokens, "using") is not None:
            yield self._unknown(text, offset)
            return
        ahead = reader.rest[:1]
        alias = ""
        if ahead and not ahead[0].is_word("where", "returning"):
            reader.accept("as")
            alias = f" AS {identifier((reader.name() or name)[-1])}"
        last = parsed.tokens[end].start if end is not None else len(text)
        condition = text[parsed.tokens[start].start : last] if start is not None else ""
        yield from self._rows(name, f"{alias} {condition}")

    def _of_types(self, parsed: Parsed) -> Iterator[Loss]:
        reader = Reader(parsed.tokens)
        reader.accept("drop")
        extension = reader.accept_any(("type", "domain", "extension")) == "extension"
        reader.accept("if", "exists")
        names: list[Name] = []
        while name := reader.name():
            names.append(name)
            if not reader.symbol(","):
                break
        written = [".".join(map(identifier, name)) for name in names]
        arguments = {
            "types": [] if extension else [each for each in written if self._is_type(each)],
            "extensions": [name[-1] for name in names] if extension else [],
        }
        rows = self._connection.execute(query("history/losses_of_types"), arguments).fetchall()
        for schema, table, column in cast(list[tuple[str, str, str]], rows):
            relation = self._relation((schema, table))
            if relation is not None:
                counted = f"count({identifier(column)})"
                yield from self._counted("column", f"{relation}.{column}", relation, counted)

    def _is_type(self, name: str) -> bool:
        row = self._connection.execute("SELECT pg_catalog.to_regtype(%s)", (name,)).fetchone()
        return row is not None and row[0] is not None

    def _of_schemas(self, names: Sequence[str]) -> Iterator[_Relation]:
        arguments = {"names": list(names)}
        rows = self._connection.execute(query("history/losses_of_schemas"), arguments).fetchall()
        for schema, table in cast(list[tuple[str, str]], rows):
            relation = self._relation((schema, table))
            if relation is not None:
                yield relation

    def _relation(self, name: Name) -> _Relation | None:
        written = ".".join(map(identifier, name))
        wanted = query("history/losses_relation")
        row = self._connection.execute(wanted, {"name": written}).fetchone()
        return None if row is None else _Relation(*cast(tuple[str, str, int], row))

    def _counted(
        self, kind: Kind, name: str, relation: _Relation, what: str, condition: str = ""
    ) -> Iterator[Loss]:
        label = self._item.label
        counting = f"SELECT {what} FROM {relation.quoted}{condition}"  # noqa: S608  (quoted)
        loss = Loss(label, kind, name)
        try:
            with self._connection.transaction():
                row = self._connection.execute(counting.encode()).fetchone()
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
            if what == "count(*)" and not condition.strip():
                yield replace(loss, rows=relation.estimate, exact=False)
            else:
                yield replace(loss, why="it takes too long")
        except psycopg.errors.InsufficientPrivilege:
            user = self._connection.info.user
            yield replace(loss, why=f"the role '{user}' may not read all of it")
        except psycopg.errors.UndefinedColumn:
            return  # DROP COLUMN IF EXISTS of one that is not there
        except psycopg.Error as error:
            yield replace(loss, why=error.diag.message_primary)
        else:
            yield replace(loss, rows=cast(tuple[int], row)[0])

    def _unknown(self, text: str, offset: int) -> Loss:
        file = self._item.prepared.file
        line, _ = line_and_column(file.text, offset)
        first = " ".join(text.split())[:60]
        return Loss(self._item.label, "unknown", first, why=f"{file.filename}, line {line}")


def _dropped_columns(parsed: Parsed) -> Iterator[str]:
    for action in parsed.actions:
        reader = Reader(action.tokens)
        if not reader.accept("drop") or reader.accept("constraint"):
            continue
        reader.accept("column")
        reader.accept("if", "exists")
        if name := reader.name():
            yield name[-1]


def _truncated(parsed: Parsed) -> Sequence[Name]:
    reader = Reader(parsed.tokens)
    reader.accept("truncate")
    reader.accept("table")
    names: list[Name] = []
    while True:
        reader.accept("only")
        if not (name := reader.name()):
            return names
        names.append(name)
        reader.symbol("*")
        if not reader.symbol(","):
            return names


def _calls_a_function(parsed: Parsed) -> bool:
    """Whether it is a SELECT of anything but what is known to delete nothing."""
    second = parsed.tokens[1] if len(parsed.tokens) > 1 else None
    return parsed.words[:1] == ("select",) and not (
        second is not None and second.is_word(*_HARMLESS_FUNCTIONS)
    )
