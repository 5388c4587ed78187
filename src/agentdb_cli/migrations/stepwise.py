"""A file without a transaction: its statements one by one, each of them recorded.

A statement that a transaction can hold is in one with its record, so that both
happen or neither. For the others a mark is made before: if the record does not
follow, the statement may have been completed, and what it leaves must tell.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg.pq import ExecStatus

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import alone, new_index
from agentdb_cli.migrations.apply import Applier, Done, placing
from agentdb_cli.migrations.failure import StepPlace, explain
from agentdb_cli.migrations.prepare import RESET, Prepared, Step
from agentdb_cli.migrations.statements import line_and_column
from agentdb_cli.migrations.unfinished import Ledger, Unfinished, digest
from agentdb_cli.postgres.lost import is_lost

_NO_TRANSACTION_ALLOWED = (
    psycopg.errors.ActiveSqlTransaction,
    psycopg.errors.InvalidTransactionTermination,
)
_GONE = (psycopg.errors.UndefinedObject, psycopg.errors.InvalidCatalogName)


def apply(applier: Applier, prepared: Prepared, known: Unfinished | None) -> Done:
    """Apply one file without a transaction, from where an earlier run has come.

    Args:
        known: how far that was.

    Raises:
        MigrationError: a statement failed, which is recorded; or whether one was
            completed cannot be told; or the file is another one than it was.
    """
    started = time.monotonic()
    work = _Work(applier, prepared)
    try:
        work.run(known)
    finally:
        work.clean_up()
    return Done(prepared.file, time.monotonic() - started)


@dataclass
class _Work:
    applier: Applier
    prepared: Prepared
    ledger: Ledger = field(init=False)
    _leaves: str | None = None
    _may_be_gone: bool = False

    def __post_init__(self) -> None:
        applier = self.applier
        self.connection = applier.connection
        prepared = self.prepared
        self.ledger = Ledger(applier.connection, applier.job, prepared.file, undoes=prepared.undoes)
        own = "lock_timeout" in self.prepared.body.text.lower()
        self._timeout = None if own else applier.job.lock_timeout

    def run(self, known: Unfinished | None) -> None:
        steps, first = self.prepared.steps, 0
        if known is None:
            self.ledger.open()
        else:
            _refuse_changed(self.prepared, known)
            first = len(known.done)
            self.ledger.write(self.ledger.running())
        for statement in placing(self.applier.job, self.prepared, "SET"):
            self.connection.execute(statement.encode())
        for step in steps[:first]:
            if _sets_session(step):
                self.connection.execute(step.body.text.encode())
        for number, step in enumerate(steps[first:], start=first + 1):
            try:
                again = known if number == first + 1 else None
                if again is None or not self._is_done(number, step, again):
                    self._step(number, step)
            # Not recorded: an interrupt, which may come when the statement is just completed.
            except psycopg.Error as error:
                raise self._failed(number, step, error) from error
        self.ledger.write(self.ledger.closed(self.prepared))

    def clean_up(self) -> None:
        """Leave the session as it was, also for the files that follow."""
        with suppress(psycopg.OperationalError):  # lost: there is no session any more
            self.connection.execute(RESET.encode())

    # --- One statement ----------------------------------------------------------

    def _step(self, number: int, step: Step) -> None:
        if alone.needs_no_transaction(step.statement) is None:
            try:
                self._patiently(number, step, partial(self._in_transaction, step))
            except _NO_TRANSACTION_ALLOWED:
                pass  # nothing of it was kept
            else:
                return
        self._patiently(number, step, partial(self._by_itself, step))

    def _patiently(self, number: int, step: Step, attempt: partial[None]) -> None:
        label = f"{self.prepared.file.label}, statement {number},"
        self.applier.patiently(attempt, label, partial(self._failed, number, step))

    def _in_transaction(self, step: Step) -> None:
        prefix = self._prefix
        done = self.ledger.in_transaction(self.ledger.done(step.statement))
        self._send(f"{prefix}{step.body.text}\n;{done};COMMIT")

    @property
    def _prefix(self) -> str:
        limit = "" if self._timeout is None else f"SET LOCAL lock_timeout = {self._timeout};"
        return f"BEGIN;{limit}"

    def _by_itself(self, step: Step) -> None:
        self._drop_leftover()
        wanted = alone.new_index(step.body.text)
        there = new_index.find(self.connection, wanted) if wanted else None
        if there is not None and there.found:
            if there.own and not there.valid:
                raise MigrationError(
                    f"{self.prepared.file.label}: the index {there.qualified} exists and is "
                    "invalid, and this file has not made it",
                    hint=f"DROP INDEX CONCURRENTLY {there.qualified}; then run agentdb migrate "
                    "again",
                )
        else:
            # Marked only where what is found later must have come from here.
            self._leaves = there.qualified if there is not None else None
            self.ledger.write(self.ledger.begun(step.statement, self._leaves))
        if self._timeout is not None:
            self._wait_at_most(step)
        try:
            self._send(step.body.text)
        except _GONE:
            if not self._may_be_gone:
                raise
        self.ledger.write(self.ledger.done(step.statement))
        self._leaves, self._may_be_gone = None, False

    def _wait_at_most(self, step: Step) -> None:
        """Set the lock timeout of the session.

        What holds nobody up may wait for as long as attempts are made: it waits
        for the transactions that are older than itself, and would have to begin anew.
        """
        job = self.applier.job
        patient = alone.lets_others_pass(step.statement)
        limit = max(job.lock_timeout, job.lock_retry_time) if patient else job.lock_timeout
        self.connection.execute(f"SET lock_timeout = {limit}".encode())

    def _send(self, message: str) -> None:
        results = self.applier.send(message, self.prepared)
        if results[-1].status == ExecStatus.FATAL_ERROR:
            raise self.applier.refusal(results[-1])

    # --- After a run that was broken off ----------------------------------------

    def _is_done(self, number: int, step: Step, known: Unfinished) -> bool:
        """Whether the statement in which an earlier run ended was completed.

        Raises:
            MigrationError: nothing tells.
        """
        if known.begun is None:
            return False
        same = known.begun == digest(step.statement)
        if known.leaves is not None:
            return self._is_built(number, step, known.leaves, same=same)
        if known.state == "failed":
            return False
        label = f"{self.prepared.file.label}: statement {number}"
        if same and alone.is_repeatable(step.statement):
            self.applier.notice(f"{label} was broken off; it is run again")
            return False
        if same and step.statement.keywords[:1] == ("DROP",):
            self._may_be_gone = True
            return False
        raise self._in_doubt(number, step)

    def _is_built(self, number: int, step: Step, leaves: str, *, same: bool) -> bool:
        self._leaves = leaves
        wanted = alone.new_index(step.body.text) if same else None
        there = new_index.find(self.connection, wanted) if wanted else None
        if wanted is None or there is None or not (there.own and there.valid):
            self._drop_leftover()
            return False
        if not new_index.is_as_wanted(self.connection, wanted, there):
            raise self._in_doubt(number, step)
        self.ledger.write(self.ledger.done(step.statement))
        self._leaves = None
        self.applier.notice(
            f"{self.prepared.file.label}: the index {leaves} is complete: "
            "the server built it after the run was broken off"
        )
        return True

    def _drop_leftover(self) -> None:
        """Drop the invalid index that a broken-off statement of this file left."""
        if self._leaves is not None and new_index.is_invalid(self.connection, self._leaves):
            if self._timeout is not None:
                limit = max(self._timeout, self.applier.job.lock_retry_time)
                self.connection.execute(f"SET lock_timeout = {limit}".encode())
            self.connection.execute(f"DROP INDEX CONCURRENTLY {self._leaves}".encode())
            self.applier.notice(
                f"{self.prepared.file.label}: dropped the invalid index {self._leaves}, "
                "which a broken-off run of this file left"
            )

    def _in_doubt(self, number: int, step: Step) -> MigrationError:
        file = self.prepared.file
        again = "agentdb migrate down" if self.prepared.undoes else "agentdb migrate"
        line, _ = line_and_column(file.text, step.statement.start)
        first = step.statement.text.split("\n")[0][:100]
        return MigrationError(
            f"{file.label} was broken off in statement {number}, and nothing tells whether the "
            f"server completed it\n  in {file.path}, line {line}: {first}",
            hint=f"look whether it was done. If so: agentdb migrate resume {file.version} "
            f"--from {number + 1}; if not: agentdb migrate resume {file.version} --from {number}. "
            f"Then run {again} again",
        )

    # --- Failures ---------------------------------------------------------------

    def _failed(
        self, number: int, step: Step, error: psycopg.Error, further: tuple[str, ...] = ()
    ) -> MigrationError:
        left: tuple[str, ...] = ()
        lost = is_lost(self.connection, error)
        if not lost:
            self.ledger.write(self.ledger.failed(error.diag.message_primary or str(error)))
            if self.prepared.undoes and number == 1 and _did_nothing(step, error):
                self.ledger.write(self.ledger.restored())
        if not lost and self._leaves and new_index.is_invalid(self.connection, self._leaves):
            left = (f"left the invalid index {self._leaves}: the next run drops it",)
        together = alone.needs_no_transaction(step.statement) is None
        prefix = len(self._prefix) if together else 0
        place = StepPlace(self.prepared, step, number, prefix)
        return explain(error, place, self.applier.before, (*further, *left))


def _refuse_changed(prepared: Prepared, known: Unfinished) -> None:
    """Refuse a file whose completed statements are not its first ones any more."""
    file, now = prepared.file, [digest(step.statement) for step in prepared.steps]
    for number, done in enumerate(known.done, start=1):
        if number > len(now) or now[number - 1] != done:
            raise MigrationError(
                f"{file.path}: statement {number} is not the one that was completed before",
                hint="put it back as it was; or, if the file is right as it stands, name the "
                f"statement to go on with: agentdb migrate resume {file.version} --from NUMBER",
            )


def _did_nothing(step: Step, error: psycopg.Error) -> bool:
    """Whether nothing of a failed statement was kept.

    DROP INDEX CONCURRENTLY, cancelled, leaves the index invalid; what is refused
    for its words or for want of a right (class 42) has not begun.
    """
    together = alone.needs_no_transaction(step.statement) is None
    return together or (error.sqlstate or "").startswith("42")


def _sets_session(step: Step) -> bool:
    words = step.statement.keywords
    return words[:1] in (("SET",), ("RESET",)) and words[1:2] not in (
        ("LOCAL",),
        ("TRANSACTION",),
        ("CONSTRAINTS",),
    )
