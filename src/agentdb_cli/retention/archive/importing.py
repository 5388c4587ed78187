"""Putting archived rows back: what there is to do, whether it is whole, and doing it.

A part goes back in one transaction. Its id is in the manifest before it commits, so that a
run that was killed is picked up where it stood, even when no key tells rows apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.archive import columns, encoding, fate, files, reading, recovery, target
from agentdb_cli.retention.archive.manifest import (
    NAME,
    Import,
    ImportState,
    Manifest,
    Part,
    State,
    target_key,
)
from agentdb_cli.retention.archive.target import Target

Notice = Callable[[str], None]

_STAGING = "pg_temp.agentdb_import"


@dataclass(frozen=True, slots=True)
class Step:
    """A part that is to be put back.

    Attributes:
        uncertain: its rows may be in the table already.
    """

    part: Part
    path: Path
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be put back into one table.

    Attributes:
        skipped: how many parts were put back before.
        added: columns that have come since; their rows get the defaults.
    """

    manifest: Manifest
    target: Target
    steps: tuple[Step, ...]
    skipped: int
    added: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows there are to put back."""
        return sum(step.part.rows for step in self.steps)

    @property
    def may_repeat(self) -> bool:
        """Whether rows might come in twice, as no key tells them apart."""
        return not self.target.key and any(step.uncertain for step in self.steps)


@dataclass(frozen=True, slots=True)
class Done:
    """What was put back into one table.

    Attributes:
        present: rows that were there already, by key.
        in_default: rows that went to a default partition.
    """

    table: str
    parts: int
    rows: int
    inserted: int
    present: int
    in_default: int


@contextmanager
def opened(directory: Path, table: str | None, *, locked: bool) -> Iterator[list[Manifest]]:
    """The manifests of all tables below a directory, or of one.

    Args:
        directory: what `--archive` named, or one table's directory in it.
        table: `schema.table`, or None for all.
        locked: keep other processes out meanwhile.

    Raises:
        AgentdbError: there is no archive, or none of that table, or another process is
            at work on it.
    """
    places = sorted(path.parent for path in (*directory.glob(NAME), *directory.glob(f"*/{NAME}")))
    found = [manifest for manifest in map(Manifest, places) if manifest.header]
    if not found:
        raise AgentdbError(
            f"there is no archive in {directory}", hint="name the directory of purge --archive"
        )
    names = [manifest.header.name for manifest in found if manifest.header]
    if table is not None:
        if table not in names:
            raise AgentdbError(
                f"there is no archive of {table} in {directory}{nearest(table, names)}",
                hint=f"tables: {', '.join(names)}",
            )
        found = [found[names.index(table)]]
    with ExitStack() as stack:
        if locked:
            for manifest in found:
                stack.callback(files.Lock(manifest.directory).release)
            # Read again: until now another process may have written.
            found = [Manifest(manifest.directory) for manifest in found]
        yield found


def plan(
    connection: Connection,
    manifests: Sequence[Manifest],
    *,
    into: str | None,
    again: bool,
    notice: Notice,
) -> list[Job]:
    """What is to be put back, tables that others refer to first. Nothing is changed.

    Args:
        into: the table for the rows instead of their own; only for one manifest.
        again: also parts that were put back before.

    Raises:
        AgentdbError: a table or a column is missing, a transaction of a killed run is
            open, or pyarrow is missing.
    """
    here = fate.server(connection)
    jobs = [_job(connection, here, manifest, into, again, notice) for manifest in manifests]
    order = target.in_order(connection, [job.target.oid for job in jobs])
    return sorted(jobs, key=lambda job: order.index(job.target.oid))


def _job(
    connection: Connection,
    here: fate.Server,
    manifest: Manifest,
    into: str | None,
    again: bool,
    notice: Notice,
) -> Job:
    assert manifest.header is not None
    table = target.find(connection, manifest.header, into)
    key = target_key(here.cluster, table.database_oid, table.oid)
    steps: list[Step] = []
    added: dict[str, None] = {}
    skipped = 0
    for record in manifest.records.values():
        part, state = record.part, record.state
        if state is State.written:
            state = recovery.state_of(connection, manifest, here, part, notice)
        if state is State.aborted:
            continue
        before = _before(connection, here, record.imports.get(key), notice)
        if before is ImportState.imported and not again:
            skipped += 1
            continue
        encoding.require(part.format)
        added |= dict.fromkeys(table.check(part))
        uncertain = state is State.doubtful or before is not None
        steps.append(Step(part, manifest.directory / part.name, uncertain))
    return Job(manifest, table, tuple(steps), skipped, tuple(added))


def _before(
    connection: Connection, here: fate.Server, last: Import | None, notice: Notice
) -> ImportState | None:
    """How far an earlier import of a part came; None for not at all."""
    if last is None or last.state is ImportState.imported:
        return last.state if last else None
    origin = fate.Server(here.cluster, last.timeline)
    match fate.of(connection, here, last.xid, origin, notice):
        case fate.Fate.committed:
            return ImportState.imported
        case fate.Fate.aborted:
            return None
        case fate.Fate.unknown:
            return ImportState.importing


def verify(jobs: Sequence[Job]) -> None:
    """Make sure that all parts are as they were written.

    Raises:
        AgentdbError: one is missing or damaged.
    """
    for job in jobs:
        for step in job.steps:
            reading.verify(step.path, step.part)


def run(connection: Connection, job: Job, tell: Callable[[Step], None]) -> Done:
    """Put the rows of a job back, a transaction a part.

    Args:
        connection: outside a transaction.
        tell: called after each part.

    Raises:
        AgentdbError: the server refuses a row; parts before that one stay.
    """
    here = fate.server(connection)
    inserted = in_default = 0
    for step in job.steps:
        try:
            new, defaulted = _put_back(connection, here, job, step)
        except psycopg.Error as error:
            raise _refusal(job, step, error) from None
        inserted, in_default = inserted + new, in_default + defaulted
        tell(step)
    present = job.rows - inserted
    return Done(job.target.name, len(job.steps), job.rows, inserted, present, in_default)


def _put_back(connection: Connection, here: fate.Server, job: Job, step: Step) -> tuple[int, int]:
    """Put one part back; how many rows were new, and how many of them went to a default."""
    part, table = step.part, job.target
    key = target_key(here.cluster, table.database_oid, table.oid)
    with connection.transaction():
        connection.execute(query("retention/archive_settings").encode())
        staging = columns.staging(part.format, part.columns, dict(table.types))
        connection.execute(f"CREATE TEMP TABLE agentdb_import ({staging}) ON COMMIT DROP".encode())
        _copy_in(connection, step)
        row = connection.execute(_insert(part, table).encode()).fetchone()
        new, defaulted = cast(tuple[int, int], row)
        xid = fate.current_xid(connection)
        begun = Import(ImportState.importing, xid, here.timeline)
        job.manifest.mark_import(part, key, begun)
    done = Import(ImportState.imported, xid, here.timeline)
    job.manifest.mark_import(part, key, done, table=table.name, inserted=new)
    return new, defaulted


def _copy_in(connection: Connection, step: Step) -> None:
    options = columns.COPY_OPTIONS[step.part.format]
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY {_STAGING} FROM STDIN ({options})".encode()) as copy:
            for block in reading.blocks(step.path, step.part.format):
                copy.write(block)
        if cursor.rowcount != step.part.rows:
            raise AgentdbError(
                f"{step.path}: the server read {cursor.rowcount} rows instead of {step.part.rows}",
                hint="nothing of this part was put back",
            )


def _insert(part: Part, table: Target) -> str:
    names = ", ".join(identifier(column.name) for column in part.columns)
    rows = columns.selection(part.format, part.columns, dict(table.types), _STAGING)
    # The key alone: a row that another unique index refuses is an error, not "there already".
    key = ", ".join(map(identifier, table.key))
    conflict = f"ON CONFLICT ({key}) DO NOTHING" if key else ""
    defaults = ",".join(map(str, table.defaults))
    return (
        f"WITH put AS (INSERT INTO {table.name} ({names}) OVERRIDING SYSTEM VALUE {rows} "  # noqa: S608
        f"{conflict} RETURNING tableoid) SELECT count(*), "
        f"count(*) FILTER (WHERE tableoid = ANY ('{{{defaults}}}'::oid[])) FROM put"
    )


def _refusal(job: Job, step: Step, error: psycopg.Error) -> AgentdbError:
    said = error.diag.message_primary or str(error).strip()
    detail = f"\n  detail: {error.diag.message_detail}" if error.diag.message_detail else ""
    hint = error.diag.message_hint
    if isinstance(error, psycopg.errors.ForeignKeyViolation):
        hint = "put back the rows that these refer to first, or make them"
    elif isinstance(error, psycopg.errors.CheckViolation) and "no partition" in said:
        hint = (
            f"make the partition: CREATE TABLE … PARTITION OF {job.target.name} FOR VALUES "
            "FROM (…) TO (…); or one for all such rows: … DEFAULT"
        )
    elif isinstance(error, psycopg.errors.UniqueViolation):
        hint = "another row has this value now: change one of them, or use --into schema.table"
    return AgentdbError(
        f"{step.path} cannot go back into {job.target.name}: {said}{detail}\n"
        "  nothing of this file was put back; a file before it, if any, stays and is marked",
        hint=hint,
    )
