"""`agentdb health` on collections: missing embeddings, and such that cannot be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Database, Result
from test_health import health, one, without_privileges

Cli = Callable[..., Result]


def collection(name: str, **names: str) -> None:
    """Add a collection to agentdb.toml."""
    entry = {"table": name, "key": "id", "embedding": "embedding", "text": "body", **names}
    lines = [f"[collections.{name}]", *(f'{key} = "{value}"' for key, value in entry.items())]
    with Path("agentdb.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")


@contextmanager
def vectors(database: Database) -> Iterator[None]:
    """pgvector in a schema that no search path finds."""
    database.execute("CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext")
    yield


def docs(database: Database, type: str, rows: int, value: str) -> None:
    """A table of rows with text, and embeddings as an expression of n gives them."""
    database.execute(f"CREATE TABLE docs (id int, body text, embedding {type})")
    database.execute(
        f"INSERT INTO docs SELECT n, 'text', {value} FROM generate_series(1, {rows}) AS n"
    )


def test_rows_without_an_embedding(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 100, "CASE WHEN n > 5 THEN '{1,2}'::real[] END")
    collection("docs")
    found = one(cli, database.url, "embeddings-null")
    assert found == (0, "ok", 0.05, "docs: 5 of 100 rows")
    database.execute("UPDATE docs SET embedding = NULL WHERE id = 6")
    found = one(cli, database.url, "embeddings-null")
    assert found == (1, "warning", 0.06, "docs: 6 of 100 rows")
    database.execute("UPDATE docs SET embedding = NULL WHERE id <= 51")
    assert one(cli, database.url, "embeddings-null")[:2] == (2, "critical")
    database.execute("UPDATE docs SET body = '' WHERE id <= 51")  # no text, so nothing to embed
    found = one(cli, database.url, "embeddings-null")
    assert found == (0, "ok", 0.0, "docs: 0 of 49 rows")


def test_the_worst_collection_counts(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 10, "'{1,2}'")
    database.execute(
        "CREATE TABLE notes AS SELECT 1 AS id, 'x'::text AS body, NULL::real[] AS embedding"
    )
    collection("docs")
    collection("notes")
    found = one(cli, database.url, "embeddings-null")
    assert found == (2, "critical", 1.0, "notes: 1 of 1 rows (the worst of 2)")


def test_a_large_table_is_sampled(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 200_000, "CASE WHEN n % 4 > 0 THEN '{1,2}'::real[] END")
    collection("docs")
    code, status, value, detail = one(cli, database.url, "embeddings-null")
    assert (code, status) == (1, "warning")
    assert value == pytest.approx(0.25, abs=0.02)
    match = re.fullmatch(r"docs: (\d+) of a sample of (\d+) rows", detail)
    assert match
    assert 10_000 < int(match[2]) < 100_000


def test_a_partitioned_table(cli: Cli, database: Database) -> None:
    database.execute(
        'CREATE TABLE "My Docs" (id int, body text, embedding real[]) PARTITION BY RANGE (id);'
        'CREATE TABLE one PARTITION OF "My Docs" FOR VALUES FROM (0) TO (10);'
        'CREATE TABLE two PARTITION OF "My Docs" FOR VALUES FROM (10) TO (20);'
        """INSERT INTO "My Docs" VALUES (1, 'a', '{1}'), (11, 'b', NULL)"""
    )
    collection("docs", table="My Docs")
    found = one(cli, database.url, "embeddings-null")
    assert found == (1, "warning", 0.5, "docs: 1 of 2 rows")


def test_an_empty_collection(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 0, "NULL")
    collection("docs")
    assert one(cli, database.url, "embeddings-null") == (0, "ok", 0.0, "docs: 0 of 0 rows")
    found = one(cli, database.url, "embeddings-dimension")
    assert found == (0, "ok", 0.0, "docs: real[]: no embeddings yet")


@pytest.mark.parametrize("type", ["ext.vector", "ext.halfvec", "real[]", "double precision[]"])
def test_dimensions_that_differ(cli: Cli, database18: Database, type: str) -> None:
    with vectors(database18):
        mixed = "(CASE WHEN n % 10 = 0 THEN '{1,2}'::real[] ELSE '{1,2,3}' END)"
        docs(database18, type, 50, f"{mixed}::{type}")
        collection("docs")
        shown = type.removeprefix("ext.") if "[" in type else type
        found = one(cli, database18.url, "embeddings-dimension")
        detail = f"docs: {shown}: 3 (45 rows), 2 (5 rows)"
        assert found == (1, "warning", pytest.approx(0.1), detail)
        database18.execute("DELETE FROM docs WHERE id % 10 = 0")
        found = one(cli, database18.url, "embeddings-dimension")
        assert found == (0, "ok", 0.0, f"docs: {shown}: 3 (45 rows)")


def test_a_type_with_a_dimension_takes_no_others(cli: Cli, database18: Database) -> None:
    with vectors(database18):
        docs(database18, "ext.vector(3)", 10, "'[1,2,3]'::ext.vector")
        collection("docs")
        found = one(cli, database18.url, "embeddings-dimension")
        assert found == (0, "ok", 0.0, "docs: ext.vector(3): no others fit in")


def test_dimensions_in_a_large_table_are_sampled(cli: Cli, database18: Database) -> None:
    with vectors(database18):
        docs(
            database18, "ext.vector", 20_000,
            "array_fill(n::real, ARRAY[CASE WHEN n % 5 > 0 THEN 64 ELSE 32 END])::ext.vector",
        )  # fmt: skip
        collection("docs")
        code, _, value, detail = one(cli, database18.url, "embeddings-dimension")
        assert (code, value) == (1, pytest.approx(0.2, abs=0.05))
        assert re.fullmatch(
            r"docs: ext\.vector, in a sample: 64 \(\d+ rows\), 32 \(\d+ rows\)", detail
        )


def test_a_type_whose_dimension_cannot_be_seen(cli: Cli, database18: Database) -> None:
    with vectors(database18):
        docs(database18, "ext.sparsevec", 1, "'{1:1}/5'::ext.sparsevec")
        collection("docs")
        code, status, _, detail = one(cli, database18.url, "embeddings-dimension")
        assert (code, status) == (3, "skipped")
        assert detail == (
            "docs: cannot cast type ext.sparsevec to real[], so its dimension is not seen"
        )


def test_a_collection_that_agentdb_toml_names_wrongly(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 1, "'{1}'")
    collection("docs", embedding="embeding")
    _, rows = health(cli, database.url, "--only", "embeddings-null")
    row = rows["embeddings-null"]
    assert (row["status"], row["detail"]) == (
        "unknown",
        'docs: column "embeding" does not exist',
    )
    Path("agentdb.toml").unlink()
    collection("docs", table="dogs")
    code, rows = health(cli, database.url, "--only", "embeddings-null")
    row = rows["embeddings-null"]
    assert (code, row["status"], row["detail"], row["advice"]) == (
        3,
        "unknown",
        'docs: relation "dogs" does not exist',
        "correct it in agentdb.toml",
    )


def test_a_pack_whose_vectors_were_left_out(cli: Cli, database15: Database) -> None:
    assert (
        cli("migrate", "-q", "-d", database15.url, "--pack", "openagent", "--skip-unavailable").code
        == 0
    )
    for check in ("embeddings-null", "embeddings-dimension"):
        code, status, _, detail = one(cli, database15.url, check, "--pack", "openagent")
        assert (code, status) == (3, "skipped")
        assert detail == (
            'memories: column "embedding" does not exist: '
            "the pack's file that needs pgvector was not applied"
        )


def test_the_packs_collections(cli: Cli, database18: Database) -> None:
    url, pack = database18.url, ("--pack", "openagent")
    assert cli("migrate", "-q", "-d", url, *pack).code == 0
    found = one(cli, url, "embeddings-dimension", *pack)
    assert found == (0, "ok", 0.0, "memories: vector(1536): no others fit in")
    database18.execute("INSERT INTO memories (content) VALUES ('not embedded yet')")
    found = one(cli, url, "embeddings-null", *pack)
    assert found == (2, "critical", 1.0, "memories: 1 of 1 rows")


def test_a_collection_that_may_not_be_read(cli: Cli, database: Database) -> None:
    docs(database, "real[]", 1, "'{1}'")
    collection("docs")
    with without_privileges(database) as url:
        _, rows = health(cli, url, "--only", "embeddings-null")
    row = rows["embeddings-null"]
    assert (row["status"], row["detail"], row["advice"]) == (
        "unknown",
        "docs: not permitted: permission denied for table docs",
        "the role nobody_in_particular needs SELECT on the table and USAGE on its schema",
    )
