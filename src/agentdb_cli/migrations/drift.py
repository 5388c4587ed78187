"""How a live database differs from what its migrations make, and which of them it has seen.

The migrations are applied to a scratch database; its catalog is what the live
one is compared with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from agentdb_cli.migrations import runner
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.prepare import prepare
from agentdb_cli.postgres.catalog import Catalog, Difference, Key, compare, snapshot
from agentdb_cli.postgres.connect import Connection


class Seen(StrEnum):
    """Whether a database shows the effects of a migration."""

    yes = "seen"
    no = "not seen"
    partly = "partly"
    unknown = "no trace"  # later migrations have replaced all that it did


@dataclass(frozen=True, slots=True)
class Trace:
    """What a database shows of one migration.

    Attributes:
        effects: how many objects the migration makes or changes, and how many
            it drops that are there, without those that a later one touches.
        lacking: the objects among them that are not as the migration leaves them.
    """

    file: MigrationFile
    seen: Seen
    effects: int
    lacking: tuple[Key, ...]


def differences(live: Connection, scratch: Connection, job: Job) -> tuple[Difference, ...]:
    """What the job's migrations make and the live database lacks, has otherwise, or has more.

    Args:
        live: the database in question; only read.
        scratch: an empty database; the migrations are applied to it.

    Raises:
        MigrationError: a migration fails on the scratch database.
    """
    expected = final_catalog(live, scratch, job)
    # Schemas that the migrations do not touch are somebody else's affair.
    schemas = {key.schema for key in expected}
    actual = {k: v for k, v in _catalog(live, job).items() if k.schema in schemas}
    return compare(*(_comparable(catalog, live, scratch) for catalog in (expected, actual)))


def final_catalog(live: Connection, scratch: Connection, job: Job) -> Catalog:
    """What the job's migrations make, all of them that the live server could apply."""
    files = _possible(live, job)
    directory = job.directory._replace(files=files, ignored=())
    runner.migrate(scratch, replace(job, directory=directory), runner.Progress())
    return _catalog(scratch, job, _lacking(live, scratch))


def detect(live: Connection, scratch: Connection, job: Job) -> tuple[Trace, ...]:
    """Which migrations a database has seen that has no history of them.

    A migration is recognised by what it does to the catalog, and by that part
    of it alone which no later migration touches again.

    Args:
        live: the database in question; only read.
        scratch: an empty database; the migrations are applied to it.

    Raises:
        MigrationError: a migration fails on the scratch database.
    """
    actual = _comparable(_catalog(live, job), live, scratch)
    before: Catalog = {}
    effects: list[tuple[MigrationFile, Catalog, set[Key]]] = []
    for file, state in _states(live, scratch, job):
        after = _comparable(state, live, scratch)
        touched = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        effects.append((file, after, touched))
        before = after
    traces: list[Trace] = []
    later: set[Key] = set()
    for file, after, touched in reversed(effects):
        lasting = touched - later
        # That a dropped object is not there says nothing: it may never have been.
        made = {key for key in lasting if key in after}
        kept = {key for key in lasting - made if key in actual}
        lacking = {key for key in made if actual.get(key) != after[key]} | kept
        seen = _seen(len(made) + len(kept), len(lacking))
        traces.append(Trace(file, seen, len(made) + len(kept), tuple(sorted(lacking))))
        later |= touched
    return _without_gaps(tuple(reversed(traces)))


def _seen(effects: int, lacking: int) -> Seen:
    if effects == 0:
        return Seen.unknown
    if lacking == 0:
        return Seen.yes
    return Seen.no if lacking == effects else Seen.partly


def _without_gaps(traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
    """A migration without a trace was seen if one that follows it was."""
    last = max((i for i, trace in enumerate(traces) if trace.seen is Seen.yes), default=-1)
    return tuple(
        replace(trace, seen=Seen.yes if i < last else Seen.no)
        if trace.seen is Seen.unknown
        else trace
        for i, trace in enumerate(traces)
    )


def _states(
    live: Connection, scratch: Connection, job: Job
) -> Iterator[tuple[MigrationFile, Catalog]]:
    """Apply the files one by one; each with the catalog after it."""
    files, without = _possible(live, job), _lacking(live, scratch)
    for number, file in enumerate(files, start=1):
        directory = job.directory._replace(files=files[:number], ignored=())
        runner.migrate(scratch, replace(job, directory=directory), runner.Progress())
        yield file, _catalog(scratch, job, without)


def _possible(live: Connection, job: Job) -> tuple[MigrationFile, ...]:
    """The files without those that need an extension which the live server does not have.

    What they make cannot be there.
    """
    available = runner.available_extensions(live)
    return tuple(
        file
        for file in job.directory.files
        if available.issuperset(prepare(file, job.variables).extensions)
    )


def _lacking(live: Connection, scratch: Connection) -> set[str]:
    """The extensions that the scratch server has and the live one does not."""
    return runner.available_extensions(scratch) - runner.available_extensions(live)


def _comparable(catalog: Catalog, live: Connection, scratch: Connection) -> Catalog:
    """The catalog without the text of views, if the servers write it differently."""
    majors = {connection.info.server_version // 10_000 for connection in (live, scratch)}
    return catalog if len(majors) == 1 else {k: v for k, v in catalog.items() if k.kind != "view"}


def _catalog(connection: Connection, job: Job, without: Collection[str] = ()) -> Catalog:
    own = [str(job.table), str(job.table.unfinished)]
    return snapshot(connection, job.home, ignore=own, without=without)
