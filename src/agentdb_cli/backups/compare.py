"""A restored database against what its backup says: every table counted, every index valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import psycopg
from psycopg import sql

from agentdb_cli.backups import definitions
from agentdb_cli.backups.contents import Entry
from agentdb_cli.backups.crew import Crew
from agentdb_cli.backups.manifest import Manifest, Object, Table
from agentdb_cli.backups.ownership import plain
from agentdb_cli.backups.preflight import numbers
from agentdb_cli.postgres.connect import Connection

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

    @property
    def objects(self) -> tuple[Object, ...]:
        """The definitions that must be there; of chosen tables the archive knows best."""
        return (self.manifest.objects or ()) if self.whole else ()


def differences(
    crew: Crew,
    expected: Expected,
    applied: Mapping[str, int],
    step: Callable[[str, int, int], None],
) -> tuple[Difference, ...]:
    """All that differs.

    Args:
        crew: sessions in the restored database.
        applied: the last migration by pack, as the database's own history has it.
        step: told which table was counted, how many are, and of how many.

    Raises:
        Stopped: a signal came.
    """
    connection = crew.connection
    found: list[Difference] = []
    if expected.rows:
        found += _counts(crew, expected.tables, step)
        found += _sequences(connection, expected.script)
    if expected.definitions:
        found += _definitions(connection, expected)
    if expected.whole:
        found += _extensions(connection, expected.manifest.extensions)
        if expected.rows:
            found += _migrations(expected.manifest.packs, applied)
    return tuple(found)


def _counts(
    crew: Crew, tables: Sequence[Table], step: Callable[[str, int, int], None]
) -> list[Difference]:
    done = 0

    def counted(table: Table) -> None:
        nonlocal done
        done += 1
        step(f"counted {table.schema}.{table.name}", done, len(tables))

    largest_first = sorted(tables, key=lambda table: -table.bytes)
    each = dict(zip(largest_first, crew.each(largest_first, _count, counted), strict=True))
    return [difference for table in tables for difference in each[table]]


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
    """What the archive lists, and what the manifest says that the source had."""
    there = {_key(found.object): found.object for found in definitions.read(connection)}
    wanted = expected.objects
    by_label = {(each.kind, _label(each)): each for each in there.values()}
    known = {(each.kind, _label(each)) for each in wanted}
    found = []
    for each in wanted:
        found += _differing(expected.manifest, each, there.get(_key(each)), connection)
    unvalidated = {plain(match[1]) for match in _NOT_VALID.finditer(expected.script)}
    for entry in expected.entries:
        kind, label = _COMPARED.get(entry.kind), _one_line(entry.label)
        if kind is None or (kind, label) in known:
            continue
        name, present = entry.label.replace(" ", ".", 1), by_label.get((kind, label))
        if present is None:
            found.append(Difference(kind, name, "there", "missing"))
        elif present.state != "valid" and entry.label.rpartition(" ")[2] not in unvalidated:
            found.append(Difference(kind, name, "valid", present.state))
    return found


def _differing(
    manifest: Manifest, wanted: Object, there: Object | None, connection: Connection
) -> list[Difference]:
    if there is None:
        return [Difference(wanted.kind, str(wanted), "there", "missing")]
    if there.state not in (wanted.state, "valid"):
        return [Difference(wanted.kind, str(wanted), wanted.state, there.state)]
    # Another major version writes the same thing in other words.
    comparable = connection.info.server_version // 10_000 == manifest.server_version // 10_000
    one, other = wanted.definition, there.definition
    if comparable and one and other and not definitions.same(one, other):
        return [Difference(wanted.kind, str(wanted), one, other)]
    return []


def _key(each: Object) -> tuple[str, str, str | None, str]:
    return (each.kind, each.schema, each.table, each.name)


def _label(each: Object) -> str:
    """As pg_dump lists it in an archive."""
    return _one_line(" ".join(filter(None, (each.schema, each.table, each.name))))


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
