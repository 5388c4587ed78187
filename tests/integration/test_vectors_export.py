"""`agentdb vectors export`: what it writes is what `load` reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Database, Result
from loading import TABLE, collection
from pyarrow import parquet

Cli = Callable[..., Result]

ROWS = """
INSERT INTO docs (id, body, agent, meta, embedding) VALUES
    (3, E'a "quoted"\\n\\\\n, text\\twith ß 🦊', 7, '{"k": ["a\\\\\\\\b", null]}',
        '[0.1,-2e-05,3]'),
    (1, '', NULL, '"plain"', '[1,2,3]'),
    (2, NULL, 1, NULL, NULL);
INSERT INTO docs (id, embedding) SELECT n, ARRAY[n, random(), 1]::vector
    FROM generate_series(10, 3000) AS n
"""
COLUMNS = "id, body, agent, meta, seen, embedding::text"


@pytest.fixture
def docs(database18: Database) -> Database:
    docs = collection(database18)
    docs.execute(ROWS)
    return docs


@pytest.fixture
def export(cli: Cli, database18: Database) -> Cli:
    return lambda *arguments: cli("vectors", "export", *arguments, "-d", database18.url)


def rows(database: Database) -> list[tuple]:
    return database.execute(f"SELECT {COLUMNS} FROM docs ORDER BY id")


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_there_and_back(docs: Database, export: Cli, cli: Cli, format: str) -> None:
    before = rows(docs)
    done = export(f"all.{format}")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"all.{format}: 2994 rows of public.docs in ")
    docs.execute("TRUNCATE docs")
    done = cli("vectors", "load", f"all.{format}", "-d", docs.url)
    assert (done.code, done.err) == (0, "")
    after = rows(docs)
    if format == "csv":  # which does not tell an empty text from none
        before[0] = (*before[0][:1], None, *before[0][2:])
    assert after == before
    assert [path.name for path in Path().iterdir() if path.name.endswith(".part")] == []


def test_npy(docs: Database, export: Cli, cli: Cli) -> None:
    before = rows(docs)
    assert export("all.npy").code == 0
    vectors = np.load("all.npy")
    keys = Path("all.npy.keys").read_text().split()
    assert vectors.shape == (2993, 3)
    assert keys[:3] == ["1", "3", "10"]
    assert vectors[1].tolist() == np.array([0.1, -2e-05, 3], "f4").tolist()
    docs.execute("UPDATE docs SET embedding = NULL")
    done = cli(
        "vectors", "load", "all.npy", "--keys", "all.npy.keys", "--on-conflict", "update",
        "-d", docs.url,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert rows(docs) == before


def test_keys_that_are_odd(database18: Database, export: Cli, cli: Cli) -> None:
    docs = collection(database18, TABLE.replace("id bigint", "id text"))
    odd = ["a b", " c", '"q"', "new\nline", "ß", "\\n", "5"]
    for key in odd:
        docs.execute("INSERT INTO docs (id, embedding) VALUES (%s, '[1,2,3]')", key)
    assert export("all.npy").code == 0
    docs.execute("TRUNCATE docs")
    done = cli("vectors", "load", "all.npy", "--keys", "all.npy.keys", "-d", docs.url)
    assert (done.code, done.err) == (0, "")
    assert sorted(found[0] for found in rows(docs)) == sorted(odd)


@pytest.mark.parametrize("kind", ["halfvec(3)", "sparsevec(3)"])
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet", "npy"])
def test_other_types_of_vectors(
    database18: Database, export: Cli, cli: Cli, kind: str, format: str
) -> None:
    docs = collection(database18, TABLE.replace("vector(3)", kind))
    value = "[1,0.5,-2]" if kind == "halfvec(3)" else "{1:0.5}/3"
    docs.execute(f"INSERT INTO docs (id, embedding) VALUES (1, '{value}')")
    assert export(f"all.{format}").code == 0
    docs.execute("TRUNCATE docs")
    done = cli("vectors", "load", f"all.{format}", "-d", docs.url)
    assert (done.code, done.err) == (0, "")
    assert rows(docs)[0][-1] == value


def test_stdout_and_what_is_chosen(docs: Database, export: Cli) -> None:
    done = export("-", "--where", "id < 4 -- a comment", "--column", "agent")
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"id": 1, "agent": None, "embedding": [1, 2, 3]},
        {"id": 2, "agent": 1, "embedding": None},
        {"id": 3, "agent": 7, "embedding": [0.1, -2e-05, 3]},
    ]
    done = export("-", "--filter", "agent=7", "--filter", "id<4", "--as", "csv", "--column", "body")
    header, found = csv.reader(done.out.splitlines(keepends=True))
    assert header == ["id", "body", "embedding"]
    assert found == ["3", 'a "quoted"\n\\n, text\twith ß 🦊', "[0.1,-2e-05,3]"]
    assert done.err.startswith("1 row in ")


def test_parquet_has_types(docs: Database, export: Cli) -> None:
    assert export("all.parquet").code == 0
    found = {field.name: str(field.type) for field in parquet.read_schema("all.parquet")}
    assert found == {
        "id": "int64", "body": "string", "agent": "int32", "meta": "string",
        "seen": "timestamp[us, tz=UTC]", "embedding": "list<element: float>",
    }  # fmt: skip


def test_the_record_for_programs(docs: Database, export: Cli) -> None:
    found = json.loads(export("all.jsonl", "--format", "json").out)
    assert found.pop("duration") >= 0
    assert found == {
        "collection": "docs", "table": "public.docs", "file": "all.jsonl", "rows": 2994,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["all"], "all: its name does not say what format it has", 2),
        (["-", "--as", "npy"], "a .npy file cannot be written to stdout: its first bytes say how"
         " many rows follow", 2),
        (["x.npy", "--column", "body"], "a .npy file has no columns but the embedding", 2),
        (["x.csv", "--keys", "k"], "--keys is for .npy files: the others have a column of keys", 2),
        (["x.csv", "--column", "bdy"], "public.docs has no column 'bdy'; did you mean 'body'?", 2),
        (["x.csv", "--where", "id ="], "the server cannot read the statement: syntax error at or"
         ' near ")"', 1),
        (["/nowhere/x.csv"], "/nowhere/x.csv cannot be written: No such file or directory", 1),
    ],
)  # fmt: skip
def test_wrong_usage(
    docs: Database, export: Cli, arguments: list[str], said: str, code: int
) -> None:
    done = export(*arguments)
    assert done.err.splitlines()[0] == f"error: {said}"
    assert done.code == code
    assert [path for path in Path().iterdir() if path.name != "agentdb.toml"] == []


def test_a_file_is_replaced_only_by_a_whole_one(docs: Database, export: Cli) -> None:
    file = Path("all.jsonl")
    file.write_text("old\n")
    docs.execute("ALTER TABLE docs ADD bad int")
    done = export("all.jsonl", "--where", "1 / (id - 2000) < 1")
    assert done.code == 1
    assert "division by zero" in done.err
    assert file.read_text() == "old\n"
    assert sorted(path.name for path in Path().iterdir()) == ["agentdb.toml", "all.jsonl"]


def test_vectors_of_different_dimensions_do_not_fit_into_npy(
    database18: Database, export: Cli
) -> None:
    docs = collection(database18, TABLE.replace("vector(3)", "vector"))
    docs.execute("INSERT INTO docs (id, embedding) VALUES (1, '[1,2]'), (2, '[1,2,3]')")
    done = export("all.npy")
    assert done.err == (
        "error: public.docs: embeddings of 2 and of 3 dimensions do not fit into one .npy file\n"
    )
    assert not Path("all.npy").exists()
