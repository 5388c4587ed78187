"""`agentdb inspect`: monitoring queries, one sub-command each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring import inspections

app = group("Look into a database: activity, locks, sizes, indexes, vacuum, replication …")

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="The most rows to show.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Order by a column; 'COLUMN desc' for the most."),
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", metavar="SECONDS", min=0.1, help="Repeat until Ctrl-C."),
]


@register(app, "list")
def list_(run: Invocation) -> None:
    """List the inspections, with what each needs."""
    rows = [
        {
            "name": inspection.name,
            "title": inspection.title,
            "needs": ", ".join(_needs(inspection)),
        }
        for inspection in inspections.available().values()
    ]
    run.output.rows(("name", "title", "needs"), rows)


def _needs(inspection: inspections.Inspection) -> list[str]:
    needs = [f"PostgreSQL {inspection.minimum}"] if inspection.minimum > 13 else []
    needs += [f"extension {inspection.extension}"] if inspection.extension else []
    return needs + ([f"role {inspection.role}"] if inspection.role else [])


Pid = Annotated[int, typer.Argument(min=1, help="The process id of the session.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the session, do nothing.")]


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


def _command(inspection: inspections.Inspection) -> Callable[..., None]:
    """The function behind `agentdb inspect NAME`."""

    def inspect(
        run: Invocation,
        limit: Limit = inspections.DEFAULT_LIMIT,
        sort: Sort = None,
        watch: Watch = None,
    ) -> None:
        with run.connect() as connection:
            hidden = inspections.hidden_without(connection, inspection)
            if hidden:
                run.output.warning(hidden)
            while True:
                table = inspections.run(connection, inspection, sort=sort, limit=limit)
                run.output.rows(table.columns, table.dicts())
                if watch is None:
                    break
                time.sleep(watch)
                run.output.line()
        if table.rows and inspection.advice:
            run.output.notice(inspection.advice)

    paragraphs = (inspection.title, inspection.advice, inspection.units)
    inspect.__doc__ = "\n\n".join(_escaped(text) for text in paragraphs if text)
    return inspect


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


for _inspection in inspections.available().values():
    register(app, _inspection.name)(_command(_inspection))
