"""What `vectors recall` and `vectors tune` share: options, progress, readable points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.vectors.recall import Point
    from agentdb_cli.vectors.truth import Tell

IndexOption = Annotated[
    str | None,
    typer.Option("--index", metavar="NAME", help="Which; the one that searches use."),
]
LimitOption = Annotated[
    int, typer.Option("--limit", "-k", metavar="K", min=1, max=500, help="Rows of a search.")
]
QueriesOption = Annotated[
    int | None,
    typer.Option(
        "--queries",
        metavar="N",
        min=10,
        help="Rows to draw as queries; from 200 on, as many as there is time for.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Draws other rows.")]


@contextmanager
def telling(run: Invocation, name: str) -> Iterator[Tell]:
    """A progress bar for a measurement."""
    from agentdb_cli.render.progress import Progress

    with Progress(run.output) as progress:
        progress.start(name)
        yield lambda phase, done, total: progress.step(name, phase, done, total)
        progress.finish(name)


def cells(point: Point, name: str, *, people: bool) -> dict[str, object]:
    """A point as a row; times in seconds, for people as they read them."""
    times: dict[str, object] = {"p50": point.p50, "p95": point.p95}
    if people:
        times = {key: _milliseconds(seconds) for key, seconds in times.items()}  # type: ignore[arg-type]
        recall: dict[str, object] = {
            "recall": f"{point.recall:.4f}",
            "95 % interval": f"{point.low:.4f} – {point.high:.4f}",
        }
        return {name: point.value, **recall, **times}
    bounds = {"recall": point.recall, "recall_low": point.low, "recall_high": point.high}
    return {name: point.value, **bounds, **times}


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 0.1 else duration(seconds)
