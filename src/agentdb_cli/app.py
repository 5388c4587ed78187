"""The command line: global options, the lazy table of commands, errors to exit codes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from agentdb_cli import __version__
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.lazy import LazyGroup, Line
from agentdb_cli.commands.registration import with_global_options
from agentdb_cli.errors import AgentdbError, nearest


class Entry(NamedTuple):
    """A command as `agentdb --help` lists it; its module is loaded when it runs."""

    module: str
    help: str
    panel: str


COMMANDS = {
    "init": Entry("init", "Write an agentdb.toml.", "Set up"),
    "server": Entry("server", "Control the embedded PostgreSQL server.", "Set up"),
    "setup": Entry("setup", "Create roles, database, extensions and privileges.", "Set up"),
    "extensions": Entry(
        "extensions", "Show, enable and upgrade the extensions that agentdb uses.", "Set up"
    ),
    "doctor": Entry("doctor", "Check whether the server is fit for production.", "Set up"),
    "config": Entry("config", "Show which settings are in force, and why.", "Set up"),
    "packs": Entry("packs", "Show the schema packs, and compare a database.", "Set up"),
    "migrate": Entry("migrate", "Apply numbered SQL migrations.", "Schema"),
    "restore": Entry("restore", "Restore a backup into a database.", "Data"),
    "backup": Entry("backup", "Make backups; list, verify and prune them.", "Data"),
    "purge": Entry("purge", "Delete rows that are past their time.", "Data"),
    "retention": Entry("retention", "Show and declare which rows are kept how long.", "Data"),
    "vacuum": Entry("vacuum", "Vacuum the tables that need it, worst first.", "Data"),
    "reindex": Entry(
        "reindex", "Rebuild indexes that need it, without locking anyone out.", "Data"
    ),
    "import": Entry(
        "import_", "Put rows into the database: purged ones, out of their archive.", "Data"
    ),
    "health": Entry("health", "Check the database and its agents.", "Monitor"),
    "slow-queries": Entry("slow_queries", "Show which statements take the time.", "Monitor"),
    "agents": Entry(
        "agents",
        "Show the agents: state, heartbeats, errors, metrics, messages and cost.",
        "Monitor",
    ),
    "inspect": Entry(
        "inspect",
        "Look into a database: activity, locks, sizes, indexes, vacuum, replication …",
        "Monitor",
    ),
    "search": Entry("search", "Find what is nearest to a text, a vector or a row.", "Vectors"),
    "vectors": Entry(
        "vectors", "Load, embed, index and measure the vectors of a collection.", "Vectors"
    ),
}


class Commands(LazyGroup):
    """The commands of `COMMANDS`; a test holds their lines equal to the commands' own."""

    def lines(self, ctx: Any) -> Mapping[str, Line]:
        """The commands' lines, in the order of `COMMANDS`."""
        return {name: Line(entry.help, entry.panel) for name, entry in COMMANDS.items()}

    def make(self, ctx: Any, name: str) -> Any:
        """The command, from its module."""
        return load(name) if name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name; an unknown one gets the nearest name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise AgentdbError(
                f"no such command '{name}'{nearest(name, COMMANDS)}",
                hint="agentdb --help lists the commands",
                exit_code=2,
            )
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """The command `name`, from the module that `COMMANDS` gives."""
    module = import_module(f"agentdb_cli.commands.{COMMANDS[name].module}")
    command = typer.main.get_command(module.app)
    command.name = name
    return command


def _version(value: bool) -> None:
    if value:
        typer.echo(f"agentdb {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
@with_global_options
def root(
    run: Invocation,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Show the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Administer the PostgreSQL + pgvector databases behind AI-agent systems."""


def main() -> None:
    """The console script: run the command line and exit with its code."""
    code = execute(sys.argv[1:])
    # The interpreter's last collections would walk everything that was loaded:
    # 35 of 240 ms of a run that finds nothing to do.
    gc.freeze()
    sys.exit(code)


def execute(arguments: list[str]) -> int:
    """Run one command line.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    from agentdb_cli import render

    debug = "--debug" in arguments
    try:
        result = typer.main.get_command(app).main(
            arguments, prog_name="agentdb", standalone_mode=False
        )
    except AgentdbError as error:
        _traceback_if(debug)
        render.error(error.message, error.hint)
        return error.exit_code
    except typer.TyperException as error:
        return _usage_error(error)
    except (typer.Abort, KeyboardInterrupt):
        result = 130
    except Exception as error:
        _traceback_if(debug)
        shown = _unexpected(error)
        render.error(shown.message, shown.hint)
        return 1
    if result == 130:
        render.error("interrupted", None)
    return result if isinstance(result, int) else 0


def _usage_error(error: typer.TyperException) -> int:
    """Write what is wrong with the command line, in one line and a hint."""
    from agentdb_cli import render

    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".")
    if not message.strip():  # a group without a command: Typer has written its help
        return 2
    path = context.command_path if context is not None else "agentdb"
    render.error(message[:1].lower() + message[1:], f"{path} --help shows the usage")
    return error.exit_code


def _unexpected(error: Exception) -> AgentdbError:
    """An exception that no command foresaw, as an error of ours."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.Error):
        from agentdb_cli.postgres.connect import database_error

        return database_error(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return AgentdbError(f"{place}{error.strerror or error}")
    return AgentdbError(
        f"internal error: {type(error).__name__}: {error}",
        hint="run it again with --debug for a traceback, and report it",
    )


def _traceback_if(debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
