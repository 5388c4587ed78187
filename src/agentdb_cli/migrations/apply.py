"""One migration to the server: BEGIN, the file, its tracking row and COMMIT in one message."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import generators
from psycopg.pq import ExecStatus, TransactionStatus

from agentdb_cli.errors import AgentdbError, MigrationError
from agentdb_cli.migrations.blockers import Watch
from agentdb_cli.migrations.failure import Place, explain
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lock import Turn
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.postgres import advisory, locks
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier, literal

_BUSY, _APPLIED = "AGDB2", "AGDB3"  # SQLSTATEs of our own

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Done:
    """One file that this run has applied; `seconds` is the time it took."""

    file: MigrationFile
    seconds: float


@dataclass
class Applier:
    """What the files of one run are applied with.

    Attributes:
        before: how many files this run has applied, for messages.
    """

    connection: Connection
    job: Job
    turn: Turn
    watch: Watch
    notice: Callable[[str], None]
    before: int = 0

    def apply(self, prepared: Prepared) -> Done | None:
        """Apply one file in a transaction.

        Returns:
            None if another run has applied (or undone) it meanwhile.

        Raises:
            MigrationError: the server refused it, and nothing of it was kept;
                or a lock was not to be had; or the connection was lost.
        """
        opening = self._opening(prepared)
        prefix = "".join(f"{statement};" for statement in opening)
        message = prefix + prepared.rest(self.job.table, self.job.pack)
        done = 0

        def attempt() -> Done | None:
            nonlocal done
            started = time.monotonic()
            results = self.send(message, prepared)
            if results[-1].status != ExecStatus.FATAL_ERROR:
                return Done(prepared.file, time.monotonic() - started)
            # Not counted: what the opening holds, and the failure itself.
            done = len(results) - len(opening) - 1
            raise self.refusal(results[-1])

        def failed(error: psycopg.Error, further: tuple[str, ...] = ()) -> MigrationError:
            return explain(error, Place(prepared, prefix, done), self.before, further)

        self.turn.begin_anew()
        while True:
            try:
                return self.patiently(attempt, prepared.file.label, failed)
            except psycopg.Error as error:
                if error.sqlstate != _BUSY:
                    if error.sqlstate == _APPLIED or self._is_applied(prepared):
                        return None
                    raise failed(error) from error
            self.turn.wait()

    def patiently(
        self,
        attempt: Callable[[], Result],
        label: str,
        failed: Callable[[psycopg.Error, tuple[str, ...]], MigrationError],
    ) -> Result:
        """Attempt something, and again when it did not get a lock.

        Between two attempts nobody waits behind us. From the second one on, or if
        there is none, a second connection looks who has the lock.
        """
        attempts = 0
        self.watch.seen = ()

        def watched() -> Result:
            nonlocal attempts
            attempts += 1
            blind = attempts == 1 and self.job.lock_retries > 0
            with nullcontext() if blind else self.watch.looking():
                return attempt()

        def again() -> None:
            if attempts == 1:
                self.notice(f"{label} did not get a lock; trying again")

        def given_up(error: Exception) -> AgentdbError:
            assert isinstance(error, psycopg.Error)
            tried = (f"tried {attempts} times",) if attempts > 1 else ()
            return failed(error, (*tried, *(f"blocked by {each}" for each in self.watch.seen)))

        return locks.patiently(
            watched,
            self.job.lock_retry_time,
            given_up,
            between=again,
            retries=self.job.lock_retries,
            pause=locks.back_off,
        )

    def send(self, message: str, prepared: Prepared) -> list[Any]:
        """Send several statements in one message; one result for each that was run.

        Not by a cursor, which keeps the failed statement's place in the sequence
        to itself.

        Raises:
            MigrationError: the connection was lost.
        """
        try:
            self.connection.pgconn.send_query(message.encode())
            return self.connection.wait(generators.execute(self.connection.pgconn))
        except KeyboardInterrupt:
            # psycopg has cancelled the statement and read to the end.
            self._roll_back()
            raise
        except psycopg.OperationalError as error:
            command = "agentdb migrate down" if prepared.undoes else "agentdb migrate"
            doing = "undone" if prepared.undoes else "applied"
            kept = f"{command} goes on where it was" if prepared.steps else (
                f"a file is {doing} as a whole or not at all"
            )  # fmt: skip
            raise MigrationError(
                f"the connection was lost while {prepared.file.label} was {doing}: {error}",
                hint=f"agentdb migrate status shows whether the server completed it; {kept}",
            ) from error

    def refusal(self, result: Any) -> psycopg.Error:
        """The error of a failed statement, with its transaction rolled back."""
        error = psycopg.errors.error_from_result(result)
        self._roll_back()
        return error

    def _roll_back(self) -> None:
        if self.connection.info.transaction_status is TransactionStatus.INERROR:
            self.connection.execute("ROLLBACK")

    def _opening(self, prepared: Prepared) -> list[str]:
        """What is sent before a file: its BEGIN, and settings for this transaction alone."""
        statements = [prepared.begin, f"SET LOCAL lock_timeout = {self.job.lock_timeout}"]
        if not self.turn.held:
            statements.append(self._alone(prepared))
        return statements + placing(self.job, prepared, "SET LOCAL")

    def _alone(self, prepared: Prepared) -> str:
        """Takes the lock for this transaction, and looks whether there still is something to do."""
        there = "NOT EXISTS" if prepared.undoes else "EXISTS"
        recorded = (
            f"SELECT FROM {self.job.table.quoted}"
            f" WHERE pack = {literal(self.job.pack)} AND version = {prepared.file.version}"
        )
        return (
            f"DO $agentdb$BEGIN IF NOT {advisory.condition(self.turn.name)} THEN"
            f" RAISE SQLSTATE '{_BUSY}'; END IF; IF {there} ({recorded}) THEN"
            f" RAISE SQLSTATE '{_APPLIED}'; END IF; END$agentdb$"
        )

    def _is_applied(self, prepared: Prepared) -> bool:
        """Whether another run was faster, which a snapshot from before the lock did not show."""
        if self.turn.held or self.connection.closed:
            return False
        from agentdb_cli.migrations import history

        rows = history.read(self.connection, self.job.table, self.job.pack)
        recorded = any(row.version == prepared.file.version for row in rows)
        return recorded != prepared.undoes


def placing(job: Job, prepared: Prepared, set_: str) -> list[str]:
    """Where unqualified names go; an extension goes to public, where every schema finds it too."""
    if job.schema is None:
        return []
    return [
        f"{set_} search_path = {identifier(job.schema)}, public",
        *(
            f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} SCHEMA public"
            for name in prepared.extensions
        ),
    ]
