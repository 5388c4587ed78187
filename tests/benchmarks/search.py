"""`agentdb search` against SQL written by hand, and against pgvector's iterative scan.

Statements are timed, on one connection and in turn, not processes: a process takes a hundred times
as long as a search. Each entry's remark tells the recall.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import mean, median

import docstrings
import numpy as np
import psycopg
import vector_data
from harness import Place, Row, tell
from servers import Server
from vector_data import HNSW, OURS, Data

from agentdb_cli.packs import Collection
from agentdb_cli.vectors import nearest
from agentdb_cli.vectors.collections import Located, locate
from agentdb_cli.vectors.filters import parse
from agentdb_cli.vectors.search import Found, Request, search
from agentdb_cli.vectors.search.hybrid import Hybrid
from agentdb_cli.vectors.values import encoder

sys.path.insert(0, str(Path(__file__).parent.parent))
import labelled

_QUERIES = 100
_LIMIT = 10
_RECALL = 0.98
_HAND, _ITERATIVE = 1.05, 1.0
"""What ours may take by the peer's: SQL by hand of the same recall, and the iterative scan."""


@dataclass(frozen=True, slots=True)
class Search:
    """All filters on both sets of vectors."""

    server: Server
    rounds: int = _QUERIES

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Load each set, build its index, and race on it."""
        rows: list[Row] = []
        self.server.recreate("search")
        with self.server.connect("search") as connection:
            connection.prepare_threshold = None
            for data in (vector_data.SMALL, vector_data.WIDE):
                rows += _duels(connection, data, rounds)
        return rows


@dataclass(frozen=True, slots=True)
class Real:
    """The same on real texts and real embeddings: sentences of Python's documentation."""

    server: Server
    rounds: int = _QUERIES

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Embed the sentences, which takes a quarter of an hour, and race on them."""
        data = docstrings.sentences(most=100_000, queries=rounds)
        self.server.recreate("search")
        with self.server.connect("search") as connection:
            connection.prepare_threshold = None
            return _duels(connection, data, rounds)


def _duels(connection: psycopg.Connection, data: Data, rounds: int) -> list[Row]:
    """Load a set of vectors, and race in both graphs, without a filter and with each."""
    tell(f"search: loading {data.table}")
    vector_data.fill(connection, data)
    rows: list[Row] = []
    for graph, definition in (("", OURS), (" in pgvector's graph", HNSW)):
        tell(f"search: indexing {data.table}")
        vector_data.index(connection, data, definition)
        for column in (None, *vector_data.FILTERS):
            tell(f"search: {data.table}, {column or 'all'}{graph}")
            rows += _Duel(connection, data, column, graph).rows(rounds)
    return rows


@dataclass(frozen=True, slots=True)
class _Duel:
    """One filter on one set, in one graph."""

    connection: psycopg.Connection
    data: Data
    column: str | None
    graph: str

    def rows(self, rounds: int) -> list[Row]:
        vectors = self.data.queries(rounds)
        exact = _exact(self.connection, self.data, self.column, vectors)
        located, encode = _located(self.connection, self.data.table), encoder("vector")
        filters = (parse(f"{self.column}=0"),) if self.column else ()
        request = Request(encode(vectors[0].tolist()), limit=_LIMIT, filters=filters)
        found = search(self.connection, located, request)
        contenders = self._contenders(found)
        seconds: dict[str, list[float]] = {name: [] for name in ("command", *contenders)}
        recalls: dict[str, list[float]] = {name: [] for name in contenders}
        fewest = _LIMIT
        for number, vector in enumerate(vectors):
            # What the first of them finds in no cache is found there by all others.
            request = Request(encode(vector.tolist()), limit=_LIMIT, filters=filters)
            search(self.connection, located, request)
            # In every order: what follows a scan of a tenth of a second finds a cold cache.
            orders = list(permutations(contenders))
            for name in orders[number % len(orders)]:
                taken, keys = contenders[name](vector)
                seconds[name].append(taken)
                recalls[name].append(len(keys & exact[number]) / _LIMIT)
                if name == "agentdb":
                    fewest = min(fewest, len(keys))
            started = time.perf_counter()
            search(self.connection, located, request)
            seconds["command"].append(time.perf_counter() - started)
        return self._report(found, seconds, recalls, fewest)

    def _contenders(self, found: Found) -> Mapping[str, Callable[[np.ndarray], tuple[float, set]]]:
        table, encode = self.data.table, encoder("vector")
        where = f" WHERE {self.column} = 0" if self.column else ""
        text = (
            f"SELECT id, content, embedding <=> %(query)s::vector AS distance FROM {table}{where}"
            f" ORDER BY embedding <=> %(query)s::vector LIMIT {_LIMIT}"
        )
        by_hand = dict(found.choice.settings) or {"enable_indexscan": "off"}
        iterative = {"hnsw.iterative_scan": "relaxed_order", "enable_sort": "off"}
        ours, parameters = found.statement.text, found.statement.parameters
        return {
            "agentdb": lambda vector: self._run(
                ours, parameters, encode(vector.tolist()), found.choice.settings
            ),
            "by hand": lambda vector: self._run(text, {}, vector_data.text(vector), by_hand),
            "iterative scan": lambda v: self._run(text, {}, vector_data.text(v), iterative),
        }

    def _run(
        self,
        text: str,
        parameters: Mapping[str, object],
        query: bytes | str,
        settings: Mapping[str, str],
    ) -> tuple[float, set]:
        with nearest.transaction(self.connection, settings):
            started = time.perf_counter()
            rows = nearest.execute(self.connection, text, parameters, {"query": query}).fetchall()
            return time.perf_counter() - started, {row[0] for row in rows}

    def _report(
        self,
        found: Found,
        seconds: Mapping[str, Sequence[float]],
        recalls: Mapping[str, Sequence[float]],
        fewest: int,
    ) -> list[Row]:
        name = f"search {self.data.name} {self.column or 'all'}{self.graph}"
        ours = tuple(seconds["agentdb"])
        rows = []
        # Without a filter there is nothing to scan on for.
        bars = {"by hand": _HAND, "iterative scan": _ITERATIVE if self.column else None}
        for peer, bar in bars.items():
            theirs = tuple(seconds[peer])
            verdict = "-"
            if bar is not None:
                verdict = "within" if median(ours) <= bar * median(theirs) else "over"
            rows.append(Row(name, ours, peer, theirs, bar, verdict))
        recall = mean(recalls["agentdb"])
        peers = ", ".join(f"{peer} {mean(recalls[peer]):.3f}" for peer in bars)
        remark = (
            f"{found.choice.way}, recall@{_LIMIT} {recall:.3f} ({peers}), at least {fewest} rows;"
            f" with its estimate {median(seconds['command']) * 1000:.2f} ms"
        )
        good = recall >= _RECALL and fewest == _LIMIT
        return [*rows, Row(name, verdict="yes" if good else "no", remark=remark)]


def _located(connection: psycopg.Connection, table: str) -> Located:
    return locate(connection, Collection(table, table, "id", "embedding", "content", "cosine"))


def _exact(
    connection: psycopg.Connection, data: Data, column: str | None, queries: np.ndarray
) -> list[set[int]]:
    """The keys of the nearest rows, computed without the server."""
    vectors, places = data.vectors(), np.arange(data.rows)
    if column is not None:
        kept = connection.execute(f"SELECT id FROM {data.table} WHERE {column} = 0").fetchall()
        places = np.array([row[0] for row in kept])
    near = vectors[places] @ queries.T
    best = np.argpartition(-near, _LIMIT, axis=0)[:_LIMIT]
    return [set(places[best[:, number]].tolist()) for number in range(len(queries))]


@dataclass(frozen=True, slots=True)
class Both:
    """Hybrid search: how good it is by both of its halves, and what one statement saves."""

    server: Server
    rounds: int = _QUERIES

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Make the labelled set, and ask its questions."""
        self.server.recreate("hybrid")
        corpus, asked = labelled.texts(10_000), labelled.questions(rounds)
        with self.server.connect("hybrid") as connection:
            connection.prepare_threshold = None
            located = _labelled(connection, corpus)
            figures: dict[str, list[float]] = {}
            seconds: dict[str, list[float]] = {}
            for question in asked:
                vector = encoder("vector")(question.vector)
                words = labelled.WORDS_ALONE.format(table="texts")
                words = words.replace("to_tsvector('english', content)", "tsv")
                started = time.perf_counter()
                rows = connection.execute(words, (question.words,)).fetchall()
                seconds.setdefault("text", []).append(time.perf_counter() - started)
                gained = labelled.ndcg(question, [row[0] for row in rows], corpus)
                figures.setdefault("text", []).append(gained)
                ways = {
                    "vector": Request(vector),
                    "both": Request(vector, hybrid=Hybrid(question.words)),
                    "rrf": Request(vector, hybrid=Hybrid(question.words, rrf=True)),
                }
                for name, request in ways.items():
                    started = time.perf_counter()
                    found = search(connection, located, request)
                    seconds.setdefault(name, []).append(time.perf_counter() - started)
                    places = [int(str(hit.key)) for hit in found.hits]
                    gained = labelled.ndcg(question, places, corpus)
                    figures.setdefault(name, []).append(gained)
        means = labelled.means(figures)
        halves = [a + b for a, b in zip(seconds["vector"], seconds["text"], strict=True)]
        better = means["both"] > max(means["vector"], means["text"])
        remark = "nDCG@10: " + ", ".join(f"{name} {each:.3f}" for name, each in means.items())
        return [
            Row("hybrid", tuple(seconds["both"]), "halves, one by one", tuple(halves)),
            Row("hybrid", verdict="yes" if better else "no", remark=remark),
        ]


def _labelled(connection: psycopg.Connection, corpus: Sequence[labelled.Text]) -> Located:
    connection.execute(
        "CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE texts (id int PRIMARY KEY, content"
        f" text, embedding vector({labelled.DIMENSIONS}), tsv tsvector GENERATED ALWAYS AS"
        " (to_tsvector('english', content)) STORED)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY texts (id, content, embedding) FROM STDIN") as copy,
    ):
        for place, text in enumerate(corpus):
            copy.write_row((place, text.words, str(list(text.vector))))
    connection.execute("CREATE INDEX ON texts USING gin (tsv)")
    connection.execute("CREATE INDEX ON texts USING hnsw (embedding vector_cosine_ops)")
    connection.execute("ANALYZE texts")
    collection = Collection(
        "texts", "texts", "id", "embedding", "content", "cosine", tsvector="tsv"
    )
    return locate(connection, collection)
