"""What the tests of `agentdb search` share: a collection, and running a search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conftest import Database, Result

Cli = Callable[..., Result]

TOML = """
[collections.docs]
table = "{table}"
key = "id"
embedding = "embedding"
text = "content"
{more}
"""

DIMENSIONS = 16


def declare(table: str = "docs", **more: str) -> None:
    """Write an agentdb.toml with the collection `docs`."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in more.items())
    Path("agentdb.toml").write_text(TOML.format(table=table, more=lines))


def small(database: Database) -> None:
    """Six rows in a circle, of which the last has no embedding; declared, too."""
    database.execute(
        "CREATE EXTENSION IF NOT EXISTS vector;"
        "CREATE TYPE kind AS ENUM ('fact', 'preference');"
        "CREATE TABLE docs (id int PRIMARY KEY, content text, metadata jsonb, plain json,"
        " agent_id bigint, weight float8, kind kind, tags text[], created_at timestamptz,"
        ' "Odd % name" text, embedding vector(2));'
        "INSERT INTO docs VALUES"
        """ (1, 'north', '{"type": "fact", "level": 1, "a": {"b": "x"}}', '{"k": 2}', 1, 0.5,"""
        "  'fact', '{a,b}', '2026-01-01 00:00+00', 'odd', '[0,1]'),"
        """ (2, 'north east', '{"type": "fact", "level": 2}', '{"k": "z"}', 1, 1.5,"""
        "  'preference', '{b}', '2026-02-01 00:00+00', NULL, '[1,1]'),"
        """ (3, 'east', '{"type": "preference", "level": 10}', NULL, 2, 2.5,"""
        "  'fact', NULL, '2026-03-01 00:00+00', 'even', '[1,0]'),"
        """ (4, 'south east', '{"level": "3", "ok": true}', NULL, 2, NULL,"""
        "  NULL, '{a}', '2026-04-01 00:00+00', '100 %', '[1,-1]'),"
        " (5, 'south', NULL, NULL, NULL, 4, 'preference', '{}', NULL, 'it''s', '[0,-1]'),"
        " (6, 'nowhere', NULL, NULL, 1, 5, 'fact', '{a}', NULL, NULL, NULL)"
    )
    declare(metadata="metadata")


def large(database: Database, rows: int = 3000, *, index: str | None = "hnsw") -> None:
    """Rows with random vectors: `tenth` is 0 of every tenth, `rare` of every three hundredth."""
    database.execute(
        "CREATE EXTENSION IF NOT EXISTS vector;"
        "SELECT setseed(0.5);"
        "CREATE TABLE docs (id int PRIMARY KEY, content text NOT NULL, tenth int, rare int,"
        f" embedding vector({DIMENSIONS}));"
        "INSERT INTO docs SELECT n, 'text ' || n, n % 10, n % 300, ("
        f"  SELECT array_agg(random() - 0.5) FROM generate_series(1, {DIMENSIONS}) WHERE n > 0"
        f" )::vector FROM generate_series(1, {rows}) AS n;"
    )
    if index is not None:
        database.execute(
            f"CREATE INDEX docs_embedding ON docs USING {index} (embedding vector_cosine_ops)"
        )
    database.execute("ANALYZE docs")
    declare()


def run(cli: Cli, database: Database, *arguments: object) -> list[dict[str, Any]]:
    """The hits of a search."""
    result = cli("search", "-d", database.url, "-f", "json", *arguments)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert isinstance(found, list)
    return found


def keys(cli: Cli, database: Database, *arguments: object) -> list[Any]:
    """The keys of the hits."""
    return [hit["key"] for hit in run(cli, database, *arguments)]


def explained(cli: Cli, database: Database, *arguments: object) -> dict[str, Any]:
    """What `--explain` says."""
    result = cli("search", "-d", database.url, "-f", "json", "--explain", *arguments)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


def nearest(database: Database, query: str, limit: int = 10, where: str = "true") -> list[Any]:
    """The keys that SQL written by hand finds, by cosine, in whatever table `docs` is."""
    rows = database.execute(
        f"SELECT id FROM docs WHERE embedding IS NOT NULL AND {where}"
        f" ORDER BY (embedding <=> '{query}') + 0 LIMIT {limit}"
    )
    return [row[0] for row in rows]


def vector(values: Sequence[float]) -> str:
    """A vector as `--vector` takes it."""
    return json.dumps(list(values))


QUERY = vector([((7 * n) % 11 - 5) / 10 for n in range(DIMENSIONS)])
"""A vector for `large`."""
