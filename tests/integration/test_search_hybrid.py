"""`agentdb search --hybrid`: words and vectors in one statement."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Database
from searching import Cli, declare, explained, keys, run, small

from agentdb_cli.packs import Collection
from agentdb_cli.vectors.collections import locate
from agentdb_cli.vectors.search import Request, search
from agentdb_cli.vectors.search.hybrid import Hybrid
from agentdb_cli.vectors.values import encoder
from labelled import DIMENSIONS, WORDS_ALONE, means, ndcg, questions, texts


def test_both_halves_count(cli: Cli, database18: Database) -> None:
    small(database18)
    database18.execute("UPDATE docs SET content = 'red apple' WHERE id = 3")
    given = ("--vector", "[0, 1]", "--hybrid", "apple")
    first, second, *_ = run(cli, database18, *given, "-q")
    # The nearest has 0.7 of 1; the only one with the word, in the middle, half of 0.7 and 0.3.
    assert (first["key"], first["score"]) == (1, pytest.approx(0.7))
    assert (second["key"], second["score"]) == (3, pytest.approx(0.65))
    assert first["text_rank"] == 0
    assert second["text_rank"] > 0
    assert second["similarity"] == pytest.approx(0)
    more = ("--text-weight", "0.6", "--vector-weight", "0.4")
    assert keys(cli, database18, *given, *more, "-n", "1") == [3]
    assert keys(
        cli, database18, *given, "--text-weight", "1", "--vector-weight", "0", "-n", "1"
    ) == [3]


def test_reciprocal_rank_fusion(cli: Cli, database18: Database) -> None:
    small(database18)
    database18.execute("UPDATE docs SET content = 'red apple' WHERE id = 3")
    hits = run(cli, database18, "--vector", "[0, 1]", "--hybrid", "apple", "--rrf", "-q")
    assert [hit["key"] for hit in hits[:3]] == [3, 1, 2]
    assert hits[0]["score"] == pytest.approx(1 / 63 + 1 / 61)
    assert hits[1]["score"] == pytest.approx(1 / 61)


def test_table(cli: Cli, database18: Database) -> None:
    small(database18)
    result = cli(
        "search", "-d", database18.url, "--vector", "[0, 2]", "--hybrid", "north", "-n", "1"
    )
    assert result.out.splitlines()[0] == "score    similarity   text rank   key   text    metadata"
    assert result.out.splitlines()[2].startswith("1.0000   1.0000       0.0608      1     north")


def test_any_of_the_words_or_as_the_text_says(cli: Cli, database18: Database) -> None:
    small(database18)
    by_words = ("--vector", "[0, 1]", "--text-weight", "1", "--vector-weight", "0", "-f", "json")

    def matching(text: str) -> set[int]:
        hits = run(cli, database18, *by_words, "--hybrid", text, "-q")
        return {hit["key"] for hit in hits if hit["text_rank"]}

    assert matching("north of anything") == {1, 2}
    assert matching("north east") == {1, 2, 3, 4}
    assert matching('"north east"') == {2}
    assert matching("east -north") == {3, 4}
    assert matching("north or south") == {1, 2, 4, 5}
    assert matching("') OR true; %(query)s %") == set()


def test_words_that_nobody_has(cli: Cli, database18: Database) -> None:
    small(database18)
    given = ("--vector", "[0, 2]", "--hybrid", "zebra", "-n", "2")
    result = cli("search", "-d", database18.url, *given, "-f", "plain")
    assert [line.split("\t")[3] for line in result.out.splitlines()] == ["0.0", "0.0"]
    assert result.err == "none of the hits has such words: they are by the vector alone\n"


def test_filters_hold_in_both_halves(cli: Cli, database18: Database) -> None:
    small(database18)
    given = ("--vector", "[0, 1]", "--hybrid", "north east", "-q", "--filter", "agent_id=2")
    assert sorted(keys(cli, database18, *given)) == [3, 4]
    assert sorted(keys(cli, database18, "--like", "2", *given[2:])) == [3, 4]


def test_neither_null_nor_zero_vectors(cli: Cli, database18: Database) -> None:
    small(database18)
    database18.execute("UPDATE docs SET embedding = '[0,0]' WHERE id = 5")
    given = ("--vector", "[0, 1]", "--hybrid", "nowhere south", "-q")
    assert sorted(keys(cli, database18, *given)) == [1, 2, 3, 4]


class TestConfiguration:
    def said(self, cli: Cli, database: Database) -> str:
        found = explained(cli, database, "--vector", "[0, 1]", "--hybrid", "north")
        return next(why for why in found["why"] if why.startswith("full text in "))

    def test_the_default(self, cli: Cli, database18: Database) -> None:
        small(database18)
        default = database18.value("SHOW default_text_search_config")
        assert self.said(cli, database18) == (
            f"full text in content as tsvector, text search configuration {default}"
            " (the server's default_text_search_config)"
        )

    def test_the_collections_own(self, cli: Cli, database18: Database) -> None:
        small(database18)
        declare(text_search_config="german")
        assert self.said(cli, database18) == (
            "full text in content as tsvector, text search configuration german (agentdb.toml)"
        )

    def test_a_generated_column(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute(
            "ALTER TABLE docs ADD tsv tsvector"
            " GENERATED ALWAYS AS (to_tsvector('english', content)) STORED;"
            "CREATE INDEX ON docs USING gin (tsv); UPDATE docs SET content = 'running' WHERE id = 3"
        )
        declare(tsvector="tsv")
        assert self.said(cli, database18) == (
            "full text in tsv, text search configuration pg_catalog.english"
            " (what the column is generated with)"
        ).replace("pg_catalog.", "")
        hits = run(cli, database18, "--vector", "[0, 1]", "--hybrid", "runs", "-q")
        assert [hit["key"] for hit in hits if hit["text_rank"]] == [3]

    def test_an_index_on_the_text_is_used(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute(
            "INSERT INTO docs (id, content, embedding) SELECT n, 'word' || n, '[1,2]'"
            " FROM generate_series(10, 5000) AS n;"
            "CREATE INDEX words ON docs USING gin (to_tsvector('english', content)); ANALYZE docs"
        )
        declare(text_search_config="english")
        found = explained(cli, database18, "--vector", "[0, 1]", "--hybrid", "word77")
        assert "Bitmap Index Scan on words" in "\n".join(found["plan"])

    def test_unknown(self, cli: Cli, database18: Database) -> None:
        small(database18)
        declare(text_search_config="klingon")
        result = cli("search", "-d", database18.url, "--vector", "[0, 1]", "--hybrid", "x")
        assert (result.code, result.out) == (1, "")
        assert "text search configuration" in result.err


def test_the_weights_of_the_collection(cli: Cli, database18: Database) -> None:
    small(database18)
    with Path("agentdb.toml").open("a") as file:
        file.write("[collections.docs.hybrid]\ntext_weight = 1\nvector_weight = 0\n")
    hits = run(cli, database18, "--vector", "[0, 1]", "--hybrid", "south", "-q")
    assert [hit["score"] > 0 for hit in hits] == [True, True, False, False, False]


def test_it_beats_both_halves(database18: Database) -> None:
    """nDCG@10 on a labelled set: of the vectors, of the words, and of both."""
    corpus, asked = texts(2000), questions(40)
    database18.execute(
        "CREATE EXTENSION vector; CREATE TABLE docs (id int PRIMARY KEY, content text,"
        f" embedding vector({DIMENSIONS}))"
    )
    with database18.connection.cursor() as cursor, cursor.copy("COPY docs FROM STDIN") as copy:
        for place, text in enumerate(corpus):
            copy.write_row((place, text.words, str(list(text.vector))))
    database18.execute("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)")
    database18.execute("ANALYZE docs")
    collection = Collection(
        "docs", "docs", "id", "embedding", "content", "cosine", text_search_config="english"
    )
    located = locate(database18.connection, collection)
    encode = encoder("vector")
    figures: dict[str, list[float]] = {}
    for question in asked:
        by_words = database18.execute(WORDS_ALONE.format(table="docs"), question.words)
        figures.setdefault("text", []).append(ndcg(question, [row[0] for row in by_words], corpus))
        ways = {
            "vector": None,
            "both": Hybrid(question.words),
            "rrf": Hybrid(question.words, rrf=True),
        }
        for name, hybrid in ways.items():
            request = Request(encode(question.vector), hybrid=hybrid)
            found = search(database18.connection, located, request)
            places = [int(str(hit.key)) for hit in found.hits]
            assert len(places) == 10
            figures.setdefault(name, []).append(ndcg(question, places, corpus))
    mean = means(figures)
    assert mean["both"] > max(mean["vector"], mean["text"]) + 0.02, mean
    assert mean["rrf"] > max(mean["vector"], mean["text"]), mean
