"""Backups of chosen tables: pg_dump leaves out what these need, and some of it can be had."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agentdb_cli.backups.contents import Entry
from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.backups.ownership import plain
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_FOREIGN_KEY = re.compile(
    rf"^ALTER TABLE (?:ONLY )?({_NAME})\.({_NAME})\n"
    rf" +ADD CONSTRAINT ({_NAME}) FOREIGN KEY .*? REFERENCES ({_NAME})\.({_NAME})\(",
    re.MULTILINE,
)


def foreign_keys(entries: Sequence[Entry], script: str) -> tuple[Entry, ...]:
    """The foreign keys to tables that the archive does not have.

    Args:
        script: the SQL of the entries.
    """
    tables = {entry.label for entry in entries if entry.kind == "TABLE"}
    gone = set()
    for match in _FOREIGN_KEY.finditer(script):
        schema, table, name, other_schema, other = (plain(part) for part in match.groups())
        if f"{other_schema} {other}" not in tables:
            gone.add(f"{schema} {table} {name}")
    return tuple(e for e in entries if e.kind == "FK CONSTRAINT" and e.label in gone)


def left_out(constraints: Sequence[Entry]) -> str:
    """What is said of foreign keys that are not restored."""
    names = ", ".join(entry.label.replace(" ", ".", 1) for entry in constraints)
    return f"foreign keys to tables that are not in the backup: {names}"


def without(manifest: Manifest, constraints: Sequence[Entry]) -> Manifest:
    """A manifest that does not expect these constraints."""
    gone = {entry.label for entry in constraints}
    kept = tuple(
        each
        for each in manifest.objects or ()
        if each.kind != "constraint" or f"{each.schema} {each.table} {each.name}" not in gone
    )
    return replace(manifest, objects=None if manifest.objects is None else kept)


def prepare(connection: Connection, manifest: Manifest) -> None:
    """Make the schemas and extensions that chosen tables may need.

    Raises:
        psycopg.Error: the role may not.
    """
    schemas = {table.schema for table in manifest.tables}
    schemas |= {each.schema for each in manifest.objects or ()}
    for schema in sorted(schemas):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}".encode())
    for extension in manifest.extensions:
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {identifier(extension)}".encode())
