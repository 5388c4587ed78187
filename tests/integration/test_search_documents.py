"""Every vector search of the five documents, as SQL and as `agentdb search`: equal results.

The SQL is that of tests/documents; where a document calls a function of its own instead, what it
has to send stands here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Database
from searching import Cli

from generator import fill

ROWS = 150
SOME = "SELECT embedding::text FROM {} WHERE embedding IS NOT NULL ORDER BY md5(id::text) LIMIT 1"

GATHERING = """
    SELECT id, 1 - (embedding <=> %(query)s::vector) AS similarity
    FROM memory.memories
    WHERE embedding IS NOT NULL AND agent_id = %(agent)s
    ORDER BY embedding <=> %(query)s::vector
    LIMIT %(limit)s
"""
OPENAGENT = """
    SELECT id, 1 - (embedding <=> %(query)s::vector) AS score
    FROM memories
    WHERE 1 - (embedding <=> %(query)s::vector) >= %(least)s
    ORDER BY embedding <=> %(query)s::vector
    LIMIT %(limit)s
"""
AUTOMAGIK = """
    SELECT id, 1 / (1 + (embedding <-> %(query)s::vector))
    FROM knowledge_base
    WHERE domain = %(domain)s
    ORDER BY embedding <-> %(query)s::vector
    LIMIT %(limit)s
"""
PROJECT_2501 = """
    SELECT id, 1 - (embedding <=> %(query)s::vector)
    FROM conversation_memory
    WHERE embedding IS NOT NULL
    ORDER BY embedding <=> %(query)s::vector
    LIMIT 10
"""


def filled(cli: Cli, database: Database, pack: str) -> None:
    given = ("-d", database.url, "--pack", pack, "--set", "embedding_dimensions=64", "-q")
    result = cli("migrate", *given, "--skip-unavailable")
    assert result.code == 0, result.err
    fill(database.connection, ROWS)
    database.execute("SET enable_indexscan = off; ANALYZE")


def query(database: Database, table: str) -> str:
    """The vector of a row, a little off, in a file."""
    values = json.loads(str(database.value(SOME.format(table))))
    text = json.dumps([value + 0.01 * (place % 3) for place, value in enumerate(values)])
    Path("query.json").write_text(text)
    return text


def same(cli: Cli, database: Database, pack: str, rows: list[Any], *arguments: object) -> None:
    given = ("search", "-d", database.url, "--pack", pack, "--vector", "query.json", "-q")
    result = cli(*given, "-f", "json", *arguments)
    assert result.code == 0, result.err
    hits = json.loads(result.out)
    assert rows
    assert [hit["key"] for hit in hits] == [
        row[0] if isinstance(row[0], int) else str(row[0]) for row in rows
    ]
    assert [hit["score"] for hit in hits] == pytest.approx([row[1] for row in rows])


def test_gathering(cli: Cli, database18: Database) -> None:
    """Similarity search with the agent as filter, and the helper with its threshold."""
    filled(cli, database18, "gathering")
    agent = database18.value(
        "SELECT agent_id FROM memory.memories WHERE embedding IS NOT NULL AND agent_id IS NOT NULL"
        " GROUP BY agent_id ORDER BY count(*) DESC, agent_id LIMIT 1"
    )
    parameters: dict[str, Any] = {
        "query": query(database18, "memory.memories"), "agent": agent, "limit": 10,
    }  # fmt: skip
    rows = database18.connection.execute(GATHERING, parameters).fetchall()
    same(cli, database18, "gathering", rows, "--filter", f"agent_id={agent}")
    rows = database18.connection.execute(GATHERING, {**parameters, "limit": 5}).fetchall()
    # What a threshold of 0.7 is among these vectors, which are random: between two of the rows.
    threshold = (rows[0][1] + rows[-1][1]) / 2
    near = [row for row in rows if row[1] >= threshold]
    given = ("--limit", "5", "--min-similarity", threshold, "--filter", f"agent_id={agent}")
    same(cli, database18, "gathering", near, *given)
    near = [row for row in rows if row[1] >= 0.7]
    if near:
        given = ("--limit", "5", "--min-similarity", "0.7", "--filter", f"agent_id={agent}")
        same(cli, database18, "gathering", near, *given)


@pytest.mark.parametrize("least", [0.7, 0.75, 0.8, -1.0])
def test_openagent(cli: Cli, database18: Database, least: float) -> None:
    """search_similar(embedding, 5, …) as PostgresStorage, the retrieval and OpenSearch call it."""
    filled(cli, database18, "openagent")
    parameters = {"query": query(database18, "memories"), "least": least, "limit": 5}
    rows = database18.connection.execute(OPENAGENT, parameters).fetchall()
    same(cli, database18, "openagent", rows, "--limit", "5", "--min-similarity", least)


def test_openagents_hybrid_search(cli: Cli, database18: Database) -> None:
    """search_hybrid("neural networks", embedding, text_weight 0.3, vector_weight 0.7, limit 10)."""
    filled(cli, database18, "openagent")
    vector = query(database18, "memories")
    database18.execute(
        "UPDATE memories SET content = content || ' neural' WHERE id IN ("
        "SELECT id FROM memories ORDER BY md5(id::text) LIMIT 20);"
        "UPDATE memories SET content = content || ' networks' WHERE id IN ("
        "SELECT id FROM memories ORDER BY md5(id::text) OFFSET 10 LIMIT 20)"
    )
    rows = database18.execute(
        "SELECT id, embedding <=> %s::vector, ts_rank(to_tsvector(content), q)"
        " FROM memories, to_tsquery('neural | networks') AS q WHERE embedding IS NOT NULL",
        vector,
    )
    nearest = sorted(distance for _, distance, _ in rows)[:50]
    best = max(rank for _, _, rank in rows)
    scored = [
        (
            id_,
            0.7 * max((nearest[-1] - distance) / (nearest[-1] - nearest[0]), 0) + 0.3 * rank / best,
        )
        for id_, distance, rank in rows
        if distance <= nearest[-1] or rank > 0
    ]
    scored.sort(key=lambda row: -row[1])
    given = ("neural networks", "--hybrid", "--text-weight", "0.3", "--vector-weight", "0.7")
    same(cli, database18, "openagent", scored[:10], *given)
    # They are the pack's own weights.
    same(cli, database18, "openagent", scored[:10], *given[:2])


def test_automagik(cli: Cli, database18: Database) -> None:
    """search_knowledge_with_vector(db, embedding, domain, 5): by L2."""
    filled(cli, database18, "automagik")
    domain = database18.value(
        "SELECT domain FROM knowledge_base WHERE embedding IS NOT NULL"
        " GROUP BY domain ORDER BY count(*) DESC, domain LIMIT 1"
    )
    parameters: dict[str, Any] = {
        "query": query(database18, "knowledge_base"), "domain": domain, "limit": 5,
    }  # fmt: skip
    rows = database18.connection.execute(AUTOMAGIK, parameters).fetchall()
    rows = [row for row in rows if row[1] is not None]
    same(cli, database18, "automagik", rows, "--limit", "5", "--filter", f"domain={domain}")


def test_project_2501(cli: Cli, database18: Database) -> None:
    """The episodic memory of a conversation, as the pack's workload has it."""
    filled(cli, database18, "project-2501")
    parameters = {"query": query(database18, "conversation_memory")}
    rows = database18.connection.execute(PROJECT_2501, parameters).fetchall()
    same(cli, database18, "project-2501", rows)


def test_background_agents_have_none(cli: Cli, database18: Database) -> None:
    filled(cli, database18, "background-agents")
    given = ("-d", database18.url, "--pack", "background-agents")
    result = cli("search", *given, "--vector", "[1]")
    assert (result.code, result.err) == (
        1,
        "error: this database has no collection: no table with a vector column, a key and text\n"
        "hint: agentdb inspect vector-columns shows what there is;"
        " [collections.NAME] in agentdb.toml declares one\n",
    )
