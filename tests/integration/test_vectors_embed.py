"""`agentdb vectors embed`: rows without a vector get one, and nobody is disturbed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, Result
from embedding_server import Provider, embeddings, send, serving, status, vector_of
from loading import TABLE, TOML, collection

from agentdb_cli.postgres import advisory
from waiting import eventually

Cli = Callable[..., Result]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


def settings(provider: Provider, **more: object) -> str:
    lines = {"url": f"{provider.url}/v1", "model": "small", "batch_size": 4, "retries": 0, **more}
    return "[embedding]\n" + "".join(f"{key} = {json.dumps(each)}\n" for key, each in lines.items())


@pytest.fixture
def docs(database18: Database, provider: Provider) -> Database:
    """Ten rows; of 3 nobody knows the text, 4 has only blanks, 5 has its embedding."""
    docs = collection(database18, more=settings(provider))
    docs.execute("INSERT INTO docs (id, body) SELECT n, 'text ' || n FROM generate_series(1, 10) n")
    docs.execute("UPDATE docs SET body = NULL WHERE id = 3")
    docs.execute("UPDATE docs SET body = E' \\n ' WHERE id = 4")
    docs.execute("UPDATE docs SET embedding = '[9,9,9]' WHERE id = 5")
    return docs


@pytest.fixture
def embed(cli: Cli, database18: Database) -> Cli:
    return lambda *arguments: cli("vectors", "embed", *arguments, "-d", database18.url)


def embedded(database: Database) -> dict[int, list[float]]:
    rows = database.execute("SELECT id, embedding::real[] FROM docs WHERE embedding IS NOT NULL")
    return dict(sorted(rows))


def test_rows_without_a_vector_get_one(docs: Database, embed: Cli, provider: Provider) -> None:
    done = embed("--yes")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("public.docs: 7 rows embedded in ")
    assert done.out.endswith(", 2 requests\n")
    assert provider.texts == [f"text {n}" for n in (1, 2, 6, 7, 8, 9, 10)]
    found = embedded(docs)
    assert found.pop(5) == [9, 9, 9]
    for number, vector in found.items():
        assert vector == pytest.approx(vector_of(f"text {number}"))
    assert docs.execute("SELECT model FROM agentdb_embedding_models") == [("small",)]
    again = embed("--yes", "--format", "json")
    assert json.loads(again.out) == {
        "collection": "docs", "table": "public.docs", "model": "small",
        "at": f"{provider.url}/v1/embeddings", "rows": 0, "without_text": 2, "characters": 0,
        "tokens": 0, "price": None, "dry_run": False,
    }  # fmt: skip


def test_the_record_for_programs(docs: Database, embed: Cli) -> None:
    found = json.loads(embed("--yes", "--format", "json").out)
    assert found.pop("duration") > 0
    assert found == {
        "collection": "docs", "table": "public.docs", "model": "small", "embedded": 7,
        "changed": 0, "refused": 0, "requests": 2, "last_key": "10", "stopped": None,
    }  # fmt: skip


def test_the_cost_comes_first(docs: Database, embed: Cli, provider: Provider) -> None:
    toml = Path("agentdb.toml")
    toml.write_text(TOML + settings(provider, price_per_million_tokens=2000.0))
    done = embed()
    assert done.code == 2
    assert done.err == (
        "public.docs: 7 rows, 43 characters (about 11 tokens), by small at"
        f" {provider.url}/v1/embeddings; price about 0.022\n"
        "error: nobody can be asked here\nhint: --yes goes on without a question\n"
    )
    found = json.loads(embed("--dry-run", "--format", "json").out)
    assert (found["rows"], found["tokens"], found["price"]) == (7, 11, 0.022)
    assert provider.requests == []
    assert list(embedded(docs)) == [5]


def test_which_rows(docs: Database, embed: Cli, provider: Provider) -> None:
    assert embed("--yes", "--where", "id < 7 -- a comment").code == 0
    assert provider.texts == ["text 1", "text 2", "text 6"]
    assert embed("--yes", "--limit", 2).code == 0
    assert provider.texts[3:] == ["text 7", "text 8"]
    assert embed("--yes", "--again", "--after", 4, "--where", "id <= 6").code == 0
    assert provider.texts[5:] == ["text 5", "text 6"]
    assert embedded(docs)[5] == pytest.approx(vector_of("text 5"))
    done = embed("--yes", "--where", "id <")
    assert done.err.startswith("error: the server cannot read the statement: syntax error at")


def test_a_text_that_changes_meanwhile(docs: Database, embed: Cli, provider: Provider) -> None:
    def change(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        docs.execute("UPDATE docs SET body = 'another' WHERE id = 2")
        docs.execute("DELETE FROM docs WHERE id = 1")
        embeddings()(handler, body)

    provider.answers.append(change)
    assert embed("--yes").code == 0
    assert embedded(docs)[2] == pytest.approx(vector_of("another"))
    assert provider.texts.count("another") == 1


def test_a_locked_row_is_not_waited_for(docs: Database, embed: Cli) -> None:
    with psycopg.connect(docs.url) as other:
        other.execute("SELECT FROM docs WHERE id = 7 FOR UPDATE")
        done = embed("--yes")
        other.rollback()
    assert done.code == 0
    assert done.err == "warning: 1 row was changed or locked meanwhile: run it again for them\n"
    assert 7 not in embedded(docs)
    assert embed("--yes").code == 0
    assert 7 in embedded(docs)


def test_a_text_that_is_refused_is_found_and_left(
    docs: Database, embed: Cli, provider: Provider
) -> None:
    def picky(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        if "text 7" in body["input"]:
            send(handler, 400, {"error": {"message": "text 7 is too long"}})
        else:
            embeddings()(handler, body)

    provider.usual = picky
    done = embed("--yes")
    assert done.code == 1
    assert done.err == (
        "error: 1 row of public.docs cannot be embedded:\n"
        f"  7: {provider.url}/v1/embeddings: HTTP 400 Bad Request: text 7 is too long\n"
    )
    assert sorted(embedded(docs)) == [1, 2, 5, 6, 8, 9, 10]


def test_what_was_embedded_stays_when_the_provider_fails(
    docs: Database, embed: Cli, provider: Provider
) -> None:
    provider.answers += [embeddings()]
    provider.usual = status(500, "down")
    done = embed("--yes")
    assert done.code == 1
    assert "HTTP 500 Internal Server Error: down" in done.err
    assert sorted(embedded(docs)) == [1, 2, 5, 6, 7]
    provider.usual = embeddings()
    assert embed("--yes").out.startswith("public.docs: 3 rows embedded")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (embeddings(4), "has 4 dimensions, and the column 3"),
        (
            status(200, {"data": [{"embedding": [0.0, 0.0, 0.0]}]}),
            "all values are zero: such a vector has no direction, and so no cosine distance",
        ),
        (
            status(200, '{"data": [{"embedding": [1.0, NaN, 0.0]}]}'),
            "value 2 of 3 is NaN",
        ),
    ],
)
def test_a_vector_that_does_not_fit_is_not_written(
    docs: Database, embed: Cli, provider: Provider, answer: Any, said: str
) -> None:
    provider.usual = answer
    done = embed("--yes", "--limit", 1)
    assert done.code == 1
    assert done.err == (
        f"error: a vector of small: {said} (collection docs, public.docs.embedding)\n"
    )
    assert list(embedded(docs)) == [5]


def test_another_model_is_refused(docs: Database, embed: Cli, provider: Provider) -> None:
    assert embed("--yes", "--limit", 1).code == 0
    Path("agentdb.toml").write_text(TOML + settings(provider, model="large"))
    done = embed("--yes")
    assert done.code == 1
    assert done.err.startswith(
        "error: collection docs holds vectors of small (so says the database), and these are of"
        " large\n"
    )
    done = embed("--yes", "--again", "--limit", 1)
    assert done.code == 2
    assert done.err.startswith("error: --again with another model has to embed all rows")
    assert embed("--yes", "--again").code == 0
    assert docs.execute("SELECT model FROM agentdb_embedding_models") == [("large",)]


def test_two_runs_do_not_pay_twice(docs: Database, embed: Cli, provider: Provider) -> None:
    oid = docs.value("SELECT 'docs'::regclass::oid::bigint")
    with psycopg.connect(docs.url, autocommit=True) as other:
        assert advisory.try_lock(other, f"embed {oid}")
        done = embed("--yes")
    assert done.code == 1
    assert done.err.startswith("error: public.docs is being embedded by pid ")
    assert provider.requests == []


def test_behind_a_pooler(docs: Database, cli: Cli, pgbouncer: str) -> None:
    done = cli("vectors", "embed", "--yes", "-d", pgbouncer)
    assert (done.code, done.err) == (0, "")
    assert len(embedded(docs)) == 8


def test_by_a_command_and_a_key_of_text(database18: Database, embed: Cli) -> None:
    program = "import sys, json\nfor line in sys.stdin: print([len(json.loads(line)), 1, 1])"
    Path("program.py").write_text(program)
    more = f"[embedding]\ncommand = [{json.dumps(sys.executable)}, 'program.py']\n"
    docs = collection(database18, TABLE.replace("id bigint", "id uuid"), more)
    docs.execute(
        "INSERT INTO docs (id, body) SELECT gen_random_uuid(), 'x' FROM generate_series(1, 9)"
    )
    assert embed("--yes").code == 0
    assert docs.value("SELECT count(*) FROM docs WHERE embedding = '[1,1,1]'") == 9
    assert docs.value("SELECT to_regclass('agentdb_embedding_models')") is None


@pytest.mark.parametrize("kind", ["halfvec(3)", "sparsevec(3)"])
def test_other_types_of_vectors(
    database18: Database, embed: Cli, provider: Provider, kind: str
) -> None:
    docs = collection(database18, TABLE.replace("vector(3)", kind), settings(provider))
    docs.execute("INSERT INTO docs (id, body) VALUES (1, 'a')")
    assert embed("--yes").code == 0
    assert len(docs.execute("SELECT FROM docs WHERE embedding IS NOT NULL")) == 1


def test_nothing_is_configured(database18: Database, embed: Cli) -> None:
    collection(database18)
    done = embed("--yes")
    assert done.code == 2
    assert done.err.startswith(
        "error: nothing says how texts become vectors\nhint: in agentdb.toml"
    )


def test_the_key_may_stand_in_dotenv(docs: Database, embed: Cli, provider: Provider) -> None:
    Path("agentdb.toml").write_text(TOML + settings(provider, api_key_env="MY_KEY"))
    assert "MY_KEY, which is not set" in embed("--yes").err
    Path(".env").write_text("MY_KEY=sk-dotenv\n")
    done = embed("--yes")
    assert done.code == 0
    assert provider.headers[0]["Authorization"] == "Bearer sk-dotenv"


def test_a_signal_ends_it_behind_the_batch_in_flight(docs: Database, provider: Provider) -> None:
    process: subprocess.Popen[str]

    def signalled(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        process.send_signal(signal.SIGTERM)
        embeddings()(handler, body)

    provider.answers.append(signalled)
    # The server's thread needs the name before its first request comes.
    process = subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", "vectors", "embed", "--yes", "-d", docs.url],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said == (
        "error: stopped by SIGTERM: 4 rows stay embedded\n"
        "hint: run it again to go on; with --again from --after 7 on\n"
    )
    assert sorted(embedded(docs)) == [1, 2, 5, 6, 7]


def test_a_kill_leaves_whole_batches(docs: Database, provider: Provider) -> None:
    arrived: list[object] = []
    provider.answers.append(embeddings())
    provider.usual = lambda handler, body: arrived.append(body)  # and never an answer
    process = subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", "vectors", "embed", "--yes", "-d", docs.url]
    )
    with process:
        eventually(lambda: arrived)
        process.kill()
    assert sorted(embedded(docs)) == [1, 2, 5, 6, 7]
