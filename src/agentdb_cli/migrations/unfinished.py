"""Migrations without a transaction that are not done yet: how far each of them has come.

They stand in a table of their own. A row of the tracking table means what it always
has: applied as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, cast

import psycopg

from agentdb_cli import __version__
from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import history
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.statements import Statement
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import literal

# The tracking must work whatever role the file has taken on.
_AS_OURSELVES = 'SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL "role" TO DEFAULT'


class Unfinished(NamedTuple):
    """How far a migration has come.

    Attributes:
        state: `failed`, or `running`: also of a run that was killed.
        done: the digest of each statement that was completed.
        begun: the digest of the statement that may have been completed, too.
        leaves: the index that this statement builds, qualified and quoted.
        error: what the server said.
    """

    version: int
    name: str
    state: str
    done: list[str]
    begun: str | None
    leaves: str | None
    error: str | None
    started_at: datetime

    @property
    def described(self) -> str:
        """`failed at statement 3 (division by zero)`."""
        number = len(self.done) + 1
        if self.state == "failed":
            return f"failed at statement {number} ({self.error})"
        return f"broken off, or running, at statement {number}"


def digest(statement: Statement) -> str:
    """What tells a statement from another one."""
    return hashlib.sha256(statement.text.encode()).hexdigest()


def read(connection: Connection, job: Job) -> dict[int, Unfinished]:
    """The unfinished migrations of a job's pack, by version; none without the table."""
    wanted = history.statement("history/unfinished", job.table.unfinished, job.pack)
    try:
        rows = connection.execute(wanted).fetchall()
    except psycopg.errors.UndefinedTable:
        return {}
    except psycopg.errors.InsufficientPrivilege:
        user = connection.info.user
        raise MigrationError(
            f"the role '{user}' may not read {job.table.unfinished}",
            hint=f"GRANT SELECT, INSERT, UPDATE, DELETE ON {job.table.unfinished} TO {user};",
        ) from None
    found = (Unfinished(*row) for row in cast(list[tuple[int, str, str, list[str], str | None,
             str | None, str | None, datetime]], rows))  # fmt: skip
    return {each.version: each for each in found}


class Ledger:
    """Keeps the row of one migration."""

    def __init__(
        self, connection: Connection, job: Job, file: MigrationFile, *, undoes: bool = False
    ) -> None:
        self._connection, self._job, self._file = connection, job, file
        self._undoes = undoes
        self._table = job.table.unfinished.quoted
        self._key = f"pack = {literal(job.pack)} AND version = {file.version}"

    def open(self) -> None:
        """Make the row, and the table if need be; nothing is done yet.

        A record that is being taken back is marked, so that no run takes it for one.

        Raises:
            MigrationError: the role may not.
        """
        values = ", ".join(
            (literal(self._job.pack), str(self._file.version), literal(self._file.name),
             "'running'", literal(__version__))
        )  # fmt: skip
        try:
            with self._connection.transaction():
                table = self._job.table.unfinished
                self._connection.execute(history.statement("history/unfinished_create", table))
                self._connection.execute(
                    f"INSERT INTO {self._table} (pack, version, name, state, tool_version)"  # noqa: S608
                    f" VALUES ({values})".encode()
                )
                if self._undoes:
                    self._connection.execute(self._marked(undoing=True).encode())
        except psycopg.errors.InsufficientPrivilege as error:
            user = self._connection.info.user
            raise MigrationError(
                f"the role '{user}' may not keep track in {self._job.table.unfinished}: "
                f"{error.diag.message_primary}",
                hint=f"GRANT CREATE ON SCHEMA {self._job.table.schema} TO {user};",
            ) from None

    def running(self) -> str:
        """SQL: the migration is being run again; a statement that failed was not completed."""
        return self._update(
            "begun = CASE WHEN state = 'running' OR leaves IS NOT NULL THEN begun END,"
            " state = 'running', error = NULL"
        )

    def done(self, statement: Statement) -> str:
        """SQL for the transaction of a statement: it is completed."""
        return self._update(
            f"done = done || {literal(digest(statement))}::text, begun = NULL, leaves = NULL"
        )

    def begun(self, statement: Statement, leaves: str | None) -> str:
        """SQL, before a statement that no transaction can hold."""
        index = literal(leaves) if leaves else "NULL"
        return self._update(f"begun = {literal(digest(statement))}, leaves = {index}")

    def failed(self, error: str) -> str:
        """SQL: the statement after the completed ones failed."""
        return self._update(f"state = 'failed', error = {literal(error)}")

    def resumed(self, statements: Iterable[Statement]) -> str:
        """SQL: these statements count as completed, and none as begun."""
        digests = ", ".join(literal(digest(statement)) for statement in statements)
        return self._update(
            f"done = ARRAY[{digests}]::text[], begun = NULL, leaves = NULL, state = 'failed',"
            " error = 'resumed by hand'"
        )

    def closed(self, prepared: Prepared) -> str:
        """SQL: all is done, and the tracking table says so."""
        begun = f"(SELECT started_at FROM {self._table} WHERE {self._key})"  # noqa: S608
        return f"{prepared.record(self._job.table, self._job.pack, begun)}; {self.dropped()}"

    def restored(self) -> str:
        """SQL: nothing has been undone, and the migration is applied as before."""
        return f"{self._marked(undoing=False)}; {self.dropped()}"

    def _marked(self, *, undoing: bool) -> str:
        old = f"substr(checksum, {len(history.UNDOING) + 1})"
        new = f"{literal(history.UNDOING)} || checksum" if undoing else old
        return f"UPDATE {self._job.table.quoted} SET checksum = {new} WHERE {self._key}"  # noqa: S608

    def dropped(self) -> str:
        """SQL: nothing is unfinished."""
        return f"DELETE FROM {self._table} WHERE {self._key}"  # noqa: S608

    def write(self, change: str) -> None:
        """Make a change in a transaction of its own, whatever role the session has taken on."""
        with self._connection.transaction():
            self._connection.execute(self.in_transaction(change).encode())

    def in_transaction(self, change: str) -> str:
        """A change as the end of a transaction whose role may be another one."""
        return f"{_AS_OURSELVES}; {change}"

    def _update(self, assignments: str) -> str:
        return f"UPDATE {self._table} SET {assignments} WHERE {self._key}"  # noqa: S608
