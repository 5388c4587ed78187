"""A restored database against what its backup says: every table counted, every index valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql

from agentdb_cli.backups.contents import Entry
from agentdb_cli.backups.manifest import Manifest, Table
from agentdb_cli.backups.ownership import plain
from agentdb_cli.backups.preflight import numbers
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_NOT_VALID = re.compile(r'ADD CONSTRAINT ("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*) .* NOT VALID;$', re.M)
_SETVAL = re.compile(
    r"^SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?\d+), (true|false)\);$", re.M
)
_COMPARED = {
    "TABLE": "table", "INDEX": "index", "CONSTRAINT": "constraint", "FK CONSTRAINT": "constraint",
    "CHECK CONSTRAINT": "constraint", "TRIGGER": "trigger", "VIEW": "view",
    "MATERIALIZED VIEW": "view", "SEQUENCE": "sequence",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the backup says.

    Attributes:
        kind: `rows`, `table`, `index`, `constraint`, `sequence`, `extension`, `migration` …
    """

    kind: str
    name: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.actual} instead of {self.expected}"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a restored database should be.

    Attributes:
        entries: of the archive, those that were restored.
        script: their SQL.
        whole: whether everything was restored, and not chosen tables alone.
        rows, definitions: what of it was restored.
    """

    manifest: Manifest
    entries: Sequence[Entry]
    script: str
    whole: bool = True
    rows: bool = True
    definitions: bool = True

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of the manifest that were restored."""
        if self.whole:
            return self.manifest.tables
        labels = {e.label for e in self.entries if e.kind in ("TABLE", "FOREIGN TABLE")}
        return tuple(t for t in self.manifest.tables if f"{t.schema} {t.name}" in labels)


def differences(
    connection: Connection,
    expected: Expected,
    applied: Mapping[str, int],
    step: Callable[[str, int, int], None],
) -> tuple[Difference, ...]:
    """All that differs.

    Args:
        applied: the last migration by pack, as the database's own history has it.
        step: told which table is counted, how many are, and of how many.
    """
    found: list[Difference] = []
    if expected.rows:
        for done, table in enumerate(expected.tables):
            step(f"{table.schema}.{table.name}", done, len(expected.tables))
            found += _count(connection, table)
        found += _sequences(connection, expected.script)
    if expected.definitions:
        found += _definitions(connection, expected)
    if expected.whole:
        found += _extensions(connection, expected.manifest.extensions)
        if expected.rows:
            found += _migrations(expected.manifest.packs, applied)
    return tuple(found)


def _count(connection: Connection, table: Table) -> list[Difference]:
    """The rows of a table; a count that cannot be had is a difference, never zero."""
    name = f"{table.schema}.{table.name}"
    wanted = "not counted in the manifest" if table.rows is None else f"{table.rows:,}"
    try:
        row = connection.execute(
            sql.SQL("SELECT pg_catalog.count(*) FROM ONLY {}").format(
                sql.Identifier(table.schema, table.name)
            )
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        return [Difference("table", name, "there", "missing")]
    except psycopg.Error as error:
        if connection.closed:
            raise
        said = error.diag.message_primary or str(error)
        return [Difference("rows", name, wanted, f"cannot be counted ({said})")]
    count = row[0] if row is not None else None
    if count is None or table.rows is None or count != table.rows:
        shown = "no answer" if count is None else f"{count:,}"
        return [Difference("rows", name, wanted, shown)]
    return []


def _definitions(connection: Connection, expected: Expected) -> list[Difference]:
    rows = connection.execute(query("backups/restore_definitions").encode()).fetchall()
    there = {(str(kind), str(label)): str(state) for kind, label, state in rows}
    unvalidated = {plain(match[1]) for match in _NOT_VALID.finditer(expected.script)}
    found = []
    for entry in expected.entries:
        kind = _COMPARED.get(entry.kind)
        if kind is None:
            continue
        name = entry.label.replace(" ", ".", 1)
        state = there.get((kind, _one_line(entry.label)))
        if state is None:
            found.append(Difference(kind, name, "there", "missing"))
        elif state != "valid" and entry.label.rpartition(" ")[2] not in unvalidated:
            found.append(Difference(kind, name, "valid", state))
    return found


def _sequences(connection: Connection, script: str) -> list[Difference]:
    found = []
    for match in _SETVAL.finditer(script):
        name = match[1].replace("''", "'")
        value, called = match[2], match[3] == "true"
        try:
            row = connection.execute(
                # The name is quoted as SQL, by pg_dump itself.
                f"SELECT last_value::text, is_called FROM {name}".encode()  # noqa: S608
            ).fetchone()
        except psycopg.errors.UndefinedTable:
            found.append(Difference("sequence", name, value, "missing"))
            continue
        if row != (value, called):
            actual = str(row[0]) if row is not None else "no answer"
            found.append(Difference("sequence", name, value, actual))
    return found


def _extensions(connection: Connection, needed: Mapping[str, str]) -> list[Difference]:
    rows = connection.execute(
        "SELECT extname::text, extversion FROM pg_catalog.pg_extension"
    ).fetchall()
    there = dict(cast(list[tuple[str, str]], rows))
    return [
        Difference("extension", name, version, there.get(name, "missing"))
        for name, version in sorted(needed.items())
        if name not in there or numbers(there[name]) < numbers(version)
    ]


def _migrations(needed: Mapping[str, int], applied: Mapping[str, int]) -> list[Difference]:
    return [
        Difference("migration", pack, str(version), str(applied.get(pack, "none")))
        for pack, version in sorted(needed.items())
        if applied.get(pack) != version
    ]


def _one_line(label: str) -> str:
    return label.replace("\n", " ").replace("\r", " ")
