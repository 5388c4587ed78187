"""Who keeps a migration from its lock: looked for from a second connection while it waits.

Once the wait is over the server has forgotten it, and the first connection is busy meanwhile.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg.rows import class_row

from agentdb_cli.errors import ConnectionFailed
from agentdb_cli.postgres import advisory
from agentdb_cli.postgres.connect import Connection, another
from agentdb_cli.settings import Connection as ConnectionSettings

_POLL = 0.05  # seconds between two looks
_WIDTH = 100  # characters of a query that are shown

# In the order of the alternatives a comment or a quoted identifier is passed over as a whole.
_LITERAL = re.compile(
    r"""(?P<comment> --[^\n]*+ | /\*.*?(?:\*/|\Z) )
      | (?P<keep> "[^"]*+"? | [^\W\d][\w$]*+(?!') )
      | [eE]'(?:[^'\\]|\\.|'')*+'? | \w?'(?:[^']|'')*+'?
      | \$(?P<tag>\w*+)\$.*?(?:\$(?P=tag)\$|\Z)
      | \b\d[\w.]*+""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock, as far as this role may see it; pid 0 is a prepared transaction.

    Attributes:
        age: how old its transaction is.
    """

    pid: int
    name: str | None
    state: str | None
    age: timedelta | None
    query: str | None

    def __str__(self) -> str:
        if not self.pid:
            return "a prepared transaction"
        if self.state is None:
            return f"pid {self.pid} (GRANT pg_monitor shows what it does)"
        since = f" for {timedelta(seconds=int(self.age.total_seconds()))}" if self.age else ""
        about = ", ".join(part for part in (self.name, f"{self.state}{since}") if part)
        return f"pid {self.pid} ({about}): {without_literals(self.query or '')}"


def without_literals(text: str) -> str:
    """A statement in one line, cut, and with `?` for its literals: they may hold secrets."""

    def shown(found: re.Match[str]) -> str:
        return " " if found["comment"] else found["keep"] or "?"

    line = " ".join(_LITERAL.sub(shown, text).split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


class Watch:
    """Looks for blockers while a message is being sent.

    Attributes:
        seen: the last blockers that were seen.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.seen: tuple[Blocker, ...] = ()
        self._first, self._name = connection, name
        self._second: Connection | None = None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look until the end of the block; without a second connection, nobody looks."""
        if self._second is None:
            try:
                self._second = another(self._first, ConnectionSettings(), command="migrate")
            except ConnectionFailed:
                yield
                return
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(self._second, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """Close the second connection."""
        if self._second is not None:
            self._second.close()

    def _look(self, connection: Connection, over: threading.Event) -> None:
        statement = advisory.about("holders/blocking", self._name)
        with connection.cursor(row_factory=class_row(Blocker)) as cursor:
            while not over.wait(_POLL):
                try:
                    self.seen = tuple(cursor.execute(statement).fetchall()) or self.seen
                except psycopg.Error:
                    return
