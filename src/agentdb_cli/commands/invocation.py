"""What every command shares: the global options, settings, output, connection.

A command function takes an `Invocation` first and its own options after it;
`register` adds the global options to it, so that they are accepted before and
after the command's name alike.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.errors import SettingsError
from agentdb_cli.render import Format, Output
from agentdb_cli.settings import Flags, Settings, resolve

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection

_PANEL = "Global options"


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options that every command takes; None means "not given here"."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            "-d",
            metavar="URL",
            help="Database: a libpq URL or conninfo, or 'embedded'.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            "-e",
            metavar="NAME",
            help="An environment of agentdb.toml.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings file instead of the nearest agentdb.toml.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    pack: Annotated[
        str | None,
        typer.Option(
            "--pack", metavar="NAME", help="The schema pack in use.", rich_help_panel=_PANEL
        ),
    ] = None
    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="NAME",
            help="Schema for the pack's tables instead of public.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    lock_timeout: Annotated[
        str | None,
        typer.Option(
            "--lock-timeout",
            metavar="TIME",
            help="Longest wait for a lock, such as 5s (default) or 500ms.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    format: Annotated[
        Format | None,
        typer.Option(
            "--format", "-f", help="Format of the result on stdout.", rich_help_panel=_PANEL
        ),
    ] = None
    quiet: Annotated[
        bool | None,
        typer.Option("--quiet", "-q", help="No notices on stderr.", rich_help_panel=_PANEL),
    ] = None
    debug: Annotated[
        bool | None,
        typer.Option("--debug", help="Show a traceback with an error.", rich_help_panel=_PANEL),
    ] = None

    def over(self, outer: GlobalOptions) -> GlobalOptions:
        """These options, completed by those given further left."""
        given = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        return replace(outer, **given)


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

    def connect(self) -> Connection:
        """Connect to the chosen database; the embedded server is started if need be.

        Raises:
            ConnectionFailed: the server was not reached or did not let us in.
            ServerError: the embedded server could not be started.
        """
        from agentdb_cli.postgres import connect

        if self.settings.target.embedded:
            return self.connect_embedded()
        keywords = connect.parameters(self.settings.target)
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

    def connect_briefly(self, seconds: float) -> Connection:
        """Connect for a look: give up after `seconds`, and never wait for a lock.

        The embedded server is not started for it.

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
            cluster = embedded.find(self.settings.server)
            postmaster = cluster.postmaster() if cluster else None
            if cluster is None or postmaster is None:
                raise ServerDown("the embedded server is not running", hint="agentdb server start")
            keywords = cluster.keywords(postmaster, self.embedded_database())
        else:
            keywords = connect.parameters(target)
        if self.settings.schema is not None:
            keywords["options"] = connect.search_path_option(self.settings.schema)
        return connect.open_connection(keywords, brief, command=self.command, source=target.source)

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

    def connect_embedded(self) -> Connection:
        """Connect to the embedded server, whatever else is set; it is started if need be.

        Raises:
            ServerError: it could not be made or started.
        """
        from agentdb_cli.errors import DatabaseMissing
        from agentdb_cli.postgres import embedded

        cluster, postmaster = embedded.ensure_running(self.settings.server, self.output.notice)
        database = self.embedded_database()
        try:
            return self._open(cluster.keywords(postmaster, database))
        except DatabaseMissing:
            with self._open(cluster.keywords(postmaster, "postgres")) as connection:
                if embedded.create_database(connection, database):
                    self.output.notice(f"creating the database {database}")
        return self._open(cluster.keywords(postmaster, database))

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


def group(help: str) -> typer.Typer:
    """A group of commands that takes the global options before a command's name as well.

    Args:
        help: the line that `agentdb --help` shows for it.
    """
    app = typer.Typer(add_completion=False, no_args_is_help=True)

    def options(run: Invocation) -> None:
        """Nothing of its own: the options reach the command through the context."""

    app.callback(help=help)(with_global_options(options))
    return app


def register(app: typer.Typer, name: str, **settings: Any) -> Callable[..., Callable[..., Any]]:
    """Decorator: add a function to `app` as command `name`, with the global options."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        app.command(name, **settings)(with_global_options(function))
        return function

    return add


def with_global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(invocation, …)` as Typer wants it: a context and all options."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=annotation,
        )
        for name, annotation in _global_annotations().items()
    ]

    @functools.wraps(function)
    def run(ctx: typer.Context, **arguments: Any) -> Any:
        given = GlobalOptions(**{p.name: arguments.pop(p.name) for p in shared})
        options = given.over(ctx.obj) if isinstance(ctx.obj, GlobalOptions) else given
        ctx.obj = options
        if any(p.name == "subcommand" for p in own):
            arguments["subcommand"] = ctx.invoked_subcommand
        return function(Invocation(options, ctx.command_path.partition(" ")[2]), **arguments)

    parameters = [context, *(p for p in own if p.name != "subcommand"), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


@functools.cache
def _global_annotations() -> dict[str, Any]:
    return inspect.get_annotations(GlobalOptions, eval_str=True)


def _ask_password(prompt: str) -> str:
    from getpass import getpass

    return getpass(prompt)
