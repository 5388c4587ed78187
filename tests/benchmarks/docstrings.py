"""Hybrid search on real texts and real embeddings: the documentation of Python's own library.

A text is what a docstring of the standard library says behind its summary; the question is the
summary, and its own text alone answers it. Nobody has chosen either to suit a search. The vectors
are all-MiniLM-L6-v2's, on this machine.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from statistics import mean, stdev

import numpy as np
import psycopg
from harness import Place, Row, tell
from servers import Server
from vector_data import Data

from agentdb_cli.packs import Collection
from agentdb_cli.vectors.collections import Located, locate
from agentdb_cli.vectors.embedding import embedder
from agentdb_cli.vectors.search import Request, search
from agentdb_cli.vectors.search.hybrid import Hybrid
from agentdb_cli.vectors.values import encoder

sys.path.insert(0, str(Path(__file__).parent.parent))
import labelled

_MODULES = """
    argparse array ast asyncio base64 bisect calendar collections configparser contextlib copy csv
    dataclasses datetime decimal difflib dis doctest email enum fileinput fnmatch fractions ftplib
    functools getpass gettext glob gzip hashlib heapq hmac html http.client http.server imaplib
    inspect io ipaddress itertools json logging lzma mailbox math mimetypes multiprocessing netrc
    numbers operator os pathlib pickle platform plistlib poplib pprint queue random re sched
    secrets selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl statistics
    string struct subprocess sysconfig tarfile tempfile textwrap threading time timeit tokenize
    traceback types typing unittest urllib.parse urllib.request uuid venv warnings wave weakref
    webbrowser xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipfile zoneinfo
""".split()  # noqa: SIM905  (a line a name would hide the rest)
_SUMMARY, _TEXT = (25, 160), (120, 900)
"""Characters: a question that asks something, and a text that the model reads to its end."""
_SENTENCE, _END = (30, 200), re.compile(r"(?<=[.!?])\s+")
_DIMENSIONS, _AT_ONCE = 384, 4096


@dataclass(frozen=True, slots=True)
class Docstrings:
    """nDCG@10 of both halves and of both together."""

    server: Server
    rounds: int = 10_000

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Load all texts, and ask for each of them (or as many as there are rounds)."""
        pairs = sorted(set(_pairs()))
        Random(3).shuffle(pairs)
        model = embedder({"model": "all-MiniLM-L6-v2"})
        tell(f"hybrid-docstrings: embedding {len(pairs)} texts")
        vectors = model.embed([text for _, text in pairs])
        asked = [summary for summary, _ in pairs[:rounds]]
        questions = model.embed(asked, query=True)
        self.server.recreate("docstrings")
        found: dict[str, list[float]] = {name: [] for name in ("text", "vector", "both", "rrf")}
        with self.server.connect("docstrings") as connection:
            connection.prepare_threshold = None
            located = _load(connection, [text for _, text in pairs], vectors)
            for key, (words, vector) in enumerate(zip(asked, questions, strict=True)):
                for name, keys in _ways(connection, located, words, vector):
                    found[name].append(_gain(keys, key))
        means = {name: mean(values) for name, values in found.items()}
        ahead = [b - v for b, v in zip(found["both"], found["vector"], strict=True)]
        margin = 1.96 * stdev(ahead) / math.sqrt(len(ahead))
        better = means["both"] > max(means["vector"], means["text"])
        figures = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        remark = (
            f"nDCG@10 of {len(asked)} questions to {len(pairs)} docstrings: {figures}; both ahead"
            f" of vector by {mean(ahead):.3f} ± {margin:.3f}"
        )
        return [Row("hybrid-docstrings", verdict="yes" if better else "no", remark=remark)]


def _pairs() -> Iterator[tuple[str, str]]:
    """Summaries and what stands behind them, of functions, classes and methods."""
    for name in _MODULES:
        for key, value in vars(importlib.import_module(name)).items():
            if key.startswith("_") or not callable(value):
                continue
            members = vars(value) if inspect.isclass(value) else {}
            methods = [m for k, m in members.items() if not k.startswith("_") and callable(m)]
            for each in (value, *methods):
                summary, _, text = (inspect.getdoc(each) or "").partition("\n\n")
                summary, text = " ".join(summary.split()), " ".join(text.split())[: _TEXT[1]]
                if _SUMMARY[0] <= len(summary) <= _SUMMARY[1] and len(text) >= _TEXT[0]:
                    yield summary, text


@dataclass(frozen=True, slots=True)
class Sentences(Data):
    """Real texts as `vector_data` has made ones; the last of `embedded` are no rows but queries."""

    embedded: np.ndarray = field(kw_only=True, compare=False)

    @property
    def name(self) -> str:
        """For a report."""
        return "sentences"

    def vectors(self) -> np.ndarray:
        """All rows' vectors, of length 1, float32."""
        return self.embedded[: self.rows]

    def queries(self, count: int) -> np.ndarray:
        """Sentences that are no row's."""
        return self.embedded[self.rows :][:count]


def sentences(most: int, queries: int) -> Sentences:
    """Sentences out of the docstrings of all packages here, embedded on this machine.

    The embeddings are kept in the directory for temporary files.

    Args:
        most: of the rows; the packages of an environment with all extras have about as many.
        queries: how many sentences are none of them.
    """
    texts = sorted(set(_sentences()))
    Random(3).shuffle(texts)
    texts = texts[: most + queries]
    rows = len(texts) - queries
    known = sha256("\n".join(texts).encode()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"agentdb-sentences-{known}.npy"
    if not kept.exists():
        np.save(kept, _embedded(texts))
    return Sentences("sentences", rows, _DIMENSIONS, clusters=0, embedded=np.load(kept))


def _embedded(texts: Sequence[str]) -> np.ndarray:
    model = embedder({"model": "all-MiniLM-L6-v2"})
    embedded = np.empty((len(texts), _DIMENSIONS), "f4")
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    for start in range(0, len(order), _AT_ONCE):
        tell(f"sentences: {start} of {len(order)} embedded")
        places = order[start : start + _AT_ONCE]
        embedded[places] = model.embed([texts[place] for place in places])
    return embedded


def _sentences() -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")}:
        for file in sorted(Path(path).rglob("*.py")):
            try:
                tree = ast.parse(file.read_bytes())
            except (SyntaxError, ValueError):
                continue
            for node in ast.walk(tree):
                text = (isinstance(node, kinds) and ast.get_docstring(node)) or ""
                for paragraph in text.split("\n\n"):
                    for sentence in _END.split(" ".join(paragraph.split())):
                        if _SENTENCE[0] <= len(sentence) <= _SENTENCE[1]:
                            yield sentence


def _load(
    connection: psycopg.Connection, texts: Sequence[str], vectors: Sequence[Sequence[float]]
) -> Located:
    connection.execute(
        "CREATE EXTENSION vector; CREATE TABLE docs (id int PRIMARY KEY, content text, embedding"
        f" vector({len(vectors[0])}), tsv tsvector GENERATED ALWAYS AS"
        " (to_tsvector('english', content)) STORED)"
    )
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY docs (id, content, embedding) FROM STDIN") as copy,
    ):
        for key, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            copy.write_row((key, text, str(list(vector))))
    connection.execute("CREATE INDEX ON docs USING gin (tsv)")
    connection.execute("CREATE INDEX ON docs USING hnsw (embedding vector_cosine_ops)")
    connection.execute("ANALYZE docs")
    collection = Collection("docs", "docs", "id", "embedding", "content", "cosine", tsvector="tsv")
    return locate(connection, collection)


def _ways(
    connection: psycopg.Connection, located: Located, words: str, vector: Sequence[float]
) -> Iterator[tuple[str, list[int]]]:
    """The ten keys that each way finds, the best first."""
    alone = labelled.WORDS_ALONE.format(table="docs").replace(
        "to_tsvector('english', content)", "tsv"
    )
    yield "text", [row[0] for row in connection.execute(alone, (words,)).fetchall()]
    query = encoder("vector")(vector)
    requests = {
        "vector": Request(query),
        "both": Request(query, hybrid=Hybrid(words)),
        "rrf": Request(query, hybrid=Hybrid(words, rrf=True)),
    }
    for name, request in requests.items():
        yield name, [int(str(hit.key)) for hit in search(connection, located, request).hits]


def _gain(keys: Sequence[int], key: int) -> float:
    """nDCG@10 where one text alone is right."""
    return 1 / math.log2(keys.index(key) + 2) if key in keys[:10] else 0.0
