"""Whether a database is well: all checks in one round trip, each with a status of its own.

What could not be found out is "unknown", never "ok".
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from agentdb_cli.errors import ServerDown
from agentdb_cli.monitoring.checks import Check
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import literal


class Status(IntEnum):
    """How a check came out; the numbers are Nagios' exit codes."""

    ok = 0
    warning = 1
    critical = 2
    unknown = 3
    skipped = 4


# From the worst to the best; what is unknown may be anything.
_SEVERITY = (Status.critical, Status.warning, Status.unknown, Status.ok)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        value: in the check's unit; None if it could not be found out.
        detail: what stands behind the value, or why there is none.
    """

    check: Check
    status: Status
    value: float | None
    detail: str


def overall(findings: Iterable[Finding]) -> Status:
    """The worst status: critical, then warning, then unknown; skipped ones do not count.

    No finding at all is unknown.
    """
    found = {finding.status for finding in findings}
    return next((status for status in _SEVERITY if status in found), Status.unknown)


def examine(
    connection: Connection,
    checks: Sequence[Check],
    pack: Mapping[str, Any],
    *,
    timeout: float,
    own_pack: bool,
) -> tuple[Finding, ...]:
    """Run the checks in one round trip.

    Each is a transaction of its own, so that one that fails says nothing of
    the others.

    Args:
        connection: in autocommit mode, with short lock and statement timeouts.
        pack: the content of pack.toml, for the names of tables.
        timeout: seconds until an answer that does not come is given up.
        own_pack: whether somebody chose this pack; its missing tables are then
            a finding rather than no concern of this database.

    Raises:
        ServerDown: the server ended the session.
        TimeoutError: the server stopped answering.
    """
    queries = {check.name: check.query(pack) for check in checks}
    possible = [check for check in checks if queries[check.name] is not None]
    roles = sorted({check.role for check in possible if check.role})
    texts = [_roles_lacking(roles), *(str(queries[check.name]) for check in possible)]
    lacking, *answers = _pipeline(connection, texts, timeout)
    hidden = set() if isinstance(lacking, psycopg.Error) else set((lacking[0] or "").split(","))
    found = {
        check.name: _judge(check, answer, hidden, own_pack)
        for check, answer in zip(possible, answers, strict=True)
    }
    nothing = "the pack has no such table"
    return tuple(
        found.get(check.name, Finding(check, Status.skipped, None, nothing)) for check in checks
    )


Answer = tuple[str | None, ...] | psycopg.Error
"""The first row of a query as text, or why there is none."""


def _roles_lacking(roles: Sequence[str]) -> str:
    """A query for those of `roles` whose rights we do not have, between commas."""
    names = literal("{" + ",".join(roles) + "}")
    return (
        f"SELECT string_agg(role, ',') FROM unnest({names}::text[]) AS role"  # noqa: S608
        " WHERE NOT pg_has_role(current_user, role, 'USAGE')"
    )


def _judge(check: Check, answer: Answer, hidden: set[str], own_pack: bool) -> Finding:
    if isinstance(answer, psycopg.Error):
        return _failed(check, answer, own_pack)
    if check.role in hidden:
        return Finding(check, Status.unknown, None, f"not permitted: needs {check.role}")
    value, detail = answer[0], answer[1] or ""
    if value is None:
        return Finding(check, Status.unknown, None, detail or "the server does not say")
    status, unseen = _status(check, float(value)), answer[2] if len(answer) > 2 else None
    if unseen and status is Status.ok:
        return Finding(check, Status.unknown, None, f"not permitted: {unseen}")
    return Finding(check, status, float(value), detail)


def _status(check: Check, value: float) -> Status:
    def beyond(threshold: float | None) -> bool:
        if threshold is None:
            return False
        return value < threshold if check.below else value > threshold

    if beyond(check.critical):
        return Status.critical
    return Status.warning if beyond(check.warning) else Status.ok


def _failed(check: Check, error: psycopg.Error, own_pack: bool) -> Finding:
    said = error.diag.message_primary or str(error).strip()
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        # Most databases are not the default pack; that is no finding.
        status = Status.unknown if own_pack or not check.needs else Status.skipped
        return Finding(check, status, None, said)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Finding(check, Status.unknown, None, f"not permitted: {said}")
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return Finding(check, Status.warning, None, LOCKED)
    if isinstance(error, psycopg.errors.QueryCanceled):
        return Finding(check, Status.unknown, None, "took too long and was cancelled")
    return Finding(check, Status.unknown, None, said)


LOCKED = "a table is locked against reading: the application waits, too"


def with_blockers(findings: Sequence[Finding], who: str) -> tuple[Finding, ...]:
    """The findings, those of locked tables with the name of who locks them."""
    return tuple(
        replace(finding, detail=f"{LOCKED}; the lock is held by {who}")
        if finding.detail == LOCKED
        else finding
        for finding in findings
    )


def blockers(connection: Connection) -> str:
    """Who holds ACCESS EXCLUSIVE locks on tables in this database, in one sentence."""
    if connection.closed:
        return "a session that could not be found in time"
    row = connection.execute(
        "SELECT string_agg(DISTINCT"
        " 'pid ' || pid || coalesce(' (' || nullif(application_name, '') || ')', ''), ', ')"
        " FROM pg_locks JOIN pg_stat_activity AS a USING (pid)"
        " WHERE granted AND mode = 'AccessExclusiveLock' AND locktype = 'relation'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND pid <> pg_backend_pid()"
    ).fetchone()
    return str(row[0]) if row and row[0] else "a session that has ended since"


# --- One round trip ----------------------------------------------------------------


def _pipeline(connection: Connection, texts: Sequence[str], timeout: float) -> list[Answer]:
    """Send all queries at once, each a transaction of its own; their first rows.

    By libpq's pipeline mode directly: psycopg's own stops at the first error.
    If only some are answered in time, the others get an error each, and the
    connection is closed.

    Raises:
        ServerDown: the server ended the session.
        TimeoutError: no answer at all for `timeout` seconds.
    """
    results: list[PGresult] = []
    connection.pgconn.enter_pipeline_mode()
    try:
        connection.wait(_bounded(_exchange(connection.pgconn, texts, results), timeout))
    except psycopg.OperationalError:
        raise ServerDown("the server ended the session") from None
    except TimeoutError as error:
        connection.close()
        if not results:
            raise
        late = psycopg.OperationalError(str(error))
        return [*map(_answer, results), *[late] * (len(texts) - len(results))]
    connection.pgconn.exit_pipeline_mode()
    return [_answer(result) for result in results]


def _exchange(
    pgconn: PGconn, texts: Sequence[str], results: list[PGresult]
) -> Generator[Any, Any, None]:
    """Send queries with a synchronisation point after each, and add one result of each."""
    for text in texts:
        pgconn.send_query_params(text.encode(), None)
        pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    for _ in texts:
        found = yield from generators.fetch_many(pgconn)
        results.append(found[-1])
        yield from generators.fetch(pgconn)  # the synchronisation point


def _answer(result: Any) -> Answer:
    if result.status != ExecStatus.TUPLES_OK:
        return psycopg.errors.error_from_result(result)
    if not result.ntuples:
        return (None, "no row")
    cells = (result.get_value(0, column) for column in range(result.nfields))
    return tuple(None if cell is None else cell.decode() for cell in cells)


def _bounded(generator: Generator[Any, Any, Any], timeout: float) -> Generator[Any, Any, Any]:
    """A psycopg generator that gives up when nothing arrives for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    try:
        wanted = next(generator)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {timeout:g} s")
            wanted = generator.send(ready)
    except StopIteration as stop:
        return stop.value
