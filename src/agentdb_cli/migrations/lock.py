"""One run of migrations at a time."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.job import Job
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_LOCK_CLASS = 0x61676462  # "agdb": tells our advisory locks from an application's
_FIRST_POLL, _LONGEST_POLL = 0.02, 0.5  # seconds
_TELL_AFTER = 1.0  # seconds of waiting before saying so


@contextmanager
def only_run(connection: Connection, job: Job, notice: Callable[[str], None]) -> Iterator[None]:
    """Hold the advisory lock of the job's tracking table.

    The lock is polled, never waited for: a session blocked in
    pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY in the
    session that has the lock would wait for it for ever.
    """
    key = (_LOCK_CLASS, zlib.crc32(str(job.table).encode()))
    started = time.monotonic()
    poll, told = _FIRST_POLL, False
    while not _try_lock(connection, key):
        waited = time.monotonic() - started
        if waited * 1000 >= job.lock_wait:
            raise MigrationError(
                f"another migration run did not finish within {job.lock_wait / 1000:g} s: "
                + _holder(connection, key),
                hint="wait for it, or end it with SELECT pg_terminate_backend(pid); "
                "--lock-wait sets how long to wait",
            )
        if waited >= _TELL_AFTER and not told:
            notice(f"waiting for another migration run: {_holder(connection, key)}")
            told = True
        time.sleep(poll * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, no secret)
        poll = min(poll * 1.5, _LONGEST_POLL)
    try:
        yield
    finally:
        # Otherwise the connection is lost, or about to be closed: the lock goes with it.
        if connection.info.transaction_status is TransactionStatus.IDLE:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", _signed(key))


def _try_lock(connection: Connection, key: tuple[int, int]) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _signed(key)).fetchone()
    return row is not None and bool(row[0])


def _signed(key: tuple[int, int]) -> tuple[int, int]:
    """The key as PostgreSQL's two signed 32-bit integers."""
    return key[0], key[1] - 2**32 if key[1] >= 2**31 else key[1]


def _holder(connection: Connection, key: tuple[int, int]) -> str:
    text = query("history/lock_holder").replace(":classid", str(key[0]))
    row = connection.execute(text.replace(":objid", str(key[1])).encode()).fetchone()
    if row is None:
        return "it has just ended"
    pid, application, user, host, since = row
    return f"pid {pid} ({application}, {user}@{host}), connected since {since:%Y-%m-%d %H:%M:%S %Z}"
