"""Long commands on connections of their own, so that the first one can watch and cancel them."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

import psycopg

from agentdb_cli.errors import ConnectionFailed
from agentdb_cli.postgres.connect import Connection, another
from agentdb_cli.settings import Connection as ConnectionSettings

Task = TypeVar("Task")
Result = TypeVar("Result")

_POLL = 0.5  # seconds between two looks at the progress


@contextmanager
def several(
    connection: Connection, count: int, lock_timeout: int, warning: Callable[[str], None]
) -> Iterator[tuple[Sequence[Connection], Connection | None]]:
    """Connections to work on, and the one to watch them with.

    Where the server has no slot left, there are fewer; with none at all, `connection`
    itself works, and nobody watches.
    """
    workers: list[Connection] = []
    settings = ConnectionSettings(lock_timeout=lock_timeout)
    try:
        while len(workers) < count:
            try:
                workers.append(another(connection, settings, command="maintenance"))
            except ConnectionFailed as error:
                fewer = f"going on with {len(workers)}" if workers else "going on without progress"
                warning(f"no further connection, {fewer}: {error}")
                break
        yield (workers, connection) if workers else ([connection], None)
    finally:
        for worker in workers:
            worker.close()


@contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does, unless somebody set them otherwise."""
    ours = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def run_all(
    tasks: Sequence[Task],
    work: Callable[[Connection, Task], Result],
    workers: Sequence[Connection],
    *,
    finished: Callable[[Result], None],
    tick: Callable[[], None],
) -> None:
    """Do all tasks, each worker one after the other.

    `finished` and `tick` are called in this thread, so that they may print; `work` in others.

    Raises:
        KeyboardInterrupt: after what runs was cancelled and reported through `finished`.
    """
    waiting, events = deque(tasks), SimpleQueue[Result | BaseException | None]()
    stop = threading.Event()

    def loop(connection: Connection) -> None:
        try:
            while not stop.is_set() and not connection.broken:
                try:
                    task = waiting.popleft()
                except IndexError:
                    break
                events.put(work(connection, task))
        except BaseException as error:
            events.put(error)
        events.put(None)

    threads = [threading.Thread(target=loop, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        _drain(events, len(threads), finished, tick)
    except BaseException:
        stop.set()
        _cancel(threads, workers)
        while (event := _next(events)) is not None:
            if not isinstance(event, BaseException):
                finished(event)
        raise


def _drain(
    events: SimpleQueue[Result | BaseException | None],
    running: int,
    finished: Callable[[Result], None],
    tick: Callable[[], None],
) -> None:
    while running:
        try:
            event = events.get(timeout=_POLL)
        except Empty:
            tick()
            continue
        if event is None:
            running -= 1
        elif isinstance(event, BaseException):
            raise event
        else:
            finished(event)


def _next(
    events: SimpleQueue[Result | BaseException | None],
) -> Result | BaseException | None:
    """The next event that is one, or None when there is none left."""
    while not events.empty():
        event = events.get()
        if event is not None:
            return event
    return None


def _cancel(threads: Sequence[threading.Thread], workers: Sequence[Connection]) -> None:
    """Cancel until every worker has stopped: a request can come before its command begins."""
    while any(thread.is_alive() for thread in threads):
        for thread, worker in zip(threads, workers, strict=True):
            if thread.is_alive() and not worker.closed:
                try:
                    worker.cancel_safe(timeout=5)
                except psycopg.Error:  # the server is gone, and the command's end comes with it
                    continue
        for thread in threads:
            thread.join(0.5 / len(threads))
