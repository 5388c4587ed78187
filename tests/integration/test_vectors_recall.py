"""`agentdb vectors recall`, `tune` and `status`: what they measure, say and write."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from conftest import Database, Result

from agentdb_cli.packs import Collection
from agentdb_cli.vectors import truth
from agentdb_cli.vectors.collections import locate

Cli = Callable[..., Result]
COLLECTION = (
    '[collections.docs]\ntable = "docs"\nkey = "id"\nembedding = "embedding"\ntext = "body"\n'
)
HNSW = "USING hnsw (embedding vector_cosine_ops)"


def fill(database: Database, rows: int = 3000, dimensions: int = 32) -> None:
    """The table `docs`, declared as a collection, with vectors that are hard to tell apart."""
    Path("agentdb.toml").write_text(COLLECTION)
    database.execute("CREATE EXTENSION IF NOT EXISTS vector; SELECT setseed(0.5)")
    database.execute(
        f"CREATE TABLE docs (id int PRIMARY KEY, body text, embedding vector({dimensions}))"
    )
    database.execute(
        "INSERT INTO docs SELECT i, 'text', (SELECT array_agg(random() - 0.5 + 0 * (i + j))"
        f" FROM generate_series(1, {dimensions}) AS j)::vector FROM generate_series(1, {rows}) AS i"
    )
    database.execute("VACUUM ANALYZE docs")


def vectors(cli: Cli, database: Database, command: str, *arguments: object) -> Result:
    return cli("vectors", command, "-d", database.url, *arguments)


def found(cli: Cli, database: Database, command: str, *arguments: object) -> list[dict]:
    result = vectors(cli, database, command, "-f", "json", *arguments)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    return rows if isinstance(rows, list) else [rows]


# --- recall ------------------------------------------------------------------


def test_recall_rises_with_the_setting(database18: Database, cli: Cli) -> None:
    fill(database18)
    database18.execute(f"CREATE INDEX mine ON docs {HNSW} WITH (m = 4, ef_construction = 8)")
    rows = found(cli, database18, "recall", "--queries", "60", "--values", "11,40,1000")
    assert [row["ef_search"] for row in rows] == [11, 40, 1000, None]
    recalls = [row["recall"] for row in rows]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.9 < recalls[2]
    assert recalls[3] == 1.0
    for row in rows:
        assert 0 <= row["recall_low"] <= row["recall"] <= row["recall_high"] <= 1
        assert 0 < row["p50"] <= row["p95"]


def test_recall_is_what_sql_says(database18: Database, cli: Cli) -> None:
    fill(database18, 400)
    database18.execute(f"CREATE INDEX mine ON docs {HNSW} WITH (m = 2, ef_construction = 4)")
    # Every row is a query, so that the answer does not depend on which are drawn.
    (row, _) = found(cli, database18, "recall", "--queries", "400", "--values", "11")
    nearest = "SELECT array_agg(id) FROM (SELECT id FROM docs d ORDER BY {} LIMIT 11) AS n"
    distance = "d.embedding <=> q.embedding"
    with database18.connection.transaction():
        database18.execute("SET LOCAL hnsw.ef_search = 11; SET LOCAL enable_seqscan = off")
        database18.execute("SET LOCAL enable_sort = off")
        pairs = database18.execute(
            f"SELECT id, ({nearest.format(distance)}), ({nearest.format(f'({distance}) + 0')})"
            " FROM docs q"
        )
    hits = [
        len((set([i for i in by_index if i != key][:10])) & (set(exact) - {key}))
        for key, by_index, exact in pairs
    ]
    assert row["recall"] == pytest.approx(sum(hits) / 4000)
    assert row["recall"] < 1


KINDS = {
    "cosine": ("vector(8)", "{}", "vector_cosine_ops"),
    "l2": ("vector(8)", "{}", "vector_l2_ops"),
    "inner_product": ("halfvec(8)", "{}::halfvec", "halfvec_ip_ops"),
    "l1": ("vector(8)", "{}", "vector_l1_ops"),
    "hamming": ("bit(8)", "binary_quantize({})::bit(8)", "bit_hamming_ops"),
    "jaccard": ("bit(8)", "binary_quantize({})::bit(8)", "bit_jaccard_ops"),
}


@pytest.mark.parametrize("distance", KINDS)
def test_exact_answers_together_are_those_one_by_one(database18: Database, distance: str) -> None:
    type_, value, operators = KINDS[distance]
    database18.execute("CREATE EXTENSION IF NOT EXISTS vector; SELECT setseed(0.5)")
    database18.execute(f'CREATE TABLE "50%" ("key%" text, body text, "e%" {type_})')
    random = "(SELECT array_agg(random() - 0.5 + 0 * (i + j)) FROM generate_series(1, 8) AS j)"
    database18.execute(
        f"INSERT INTO \"50%\" SELECT 'k' || i, 'text', {value.format(random + '::vector')}"
        " FROM generate_series(1, 1000) AS i"
    )
    database18.execute("INSERT INTO \"50%\" VALUES ('none', 'text', NULL)")
    database18.execute(f'CREATE INDEX mine ON "50%" USING hnsw ("e%" {operators})')
    database18.execute('VACUUM ANALYZE "50%"')
    collection = Collection(
        name="docs", table='"50%"', key="key%", embedding="e%", text="body", distance=distance
    )
    with psycopg.connect(database18.url, autocommit=True) as connection:
        located = locate(connection, collection)
        wanted = truth.Wanted(count=120, most=0, seconds=0.0, seed=1)
        alone, together = (
            truth.find(connection, located, index, wanted, 10, lambda *_: None).queries
            for index in (None, located.indexes[0])
        )
    assert len(alone) == 120
    for one, other in zip(alone, together, strict=True):
        assert one.key == other.key
        assert one.distances == pytest.approx(other.distances, rel=1e-12)


def test_exact_answers_where_the_index_gives_too_few(database18: Database, cli: Cli) -> None:
    fill(database18)
    database18.execute(
        "CREATE INDEX lists ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 1500)"
    )
    rows = found(cli, database18, "recall", "--queries", "60", "--values", "1,1500")
    assert rows[0]["recall"] < 0.5
    assert rows[1]["recall"] == 1.0


def test_equal_distances_are_hits(database18: Database, cli: Cli) -> None:
    fill(database18, 50)
    # 2,000 rows of one vector: whichever ten of them are found, all are as near as can be.
    database18.execute(
        "INSERT INTO docs SELECT 1000 + i, 'same', (SELECT embedding FROM docs WHERE id = 1)"
        " FROM generate_series(1, 2000) AS i"
    )
    database18.execute(f"CREATE INDEX mine ON docs {HNSW}")
    database18.execute("DELETE FROM docs WHERE id <= 50")
    database18.execute("VACUUM ANALYZE docs")
    rows = found(cli, database18, "recall", "--queries", "20", "--values", "40")
    assert rows[0]["recall"] == 1.0


def test_recall_of_an_index_that_the_planner_would_not_take(database18: Database, cli: Cli) -> None:
    fill(database18)
    database18.execute(f"CREATE INDEX graph ON docs {HNSW}")
    database18.execute(
        "CREATE INDEX lists ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 30)"
    )
    options = ["--queries", "40", "--values"]
    (lists, _) = found(cli, database18, "recall", "--index", "lists", *options, "1")
    (graph, _) = found(cli, database18, "recall", "--index", "graph", *options, "40")
    assert lists["recall"] < 0.6
    assert graph["recall"] > 0.7
    database18.execute(f"CREATE INDEX twin ON docs {HNSW} WITH (m = 4, ef_construction = 8)")
    taken = {
        name: vectors(cli, database18, "recall", "--index", name, *options, "40")
        for name in ("graph", "twin")
    }
    assert sorted(result.code for result in taken.values()) == [0, 1]
    refused = next(result for result in taken.values() if result.code)
    assert "error: at ef_search 11 the planner does not use public." in refused.err
    assert "hint: drop the one that is not wanted" in refused.err


@pytest.mark.parametrize(
    ("options", "code", "error"),
    [
        (["--values", "many"], 2, "--values takes numbers between commas"),
        (["--values", "1001"], 2, "hnsw.ef_search is from 1 to 1,000, not 1,001"),
        (["--plot", "curve.pdf"], 2, "curve.pdf is neither .svg nor .png"),
        (["--plot", "nowhere/curve.svg"], 1, "nowhere is no directory"),
        (["--index", "other"], 1, "public.docs.embedding has no vector index 'other'"),
        (["-c", "dogs"], 2, "there is no collection 'dogs'; did you mean 'docs'?"),
    ],
)
def test_wrong_usage(
    database18: Database, cli: Cli, options: list[str], code: int, error: str
) -> None:
    fill(database18, 20)
    database18.execute(f"CREATE INDEX mine ON docs {HNSW}")
    done = vectors(cli, database18, "recall", *options)
    assert (done.code, done.err.splitlines()[0]) == (code, f"error: {error}")


def test_nothing_to_measure(database18: Database, cli: Cli) -> None:
    fill(database18, 1)
    done = vectors(cli, database18, "recall")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: public.docs.embedding has no vector index that its searches can use",
    )
    database18.execute(f"CREATE INDEX mine ON docs {HNSW}")
    done = vectors(cli, database18, "recall")
    assert done.err.splitlines()[0] == (
        "error: public.docs has too few rows with an embedding to measure recall"
    )


def test_pictures(database18: Database, cli: Cli) -> None:
    pytest.importorskip("matplotlib")
    fill(database18, 500)
    database18.execute(f"CREATE INDEX mine ON docs {HNSW}")
    for name in ("curve.svg", "curve.png"):
        done = vectors(cli, database18, "recall", "--queries", "10", "--plot", name)
        assert done.code == 0, done.err
        assert done.err.splitlines()[-1] == f"wrote {name}"
    assert ElementTree.parse("curve.svg").getroot().tag.endswith("svg")
    assert Path("curve.png").read_bytes().startswith(b"\x89PNG")


# --- tune --------------------------------------------------------------------


def weak(database: Database) -> None:
    """An index that takes a large ef_search to find much."""
    fill(database)
    database.execute(f"CREATE INDEX mine ON docs {HNSW} WITH (m = 4, ef_construction = 8)")


def test_tune_chooses_the_smallest_and_writes_it(database18: Database, cli: Cli) -> None:
    weak(database18)
    (chosen,) = found(
        cli, database18, "tune", "--target-recall", "0.9", "--queries", "150",
        "--apply", "config", "--yes",
    )  # fmt: skip
    assert chosen["reached"]
    assert chosen["recall_low"] >= 0.9
    assert chosen["check_recall"] > 0.8
    assert Path("agentdb.toml").read_text() == f"{COLLECTION}ef_search = {chosen['value']}\n"
    smaller = max(chosen["value"] // 2, 11)
    (less, _) = found(cli, database18, "recall", "--queries", "150", "--values", smaller)
    assert less["recall_low"] < 0.9


@pytest.mark.parametrize("where", ["database", "role"])
def test_tune_writes_to_the_server(database18: Database, cli: Cli, where: str) -> None:
    weak(database18)
    options = ["--target-recall", "0.8", "--queries", "40", "--apply", where]
    dry = vectors(cli, database18, "tune", *options, "--dry-run")
    assert dry.code == 0, dry.err
    asked = vectors(cli, database18, "tune", *options)
    assert asked.code == 2
    assert asked.err.endswith(
        "error: nobody can be asked here\nhint: --yes goes on without a question\n"
    )
    setting = "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase ="
    here = f"{setting} (SELECT oid FROM pg_database WHERE datname = current_database())"
    assert database18.execute(here) == []
    done = vectors(cli, database18, "tune", *options, "--yes")
    assert done.code == 0, done.err
    statement = dry.err.splitlines()[-1].removeprefix("dry run: ")
    assert f"done: {statement};" in done.err
    value = statement.rpartition(" ")[2]
    assert database18.value(here) == [f"hnsw.ef_search={value}"]


def test_tune_says_what_cannot_be_reached(database18: Database, cli: Cli) -> None:
    fill(database18)
    database18.execute(f"CREATE INDEX mine ON docs {HNSW} WITH (m = 2, ef_construction = 4)")
    done = vectors(
        cli, database18, "tune", "--target-recall", "0.999", "--queries", "40", "--apply", "config"
    )
    assert done.code == 1
    assert "error: public.mine does not reach a recall of 0.999: at ef_search " in done.err
    assert done.err.endswith(
        "hint: agentdb vectors index rebuild mine --m 4 --ef-construction 8;"
        " agentdb vectors tune --try measures what that would bring\n"
    )
    assert Path("agentdb.toml").read_text() == COLLECTION


def test_tune_tries_other_indexes(database18: Database, cli: Cli) -> None:
    weak(database18)
    done = vectors(
        cli, database18, "tune", "--target-recall", "0.8", "--queries", "40",
        "--try", "--try-rows", "1000",
    )  # fmt: skip
    assert done.code == 0, done.err
    for name in ("as it is", "twice ef_construction", "twice m as well", "half", "binary"):
        assert f"\n{name} " in done.out
    assert database18.value("SELECT count(*) FROM pg_class WHERE relname ~ 'agentdb_try'") == 0


def test_behind_a_pooler(database18: Database, cli: Cli, pgbouncer: str) -> None:
    weak(database18)
    options = ["--queries", "30", "-f", "json"]
    direct = vectors(cli, database18, "recall", *options, "--values", "20,200")
    pooled = cli("vectors", "recall", "-d", pgbouncer, *options, "--values", "20,200")
    assert pooled.code == 0, pooled.err
    found_by = [[row["recall"] for row in json.loads(each.out)] for each in (direct, pooled)]
    assert found_by[0] == found_by[1]
    assert found_by[0][0] < found_by[0][1]
    tuned = cli("vectors", "tune", "-d", pgbouncer, *options, "--target-recall", "0.8")
    assert tuned.code == 0, tuned.err
    done = cli("vectors", "tune", "-d", pgbouncer, *options, "--try")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: a pooler in between gives each statement another session, and --try needs one of"
        " its own for its temporary table",
    )


def test_tune_of_ivfflat(database18: Database, cli: Cli) -> None:
    fill(database18)
    database18.execute(
        "CREATE INDEX mine ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 30)"
    )
    (chosen,) = found(cli, database18, "tune", "--target-recall", "0.8", "--queries", "60")
    assert (chosen["setting"], chosen["reached"]) == ("probes", True)
    assert 1 < chosen["value"] <= 30


# --- status ------------------------------------------------------------------


def test_status(database18: Database, cli: Cli) -> None:
    fill(database18, 200)
    (row,) = found(cli, database18, "status")
    assert (row["collection"], row["rows"], row["nulls"], row["index"]) == ("docs", 200, 0, None)
    assert row["verdicts"] == []

    database18.execute("UPDATE docs SET embedding = NULL WHERE id <= 20")
    database18.execute(
        "CREATE INDEX mine ON docs USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100)"
    )
    database18.execute("CREATE INDEX wrong ON docs USING hnsw (embedding vector_l2_ops)")
    mine, wrong = found(cli, database18, "status", "--exact")
    assert (mine["rows"], mine["nulls"], mine["dimensions_seen"]) == (200, 20, [32, 32])
    assert (mine["method"], mine["parameters"]) == ("ivfflat", {"lists": 100})
    nulls = "20 rows without an embedding, which no search finds: agentdb vectors embed -c docs"
    assert mine["verdicts"] == [
        nulls,
        "lists = 100 do not suit 200 rows, 1 do:"
        " agentdb vectors index rebuild mine -c docs --method hnsw",
    ]
    assert wrong["verdicts"] == [
        nulls,
        "serves no search of the collection: it is by l2, the collection by cosine:"
        " agentdb vectors index drop wrong -c docs",
    ]


def test_status_of_rows_that_want_an_index(database18: Database, cli: Cli) -> None:
    fill(database18, 10_000, 3)
    done = vectors(cli, database18, "status")
    assert done.code == 0
    assert done.out.endswith(
        "\ndocs: no index serves its searches: each reads 10,000 rows\n"
        "    agentdb vectors index create -c docs\n"
    )


def test_status_of_a_column_without_dimensions(database18: Database, cli: Cli) -> None:
    fill(database18, 10)
    database18.execute("ALTER TABLE docs ALTER COLUMN embedding TYPE vector")
    (row,) = found(cli, database18, "status", "--exact")
    assert (row["dimensions"], row["dimensions_seen"]) == (None, [32, 32])
    assert row["verdicts"][0] == (
        'vector without dimensions, which no index takes: ALTER TABLE "public"."docs"'
        ' ALTER COLUMN "embedding" TYPE vector(32)'
    )
    database18.execute("INSERT INTO docs VALUES (0, 'short', '[1,2,3]')")
    (row,) = found(cli, database18, "status", "--exact")
    assert row["verdicts"][0] == (
        "vector without dimensions, which no index takes; its rows have 3 to 32: of several models?"
    )


def test_status_of_dead_rows(database18: Database, cli: Cli) -> None:
    fill(database18, 1000, 3)
    database18.execute("ALTER TABLE docs SET (autovacuum_enabled = off)")
    database18.execute("SELECT pg_stat_force_next_flush()")
    database18.execute("ANALYZE docs")
    database18.execute("UPDATE docs SET body = 'new' WHERE id <= 600")
    database18.execute("SELECT pg_stat_force_next_flush()")
    (row,) = found(cli, database18, "status")
    assert row["dead"] == 600
    assert row["changed"] == 600
    assert any("of its rows are dead" in verdict for verdict in row["verdicts"])


def test_status_of_what_is_missing(database15: Database, cli: Cli) -> None:
    Path("agentdb.toml").write_text(COLLECTION)
    done = vectors(cli, database15, "status")
    assert (done.code, done.out) == (0, "")
    assert done.err == ("warning: collection docs: there is no table docs here (agentdb.toml)\n")
    done = vectors(cli, database15, "status", "-c", "docs")
    assert done.code == 1


def test_status_of_a_database_without_collections(database15: Database, cli: Cli) -> None:
    done = vectors(cli, database15, "status")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: this database has no collection: no table with a vector column, a key and text",
    )
