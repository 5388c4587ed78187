"""What a backup is going to be: looked at before anything starts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.backups import catalog, files, source
from agentdb_cli.backups.manifest import Content
from agentdb_cli.backups.source import Relation
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import programs
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.programs import Programs

PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore")
_MOST_JOBS = 4
"""Sessions unless told otherwise: a backup is not all that a server has to do."""
_GZIP_LEVEL = 5
"""Measured on two million rows of telemetry and 100,000 embeddings: level 6, pg_dump's own,
takes half as long again for 1 % less; level 4 saves a tenth of the time for 4 % more."""
_ZSTD_LEVEL = 3
"""zstd's own default: smaller than gzip at its best here, in a fraction of the time."""
_LEAST_SHARE = 0.25
"""The smallest share of the tables' size that a first backup is expected to take."""
_MARGIN = 1.1
"""How much more than the last time is wanted free."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to back up, and how.

    Attributes:
        selection: names of tables; none for everything.
        jobs: None for as many as there are cores, up to four.
        lock_timeout: milliseconds; 0 waits for ever.
        role_passwords: whether globals hold the roles' password verifiers.
        packs: the last migration applied, by pack.
    """

    directory: Path
    content: Content = "all"
    selection: tuple[str, ...] = ()
    jobs: int | None = None
    lock_timeout: int = 5_000
    role_passwords: bool = False
    packs: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is going to do.

    Attributes:
        bytes: what the tables take on the server's disk, without indexes.
        expected: bytes of the backup, as far as can be told.
        free: bytes free where it goes.
    """

    programs: Programs
    tables: tuple[Relation, ...]
    jobs: int
    compression: str
    bytes: int
    expected: int
    free: int


def plan(connection: Connection, options: Options) -> Plan:
    """Look whether a backup can be made, before anything starts.

    Raises:
        AgentdbError: a pooler is in between, no pg_dump is new enough, a table cannot be
            read, too few connections are left, or the disk is too full.
    """
    source.require_direct(connection)
    major = connection.info.server_version // 10_000
    found = programs.find(major, PROGRAMS, tls=programs.uses_tls(connection))
    tables = source.relations(connection, options.selection)
    source.require_readable(connection, tables, options.content)
    jobs = source.jobs(connection, options.jobs, min(os.cpu_count() or 1, _MOST_JOBS))
    size = 0 if options.content == "schema" else sum(table.bytes for table in tables)
    expected = _expected(connection, options.directory, size)
    free = files.free(options.directory)
    if free < expected:
        raise AgentdbError(
            f"{options.directory} has too little room: about {amount(expected)} are needed, "
            f"{amount(free)} are free",
            hint="agentdb backup prune makes room; or name another directory with --to",
        )
    return Plan(found, tables, jobs, _compression(found), size, expected, free)


def _expected(connection: Connection, directory: Path, size: int) -> int:
    """The size of the backup: of the last one the same share, or at least a quarter."""
    for backup in catalog.backups(directory):
        last = backup.manifest
        if last is None or last.database != connection.info.dbname or last.content == "schema":
            continue
        before = sum(table.bytes for table in last.tables)
        if before:
            return int(size * last.bytes / before * _MARGIN)
    return int(size * _LEAST_SHARE)


def amount(size: int) -> str:
    """Bytes in words, as errors have them."""
    return f"{size / 2**20:,.0f} MB" if size >= 2**20 else f"{size / 2**10:,.0f} kB"


def _compression(found: Programs) -> str:
    """The best that pg_dump was built with."""
    if found.major >= 16:
        # It refuses what it was not built with before it connects; here it would not get that far.
        command = [found.path("pg_dump"), "--format=custom", "--file=/dev/null"]
        command += ["--compress=zstd", "--no-sync", "--dbname=host=/nonexistent"]
        said = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
        ).stderr
        if "connection to server" in said:
            return f"zstd:{_ZSTD_LEVEL}"
    return f"gzip:{_GZIP_LEVEL}"


def dump_command(
    connection: Connection, planned: Plan, options: Options, data: Path, snapshot: str
) -> list[str]:
    """pg_dump and its arguments, none of them a secret."""
    level = planned.compression.removeprefix("gzip:")  # which alone all versions know
    command = [
        planned.programs.path("pg_dump"),
        "--format=directory",
        f"--file={data}",
        f"--jobs={planned.jobs}",
        f"--compress={level}",
        f"--snapshot={snapshot}",
        "--no-sync",  # it is done with the checksums, once
        "--no-password",
        "--verbose",
        f"--dbname={programs.conninfo(connection)}",
    ]
    if options.lock_timeout:
        command.append(f"--lock-wait-timeout={options.lock_timeout}")
    if options.content != "all":
        command.append(f"--{options.content}-only")
    elif planned.programs.major >= 18:
        command.append("--statistics")
    if options.selection:
        command += [f"--table={table.quoted}" for table in planned.tables]
    return command


def globals_command(
    connection: Connection, planned: Plan, options: Options, path: Path
) -> list[str]:
    """pg_dumpall and its arguments, none of them a secret."""
    return [
        planned.programs.path("pg_dumpall"),
        "--globals-only",
        *(() if options.role_passwords else ("--no-role-passwords",)),
        f"--file={path}",
        "--no-sync",
        "--no-password",
        f"--database={connection.info.dbname}",
        f"--dbname={programs.conninfo(connection)}",
    ]
