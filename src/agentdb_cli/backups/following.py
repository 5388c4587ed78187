"""How far pg_restore is, in bytes: from what it says, and from how many rows it has loaded."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from agentdb_cli.backups.contents import Entry
from agentdb_cli.backups.counting import copied
from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.postgres.connect import Connection

Step = Callable[[str, int, int], None]
"""Told what has been done last, how much is done, and of how much."""

_LAUNCHED = re.compile(r"pg_restore: launching item (\d+) (.*)")
_FINISHED = re.compile(r"pg_restore: finished item (\d+) ")
_BEGUN = re.compile(r"pg_restore: (?:creating|processing data for table) (.*)")
_LOOK_SECONDS = 1.0
"""Between two looks at how many rows are loaded."""
_SLOWER = {"hnsw": 6, "ivfflat": 2, "gin": 3, "gist": 3, "spgist": 3}
"""How many bytes of rows are loaded in the time that a byte of such an index takes: measured
with pgvector 0.8 on 100,000 vectors, and 1 for the others."""
_LEAST = 1024
"""Bytes that everything counts for, and whatever has no size."""


def sizes(entries: Sequence[Entry], manifest: Manifest) -> dict[int, int]:
    """What each entry of an archive counts for, by its number: bytes in the source."""
    known = {("TABLE DATA", f"{t.schema} {t.name}"): t.bytes for t in manifest.tables}
    for each in manifest.objects or ():
        if each.kind == "index":
            method = re.search(r" USING (\w+)", each.definition or "")
            size = (each.bytes or 0) * _SLOWER.get(method[1] if method else "", 1)
            known["INDEX", f"{each.schema} {each.name}"] = size
    return {e.number: known.get((e.kind, e.label), 0) + _LEAST for e in entries}


def _as_told(entry: Entry) -> str:
    """An entry as pg_restore names it when it begins."""
    name = f'"{entry.label.replace(" ", ".", 1)}"'
    return name if entry.kind == "TABLE DATA" else f"{entry.kind} {name}"


class Following:
    """Tells how far pg_restore is.

    Args:
        connection: to the database that is restored; used now and then.
        parallel: whether it has more than one job, and says more.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        manifest: Manifest,
        connection: Connection,
        step: Step,
        *,
        parallel: bool,
    ) -> None:
        self._sizes = sizes(entries, manifest)
        self._total = sum(self._sizes.values())
        self._tables = {f"{t.schema} {t.name}": t for t in manifest.tables}
        self._loading = {
            e.label: e.number for e in entries if e.kind == "TABLE DATA" and e.label in self._tables
        }
        self._connection = connection
        self._step = step
        self._parallel = parallel
        self._numbers = {_as_told(entry): entry.number for entry in entries}
        self._current = 0
        self._running: dict[int, str] = {}
        self._last = ""
        self._done = 0
        self._next = 0.0

    def hear(self, line: str) -> None:
        """Take in a line of its stderr."""
        if (match := _FINISHED.match(line)) is not None:
            self._finish(int(match[1]))
            self._running.pop(int(match[1]), None)
        elif (match := _LAUNCHED.match(line)) is not None:
            self._running[int(match[1])] = match[2]
        elif (match := _BEGUN.match(line)) is not None:
            self._last = match[1]
            if not self._parallel:  # alone, it does not say when it has finished
                self._finish(self._current)
                self._current = self._numbers.get(match[1], 0)
        else:
            return
        self._tell(0)

    def _tell(self, part: float) -> None:
        what = ", ".join(list(self._running.values())[:3]) or self._last
        self._step(what, self._done + int(part), self._total)

    def _finish(self, number: int) -> None:
        self._done += self._sizes.pop(number, 0)

    def look(self) -> None:
        """Tell how many rows are loaded."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LOOK_SECONDS
        part = 0.0
        for label, rows in copied(self._connection).items():
            table, number = self._tables.get(label), self._loading.get(label)
            if table is not None and table.rows and number in self._sizes:
                part += self._sizes[number] * min(rows / table.rows, 1)
        self._tell(part)
