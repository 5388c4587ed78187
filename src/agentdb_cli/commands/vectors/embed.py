"""`agentdb vectors embed`: vectors for the rows that have none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption, writable
from agentdb_cli.commands.embedding import embedder_of, record_schema
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.embed import Choice, Estimate, Outcome
    from agentdb_cli.vectors.embedding import Embedder


def embed(
    run: Invocation,
    collection: CollectionOption = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="SQL", help="Only rows for which this is true.")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also rows that have an embedding: it is replaced.")
    ] = False,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="KEY", help="Only rows behind this key: to go on."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many rows.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what there is to do and what it costs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make vectors of the texts of rows that have none yet.

    First it counts rows and characters, and says what they cost if [embedding]
    has a price. Each batch is committed, so that a run that ended is simply run
    again. No row is locked meanwhile; one whose text changes, or that somebody
    has locked, waits for the next pass. After a change of texts or of the model:
    --again, with --where "updated_at > '2026-01-01'" for those alone.
    """
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.commands.stopping import stopping
    from agentdb_cli.postgres import advisory
    from agentdb_cli.vectors import embed as embedding
    from agentdb_cli.vectors import models

    choice = embedding.Choice(where=where, again=again, after=after, limit=limit)
    pause = _Pause()
    with run.connect(in_schema=True) as connection:
        embedder = embedder_of(run, pause)
        located = writable(chosen(run, connection, collection))
        if not again:
            models.check(connection, located, embedder.model, record_schema(run))
        elif where or after or limit:
            _same_model(run, connection, located, embedder)
        estimate = embedding.estimate(connection, located, choice)
        if dry_run or not estimate.rows:
            _show_estimate(run, located, embedder, estimate, dry_run=dry_run)
            return
        if not yes:
            _announce(run, located, embedder, estimate)
        if not run.confirmed(f"Embed {count(estimate.rows, 'row', 'rows')}?", yes=yes):
            raise typer.Abort
        name = f"embed {located.oid}"
        if advisory.try_own_lock(connection, name) is False:
            raise AgentdbError(
                f"{located.name} is being embedded by {advisory.holder(connection, name)}",
                hint="two runs would pay for the same rows twice",
            )
        begun = time.monotonic()
        with stopping() as pause.stopped:
            outcome = _embed(run, connection, located, choice, embedder, estimate, pause.stopped)
    _show(run, located, embedder, outcome, time.monotonic() - begun)


def _same_model(
    run: Invocation, connection: Connection, located: Located, embedder: Embedder
) -> None:
    from agentdb_cli.vectors import models

    try:
        models.check(connection, located, embedder.model, record_schema(run))
    except AgentdbError as error:
        raise SettingsError(
            "--again with another model has to embed all rows, without --where, --after and"
            f" --limit: {error.message}"
        ) from None


class _Pause:
    """Waits between two requests, but not when the run is to end."""

    def __init__(self) -> None:
        self.stopped: Callable[[], str | None] = lambda: None

    def __call__(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self.stopped():
                raise AgentdbError(f"{self.stopped()} while waiting: what is embedded stays")
            time.sleep(min(left, 0.1))


def _embed(
    run: Invocation,
    connection: Connection,
    located: Located,
    choice: Choice,
    embedder: Embedder,
    estimate: Estimate,
    stopped: Callable[[], str | None],
) -> Outcome:
    from agentdb_cli.render.progress import Progress
    from agentdb_cli.vectors import embed as embedding
    from agentdb_cli.vectors import models

    if embedder.model is not None:
        reason = models.record(connection, located, embedder.model, record_schema(run))
        if reason:
            run.output.warning(reason)
    with Progress(run.output) as progress:
        progress.start(located.name)

        def step(rows: int) -> None:
            progress.step(located.name, f"{rows:,} rows", rows, estimate.rows)

        return embedding.embed(
            connection, located, choice, embedder, progress=step, stopped=stopped
        )


def _price(run: Invocation, estimate: Estimate) -> float | None:
    price = run.settings.embedding.get("price_per_million_tokens")
    return None if price is None else price * estimate.tokens / 1_000_000


def _announce(run: Invocation, located: Located, embedder: Embedder, estimate: Estimate) -> None:
    cost = _price(run, estimate)
    text = (
        f"{located.name}: {count(estimate.rows, 'row', 'rows')}, {estimate.characters:,} characters"
        f" (about {estimate.tokens:,} tokens), by {embedder.model or 'a program'} at"
        f" {embedder.place}"
    )
    run.output.notice(text + ("" if cost is None else f"; price about {cost:.2g}"))


def _show_estimate(
    run: Invocation, located: Located, embedder: Embedder, estimate: Estimate, *, dry_run: bool
) -> None:
    if run.output.for_people and not estimate.rows:
        empty = f", but {estimate.empty:,} have no text" if estimate.empty else ""
        run.output.line(f"{located.name}: no row waits for an embedding{empty}")
        return
    run.output.record(
        {
            "collection": located.collection.name,
            "table": located.name,
            "model": embedder.model,
            "at": embedder.place,
            "rows": estimate.rows,
            "without_text": estimate.empty,
            "characters": estimate.characters,
            "tokens": estimate.tokens,
            "price": _price(run, estimate),
            "dry_run": dry_run,
        }
    )


def _show(
    run: Invocation, located: Located, embedder: Embedder, outcome: Outcome, seconds: float
) -> None:
    if not run.output.for_people:
        run.output.record(
            {
                "collection": located.collection.name,
                "table": located.name,
                "model": embedder.model,
                "embedded": outcome.embedded,
                "changed": outcome.changed,
                "refused": len(outcome.refused),
                "requests": outcome.requests,
                "last_key": outcome.last,
                "stopped": outcome.stopped,
                "duration": round(seconds, 3),
            }
        )
    elif not run.output.quiet:
        run.output.line(
            f"{located.name}: {count(outcome.embedded, 'row', 'rows')} embedded in"
            f" {duration(seconds)}, {count(outcome.requests, 'request', 'requests')}"
        )
    if outcome.changed:
        run.output.warning(
            f"{count(outcome.changed, 'row was', 'rows were')} changed or locked meanwhile:"
            " run it again for them"
        )
    if outcome.stopped:
        raise AgentdbError(
            f"{outcome.stopped}: {count(outcome.embedded, 'row stays', 'rows stay')} embedded",
            hint=f"run it again to go on; with --again from --after {outcome.last} on",
        )
    if outcome.refused:
        lines = [f"\n  {key}: {reason}" for key, reason in list(outcome.refused.items())[:5]]
        raise AgentdbError(
            f"{count(len(outcome.refused), 'row', 'rows')} of {located.name} cannot be embedded:"
            + "".join(lines)
        )
