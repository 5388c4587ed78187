"""Restoring an archive with pg_restore: in parallel, watched, and ended at the first error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import make_conninfo

from agentdb_cli.backups import contents, ownership, partial, processes, source
from agentdb_cli.backups.contents import Entry, listed
from agentdb_cli.backups.crew import Crew
from agentdb_cli.backups.following import Following, Step
from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.programs import Programs, conninfo, environment
from agentdb_cli.postgres.queries import query

_ERROR = "pg_restore: error: "
# pg_restore 17 and 18 set a parameter that servers before 17 do not know.
_HARMLESS = 'unrecognized configuration parameter "transaction_timeout"'
_LINES_OF_AN_ERROR = 6
_LESS_SHARED_MEMORY = (
    "parallel index builds take the server's shared memory (/dev/shm; docker run --shm-size); "
    'without them: PGOPTIONS="-c max_parallel_maintenance_workers=0"'
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What to restore.

    Attributes:
        programs: pg_restore's installation.
        data: the directory that pg_dump wrote.
        entries: those to restore.
        script: their SQL, of `contents.definitions`.
        manifest: of the backup, without what cannot be restored.
    """

    programs: Programs
    data: Path
    entries: Sequence[Entry]
    script: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Options:
    """How to restore.

    Attributes:
        jobs: how many sessions work at once.
        memory: of all jobs together while they build indexes, in bytes.
        content: `all`, `schema` or `data`.
        owners: the role that gets each role's objects and privileges.
        role: SET ROLE to it first.
    """

    jobs: int
    memory: int
    content: str = "all"
    owner: bool = True
    privileges: bool = True
    tablespaces: bool = True
    owners: Mapping[str, str] = field(default_factory=dict)
    role: str | None = None


def restore(crew: Crew, archive: Archive, options: Options, step: Step) -> None:
    """Restore entries of an archive into the database of a crew, with statistics.

    Raises:
        AgentdbError: pg_restore failed; what is in the database is not complete.
        Stopped: a signal came.
        psycopg.Error: an owner could not be given, or ANALYZE failed.
    """
    connection = crew.connection
    entries = archive.entries
    if archive.manifest.selection is not None and options.content != "data":
        partial.prepare(connection, archive.manifest)
    if options.owners:
        entries = ownership.without_policies(entries)
    entries = contents.without_comments_on(entries, source.extensions(connection))
    with_statistics = _statistics(connection, archive, options)
    with listed(entries) as listing:
        arguments = _arguments(connection, archive, listing, options)
        if archive.programs.major >= 18 and not with_statistics:
            arguments.insert(1, "--no-statistics")
        following = Following(
            entries, archive.manifest, connection, step, parallel=options.jobs > 1
        )

        def tick() -> None:
            crew.check()
            following.look()

        _run(arguments, environment(connection), following.hear, tick)
    if options.owners:
        ownership.apply(connection, archive.script, options.owners)
    if options.content != "schema":
        _analyze(crew, step, lacking_alone=with_statistics)


def _statistics(connection: Connection, archive: Archive, options: Options) -> bool:
    """Whether the archive has statistics that this server takes."""
    return (
        options.content == "all"
        and archive.programs.major >= 18
        and connection.info.server_version >= 180_000
        and any(entry.kind == "STATISTICS DATA" for entry in archive.entries)
    )


def _analyze(crew: Crew, step: Step, *, lacking_alone: bool) -> None:
    found = crew.connection.execute(query("backups/unanalyzed").encode(), (lacking_alone,))
    tables = [str(name) for (name,) in found.fetchall()]
    done = 0

    def analyzed(table: str) -> None:
        nonlocal done
        done += 1
        step(f"ANALYZE {table}", done, len(tables))

    if tables:
        step("ANALYZE", 0, len(tables))
    crew.each(tables, lambda session, table: session.execute(f"ANALYZE {table}".encode()), analyzed)


def _arguments(
    connection: Connection, archive: Archive, listing: str, options: Options
) -> list[str]:
    """The argument list; no password is in it."""
    programs = archive.programs
    arguments = [programs.path("pg_restore"), f"--jobs={options.jobs}", "--verbose"]
    arguments += [
        f"--use-list={listing}",
        "--no-password",
        f"--dbname={_session(connection, options)}",
    ]
    if not _is_lenient(connection, programs):
        arguments.append("--exit-on-error")
    if options.content != "all":
        arguments.append(f"--{options.content}-only")
    if options.content == "data":
        arguments.append("--disable-triggers")
    if not options.owner or options.owners:
        arguments.append("--no-owner")
    if not options.privileges or options.owners:
        arguments.append("--no-privileges")
    if not options.tablespaces:
        arguments.append("--no-tablespaces")
    if options.role is not None:
        arguments.append(f"--role={options.role}")
    return [*arguments, str(archive.data)]


def _is_lenient(connection: Connection, programs: Programs) -> bool:
    """Whether pg_restore sets what this server does not know, and is to go on after that."""
    return programs.major >= 17 and connection.info.server_version < 170_000


def _session(connection: Connection, options: Options) -> str:
    """Where pg_restore connects, and what its sessions have set."""
    memory = max(options.memory // options.jobs // 1024, 1024)
    # What is durable is decided by the last commit, which is ours and waits for the disk.
    settings = f"-c maintenance_work_mem={memory}kB -c synchronous_commit=off"
    own = connection.info.get_parameters().get("options", "")
    return make_conninfo(conninfo(connection), options=f"{own} {settings}")


def _run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    hear: Callable[[str], None],
    tick: Callable[[], None],
) -> None:
    lenient = "--exit-on-error" not in arguments
    said: list[str] = []
    with processes.running(arguments, environment) as process:
        for line in processes.lines(process, tick):
            if said:
                said = [*said, line][:_LINES_OF_AN_ERROR]
            elif line.startswith(_ERROR) and not (lenient and _HARMLESS in line):
                said = [line]
                if lenient:
                    process.terminate()
            else:
                hear(line)
    ignored = lenient and process.returncode == 1
    if said or (process.returncode != 0 and not ignored):
        raise _failure(said, process.returncode)


def _failure(said: Sequence[str], code: int) -> AgentdbError:
    """pg_restore's first error, with the server's words that follow it."""
    if not said:
        return AgentdbError(f"pg_restore ended with exit code {code} and no message")
    more = [line for line in said[1:] if line.startswith(("DETAIL:", "HINT:", "CONTEXT:"))]
    if "could not resize shared memory segment" in said[0]:
        more.append(_LESS_SHARED_MEMORY)
    return AgentdbError("\n  ".join(["pg_restore failed: " + said[0].removeprefix(_ERROR), *more]))
