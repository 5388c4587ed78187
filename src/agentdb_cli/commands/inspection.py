"""One inspection as a command: `agentdb inspect NAME`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.commands.watching import Steady, every, redraws
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import Format
from agentdb_cli.settings import Settings

if TYPE_CHECKING:
    from agentdb_cli.monitoring.inspections import Inspection
    from agentdb_cli.monitoring.looking import Table
    from agentdb_cli.postgres.connect import Connection

Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        min=1,
        help="The most rows to show: 50, or with --watch what the terminal has room for.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="Order by a column; 'COLUMN desc' for the most."),
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", metavar="SECONDS", min=0.1, help="Repeat until Ctrl-C."),
]


class Seen(NamedTuple):
    """What one look has shown, and what was hidden from it."""

    table: Table
    warnings: tuple[str, ...]


def command_of(inspection: Inspection) -> Any:
    """The command `agentdb inspect NAME`."""

    def inspect(
        run: Invocation, limit: Limit = None, sort: Sort = None, watch: Watch = None
    ) -> None:
        if watch is not None and run.output.format is Format.json:
            raise SettingsError(
                "--watch never ends, and json is one array", hint="--format jsonl: a row a line"
            )

        def look(connection: Connection) -> Seen:
            return _look(run, connection, inspection, sort, limit or _room(run, watch))

        with Steady(run) as steady:
            seen = every(run, watch, lambda: steady.ask(look))
            if run.output.for_people or watch is None:
                _write(run, seen, inspection.advice if watch is None else "")
            else:
                _stream(run, seen)

    paragraphs = (inspection.title, inspection.advice, inspection.units)
    inspect.__doc__ = "\n\n".join(escaped(text) for text in paragraphs if text)
    alone = typer.Typer(add_completion=False)
    register(alone, inspection.name)(inspect)
    return typer.main.get_command(alone)


def _room(run: Invocation, watch: float | None) -> int:
    """How many rows to show unless told otherwise."""
    if watch is None or not redraws(run):
        return 50
    # Around them: the line with the time, the header and its rule, two notices, the cursor.
    return max(shutil.get_terminal_size().lines - 6, 1)


def _look(
    run: Invocation, connection: Connection, inspection: Inspection, sort: str | None, limit: int
) -> Seen:
    from agentdb_cli.monitoring import lock_names, looking

    hidden = looking.hidden_without(connection, inspection)
    table = looking.run(connection, inspection, sort=sort, limit=limit)
    warnings: tuple[str, ...] = (hidden,) if hidden else ()
    if inspection.names_locks:
        table, problems = lock_names.named(connection, table, _advisory_locks(run.settings))
        warnings += problems
    return Seen(table, warnings)


def _advisory_locks(settings: Settings) -> dict[str, Any]:
    """What agentdb.toml says of advisory locks, before what the pack says."""
    from agentdb_cli import packs

    of_pack = packs.load(settings.pack).content.get("advisory_locks", {})
    return {**of_pack, **settings.catalog.get("advisory_locks", {})}


def _write(run: Invocation, looks: Iterator[Seen], advice: str) -> None:
    said: set[str] = set()
    for table, warnings in looks:
        _warn(run, warnings, said)
        run.output.rows(table.columns, table.dicts())
        if len(table.rows) < table.total:
            run.output.notice(
                f"the first {len(table.rows)} of {table.total} rows; --limit shows more"
            )
        if not table.rows:
            run.output.notice("no rows")
        elif advice:
            run.output.notice(advice)


def _stream(run: Invocation, looks: Iterator[Seen]) -> None:
    """Write the rows of all looks as one result, each row with the time of its look."""
    first = next(looks)
    said: set[str] = set()

    def rows() -> Iterator[dict[str, object]]:
        for table, warnings in chain([first], looks):
            _warn(run, warnings, said)
            at = datetime.now().astimezone()
            yield from ({"at": at, **row} for row in table.dicts())

    run.output.rows(("at", *first.table.columns), rows())


def _warn(run: Invocation, warnings: tuple[str, ...], said: set[str]) -> None:
    """Say each warning once, or again on a terminal where it was erased."""
    for warning in warnings:
        if redraws(run) or warning not in said:
            run.output.warning(warning)
        said.add(warning)


def escaped(text: str) -> str:
    """`text` for a help, where [ opens markup."""
    return text.replace("[", "\\[")
