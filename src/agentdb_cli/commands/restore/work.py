"""What `agentdb restore` is to do: the backup that is opened, and the server that it goes to."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.postgres.quoting import identifier

if TYPE_CHECKING:
    from agentdb_cli.backups.compare import Expected
    from agentdb_cli.backups.manifest import Manifest, Table
    from agentdb_cli.backups.properties import Properties
    from agentdb_cli.backups.restore import Archive, Options
    from agentdb_cli.backups.target import Open
    from agentdb_cli.postgres.connect import Connection

_ENCODING = re.compile(r"^SET client_encoding = '(\w+)';$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be restored, and how.

    Attributes:
        whole: whether everything of the backup is, and not chosen tables alone.
        properties: of the database that the backup was made of.
    """

    archive: Archive
    whole: bool
    options: Options
    properties: Properties

    def reaching(self, connection: Connection) -> Work:
        """The same with programs that can connect as a connection does.

        Raises:
            AgentdbError: there are none.
        """
        from agentdb_cli.postgres import programs

        if not programs.uses_tls(connection):
            return self
        found = programs.find(_major(self.manifest), ("pg_restore",), tls=True)
        return replace(self, archive=replace(self.archive, programs=found))

    @property
    def manifest(self) -> Manifest:
        """What is known of the backup."""
        return self.archive.manifest

    @property
    def locale(self) -> str:
        """Encoding, locale and tablespace of the source, as CREATE DATABASE takes them."""
        match = _ENCODING.search(self.archive.script)
        found = self.properties.locale or f"ENCODING = '{match[1] if match else 'UTF8'}'"
        own = self.properties.tablespace if self.options.tablespaces else None
        return found if own is None else f"{found} TABLESPACE = {identifier(own)}"

    @property
    def gives_properties(self) -> bool:
        """Whether the database gets what its source had as a whole: settings, privileges …"""
        return self.whole and self.manifest.selection is None and self.options.content != "data"

    @property
    def expected(self) -> Expected:
        """What the database should be afterwards."""
        from agentdb_cli.backups.compare import Expected

        content = self.options.content
        return Expected(
            self.manifest,
            self.archive.entries,
            self.archive.script,
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
    from agentdb_cli.backups import catalog, contents, files, partial, properties
    from agentdb_cli.backups.manifest import DATA
    from agentdb_cli.backups.restore import Archive
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
    found = programs.find(_major(manifest), ("pg_restore",))
    pg_restore, data = found.path("pg_restore"), backup.directory / DATA
    entries = contents.read(pg_restore, data)
    every = len(entries)
    if tables:
        entries = contents.chosen(entries, tables)
    script = contents.definitions(pg_restore, data, entries)
    whole = len(entries) == every
    if not whole:
        run.output.notice(f"{len(entries)} of {every} objects of the backup were chosen")
    if manifest.selection and (strangers := partial.foreign_keys(entries, script)):
        entries = tuple(entry for entry in entries if entry not in strangers)
        manifest = partial.without(manifest, strangers)
        run.output.warning(f"left out: {partial.left_out(strangers)}")
    archive = Archive(found, data, entries, script, manifest)
    return Work(archive, whole, options, properties.read(pg_restore, data))


def _major(manifest: Manifest) -> int:
    return int(manifest.program.split(".")[0])


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
