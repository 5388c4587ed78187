"""Whether a database is well: all checks in one or two round trips, each with its own status."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import psycopg

from agentdb_cli.monitoring.checks import Check
from agentdb_cli.monitoring.health_findings import LOCKED, Finding, Judge, Place, worst
from agentdb_cli.postgres import pipeline
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
    """Run the checks in one round trip, or two where the pack was not chosen.

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
    asked = [
        _Query(check, about, text)
        for check in checks
        for about, text in check.queries(place.pack).items()
    ]

    def ask(texts: Sequence[str]) -> pipeline.Answers:
        return pipeline.ask(connection, texts, timeout=timeout, started=started)

    whoami = _whoami(sorted({check.role for check in checks if check.role}))
    # A statement that fails counts as a rollback, and a health check every minute with some
    # of these would be a finding of its own. So where nobody said that this database has the
    # pack's tables, they are looked for first.
    guessed = () if place.pack_chosen else tuple(_guessed(asked, place))
    if guessed:
        first = ask([whoami, _absent(guessed)])
        absent = _names(first.rows[1])
        texts = [query.text for query in asked if not query.lacks(absent, place)]
        rows = ask(texts).rows if texts else ()
    else:
        first = ask([whoami, *(query.text for query in asked)])
        absent, rows = frozenset(), first.rows[1:]
    user, hidden = _rights(first.rows[0])
    judge = Judge(place, user, hidden, latency=first.first_at - started)
    rest = iter(rows)
    found: dict[str, list[Finding]] = {check.name: [] for check in checks}
    for query in asked:
        name = query.lacks(absent, place)
        answer = _undefined(name) if name else next(rest)
        found[query.check.name].append(judge.finding(query.check, query.about, answer))
    return tuple(worst(check, found[check.name]) for check in checks)


class _Query(NamedTuple):
    """One of a check's queries, and what it is about."""

    check: Check
    about: str
    text: str

    def lacks(self, absent: frozenset[str], place: Place) -> str | None:
        """The first of its tables that is absent, or None."""
        tables = self.check.tables(place.pack, self.about)
        return next((name for name in tables if name in absent), None)


def _guessed(asked: Sequence[_Query], place: Place) -> Iterator[str]:
    """The tables that only the default pack names."""
    for query in asked:
        if place.named.isdisjoint(query.about.split()):
            yield from query.check.tables(place.pack, query.about)


def _absent(names: Iterable[str]) -> str:
    """A query for those of `names` that are no tables, between newlines."""
    listed = literal("{" + ",".join(f'"{name}"' for name in sorted(set(names))) + "}")
    return f"""
        SELECT pg_catalog.string_agg(name, E'\\n') FROM pg_catalog.unnest({listed}::text[]) AS name
        WHERE pg_catalog.to_regclass(name) IS NULL
    """  # noqa: S608


def _names(answer: pipeline.Row) -> frozenset[str]:
    if isinstance(answer, psycopg.Error):
        return frozenset()  # a schema may not be looked into: then each query says so itself
    return frozenset((answer[0] or "").split("\n")) - {""}


def _undefined(name: str) -> psycopg.Error:
    return psycopg.errors.UndefinedTable(f'relation "{name}" does not exist')


def _whoami(roles: Sequence[str]) -> str:
    """A query for our role, and for those of `roles` whose rights it lacks, between commas."""
    names = literal("{" + ",".join(roles) + "}")
    return f"""
        SELECT pg_catalog.quote_ident(current_user), pg_catalog.string_agg(role, ',')
        FROM pg_catalog.unnest({names}::text[]) AS role
        WHERE NOT pg_catalog.pg_has_role(current_user, role, 'USAGE')
    """  # noqa: S608


def _rights(answer: pipeline.Row) -> tuple[str, frozenset[str]]:
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
