"""`agentdb vectors index`: what it builds, with which settings, and what a failed build leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result
from sessions import session

from waiting import eventually

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]
WAITING = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for%'"


def fill(database: Database, rows: int = 2000, type: str = "vector(8)", where: str = "") -> None:
    """The table `docs`, whose embeddings differ from row to row."""
    database.execute("CREATE EXTENSION IF NOT EXISTS vector")
    database.execute(f"CREATE TABLE docs (id int PRIMARY KEY, body text, embedding {type}) {where}")
    add(database, rows, type)


def add(database: Database, rows: int, type: str = "vector(8)") -> None:
    dimensions = int(type.partition("(")[2].rstrip(")") or 8)
    database.execute(
        "INSERT INTO docs SELECT i, 'text', (SELECT array_agg(sin(i * j + j * j))"
        f" FROM generate_series(1, {dimensions}) AS j)::vector::{type.partition('(')[0]}"
        f" FROM generate_series(1, {rows}) AS i"
    )
    database.execute("VACUUM ANALYZE docs")


def toml(text: str = "") -> None:
    """Declare the collection `docs`."""
    declared = '[collections.docs]\ntable = "docs"\nkey = "id"\nembedding = "embedding"\n'
    Path("agentdb.toml").write_text(f'{declared}text = "body"\n{text}')


def index(cli: Cli, database: Database, command: str, *arguments: object) -> Result:
    return cli("vectors", "index", command, "-d", database.url, *arguments)


def definitions(database: Database) -> dict[str, str]:
    """The vector indexes of all tables: name and definition from USING on."""
    rows = database.execute(
        "SELECT indexname, substring(indexdef FROM 'USING (.*)') FROM pg_indexes"
        " WHERE indexdef ~ 'USING (hnsw|ivfflat)'"
    )
    return dict(rows)


def invalid(database: Database) -> list[str]:
    rows = database.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
    )
    return [name for (name,) in rows]


def plan(cli: Cli, database: Database, command: str, *arguments: object) -> dict:
    result = index(cli, database, command, "--dry-run", "-f", "json", *arguments)
    assert result.code == 0, result.err
    return json.loads(result.out)


@contextmanager
def snapshot(database: Database) -> Iterator[psycopg.Connection]:
    """A session with an old snapshot, which a build waits for at its end."""
    isolation = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    with session(database, isolation, "SELECT count(*) FROM pg_catalog.pg_am") as other:
        yield other


# --- What it builds ----------------------------------------------------------


def test_create(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    done = index(cli, database18, "create")
    assert (done.code, done.out.splitlines()[:3]) == (
        0,
        ["index            public.docs_embedding_hnsw_idx", "state            created",
         "method           hnsw"],
    )  # fmt: skip
    assert definitions(database18) == {
        "docs_embedding_hnsw_idx": "hnsw (embedding vector_cosine_ops)"
        " WITH (m='24', ef_construction='128')"
    }
    assert invalid(database18) == []

    again = index(cli, database18, "create")
    assert (again.code, again.err) == (
        1,
        "error: public.docs_embedding_hnsw_idx is such an index already"
        " (hnsw, m = 24, ef_construction = 128)\n"
        "hint: agentdb vectors index rebuild builds it anew, with other parameters if given\n",
    )


@pytest.mark.parametrize(
    ("type", "distance", "options", "made"),
    [
        ("vector(8)", "l2", [], "hnsw (embedding vector_l2_ops)"),
        ("vector(8)", "inner_product", ["--half"],
         "hnsw (((embedding)::halfvec(8)) halfvec_ip_ops)"),
        ("vector(8)", "cosine", ["--binary"],
         "hnsw (((binary_quantize(embedding))::bit(8)) bit_hamming_ops)"),
        ("vector(2001)", "cosine", [], "hnsw (((embedding)::halfvec(2001)) halfvec_cosine_ops)"),
        ("halfvec(8)", "l1", [], "hnsw (embedding halfvec_l1_ops)"),
        ("vector(8)", "cosine", ["--method", "ivfflat"], "ivfflat (embedding vector_cosine_ops)"),
        ("vector(8)", "cosine", ["--m", "30"], "hnsw (embedding vector_cosine_ops)"),
    ],
)  # fmt: skip
def test_form_and_class_follow_type_and_distance(
    database18: Database, cli: Cli, type: str, distance: str, options: list[str], made: str
) -> None:
    fill(database18, 100, type)
    toml(f'distance = "{distance}"\n')
    done = index(cli, database18, "create", *options)
    assert done.code == 0, done.err
    (definition,) = definitions(database18).values()
    assert definition.startswith(f"{made} WITH (")
    if "--m" in options:
        assert definition.endswith("(m='30', ef_construction='128')")
    if "ivfflat" in options:
        assert definition.endswith("(lists='1')")


@pytest.mark.parametrize(
    ("type", "options", "code", "error"),
    [
        ("vector(4001)", [], 1,
         "a vector of 4,001 dimensions cannot be indexed: 2,000 are the most"),
        ("vector(4001)", ["--half"], 1,
         "a halfvec of 4,001 dimensions cannot be indexed: 4,000 are the most"),
        ("vector(8)", ["--half", "--binary"], 2, "either --half or --binary"),
        ("vector(8)", ["--m", "1"], 2, "--m is from 2 to 100, not 1"),
        ("vector(8)", ["--m", "40", "--ef-construction", "50"], 2,
         "--ef-construction 50 is less than twice --m 40"),
        ("vector(8)", ["--method", "hnsw", "--lists", "5"], 2,
         "--lists is a parameter of ivfflat, not of hnsw"),
        ("vector(8)", ["--memory", "much"], 2,
         '--memory must be a size such as "64MB" (units: B, kB, MB, GB, TB)'),
        ("vector(8)", ["--wait", "long"], 2,
         '--wait must be a duration such as "5s", "250ms" or 0 (units: us, ms, s, min, h, d)'),
        ("halfvec(8)", ["--half"], 1,
         "a half index is one of vector: public.docs.embedding is halfvec"),
        ("vector", [], 1,
         "public.docs.embedding is vector without dimensions, which no index takes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    database18: Database, cli: Cli, type: str, options: list[str], code: int, error: str
) -> None:
    fill(database18, 10, type)
    toml()
    done = index(cli, database18, "create", *options)
    assert (done.code, done.err.splitlines()[0]) == (code, f"error: {error}")
    assert definitions(database18) == {}


def test_ivfflat_wants_rows(database18: Database, cli: Cli) -> None:
    fill(database18, 500)
    toml()
    done = index(cli, database18, "create", "--lists", "100")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: public.docs has 500 rows with an embedding, too few for IVFFlat with 100 lists:"
        " they are the clusters of the rows that are there when it is built, and rows that come"
        " later find none that suits them",
    )
    done = index(cli, database18, "create", "--lists", "100", "--force")
    assert done.code == 0
    assert done.err.splitlines()[0] == (
        "warning: lists = 100 do not suit 500 rows: pgvector's documentation says 1"
    )


def test_dry_run_shows_sql_and_estimates(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    shown = plan(cli, database18, "create", "--memory", "100MB", "--workers", "3")
    assert shown["statements"] == [
        "SET maintenance_work_mem = '102400kB'",
        "SET max_parallel_maintenance_workers = 3",
        "SET max_parallel_workers = 8",
        "SET min_parallel_table_scan_size = 0",
        'CREATE INDEX CONCURRENTLY "docs_embedding_hnsw_idx" ON "public"."docs" USING hnsw'
        ' ("embedding" "public".vector_cosine_ops) WITH (m = 24, ef_construction = 128)',
    ]
    assert (shown["rows"], shown["memory"], shown["workers"]) == (2000, 104857600, 3)
    assert definitions(database18) == {}


@pytest.mark.parametrize("options", [[], ["--half"], ["--binary"], ["--method", "ivfflat"]])
@pytest.mark.parametrize("dimensions", [64, 1500])
def test_the_disk_is_estimated_within_a_quarter(
    database18: Database, cli: Cli, dimensions: int, options: list[str]
) -> None:
    fill(database18, 600, f"vector({dimensions})")
    toml()
    expected = plan(cli, database18, "create", *options)["disk"]
    done = index(cli, database18, "create", "-f", "json", *options)
    assert done.code == 0
    actual = json.loads(done.out)["bytes"]
    assert expected == pytest.approx(actual, rel=0.25, abs=5 * 8192)


def test_no_disk_no_build(database18: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database18)
    toml()
    monkeypatch.setattr("agentdb_cli.postgres.disk.free", lambda *_: 1024)
    done = index(cli, database18, "create")
    assert (done.code, done.err.splitlines()[0]) == (
        1,
        "error: the disk has not enough room for the index: about 842kB are needed, 1kB are free",
    )


# --- Partitions --------------------------------------------------------------


def partitioned(database: Database) -> None:
    database.execute("CREATE EXTENSION vector")
    database.execute(
        "CREATE TABLE docs (id int PRIMARY KEY, body text, embedding vector(8))"
        " PARTITION BY RANGE (id)"
    )
    database.execute("CREATE TABLE docs_a PARTITION OF docs FOR VALUES FROM (0) TO (500)")
    database.execute(
        "CREATE TABLE docs_b PARTITION OF docs FOR VALUES FROM (500) TO (1000)"
        " PARTITION BY RANGE (id)"
    )
    database.execute("CREATE TABLE docs_b1 PARTITION OF docs_b FOR VALUES FROM (500) TO (1000)")
    add(database, 900)


def test_partitions(database18: Database, cli: Cli) -> None:
    partitioned(database18)
    toml()
    done = index(cli, database18, "create")
    assert done.code == 0, done.err
    assert invalid(database18) == []
    parts = database18.execute(
        "SELECT relid::text, isleaf FROM pg_partition_tree('docs_embedding_hnsw_idx') ORDER BY 1"
    )
    assert parts == [
        ("docs_a_embedding_hnsw_idx", True),
        ("docs_b1_embedding_hnsw_idx", True),
        ("docs_b_embedding_hnsw_idx", False),
        ("docs_embedding_hnsw_idx", False),
    ]
    for options in ([], ["--m", "8"]):
        done = index(cli, database18, "rebuild", "--yes", *options)
        assert done.code == 0, done.err
        assert invalid(database18) == []
    assert len(definitions(database18)) == 4
    assert all("m='8'" in made for made in definitions(database18).values())
    done = index(cli, database18, "drop", "--yes")
    assert (done.code, definitions(database18)) == (0, {})


def test_a_failed_build_of_partitions_leaves_nothing(database18: Database, cli: Cli) -> None:
    partitioned(database18)
    toml()
    with snapshot(database18):
        done = index(cli, database18, "create", "--wait", "200ms")
    assert done.code == 1
    assert done.err.splitlines()[-2].startswith(
        "error: docs_a_embedding_hnsw_idx: waited in vain for the older transaction of pid "
    )
    assert definitions(database18) == {}


# --- Rebuild and drop --------------------------------------------------------


def test_rebuild_as_it_is_and_otherwise(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    database18.execute("CREATE INDEX mine ON docs USING hnsw (embedding vector_cosine_ops)")
    before = database18.value("SELECT 'mine'::regclass::oid")
    assert plan(cli, database18, "rebuild")["statements"][-1] == (
        'REINDEX INDEX CONCURRENTLY "public"."mine"'
    )
    done = index(cli, database18, "rebuild", "--yes")
    assert (done.code, json.dumps(definitions(database18))) == (
        0, '{"mine": "hnsw (embedding vector_cosine_ops)"}',
    )  # fmt: skip
    assert database18.value("SELECT 'mine'::regclass::oid") != before

    statements = plan(cli, database18, "rebuild", "--half")["statements"][-3:]
    assert [statement.partition(" ON ")[0] for statement in statements] == [
        'CREATE INDEX CONCURRENTLY "mine_new"',
        'DROP INDEX CONCURRENTLY "public"."mine"',
        'ALTER INDEX "public"."mine_new" RENAME TO "mine"',
    ]
    done = index(cli, database18, "rebuild", "--half", "--yes")
    assert done.code == 0, done.err
    assert definitions(database18) == {
        "mine": "hnsw (((embedding)::halfvec(8)) halfvec_cosine_ops)"
        " WITH (m='16', ef_construction='64')"
    }


@pytest.mark.parametrize("command", ["rebuild", "drop"])
def test_it_asks(database18: Database, cli: Cli, command: str) -> None:
    fill(database18, 10)
    toml()
    nothing = index(cli, database18, command)
    assert nothing.err == (
        "error: public.docs.embedding has no vector index\n"
        "hint: agentdb vectors index create makes one\n"
    )
    database18.execute("CREATE INDEX mine ON docs USING hnsw (embedding vector_cosine_ops)")
    done = index(cli, database18, command)
    assert done.code == 2
    assert done.err.endswith(
        "error: nobody can be asked here\nhint: --yes goes on without a question\n"
    )
    other = index(cli, database18, command, "mein", "--yes")
    assert (other.code, other.err) == (
        2,
        "error: public.docs.embedding has no vector index 'mein'; did you mean 'mine'?\n"
        "hint: its vector indexes: mine\n",
    )
    assert list(definitions(database18)) == ["mine"]


def test_drop(database18: Database, cli: Cli) -> None:
    fill(database18, 10)
    toml()
    for name in ("one", "two"):
        database18.execute(f"CREATE INDEX {name} ON docs USING hnsw (embedding vector_cosine_ops)")
    done = index(cli, database18, "drop", "--yes")
    assert (done.code, done.err) == (
        2, "error: which index? public.docs has one, two\nhint: name it: one\n",
    )  # fmt: skip
    done = index(cli, database18, "drop", "one", "--yes")
    assert (done.code, done.err) == (0, "")
    done = index(cli, database18, "drop", "--yes")
    assert (done.code, done.err) == (
        0, "warning: without it every search reads all of public.docs\n",
    )  # fmt: skip
    assert definitions(database18) == {}


# --- What fails --------------------------------------------------------------


def test_an_older_transaction_is_named_and_nothing_is_left(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    with snapshot(database18):
        done = index(cli, database18, "create", "--wait", "200ms")
    assert done.code == 1
    assert "docs_embedding_hnsw_idx: waited in vain for the older transaction of pid " in done.err
    assert "(app, idle in transaction for 0:00:0" in done.err
    assert "; the unfinished index public.docs_embedding_hnsw_idx was dropped\n" in done.err
    assert done.err.endswith("hint: run again when they have ended; --wait sets how long to wait\n")
    assert definitions(database18) == {}


def test_what_cannot_be_dropped_is_named(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    with session(database18, "INSERT INTO docs VALUES (-1, 'open')"):
        done = index(cli, database18, "create", "--wait", "200ms", "--lock-timeout", "200ms")
    assert done.code == 1
    assert done.err.splitlines()[-2].endswith(
        "; the unfinished index public.docs_embedding_hnsw_idx is left and could not be dropped"
        " (canceling statement due to lock timeout): agentdb vectors index create drops it first"
    )
    assert invalid(database18) == ["docs_embedding_hnsw_idx"]
    done = index(cli, database18, "create")
    assert (done.code, invalid(database18)) == (0, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(database18: Database, number: signal.Signals) -> None:
    fill(database18)
    toml()
    command = [*AGENTDB, "vectors", "index", "create", "-d", database18.url]
    with snapshot(database18) as other:
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        eventually(lambda: database18.execute(WAITING))
        assert invalid(database18) == ["docs_embedding_hnsw_idx"]
        running.send_signal(number)
        eventually(lambda: not database18.execute(WAITING))
        other.rollback()
        _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the unfinished index public.docs_embedding_hnsw_idx was dropped" in err
    assert err.endswith("error: interrupted\n")
    assert definitions(database18) == {}


def test_leftovers_are_dropped_first(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    with snapshot(database18), psycopg.connect(database18.url, autocommit=True) as other:
        other.execute("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(
                "CREATE INDEX CONCURRENTLY left_over ON docs"
                " USING hnsw (embedding vector_cosine_ops)"
            )
    assert invalid(database18) == ["left_over"]
    done = index(cli, database18, "create")
    assert (done.code, done.err.splitlines()[0]) == (
        0, "public.left_over is invalid, left by a build that failed: dropped first",
    )  # fmt: skip
    assert list(definitions(database18)) == ["docs_embedding_hnsw_idx"]


def test_a_busy_table_is_waited_for_and_named(database18: Database, cli: Cli) -> None:
    fill(database18)
    toml()
    with psycopg.connect(database18.url, application_name="ddl") as other:
        other.execute("LOCK TABLE docs IN SHARE UPDATE EXCLUSIVE MODE")
        done = index(cli, database18, "create", "--lock-timeout", "300ms")
        assert done.code == 1
        assert done.err.splitlines()[1].startswith(
            "error: docs_embedding_hnsw_idx: its table is locked by pid "
        )
    assert definitions(database18) == {}


def test_a_pooler_is_refused(database18: Database, cli: Cli, pgbouncer: str) -> None:
    fill(database18, 10)
    toml()
    done = cli("vectors", "index", "create", "-d", pgbouncer)
    assert (done.code, done.err) == (
        1,
        "error: a pooler in between gives each statement another session, and a build needs one"
        " of its own: its memory and its lock_timeout are set there\n"
        "hint: connect to the server directly\n",
    )


def test_without_pgvector(database15: Database, cli: Cli) -> None:
    database15.execute("CREATE TABLE docs (id int PRIMARY KEY, body text, embedding bit(8))")
    toml('distance = "hamming"\n')
    for arguments in (["index", "create"], ["recall"], ["tune"]):
        done = cli("vectors", *arguments, "-d", database15.url)
        assert (done.code, done.err) == (
            1,
            "error: pgvector is not in this database\nhint: agentdb extensions enable vector\n",
        )


def test_another_role_is_refused(database18: Database, cli: Cli) -> None:
    fill(database18, 10)
    toml()
    role = f"reader_{database18.connection.info.dbname}"
    database18.execute(f"CREATE ROLE {role} LOGIN; GRANT SELECT ON docs TO {role}")
    try:
        url = database18.url.replace("postgres@", f"{role}@")
        done = cli("vectors", "index", "create", "-d", url)
    finally:
        database18.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert (done.code, done.err) == (
        1,
        "error: public.docs belongs to another role, and only its owner builds indexes on it\n"
        "hint: connect as the owner\n",
    )
