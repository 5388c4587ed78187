"""The drill of `agentdb backup verify --drill`: a restore for real, into a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.backups.catalog import Backup
    from agentdb_cli.backups.drill import Drill
    from agentdb_cli.backups.manifest import Manifest
    from agentdb_cli.backups.verified import Verification
    from agentdb_cli.packs import Collection
    from agentdb_cli.postgres.connect import Connection


def drill(run: Invocation, backup: Backup, url: str | None) -> Verification:
    """Restore a backup whose files are as they were written, and record what came of it.

    Args:
        url: a server to restore on instead of the embedded one.

    Raises:
        AgentdbError: the server was not reached, or a signal ended it.
    """
    import psycopg

    from agentdb_cli.backups import verified
    from agentdb_cli.backups.crew import Stopped
    from agentdb_cli.commands.restore.perform import stopped
    from agentdb_cli.postgres.connect import database_error

    assert backup.manifest is not None
    with _scratch(run, url) as connection:
        try:
            found = _drill(run, connection, backup, backup.manifest)
        except Stopped as error:
            raise stopped(error, f"the drill of {backup.name} has not ended") from None
        except psycopg.Error as error:
            problems: tuple[str, ...] = (database_error(error).message,)
        except AgentdbError as error:
            problems = (error.message.replace("\n", ""),)
        else:
            problems = found.problems
    detail = "; ".join(problems[:10]) if problems else _summary(found)
    result = verified.Verification(verified.now(), "drill", not problems, detail)
    verified.append(backup.directory, result)
    return result


def _summary(found: Drill) -> str:
    from agentdb_cli.render import duration

    rows = f"{found.rows:,} row{'s' * (found.rows != 1)}"
    restored = f"restored {count(found.tables, 'table', 'tables')}, {rows}"
    searches = count(found.searches, "search", "searches")
    return ", ".join([restored, searches, *found.skipped, duration(found.seconds)])


def _drill(run: Invocation, connection: Connection, backup: Backup, manifest: Manifest) -> Drill:
    from agentdb_cli.backups.drill import Facts
    from agentdb_cli.backups.drill import drill as drill_backup
    from agentdb_cli.backups.restore import Options
    from agentdb_cli.commands.restore.options import MEMORY, default_jobs
    from agentdb_cli.commands.restore.perform import applied, crew, shown
    from agentdb_cli.commands.stopping import stopping
    from agentdb_cli.postgres import programs
    from agentdb_cli.postgres.connect import another

    if manifest.content == "data":
        raise AgentdbError("it holds rows alone, and nothing that they could be restored into")
    found = programs.find(
        int(manifest.program.split(".")[0]), ("pg_restore",), tls=programs.uses_tls(connection)
    )
    options = Options(
        default_jobs(), MEMORY, manifest.content, owner=False, privileges=False, tablespaces=False
    )
    facts = Facts(
        lambda restored: applied(run, restored, manifest),
        lambda restored: _collections(run, restored, manifest),
    )
    settings = replace(run.settings.connection, statement_timeout=0)

    def open_() -> Connection:
        return another(connection, settings, command=run.command)

    with (
        stopping() as stop,
        crew(run, connection, open_, stop, options.jobs) as sessions,
        shown(run, f"drill of {backup.name}", sessions) as step,
    ):
        return drill_backup(sessions, found, backup.directory, manifest, facts, options, step)


def _collections(
    run: Invocation, restored: Connection, manifest: Manifest
) -> tuple[Collection, ...]:
    """What can be searched, of the packs in the backup and as agentdb.toml declares it."""
    from agentdb_cli import packs
    from agentdb_cli.commands.collections import of_database

    known = [packs.load(name) for name in manifest.packs if name in packs.names()]
    found = {each.name: each for pack in known for each in pack.collections}
    found.update((each.name, each) for each in of_database(run, restored))
    return tuple(found.values())


@contextmanager
def _scratch(run: Invocation, url: str | None) -> Iterator[Connection]:
    """An empty database of its own, dropped at the end; nobody's own is touched."""
    from agentdb_cli.postgres.connect import parameters
    from agentdb_cli.postgres.scratch import scratch_database
    from agentdb_cli.settings import sources

    target = None if url is None else sources.from_url("--drill-url", "command line", url)
    if target is None or target.embedded:
        with run.scratch() as connection:
            yield connection
        return
    settings = replace(run.settings.connection, statement_timeout=0)
    with scratch_database(parameters(target), settings, command=run.command) as connection:
        yield connection
