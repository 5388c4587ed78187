"""`agentdb search`: hits, their order and form, wrong usage, and what stands in between."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Database
from searching import Cli, declare, keys, run, small

from waiting import eventually


class TestHits:
    def test_table(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--vector", "[0, 2]", "-n", "2")
        assert (result.code, result.err) == (0, "")
        head, rule, *rows = result.out.splitlines()
        assert head == "score    key   text         metadata"
        assert set(rule) == {"─"}
        assert rows == [
            '1.0000   1     north        {"a": {"b": "x"}, "type": "fact", "level": 1}',
            '0.7071   2     north east   {"type": "fact", "level": 2}',
        ]

    def test_json(self, cli: Cli, database18: Database) -> None:
        small(database18)
        first, second = run(cli, database18, "--vector", "[0, 2]", "-n", "2")
        assert first == {
            "score": 1.0,
            "distance": 0.0,
            "key": 1,
            "text": "north",
            "metadata": {"a": {"b": "x"}, "type": "fact", "level": 1},
        }
        assert second["score"] == pytest.approx(0.5**0.5)
        assert second["distance"] == pytest.approx(1 - 0.5**0.5)

    def test_long_texts_are_cut_for_people_alone(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute("UPDATE docs SET content = repeat('many  words' || E'\\n', 100)")
        shown = cli("search", "-d", database18.url, "--vector", "[0, 2]", "-n", "1").out
        line = shown.splitlines()[2]
        assert "many words many words" in line
        assert "…" in line
        assert len(line) < 220
        (hit,) = run(cli, database18, "--vector", "[0, 2]", "-n", "1")
        assert hit["text"] == "many  words\n" * 100

    def test_null_embeddings_are_no_hits(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--vector", "[0, 1]", "-f", "plain")
        assert len(result.out.splitlines()) == 5
        assert result.err == "5 of 10: there are no more rows with an embedding\n"

    def test_min_similarity(self, cli: Cli, database18: Database) -> None:
        small(database18)
        given = ("-d", database18.url, "--vector", "[0, 1]", "--min-similarity", "0.7", "-q")
        assert len(cli("search", *given, "-f", "plain").out.splitlines()) == 2
        result = cli("search", *given[:-1], "-f", "plain")
        assert result.err == "2 of 10: no other row has a similarity of 0.7 or more\n"
        result = cli("search", *given[:-3], "--min-similarity", "1.5")
        assert (result.code, result.out) == (0, "")
        assert result.err == (
            "nothing found in public.docs\n0 of 10: no other row has a similarity of 1.5 or more\n"
        )

    def test_vectors_of_zeros_have_no_similarity(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute("UPDATE docs SET embedding = '[0,0]' WHERE id > 2")
        result = cli("search", "-d", database18.url, "--vector", "[0, 1]", "-f", "plain")
        assert len(result.out.splitlines()) == 2
        assert result.err == "2 of 10: the others have nothing but zeros for a vector\n"

    def test_from_a_file_and_from_stdin(self, cli: Cli, database18: Database) -> None:
        small(database18)
        Path("query.json").write_text("[1.0, 0.0]\n")
        assert keys(cli, database18, "--vector", "query.json", "-n", "1") == [3]
        done = subprocess.run(
            [sys.executable, "-m", "agentdb_cli", "search", "-d", database18.url,
             "--vector", "-", "-n", "1", "-f", "jsonl"],
            input="[1, 0]", capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout)["key"] == 3

    def test_the_text_is_embedded(self, cli: Cli, database18: Database) -> None:
        small(database18)
        program = Path("embed.py")
        program.write_text(
            "import json, sys\n"
            "for line in sys.stdin: print(json.dumps([1, 0] if 'right' in line else [0, -1]))\n"
        )
        with Path("agentdb.toml").open("a") as file:
            file.write(f'[embedding]\ncommand = ["{sys.executable}", "{program.absolute()}"]\n')
        assert keys(cli, database18, "to the right", "-n", "1") == [3]
        assert keys(cli, database18, "down", "-n", "1") == [5]

    def test_a_text_of_another_model(self, cli: Cli, database18: Database) -> None:
        small(database18)
        declare(model="small-2")
        with Path("agentdb.toml").open("a") as file:
            file.write('[embedding]\ncommand = ["false"]\nmodel = "large-3"\n')
        result = cli("search", "-d", database18.url, "north")
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(
            "error: collection docs holds vectors of small-2 (so says [collections.docs] model),"
            " and these are of large-3\n"
        )


class TestLike:
    def test_without_the_row_itself(self, cli: Cli, database18: Database) -> None:
        small(database18)
        assert keys(cli, database18, "--like", "1", "-n", "1") == [2]
        assert sorted(keys(cli, database18, "--like", "1")) == [2, 3, 4, 5]

    def test_no_such_row(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--like", "77")
        assert (result.code, result.err) == (1, "error: public.docs has no row with id 77\n")

    def test_a_row_without_embedding(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--like", "6")
        assert result.code == 1
        assert result.err == (
            "error: the row with id 6 of public.docs has no embedding: embedding is NULL\n"
            "hint: search for its text instead\n"
        )

    def test_no_key(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--like", "x")
        assert result.code == 2
        assert result.err == (
            "error: --like x: id is integer; the server says:"
            ' invalid input syntax for type integer: "x"\n'
        )

    def test_zeros(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute("UPDATE docs SET embedding = '[0,0]' WHERE id = 2")
        result = cli("search", "-d", database18.url, "--like", "2")
        assert (result.code, result.err) == (
            1,
            "error: the embedding of the row with id 2 of public.docs is all zeros,"
            " which has no cosine distance\n",
        )


class TestDistances:
    @pytest.mark.parametrize(
        ("distance", "scores"),
        [
            ("cosine", [1.0, 0.70710678]),
            ("l2", [0.5, 0.41421356]),
            ("inner_product", [2.0, 2.0]),
            ("l1", [0.5, 1 / 3]),
        ],
    )
    @pytest.mark.parametrize("type_", ["vector(2)", "halfvec(2)", "sparsevec(2)"])
    def test_of_numbers(
        self, cli: Cli, database18: Database, type_: str, distance: str, scores: list[float]
    ) -> None:
        small(database18)
        database18.execute(
            f"ALTER TABLE docs ALTER embedding TYPE {type_} USING embedding::{type_}"
        )
        declare(distance=distance)
        hits = run(cli, database18, "--vector", "[0, 2]", "-n", "2")
        assert {hit["key"] for hit in hits} == {1, 2}
        assert [hit["score"] for hit in hits] == pytest.approx(scores, abs=1e-3)

    @pytest.mark.parametrize(
        ("distance", "scores"), [("hamming", [1.0, 0.5]), ("jaccard", [1.0, 0.5])]
    )
    def test_of_bits(
        self, cli: Cli, database18: Database, distance: str, scores: list[float]
    ) -> None:
        database18.execute(
            "CREATE EXTENSION vector;"
            "CREATE TABLE docs (id int PRIMARY KEY, content text, embedding bit(4));"
            "INSERT INTO docs VALUES (1, 'a', '0001'), (2, 'b', '0011'), (3, 'c', '1110')"
        )
        declare(distance=distance)
        hits = run(cli, database18, "--vector", "[0, 0, 0, 1]", "-n", "2")
        assert [(hit["key"], hit["score"]) for hit in hits] == list(
            zip((1, 2), scores, strict=True)
        )
        assert keys(cli, database18, "--like", "2", "-n", "1") == [1]


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (
                (),
                "nothing to look for\n"
                'hint: agentdb search "TEXT", or --vector VECTOR, or --like KEY\n',
            ),
            (("",), "the text to look for is empty\n"),
            (
                ("x", "--like", "1"),
                "a text, --vector and --like are one too many\n"
                "hint: name one of them; with --hybrid a text goes with --vector or --like\n",
            ),
            (
                ("--vector", "[1]", "--hybrid"),
                "--hybrid needs a text: its words are looked for\n"
                'hint: agentdb search "TEXT" --hybrid\n',
            ),
            (("x", "--rrf"), "--text-weight, --vector-weight and --rrf are for --hybrid\n"),
            (
                ("x", "--hybrid", "--rrf", "--text-weight", "1"),
                "--rrf counts places, and has no weights\n",
            ),
            (
                ("x", "--hybrid", "--text-weight", "0", "--vector-weight", "0"),
                "both weights are 0: nothing would count\n",
            ),
        ],
    )
    def test_usage(self, cli: Cli, arguments: tuple[str, ...], error: str) -> None:
        result = cli("search", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"error: {error}")

    def test_wrong_dimensions(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "--vector", "[1, 2, 3]")
        assert result.code == 1
        assert result.err == (
            "error: --vector: has 3 dimensions, and the column 2"
            " (collection docs, public.docs.embedding)\n"
        )

    def test_nothing_to_embed_with(self, cli: Cli, database18: Database) -> None:
        small(database18)
        result = cli("search", "-d", database18.url, "north")
        assert result.code == 2
        assert result.err.startswith(
            "error: nothing says how texts become vectors, and the text is to become one\nhint: "
        )
        assert result.err.endswith("or give the vector itself: --vector\n")

    def test_without_pgvector(self, cli: Cli, database15: Database) -> None:
        database15.execute("CREATE TABLE docs (id int PRIMARY KEY, content text, embedding bit(2))")
        declare(distance="hamming")
        result = cli("search", "-d", database15.url, "--vector", "[0, 1]")
        assert (result.code, result.err) == (
            1,
            "error: pgvector is not in this database\nhint: agentdb extensions enable vector\n",
        )

    def test_a_pack_without_embeddings(self, cli: Cli, database15: Database) -> None:
        given = ("-d", database15.url, "--pack", "openagent")
        assert cli("migrate", *given, "--skip-unavailable", "-q").code == 0
        result = cli("search", *given, "--vector", "[0, 1]")
        assert result.code == 1
        assert result.err == (
            "error: collection memories: public.memories has no column 'embedding' (embedding)\n"
            "hint: the migration that adds it needs pgvector: agentdb extensions enable vector,"
            " then agentdb migrate\n"
        )


class TestTransaction:
    def test_it_only_reads(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute(
            "CREATE VIEW seen AS SELECT id, current_setting('transaction_read_only') AS content,"
            " embedding FROM docs"
        )
        declare("seen")
        assert run(cli, database18, "--vector", "[0, 1]", "-n", "1")[0]["text"] == "on"

    def test_statement_timeout(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute(
            "CREATE VIEW slow AS SELECT id, content, embedding FROM docs"
            " WHERE pg_sleep(600) IS NOT NULL"
        )
        declare("slow")
        with Path("agentdb.toml").open("a") as file:
            file.write('[connection]\nstatement_timeout = "300ms"\n')
        result = cli("search", "-d", database18.url, "--vector", "[0, 1]")
        assert (result.code, result.out) == (1, "")
        assert result.err == (
            "error: the server says: canceling statement due to statement timeout (57014)\n"
        )

    def test_interrupted(self, database18: Database) -> None:
        small(database18)
        database18.execute(
            "CREATE VIEW slow AS SELECT id, content, embedding FROM docs"
            " WHERE pg_sleep(600) IS NOT NULL"
        )
        declare("slow")
        command = ["search", "-d", database18.url, "--vector", "[0, 1]"]
        sleeping = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'agentdb search' AND wait_event = 'PgSleep'"
        )
        with subprocess.Popen(
            [sys.executable, "-m", "agentdb_cli", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                eventually(lambda: database18.value(sleeping))
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
            finally:
                process.kill()
        assert (process.returncode, out, err) == (130, "", "error: interrupted\n")
        eventually(lambda: database18.value(sleeping) == 0)
