"""One run of migrations at a time."""

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


@contextmanager
def only_run(connection: Connection, job: Job, notice: Callable[[str], None]) -> Iterator[None]:
    """Hold the advisory lock of the job's tracking table."""
    name = str(job.table)
    started = time.monotonic()
    poll, told = _FIRST_POLL, False
    while not advisory.try_lock(connection, name):
        waited = time.monotonic() - started
        if waited * 1000 >= job.lock_wait:
            raise MigrationError(
                f"another migration run did not finish within {job.lock_wait / 1000:g} s: "
                + advisory.holder(connection, name),
                hint="wait for it, or end it with SELECT pg_terminate_backend(pid); "
                "--lock-wait sets how long to wait",
            )
        if waited >= _TELL_AFTER and not told:
            notice(f"waiting for another migration run: {advisory.holder(connection, name)}")
            told = True
        time.sleep(poll * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, no secret)
        poll = min(poll * 1.5, _LONGEST_POLL)
    try:
        yield
    finally:
        advisory.unlock(connection, name)
