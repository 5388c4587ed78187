"""The file that bad rows are written to, to be mended and loaded again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TextIO

from agentdb_cli.errors import AgentdbError
from agentdb_cli.vectors.load.fields import floats
from agentdb_cli.vectors.load.sources import Bad


class Rejects:
    """The file for bad rows, made when there is one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, bad: Bad) -> None:
        """Write a row, with its number and the reason."""
        if self._file is None:
            try:
                self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise AgentdbError(
                    f"{self._path}: bad rows cannot be written there: {error.strerror}",
                    hint="--rejects FILE names another file",
                ) from None
        row = bad.row
        if isinstance(row, dict):
            row = {name: _plain(value) for name, value in row.items()}
        line = {"number": bad.number, "reason": bad.reason, "row": row}
        self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def _plain(value: object) -> object:
    """A value for JSON: floats as they came."""
    return floats(value) if isinstance(value, memoryview) else value
