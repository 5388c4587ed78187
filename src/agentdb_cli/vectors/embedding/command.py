"""Any program as an embedder: a JSON string a line in, a JSON list of numbers a line out."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.vectors.embedding import checked, cut, prefixed

BATCH, TIMEOUT = 256, 300_000
"""Texts and milliseconds of one run: a program that loads a model takes its time to start."""


class Command:
    """Runs a program once for each batch.

    A text may hold newlines, so each is sent as a JSON string, which has none.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._command: list[str] = settings["command"]
        self._timeout = settings.get("timeout", TIMEOUT) / 1000 or None
        self.model: str | None = settings.get("model")
        self.place = f"command {shlex.quote(self._command[0])}"
        self.batch_size: int = settings.get("batch_size", BATCH)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Command:
        """From `[embedding]`.

        Raises:
            SettingsError: the command is empty.
        """
        if not settings["command"]:
            raise SettingsError(
                "[embedding] command is empty", hint='command = ["program", "argument"]'
            )
        return cls(settings)

    def embed(self, texts: Sequence[str], *, query: bool = False) -> list[list[float]]:
        """The vectors of texts, in their order.

        Raises:
            AgentdbError: the program failed, took too long, or wrote something else.
        """
        if not texts:
            return []
        lines = "".join(f"{json.dumps(text)}\n" for text in prefixed(self._settings, texts, query))
        answer = self._run(lines.encode())
        vectors = []
        for number, line in enumerate(answer.decode(errors="replace").splitlines(), 1):
            try:
                vectors.append(json.loads(line))
            except ValueError:
                raise AgentdbError(
                    f"{self.place} wrote no JSON in line {number} of its output: {cut(line, 80)}",
                    hint="it has to write one list of numbers a line, and nothing else",
                ) from None
        return checked(self._settings, vectors, texts, self.place)

    def _run(self, lines: bytes) -> bytes:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C at the terminal is ours: the batch in flight is finished first.
                start_new_session=True,
            )
        except OSError as error:
            raise AgentdbError(
                f"{self.place} cannot be run: {error.strerror}",
                hint="[embedding] command in agentdb.toml names it",
            ) from None
        try:
            out, errors = process.communicate(lines, self._timeout)
        except subprocess.TimeoutExpired:
            raise AgentdbError(
                f"{self.place} gave no answer within {self._timeout:g} s",
                hint="[embedding] timeout changes the limit, batch_size how much is sent at once",
            ) from None
        finally:
            # With what it has started: that may hold its pipes open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            said = cut(errors.decode(errors="replace").strip()[-300:])
            code = process.returncode
            ended = f"exited with {code}" if code > 0 else f"was ended by signal {-code}"
            raise AgentdbError(f"{self.place} {ended}{': ' if said else ''}{said}")
        return out
