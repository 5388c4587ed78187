"""Several sessions that share statements of a restore, and are cancelled when a signal comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TypeVar

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection

Task = TypeVar("Task")
Result = TypeVar("Result")

_POLL_SECONDS = 0.1
_PATIENCE = 10.0
"""Seconds that what runs gets to be cancelled."""


class Stopped(AgentdbError):
    """A signal ended the restore."""


class Crew:
    """Sessions of one database.

    Args:
        connection: in autocommit mode; nobody else uses it while tasks are done.
        stop: names the signal that came, or None.
        more: opens the other sessions, when the first tasks come: pg_restore needs the server's
            free connections before that.
    """

    def __init__(
        self,
        connection: Connection,
        stop: Callable[[], str | None],
        more: Callable[[], Sequence[Connection]] = tuple,
    ) -> None:
        self.connection = connection
        self._stop = stop
        self._more: Callable[[], Sequence[Connection]] | None = more
        self._others: Sequence[Connection] = ()

    def check(self) -> None:
        """End the work if a signal came.

        Raises:
            Stopped: one did.
        """
        if (reason := self._stop()) is not None:
            raise Stopped(reason)

    def each(
        self,
        tasks: Sequence[Task],
        work: Callable[[Connection, Task], Result],
        done: Callable[[Task], None],
    ) -> list[Result]:
        """Do all tasks, in their order as far as sessions are free.

        Args:
            work: called in a thread of each session.
            done: told of each task that is done, in this thread.

        Returns:
            What `work` gave, task by task.

        Raises:
            Stopped: a signal came; what ran was cancelled.
            Exception: the first that `work` raised; what ran beside it was cancelled.
        """
        sessions = self._sessions(len(tasks))
        left: SimpleQueue[int] = SimpleQueue()
        for number in range(len(tasks)):
            left.put(number)
        found: dict[int, Result] = {}
        failed: list[BaseException] = []
        finished: SimpleQueue[int | None] = SimpleQueue()  # None: a thread has ended
        ended = Event()

        def serve(connection: Connection) -> None:
            try:
                while not ended.is_set():
                    number = left.get_nowait()
                    found[number] = work(connection, tasks[number])
                    finished.put(number)
            except Empty:
                pass
            except BaseException as error:
                failed.append(error)
                ended.set()
            finally:
                finished.put(None)

        threads = [Thread(target=serve, args=(each,), daemon=True) for each in sessions]
        try:
            for thread in threads:
                thread.start()
            at_work = len(threads)
            while at_work and not ended.is_set():
                self.check()
                with suppress(Empty):
                    match finished.get(timeout=_POLL_SECONDS):
                        case None:
                            at_work -= 1
                        case number:
                            done(tasks[number])
        finally:
            ended.set()
            _end(sessions, threads)
        if failed:
            raise failed[0]
        return [found[number] for number in range(len(tasks))]

    def _sessions(self, tasks: int) -> list[Connection]:
        if tasks > 1 and self._more is not None:
            self._others, self._more = self._more(), None
        return [self.connection, *self._others]


def _end(sessions: Sequence[Connection], threads: Sequence[Thread]) -> None:
    """Cancel what still runs, and wait for it; between two statements nothing is cancelled."""
    deadline = time.monotonic() + _PATIENCE
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        for session, thread in zip(sessions, threads, strict=True):
            thread.join(_POLL_SECONDS)
            if thread.is_alive():
                with suppress(psycopg.Error):
                    session.cancel_safe(timeout=_PATIENCE)
