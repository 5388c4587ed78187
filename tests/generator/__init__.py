"""Fills any database with plausible rows that fit together.

    from generator import fill

    with psycopg.connect(url) as connection:
        fill(connection, rows=10_000, seed=1)

The catalog says what there is: tables, types, keys and checks (`catalog`). Each
column gets values by its type and name (`values`); foreign keys repeat a row of
their parent, and unique keys are kept (`keys`).

Not everything that a CHECK can say is understood: lists of values, bounds,
lengths, and that an end comes after its start are. What is not is refused by
the server, and then nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from random import Random

import psycopg
from psycopg import sql

from generator.catalog import Table, read
from generator.keys import Columns, Keys
from generator.values import Rows, make

__all__ = ["VECTOR_ROWS", "fill"]

VECTOR_ROWS = 500
"""Rows of a table with vectors, unless told otherwise: with 1,536 dimensions an HNSW index takes
milliseconds for each."""


def fill(
    connection: psycopg.Connection,
    rows: int = 10_000,
    seed: int = 1,
    schemas: Iterable[str] | None = None,
    *,
    rows_by_table: Mapping[str, int] | None = None,
    now: datetime | None = None,
) -> dict[str, int]:
    """Fill every table, in one transaction.

    The same seed and the same `now` give the same rows.

    Args:
        connection: to a database whose tables are empty.
        rows: of each table; at most `VECTOR_ROWS` of those with vectors.
        schemas: only these; their foreign keys to other tables take the rows that are there.
        rows_by_table: exceptions, by `schema.table`.
        now: what the times count back from; this moment by default.

    Returns:
        The rows of each table, by `schema.table`. Fewer than asked for where a table can have only
        one for each row of another table, and where rows came out alike that must not be.

    Raises:
        ValueError: a column needs a value of an unknown type, or tables need each other's rows.
        psycopg.Error: a constraint that is not understood.
    """
    moment = (now or datetime.now(UTC)).timestamp()
    filled = {}
    with connection.transaction():
        tables = _in_order(read(connection, schemas))
        keys = Keys(connection, tables)
        for table in tables:
            wanted = (rows_by_table or {}).get(str(table), _default(table, rows))
            random = Random(f"{seed} {table}")
            new = Rows.of(table, keys.at_most(table, wanted), random, moment, connection)
            columns: Columns = {
                column.name: make(column, new, unique=table.is_unique(column))
                for column in table.columns
                if column.name not in table.references
            }
            keys.fit(table, columns, new)
            filled[str(table)] = _copy(connection, table, columns)
            _advance_sequences(connection, table)
    return filled


def _default(table: Table, rows: int) -> int:
    vectors = any(column.type in ("vector", "halfvec") for column in table.columns)
    return min(rows, VECTOR_ROWS) if vectors else rows


def _in_order(tables: list[Table]) -> list[Table]:
    """Parents first, otherwise by name."""
    ordered: list[Table] = []
    waiting = {str(table): table for table in tables}
    while waiting:
        ready = [name for name, table in waiting.items() if not table.parents & waiting.keys()]
        if not ready:
            raise ValueError(f"tables need each other's rows: {', '.join(waiting)}")
        ordered += [waiting.pop(name) for name in ready]
    return ordered


def _copy(connection: psycopg.Connection, table: Table, columns: Columns) -> int:
    names = [column.name for column in table.columns]
    lines = [
        "\t".join(["\\N" if value is None else value for value in row])
        for row in zip(*(columns[name] for name in names), strict=True)
    ]
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.schema, table.name), sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with connection.cursor().copy(statement) as copy:
        copy.write("".join(f"{line}\n" for line in lines))
    return len(lines)


def _advance_sequences(connection: psycopg.Connection, table: Table) -> None:
    """Let the sequences of a table go on after its rows."""
    relation = sql.Identifier(table.schema, table.name)
    for column in table.columns:
        if column.is_serial:
            statement = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {}")
            connection.execute(
                statement.format(
                    relation.as_string(connection),
                    column.name,
                    sql.Identifier(column.name),
                    relation,
                )
            )
