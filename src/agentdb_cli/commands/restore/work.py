"""The steps of `agentdb restore`: open the backup, reach the server, restore, compare."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.backups.compare import Difference, Expected
    from agentdb_cli.backups.contents import Entry
    from agentdb_cli.backups.manifest import Manifest, Table
    from agentdb_cli.backups.restore import Options
    from agentdb_cli.backups.target import Open
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.postgres.programs import Programs

_STOPPED = {"stopped by SIGTERM": 143, "stopped by SIGINT": 130}
_ENCODING = re.compile(r"^SET client_encoding = '(\w+)';$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be restored, and what with."""

    data: Path
    manifest: Manifest
    programs: Programs
    entries: Sequence[Entry]
    script: str
    whole: bool
    options: Options

    @property
    def encoding(self) -> str:
        """The encoding of the database that was dumped."""
        match = _ENCODING.search(self.script)
        return match[1] if match else "UTF8"

    @property
    def expected(self) -> Expected:
        """What the database should be afterwards."""
        from agentdb_cli.backups.compare import Expected

        content = self.options.content
        return Expected(
            self.manifest,
            self.entries,
            self.script,
            whole=self.whole,
            rows=content != "schema",
            definitions=content != "data",
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables whose rows are restored."""
        return self.expected.tables


def open_backup(
    run: Invocation, directory: Path | None, name: str, tables: Sequence[str], options: Options
) -> Work:
    """Find a backup, and read what is in it.

    Raises:
        AgentdbError: there is none, it is damaged, or it has not what was asked for.
    """
    from agentdb_cli.backups import catalog, contents, files
    from agentdb_cli.backups.manifest import DATA
    from agentdb_cli.commands.backup.options import directory_of
    from agentdb_cli.postgres import programs

    backup = catalog.named(directory_of(run, directory), name)
    if backup.manifest is None or backup.problem is not None:
        raise AgentdbError(
            f"the backup {backup.name} is broken: {backup.problem}",
            hint="agentdb backup list shows the others",
        )
    manifest = backup.manifest
    wrong = files.differences(backup.directory, manifest.files, lambda _: None)
    if wrong:
        lines = "".join(f"\n  {line}" for line in wrong)
        raise AgentdbError(
            f"the backup {backup.name} is damaged; nothing was restored:{lines}",
            hint="agentdb backup list shows the others",
        )
    options = _within(manifest, options)
    found = programs.find(int(manifest.program.split(".")[0]), ("pg_restore",))
    data = backup.directory / DATA
    entries = contents.read(found.path("pg_restore"), data)
    every = len(entries)
    if tables:
        entries = contents.chosen(entries, tables)
    script = contents.definitions(found.path("pg_restore"), data, entries)
    whole = len(entries) == every
    if not whole:
        run.output.notice(f"{len(entries)} of {every} objects of the backup were chosen")
    return Work(data, manifest, found, entries, script, whole, options)


def _within(manifest: Manifest, options: Options) -> Options:
    """The options for what a backup has: definitions, rows or both."""
    if manifest.content == "all" or manifest.content == options.content:
        return options
    if options.content != "all":
        raise SettingsError(
            f"the backup {manifest.name} has no "
            + ("rows" if manifest.content == "schema" else "definitions")
        )
    return replace(options, content=manifest.content)


def server(run: Invocation, to: str) -> tuple[str, Open]:
    """The database's name, and what opens connections to its server.

    Args:
        to: a URL, or the name of a database on the server that the settings name.

    Raises:
        SettingsError: the URL is malformed or names no database.
    """
    from agentdb_cli.postgres import connect, embedded
    from agentdb_cli.settings import sources

    target, database = run.settings.target, to
    is_url = "://" in to or "=" in to
    if is_url:
        target = sources.from_url("--to", "command line", to)
    if target.embedded:
        cluster, postmaster = embedded.ensure_running(run.settings.server, run.output.notice)
        keywords = cluster.keywords(postmaster, to)
    else:
        keywords = connect.parameters(target)
    if is_url:
        database = keywords.get("dbname", "")
    if not database:
        raise SettingsError("--to names no database", hint="--to NAME, or a URL that ends in /NAME")
    # pg_restore waits as long as it takes, and so do the counts.
    settings = replace(run.settings.connection, statement_timeout=0)

    def open_(name: str) -> Connection:
        connection = connect.open_connection(
            {**keywords, "dbname": name},
            settings,
            command=run.command,
            source=target.source,
            ask_password=getpass if sys.stdin.isatty() else None,
        )
        if connection.info.password:
            keywords["password"] = connection.info.password  # asked for once
        return connection

    return database, open_


def perform(run: Invocation, connection: Connection, work: Work, comment: str | None) -> None:
    """Restore, compare, and say what came of it.

    Args:
        comment: what the database's comment is to be again.

    Raises:
        AgentdbError: it failed or something differs.
    """
    from agentdb_cli.backups import target
    from agentdb_cli.backups.compare import differences
    from agentdb_cli.backups.restore import Stopped, restore
    from agentdb_cli.commands.stopping import stopping
    from agentdb_cli.render.progress import Progress

    begun = time.monotonic()
    name = work.manifest.name
    if not target.comment(connection, target.incomplete(name)):
        run.output.warning("the database cannot be marked as incomplete: its owner is another role")
    with stopping() as stop, Progress(run.output) as progress:
        progress.start("restore")

        def step(what: str, done: int, total: int) -> None:
            if (reason := stop()) is not None:
                raise Stopped(reason)
            progress.step("restore", what, done, total)

        try:
            restore(
                connection, work.programs, work.data, work.entries, work.script, work.options,
                step, stop,
            )  # fmt: skip
            found = differences(
                connection, work.expected, applied(run, connection, work.manifest), step
            )
        except Exception as error:
            raise _incomplete(error, connection.info.dbname, name) from error
    target.comment(connection, comment if not found else target.different(name))
    _show(run, connection, work, found, time.monotonic() - begun)


def applied(run: Invocation, connection: Connection, manifest: Manifest) -> Mapping[str, int]:
    """The last migration by pack, as the database's own history has it."""
    from agentdb_cli.migrations import history

    table = history.Table.of(run.settings.migrations.table)
    found = {pack: history.read(connection, table, pack) for pack in manifest.packs}
    return {pack: rows[-1].version for pack, rows in found.items() if rows}


def _incomplete(error: Exception, database: str, name: str) -> Exception:
    """What ended a restore, with what it has left."""
    import psycopg

    from agentdb_cli.backups.restore import Stopped
    from agentdb_cli.postgres.connect import database_error

    if isinstance(error, psycopg.Error):
        error = database_error(error)
    if not isinstance(error, AgentdbError):
        return error
    what = f"the database {database} is incomplete; do not use it"
    hint = f"agentdb restore {name} --to {database} --clean begins again"
    if isinstance(error, Stopped):
        return stopped(error, what, hint)
    return AgentdbError(f"{error.message}\n  {what}", hint=hint)


def stopped(error: AgentdbError, what: str, hint: str | None = None) -> AgentdbError:
    """The error of a run that a signal ended, with the exit code that a shell gives it."""
    code = _STOPPED.get(error.message)
    return AgentdbError(f"{error.message}\n  {what}", hint=hint, exit_code=code)


def _show(
    run: Invocation,
    connection: Connection,
    work: Work,
    found: Sequence[Difference],
    seconds: float,
) -> None:
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.render import duration

    rows = [
        {"kind": d.kind, "name": d.name, "expected": d.expected, "actual": d.actual} for d in found
    ]
    where, tables = place(connection), work.tables
    if not run.output.for_people:
        run.output.record(
            {
                "backup": work.manifest.name,
                "database": where,
                "tables": len(tables),
                "rows": sum(table.rows or 0 for table in tables),
                "seconds": round(seconds, 3),
                "differences": rows,
            }
        )
    elif found:
        run.output.rows(tuple(rows[0]), rows)
    if found:
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        raise AgentdbError(f"{count} from the backup {work.manifest.name}, database {where}")
    if not run.output.quiet:
        run.output.line(
            f"restored {work.manifest.name}: {len(tables)} tables, as the manifest says, in "
            f"{duration(seconds)}, database {where}"
        )
