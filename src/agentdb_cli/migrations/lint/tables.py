"""Rules about what locks, rewrites or scans a table that is in use."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from agentdb_cli.migrations.lint.context import Context
from agentdb_cli.migrations.lint.model import Hit, Rule, Severity
from agentdb_cli.migrations.lint.reader import find
from agentdb_cli.migrations.lint.statement import Action, Column, Parsed
from agentdb_cli.migrations.lint.tokens import Token, number

_SERIAL = ("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8")
# Of pg_proc with provolatile = 'v', and of uuid-ossp, those that make sense as a default.
_VOLATILE = (
    "random", "random_normal", "gen_random_uuid", "uuidv4", "uuidv7", "uuid_generate_v1",
    "uuid_generate_v1mc", "uuid_generate_v4", "clock_timestamp", "timeofday", "nextval",
)  # fmt: skip


def _added(statement: Parsed, context: Context) -> Iterator[tuple[Action, Column]]:
    for action in context.changes(statement):
        if action.column and action.words[:1] == ("add",):
            yield action, action.column


def _constraints(statement: Parsed, context: Context) -> Iterator[Action]:
    """The constraints that an ALTER TABLE adds, without those of new columns."""
    for action in context.changes(statement):
        if action.words[:1] == ("add",) and action.column is None:
            yield action


def default_of(column: Column) -> tuple[Token, ...] | None:
    """What follows DEFAULT; None without one, or with DEFAULT NULL."""
    start = find(column.rest, "default")
    if start is None or column.rest[start + 1 : start + 2] == ():
        return None
    return None if column.rest[start + 1].is_word("null") else column.rest[start + 1 :]


def _fills_itself(column: Column) -> bool:
    return column.type in _SERIAL or find(column.rest, "generated") is not None


def _not_null(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action, column in _added(statement, context):
        required = find(column.rest, "not", "null"), find(column.rest, "primary", "key")
        if required != (None, None) and default_of(column) is None and not _fills_itself(column):
            yield Hit(action.at)


def _rewriting_column(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action, column in _added(statement, context):
        if is_computed(column):
            yield Hit(action.at)


def is_computed(column: Column) -> bool:
    """Whether a new column has a value of its own in each row, which is written at once."""
    default = default_of(column) or ()
    volatile = any(
        token.is_word(*_VOLATILE) and after.is_symbol("(") for token, after in pairwise(default)
    )
    # Without either word a generated column is virtual (from 18 on; a wrong statement before).
    generated = find(column.rest, "generated") is not None and any(
        token.is_word("stored", "identity") for token in column.rest
    )
    return volatile or generated or column.type in _SERIAL


def _type_change(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        column = action.column
        if column is None or action.words[:1] != ("alter",):
            continue
        before = context.columns.get(((statement.table or ("",))[-1], column.name))
        if find(column.rest, "using") is not None or not keeps_values(before, column):
            yield Hit(action.at)


_SAME = {
    "character varying": "varchar",
    "decimal": "numeric",
    "timestamptz": "timestamp with time zone",
}


def keeps_values(before: Column | None, after: Column) -> bool:
    """Whether a change of type leaves the rows as they are: manual of ALTER TABLE, Notes."""
    new = _SAME.get(after.type, after.type)
    if before is None:  # nobody knows; that it was varchar is likely enough
        return new in ("text", "varchar") and not after.arguments
    old = _SAME.get(before.type, before.type)
    if new in ("text", "varchar") and not after.arguments:
        return old in ("text", "varchar")
    lengths = _numbers(before), _numbers(after)
    if old != new or new not in ("varchar", "numeric", "varbit"):
        return False
    if not lengths[1]:
        return True
    return bool(lengths[0] and lengths[0][0] <= lengths[1][0] and lengths[0][1:] == lengths[1][1:])


def _numbers(column: Column) -> list[int]:
    return [found for token in column.arguments if (found := number(token)) is not None]


def _set_not_null(statement: Parsed, context: Context) -> Iterator[Hit]:
    table = statement.table
    for action in context.changes(statement):
        if (
            action.words[:1] == ("alter",)
            and find(action.tokens, "set", "not", "null") is not None
            and table not in context.validated
        ):
            yield Hit(action.at)


def _foreign_key(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in _constraints(statement, context):
        if find(action.tokens, "foreign", "key") is not None and not _unvalidated(action):
            yield Hit(action.at)
    # A new column without a default is NULL in all rows, and the server knows it.
    for action, column in _added(statement, context):
        if find(column.rest, "references") is not None and default_of(column) is not None:
            yield Hit(action.at)


def _check(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in _constraints(statement, context):
        is_check = find(action.tokens, "check") is not None
        is_not_null = find(action.tokens, "not", "null") is not None
        if (is_check or is_not_null) and not _unvalidated(action):
            yield Hit(action.at)
    for action, column in _added(statement, context):
        if find(column.rest, "check") is not None:
            yield Hit(action.at)


def _unvalidated(action: Action) -> bool:
    return find(action.tokens, "not", "valid") is not None


def _unique(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in _constraints(statement, context):
        if find(action.tokens, "using", "index") is None and any(
            find(action.tokens, *words) is not None
            for words in (("unique",), ("primary", "key"), ("exclude",))
        ):
            yield Hit(action.at)
    for action, column in _added(statement, context):
        if (find(column.rest, "unique"), find(column.rest, "primary", "key")) != (None, None):
            yield Hit(action.at)


def _validation(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:2] == ("validate", "constraint") and len(action.tokens) > 2:
            name = (statement.table or ("",))[-1], action.tokens[2].value
            if context.in_transaction and name in context.unvalidated:
                yield Hit(action.at)


_REWRITING = (("set", "logged"), ("set", "unlogged"), ("set", "tablespace"), ("set", "access"))


def _rewrite(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:2] in _REWRITING:
            yield Hit(action.at)
    vacuum = statement.words[:1] == ("vacuum",) and any(t.is_word("full") for t in statement.tokens)
    if vacuum or (statement.words[:1] == ("cluster",) and len(statement.tokens) > 1):
        yield Hit(statement.at)


def _detach(statement: Parsed, context: Context) -> Iterator[Hit]:
    for action in context.changes(statement):
        if action.words[:2] == ("detach", "partition") and not action.tokens[-1].is_word(
            "concurrently", "finalize"
        ):
            yield Hit(action.at)


RULES = (
    Rule(
        "add-not-null-column", Severity.error,
        "a NOT NULL column without a default cannot be added to a table that has rows",
        "give it a constant DEFAULT; or add it without NOT NULL, fill it in batches, and set "
        "NOT NULL later through a CHECK (… IS NOT NULL) NOT VALID constraint that is validated",
        _not_null,
    ),
    Rule(
        "add-column-rewrite", Severity.error,
        "a volatile default, a stored generated column, an identity or a serial is computed "
        "for every row: the table is rewritten, and can be neither read nor written meanwhile",
        "add the column without it, ALTER COLUMN … SET DEFAULT for new rows, "
        "then fill the old ones in batches",
        _rewriting_column,
    ),
    Rule(
        "change-column-type", Severity.error,
        "another type rewrites the table and its indexes under a lock that stops reading, too",
        "add a column of the new type, write to both, fill it in batches, then change over",
        _type_change,
    ),
    Rule(
        "set-not-null", Severity.warning,
        "SET NOT NULL reads the whole table under a lock that stops reading, too",
        "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in a later "
        "file; then SET NOT NULL believes it and the constraint can go",
        _set_not_null,
    ),
    Rule(
        "foreign-key-without-not-valid", Severity.error,
        "a foreign key checks every row while both tables cannot be written to",
        "ADD CONSTRAINT … FOREIGN KEY … NOT VALID; then VALIDATE CONSTRAINT in a later file",
        _foreign_key,
    ),
    Rule(
        "check-without-not-valid", Severity.error,
        "a CHECK or NOT NULL constraint reads the whole table under a lock that stops reading, too",
        "ADD CONSTRAINT … NOT VALID; then VALIDATE CONSTRAINT in a later file",
        _check,
    ),
    Rule(
        "constraint-builds-index", Severity.error,
        "the index of the constraint is built under a lock that stops reading, too",
        "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE (or PRIMARY KEY) "
        "USING INDEX",
        _unique,
    ),
    Rule(
        "validate-in-same-transaction", Severity.warning,
        "the strong lock of ADD CONSTRAINT … NOT VALID is held until the transaction ends, and so "
        "while VALIDATE CONSTRAINT reads the whole table",
        "put VALIDATE CONSTRAINT into the next file",
        _validation,
    ),
    Rule(
        "rewrite-table", Severity.error,
        "the table is written anew and can be neither read nor written meanwhile",
        "do it in a maintenance window; against bloat, agentdb vacuum and agentdb reindex",
        _rewrite,
    ),
    Rule(
        "detach-without-concurrently", Severity.warning,
        "DETACH PARTITION locks the whole partitioned table against reading and writing",
        "DETACH PARTITION … CONCURRENTLY, in a file with -- agentdb: no-transaction",
        _detach,
    ),
)  # fmt: skip
