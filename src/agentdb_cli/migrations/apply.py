"""One migration to the server: BEGIN, the file, its tracking row and COMMIT in one message."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.failure import Place, explain
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier


@dataclass(frozen=True, slots=True)
class Done:
    """One file that this run has applied; `seconds` is the time it took."""

    file: MigrationFile
    seconds: float


def apply(connection: Connection, prepared: Prepared, job: Job, before: int) -> Done:
    """Apply one file.

    Args:
        before: how many files this run has applied before it, for messages.

    Raises:
        MigrationError: the server refused it, and nothing of it was kept; or
            the connection was lost.
    """
    opening = _opening(prepared, job)
    prefix = "".join(f"{statement};" for statement in opening)
    message = prefix + prepared.rest(job.table, job.pack)
    started = time.monotonic()
    try:
        results = _send(connection, message)
    except KeyboardInterrupt:
        # psycopg has cancelled the statement and read to the end.
        if connection.info.transaction_status is TransactionStatus.INERROR:
            connection.execute("ROLLBACK")
        raise
    except psycopg.OperationalError as error:
        raise MigrationError(
            f"the connection was lost while {prepared.file.label} was applied: {error}",
            hint="agentdb migrate status shows whether the server completed it; "
            "a file is applied as a whole or not at all",
        ) from error
    if results[-1].status == ExecStatus.FATAL_ERROR:
        refusal = psycopg.errors.error_from_result(results[-1])
        if connection.info.transaction_status is TransactionStatus.INERROR:
            connection.execute("ROLLBACK")
        # Not counted: what the opening holds, and the failure itself.
        place = Place(prepared, prefix, len(results) - len(opening) - 1)
        raise explain(refusal, place, before) from refusal
    return Done(prepared.file, time.monotonic() - started)


def _opening(prepared: Prepared, job: Job) -> list[str]:
    """What is sent before a file: its BEGIN, and settings for this transaction alone."""
    statements = [prepared.begin, f"SET LOCAL lock_timeout = {job.lock_timeout}"]
    if job.schema is not None:
        # An extension goes to public, where every other schema finds it too.
        statements.append(f"SET LOCAL search_path = {identifier(job.schema)}, public")
        statements += [
            f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA public"
            for name in prepared.extensions
        ]
    return statements


def _send(connection: Connection, message: str) -> list[Any]:
    """Send several statements in one message; one result for each that was run.

    Not by a cursor, which keeps the failed statement's place in the sequence
    to itself.
    """
    connection.pgconn.send_query(message.encode())
    return connection.wait(generators.execute(connection.pgconn))
