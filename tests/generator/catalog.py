"""What the generator has to know of a database: tables, columns, keys and what they allow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

# Histories of migration tools: rows of ours would be taken for applied files.
HISTORIES = ("agentdb_migrations", "alembic_version", "schema_migrations", "_sqlx_migrations")

Row = dict[str, Any]
INTEGERS = ("int2", "int4", "int8")

_COLUMNS = """
WITH RECURSIVE resolved (name, type, typmod, not_null, domains) AS (
    SELECT oid, oid, -1, false, ARRAY[]::oid[] FROM pg_type
    UNION ALL
    SELECT r.name, t.typbasetype, t.typtypmod, r.not_null OR t.typnotnull, r.domains || t.oid
    FROM resolved AS r JOIN pg_type AS t ON t.oid = r.type AND t.typtype = 'd'
)
SELECT a.attrelid AS relation,
       a.attname AS name,
       CASE WHEN e.oid IS NULL THEN t.typname ELSE e.typname END AS type,
       e.oid IS NOT NULL AS is_array,
       CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE r.typmod END AS typmod,
       a.attnotnull OR r.not_null AS not_null,
       a.atthasdef OR a.attidentity <> '' AS has_default,
       a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%' AS is_serial,
       ARRAY(
           SELECT enumlabel::text FROM pg_enum
           WHERE enumtypid = coalesce(e.oid, t.oid) ORDER BY enumsortorder
       ) AS labels,
       ARRAY(
           SELECT pg_get_constraintdef(oid) FROM pg_constraint
           WHERE contype = 'c' AND contypid = ANY (r.domains)
       ) AS checks
FROM pg_attribute AS a
JOIN resolved AS r ON r.name = a.atttypid
JOIN pg_type AS t ON t.oid = r.type AND t.typtype <> 'd'
LEFT JOIN pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attrelid, a.attnum
"""

_TABLES = """
SELECT c.oid AS relation, n.nspname AS schema, c.relname AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND (%(schemas)s::text[] IS NULL OR n.nspname = ANY (%(schemas)s))
  AND c.relname <> ALL (%(histories)s)
  AND NOT EXISTS (
      SELECT FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
  )
ORDER BY n.nspname, c.relname
"""

_FOREIGN_KEYS = """
SELECT k.conrelid AS relation, n.nspname AS parent_schema, p.relname AS parent_name,
       ARRAY(
           SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
           JOIN pg_attribute ON attrelid = k.conrelid AND attnum = number ORDER BY place
       ) AS columns,
       ARRAY(
           SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
           JOIN pg_attribute ON attrelid = k.confrelid AND attnum = number ORDER BY place
       ) AS referenced
FROM pg_constraint AS k
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%s)
ORDER BY k.conrelid, k.conname
"""

_UNIQUE_KEYS = """
SELECT i.indrelid AS relation,
       ARRAY(
           SELECT attname::text FROM pg_attribute
           WHERE attrelid = i.indrelid AND attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
       ) AS columns,
       pg_get_expr(i.indexprs, i.indrelid) AS expressions,
       pg_get_expr(i.indpred, i.indrelid) AS predicate
FROM pg_index AS i
WHERE i.indisunique AND i.indrelid = ANY (%s)
ORDER BY i.indrelid, NOT i.indisprimary, i.indexrelid
"""

_CHECKS = """
SELECT conrelid AS relation, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY (%s) ORDER BY conname
"""


@dataclass(frozen=True)
class Column:
    """A column to be filled.

    Attributes:
        type: the type below domains and arrays, as pg_type calls it: `int4`, `varchar`, `vector`.
        size: what stands in parentheses behind the type, as PostgreSQL encodes it; -1 for nothing.
        is_serial: numbered by a sequence of its own.
        choices: the only values allowed, by an enum or a CHECK; empty if there is no list.
        longest: characters that a text may have, or None.
        lowest, highest: what a number must not be below and above, or None.
    """

    name: str
    type: str
    is_array: bool
    size: int
    not_null: bool
    has_default: bool
    is_serial: bool
    choices: tuple[str, ...]
    longest: int | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class ForeignKey:
    """Columns that repeat the `referenced` columns of a row of `parent`, in the same order."""

    columns: tuple[str, ...]
    parent: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class UniqueKey:
    """Columns of which no two rows may agree; of a partial index, those where `flag` is true."""

    columns: tuple[str, ...]
    flag: str | None = None


@dataclass(frozen=True)
class Table:
    """A table to be filled.

    Attributes:
        schema, name: as in the catalog, unquoted.
        exclusive: lists of columns of which at most one may be other than NULL.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    unique_keys: tuple[UniqueKey, ...]
    exclusive: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def is_unique(self, column: Column) -> bool:
        """Whether no two values of the column are alike."""
        return column.is_serial or UniqueKey((column.name,)) in self.unique_keys

    def is_own(self, key: ForeignKey) -> bool:
        """Whether a foreign key refers to this table itself."""
        return key.parent == str(self)

    @property
    def references(self) -> set[str]:
        """The columns of foreign keys."""
        return {name for key in self.foreign_keys for name in key.columns}

    @property
    def parents(self) -> set[str]:
        """The other tables that this one refers to."""
        return {key.parent for key in self.foreign_keys} - {str(self)}


def read(connection: psycopg.Connection, schemas: Iterable[str] | None = None) -> list[Table]:
    """All tables of a database, or of some schemas, by name; partitions count as their table."""
    with connection.cursor(row_factory=dict_row) as cursor:
        named = {
            "schemas": None if schemas is None else list(schemas),
            "histories": list(HISTORIES),
        }
        tables = cursor.execute(_TABLES, named).fetchall()
        relations = [table["relation"] for table in tables]
        columns, foreign_keys, unique_keys, checks = (
            cursor.execute(statement, [relations]).fetchall()
            for statement in (_COLUMNS, _FOREIGN_KEYS, _UNIQUE_KEYS, _CHECKS)
        )

    def of(table: Row, rows: list[Row]) -> list[Row]:
        return [row for row in rows if row["relation"] == table["relation"]]

    found = []
    for table in tables:
        own = [check["definition"] for check in of(table, checks)]
        filled = tuple(_column(row, own) for row in of(table, columns))
        names = [column.name for column in filled]
        found.append(
            Table(
                table["schema"],
                table["name"],
                filled,
                tuple(_foreign_key(row) for row in of(table, foreign_keys)),
                tuple(_unique_key(row, names) for row in of(table, unique_keys)),
                tuple(
                    tuple(re.findall(r"\w+", match[1]))
                    for check in own
                    if (match := re.search(r"num_nonnulls\(([^)]*)\) <?= 1\b", check))
                ),
            )
        )
    return found


def _column(row: Row, checks: list[str]) -> Column:
    name = re.escape(row["name"])
    # A domain's own checks speak of VALUE; a table's of the column.
    about = [re.sub(r"\bVALUE\b", row["name"], check) for check in row["checks"]]
    about += [check for check in checks if re.search(rf"\b{name}\b", check)]
    text = " AND ".join(about)
    choices = row["labels"] or _choices(name, text)
    longest = [int(n) for n in re.findall(rf"length\(\(?{name}\)?(?:::\w+)?\) <= (\d+)", text)]
    if row["type"] in ("varchar", "bpchar") and row["typmod"] > 4:
        longest.append(row["typmod"] - 4)
    # Only comparisons with a number: those between columns are met by the order of times.
    bounds = re.findall(rf"\b{name}\)?(?:::\w+)? ([<>])(=?) \(?'?(-?\d+(?:\.\d+)?)\b", text)
    step = 1 if row["type"] in INTEGERS else 0.01
    lowest = [float(n) + (0 if equal else step) for sign, equal, n in bounds if sign == ">"]
    highest = [float(n) - (0 if equal else step) for sign, equal, n in bounds if sign == "<"]
    return Column(
        row["name"], row["type"], row["is_array"], row["typmod"], row["not_null"],
        row["has_default"], bool(row["is_serial"]), tuple(choices), min(longest, default=None),
        max(lowest, default=None), min(highest, default=None),
    )  # fmt: skip


def _choices(name: str, checks: str) -> list[str]:
    """The literals of `CHECK (name IN ('a', 'b'))`, which PostgreSQL writes with ANY."""
    if listed := re.search(rf"\b{name}\)?(?:::\w+)? = ANY \(\(?ARRAY\[(.*?)\]", checks):
        return [value.replace("''", "'") for value in re.findall(r"'((?:[^']|'')*)'", listed[1])]
    return []


def _foreign_key(row: Row) -> ForeignKey:
    parent = f"{row['parent_schema']}.{row['parent_name']}"
    return ForeignKey(tuple(row["columns"]), parent, tuple(row["referenced"]))


def _unique_key(row: Row, names: list[str]) -> UniqueKey:
    columns = list(row["columns"])
    columns += [n for n in names if re.search(rf"\b{re.escape(n)}\b", row["expressions"] or "")]
    flag = re.fullmatch(r"\(?(\w+)\)?", row["predicate"] or "")
    return UniqueKey(tuple(columns), flag[1] if flag else None)
