"""`agentdb vectors export`: the rows of a collection with their vectors, into a file."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.export import Selection


def export(
    run: Invocation,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; - for stdout.")],
    collection: CollectionOption = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="This column, with key and embedding; else all that can be loaded (repeatable).",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="FILTER", help="Only such rows, as in search (repeatable)."
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Only rows for which this is true.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="Of a .npy file: where the keys go."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="jsonl|csv|parquet|npy", help="The file's format, if not as named."
        ),
    ] = None,
) -> None:
    """Write rows with their vectors to a file that `vectors load` reads.

    One snapshot, in the order of the keys. The file gets its name when it is whole.
    A .npy file holds the vectors alone; their keys go to FILE.keys, a line each.
    """
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.vectors import export as exporting
    from agentdb_cli.vectors.load.sources import format_of

    kind = format_of(file, form)
    if keys is not None and kind != "npy":
        raise SettingsError("--keys is for .npy files: the others have a column of keys")
    if kind == "npy" and file == "-":
        raise SettingsError(
            "a .npy file cannot be written to stdout: its first bytes say how many rows follow",
            hint="name a file, or take --as jsonl",
        )
    if kind == "npy" and columns:
        raise SettingsError("a .npy file has no columns but the embedding")
    if file == "-" and kind == "parquet" and sys.stdout.isatty():
        raise SettingsError("Parquet is not for a terminal", hint="name a file")
    begun = time.monotonic()
    with run.connect(in_schema=True) as connection:
        located = chosen(run, connection, collection)
        condition = _condition(connection, located, filters or [], where)
        picked = exporting.selection(located, columns or [], condition)
        rows = _write(run, connection, located, picked, kind, file, keys)
    _show(run, located, file, rows, time.monotonic() - begun)


def _condition(
    connection: Connection, located: Located, filters: list[str], where: str | None
) -> str | None:
    """What rows have to fulfil, as SQL without parameters: COPY takes none."""
    parts = [f"({where}\n)"] if where else []
    if filters:
        import psycopg

        from agentdb_cli.vectors.filters import condition, parse

        found = condition([parse(text) for text in filters], located)
        assert found is not None
        cursor = psycopg.ClientCursor(connection)
        parts.append(f"({cursor.mogrify(found.sql.encode(), found.parameters)})")
    return " AND ".join(parts) or None


def _write(
    run: Invocation,
    connection: Connection,
    located: Located,
    picked: Selection,
    kind: str,
    file: str,
    keys: Path | None,
) -> int:
    from agentdb_cli.render.progress import Progress
    from agentdb_cli.vectors.export import export as write
    from agentdb_cli.vectors.export import replacing

    total = located.rows or 0
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(run.output))
        progress.start(located.name)
        beside = None
        if kind == "npy":
            beside = stack.enter_context(replacing(keys or Path(f"{file}.keys")))
        out = sys.stdout.buffer if file == "-" else stack.enter_context(replacing(Path(file)))

        def step(rows: int) -> None:
            progress.step(located.name, f"{rows:,} rows", rows, total)

        rows = write(connection, located, picked, kind, out, beside, step)
        out.flush()
    return rows


def _show(run: Invocation, located: Located, file: str, rows: int, seconds: float) -> None:
    if file == "-":
        run.output.notice(f"{count(rows, 'row', 'rows')} in {duration(seconds)}")
    elif run.output.for_people:
        if not run.output.quiet:
            run.output.line(
                f"{file}: {count(rows, 'row', 'rows')} of {located.name} in {duration(seconds)}"
            )
    else:
        run.output.record(
            {
                "collection": located.collection.name,
                "table": located.name,
                "file": file,
                "rows": rows,
                "duration": round(seconds, 3),
            }
        )
