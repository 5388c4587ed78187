"""One run of migrations at a time.

A session-level lock holds for the whole run. Behind a pooler in transaction mode
there is no session to hold it: there each transaction takes the lock for itself,
and looks again whether its file is still pending.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.job import Job
from agentdb_cli.postgres import advisory
from agentdb_cli.postgres.connect import Connection

_FIRST_POLL, _LONGEST_POLL = 0.02, 0.5  # seconds
_TELL_AFTER = 1.0  # seconds of waiting before saying so


class Turn:
    """Whose turn it is among the runs on one tracking table.

    Attributes:
        name: of the advisory lock.
        held: whether the session has it; otherwise each transaction takes it.
    """

    def __init__(self, connection: Connection, job: Job, notice: Callable[[str], None]) -> None:
        self.name = str(job.table)
        self.held = False
        self._connection, self._job, self._notice = connection, job, notice
        self.begin_anew()

    def begin_anew(self) -> None:
        """Count the time of waiting from now on."""
        self._started = time.monotonic()
        self._poll, self._told = _FIRST_POLL, False

    def wait(self) -> None:
        """Sleep until the lock is worth another try.

        Raises:
            MigrationError: another run has had it for longer than `lock_wait`.
        """
        waited = time.monotonic() - self._started
        if waited * 1000 >= self._job.lock_wait:
            raise MigrationError(
                f"another migration run did not finish within {self._job.lock_wait / 1000:g} s: "
                + advisory.holder(self._connection, self.name),
                hint="wait for it, or end it with SELECT pg_terminate_backend(pid); "
                "--lock-wait sets how long to wait",
            )
        if waited >= _TELL_AFTER and not self._told:
            holder = advisory.holder(self._connection, self.name)
            self._notice(f"waiting for another migration run: {holder}")
            self._told = True
        time.sleep(self._poll * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, no secret)
        self._poll = min(self._poll * 1.5, _LONGEST_POLL)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """For what a run does besides its files; behind a pooler a transaction with the lock."""
        if self.held:
            yield
            return
        self.begin_anew()
        while True:
            with self._connection.transaction():
                if advisory.try_lock(self._connection, self.name, for_transaction=True):
                    yield
                    return
            self.wait()


@contextmanager
def only_run(connection: Connection, job: Job, notice: Callable[[str], None]) -> Iterator[Turn]:
    """Hold the advisory lock of the job's tracking table, or say that a pooler forbids it."""
    turn = Turn(connection, job, notice)
    while (taken := advisory.try_own_lock(connection, turn.name)) is False:
        turn.wait()
    turn.held = bool(taken)
    try:
        yield turn
    finally:
        if turn.held:
            advisory.unlock(connection, turn.name)
