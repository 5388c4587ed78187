"""`--watch`: one look after the other, on a terminal in place."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import typer

from agentdb_cli.errors import ServerDown
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.commands.invocation import Invocation
    from agentdb_cli.postgres.connect import Connection

Seen = TypeVar("Seen")

_CLEAR = "\x1b[H\x1b[2J"


def every(run: Invocation, seconds: float | None, look: Callable[[], Seen]) -> Iterator[Seen]:
    """What `look()` returns, at once and then every `seconds` without end.

    Each is to be written before the next one is asked for. For people it gets
    a line with the time above it; on a terminal the one before it is erased.
    If the server goes away meanwhile, that is said once, and `look` is
    repeated, at least every two seconds, until it is back.

    Args:
        seconds: the pause; None for one look alone, without any line.
        look: raises ServerDown if the server is not there.

    Raises:
        ServerDown: the server was not there at the first look.
    """
    seen = look()
    if seconds is None:
        yield seen
        return
    first = True
    while True:
        _head(run, seconds, first=first)
        yield seen
        first = False
        time.sleep(seconds)
        seen = _looked(run, seconds, look)


def redraws(run: Invocation) -> bool:
    """Whether a look erases the one before it, with all that was said to it on stderr."""
    return run.output.for_people and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _head(run: Invocation, seconds: float, *, first: bool) -> None:
    if redraws(run):
        typer.echo(_CLEAR, nl=False)
    elif not first:
        run.output.line()
    now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
    run.output.line(f"agentdb {run.command}, every {duration(seconds)}: {now}")


def _looked(run: Invocation, seconds: float, look: Callable[[], Seen]) -> Seen:
    lost = False
    pause = min(seconds, 2.0)
    while True:
        try:
            seen = look()
        except ServerDown as error:
            if not lost:
                run.output.warning(f"{error.message}; trying again every {duration(pause)}")
            lost = True
            time.sleep(pause)
        else:
            if lost:
                run.output.notice("connected again")
            return seen


class Steady:
    """A connection that is opened again after it was lost."""

    def __init__(self, run: Invocation) -> None:
        self._run = run
        self._connection: Connection | None = None
        self._again = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()

    def ask(self, question: Callable[[Connection], Seen]) -> Seen:
        """The answer to a question, over a new connection if there is none.

        Raises:
            ServerDown: the connection was lost on the way, or there is no server.
            ConnectionFailed: the server did not let us in.
        """
        import psycopg

        from agentdb_cli.postgres.lost import is_lost

        connection = self._connection = self._connection or self._connect()
        try:
            return question(connection)
        except psycopg.Error as error:
            if not is_lost(connection, error):
                raise
            connection.close()
            self._connection = None
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ServerDown(f"the connection is lost: {reason}") from None

    def _connect(self) -> Connection:
        if self._again and self._run.settings.target.embedded:
            self._must_run()
        connection = self._run.connect()
        # psycopg prepares what runs often, which would stay behind in PgBouncer's session.
        connection.prepare_threshold = None
        self._again = True
        return connection

    def _must_run(self) -> None:
        """Who stops the embedded server during a watch does not want it started again."""
        from agentdb_cli.postgres import embedded

        if not embedded.find_running(self._run.settings.server):
            raise ServerDown("the embedded server is not running", hint="agentdb server start")
