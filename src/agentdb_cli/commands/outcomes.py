"""What `agentdb vacuum` and `agentdb reindex` show alike: progress, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.postgres.progress import Report

Row = Mapping[str, object]


@contextmanager
def reporting(run: Invocation) -> Iterator[Report]:
    """How a run reports what it does: as bars on a terminal, as lines in a log."""
    from agentdb_cli.postgres.progress import Report, Step
    from agentdb_cli.render.progress import Progress

    with Progress(run.output) as progress:

        def step(name: str, step: Step) -> None:
            progress.step(name, step.phase, step.done, step.total)

        yield Report(progress.start, step, progress.finish, run.output.notice, run.output.warning)


def show(run: Invocation, rows: Sequence[Row], *, error_follows: bool = False) -> None:
    """Write a row an object, with the columns `state`, `duration`, `detail` and others.

    For people sizes and durations are made readable, and what an error repeats is left out; with
    `--quiet` they get the error alone.

    Args:
        rows: all with the same keys; those that begin with `size` are bytes.
    """
    if not run.output.for_people:
        if rows:
            run.output.rows(tuple(rows[0]), rows)
        elif run.output.format.value == "json":
            run.output.rows((), [])
        return
    if run.output.quiet or not rows:
        return
    if error_follows:
        rows = [row if row["state"] == "done" else {**row, "detail": ""} for row in rows]
    columns = [name for name in rows[0] if name != "detail" or any(row[name] for row in rows)]
    run.output.rows(columns, [readable(row) for row in rows])


def readable(row: Row) -> Row:
    """A row with sizes, numbers and durations as people read them."""
    from agentdb_cli.render.progress import size

    formats: dict[str, Callable[[Any], str]] = {
        "size": size, "gain": size, "duration": duration, "dead": "{:,}".format,
    }  # fmt: skip
    return {
        name: formats[kind](value)
        if isinstance(value, int | float) and (kind := name.partition("_")[0]) in formats
        else value
        for name, value in row.items()
    }


def conclude(
    run: Invocation,
    rows: Sequence[Row],
    told: Mapping[str, str],
    what: str,
    where: str,
    seconds: float,
    hints: Mapping[str, str],
) -> None:
    """Show what came of all objects, and fail unless all are done.

    Args:
        told: what there is to say of those that are not done, by name.
        what: `3 tables`.
        hints: what to do next, by state.

    Raises:
        AgentdbError: something was not done.
    """
    show(run, rows, error_follows=True)
    if not told:
        if not run.output.quiet:
            run.output.line(f"{what} in {duration(seconds)}, database {where}")
        return
    lines = "".join(f"\n  {name}: {text}" for name, text in told.items())
    states = {row["state"] for row in rows}
    raise AgentdbError(
        f"{len(told)} of {what} not done, database {where}:{lines}",
        hint=next((hint for state, hint in hints.items() if state in states), None),
    )


def count(number: int, noun: str, plural: str) -> str:
    """`1 table`, `2 tables`."""
    return f"{number} {noun if number == 1 else plural}"
