"""Restoring an archive with pg_restore: in parallel, watched, and ended at the first error."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import make_conninfo

from agentdb_cli.backups import ownership
from agentdb_cli.backups.contents import Entry, listed
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.programs import Programs, conninfo, environment

Step = Callable[[str, int, int], None]
"""Told what has been done last, how many entries are done, and of how many."""

_DONE = re.compile(r"pg_restore: (?:finished item \d+|creating|processing data for table) ?(.*)")
_ERROR = "pg_restore: error: "
# pg_restore 17 and 18 set a parameter that servers before 17 do not know.
_HARMLESS = 'unrecognized configuration parameter "transaction_timeout"'
_POLL_SECONDS = 0.1
_LINES_OF_AN_ERROR = 6


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


class Stopped(AgentdbError):
    """A signal ended the restore."""


def restore(
    connection: Connection,
    programs: Programs,
    data: Path,
    entries: Sequence[Entry],
    script: str,
    options: Options,
    step: Step,
    stop: Callable[[], str | None],
) -> bool:
    """Restore entries of an archive into the database of a connection, and analyze it.

    Args:
        script: the SQL of the entries, of `contents.definitions`.
        stop: names the signal that came, or None.

    Returns:
        Whether statistics came out of the backup, rather than from ANALYZE.

    Raises:
        AgentdbError: pg_restore failed; what is in the database is not complete.
        Stopped: a signal came.
        psycopg.Error: an owner could not be given, or ANALYZE failed.
    """
    with listed(entries) as listing:
        arguments = _arguments(connection, programs, data, listing, options)
        _run(arguments, environment(connection), len(entries), step, stop)
    if options.owners:
        ownership.apply(connection, script, options.owners)
    has_statistics = any(entry.kind == "STATISTICS DATA" for entry in entries)
    if options.content == "schema" or (has_statistics and programs.major >= 18):
        return has_statistics
    step("ANALYZE", len(entries), len(entries))
    connection.execute("ANALYZE")
    return False


def _arguments(
    connection: Connection, programs: Programs, data: Path, listing: str, options: Options
) -> list[str]:
    """The argument list; no password is in it."""
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
    return [*arguments, str(data)]


def _is_lenient(connection: Connection, programs: Programs) -> bool:
    """Whether pg_restore sets what this server does not know, and is to go on after that."""
    return programs.major >= 17 and connection.info.server_version < 170_000


def _session(connection: Connection, options: Options) -> str:
    """Where pg_restore connects, and what its sessions have set."""
    memory = max(options.memory // options.jobs // 1024, 1024)
    # What is durable is decided by the last commit, which is ours and waits for the disk.
    settings = f"-c maintenance_work_mem={memory}kB -c synchronous_commit=off"
    return make_conninfo(conninfo(connection), options=settings)


def _run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    total: int,
    step: Step,
    stop: Callable[[], str | None],
) -> None:
    lenient = "--exit-on-error" not in arguments
    # A session of its own: a Ctrl-C is ours to pass on, when we know what to say about it.
    with subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            said = _watch(process, total, step, stop, lenient=lenient)
        except BaseException:
            process.terminate()  # its workers cancel what they run
            raise
    ignored = lenient and process.returncode == 1
    if said or (process.returncode != 0 and not ignored):
        raise AgentdbError(_failure(said, process.returncode))


def _watch(
    process: subprocess.Popen[bytes],
    total: int,
    step: Step,
    stop: Callable[[], str | None],
    *,
    lenient: bool,
) -> list[str]:
    """Follow what pg_restore says; returns its lines from the first error on."""
    said: list[str] = []
    done = 0
    for line in _lines(process, stop):
        if said:
            said = [*said, line][:_LINES_OF_AN_ERROR]
        elif line.startswith(_ERROR) and not (lenient and _HARMLESS in line):
            said = [line]
            if lenient:
                process.terminate()
        elif (match := _DONE.match(line)) is not None:
            done = min(done + 1, total)
            step(match[1], done, total)
    return said


def _lines(process: subprocess.Popen[bytes], stop: Callable[[], str | None]) -> Iterator[str]:
    """The lines on stderr as they come.

    Raises:
        Stopped: a signal came.
    """
    assert process.stderr is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while True:
            if (reason := stop()) is not None:
                raise Stopped(reason)
            if not selector.select(_POLL_SECONDS):
                continue
            chunk = os.read(process.stderr.fileno(), 65536)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _failure(said: Sequence[str], code: int) -> str:
    """pg_restore's first error, with the server's words that follow it."""
    if not said:
        return f"pg_restore ended with exit code {code} and no message"
    more = [line for line in said[1:] if line.startswith(("DETAIL:", "HINT:", "CONTEXT:"))]
    return "\n  ".join(["pg_restore failed: " + said[0].removeprefix(_ERROR), *more])
