"""Rules about what breaks the programs that use the database, or loses data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentdb_cli.migrations.lint.context import Context, written
from agentdb_cli.migrations.lint.model import Hit, Rule, Severity
from agentdb_cli.migrations.lint.statement import Parsed
from agentdb_cli.migrations.lint.tokens import Token

_NOTHING = re.compile(r"-?0+(\.0*)?\s*(us|ms|s|min|h|d)?|-\d+")


def _rename_table(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:2] in (("rename", "to"), ("set", "schema")):
            yield Hit(action.at)


def _rename_column(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:1] == ("rename",) and action.words[1:2] not in (("to",), ("constraint",)):
            yield Hit(action.at)


def _drop_column(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:1] == ("drop",) and action.words[1:2] != ("constraint",):
            named = {(*(statement.table or ("",))[-1:], t.value) for t in action.tokens[1:]}
            if not named & context.new_columns:
                yield Hit(action.at)


def _drop_table(statement: Parsed, context: Context) -> Iterator[Hit]:
    names = statement.names
    if statement.words[:2] == ("drop", "table") and any(context.exists(name) for name in names):
        yield Hit(statement.at)
    if statement.words[:2] == ("drop", "schema") and not all(n in context.schemas for n in names):
        yield Hit(statement.at)


def _truncate(statement: Parsed, context: Context) -> Iterator[Hit]:
    if statement.words[:1] == ("truncate",) and any(context.exists(n) for n in statement.names):
        yield Hit(statement.at)


def _cascade(statement: Parsed, context: Context) -> Iterator[Hit]:
    words = statement.words
    if words[:1] in (("drop",), ("truncate",)) and statement.tokens[-1].is_word("cascade"):
        owned = words[:2] == ("drop", "owned")
        if owned or any(context.exists(name) for name in statement.names):
            yield Hit(statement.tokens[-1])
    for action in context.changes(statement):
        if action.words[:1] == ("drop",) and action.tokens[-1].is_word("cascade"):
            yield Hit(action.tokens[-1])


def _whole_table(statement: Parsed, context: Context) -> Iterator[Hit]:
    if statement.words[:1] not in (("update",), ("delete",)) or statement.has("where"):
        return
    if context.exists(written(statement)):
        yield Hit(statement.at)


def _lock_timeout_off(statement: Parsed, _: Context) -> Iterator[Hit]:
    value = _lock_timeout(statement)
    if value is not None and _NOTHING.fullmatch(value.value):
        yield Hit(statement.at)


def _lock_timeout(statement: Parsed) -> Token | None:
    """The value that a SET gives to lock_timeout."""
    tokens = statement.tokens
    if statement.words[:1] != ("set",) or len(tokens) < 4:
        return None
    name = 2 if tokens[1].is_word("session", "local") else 1
    sets = tokens[name].is_word("lock_timeout") and len(tokens) > name + 2
    return tokens[name + 2] if sets else None


def _no_lock_timeout(statement: Parsed, context: Context) -> Iterator[Hit]:
    if context.lock_timeout:
        return
    names = statement.names if statement.words[:1] in (("drop",), ("truncate",)) else ()
    changed = (statement.table,) if statement.actions or statement.index else names
    if any(context.exists(name) for name in changed):
        yield Hit(statement.at)


RULES = (
    Rule(
        "rename-table", Severity.warning,
        "programs that know the table by its old name fail from then on",
        "rename it and make a view of the old name in the same file; drop the view when nobody "
        "uses it any more",
        _rename_table,
        in_down=False,
    ),
    Rule(
        "rename-column", Severity.warning,
        "programs that know the column by its old name fail from then on",
        "add a column of the new name, write to both, fill it in batches, then drop the old one",
        _rename_column,
        in_down=False,
    ),
    Rule(
        "drop-column", Severity.warning,
        "the data is lost, and programs that still name the column fail",
        "release programs that do not use it first; then drop it, with the reason in an allow "
        "comment",
        _drop_column,
        in_down=False,
    ),
    Rule(
        "drop-table", Severity.warning,
        "the data is lost, and programs that still use it fail",
        "release programs that do not use it first; keep a backup (agentdb backup), then drop it, "
        "with the reason in an allow comment",
        _drop_table,
        in_down=False,
    ),
    Rule(
        "truncate", Severity.warning,
        "every row is lost, and nobody can read the table until the transaction ends",
        "DELETE in batches what is not needed (agentdb purge does it by time)",
        _truncate,
        in_down=False,
    ),
    Rule(
        "cascade", Severity.warning,
        "CASCADE drops or empties what depends on it as well, whatever that is on this server",
        "name what is to go, each in a statement of its own, without CASCADE",
        _cascade,
    ),
    Rule(
        "write-whole-table", Severity.warning,
        "every row is written and locked in one transaction, and the old versions stay as bloat",
        "do it in batches outside of migrations, or add a WHERE for the rows that need it",
        _whole_table,
        in_down=False,
    ),
    Rule(
        "lock-timeout-off", Severity.error,
        "without lock_timeout a statement waits for its lock without end, and everybody else "
        "waits behind it",
        "leave it out: agentdb sets lock_timeout (--lock-timeout, 1 s) and tries again; or set a "
        "short one",
        _lock_timeout_off,
    ),
    Rule(
        "missing-lock-timeout", Severity.warning,
        "run by another program than agentdb, which sets one, the statement waits for its lock "
        "without end, and everybody else waits behind it",
        "SET LOCAL lock_timeout = '5s'; at the top of the file",
        _no_lock_timeout,
        on_request=True,
    ),
)  # fmt: skip
