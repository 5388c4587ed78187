"""A rehearsal: what is pending, file by file through the real runner, with a look at each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum

import psycopg

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import runner
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.forecast.levels import Mode
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.plan import State
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.rehearsal.reach import beyond
from agentdb_cli.postgres.catalog import Catalog, Difference, compare, snapshot
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_POLL = 0.001  # seconds between two looks at a session


class Outcome(StrEnum):
    """What became of a file."""

    applied = "applied"
    failed = "failed"
    left_out = "not tried"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock on a relation that was there before the file; the strongest one on it."""

    relation: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a file did.

    Attributes:
        seconds: on tables without rows.
        held: locks just before each commit, and for a file without a transaction
            also what a look every millisecond has seen, the strongest first.
        rewritten: relations that are kept in another file now: written anew, or emptied.
        changes: how the schema is different then.
        error: why it failed, or was not tried.
    """

    file: MigrationFile
    outcome: Outcome
    seconds: float | None = None
    held: tuple[Held, ...] = ()
    rewritten: tuple[str, ...] = ()
    changes: tuple[Difference, ...] = ()
    error: MigrationError | None = None


def rehearse(
    scratch: Connection,
    looker: Connection,
    job: Job,
    files: Sequence[Prepared],
    progress: runner.Progress,
    told: Callable[[Rehearsed], None],
) -> None:
    """Apply files one by one to a copy of the schema, up to the first that fails.

    Args:
        scratch: to the copy, in autocommit mode; it is changed.
        looker: a second connection to it.
        files: from `runner.check`, in order.
        told: gets what each file did.
    """
    watch(scratch, job)
    entries = runner.status(scratch, job)
    before = [e.file for e in entries if e.file is not None and e.applied is not None]
    waiting = {State.pending, State.out_of_order}
    assert {p.file.version for p in files} <= {e.version for e in entries if e.state in waiting}
    broken = False
    for number, prepared in enumerate(files, start=1):
        if broken:
            told(Rehearsed(prepared.file, Outcome.left_out))
            continue
        chosen = sorted([*before, *(p.file for p in files[:number])], key=lambda f: f.version)
        own = replace(job, directory=job.directory._replace(files=tuple(chosen), ignored=()))
        done = _file(scratch, looker, own, prepared, progress)
        broken = done.outcome is not Outcome.applied
        told(done)


def _file(
    scratch: Connection, looker: Connection, job: Job, prepared: Prepared, progress: runner.Progress
) -> Rehearsed:
    if found := beyond(prepared):
        line, words = found
        return Rehearsed(
            prepared.file,
            Outcome.left_out,
            error=MigrationError(
                f"{prepared.file.path}, line {line}: {words} reaches beyond the scratch database, "
                "so the rehearsal ends here",
                hint="apply it by hand where it may be tried; the files before it were rehearsed",
            ),
        )
    begin(scratch, job)
    before = _catalog(scratch, job)
    seconds: list[float] = []
    own = progress._replace(applied=lambda done: seconds.append(done.seconds))
    try:
        with _seen(looker, scratch, prepared) as seen:
            runner.migrate(scratch, job, own)
    except MigrationError as error:
        return Rehearsed(prepared.file, Outcome.failed, error=error)
    strongest: dict[str, Held] = {}
    for each in sorted({*held(scratch), *seen}, key=lambda lock: lock.mode):
        strongest[each.relation] = each
    return Rehearsed(
        prepared.file,
        Outcome.applied,
        sum(seconds),
        tuple(sorted(strongest.values(), key=lambda lock: (-lock.mode, lock.relation))),
        rewritten(scratch),
        compare(before, _catalog(scratch, job)),
    )


def watch(scratch: Connection, job: Job) -> None:
    """Prepare a scratch database, which has both tracking tables, for looking on."""
    text = query("migrations/rehearsal_watch").replace(":table", job.table.quoted)
    scratch.execute(text.replace(":unfinished", job.table.unfinished.quoted).encode())


def begin(scratch: Connection, job: Job) -> None:
    """Take note of what is there before a file."""
    rows = scratch.execute(
        "SELECT pg_catalog.to_regclass(%s)::oid, pg_catalog.to_regclass(%s)::oid",
        (job.table.quoted, job.table.unfinished.quoted),
    ).fetchone()
    with psycopg.ClientCursor(scratch) as cursor:  # two statements at once
        cursor.execute(query("migrations/rehearsal_known").encode(), {"own": list(rows or ())})


def held(scratch: Connection) -> tuple[Held, ...]:
    """The locks that were held before a commit since `begin`, the strongest on each relation."""
    rows = _rows(scratch, "locks")
    return tuple(Held(str(name), Mode.of(str(mode))) for name, mode in rows)


def rewritten(scratch: Connection) -> tuple[str, ...]:
    """The relations that are kept in another file than at `begin`."""
    return tuple(str(row[0]) for row in _rows(scratch, "rewrites"))


def _rows(scratch: Connection, name: str) -> list[tuple[object, ...]]:
    return scratch.execute(query(f"migrations/rehearsal_{name}").encode()).fetchall()


def _catalog(scratch: Connection, job: Job) -> Catalog:
    own = [str(job.table), str(job.table.unfinished)]
    return snapshot(scratch, job.home, ignore=own)


@contextmanager
def _seen(looker: Connection, scratch: Connection, prepared: Prepared) -> Iterator[set[Held]]:
    """What a second session sees of the locks while a file without a transaction runs."""
    seen: set[Held] = set()
    if not prepared.steps:
        yield seen
        return
    over, pid = threading.Event(), scratch.info.backend_pid
    statement = query("migrations/rehearsal_seen").encode()

    def look() -> None:
        with suppress(psycopg.Error):  # the second connection was lost: nobody looks any more
            while not over.wait(_POLL):
                for name, mode in looker.execute(statement, (pid,)).fetchall():
                    seen.add(Held(str(name), Mode.of(str(mode))))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
