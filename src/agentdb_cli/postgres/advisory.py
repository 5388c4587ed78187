"""Advisory locks by name: what may run once at a time in a database."""

from __future__ import annotations

import zlib

from psycopg.pq import TransactionStatus

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

CLASS = 0x61676462  # "agdb": tells our advisory locks from an application's


def try_lock(connection: Connection, name: str, *, for_transaction: bool = False) -> bool:
    """Take the lock of a name for this session (or transaction), unless another one has it.

    Never waits: a session blocked in pg_advisory_lock holds a snapshot, and
    CREATE INDEX CONCURRENTLY in the session that has the lock would wait for
    it for ever.
    """
    function = "pg_try_advisory_xact_lock" if for_transaction else "pg_try_advisory_lock"
    row = connection.execute(f"SELECT {function}(%s, %s)".encode(), _key(name)).fetchone()
    return row is not None and bool(row[0])


def try_own_lock(connection: Connection, name: str) -> bool | None:
    """As `try_lock` for this session, in one look; None behind a pooler, where nothing is taken.

    The server session there belongs to others next, and would keep the lock.
    """
    row = connection.execute(
        "SELECT CASE WHEN pg_catalog.pg_backend_pid() = %s"
        " THEN pg_catalog.pg_try_advisory_lock(%s, %s) END",
        (connection.info.backend_pid, *_key(name)),
    ).fetchone()
    return None if row is None or row[0] is None else bool(row[0])


def condition(name: str) -> str:
    """SQL that is true once the lock of a name is held for the transaction; it never waits."""
    first, second = _key(name)
    return f"pg_catalog.pg_try_advisory_xact_lock({first}, {second})"


def unlock(connection: Connection, name: str) -> None:
    """Give the lock back; if the connection is lost or in a transaction, closing it does."""
    if connection.info.transaction_status is TransactionStatus.IDLE:
        connection.execute("SELECT pg_advisory_unlock(%s, %s)", _key(name))


def holder(connection: Connection, name: str) -> str:
    """Who has the lock of a name: `pid 12 (agentdb migrate, me@local), connected since …`."""
    row = connection.execute(about("advisory/holder", name)).fetchone()
    if row is None:
        return "it has just ended"
    pid, application, user, host, since = row
    return f"pid {pid} ({application}, {user}@{host}), connected since {since:%Y-%m-%d %H:%M:%S %Z}"


def about(statement: str, name: str) -> bytes:
    """A query of ours with :classid and :objid filled in, as pg_locks shows the lock of a name."""
    text = query(statement).replace(":classid", str(CLASS))
    return text.replace(":objid", str(_hash(name))).encode()


def _hash(name: str) -> int:
    return zlib.crc32(name.encode())


def _key(name: str) -> tuple[int, int]:
    """The key as PostgreSQL's two signed 32-bit integers."""
    number = _hash(name)
    return CLASS, number - 2**32 if number >= 2**31 else number
