"""`agentdb vectors load`: rows with vectors out of a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption, writable
from agentdb_cli.commands.embedding import record_schema
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.load.job import Options, Outcome
    from agentdb_cli.vectors.load.sources import File


def load(
    run: Invocation,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON lines, CSV, Parquet or .npy; - for stdin.")
    ],
    collection: CollectionOption = None,
    on_conflict: Annotated[
        str,
        typer.Option(
            "--on-conflict",
            metavar="error|update|skip",
            help="What to do with a row whose key is there already.",
        ),
    ] = "error",
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            "-m",
            metavar="FIELD=COLUMN",
            help="The column of a field, if of another name; FIELD= leaves it out (repeatable).",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="Of a .npy file: a key a line; else 1, 2, 3 …"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="jsonl|csv|parquet|npy", help="The file's format, if not as named."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="The model that made the vectors: recorded."),
    ] = None,
    batch_rows: Annotated[
        int | None,
        typer.Option(
            "--batch-rows", metavar="N", min=1, help="Commit every N rows, not all at once."
        ),
    ] = None,
    max_rejects: Annotated[
        int,
        typer.Option(
            "--max-rejects", metavar="N", min=0, help="Bad rows that may be left out (default 0)."
        ),
    ] = 0,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help="Where bad rows go, if there are any."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check all rows; load nothing.")
    ] = False,
) -> None:
    """Load rows with vectors, by binary COPY.

    A field goes to the column of its name. A field that a row does not have leaves
    its column alone. All rows are loaded, or none: a bad one ends the load, and all
    bad ones are written to FILE.rejects.jsonl with their line and the reason.
    --max-rejects N loads the others nevertheless, if at most N are bad.

    Rows that are there already stay unless --on-conflict update replaces them: that
    happens at the very end, so that nobody waits for them while the file is read.
    """
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.vectors.load import sources
    from agentdb_cli.vectors.load.job import ON_CONFLICT, Options

    if on_conflict not in ON_CONFLICT:
        raise SettingsError(f"--on-conflict {on_conflict}: it is one of {', '.join(ON_CONFLICT)}")
    source = sources.File(file, sources.format_of(file, form), keys)
    begun = time.monotonic()
    with run.connect(in_schema=True) as connection:
        located = writable(chosen(run, connection, collection))
        _check_model(run, connection, located, model)
        options = Options(
            on_conflict=on_conflict,
            max_rejects=max_rejects,
            batch_rows=batch_rows,
            rejects=rejects or _beside(file),
            dry_run=dry_run,
            at_end=lambda: _record(run, connection, located, model),
        )
        outcome = _load(run, connection, located, source, maps or [], options)
        if outcome.done.inserted:
            _warn_of_keys(run, connection, located)
    _show(run, located, source, outcome, options, time.monotonic() - begun)


def _beside(file: str) -> Path:
    return Path("vectors.rejects.jsonl" if file == "-" else f"{file}.rejects.jsonl")


def _check_model(
    run: Invocation, connection: Connection, located: Located, model: str | None
) -> None:
    from agentdb_cli.vectors import models

    models.check(connection, located, model, record_schema(run))


def _record(run: Invocation, connection: Connection, located: Located, model: str | None) -> None:
    from agentdb_cli.vectors import models

    if model is not None:
        reason = models.record(connection, located, model, record_schema(run))
        if reason:
            run.output.warning(reason)


def _warn_of_keys(run: Invocation, connection: Connection, located: Located) -> None:
    from agentdb_cli.vectors.load import sequence

    text = sequence.behind(connection, located)
    if text is not None:
        run.output.warning(text)


def _load(
    run: Invocation,
    connection: Connection,
    located: Located,
    source: File,
    maps: list[str],
    options: Options,
) -> Outcome:
    from agentdb_cli.commands.stopping import stopping
    from agentdb_cli.render.progress import Progress
    from agentdb_cli.vectors.load import job
    from agentdb_cli.vectors.load.encode import Encoder

    encoder = Encoder(
        located,
        maps,
        connection.info.timezone,
        format=source.format,
        thorough=options.dry_run,
    )
    with stopping() as stopped, Progress(run.output) as progress:
        name = Path(source.name).name
        progress.start(name)

        def step(size: int, done: int, rows: int) -> None:
            progress.step(name, f"{rows:,} rows", done, size)

        return job.Job(connection, located, source, encoder, options, step, stopped).run()


def _show(
    run: Invocation,
    located: Located,
    source: File,
    outcome: Outcome,
    options: Options,
    seconds: float,
) -> None:
    done = outcome.done
    record = {
        "collection": located.collection.name,
        "table": located.name,
        "file": source.name,
        "read": outcome.read,
        "inserted": done.inserted,
        "updated": done.updated,
        "skipped": done.skipped,
        "rejected": outcome.rejected,
        "rejects": str(options.rejects) if outcome.rejected else None,
        "dry_run": options.dry_run,
        "duration": round(seconds, 3),
    }
    if not run.output.for_people:
        run.output.record(record)
    elif not run.output.quiet and not (outcome.failed or outcome.stopped):
        run.output.line(_sentence(located, outcome, options, seconds))
    bad = _bad(source, outcome, options)
    if outcome.stopped:
        raise AgentdbError(f"{outcome.stopped}: {_kept(outcome, options)}")
    if outcome.rejected > options.max_rejects:
        raise AgentdbError(
            bad if options.dry_run else f"{bad}{_kept(outcome, options)}",
            hint="mend them and load the file again; --max-rejects N loads the others if at most N"
            " are bad",
        )
    if outcome.rejected:
        run.output.warning(bad)


def _sentence(located: Located, outcome: Outcome, options: Options, seconds: float) -> str:
    done = outcome.done
    if options.dry_run:
        good = outcome.read - outcome.rejected
        return f"dry run: {count(good, 'row', 'rows')} can be loaded, nothing was changed"
    parts = [f"{done.inserted:,} inserted"]
    parts += [f"{done.updated:,} updated"] if done.updated else []
    parts += [f"{done.skipped:,} skipped"] if done.skipped else []
    return (
        f"{located.name}: {', '.join(parts)} in {duration(seconds)}"
        f" ({outcome.read / max(seconds, 0.001):,.0f} rows a second)"
    )


def _kept(outcome: Outcome, options: Options) -> str:
    rows = outcome.done.inserted + outcome.done.updated
    if options.batch_rows is None or not rows:
        return "nothing was loaded"
    return f"the first {count(rows, 'row', 'rows')} of the file stay loaded"


def _bad(source: File, outcome: Outcome, options: Options) -> str:
    rows = "1 row" if outcome.rejected == 1 else f"{outcome.rejected:,} rows"
    lines = [
        f"{source.name}: {rows} of {outcome.read:,} cannot be loaded, written to {options.rejects}"
    ]
    lines += [f"  {source.unit} {bad.number:,}: {bad.reason}" for bad in outcome.first]
    if outcome.rejected > len(outcome.first):
        lines.append(f"  … and {outcome.rejected - len(outcome.first):,} more")
    return "\n".join(lines) + ("\n" if outcome.failed else "")
