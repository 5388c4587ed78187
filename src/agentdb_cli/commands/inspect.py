"""`agentdb inspect`: monitoring queries, one sub-command each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.global_options import GlobalOptions
from agentdb_cli.commands.inspection import command_of, escaped
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.lazy import LazyGroup, Line
from agentdb_cli.commands.registration import by_default, register
from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.render import Output
from agentdb_cli.settings import inspections_directory

if TYPE_CHECKING:
    from agentdb_cli.monitoring.inspections import Inspection

_SESSIONS = "Sessions"
_OURS = "Inspections"
_OWN = "Inspections of your own"


# --- The group ------------------------------------------------------------------


class Inspections(LazyGroup):
    """The inspections of agentdb and of the user's own directory, and a few commands."""

    def lines(self, ctx: Any) -> Mapping[str, Line]:
        """The sub-commands, the inspections with their titles."""
        from agentdb_cli.monitoring import inspections

        found = {
            name: Line(command.get_short_help_str(200), _SESSIONS)
            for name, command in self.commands.items()
        }
        for name, path in _files(_own_directory(ctx)).items():
            if name in found:
                continue  # --list says it
            try:
                inspection = inspections.read(path)
            except SettingsError as problem:
                found[name] = Line(escaped(problem.message), _OWN)
            else:
                panel = _OWN if inspection.own else _OURS
                found[name] = Line(escaped(_title(inspection)), panel)
        return found

    def make(self, ctx: Any, name: str) -> Any:
        """The command of an inspection, or one of the others."""
        return self.commands.get(name) or command_of(_found(name, _own_directory(ctx)))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name; settings may stand behind the name as well."""
        name, *rest = args
        if name in self.commands:
            return super().resolve_command(ctx, args)
        return name, command_of(_found(name, _own_directory(ctx, rest))), rest


def _own_directory(ctx: Any, rest: list[str] | None = None) -> Path | None:
    """The user's own directory, by the options read so far and those in `rest`."""
    options = ctx.obj if isinstance(ctx.obj, GlobalOptions) else GlobalOptions()
    contexts = [ctx]
    if rest:
        # A group takes the global options too, so its parser knows them among others.
        contexts += [
            ctx.command.make_context(
                ctx.info_name,
                list(rest),
                parent=ctx.parent,
                resilient_parsing=True,
                ignore_unknown_options=True,
                allow_interspersed_args=True,
            )
        ]
    for context in contexts:
        given = {f.name: context.params.get(f.name) for f in fields(GlobalOptions)}
        options = GlobalOptions(**given).over(options)
    # Typer makes a Path of it only for the function of the command.
    config = None if options.config is None else Path(options.config)
    return inspections_directory(config, options.env)


def _files(own: Path | None) -> dict[str, Path]:
    """All files by name; of a directory that is not there, a warning alone."""
    from agentdb_cli.monitoring import inspections

    try:
        return inspections.files(own)
    except SettingsError as problem:
        Output().warning(problem.message)
        return inspections.files()


def _found(name: str, own: Path | None) -> Inspection:
    """The inspection `name`.

    Raises:
        SettingsError: there is none, or its file is malformed.
    """
    from agentdb_cli.monitoring import inspections

    known = _files(own) if name in inspections.files() else inspections.files(own)
    if name not in known:
        place = own or "the directory that [inspect] dir in agentdb.toml names"
        raise SettingsError(
            f"there is no inspection '{name}'{nearest(name, (*known, *_COMMANDS))}",
            hint=f"agentdb inspect --list shows all; one of your own is NAME.sql in {place}",
        )
    return inspections.read(known[name])


def _title(inspection: Inspection) -> str:
    from agentdb_cli.monitoring import inspections

    replaced = inspection.own and inspection.name in inspections.files()
    return inspection.title + (" (in place of agentdb's)" if replaced else "")


app = typer.Typer(
    cls=Inspections, add_completion=False, no_args_is_help=True, invoke_without_command=True
)


def show(
    run: Invocation,
    listed: Annotated[
        bool, typer.Option("--list", help="List the inspections, with what each needs.")
    ] = False,
) -> None:
    """List the inspections, or say that one is to be named."""
    if not listed:
        raise SettingsError("name an inspection", hint="agentdb inspect --list shows all")
    _list(run)


by_default(
    app,
    show,
    "Look into a database: activity, locks, sizes, indexes, vacuum, replication …",
)


def _list(run: Invocation) -> None:
    from agentdb_cli.monitoring import inspections

    rows = []
    problems = []
    own = inspections_directory(run.options.config, run.options.env)
    for name, path in inspections.files(own).items():
        try:
            inspection = inspections.read(path)
        except SettingsError as problem:
            problems.append(problem.message)
            continue
        if name in _COMMANDS:
            problems.append(f"{path} cannot be run: agentdb inspect {name} is a command; rename it")
            continue
        rows.append(
            {
                "name": name,
                "title": _title(inspection),
                "needs": ", ".join(_needs(inspection)),
                "source": _short(path) if inspection.own else "agentdb",
            }
        )
    run.output.rows(("name", "title", "needs", "source"), rows)
    for message in problems:
        run.output.warning(message)


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _needs(inspection: Inspection) -> list[str]:
    needs = [f"PostgreSQL {inspection.minimum}"] if inspection.minimum > 13 else []
    needs += [f"extension {inspection.extension}"] if inspection.extension else []
    return needs + ([f"role {inspection.role}"] if inspection.role else [])


# --- Ending sessions --------------------------------------------------------------

Pid = Annotated[int, typer.Argument(min=1, help="The process id of the session.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the session, do nothing.")]

_COMMANDS = ("cancel", "kill")


@register(app, "cancel")
def cancel(run: Invocation, pid: Pid, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Cancel the statement that a session runs, after showing it."""
    _end(run, pid, "cancel", yes=yes, dry_run=dry_run)


@register(app, "kill")
def kill(run: Invocation, pid: Pid, yes: Yes = False, dry_run: DryRun = False) -> None:
    """End a session, after showing what it does; its open transaction is rolled back."""
    _end(run, pid, "kill", yes=yes, dry_run=dry_run)


def _end(run: Invocation, pid: int, action: str, *, yes: bool, dry_run: bool) -> None:
    from dataclasses import asdict

    from agentdb_cli.monitoring import sessions

    with run.connect() as connection:
        session = sessions.look(connection, pid)
        run.output.record(asdict(session))
        if dry_run or not run.confirmed(f"{action} this session?", yes=yes):
            run.output.notice("nothing was done")
            return
        act = sessions.cancel if action == "cancel" else sessions.terminate
        if not act(connection, pid):
            raise AgentdbError(f"pid {pid} has ended meanwhile; nothing was done")
    run.output.notice(f"{'cancelled' if action == 'cancel' else 'ended'} pid {pid}")
