"""Rules about indexes, those on vectors among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agentdb_cli.migrations.lint.context import Context, known
from agentdb_cli.migrations.lint.model import Hit, Rule, Severity
from agentdb_cli.migrations.lint.reader import Reader, split
from agentdb_cli.migrations.lint.statement import Column, Index, Parsed, column_type
from agentdb_cli.migrations.lint.tokens import Token, number

# README of pgvector 0.8, "HNSW" and "IVFFlat": the supported types. A sparsevec is bounded
# by its non-zero elements, which its type does not tell.
_LARGEST = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}
_LISTED = ("hnsw", "ivfflat")


def _create(statement: Parsed, context: Context) -> Iterator[Hit]:
    index = statement.index
    # ON ONLY makes the index of a partitioned table without those of its partitions.
    if index and not index.concurrently and not index.only and context.exists(index.table):
        yield Hit(statement.at)


def _drop(statement: Parsed, context: Context) -> Iterator[Hit]:
    if statement.words[:2] != ("drop", "index") or statement.words[2:3] == ("concurrently",):
        return
    if not all(known(context.indexes, name) for name in statement.names):
        yield Hit(statement.at)


def _reindex(statement: Parsed, _: Context) -> Iterator[Hit]:
    if statement.words[:1] == ("reindex",) and not _concurrently(statement):
        yield Hit(statement.at)


def _refresh(statement: Parsed, context: Context) -> Iterator[Hit]:
    if statement.words[:3] == ("refresh", "materialized", "view"):
        reader = Reader(statement.tokens)
        reader.accept("refresh", "materialized", "view")
        if not reader.accept("concurrently") and context.exists(reader.name()):
            yield Hit(statement.at)


def _concurrently(statement: Parsed) -> bool:
    return any(token.is_word("concurrently") for token in statement.tokens[:6])


def _in_transaction(statement: Parsed, context: Context) -> Iterator[Hit]:
    if not context.in_transaction:
        return
    match statement.words:
        case ("create" | "drop" | "reindex", *_) if _names_index(statement):
            forbidden = _concurrently(statement)
        case ("vacuum", *_) | ("alter", "system", *_) | ("create" | "drop", "database", *_):
            forbidden = True
        case ("create" | "drop", "tablespace", *_):
            forbidden = True
        case _:
            forbidden = any(
                action.words[:2] == ("detach", "partition")
                and action.tokens[-1].is_word("concurrently")
                for action in statement.actions
            )
    if forbidden:
        yield Hit(statement.at)


def _names_index(statement: Parsed) -> bool:
    return (
        statement.index is not None
        or statement.words[:2] == ("drop", "index")
        or statement.words[:1] == ("reindex",)
    )


def _empty_ivfflat(statement: Parsed, context: Context) -> Iterator[Hit]:
    index = statement.index
    if index is None or index.method != "ivfflat" or known(context.filled, index.table):
        return
    columns = [_column_name(part) for part in split(index.keys)]
    if not context.exists(index.table) or any(
        (index.table[-1], name) in context.new_columns for name in columns
    ):
        yield Hit(statement.at)


def _dimensions(statement: Parsed, context: Context) -> Iterator[Hit]:
    index = statement.index
    if index is None or index.method not in _LISTED:
        return
    for part in split(index.keys):
        column = _cast(part) or _plain(part, index, context)
        if column is None or not column.arguments:
            continue
        dimensions = number(column.arguments[0], context.variables)
        largest = _LARGEST.get(column.type)
        if dimensions and largest and dimensions > largest:
            method = {"hnsw": "HNSW", "ivfflat": "IVFFlat"}[index.method]
            yield Hit(
                part[0],
                f"{dimensions:,} dimensions: an {method} index on {column.type} takes at most "
                f"{largest:,}",
            )


def _column_name(part: Sequence[Token]) -> str:
    return part[0].value if part[0].is_name else ""


def _plain(part: Sequence[Token], index: Index, context: Context) -> Column | None:
    return context.columns.get((index.table[-1], _column_name(part)))


def _cast(part: Sequence[Token]) -> Column | None:
    """The type that an expression is cast to last: `(embedding::halfvec(3072))`."""
    casts = [i for i, token in enumerate(part) if token.is_symbol("::")]
    if not casts:
        return None
    reader = Reader(part[casts[-1] + 1 :])
    end = next((i for i, t in enumerate(reader.tokens) if t.is_symbol(")")), 0)
    return column_type("", Reader(reader.tokens[: end + 1]), part[0]) if end else None


RULES = (
    Rule(
        "index-without-concurrently", Severity.error,
        "CREATE INDEX stops all writing to the table until the index is built",
        "CREATE INDEX CONCURRENTLY, in a file of its own with -- agentdb: no-transaction; on a "
        "partitioned table ON ONLY it, CONCURRENTLY on each partition, then ATTACH PARTITION",
        _create,
    ),
    Rule(
        "drop-index-without-concurrently", Severity.warning,
        "DROP INDEX waits for all that use the table, and everybody else waits behind it",
        "DROP INDEX CONCURRENTLY, in a file of its own with -- agentdb: no-transaction",
        _drop,
    ),
    Rule(
        "reindex-without-concurrently", Severity.error,
        "REINDEX stops writing to the table, and reading by that index, until it is done",
        "agentdb reindex, which does it concurrently; or REINDEX … CONCURRENTLY in a file with "
        "-- agentdb: no-transaction",
        _reindex,
    ),
    Rule(
        "refresh-without-concurrently", Severity.warning,
        "REFRESH MATERIALIZED VIEW stops all reading of the view until it is done",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY, which wants a unique index on the view",
        _refresh,
    ),
    Rule(
        "not-in-transaction", Severity.error,
        "the server refuses the statement inside a transaction, and a file is one",
        "put it into a file of its own that begins with -- agentdb: no-transaction",
        _in_transaction,
    ),
    Rule(
        "ivfflat-on-empty-table", Severity.warning,
        "IVFFlat computes its lists from the rows that are there: built on none, it finds little",
        "use HNSW, which needs no rows; or build the index once the table has been filled",
        _empty_ivfflat,
    ),
    Rule(
        "too-many-dimensions", Severity.error,
        "the index takes fewer dimensions than the column has",
        "index a shorter type: ((embedding::halfvec(3072)) halfvec_cosine_ops) takes up to 4,000 "
        "dimensions; or ask the model for fewer",
        _dimensions,
    ),
)  # fmt: skip
