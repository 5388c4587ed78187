"""How a live database differs from what its migrations make, and which of them it has seen.

The migrations are applied to a scratch database; its catalog is what the live
one is compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentdb_cli.migrations import runner
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.prepare import prepare
from agentdb_cli.postgres.catalog import Catalog, Change, Difference, compare, snapshot
from agentdb_cli.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Match:
    """How well a database fits the state after one migration.

    Attributes:
        file: the last migration of that state; None for the empty state.
        missing: objects of that state that the database lacks or has otherwise.
        expected: objects that the state has.
    """

    file: MigrationFile | None
    missing: tuple[Difference, ...]
    expected: int


def differences(live: Connection, scratch: Connection, job: Job) -> tuple[Difference, ...]:
    """What the job's migrations make and the live database lacks, has otherwise, or has more.

    Args:
        live: the database in question; only read.
        scratch: an empty database; the migrations are applied to it.

    Raises:
        MigrationError: a migration fails on the scratch database.
    """
    for _ in _states(scratch, _possible(live, job)):
        pass
    return compare(_catalog(scratch, job), _catalog(live, job))


def detect(live: Connection, scratch: Connection, job: Job) -> tuple[Match, ...]:
    """The fit of the live database to the state after each migration, in order.

    Objects that the live database has beyond a state say nothing: they may be
    a later migration's or somebody's own. What a state has and the database
    lacks speaks against that state.
    """
    actual = _catalog(live, job)
    matches = []
    for file in _states(scratch, _possible(live, job)):
        expected = _catalog(scratch, job)
        lacking = [d for d in compare(expected, actual) if d.change is not Change.extra]
        matches.append(Match(file, tuple(lacking), len(expected)))
    return tuple(matches)


def _possible(live: Connection, job: Job) -> Job:
    """The job without files that need an extension which the live server does not have."""
    available = runner.available_extensions(live)
    files = [
        file
        for file in job.directory.files
        if available.issuperset(prepare(file, job.variables).extensions)
    ]
    return replace(job, directory=job.directory._replace(files=tuple(files)))


def _states(scratch: Connection, job: Job) -> Iterator[MigrationFile]:
    """Apply the files one by one, and stop after each."""
    files: Sequence[MigrationFile] = job.directory.files
    for number, file in enumerate(files, start=1):
        directory = job.directory._replace(files=tuple(files[:number]), ignored=())
        runner.migrate(scratch, replace(job, directory=directory), runner.Progress())
        yield file


def _catalog(connection: Connection, job: Job) -> Catalog:
    return snapshot(connection, job.home, ignore=[str(job.table)])
