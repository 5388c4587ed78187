"""Making a partition, and moving the rows into it that have landed in the default partition.

All of it is one transaction, so that what fails leaves nothing behind. The
new table is empty or filled in the same transaction: nothing of it is scanned
that was not just written.

Where rows move, and where rows of the range may arrive meanwhile, the parent is
locked ACCESS EXCLUSIVE, more than ATTACH PARTITION asks for. A session that came
to wait at the default partition alone would go on with the partitions it knew
before: a reader would miss the moved rows, and a writer's row be refused.

pg_partman has the choice between one long transaction and batches between which
readers miss rows (partition_data_async). Readers come first here: there is only
the transaction, and one that would hold the lock for long needs consent.

A transaction with a snapshot from before (REPEATABLE READ) finds moved rows only
if it looks into the default partition, which the planner may leave out. Such ones
that idle are waited for; those that are running a statement cannot be told from
others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import holders, locks
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.model import Model, Source, model_of, source_of
from agentdb_cli.retention.upkeep import Plan, Step

LONGEST_LOCK = 1.0
"""Seconds for which a table may be locked without consent."""

_SAMPLE = 2_000
"""Rows that are copied to see how fast that is; so few take no time themselves."""


class _Overtaken(Exception):
    """A session still sees the database as it was; the argument says which."""


@dataclass
class Maker:
    """Makes the partitions of one table.

    Attributes:
        lock_timeout: milliseconds to spend on a lock, over all attempts.
    """

    connection: Connection
    plan: Plan
    lock_timeout: int
    model: Model = field(init=False)
    source: Source | None = field(init=False)
    _rate: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        table = self.plan.table
        self.model = model_of(self.connection, table.sibling)
        self.source = source_of(self.connection, table.default)

    def problem(self, step: Step) -> str | None:
        """Why a step cannot be done, or None."""
        return self.source.problem if step.rows and self.source is not None else None

    def seconds(self, step: Step) -> float:
        """How long a step will hold its locks, about; a few rows are copied to see it."""
        known = 2 * self.plan.scan if step.rows else self.plan.scan
        if step.rows <= _SAMPLE or self.source is None:
            return known
        if self._rate is None:
            self._rate = self._sample(self.source)
        return known + step.rows * self._rate

    def _sample(self, source: Source) -> float:
        """Seconds that a row takes to be copied with its index entries; nothing is kept of it."""
        table = self.plan.table
        trial = f"{identifier(table.schema)}.{identifier('agentdb trial')}"
        columns = ", ".join(source.columns)
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(
                f"CREATE TABLE {trial} (LIKE {table.quoted}"
                " INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING INDEXES)".encode()
            )
            begun = time.monotonic()
            self.connection.execute(
                f"INSERT INTO {trial} ({columns})"  # noqa: S608
                f" SELECT {columns} FROM ONLY {source.quoted} LIMIT {_SAMPLE}".encode()
            )
            return (time.monotonic() - begun) / _SAMPLE

    def make(self, step: Step, *, at_leisure: bool = False) -> int:
        """Make a partition, and move its rows into it.

        Args:
            at_leisure: whether the locks may be held for longer than `LONGEST_LOCK`.

        Returns:
            The rows that were moved.

        Raises:
            AgentdbError: it could not be made; nothing was changed.
        """
        moving = step.rows > 0
        try:
            try:
                return self._locking(step, moving=moving, at_leisure=at_leisure)
            except psycopg.errors.CheckViolation:
                # A row of this range has come into the default partition since it was counted.
                if moving or self.source is None or self.source.problem:
                    raise
                return self._locking(step, moving=True, at_leisure=at_leisure)
        except psycopg.errors.QueryCanceled:
            raise AgentdbError(
                f"took longer than the {LONGEST_LOCK:g} s for which the table may be locked",
                hint="--yes lets it take its time: do that when the application is idle",
            ) from None
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            raise self._failed(step, error) from None

    def _locking(self, step: Step, *, moving: bool, at_leisure: bool) -> int:
        return locks.patiently(
            lambda: self._attempt(step, moving=moving, at_leisure=at_leisure),
            self.lock_timeout,
            self._locked,
            also=(_Overtaken,),
        )

    def _attempt(self, step: Step, *, moving: bool, at_leisure: bool) -> int:
        table, run = self.plan.table, self.connection.execute
        new = f"{identifier(table.schema)}.{identifier(step.name)}"
        arriving = table.default is not None and step.days.lower <= table.today
        mode = "ACCESS EXCLUSIVE" if moving or arriving else "SHARE UPDATE EXCLUSIVE"
        ends = None if at_leisure else time.monotonic() + 2 * LONGEST_LOCK
        moved = 0
        with self.connection.transaction():
            run(b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
            run(
                f"SET LOCAL lock_timeout = {locks.AT_MOST}; SET LOCAL row_security = off;"
                f" LOCK TABLE ONLY {table.quoted} IN {mode} MODE".encode()
            )
            self._until(ends)
            run("; ".join(self._creation(new)).encode())
            if moving and self.source is not None:
                self._refuse_old_snapshots()
                moved = self._move(self.source, step, new, ends)
            self._until(ends)
            lower, upper = table.bound(step.days.lower), table.bound(step.days.upper)
            run(
                f"ALTER TABLE {table.quoted} ATTACH PARTITION {new}"
                f" FOR VALUES FROM ({lower}) TO ({upper})".encode()
            )
            self._identify(new)
        return moved

    def _until(self, ends: float | None) -> None:
        """Have the statements that follow end before a moment."""
        left = 0 if ends is None else max(round((ends - time.monotonic()) * 1000), 1)
        self.connection.execute(f"SET LOCAL statement_timeout = {left}".encode())

    def _creation(self, new: str) -> list[str]:
        """What makes the table: like its parent, and like its newest sibling."""
        table, model = self.plan.table, self.model
        compression = (
            " INCLUDING COMPRESSION" if self.connection.info.server_version >= 140_000 else ""
        )
        text = f"CREATE {'UNLOGGED ' if model.unlogged else ''}TABLE {new} (LIKE {table.quoted}"
        text += " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE"
        text += f"{compression})"
        if model.access_method:
            text += f" USING {identifier(model.access_method)}"
        if model.options:
            text += f" WITH ({', '.join(model.options)})"
        if model.tablespace:
            text += f" TABLESPACE {identifier(model.tablespace)}"
        alter = f"ALTER TABLE {new}"
        statements = [text, f"{alter} OWNER TO {identifier(table.owner)}"]
        if model.row_security:
            statements.append(f"{alter} ENABLE ROW LEVEL SECURITY")
        if model.forced:
            statements.append(f"{alter} FORCE ROW LEVEL SECURITY")
        identity = {"f": "FULL", "n": "NOTHING"}.get(model.replica_identity)
        if identity:
            statements.append(f"{alter} REPLICA IDENTITY {identity}")
        return [*statements, *(grant.replace("%s", new, 1) for grant in model.grants)]

    def _move(self, source: Source, step: Step, new: str, ends: float | None) -> int:
        """Move the rows of a range out of the default partition; no trigger notices."""
        table = self.plan.table
        enable = {"O": "ENABLE TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}
        alter = f"ALTER TABLE {source.quoted}"
        off = [f"{alter} DISABLE TRIGGER {each[1:]}" for each in source.triggers]
        on = [f"{alter} {enable[each[0]]} {each[1:]}" for each in source.triggers]
        for statement in off:
            self.connection.execute(statement.encode())
        columns = ", ".join(source.columns)
        self._until(ends)
        moved = self.connection.execute(
            f"WITH moved AS (DELETE FROM ONLY {source.quoted} AS t"  # noqa: S608
            f" WHERE {table.within(step.days, 't')} RETURNING {columns})"
            f" INSERT INTO {new} ({columns}) SELECT {columns} FROM moved".encode()
        ).rowcount
        for statement in on:
            self.connection.execute(statement.encode())
        return moved

    def _refuse_old_snapshots(self) -> None:
        row = self.connection.execute(query("retention/upkeep_snapshots").encode()).fetchone()
        if row is not None:
            raise _Overtaken(f"pid {row[0]} ({row[1]})")

    def _identify(self, new: str) -> None:
        """Give the new partition the replica identity index that its sibling has."""
        if self.model.identity_index is None:
            return
        row = self.connection.execute(
            "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_inherits AS i"
            " JOIN pg_catalog.pg_index AS x ON x.indexrelid = i.inhrelid"
            " JOIN pg_catalog.pg_class AS c ON c.oid = x.indexrelid"
            " WHERE i.inhparent = %s::bigint::oid AND x.indrelid = %s::regclass",
            (self.model.identity_index, new),
        ).fetchone()
        if row is not None:
            self.connection.execute(
                f"ALTER TABLE {new} REPLICA IDENTITY USING INDEX {row[0]}".encode()
            )

    def _locked(self, error: Exception) -> AgentdbError:
        seconds = self.lock_timeout / 1000
        if isinstance(error, _Overtaken):
            return AgentdbError(
                f"{error} is idle in a transaction that would not find the moved rows;"
                f" it did not end within {seconds:g} s",
                hint="run it again when that session is done, or with a longer --lock-timeout",
            )
        table = self.plan.table
        oids = [table.oid] if table.default is None else [table.oid, table.default.oid]
        who = next(
            (
                holders.locked_by(self.connection, oid, exclusive=True)
                for oid in oids
                if holders.of_lock(self.connection, oid, exclusive=True)
            ),
            "locked, or a table that it refers to is",
        )
        return AgentdbError(
            f"{table.name} is {who}; the lock was not to be had within {seconds:g} s",
            hint="run it again when those sessions are done, or with a longer --lock-timeout",
        )

    def _failed(self, step: Step, error: psycopg.Error) -> AgentdbError:
        said = error.diag.message_primary or str(error).strip()
        hint = error.diag.message_hint
        if isinstance(error, psycopg.errors.DuplicateTable):
            said = f"a table {self.plan.table.schema}.{step.name} exists, but is no partition of it"
            hint = "rename it, drop it, or attach it yourself"
        return AgentdbError(said, hint=hint)
