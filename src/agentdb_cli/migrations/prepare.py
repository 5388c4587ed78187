"""From a file to the one message that applies it, refused here if it cannot work.

A file becomes BEGIN, its statements, its tracking row and COMMIT in a single
round trip: either all of it happens or nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import alone, foreign, history
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.foreign import Naming
from agentdb_cli.migrations.statements import (
    Script,
    ScriptError,
    Statement,
    line_and_column,
    parse,
)
from agentdb_cli.migrations.variables import Substituted, substitute
from agentdb_cli.settings.keys import Scalar

_COMMIT = frozenset(
    (word, *rest) for word in ("COMMIT", "END") for rest in ((), ("WORK",), ("TRANSACTION",))
)
_TRANSACTION_CONTROL = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})

# A file that may have changed a setting for the whole session, and so for the
# files after it: pg_dump's scripts empty search_path, for example.
_SETS_SOMETHING = re.compile(r"\b(?:set|set_config)\b", re.IGNORECASE)
RESET = "RESET SESSION AUTHORIZATION;RESET ALL;"

_TO_STDOUT = re.compile(r"\bto\s+stdout\b", re.IGNORECASE)


NO_TRANSACTION = "-- agentdb: no-transaction"


class Step(NamedTuple):
    """One statement of a file without a transaction, and its text with variables filled in."""

    statement: Statement
    body: Substituted


@dataclass(frozen=True, slots=True)
class Prepared:
    """A migration ready to be sent.

    Attributes:
        file: where it comes from.
        statements: what it runs, without its own BEGIN and COMMIT.
        body: its text with variables filled in and its own BEGIN and COMMIT
            blanked out.
        begin: the statement that opens its transaction.
        extensions: the extensions that its header says it needs.
        steps: its statements one by one, if its header says that it runs
            without a transaction.
        undoes: whether it undoes the migration, and takes its record back.
    """

    file: MigrationFile
    statements: tuple[Statement, ...]
    body: Substituted
    begin: str
    extensions: tuple[str, ...]
    steps: tuple[Step, ...] = ()
    undoes: bool = False

    def rest(self, table: history.Table, pack: str) -> str:
        """What is sent after the opening of the transaction: the body, the tracking row, COMMIT."""
        reset = RESET if _SETS_SOMETHING.search(self.body.text) else ""
        return f"{self.body.text}\n;{reset}{self.record(table, pack)};COMMIT"

    def record(self, table: history.Table, pack: str, begun: str | None = None) -> str:
        """SQL: the migration is applied, or no longer.

        Args:
            begun: SQL for the moment from which its duration runs; else the BEGIN.
        """
        if self.undoes:
            return history.deletion(table, pack, self.file.version)
        begun = begun or "transaction_timestamp()"
        return history.insertion(table, pack, self.file, self.body.used, begun=begun)


def prepare(file: MigrationFile, values: Mapping[str, Scalar], *, undoes: bool = False) -> Prepared:
    """Check a file and fill in its variables.

    Args:
        undoes: whether it is the down part of a migration.

    Raises:
        MigrationError: the file cannot be applied in one transaction, is not
            lexically sound, or holds what only psql can run; the message
            names line and column.
    """
    text = file.text
    foreign.refuse_placeholders(file, text)
    try:
        script = parse(text)
    except ScriptError as error:
        raise MigrationError(f"{_place(file, error.offset)}: {error.message}") from None
    stepwise = runs_in_steps(file, script)
    begin, inner = ("", script.statements) if stepwise else _own_transaction(file, script)
    if not inner and not file.is_foreign:
        raise MigrationError(
            f"{file.path} holds no SQL statement", hint="write its SQL, or remove the file"
        )
    for statement in inner:
        if statement.keywords[:1] == ("COPY",) and _TO_STDOUT.search(statement.text):
            raise _refused(file, statement, "COPY … TO STDOUT has no place to write to")
        (_refuse_in_steps if stepwise else _refuse_in_transaction)(file, statement)
    text = _blanked(script, inner)
    body = substitute(replace(script, text=text), values, str(file.path))
    needs = tuple(value for name, value in script.directives if name == "requires-extension")
    steps = (_step(script, statement, values, file) for statement in inner)
    if undoes:
        needs = ()
    return Prepared(file, inner, body, begin, needs, tuple(steps) if stepwise else (), undoes)


def runs_in_steps(file: MigrationFile, script: Script) -> bool:
    """Whether a file runs without a transaction.

    golang-migrate and Flyway have no mark for it: there what stands alone in its
    file runs by itself.
    """
    if file.no_transaction or any(name == "no-transaction" for name, _ in script.directives):
        return True
    return file.naming in (Naming.pairs, Naming.flyway) and [
        alone.needs_no_transaction(statement) is not None for statement in script.statements
    ] == [True]


def _step(
    script: Script, statement: Statement, values: Mapping[str, Scalar], file: MigrationFile
) -> Step:
    variables = tuple(
        replace(each, start=each.start - statement.start, end=each.end - statement.start)
        for each in script.variables
        if statement.start <= each.start < statement.end
    )
    own = Script(statement.text, (statement,), variables, ())
    return Step(statement, substitute(own, values, str(file.path)))


def _refuse_in_transaction(file: MigrationFile, statement: Statement) -> None:
    name = alone.needs_no_transaction(statement)
    if name is not None:
        raise _refused(
            file,
            statement,
            f"{name} cannot run in a transaction",
            hint=f"give it a file of its own, with {NO_TRANSACTION} above its first statement",
        )


def _refuse_in_steps(file: MigrationFile, statement: Statement) -> None:
    if _controls_transaction(statement) and statement.keywords[1:2] != ("PREPARED",):
        raise _refused(
            file,
            statement,
            f"{statement.keywords[0]} in a file with {NO_TRANSACTION}",
            hint="each of its statements is committed by itself; "
            "put what belongs into one transaction into a file of its own",
        )
    if alone.builds_index(statement) and alone.new_index(statement.text) is None:
        raise _refused(
            file,
            statement,
            "an index that is built CONCURRENTLY needs a name",
            hint="write CREATE INDEX CONCURRENTLY name ON table: by its name a broken-off build "
            "is found again",
        )


def _own_transaction(file: MigrationFile, script: Script) -> tuple[str, tuple[Statement, ...]]:
    """The BEGIN to use, and the statements without the file's own BEGIN and COMMIT.

    A file may open with BEGIN and close with COMMIT, as files made for
    `psql -f` do; the tracking row then joins that transaction.
    """
    begin, inner = "BEGIN", script.statements
    if len(inner) > 1 and _is_begin(inner[0]) and inner[-1].keywords in _COMMIT:
        begin, inner = inner[0].text, inner[1:-1]
    for statement in inner:
        if _controls_transaction(statement):
            raise _refused(
                file,
                statement,
                f"{statement.keywords[0]} inside a migration",
                hint="a file is applied in one transaction, which agentdb opens and commits; "
                "split the file where one transaction must end",
            )
    return begin, inner


def _blanked(script: Script, inner: tuple[Statement, ...]) -> str:
    """The text with blanks for the statements that are not in `inner`, offsets unchanged."""
    text = script.text
    for statement in script.statements:
        if statement not in inner:
            end = statement.end + (text[statement.end : statement.end + 1] == ";")
            text = text[: statement.start] + " " * (end - statement.start) + text[end:]
    return text


def _is_begin(statement: Statement) -> bool:
    return statement.keywords[:2] == ("START", "TRANSACTION") or statement.keywords[:1] == (
        "BEGIN",
    )


def _controls_transaction(statement: Statement) -> bool:
    words = statement.keywords
    if words[:1] == ("ROLLBACK",) and "TO" in words[1:3]:
        return False  # to a savepoint
    return words[:1] != () and (
        words[0] in _TRANSACTION_CONTROL or words[:2] == ("PREPARE", "TRANSACTION")
    )


def _place(file: MigrationFile, offset: int) -> str:
    line, column = line_and_column(file.text, offset)
    return f"{file.path}, line {line}, column {column}"


def _refused(
    file: MigrationFile, statement: Statement, message: str, hint: str | None = None
) -> MigrationError:
    return MigrationError(f"{_place(file, statement.start)}: {message}", hint=hint)
