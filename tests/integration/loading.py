"""A collection of its own for the tests of `agentdb vectors load`, `embed` and `export`."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Database

TABLE = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE docs (
    id bigint PRIMARY KEY,
    body text,
    agent int,
    meta jsonb,
    seen timestamptz DEFAULT '2026-01-01 00:00Z',
    embedding vector(3)
)
"""
TOML = """
[collections.docs]
table = "docs"
key = "id"
embedding = "embedding"
text = "body"
metadata = "meta"
filters = ["agent"]
"""


def collection(database: Database, table: str = TABLE, more: str = "") -> Database:
    """Make the table, and an agentdb.toml in the working directory that declares it."""
    database.execute(table)
    Path("agentdb.toml").write_text(TOML + more)
    return database


def lines(path: str, *rows: object) -> Path:
    """A file of JSON lines; a text is written as it is."""
    file = Path(path)
    file.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return file


def rejected(path: str) -> list[tuple[int, str]]:
    """What a file of bad rows says: numbers and reasons."""
    found = map(json.loads, Path(path).read_text().splitlines())
    return [(row["number"], row["reason"]) for row in found]
