"""Undoing applied migrations: the last one first, each together with its record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import down_part, files, foreign, plan, runner, unfinished
from agentdb_cli.migrations.apply import Applier, Done
from agentdb_cli.migrations.blockers import Watch
from agentdb_cli.migrations.history import Applied
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lock import only_run
from agentdb_cli.migrations.plan import Entry
from agentdb_cli.migrations.prepare import Prepared, prepare
from agentdb_cli.postgres.connect import Connection


@dataclass(frozen=True, slots=True)
class Undoing:
    """A migration that is to be undone, and the down part that does it."""

    label: str
    applied: Applied
    prepared: Prepared


def check(
    connection: Connection, job: Job, *, to: int | None = None, steps: int = 1
) -> tuple[Undoing, ...]:
    """What would be undone, the last applied migration first; nothing is changed.

    Args:
        to: the migration that becomes the last applied one; all after it are undone.
        steps: how many are undone, if `to` is None.

    Raises:
        MigrationError: there is no such migration, or one of those to be undone has
            no file, another one than was applied, or no down part that can run.
    """
    entries = runner.status(connection, job)
    chosen = _chosen(entries, job, to, steps)
    if not chosen:
        return ()
    foreign.recognise(job.directory)
    _refuse_unfinished(connection, job, entries)
    _refuse_missing(chosen)
    if not job.tolerance.changed:
        _refuse_changed(chosen)
    undoing = tuple(_prepared(job, chosen))
    _refuse_role(connection, job, undoing)
    return undoing


def undo(
    connection: Connection, job: Job, wanted: Sequence[Undoing], progress: runner.Progress
) -> list[Done]:
    """Undo migrations, in this order.

    Args:
        connection: in autocommit mode, used by nothing else meanwhile.
        wanted: from `check`.

    Returns:
        The down parts that this run has completed; none if another run was faster.

    Raises:
        MigrationError: a down part failed, in which case nothing of it is kept and
            those before it stay undone; or another run applied something
            meanwhile, or held the lock for too long.
    """
    with (
        runner.notices(connection, progress),
        only_run(connection, job, progress.notice) as turn,
        closing(Watch(connection, turn.name)) as watch,
    ):
        if not turn.held:
            runner.refuse_steps(connection, [item.prepared for item in wanted])
        left = _left(connection, job, wanted)
        known = unfinished.read(connection, job)
        applier = Applier(connection, job, turn, watch, progress.notice)
        return runner.apply_each(
            applier, [(item.label, item.prepared) for item in left], known, progress
        )


def _chosen(entries: Sequence[Entry], job: Job, to: int | None, steps: int) -> tuple[Entry, ...]:
    applied = [entry for entry in reversed(entries) if entry.applied is not None]
    if to is None:
        if applied and steps > len(applied):
            are = "is" if len(applied) == 1 else "are"
            raise MigrationError(
                f"only {plan.count(applied, 'migration')} {are} applied, not {steps}",
                hint="agentdb migrate status shows which",
            )
        return tuple(applied[:steps])
    if to != 0 and to not in {entry.version for entry in entries}:
        raise MigrationError(
            f"there is no migration {to} in {job.directory.path}",
            hint="agentdb migrate status shows their numbers; 0 undoes all after it",
        )
    return tuple(entry for entry in applied if entry.version > to)


def _prepared(job: Job, chosen: Sequence[Entry]) -> list[Undoing]:
    names = files.sql_names(job.directory.path)
    undoing: list[Undoing] = []
    without: list[str] = []
    for entry in chosen:
        assert entry.file is not None
        assert entry.applied is not None
        part = down_part.find(entry.file, names)
        if part is None:
            without.append(f"{entry.label}: {down_part.lacking(entry.file)}")
            continue
        # What was made then has the names that the variables gave it then.
        values = {**job.variables, **entry.applied.variables}
        undoing.append(Undoing(entry.label, entry.applied, prepare(part, values, undoes=True)))
    if without:
        several = (
            f"{len(without)} of {len(chosen)} migrations, so nothing was undone:"
            f"{plan.listed(without)}"
        )
        raise MigrationError(
            f"no down part for {without[0] if len(chosen) == 1 else several}",
            hint="write what undoes it there, or take it back with a new migration: "
            "agentdb migrate new",
        )
    return undoing


def _refuse_missing(chosen: Sequence[Entry]) -> None:
    missing = [entry.label for entry in chosen if entry.file is None]
    if missing:
        raise MigrationError(
            f"{plan.count(missing, 'applied migration')} without a file: nothing says how to "
            f"undo {'it' if len(missing) == 1 else 'them'}:{plan.listed(missing)}",
            hint="restore the files, or check --dir and --pack",
        )


def _refuse_changed(chosen: Sequence[Entry]) -> None:
    changed = [
        f"{entry.label}: applied with SHA-256 {entry.applied.checksum[:12]}…, "
        f"the file has {entry.file.checksum[:12]}…"
        for entry in chosen
        if entry.file and entry.applied and entry.file.checksum != entry.applied.checksum
    ]
    if changed:
        raise MigrationError(
            f"{plan.count(changed, 'applied migration')} changed afterwards:{plan.listed(changed)}",
            hint="restore the files; --allow-changed goes on if the change means nothing "
            "(a down part that came later)",
        )


def _refuse_unfinished(connection: Connection, job: Job, entries: Sequence[Entry]) -> None:
    """Refuse to undo what stands below a migration that is half applied."""
    begun = unfinished.read(connection, job)
    half = next((e for e in entries if e.version in begun and e.applied is None), None)
    if half is not None:
        raise MigrationError(
            f"{half.label} {begun[half.version].described}, and must be applied first",
            hint="agentdb migrate goes on with it; then it can be undone",
        )


def _refuse_role(connection: Connection, job: Job, wanted: Sequence[Undoing]) -> None:
    needed = "UPDATE, DELETE" if any(item.prepared.steps for item in wanted) else "DELETE"
    row = connection.execute(
        "SELECT pg_catalog.bool_and(pg_catalog.has_table_privilege(%s, needed))"
        " FROM pg_catalog.unnest(%s::text[]) AS needed",
        (job.table.quoted, needed.split(", ")),
    ).fetchone()
    if row is not None and not row[0]:
        user = connection.info.user
        raise MigrationError(
            f"the role '{user}' may not take records back from {job.table}",
            hint=f"GRANT {needed} ON {job.table} TO {user};",
        )


def _left(connection: Connection, job: Job, wanted: Sequence[Undoing]) -> list[Undoing]:
    """Those that another run has not undone while this one waited.

    Raises:
        MigrationError: another run has applied something meanwhile.
    """
    entries = runner.status(connection, job)
    now = {entry.version: entry for entry in entries if entry.applied is not None}
    highest = max(item.applied.version for item in wanted)
    planned = {item.applied.version: item.applied for item in wanted}
    for version, entry in now.items():
        if version > highest or (version in planned and entry.applied != planned[version]):
            raise MigrationError(
                f"another run has applied {entry.label} meanwhile; nothing was undone",
                hint="agentdb migrate status shows what is applied now",
            )
    return [item for item in wanted if item.applied.version in now]
