"""The schema of a database as text that is the same wherever the schema is the same."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

from agentdb_cli.errors import AgentdbError
from agentdb_cli.migrations import history
from agentdb_cli.migrations.history import Applied, Table
from agentdb_cli.migrations.statements import parse
from agentdb_cli.postgres import programs
from agentdb_cli.postgres.connect import Connection, is_pooled
from agentdb_cli.postgres.quoting import literal

_HEADER = """\
-- The schema of the database, as its migrations have made it: written by agentdb migrate dump.
-- Not to be edited. Without owners, privileges and tablespaces, which differ from server to server.

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SELECT pg_catalog.set_config('search_path', '', false);
"""

# pg_dump begins with settings, and each object with such a comment.
_FIRST_OBJECT = re.compile(r"^--\n-- Name: ", re.MULTILINE)
_END = "--\n-- PostgreSQL database dump complete\n"
_HEAP = "SET default_table_access_method = heap"
_ACCESS_METHOD = "SET default_table_access_method = "

_OPTIONS = (
    "--schema-only",
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-subscriptions",  # they hold connection strings
    "--no-security-labels",
    "--encoding=UTF8",
    "--no-password",
)


def dump(connection: Connection, table: Table, lock_timeout: int) -> str:
    """The schema of a database, and at its end what has been applied.

    Args:
        table: the tracking table.
        lock_timeout: longest wait for a table's lock, milliseconds.

    Raises:
        AgentdbError: there is a pooler in between, no pg_dump is new enough,
            it fails, or migrations are being applied.
    """
    if is_pooled(connection):
        raise AgentdbError(
            "a schema cannot be dumped through a connection pooler",
            hint="connect to the server itself: --url with its own host and port",
        )
    before = _history(connection, table)
    text = _pg_dump(connection, lock_timeout, without=table.unfinished)
    if _history(connection, table) != before:
        raise AgentdbError("migrations were applied while the schema was read", hint="run it again")
    return canonical(text) + "".join(_insertions(table, before))


def canonical(text: str) -> str:
    """A script of pg_dump without what differs from machine to machine and from run to run.

    That is: versions, settings, the random key of \\restrict, and runs of empty lines.
    """
    first = _FIRST_OBJECT.search(text)
    if first is None:
        return _HEADER
    body = text[first.start() : text.rfind(_END)]
    script = parse(body)
    # With another access method than heap about, each of these settings means something.
    methods = {s.text for s in script.statements if s.text.startswith(_ACCESS_METHOD)}
    noise = {_HEAP} if methods == {_HEAP} else set()
    pieces, position = [_HEADER, "\n"], 0
    for statement in script.statements:
        gap = body[position : statement.start]
        position = statement.end + 1  # after the semicolon
        if statement.text not in noise:
            pieces += (gap, statement.text, ";")
        else:
            pieces.append(gap.rstrip("\n"))
    pieces.append(body[position:].rstrip("\n"))
    return _without_gaps(pieces) + "\n"


def _without_gaps(pieces: list[str]) -> str:
    """The pieces in one, with at most one empty line between two statements."""
    gaps = [
        re.sub(r"\n{3,}", "\n\n", piece) if piece.startswith("\n") else piece for piece in pieces
    ]
    return "".join(gaps)


def _pg_dump(connection: Connection, lock_timeout: int, without: Table) -> str:
    major = connection.info.server_version // 10_000
    found = programs.find(major, ["pg_dump"], tls=programs.uses_tls(connection))
    done = subprocess.run(
        [
            found.path("pg_dump"),
            *_OPTIONS,
            f"--lock-wait-timeout={lock_timeout}",
            f"--exclude-table={without.quoted}",  # only some databases have it
            f"--dbname={programs.conninfo(connection)}",
        ],
        capture_output=True,
        check=False,
        # The bounds of partitions are written in the session's time zone.
        env={**programs.environment(connection), "PGTZ": "UTC"},
    )
    if done.returncode != 0:
        error = done.stderr.decode(errors="replace").strip()
        if "statement timeout" in error and "LOCK TABLE" in error:
            raise AgentdbError(
                f"pg_dump waited longer than {lock_timeout} ms for the lock of a table",
                hint="run it again, or with a longer --lock-timeout",
            )
        lines = error.splitlines()
        said = "".join(f"\n  {line}" for line in lines[:10])
        raise AgentdbError(f"pg_dump {found.version} failed:{said}")
    return done.stdout.decode()


def _history(connection: Connection, table: Table) -> dict[str, tuple[Applied, ...]]:
    packs = history.packs(connection, table)
    return {pack: history.read(connection, table, pack) for pack in packs}


def _insertions(table: Table, applied: dict[str, tuple[Applied, ...]]) -> Iterator[str]:
    """Statements that tell a database made from the script what it need not apply."""
    if applied:
        yield "\n--\n-- Applied migrations\n--\n\n"
    for pack in sorted(applied):
        for row in applied[pack]:
            variables = json.dumps(dict(row.variables), sort_keys=True)
            values = (pack, str(row.version), row.name, row.checksum, "0", "schema.sql", variables)
            yield (  # every part is quoted
                f"INSERT INTO {table.quoted} "  # noqa: S608
                "(pack, version, name, checksum, duration, tool_version, variables) "
                f"VALUES ({', '.join(literal(value) for value in values)});\n"
            )
