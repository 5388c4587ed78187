"""Makes rows fit: to the rows that foreign keys refer to, and to unique keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from random import Random

import psycopg
from psycopg import sql

from generator.catalog import INTEGERS, Column, ForeignKey, Table, UniqueKey
from generator.values import Rows, distinct

Value = str | None
Columns = dict[str, list[Value]]
"""The values of each column of a table, all of the same length."""


class Keys:
    """What foreign keys can refer to: rows of the tables that are filled, or that were there."""

    def __init__(self, connection: psycopg.Connection, tables: Iterable[Table]) -> None:
        self._connection = connection
        self._referenced: defaultdict[str, set[str]] = defaultdict(set)
        for key in (key for table in tables for key in table.foreign_keys):
            self._referenced[key.parent].update(key.referenced)
        self._kept: dict[str, Columns] = {}

    def at_most(self, table: Table, rows: int) -> int:
        """The rows a table can have, when some foreign keys let each parent have one."""
        singles = [key for key in table.foreign_keys if _is_single(table, key)]
        return min([rows, *(len(self._parents(key)) for key in singles)])

    def fit(self, table: Table, columns: Columns, rows: Rows) -> None:
        """Fill the columns of foreign keys, and change others so that all constraints are met.

        Raises:
            ValueError: a foreign key needs a row, and there is none.
        """
        # Wide keys first, since they fill the columns of narrow ones; those to the table itself
        # last, since they need its other columns.
        for key in sorted(table.foreign_keys, key=lambda k: (table.is_own(k), -len(k.columns))):
            if table.is_own(key):
                self._refer_to_itself(table, key, columns, rows.random)
            else:
                self._refer(table, key, columns, rows)
        for exclusive in table.exclusive:
            _leave_one(exclusive, columns, rows)
        for unique in table.unique_keys:
            _tell_apart(table, unique, columns)
        self._kept[str(table)] = {name: columns[name] for name in self._referenced[str(table)]}

    def _parents(self, key: ForeignKey) -> list[tuple[Value, ...]]:
        if key.parent not in self._kept:  # a table that is not ours to fill
            names = sorted(self._referenced[key.parent])
            statement = sql.SQL("SELECT {} FROM {}").format(
                sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(n)) for n in names),
                sql.Identifier(*key.parent.split(".", 1)),
            )
            found = self._connection.execute(statement).fetchall()
            self._kept[key.parent] = {
                name: [row[place] for row in found] for place, name in enumerate(names)
            }
        return _rows(self._kept[key.parent], key.referenced)

    def _refer(self, table: Table, key: ForeignKey, columns: Columns, rows: Rows) -> None:
        """Choose a parent for each row that agrees in the columns which are filled already."""
        random, parents = rows.random, self._parents(key)
        filled = [place for place, name in enumerate(key.columns) if name in columns]
        if _is_single(table, key) and not filled:
            return _set(key, columns, random.sample(parents, len(rows.times)))
        agreeing: defaultdict[tuple[Value, ...], list[tuple[Value, ...]]] = defaultdict(list)
        for parent in parents:
            agreeing[tuple(parent[place] for place in filled)].append(parent)
        given = _rows(columns, [key.columns[place] for place in filled]) or [()] * len(rows.times)
        # A unique key of nothing but foreign keys leaves no room for many rows of one parent.
        evenly = any(
            set(key.columns) < set(unique.columns) <= table.references
            for unique in table.unique_keys
        )
        optional = not all(table.column(name).not_null for name in key.columns)
        chosen: list[tuple[Value, ...] | None] = []
        for values in given:
            if optional and (not agreeing[values] or random.random() < 0.1):
                chosen.append(None)
            elif agreeing[values]:
                chosen.append(_choice(agreeing[values], random, evenly=evenly))
            else:
                raise ValueError(f"{table} needs a row of {key.parent}, and there is none")
        return _set(key, columns, chosen)

    def _refer_to_itself(
        self, table: Table, key: ForeignKey, columns: Columns, random: Random
    ) -> None:
        """Choose an earlier row of the same table, or none; a row that needs one may be its own."""
        filled = [place for place, name in enumerate(key.columns) if name in columns]
        optional = not all(table.column(name).not_null for name in key.columns)
        earlier: defaultdict[tuple[Value, ...], list[tuple[Value, ...]]] = defaultdict(list)
        chosen: list[tuple[Value, ...] | None] = []
        for row in _rows(columns, key.referenced):
            agreeing = earlier[tuple(row[place] for place in filled)]
            if optional and (not agreeing or random.random() < 0.5):
                chosen.append(None)
            else:
                chosen.append(random.choice(agreeing or [row]))
            agreeing.append(row)
        _set(key, columns, chosen)


def _is_single(table: Table, key: ForeignKey) -> bool:
    """Whether a parent can have one row at most."""
    return not table.is_own(key) and UniqueKey(key.columns) in table.unique_keys


def _choice(parents: list[tuple[Value, ...]], random: Random, *, evenly: bool) -> tuple[Value, ...]:
    """Any of the parents, or rather one of the first or the latest: these get most of the rows."""
    if evenly:
        return random.choice(parents)
    place = int(len(parents) * random.random() ** 3)
    return parents[place if random.random() < 0.5 else -1 - place]


def _set(key: ForeignKey, columns: Columns, chosen: list[tuple[Value, ...] | None]) -> None:
    for place, name in enumerate(key.columns):
        if name not in columns:
            columns[name] = [None if row is None else row[place] for row in chosen]


def _leave_one(names: tuple[str, ...], columns: Columns, rows: Rows) -> None:
    """Let one of the columns have a value in each row."""
    for number in range(len(rows.times)):
        left = rows.random.choice(names)
        for name in names:
            if name != left:
                columns[name][number] = None


def _tell_apart(table: Table, key: UniqueKey, columns: Columns) -> None:
    """Make rows differ: by counting up, by clearing a flag, or by leaving rows out."""
    if key.flag:
        _clear(key, columns)
    elif not any(table.is_unique(table.column(name)) for name in key.columns):
        counter = _counter(table, key)
        if counter:
            _count(key, counter, columns)
        else:
            _leave_out(key, columns)


def _counter(table: Table, key: UniqueKey) -> Column | None:
    """The column of a unique key that can be numbered within the others: an integer, or a text."""
    free = [table.column(name) for name in key.columns if name not in table.references]
    free = [column for column in free if not column.choices]
    numbers = [column for column in free if column.type in INTEGERS]
    texts = [column for column in free if column.type in ("text", "varchar")]
    return next(iter(numbers + texts), None)


def _count(key: UniqueKey, counter: Column, columns: Columns) -> None:
    values = columns[counter.name]
    seen: Counter[tuple[Value, ...]] = Counter()
    others = [name for name in key.columns if name != counter.name]
    for number, row in enumerate(_rows(columns, others)):
        seen[row] += 1
        if (value := values[number]) is not None:
            is_number = counter.type in INTEGERS
            text = str(seen[row]) if is_number else distinct(value, seen[row], counter.longest)
            values[number] = text


def _clear(key: UniqueKey, columns: Columns) -> None:
    flags = columns[key.flag or ""]
    seen: set[tuple[Value, ...]] = set()
    for number, row in enumerate(_rows(columns, key.columns)):
        if flags[number] == "t":
            flags[number] = "f" if row in seen else "t"
            seen.add(row)


def _leave_out(key: UniqueKey, columns: Columns) -> None:
    seen: set[tuple[Value, ...]] = set()
    kept = []
    for number, row in enumerate(_rows(columns, key.columns)):
        if row not in seen or None in row:
            kept.append(number)
        seen.add(row)
    for name, values in columns.items():
        columns[name] = [values[number] for number in kept]


def _rows(columns: Columns, names: Iterable[str]) -> list[tuple[Value, ...]]:
    return list(zip(*(columns[name] for name in names), strict=True))
