"""Saying by hand where a migration without a transaction is to go on."""

from __future__ import annotations

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import down_part, runner, unfinished
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lock import only_run
from agentdb_cli.migrations.plan import State
from agentdb_cli.migrations.prepare import Prepared, prepare
from agentdb_cli.migrations.runner import Progress
from agentdb_cli.postgres.connect import Connection


def resumable(connection: Connection, job: Job, version: int, number: int) -> Prepared:
    """The migration that can go on with a statement (from 1; one past the last: none is left).

    Raises:
        MigrationError: it is not unfinished, or has no such statement.
    """
    file = next((file for file in job.directory.files if file.version == version), None)
    if file is None:
        raise MigrationError(f"there is no migration {version} in {job.directory.path}")
    prepared = _begun(connection, job, file)
    if version not in unfinished.read(connection, job) or not prepared.steps:
        raise MigrationError(
            f"{file.label} is not in the middle of its statements",
            hint="agentdb migrate status shows where each migration stands",
        )
    count = len(prepared.steps)
    if not 1 <= number <= count + 1:
        raise MigrationError(
            f"{file.label} has {count} statement{'' if count == 1 else 's'}: "
            f"--from must be 1 to {count + 1}"
        )
    return prepared


def _begun(connection: Connection, job: Job, file: MigrationFile) -> Prepared:
    """The part of a migration that was begun: the down part of one that is being undone."""
    entries = runner.status(connection, job)
    if not any(e.version == file.version and e.state is State.undoing for e in entries):
        return prepare(file, job.variables)
    return down_part.prepared(file, job.variables)


def resume(
    connection: Connection, job: Job, version: int, number: int, progress: Progress
) -> Prepared:
    """Count the statements before `number` as done; the next run goes on there.

    Raises:
        MigrationError: as `resumable`; or another run did not finish in time.
    """
    with only_run(connection, job, progress.notice) as turn, turn.guarded():
        prepared = resumable(connection, job, version, number)
        ledger = unfinished.Ledger(connection, job, prepared.file)
        ledger.write(ledger.resumed(prepared.statements[: number - 1]))
    return prepared
