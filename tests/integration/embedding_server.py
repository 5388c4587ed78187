"""An endpoint of OpenAI's protocol on this machine: it answers as told, and keeps requests."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


def vector_of(text: str, dimensions: int = 3) -> list[float]:
    """A vector that a text determines; never all zeros."""
    digest = hashlib.sha256(text.encode()).digest()
    return [(digest[n % 32] + 1) / 256 for n in range(dimensions)]


def send(handler: BaseHTTPRequestHandler, status: int, body: object, **headers: str) -> None:
    """An answer: text as it is, anything else as JSON."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def embeddings(dimensions: int = 3) -> Answer:
    """The right answer, in the wrong order: `index` says which is whose."""

    def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        data = [
            {"object": "embedding", "index": n, "embedding": vector_of(text, dimensions)}
            for n, text in enumerate(body["input"])
        ]
        send(handler, 200, {"object": "list", "data": data[::-1], "model": body["model"]})

    return answer


def status(code: int, body: object, **headers: str) -> Answer:
    """An answer with a status."""
    return lambda handler, _: send(handler, code, body, **headers)


def hang_up(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    """Close the connection in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


class Provider:
    """The server: `answers` in turn, and `usual` behind them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[Answer] = []
        self.usual: Answer = embeddings()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    @property
    def texts(self) -> list[str]:
        """All texts that were asked for, in their order."""
        return [text for request in self.requests for text in request["input"]]


@contextmanager
def serving(answers: Sequence[Answer] = ()) -> Iterator[Provider]:
    """Run the server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            provider.requests.append(body)
            provider.headers.append(dict(self.headers))
            provider.paths.append(self.path)
            answer = provider.answers.pop(0) if provider.answers else provider.usual
            answer(self, body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        provider = Provider(f"http://127.0.0.1:{server.server_address[1]}")
        provider.answers += answers
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
