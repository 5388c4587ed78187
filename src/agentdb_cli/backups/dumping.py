"""Running pg_dump, and what it says on stderr."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agentdb_cli.backups import processes
from agentdb_cli.errors import AgentdbError

_CONTENTS = re.compile(r'pg_dump: dumping contents of table "(.+)"')
_FINISHED = re.compile(r"pg_dump: finished item \d+ TABLE DATA (.+)")
_TOLD = re.compile(r"\w+: (error|warning|fatal): ")
_DETAIL = re.compile(r"\w+: (detail|hint): ")
_LONGEST = 500
"""Characters of a line: one may hold the names of all tables."""


@dataclass(slots=True)
class Words:
    """What pg_dump has said so far.

    Attributes:
        running: the tables that are being dumped, as `schema.table`.
        finished: those that are done.
        errors: the last of its lines since the first error.
        warnings: what it warned of, to be told and forgotten.
    """

    parallel: bool
    running: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    errors: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    def hear(self, line: str) -> None:
        """Take in a line of its stderr."""
        told = _TOLD.match(line)
        line = line[:_LONGEST]
        if _DETAIL.match(line):
            (self.errors if self.errors else self.warnings).append(line)
        elif told is not None and told[1] == "warning" and not self.errors:
            self.warnings.append(line.partition("warning: ")[2])
        elif told is not None or self.errors:
            self.errors.append(line.partition(": ")[2] if told else line)
        elif contents := _CONTENTS.match(line):
            if not self.parallel:
                self._finish_all()
            self.running.append(contents[1])
        elif finished := _FINISHED.match(line):
            self._finish(finished[1])

    def _finish(self, name: str) -> None:
        """pg_dump says the name without its schema here."""
        for table in self.running:
            if table == name or table.endswith(f".{name}"):
                self.running.remove(table)
                self.finished.append(table)
                return

    def _finish_all(self) -> None:
        self.finished += self.running
        self.running.clear()


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    words: Words,
    lock: int,
    tick: Callable[[], None],
) -> None:
    """Run a program of PostgreSQL's to its end; it ends when we do.

    Args:
        environment: all of its variables; where secrets are.
        lock: a file descriptor that it keeps open, so that the lock lasts until it has died.
        tick: called now and then; may raise.

    Raises:
        AgentdbError: it cannot be started, or failed; the message holds its own words.
    """
    with processes.running(command, environment, lock=lock) as process:
        for line in processes.lines(process, tick):
            words.hear(line)
    if process.returncode:
        said = "\n  ".join(words.errors) or f"exit code {process.returncode}"
        name = os.path.basename(command[0])  # noqa: PTH119
        raise AgentdbError(f"{name} failed: {said}")
