"""Rules about the types of columns."""

from __future__ import annotations

from collections.abc import Iterator

from agentdb_cli.migrations.lint.context import Context
from agentdb_cli.migrations.lint.model import Hit, Rule, Severity
from agentdb_cli.migrations.lint.statement import Column, Parsed

_VECTORS = ("vector", "halfvec", "sparsevec")


def _columns(statement: Parsed) -> Iterator[Column]:
    """The columns that a statement defines, but for those of temporary tables."""
    if not statement.temporary:
        yield from statement.columns
    yield from (action.column for action in statement.actions if action.column)


def _timestamp(statement: Parsed, _: Context) -> Iterator[Hit]:
    for column in _columns(statement):
        words = column.type.split()
        if words[:1] == ["timestamp"] and "with" not in words:
            yield Hit(column.at)


def _json(statement: Parsed, _: Context) -> Iterator[Hit]:
    for column in _columns(statement):
        if column.type.split()[:1] == ["json"]:
            yield Hit(column.at)


def _no_dimension(statement: Parsed, _: Context) -> Iterator[Hit]:
    for column in _columns(statement):
        if column.type in _VECTORS and not column.arguments:
            yield Hit(column.at)


RULES = (
    Rule(
        "timestamp-without-time-zone", Severity.warning,
        "timestamp keeps no zone: the same moment reads differently from one session to another",
        "timestamptz",
        _timestamp,
    ),
    Rule(
        "json-not-jsonb", Severity.warning,
        "json is kept as text: it has no equality, no GIN index, and is parsed at each use",
        "jsonb",
        _json,
    ),
    Rule(
        "vector-without-dimensions", Severity.error,
        "without a dimension the column takes vectors of any length, and no index",
        "vector(1536), with the number that the model returns",
        _no_dimension,
    ),
)  # fmt: skip
