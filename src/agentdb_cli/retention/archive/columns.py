"""A table's columns, and how each format writes their values and reads them back.

csv      PostgreSQL's own CSV with a header: NULL is nothing, an empty text is `""`.
jsonl    one object a line. Numbers, booleans and jsonb are themselves, times are ISO 8601,
         all else is PostgreSQL's text in a string: exact for arrays, ranges, json, vectors,
         whose forms in JSON lose something. A column that is NULL is left out, since a
         jsonb column may hold JSON's own null.
parquet  whole numbers, floats, booleans, numeric(p,s) up to 38 digits, timestamps and dates
         as such; all else is PostgreSQL's text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier, literal


class Format(StrEnum):
    """How rows are kept."""

    csv = "csv"
    jsonl = "jsonl"
    parquet = "parquet"

    @property
    def suffix(self) -> str:
        """The end of a part's file name."""
        return "parquet" if self is Format.parquet else f"{self}.zst"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that holds data of its own.

    Attributes:
        type: as the server writes it, such as `numeric(10,2)`.
        builtin: the name of its type in pg_catalog, or "" for types that are not PostgreSQL's.
    """

    name: str
    type: str
    builtin: str


# Their text is JSON. The cast costs less than to_json, which looks the type up in each row.
_JSON_ALREADY = {"bool", "int2", "int4", "int8", "jsonb"}
_SCALARS = {
    *("float4", "float8", "numeric", "text", "varchar", "bpchar"),
    *("uuid", "timestamp", "timestamptz", "date"),
}
_MOST_ARGUMENTS = 90  # of one function call; the server takes 100

# COPY writes a JSON line as it is when neither delimiter nor quote can occur in it: JSON
# has no control characters.
COPY_OPTIONS = {
    Format.csv: "FORMAT csv, HEADER, ENCODING 'UTF8'",
    Format.jsonl: "FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02', ENCODING 'UTF8'",
    Format.parquet: "FORMAT csv, ENCODING 'UTF8'",
}


def read(connection: Connection, oid: int) -> tuple[Column, ...]:
    """The columns of a table, without the generated ones."""
    text = query("retention/archive_columns").replace(":oid", str(oid))
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        return tuple(cursor.execute(text.encode()).fetchall())


def row(columns: Sequence[Column], format: Format) -> str:
    """What a statement must select or return from table `t`, so that COPY writes rows."""
    match format:
        case Format.csv:
            return ", ".join(f"t.{identifier(c.name)}" for c in columns)
        case Format.jsonl:
            return _json_line(columns)
        case Format.parquet:
            return ", ".join(_for_arrow(c) for c in columns)


def _json_line(columns: Sequence[Column]) -> str:
    fields = [f"{_json_key(c.name)} || {_json_value(c)}" for c in columns]
    groups = [fields[i : i + _MOST_ARGUMENTS] for i in range(0, len(fields), _MOST_ARGUMENTS)]
    # concat() takes NULL for nothing, and so leaves out the whole field.
    joined = " || ".join(f"pg_catalog.concat({', '.join(group)})" for group in groups)
    return f"'{{' || pg_catalog.right({joined}, -1) || '}}'"


def _json_key(name: str) -> str:
    return literal(f",{json.dumps(name, ensure_ascii=False)}:")


def _json_value(column: Column) -> str:
    value = f"t.{identifier(column.name)}"
    if column.builtin in _JSON_ALREADY:
        return f"{value}::pg_catalog.text"
    if column.builtin not in _SCALARS:
        value += "::pg_catalog.text"
    return f"pg_catalog.to_json({value})::pg_catalog.text"


def _for_arrow(column: Column) -> str:
    """Times as whole microseconds or days since 1970: text cannot say infinity to Arrow."""
    name = identifier(column.name)
    value = f"t.{name}"
    match column.builtin:
        case "timestamp" | "timestamptz":
            # date_trunc first: up to PostgreSQL 13 extract gives a double, exact for
            # whole seconds alone.
            number = (
                f"extract(epoch FROM pg_catalog.date_trunc('second', {value}))::int8 * 1000000"
                f" + extract(microseconds FROM {value})::int8 % 1000000"
            )
            low, high = -(2**63), 2**63 - 1
        case "date":
            number = f"({value} - date '1970-01-01')"
            low, high = -(2**31), 2**31 - 1
        case _:
            return value
    return (
        f"CASE {value} WHEN 'infinity' THEN {high} WHEN '-infinity' THEN {low} "
        f"ELSE {number} END AS {name}"
    )


def staging(format: Format, columns: Iterable[Column], types: dict[str, str]) -> str:
    """The columns of the table that COPY fills before rows go to their own.

    Args:
        types: the types in the table that rows go to, by column.
    """
    if format is Format.jsonl:
        return "line text"
    plain = {"timestamp": "int8", "timestamptz": "int8", "date": "int4"}
    return ", ".join(
        f"{identifier(c.name)} "
        + ((format is Format.parquet and plain.get(c.builtin)) or types[c.name])
        for c in columns
    )


def selection(format: Format, columns: Sequence[Column], types: dict[str, str], table: str) -> str:
    """The query that makes rows of what COPY put into `table`."""
    if format is not Format.jsonl:
        how = _from_arrow if format is Format.parquet else _as_it_is
        return f"SELECT {', '.join(how(c) for c in columns)} FROM {table} AS s"  # noqa: S608
    declared = ", ".join(
        f"{identifier(c.name)} {'jsonb' if c.builtin == 'jsonb' else 'text'}" for c in columns
    )
    values = ", ".join(_from_json(c, types[c.name]) for c in columns)
    record = f"pg_catalog.json_to_record(s.line::json) AS r ({declared})"
    return f"SELECT {values} FROM {table} AS s CROSS JOIN LATERAL {record}"  # noqa: S608


def _as_it_is(column: Column) -> str:
    return f"s.{identifier(column.name)}"


def _from_json(column: Column, type: str) -> str:
    value = f"r.{identifier(column.name)}"
    if column.builtin != "jsonb":
        return f"{value}::{type}"
    # json_to_record makes NULL of JSON's null; the operator tells it from a missing field.
    kept = f"(s.line::json OPERATOR(pg_catalog.->) {literal(column.name)})::jsonb"
    return f"coalesce({value}, {kept})::{type}"


def _from_arrow(column: Column) -> str:
    value = f"s.{identifier(column.name)}"
    match column.builtin:
        case "timestamp" | "timestamptz" as type:
            # In days and the rest of a day, each of which is exact in its own type.
            moment = (
                f"{type} 'epoch' + pg_catalog.make_interval(days => ({value} / 86400000000)::int4)"
                f" + ({value} % 86400000000) * interval '1 microsecond'"
            )
            low, high = -(2**63), 2**63 - 1
        case "date" as type:
            moment, low, high = f"date '1970-01-01' + {value}", -(2**31), 2**31 - 1
        case _:
            return value
    return (
        f"CASE {value} WHEN {high} THEN {type} 'infinity' "
        f"WHEN {low} THEN {type} '-infinity' ELSE {moment} END"
    )


_DECIMAL = re.compile(r"numeric\((\d+),(\d+)\)")


def decimal_digits(column: Column) -> tuple[int, int] | None:
    """Precision and scale of a numeric that fits Arrow's 38 digits, or None."""
    match = _DECIMAL.fullmatch(column.type)
    if match is None or not int(match[2]) <= int(match[1]) <= 38:
        return None
    return int(match[1]), int(match[2])
