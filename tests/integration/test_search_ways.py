"""How a search is run: exactly, by an index, by an iterative scan; and never with rows missing."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from searching import QUERY, Cli, declare, explained, keys, large, nearest, run, small

from agentdb_cli.vectors import search as searches
from agentdb_cli.vectors.search import choice


def recall(found: list[int], wanted: list[int]) -> float:
    return len(set(found) & set(wanted)) / len(wanted)


def old(database: Database, version: str = "0.7.4") -> None:
    """Let the database say that it has an older pgvector."""
    database.execute(f"UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'vector'")


class TestChosen:
    def test_by_index(self, cli: Cli, database18: Database) -> None:
        large(database18)
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["index"]) == ("index", "public.docs_embedding")
        assert said["settings"]["hnsw.ef_search"] == "80"
        assert said["settings"]["hnsw.iterative_scan"] == "off"
        assert "about 3,000 rows, no filter" in said["why"]
        assert "Index Scan using docs_embedding on docs" in "\n".join(said["plan"])
        assert recall(keys(cli, database18, "--vector", QUERY), nearest(database18, QUERY)) >= 0.7

    def test_exactly_as_few_rows_pass(self, cli: Cli, database18: Database) -> None:
        large(database18)
        given = ("--vector", QUERY, "--filter", "rare=0")
        said = explained(cli, database18, *given)
        assert (said["way"], said["index"], said["settings"]) == ("exact", None, {})
        assert "about 10 of about 3,000 rows fulfil the filter (0.3%)" in said["why"]
        assert keys(cli, database18, *given) == nearest(database18, QUERY, where="rare = 0")

    def test_by_one_round_that_is_large_enough(self, cli: Cli, database18: Database) -> None:
        large(database18)
        given = ("--vector", QUERY, "--filter", "tenth in 0,1,2,3")
        said = explained(cli, database18, *given)
        assert said["way"] == "index"
        assert said["settings"]["hnsw.ef_search"] == "80"
        assert said["settings"]["hnsw.iterative_scan"] == "off"
        wanted = nearest(database18, QUERY, where="tenth < 4")
        assert recall(keys(cli, database18, *given), wanted) >= 0.7

    def test_by_a_larger_round_where_fewer_pass(self, cli: Cli, database18: Database) -> None:
        large(database18, 10_000)
        given = ("--vector", QUERY, "--filter", "tenth=0")
        said = explained(cli, database18, *given)
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "240")
        said = explained(cli, database18, "--vector", QUERY, "-n", "50")
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "120")

    def test_by_an_iterative_scan(self, cli: Cli, database18: Database) -> None:
        large(database18)
        given = ("--vector", QUERY, "--filter", "tenth in 0,1,2,3", "--ef-search", "20")
        said = explained(cli, database18, *given)
        assert said["way"] == "iterative"
        assert said["settings"]["hnsw.ef_search"] == "20"
        assert said["settings"]["hnsw.iterative_scan"] == "relaxed_order"
        assert said["settings"]["hnsw.max_scan_tuples"] == "20000"
        wanted = nearest(database18, QUERY, where="tenth < 4")
        assert recall(keys(cli, database18, *given), wanted) >= 0.7

    def test_in_a_graph_as_agentdb_builds_it(self, cli: Cli, database18: Database) -> None:
        large(database18, 10_000, index=None)
        built = cli("vectors", "index", "create", "-d", database18.url, "-q")
        assert built.code == 0, built.err
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "46")
        said = explained(cli, database18, "--vector", QUERY, "--filter", "tenth in 0,1,2,3")
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "46")
        said = explained(cli, database18, "--vector", QUERY, "--filter", "tenth in 0,1")
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "75")
        said = explained(cli, database18, "--vector", QUERY, "-n", "50")
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("index", "75")
        given = ("--vector", QUERY, "--filter", "tenth in 0,1,2,3", "-n", "50")
        said = explained(cli, database18, *given)
        assert (said["way"], said["settings"]["hnsw.ef_search"]) == ("iterative", "50")

    def test_exactly_as_asked(self, cli: Cli, database18: Database) -> None:
        large(database18)
        said = explained(cli, database18, "--vector", QUERY, "--exact")
        assert said["way"] == "exact"
        assert said["why"] == ["--exact was given", "about 3,000 rows, no filter"]
        found = keys(cli, database18, "--vector", QUERY, "--exact")
        assert found == nearest(database18, QUERY)

    @pytest.mark.parametrize("limit", [65, 200, 1500])
    def test_more_than_ef_search(self, cli: Cli, database18: Database, limit: int) -> None:
        large(database18)
        found = keys(cli, database18, "--vector", QUERY, "-n", str(limit))
        assert len(found) == limit
        assert recall(found, nearest(database18, QUERY, limit)) >= 0.7

    def test_ef_search_of_the_user(self, cli: Cli, database18: Database) -> None:
        large(database18)
        said = explained(cli, database18, "--vector", QUERY, "--ef-search", "80")
        assert said["settings"]["hnsw.ef_search"] == "80"
        with Path("agentdb.toml").open("a") as file:
            file.write("ef_search = 70\n")
        said = explained(cli, database18, "--vector", QUERY)
        assert said["settings"]["hnsw.ef_search"] == "70"

    def test_a_table_that_was_never_analysed(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute(
            "CREATE TABLE copy AS TABLE docs; ALTER TABLE copy SET (autovacuum_enabled = off)"
        )
        database18.execute("CREATE INDEX ON copy USING hnsw (embedding vector_cosine_ops)")
        database18.execute("UPDATE pg_class SET reltuples = -1 WHERE relname = 'copy'")
        declare("copy")
        given = ("--vector", QUERY, "--filter", "rare=0")
        said = explained(cli, database18, *given)
        assert said["way"] == "exact"
        assert any(why.startswith("10 of about ") for why in said["why"])
        assert keys(cli, database18, *given) == nearest(database18, QUERY, where="rare = 0")

    def test_columns_that_depend_on_each_other(self, cli: Cli, database18: Database) -> None:
        """To the planner, 2,000 rows fulfil this: in truth none but ten."""
        large(database18)
        database18.execute(
            "ALTER TABLE docs ADD other int; UPDATE docs SET other = CASE WHEN id % 300 = 1 THEN 1"
            " WHEN tenth < 5 THEN 0 ELSE 1 END; ANALYZE docs"
        )
        given = ("--vector", QUERY, "--filter", "tenth<5", "--filter", "other=1")
        said = explained(cli, database18, *given)
        assert said["way"] == "exact"
        assert "10 of about 3,000 rows fulfil the filter (0.3%)" in said["why"]
        wanted = nearest(database18, QUERY, where="tenth < 5 AND other = 1")
        assert keys(cli, database18, *given) == wanted


class TestNeverFewer:
    def test_scanned_on(self, cli: Cli, database18: Database) -> None:
        """Nearly all rows pass the filter, but none of the nearest."""
        large(database18)
        near = nearest(database18, QUERY, 300)
        database18.execute("ALTER TABLE docs ADD near bool NOT NULL DEFAULT false")
        database18.execute("UPDATE docs SET near = true WHERE id = ANY (%s)", near)
        database18.execute("VACUUM (ANALYZE) docs")
        given = ("--vector", QUERY, "--filter", "near=false")
        said = explained(cli, database18, *given)
        assert said["way"] == "iterative"
        assert said["settings"]["hnsw.iterative_scan"] == "relaxed_order"
        assert said["why"][-1] == "the index gave 0 rows, so it was scanned on"
        wanted = nearest(database18, QUERY, where="NOT near")
        found = keys(cli, database18, *given)
        assert len(found) == 10
        assert recall(found, wanted) >= 0.7

    def test_the_rest_is_read(self, cli: Cli, database18: Database) -> None:
        """Vectors of zeros are in no cosine index: four of the filter's rows are."""
        self.hollow(database18)
        given = ("--vector", QUERY, "--filter", "tenth=0")
        said = explained(cli, database18, *given)
        assert said["way"] == "exact"
        # An index of HNSW may miss one of the four.
        assert re.fullmatch(r"the index gave [1-4] rows, so all of them were read", said["why"][-1])
        result = cli("search", "-d", database18.url, *given, "-f", "plain")
        assert len(result.out.splitlines()) == 4
        assert result.err == "4 of 10: the others have nothing but zeros for a vector\n"

    def test_unless_that_takes_too_long(
        self, cli: Cli, database18: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hollow(database18)
        monkeypatch.setattr(searches, "_PATIENCE", 1)
        result = cli("search", "-d", database18.url, "--vector", QUERY, "--filter", "tenth=0")
        assert result.code == 0
        found = len(result.out.splitlines()) - 2
        assert 1 <= found <= 4
        assert result.err == (
            f"warning: {found} of 10: the index gave no more, and reading all rows took too long;"
            " there may be others; --exact reads them all\n"
        )

    @staticmethod
    def hollow(database: Database) -> None:
        large(database, 20_000, index=None)
        database.execute(
            "UPDATE docs SET tenth = 0 WHERE id > 8000;"
            "UPDATE docs SET embedding = array_fill(0, ARRAY[16])::vector"
            " WHERE tenth = 0 AND id > 40;"
        )
        database.execute(
            "CREATE INDEX docs_embedding ON docs USING hnsw (embedding vector_cosine_ops)"
        )
        database.execute("ANALYZE docs")

    def test_dead_rows(self, cli: Cli, database18: Database) -> None:
        large(database18)
        near = nearest(database18, QUERY, 200)
        database18.execute("DELETE FROM docs WHERE id = ANY (%s)", near)
        found = keys(cli, database18, "--vector", QUERY)
        assert found == nearest(database18, QUERY)


class TestOlderPgvector:
    def test_a_larger_round(self, cli: Cli, database18: Database) -> None:
        large(database18)
        old(database18)
        given = ("--vector", QUERY, "--filter", "tenth in 0,1,2,3")
        said = explained(cli, database18, *given)
        assert said["way"] == "index"
        assert said["settings"] == {
            "enable_sort": "off", "enable_seqscan": "off", "hnsw.ef_search": "80"
        }  # fmt: skip
        wanted = nearest(database18, QUERY, where="tenth < 4")
        found = keys(cli, database18, *given)
        assert len(found) == 10
        assert recall(found, wanted) >= 0.7

    def test_exactly_if_no_round_is_large_enough(self, cli: Cli, database18: Database) -> None:
        large(database18)
        old(database18)
        given = ("--vector", QUERY, "--filter", "tenth=0", "-n", "40")
        said = explained(cli, database18, *given)
        assert said["way"] == "exact"
        assert said["why"][0] == (
            "pgvector 0.7.4 cannot scan on until enough rows have passed (0.8 can)"
        )
        assert keys(cli, database18, *given) == nearest(database18, QUERY, 40, "tenth = 0")


class TestIndexes:
    def test_half(self, cli: Cli, database18: Database) -> None:
        large(database18, index=None)
        database18.execute(
            "CREATE INDEX half ON docs USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops)"
        )
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["index"]) == ("index", "public.half")
        assert "Index Scan using half on docs" in "\n".join(said["plan"])
        hits = run(cli, database18, "--vector", QUERY)
        assert recall([hit["key"] for hit in hits], nearest(database18, QUERY)) >= 0.7
        exact = f"SELECT 1 - (embedding <=> '{QUERY}') FROM docs WHERE id = %s"
        assert hits[0]["score"] == database18.value(exact, hits[0]["key"])

    def test_binary_with_reranking(self, cli: Cli, database18: Database) -> None:
        large(database18, index=None)
        database18.execute(
            "CREATE INDEX bits ON docs USING hnsw"
            " ((binary_quantize(embedding)::bit(16)) bit_hamming_ops)"
        )
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["index"]) == ("index", "public.bits")
        assert said["settings"]["hnsw.ef_search"] == "100"
        assert "Index Scan using bits on docs" in "\n".join(said["plan"])
        hits = run(cli, database18, "--vector", QUERY)
        assert len(hits) == 10
        exact = f"SELECT 1 - (embedding <=> '{QUERY}') FROM docs WHERE id = %s"
        assert [hit["score"] for hit in hits] == [
            database18.value(exact, hit["key"]) for hit in hits
        ]
        assert recall([hit["key"] for hit in hits], nearest(database18, QUERY)) >= 0.3

    def test_ivfflat(self, cli: Cli, database18: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "_SURE", 0.0)
        large(database18, index=None)
        database18.execute(
            "CREATE INDEX lists ON docs USING ivfflat (embedding vector_cosine_ops)"
            " WITH (lists = 100)"
        )
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["index"]) == ("index", "public.lists")
        assert said["settings"]["ivfflat.probes"] == "40"
        found = keys(cli, database18, "--vector", QUERY)
        assert recall(found, nearest(database18, QUERY)) >= 0.3
        said = explained(cli, database18, "--vector", QUERY, "--probes", "7")
        assert said["settings"]["ivfflat.probes"] == "7"
        said = explained(cli, database18, "--vector", QUERY, "--probes", "7", "--filter", "tenth<9")
        assert said["settings"]["ivfflat.iterative_scan"] == "relaxed_order"

    def test_of_ivfflat_few_rows_are_compared_at_once(self, cli: Cli, database18: Database) -> None:
        large(database18, index="ivfflat")
        said = explained(cli, database18, "--vector", QUERY)
        assert said["way"] == "exact"
        assert "so few are compared at once" in said["why"]
        assert keys(cli, database18, "--vector", QUERY) == nearest(database18, QUERY)

    def test_of_another_distance(self, cli: Cli, database18: Database) -> None:
        large(database18, index=None)
        database18.execute("CREATE INDEX far ON docs USING hnsw (embedding vector_l2_ops)")
        said = explained(cli, database18, "--vector", QUERY)
        assert said["way"] == "exact"
        assert "public.far is by l2, the collection by cosine" in said["why"]

    def test_invalid(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'docs_embedding'::regclass"
        )
        said = explained(cli, database18, "--vector", QUERY)
        assert said["way"] == "exact"
        assert "public.docs_embedding is invalid: its build was broken off" in said["why"]

    def test_none(self, cli: Cli, database18: Database) -> None:
        small(database18)
        said = explained(cli, database18, "--vector", "[0, 1]")
        assert said["why"][0] == "public.docs has no vector index"

    def test_several(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute(
            "CREATE INDEX another ON docs USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops)"
        )
        said = explained(cli, database18, "--vector", QUERY)
        assert said["index"] == "public.docs_embedding"
        assert "public.another would serve as well" in said["why"]

    def test_partial(self, cli: Cli, database18: Database) -> None:
        large(database18, index=None)
        database18.execute(
            "CREATE INDEX part ON docs USING hnsw (embedding vector_cosine_ops) WHERE tenth < 5"
        )
        given = ("--vector", QUERY, "--filter", "tenth<5")
        said = explained(cli, database18, *given)
        assert said["index"] == "public.part"
        assert "public.part holds the rows WHERE tenth < 5, which the filter implies" in said["why"]
        assert (
            recall(keys(cli, database18, *given), nearest(database18, QUERY, where="tenth < 5"))
            >= 0.7
        )
        assert explained(cli, database18, "--vector", QUERY)["way"] == "exact"
        assert keys(cli, database18, "--vector", QUERY) == nearest(database18, QUERY)


class TestTables:
    def test_partitioned(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute(
            "ALTER TABLE docs RENAME TO one;"
            "CREATE TABLE docs (LIKE one) PARTITION BY LIST (tenth);"
            "CREATE TABLE p0 PARTITION OF docs FOR VALUES IN (0, 1, 2, 3, 4);"
            "CREATE TABLE p1 PARTITION OF docs DEFAULT;"
            "INSERT INTO docs TABLE one;"
            "CREATE INDEX whole ON docs USING hnsw (embedding vector_cosine_ops)"
        )
        database18.execute("ANALYZE docs")
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["index"]) == ("index", "public.whole")
        assert "Merge Append" in "\n".join(said["plan"])
        assert recall(keys(cli, database18, "--vector", QUERY), nearest(database18, QUERY)) >= 0.7
        given = ("--vector", QUERY, "--filter", "tenth=7")
        wanted = nearest(database18, QUERY, where="tenth = 7")
        assert recall(keys(cli, database18, *given), wanted) >= 0.7

    def test_view(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute(
            "CREATE VIEW few AS SELECT id, content, embedding FROM docs WHERE rare < 5"
        )
        declare("few")
        said = explained(cli, database18, "--vector", QUERY)
        assert (said["way"], said["why"][0]) == ("exact", "a view has no index of its own")
        found = keys(cli, database18, "--vector", QUERY)
        assert found == nearest(database18, QUERY, where="rare < 5")

    def test_materialized_view(self, cli: Cli, database18: Database) -> None:
        large(database18)
        database18.execute("CREATE MATERIALIZED VIEW kept AS TABLE docs")
        database18.execute(
            "CREATE INDEX kept_hnsw ON kept USING hnsw (embedding vector_cosine_ops)"
        )
        database18.execute("ANALYZE kept")
        declare("kept")
        assert explained(cli, database18, "--vector", QUERY)["index"] == "public.kept_hnsw"

    def test_row_security(self, cli: Cli, database18: Database) -> None:
        large(database18)
        role = "searcher"
        url = database18.url.replace("postgres@", f"{role}@")
        database18.execute(
            f"CREATE ROLE {role} LOGIN; GRANT SELECT ON docs TO {role};"
            "ALTER TABLE docs ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY few ON docs USING (rare = 3)"
        )
        try:
            other = Database(database18.connection, url, 18)
            said = explained(cli, other, "--vector", QUERY)
            assert said["way"] == "exact"
            assert "10 of about 3,000 rows fulfil the filter (0.3%)" in said["why"]
            assert "row security hides rows from this role" in said["why"]
            found = keys(cli, other, "--vector", QUERY)
            assert found == nearest(database18, QUERY, where="rare = 3")
        finally:
            database18.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    def test_missing_privilege(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute("CREATE ROLE stranger LOGIN")
        try:
            url = database18.url.replace("postgres@", "stranger@")
            result = cli("search", "-d", url, "--vector", "[0, 1]")
            assert (result.code, result.err) == (
                1,
                "error: collection docs: this role may not read public.docs\n"
                "hint: GRANT SELECT ON public.docs TO it\n",
            )
        finally:
            database18.execute("DROP ROLE stranger")

    def test_strange_names(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute(
            'CREATE SCHEMA "a %s"; ALTER TABLE docs SET SCHEMA "a %s";'
            'ALTER TABLE "a %s".docs RENAME TO "b""%%";'
            'ALTER TABLE "a %s"."b""%%" RENAME embedding TO "c %(d)s"'
        )
        Path("agentdb.toml").write_text(
            "[collections.docs]\ntable = '\"a %s\".\"b\"\"%%\"'\nkey = 'id'\ntext = 'content'\n"
            "embedding = 'c %(d)s'\n"
        )
        assert keys(cli, database18, "--vector", "[0, 1]", "-n", "1") == [1]
        assert keys(cli, database18, "--like", "1", "-n", "1", "--filter", "agent_id=1") == [2]

    def test_pgvector_in_another_schema(self, cli: Cli, database18: Database) -> None:
        small(database18)
        database18.execute("CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions")
        assert keys(cli, database18, "--vector", "[0, 1]", "-n", "1", "-q") == [1]


class TestPgBouncer:
    def test_settings_stay_within_the_transaction(
        self, cli: Cli, database18: Database, pgbouncer: str
    ) -> None:
        large(database18)
        behind = Database(database18.connection, pgbouncer, 18)
        given = ("--vector", QUERY, "--filter", "tenth in 0,1,2,3", "--ef-search", "20")
        said = explained(cli, behind, *given)
        assert said["way"] == "iterative"
        wanted = nearest(database18, QUERY, where="tenth < 4")
        assert recall(keys(cli, behind, *given), wanted) >= 0.7
        # The pool has the one server session that the searches ran in.
        with psycopg.connect(pgbouncer, autocommit=True) as connection:
            left = connection.execute(
                "SELECT current_setting('hnsw.ef_search', true),"
                " current_setting('hnsw.iterative_scan', true), current_setting('enable_sort'),"
                " current_setting('transaction_read_only')"
            ).fetchone()
        assert left == ("40", "off", "on", "off")

    def test_statement_timeout(self, cli: Cli, database18: Database, pgbouncer: str) -> None:
        small(database18)
        database18.execute(
            "CREATE VIEW slow AS SELECT id, content, embedding FROM docs"
            " WHERE pg_sleep(600) IS NOT NULL"
        )
        declare("slow")
        with Path("agentdb.toml").open("a") as file:
            file.write('[connection]\nstatement_timeout = "300ms"\n')
        result = cli("search", "-d", pgbouncer, "--vector", "[0, 1]")
        assert result.err == (
            "error: the server says: canceling statement due to statement timeout (57014)\n"
        )
