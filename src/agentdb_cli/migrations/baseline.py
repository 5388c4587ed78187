"""Recording migrations as applied that were applied by other means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import history, runner
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lock import only_run
from agentdb_cli.migrations.prepare import prepare
from agentdb_cli.migrations.unfinished import Ledger
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.settings.keys import Scalar


def up_to(job: Job, version: int) -> tuple[MigrationFile, ...]:
    """The files of a job up to and including a version."""
    return tuple(file for file in job.directory.files if file.version <= version)


def unrecorded(
    connection: Connection, job: Job, files: Iterable[MigrationFile]
) -> tuple[MigrationFile, ...]:
    """Those of `files` that the history does not have yet."""
    recorded = {row.version for row in history.read(connection, job.table, job.pack)}
    return tuple(file for file in files if file.version not in recorded)


def record(
    connection: Connection, job: Job, files: Iterable[MigrationFile], progress: runner.Progress
) -> tuple[MigrationFile, ...]:
    """Record files as applied without running them.

    Args:
        connection: in autocommit mode.

    Returns:
        The files that were recorded: those that the history did not have.

    Raises:
        MigrationError: the tracking table cannot be made or written, or
            another run did not finish in time.
    """
    with only_run(connection, job, progress.notice) as turn, turn.guarded():
        begun_before = history.create(connection, job.table)
        new = unrecorded(connection, job, files)
        with connection.transaction():
            for file in new:
                used = _used(file, job)
                connection.execute(history.insertion(job.table, job.pack, file, used).encode())
                if begun_before:
                    connection.execute(Ledger(connection, job, file).dropped().encode())
    return new


def _used(file: MigrationFile, job: Job) -> Mapping[str, Scalar]:
    """The variables of a file; none of one that only another tool can run, as it has."""
    try:
        return prepare(file, job.variables).body.used
    except MigrationError:
        return {}
