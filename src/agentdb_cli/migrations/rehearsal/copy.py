"""A copy of a database's schema, without rows, in a scratch database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from agentdb_cli.migrations import dump, history, unfinished
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.statements import Statement, parse
from agentdb_cli.postgres.connect import Connection

_NAMES_EXTENSION = re.compile(
    r"(?:CREATE|COMMENT ON) EXTENSION (?:IF NOT EXISTS )?(\"[^\"]+\"|\w+)"
)
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of a copy.

    Attributes:
        lacking: extensions of the database that the scratch server does not have.
        refused: statements that the scratch server refused, with the reason.
    """

    lacking: tuple[str, ...]
    refused: tuple[str, ...]


def schema_of(live: Connection, job: Job, lock_timeout: int) -> str:
    """The schema as a script, with what has been applied.

    Raises:
        AgentdbError: as `dump.dump`.
    """
    return dump.dump(live, job.table, lock_timeout)


def copy(script: str, live: Connection, scratch: Connection, job: Job) -> Copied:
    """Fill an empty database with a schema and its history.

    Args:
        script: from `schema_of`.
        live: where it comes from; only read.
        scratch: in autocommit mode.
    """
    lacking = _lacking(live, scratch)
    refused: list[str] = []
    scratch.execute("SET synchronous_commit = off")
    for statement in parse(script).statements:
        named = _NAMES_EXTENSION.match(statement.text)
        if named and named[1].strip('"') in lacking:
            continue
        try:
            scratch.execute(statement.text.encode())
        except psycopg.errors.DuplicateSchema:
            pass  # public, which every database has
        except psycopg.Error as error:
            refused.append(f"{_first(statement)}: {error.diag.message_primary}")
    scratch.execute("RESET ALL")
    history.create(scratch, job.table)
    _copy_unfinished(live, scratch, job)
    return Copied(tuple(sorted(lacking)), tuple(refused))


@contextmanager
def roles_for(
    live: Connection, server: Connection, script: str, files: Sequence[Prepared]
) -> Iterator[tuple[str, ...]]:
    """Have the roles that schema and files name on the scratch server as well, until the end.

    They may not log in. Yields those that could not be made.
    """
    texts = (script, *(prepared.body.text for prepared in files))
    wanted = [name for name in sorted(_roles(live) - _roles(server)) if _is_named(name, texts)]
    made: list[str] = []
    for name in wanted:
        try:
            server.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))
            made.append(name)
        except psycopg.errors.InsufficientPrivilege:
            break
        except psycopg.errors.DuplicateObject:
            pass  # of another rehearsal at the same time
    try:
        yield tuple(name for name in wanted if name not in made)
    finally:
        for name in made:
            with suppress(psycopg.errors.DependentObjectsStillExist):  # of another rehearsal
                server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def _lacking(live: Connection, scratch: Connection) -> set[str]:
    used = live.execute("SELECT extname::text FROM pg_catalog.pg_extension").fetchall()
    there = scratch.execute("SELECT name::text FROM pg_catalog.pg_available_extensions").fetchall()
    return {str(row[0]) for row in used} - {str(row[0]) for row in there}


def _copy_unfinished(live: Connection, scratch: Connection, job: Job) -> None:
    table = job.table.unfinished
    scratch.execute(history.statement("history/unfinished_create", table))
    columns = "version, name, state, done, begun, leaves, error, started_at"
    for row in unfinished.read(live, job).values():
        scratch.execute(
            f"INSERT INTO {table.quoted} (pack, {columns}, tool_version)"  # noqa: S608
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, '')".encode(),
            (job.pack, *row),
        )


def _roles(connection: Connection) -> set[str]:
    rows = connection.execute(
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'"
    ).fetchall()
    return {str(row[0]) for row in rows}


def _is_named(name: str, texts: Sequence[str]) -> bool:
    pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
    return any(pattern.search(text) for text in texts)


def _first(statement: Statement) -> str:
    line = " ".join(statement.text[:400].split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1].rstrip() + "…"
