"""Reading ahead: a thread reads and encodes while the server writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Block = TypeVar("Block")

_LOOK = 0.2  # seconds between two looks at whether to end


class Ahead(Generic[Block]):
    """An iterator that is run ahead of its user, by a thread: the server works meanwhile.

    Args:
        stopped: whether to end, though more may come: stdin may be silent for long.
        wait: for the thread at the end, as its file gives what it has at once.
    """

    def __init__(
        self, blocks: Iterator[Block], stopped: Callable[[], object], *, wait: bool
    ) -> None:
        self._blocks = blocks
        self._wait = wait
        self._stopped = stopped
        self._queue: queue.Queue[Block | BaseException | None] = queue.Queue(2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Iterator[Block]:
        self._thread.start()
        return self._found()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                if self._wait:
                    continue
                break  # it waits for its file, and goes with the process

    def _found(self) -> Iterator[Block]:
        while not self._stopped():
            try:
                block = self._queue.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if block is None:
                return
            if isinstance(block, BaseException):
                raise block
            yield block

    def _run(self) -> None:
        try:
            for block in self._blocks:
                self._queue.put(block)
                if self._over.is_set():
                    return
            self._queue.put(None)
        except BaseException as error:  # its user raises it
            self._queue.put(error)
