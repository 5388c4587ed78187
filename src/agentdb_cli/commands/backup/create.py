"""`agentdb backup create`: make a backup with pg_dump."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.backup.options import directory_of, remove_leftovers
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, MigrationError, SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.backups.manifest import Content, Manifest
    from agentdb_cli.backups.planning import Options, Plan
    from agentdb_cli.backups.progress import Calls, Step
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.render.progress import Progress


def create(
    run: Invocation,
    schema_only: Annotated[
        bool, typer.Option("--schema-only", help="The definitions, without rows.")
    ] = False,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="The rows, without definitions.")
    ] = False,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            "--tables",
            "-t",
            metavar="TABLE",
            help="This table alone, with its partitions; * and ? are wildcards (repeatable).",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Tables at the same time; else 1 a core, up to 4.",
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where the backup goes.")
    ] = None,
    role_passwords: Annotated[
        bool,
        typer.Option("--role-passwords", help="Keep the roles' password verifiers, too."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look whether it can be made; make nothing.")
    ] = False,
) -> None:
    """Back the database up with pg_dump.

    One consistent snapshot: in directory format, compressed, by several sessions
    at once; beside it the roles, row counts and checksums. It has its name when
    it is whole and on disk; a run that fails or is killed leaves no backup.

    Readers and writers go on. But while it runs, VACUUM removes no row that
    died meanwhile, and ALTER or DROP of a table waits.

    For cron: agentdb backup create --quiet && agentdb backup verify --quiet.
    """
    from agentdb_cli.backups import manifest as manifests
    from agentdb_cli.backups import planning
    from agentdb_cli.backups.create import create as create_backup

    if schema_only and data_only:
        raise SettingsError("--schema-only and --data-only leave nothing; take one of them")
    content: Content = "schema" if schema_only else "data" if data_only else "all"
    directory = directory_of(run, to)
    with _ending(), run.connect() as connection:
        options = planning.Options(
            directory=directory,
            content=content,
            selection=tuple(tables or ()),
            jobs=jobs,
            lock_timeout=run.settings.connection.lock_timeout,
            role_passwords=role_passwords,
            packs=_packs(run, connection),
        )
        if not dry_run:
            remove_leftovers(run, directory)
        plan = planning.plan(connection, options)
        if dry_run:
            _show_plan(run, connection, plan, options)
            return
        with _calls(run, connection) as calls:
            made = create_backup(connection, plan, options, calls)
        _show(run, made, manifests.read(made))


def _packs(run: Invocation, connection: Connection) -> Mapping[str, int]:
    """The last migration applied, by pack; a table that cannot be read is said to be so."""
    from agentdb_cli.migrations import history

    table = history.Table.in_force(run.settings)
    found = {}
    try:
        for pack in history.packs(connection, table):
            applied = history.read(connection, table, pack)
            found[pack] = max(migration.version for migration in applied)
    except MigrationError as error:
        run.output.warning(f"the manifest does not say which migrations are in: {error.message}")
    return found


@contextmanager
def _ending() -> Iterator[None]:
    """End the work inside at the first SIGINT, SIGTERM or SIGHUP, and say what is left of it.

    Further ones are ignored, so that it can clean up.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if not came:
            came.append(number)
            raise KeyboardInterrupt

    ours = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in ours}
    try:
        yield
    except KeyboardInterrupt:
        if not came:
            raise
        raise AgentdbError(
            f"stopped by {signal.Signals(came[0]).name}; no backup was left behind",
            exit_code=128 + came[0],
        ) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _calls(run: Invocation, connection: Connection) -> Iterator[Calls]:
    from agentdb_cli.backups.progress import Calls
    from agentdb_cli.render.progress import Progress

    name = connection.info.dbname
    with Progress(run.output) as progress:
        progress.start(name)
        yield Calls(_step(progress, name), run.output.notice, run.output.warning)
        progress.finish(name)


def _step(progress: Progress, name: str) -> Callable[[Step], None]:
    from agentdb_cli.render.progress import size

    def step(step: Step) -> None:
        phase = step.phase
        if step.total:
            phase += f", {size(step.done)} of {size(step.total)}"
        if step.tables[1]:
            phase += f", {step.tables[0]} of {count(step.tables[1], 'table', 'tables')}"
        if step.left is not None:
            phase += f", about {duration(step.left)} left"
        progress.step(name, phase, step.done, step.total)

    return step


def _show_plan(run: Invocation, connection: Connection, plan: Plan, options: Options) -> None:
    from agentdb_cli.backups import planning
    from agentdb_cli.backups.manifest import DATA
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.render.progress import size

    people = run.output.for_people
    command = planning.dump_command(
        connection, plan, options, options.directory / "NAME" / DATA, "SNAPSHOT"
    )
    run.output.record(
        {
            "database": place(connection),
            "directory": str(options.directory),
            "program": f"pg_dump {plan.programs.version} in {plan.programs.directory}",
            "compression": plan.compression,
            "jobs": plan.jobs,
            "tables": sum(not table.partitioned for table in plan.tables),
            "size_of_tables": size(plan.bytes) if people else plan.bytes,
            "expected": size(plan.expected) if people else plan.expected,
            "free": size(plan.free) if people else plan.free,
            "command": " ".join(command) if people else command,
        }
    )
    run.output.line("dry run: nothing was made")


def _show(run: Invocation, directory: Path, manifest: Manifest) -> None:
    from agentdb_cli.render.progress import size

    if not run.output.for_people:
        run.output.record(
            {
                "name": manifest.name,
                "directory": str(directory),
                "database": manifest.database,
                "content": manifest.content,
                "tables": len(manifest.tables),
                "rows": manifest.rows,
                "bytes": manifest.bytes,
                "duration": manifest.seconds,
            }
        )
        return
    if run.output.quiet:
        return
    rows = "" if manifest.rows is None else f"{manifest.rows:,} row{'s' * (manifest.rows != 1)}, "
    tables = "" if manifest.content == "schema" else count(len(manifest.tables), "table", "tables")
    held = f"{tables}, {rows}" if tables else "schema only, "
    run.output.line(f"{directory}")
    run.output.line(f"{held}{size(manifest.bytes)} in {duration(manifest.seconds)}")
