"""Sending rows: new ones by COPY into the table, others into a temporary one beside it.

Rows that are there already wait in the temporary table until the end, so that nobody waits for
them while a file is read; then one UPDATE puts them in place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import doubled, identifier
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.load.encode import Bulk, Plan, Row
from agentdb_cli.vectors.load.fields import floats
from agentdb_cli.vectors.load.sources import Bad
from agentdb_cli.vectors.load.write import Writer, by_plan, copying
from agentdb_cli.vectors.values import flaw

_LINE = re.compile(r"COPY .*?, [^\d,]*(\d+)")


class Refused(Exception):
    """The server takes a row not, or one of several: `row` is None if nobody knows which."""

    def __init__(self, row: Row | None, rows: Sequence[Row], error: psycopg.Error) -> None:
        detail = error.diag.message_detail
        self.reason = f"{error.diag.message_primary}" + (f" ({detail})" if detail else "")
        super().__init__(self.reason)
        self.row = row
        self.rows = rows


class Careful(Writer):
    """Looks every key up, and names every row that the server refuses.

    Args:
        on_conflict: what to do with a row whose key is there already.
        forgiving: go on without the rows that the server refuses.
        unit: `line` or `row`, for messages.
    """

    def __init__(
        self,
        connection: Connection,
        located: Located,
        on_conflict: str,
        *,
        forgiving: bool,
        unit: str,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._located = located
        self._on_conflict = on_conflict
        self._forgiving = forgiving
        self._unit = unit
        self._staged: dict[Plan, str] = {}

    def write(self, rows: Sequence[Row] | Bulk, bad: list[Bad]) -> list[Bad]:
        """Send the rows of a block.

        Raises:
            AgentdbError: a key is there already, or a row was refused.
        """
        if isinstance(rows, Bulk):
            if len(set(rows.keys)) == len(rows.keys):
                return bad + self._part(rows)
            rows = rows.rows()
        bad = list(bad)
        part: list[Row] = []
        keys: set[int | str] = set()
        for row in rows:
            if row.key in keys:  # twice in the file: one after the other
                bad += self._part(part)
                part, keys = [], set()
            if row.key is not None:
                keys.add(row.key)
            part.append(row)
        return bad + self._part(part)

    def finish(self) -> None:
        """Put the rows in place that are to replace others."""
        for plan, staging in self._staged.items():
            text = self._update(plan, staging)
            self.counts.updated += self._connection.execute(text.encode()).rowcount
        self._staged.clear()

    def _part(self, rows: list[Row] | Bulk) -> list[Bad]:
        if not len(rows):
            return []
        if not self._forgiving:
            try:
                self._put(rows)
            except Refused as refused:
                rows = _listed(rows)
                row = refused.row or (rows[0] if len(rows) == 1 else None)
                flawed = self._flawed(rows)
                if flawed:
                    return flawed
                if row is not None:
                    return [Bad(row.number, refused.reason, row.fields)]
                raise AgentdbError(f"the server refused a row: {refused.reason}") from None
            return []
        try:
            before = (self.counts.inserted, self.counts.skipped)
            with self._connection.transaction():
                staged = dict(self._staged)
                self._put(rows)
        except Refused as refused:
            self._staged = staged  # its tables are gone with the savepoint
            self.counts.inserted, self.counts.skipped = before
            return self._without(_listed(rows), refused)
        return []

    def _without(self, rows: list[Row], refused: Refused) -> list[Bad]:
        """Write the rows that are not to blame, and say which are."""
        bad = self._flawed(rows)
        row = refused.row or (refused.rows[0] if len(refused.rows) == 1 else None)
        if not bad and row is not None:
            bad = [Bad(row.number, refused.reason, row.fields)]
        if bad:
            numbers = {each.number for each in bad}
            return bad + self._part([row for row in rows if row.number not in numbers])
        middle = len(rows) // 2
        return self._part(rows[:middle]) + self._part(rows[middle:])

    def _flawed(self, rows: Sequence[Row]) -> list[Bad]:
        """The rows whose floats hold NaN or the like, which only the server has looked at."""
        collection, found = self._located.collection, []
        for row in rows:
            for name, column, _ in row.plan.fields:
                value = row.fields[name]
                if column.name == collection.embedding and isinstance(value, memoryview):
                    kind, distance = self._located.type, collection.distance
                    reason = flaw(floats(value), kind, None, distance)
                    if reason:
                        found.append(Bad(row.number, f"{name}: {reason}", row.fields))
        return found

    def _put(self, rows: Sequence[Row] | Bulk) -> None:
        if isinstance(rows, Bulk):
            if not self._there(rows.keys):
                self._insert(rows.plan, rows)
                self.counts.inserted += len(rows)
                return
            rows = rows.rows()
        there = self._there([row.key for row in rows if row.key is not None])
        if there and self._on_conflict == "error":
            first = next(row for row in rows if row.key in there)
            others = len(there) - 1
            more = (
                f", and so {'is' if others == 1 else 'are'} {others:,} more of the rows around it"
            )
            raise AgentdbError(
                f"{self._unit} {first.number:,}: the key {first.key} is in {self._located.name}"
                f" already{more if others else ''}",
                hint="--on-conflict update replaces such rows, --on-conflict skip keeps them",
            )
        present = set(there)
        new = [row for row in rows if row.key is None or row.key not in present]
        for plan, group in by_plan(new):
            self._insert(plan, group)
            self.counts.inserted += len(group)
        if self._on_conflict == "skip":
            self.counts.skipped += len(rows) - len(new)
            return
        for plan, group in by_plan([row for row in rows if row.key in present]):
            if plan not in self._staged:
                self._staged[plan] = self._temporary(plan, f"agentdb_load_{len(self._staged)}")
            self._copy(self._staged[plan], plan, group)

    def _there(self, keys: Sequence[int | str]) -> list[int | str]:
        """Those of the keys that the table has."""
        if not keys:
            return []
        key = self._located.columns[self._located.collection.key]
        kind = "int8" if key.base.startswith("int") else "uuid" if key.base == "uuid" else "text"
        name, table = doubled(key.quoted), doubled(self._located.quoted)
        shown = f"{name}::text" if kind == "uuid" else name
        text = f"SELECT {shown} FROM {table} WHERE {name} = ANY(%s::{kind}[])"  # noqa: S608
        rows = self._connection.execute(text.encode(), (list(keys),), binary=True).fetchall()
        return [row[0] for row in rows]  # type: ignore[misc]

    def _insert(self, plan: Plan, rows: Sequence[Row] | Bulk) -> None:
        if not plan.casts:
            self._copy(self._located.quoted, plan, rows)
            return
        staging = self._temporary(plan, "agentdb_load_new")
        self._copy(staging, plan, rows)
        names = ", ".join(column.quoted for column in plan.columns)
        values = ", ".join(_cast(column.quoted, plan, column) for column in plan.columns)
        try:
            self._connection.execute(
                f"INSERT INTO {self._located.quoted} ({names}) OVERRIDING SYSTEM VALUE"  # noqa: S608
                f" SELECT {values} FROM {staging}".encode()
            )
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise Refused(None, _listed(rows), error) from None
        self._connection.execute(f"DROP TABLE {staging}".encode())

    def _temporary(self, plan: Plan, name: str) -> str:
        values = ", ".join(
            f"NULL::text AS {column.quoted}" if column.name in plan.casts else column.quoted
            for column in plan.columns
        )
        quoted = f"pg_temp.{identifier(name)}"
        self._connection.execute(
            f"CREATE TEMPORARY TABLE {identifier(name)} ON COMMIT DROP AS SELECT {values}"  # noqa: S608
            f" FROM {self._located.quoted} WITH NO DATA".encode()
        )
        return quoted

    def _copy(self, table: str, plan: Plan, rows: Sequence[Row] | Bulk) -> None:
        try:
            with copying(self._connection, table, plan) as send:
                send(rows)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            place = _LINE.search(error.diag.context or "")
            number = int(place[1]) if place else 0
            rows = _listed(rows)
            row = rows[number - 1] if 1 <= number <= len(rows) else None
            raise Refused(row, rows, error) from None

    def _update(self, plan: Plan, staging: str) -> str:
        key, *others = plan.columns
        sets = ", ".join(f"{c.quoted} = {_cast(f's.{c.quoted}', plan, c)}" for c in others)
        # Of a key that came twice the later row, which lies further behind.
        return (
            f"UPDATE {self._located.quoted} AS t SET {sets}"  # noqa: S608
            f" FROM (SELECT DISTINCT ON ({key.quoted}) * FROM {staging}"
            f" ORDER BY {key.quoted}, ctid DESC) AS s WHERE t.{key.quoted} = s.{key.quoted}"
        )


def _listed(rows: Sequence[Row] | Bulk) -> list[Row]:
    return rows.rows() if isinstance(rows, Bulk) else list(rows)


def _cast(value: str, plan: Plan, column: object) -> str:
    name, kind = column.name, column.full_type  # type: ignore[attr-defined]
    return f"{value}::{kind}" if name in plan.casts else value
