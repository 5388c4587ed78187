"""An endpoint that speaks OpenAI's protocol: OpenAI itself, Ollama, vLLM, TEI and others.

The standard library's client, because it is there: it honours proxies and system certificates,
and one request a batch leaves little for connections kept open to gain.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentdb_cli import __version__
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.postgres.locks import back_off
from agentdb_cli.vectors.embedding import TextRefused, checked, cut, prefixed
from agentdb_cli.vectors.embedding.protocol import address, message, retry_after, words

BATCH, TIMEOUT, RETRIES = 64, 60_000, 6
"""Texts a request, milliseconds and repetitions unless `[embedding]` says something else."""

LONGEST_WAIT = 120.0
"""Seconds that an endpoint may ask us to wait; beyond that the run ends."""

_LARGEST_ANSWER = 512 * 1024**2  # bytes
_REPEATED = {408, 425, 429, 500, 502, 503, 504}
_ABOUT_THE_TEXT = {400, 413, 422}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and carry the key to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a request failed, and after how many seconds to repeat it (None: our own choice)."""

    what: str
    after: float | None = None


class Endpoint:
    """Asks an endpoint over HTTP, a batch a request."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        url: str,
        key: str | None,
        notice: Callable[[str], None],
        pause: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._url = url
        self._key = key
        self._notice = notice
        self._pause = pause
        self._timeout = settings.get("timeout", TIMEOUT) / 1000 or None
        self._retries = settings.get("retries", RETRIES)
        self._interval = 60 / settings["requests_per_minute"] if _limited(settings) else 0.0
        self._next = 0.0
        self._open = urllib.request.build_opener(_NoRedirect).open
        self.model: str | None = settings["model"]
        self.place = url.partition("?")[0]
        self.batch_size: int = settings.get("batch_size", BATCH)

    @classmethod
    def of(
        cls,
        settings: Mapping[str, Any],
        environ: Mapping[str, str] | None,
        notice: Callable[[str], None],
        pause: Callable[[float], None],
    ) -> Endpoint:
        """From `[embedding]`.

        Raises:
            SettingsError: the URL, the model or the key is missing or wrong.
        """
        if "model" not in settings:
            raise SettingsError(
                "[embedding] has a url and no model",
                hint="name the model that the endpoint is to use",
            )
        url = address(settings["url"])
        variable = settings.get("api_key_env")
        key = (os.environ if environ is None else environ).get(variable or "", "").strip()
        if variable and not key:
            raise SettingsError(
                f"[embedding] api_key_env names {variable}, which is not set",
                hint=f"export {variable}, or write it into .env beside agentdb.toml",
            )
        if not key.isprintable() or not key.isascii():
            raise SettingsError(f"{variable} holds a character that no key has")
        return cls(settings, url, key or None, notice, pause)

    def embed(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        """The vectors of texts, in their order.

        Raises:
            TextRefused: the endpoint refused this request, and might take another.
            AgentdbError: it failed, or answered something else.
        """
        if not texts:
            return []
        body: dict[str, object] = {
            "model": self.model,
            "input": prefixed(self._settings, texts, query),
        }
        if "dimensions" in self._settings:
            body["dimensions"] = self._settings["dimensions"]
        answer = self._asked(json.dumps(body).encode())
        return checked(self._settings, self._ordered(answer), texts, self.place)

    def _asked(self, body: bytes) -> object:
        repetition = 0
        while True:
            self._pace()
            answer = self._attempt(body)
            if not isinstance(answer, _Failure):
                return answer
            repetition += 1
            if repetition > self._retries:
                times = f", {repetition} times" if repetition > 1 else ""
                raise AgentdbError(f"{self.place}: {answer.what}{times}", hint=self._hint())
            if answer.after is not None and answer.after > LONGEST_WAIT:
                raise AgentdbError(
                    f"{self.place}: {answer.what}, and it asks to wait {answer.after:.0f} s",
                    hint="run it again then: what is embedded stays",
                )
            # Its own word counts; together with a jitter, as others heard it, too.
            seconds = (answer.after or 0.0) + back_off(repetition)
            self._notice(f"{self.place}: {answer.what}; trying again in {seconds:.1f} s")
            self._pause(seconds)

    def _hint(self) -> str:
        return "[embedding] retries, timeout and requests_per_minute change how patient we are"

    def _pace(self) -> None:
        now = time.monotonic()
        if self._next > now:
            self._pause(self._next - now)
        self._next = max(now, self._next) + self._interval

    def _attempt(self, body: bytes) -> object:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"agentdb/{__version__}",
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310
        try:
            with self._open(request, timeout=self._timeout) as response:
                content = self._read(response)
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error)
        except TimeoutError:
            return _Failure(f"no answer within {self._timeout:g} s")
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                return _Failure(f"no answer within {self._timeout:g} s")
            return self._unreached(error.reason)
        except (http.client.HTTPException, OSError) as error:
            return _Failure(f"the connection broke off: {words(error)}")
        try:
            return json.loads(content)
        except ValueError:
            raise AgentdbError(
                f"{self.place} answered something else than JSON: {self._said(content)}",
                hint="is url the base of the API, such as http://localhost:11434/v1?",
            ) from None

    def _read(self, response: Any) -> bytes:
        """The whole answer, in the time that one request has."""
        ends = time.monotonic() + self._timeout if self._timeout else None
        blocks, size = [], 0
        while block := response.read1(1 << 20):
            blocks.append(block)
            size += len(block)
            if size > _LARGEST_ANSWER:
                raise AgentdbError(f"{self.place} answered more than 512 MB")
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError
        if response.length:  # what the header has promised and did not come
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(blocks)

    def _refused(self, error: urllib.error.HTTPError) -> _Failure:
        try:
            said = self._said(error.read(65536))
        except (OSError, http.client.HTTPException):
            said = ""
        what = f"HTTP {error.code} {error.reason or ''}".rstrip() + (f": {said}" if said else "")
        if error.code in _REPEATED and "insufficient_quota" not in said:
            return _Failure(what, retry_after(error.headers.get("Retry-After")))
        if error.code in _ABOUT_THE_TEXT:
            raise TextRefused(f"{self.place}: {what}")
        variable = self._settings.get("api_key_env")
        hints = {
            401: f"is the key in {variable} right?"
            if variable
            else "[embedding] api_key_env names the variable that holds the key",
            404: f"is there a model {self.model}, and is url the base of the API, such as"
            " http://localhost:11434/v1?",
        }
        if 300 <= error.code < 400:
            hints[error.code] = f"it leads to {cut(error.headers.get('Location') or '?', 200)}"
        hints[403] = hints[401]
        raise AgentdbError(f"{self.place}: {what}", hint=hints.get(error.code))

    def _unreached(self, reason: object) -> _Failure:
        if isinstance(reason, socket.gaierror):
            raise AgentdbError(
                f"{self.place}: the host name cannot be resolved", hint="[embedding] url names it"
            )
        if type(reason).__name__ in ("SSLCertVerificationError", "CertificateError"):
            raise AgentdbError(
                f"{self.place}: its certificate is not to be trusted: {words(reason)}",
                hint="SSL_CERT_FILE names a file of certificates to trust",
            )
        if isinstance(reason, ConnectionRefusedError):
            return _Failure("connection refused")
        return _Failure(f"not reached: {words(reason)}")

    def _said(self, content: bytes) -> str:
        """The endpoint's own words, out of JSON or HTML, and never our key."""
        text = content.decode(errors="replace")
        try:
            found = json.loads(text)
        except ValueError:
            text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
        else:
            text = message(found) or text
        return cut(text.replace(self._key, "…") if self._key else text, 200)

    def _ordered(self, answer: object) -> list[object]:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or not all(
            isinstance(entry, dict) and "embedding" in entry for entry in data
        ):
            said = self._said(json.dumps(answer).encode())
            raise AgentdbError(
                f"{self.place} answered no list of embeddings: {said}",
                hint="it has to speak OpenAI's protocol: a list data of objects with an embedding",
            )
        places = [entry.get("index", place) for place, entry in enumerate(data)]
        if sorted(places, key=str) != sorted(range(len(data)), key=str):
            raise AgentdbError(f"{self.place} numbers its embeddings {cut(str(places), 80)}")
        vectors: list[object] = [None] * len(data)
        for place, entry in zip(places, data, strict=True):
            vectors[place] = entry["embedding"]
        return vectors


def _limited(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("requests_per_minute", 0) > 0)
