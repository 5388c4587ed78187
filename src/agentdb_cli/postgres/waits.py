"""What a CONCURRENTLY waits for: whoever works on the table, and transactions older than itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentdb_cli.postgres import holders
from agentdb_cli.postgres.connect import Connection

_POLL = 0.2  # seconds between two looks whether the table is free


def stays_busy(
    connection: Connection, table: int, lock_timeout: int, tell: Callable[[str], None]
) -> str | None:
    """Who works on a table (an OID) and does not end in time; None once nobody does.

    Looked up, not waited for in the lock's queue: there, whoever wants to alter the table next
    would wait behind us, and all others behind him.

    Args:
        lock_timeout: milliseconds; 0 for ever.
        tell: called with whom it waits for, again and again.
    """
    deadline = time.monotonic() + lock_timeout / 1000
    while found := holders.of_lock(connection, table, exclusive=False):
        who = ", ".join(map(str, found))
        if lock_timeout and time.monotonic() >= deadline:
            return f"locked by {who}"
        tell(who)
        # On the server, so that Ctrl-C ends it.
        connection.execute("SELECT pg_catalog.pg_sleep(%s)", (_POLL,))
    return None


def awaited(connection: Connection, table: int) -> str:
    """Which transactions a CONCURRENTLY on a table (an OID) has waited for in vain."""
    found = holders.of_lock(connection, table, exclusive=True)
    oldest = None if found else holders.of_horizon(connection)
    who = ", ".join(map(str, found)) or str(oldest or "one that has ended meanwhile")
    return f"waited in vain for the older transaction of {who}"
