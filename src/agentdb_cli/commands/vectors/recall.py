"""`agentdb vectors recall`: how much an index finds, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.vectors.measuring import (
    IndexOption,
    LimitOption,
    QueriesOption,
    SeedOption,
    cells,
    telling,
)
from agentdb_cli.errors import SettingsError

ValuesOption = Annotated[
    str | None,
    typer.Option("--values", metavar="N,N…", help="Of ef_search or probes; a range of them."),
]


def recall(
    run: Invocation,
    collection: CollectionOption = None,
    index: IndexOption = None,
    limit: LimitOption = 10,
    values: ValuesOption = None,
    queries: QueriesOption = None,
    seed: SeedOption = 0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw recall over latency: .svg or .png."),
    ] = None,
) -> None:
    """Measure how many of the nearest rows an index finds, and how fast.

    Rows drawn at random are the queries, each without itself; what is nearest
    is known from an exact search, which reads the whole table for some of them at
    a time.
    A row at the same distance as the last of the nearest is a hit.
    """
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.vectors import recall as measured
    from agentdb_cli.vectors import truth

    wanted = _values(values)
    if plot is not None:
        from agentdb_cli.render import plot as pictures

        pictures.check(plot)
    with run.connect(in_schema=True) as connection:
        located = chosen(run, connection, collection)
        searched = measured.index_for(located, index)
        _check_values(wanted, searched.method)
        with telling(run, searched.relation) as tell:
            drawn = truth.Wanted(queries, measured.MOST_QUERIES, measured.SECONDS, seed)
            known = truth.find(connection, located, searched, drawn, limit, tell)
            points = measured.curve(
                connection, located, searched, known.queries, limit, wanted, tell
            )
    name, people = measured.setting(searched), run.output.for_people
    rows = [cells(point, name, people=people) for point in points]
    exact = cells(measured.exact(known), name, people=people)
    if people:
        rows.append({**exact, name: "exact", "95 % interval": ""})
    else:
        rows.append(exact)
    run.output.rows(list(rows[0]), rows)
    run.output.notice(
        f"recall@{limit} of {searched.name} ({searched.method}, {searched.form}),"
        f" {len(known.queries)} rows as queries"
    )
    if plot is not None:
        title = f"{searched.relation}: recall@{limit}, {len(known.queries)} queries"
        curve = [(f"{point.value}", point.p50, point.recall, point.low, point.high)
                 for point in points]  # fmt: skip
        pictures.curve(plot, title, name, curve, known.p50)
        run.output.notice(f"wrote {plot}")


def _values(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise SettingsError("--values takes numbers between commas", hint="such as 40,80,160")
    return found


def _check_values(values: tuple[int, ...], method: str) -> None:
    most = 1000 if method == "hnsw" else 32_768
    if values and max(values) > most:
        name = "hnsw.ef_search" if method == "hnsw" else "ivfflat.probes"
        raise SettingsError(f"{name} is from 1 to {most:,}, not {max(values):,}")
