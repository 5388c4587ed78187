"""Whether a database is well: all checks in one round trip, each with a status of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import psycopg

from agentdb_cli.monitoring import health_pipeline
from agentdb_cli.monitoring.checks import Check
from agentdb_cli.monitoring.health_findings import LOCKED, Finding, Judge, Place, worst
from agentdb_cli.monitoring.health_pipeline import Answer
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import literal


def examine(
    connection: Connection,
    checks: Sequence[Check],
    place: Place,
    *,
    timeout: float,
    started: float,
) -> tuple[Finding, ...]:
    """Run the checks in one round trip.

    Each is a transaction of its own, so that one that fails says nothing of
    the others.

    Args:
        connection: in autocommit mode, with short lock and statement timeouts.
        timeout: seconds from `started` on until what has not come is given up.
        started: when connecting began, by `time.monotonic`.

    Raises:
        ServerDown: the server ended the session.
        TimeoutError: the server stopped answering.
    """
    queries = {check.name: check.queries(place.pack) for check in checks}
    roles = sorted({check.role for check in checks if check.role})
    texts = [text for found in queries.values() for text in found.values()]
    answers = health_pipeline.ask(
        connection, [_whoami(roles), *texts], timeout=timeout, started=started
    )
    user, hidden = _rights(answers.rows[0])
    judge = Judge(place, user, hidden, latency=answers.first_at - started)
    rest = iter(answers.rows[1:])
    return tuple(
        worst(check, [judge.finding(check, about, next(rest)) for about in queries[check.name]])
        for check in checks
    )


def _whoami(roles: Sequence[str]) -> str:
    """A query for our role, and for those of `roles` whose rights it lacks, between commas."""
    names = literal("{" + ",".join(roles) + "}")
    return f"""
        SELECT pg_catalog.quote_ident(current_user), pg_catalog.string_agg(role, ',')
        FROM pg_catalog.unnest({names}::text[]) AS role
        WHERE NOT pg_catalog.pg_has_role(current_user, role, 'USAGE')
    """  # noqa: S608


def _rights(answer: Answer) -> tuple[str, frozenset[str]]:
    if isinstance(answer, psycopg.Error):
        return "of this session", frozenset()
    return answer[0] or "", frozenset((answer[1] or "").split(","))


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
