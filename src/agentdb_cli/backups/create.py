"""Making a backup: pg_dump into a directory that gets its name when it is whole."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from agentdb_cli import __version__
from agentdb_cli.backups import dumping, files, source
from agentdb_cli.backups import manifest as manifests
from agentdb_cli.backups.counting import Counting
from agentdb_cli.backups.manifest import DATA, GLOBALS, Content, Manifest, Object, Table
from agentdb_cli.backups.planning import Options, Plan, amount, dump_command, globals_command
from agentdb_cli.backups.progress import Calls, Step, Watch
from agentdb_cli.backups.source import Relation
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import programs
from agentdb_cli.postgres.connect import Connection, place
from agentdb_cli.postgres.programs import Programs


def create(connection: Connection, planned: Plan, options: Options, calls: Calls) -> Path:
    """Make a backup; whatever happens, there is a whole one or none.

    Args:
        connection: used for the snapshot and for counting rows.

    Returns:
        Its directory.

    Raises:
        AgentdbError: it was not made; nothing of it is left.
    """
    try:
        with files.in_work(options.directory, connection.info.dbname) as partial:
            manifest = _fill(connection, planned, options, calls, partial)
            calls.step(Step("writing to disk"))
            manifests.write(manifest, partial.path)
            partial.finish()
            return partial.final
    except OSError as error:
        raise files.cannot("write into", options.directory, error) from None


def _fill(
    connection: Connection,
    planned: Plan,
    options: Options,
    calls: Calls,
    partial: files.Partial,
) -> Manifest:
    started = time.monotonic()
    environment = programs.environment(connection)
    commands = []
    if options.content != "data":
        command = globals_command(connection, planned, options, partial.path / GLOBALS)
        calls.step(Step("roles and tablespaces"))
        if _globals(command, environment, partial, options, calls):
            commands.append(command)
    facts = (
        place(connection),
        source.system_identifier(connection),
        source.extensions(connection),
    )
    with source.snapshot(connection) as snapshot:
        calls.step(Step("waiting for locks"))
        source.lock(connection, planned.tables)
        objects = _objects(connection, planned, options)
        counted = _counted(connection, planned.tables, options.content)
        command = dump_command(connection, planned, options, partial.path / DATA, snapshot)
        with Counting(connection, counted) as counting:
            watch = Watch(planned, counting, calls)
            try:
                dumping.run(command, environment, watch.words, partial.lock, watch.tick)
            except AgentdbError as error:
                raise _explained(error, planned, options) from None
            watch.tick()
            calls.step(Step("counting rows"))
            rows = counting.result()
    commands.append(command)
    calls.step(Step("checking"))
    _list(planned.programs, partial.path / DATA, environment)
    sealed = files.seal(partial.path)
    held = [] if options.content == "schema" else [t for t in planned.tables if not t.partitioned]
    server, identifier, extensions = facts
    return Manifest(
        name=partial.final.name,
        created_at=partial.created.isoformat(),
        seconds=round(time.monotonic() - started, 3),
        database=connection.info.dbname,
        server=server,
        system_identifier=identifier,
        server_version=connection.info.server_version,
        tool=f"agentdb {__version__}",
        program=planned.programs.version,
        commands=tuple(map(tuple, commands)),
        content=options.content,
        selection=options.selection or None,
        compression=planned.compression,
        jobs=planned.jobs,
        extensions=extensions,
        packs=options.packs or {},
        tables=tuple(Table(t.schema, t.name, rows.get(t.oid), t.bytes) for t in held),
        files=sealed,
        bytes=sum(file.bytes for file in sealed),
        objects=objects,
    )


def _objects(connection: Connection, planned: Plan, options: Options) -> tuple[Object, ...]:
    if options.content == "data":
        return ()
    return source.objects(connection, planned.tables, whole=not options.selection)


def _counted(
    connection: Connection, tables: Sequence[Relation], content: Content
) -> list[Relation]:
    """The tables whose rows are in the dump; a standby has none of unlogged ones."""
    if content == "schema":
        return []
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    standby = row is not None and bool(row[0])
    return [t for t in tables if not t.partitioned and not (t.unlogged and standby)]


def _globals(
    command: Sequence[str],
    environment: Mapping[str, str],
    partial: files.Partial,
    options: Options,
    calls: Calls,
) -> bool:
    """Write the globals; without them a backup is worth making still, but not silently.

    Raises:
        AgentdbError: passwords were asked for, and the role may not read them.
    """
    try:
        dumping.run(command, environment, dumping.Words(False), partial.lock, lambda: None)
    except AgentdbError as error:
        if options.role_passwords:
            raise AgentdbError(
                error.message,
                hint="reading passwords takes a superuser or pg_read_all_data; "
                "or leave out --role-passwords",
            ) from None
        (partial.path / GLOBALS).unlink(missing_ok=True)
        calls.warning(f"the backup has no roles and tablespaces: {error.message}")
        return False
    return True


def _list(found: Programs, data: Path, environment: Mapping[str, str]) -> None:
    """Make sure that pg_restore can read the dump's table of contents.

    Raises:
        AgentdbError: it cannot.
    """
    done = subprocess.run(
        [found.path("pg_restore"), "--list", str(data)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise AgentdbError(f"pg_restore cannot read what pg_dump wrote: {done.stderr.strip()}")


def _explained(error: AgentdbError, planned: Plan, options: Options) -> AgentdbError:
    said = error.message
    if "No space left on device" in said or "Disk quota exceeded" in said:
        free = files.free(options.directory)
        return AgentdbError(
            f"{options.directory} is full ({amount(free)} free); no backup was left behind",
            hint="agentdb backup prune makes room; or name another directory with --to",
        )
    if "lock timeout" in said or "could not obtain lock" in said:
        return AgentdbError(
            f"{said}\n  somebody has asked for an exclusive lock on a table meanwhile",
            hint="run it again; agentdb inspect locks shows who holds and waits for locks",
        )
    return AgentdbError(f"{said}\n  no backup was left behind", hint=error.hint)
