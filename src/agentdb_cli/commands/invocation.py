"""One run of one command: its options, settings, output and connections."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import typer

from agentdb_cli.commands.global_options import GlobalOptions
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import Format, Output
from agentdb_cli.settings import Flags, Settings, resolve

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection


class Invocation:
    """One run of one command."""

    def __init__(self, options: GlobalOptions, command: str) -> None:
        self.options = options
        self.command = command
        self.output = Output(options.format or Format.table, quiet=bool(options.quiet))

    @property
    def flags(self) -> Flags:
        """The global options that decide settings."""
        given = self.options
        return Flags(
            url=given.url,
            environment=given.env,
            config=given.config,
            pack=given.pack,
            schema=given.schema,
            lock_timeout=given.lock_timeout,
        )

    @cached_property
    def settings(self) -> Settings:
        """The settings for this run.

        Raises:
            SettingsError: a flag, variable or file is wrong.
        """
        return resolve(self.flags)

    def connect(self, *, in_schema: bool = False) -> Connection:
        """Connect to the chosen database; the embedded server is started if need be.

        Args:
            in_schema: whether names without a schema are looked for in that of `--schema`
                first. Migrations set that themselves, for each file.

        Raises:
            ConnectionFailed: the server was not reached or did not let us in.
            ServerError: the embedded server could not be started.
        """
        from agentdb_cli.postgres import connect

        path: dict[str, str] = {}
        if in_schema and self.settings.schema is not None:
            path["options"] = connect.search_path_option(self.settings.schema)
        if self.settings.target.embedded:
            return self.connect_embedded(path)
        keywords = {**connect.parameters(self.settings.target), **path}
        return self._open(keywords, ask_password=_ask_password if sys.stdin.isatty() else None)

    def connect_to(self, database: str | None = None, *, password: str = "") -> Connection:
        """Connect to one database of the server; of the embedded one it is not made.

        Args:
            database: its name; None for the one of the settings, or else `postgres`.
            password: one that was typed for an earlier connection.

        Raises:
            ConnectionFailed: the server was not reached or did not let us in.
            ServerError: the embedded server could not be started.
        """
        from agentdb_cli.postgres import connect, embedded

        if self.settings.target.embedded:
            cluster, postmaster = embedded.ensure_running(self.settings.server, self.output.notice)
            keywords = cluster.keywords(postmaster, "postgres")
        else:
            keywords = connect.parameters(self.settings.target)
        keywords["dbname"] = database or keywords.get("dbname") or "postgres"
        if password:
            keywords["password"] = password
        return self._open(keywords, ask_password=_ask_password if sys.stdin.isatty() else None)

    @contextmanager
    def scratch(self) -> Iterator[Connection]:
        """A connection to an empty throw-away database on the embedded server.

        Raises:
            ServerError: the embedded server could not be started.
        """
        from agentdb_cli.postgres import embedded
        from agentdb_cli.postgres.scratch import scratch_database

        cluster, postmaster = embedded.ensure_running(self.settings.server, self.output.notice)
        keywords = cluster.keywords(postmaster, "postgres")
        with scratch_database(
            keywords, self.settings.connection, command=self.command
        ) as connection:
            yield connection

    def connect_briefly(self, seconds: float, *, ask: bool = False) -> Connection:
        """Connect for a look: give up after `seconds`, and never wait for a lock.

        The embedded server is not started for it.

        Args:
            ask: whether somebody at a terminal may be asked for the password.

        Raises:
            ConnectionFailed: the server was not reached or did not let us in.
        """
        from dataclasses import replace

        from agentdb_cli.errors import ServerDown
        from agentdb_cli.postgres import connect, embedded

        milliseconds = round(seconds * 1000)
        brief = replace(
            self.settings.connection,
            connect_timeout=milliseconds,
            lock_timeout=100,
            # Less than the whole, so that the server's refusal arrives in time.
            statement_timeout=max(milliseconds // 4, 1),
        )
        target = self.settings.target
        if target.embedded:
            running = embedded.find_running(self.settings.server)
            if running is None:
                raise ServerDown("the embedded server is not running", hint="agentdb server start")
            cluster, postmaster = running
            keywords = cluster.keywords(postmaster, self.embedded_database())
        else:
            keywords = connect.parameters(target)
        if self.settings.schema is not None:
            keywords["options"] = connect.search_path_option(self.settings.schema)
        return connect.open_connection(
            keywords,
            brief,
            command=self.command,
            source=target.source,
            ask_password=_ask_password if ask and sys.stdin.isatty() else None,
        )

    def confirmed(self, question: str, *, yes: bool) -> bool:
        """Whether to go on: `--yes`, or the answer of whoever sits at the terminal.

        Raises:
            SettingsError: nobody can be asked.
        """
        if yes:
            return True
        if not sys.stdin.isatty():
            raise SettingsError("nobody can be asked here", hint="--yes goes on without a question")
        return typer.confirm(question, err=True)

    def embedded_database(self) -> str:
        """The embedded server's database for the pack in use: one each."""
        return self.settings.pack.replace("-", "_")

    def connect_embedded(self, more: Mapping[str, str] | None = None) -> Connection:
        """Connect to the embedded server, whatever else is set; it is started if need be.

        Args:
            more: further libpq keywords.

        Raises:
            ServerError: it could not be made or started.
        """
        from agentdb_cli.errors import DatabaseMissing
        from agentdb_cli.postgres import embedded

        cluster, postmaster = embedded.ensure_running(self.settings.server, self.output.notice)
        database = self.embedded_database()
        try:
            return self._open({**cluster.keywords(postmaster, database), **(more or {})})
        except DatabaseMissing:
            with self._open(cluster.keywords(postmaster, "postgres")) as connection:
                if embedded.create_database(connection, database):
                    self.output.notice(f"creating the database {database}")
        return self._open({**cluster.keywords(postmaster, database), **(more or {})})

    def _open(
        self, keywords: dict[str, str], ask_password: Callable[[str], str] | None = None
    ) -> Connection:
        from agentdb_cli.postgres.connect import open_connection

        return open_connection(
            keywords,
            self.settings.connection,
            command=self.command,
            source=self.settings.target.source,
            ask_password=ask_password,
        )


def _ask_password(prompt: str) -> str:
    from getpass import getpass

    return getpass(prompt)
