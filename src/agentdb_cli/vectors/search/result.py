"""Rows as hits, and a word on why there are fewer than were wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.search.model import Hit, Request


def hits(
    located: Located,
    request: Request,
    rows: Sequence[tuple[Any, ...]],
    columns: Sequence[str],
    *,
    complete: bool,
) -> tuple[tuple[Hit, ...], str | None]:
    """The hits, best first, and why there are fewer than the limit, or None.

    Args:
        rows: of the statement.
        columns: that stand first in them.
        complete: False if there may be more rows than the search found.
    """
    # A vector of zeros has no cosine distance: the server says NaN.
    found = [
        hit
        for row in rows
        if not math.isnan((hit := _hit(located, request, row, columns)).distance)
    ]
    found.sort(key=lambda hit: (-hit.score, hit.distance))
    least = request.min_similarity
    kept = tuple(hit for hit in found if least is None or hit.similarity >= least)
    if len(kept) >= request.limit:
        return kept, None
    fewer = f"{len(kept)} of {request.limit}"
    if not complete:
        return kept, (
            f"{fewer}: the index gave no more, and reading all rows took too long;"
            " there may be others"
        )
    if len(kept) < len(found):
        return kept, f"{fewer}: no other row has a similarity of {least:g} or more"
    if len(found) < len(rows):
        return kept, f"{fewer}: the others have nothing but zeros for a vector"
    what = "that fulfil the filter" if request.filters else "with an embedding"
    return kept, f"{fewer}: there are no more rows {what}"


def _hit(located: Located, request: Request, row: tuple[Any, ...], columns: Sequence[str]) -> Hit:
    collection = located.collection
    value = dict(zip(columns, row, strict=False))
    distance = float(row[-1] if request.hybrid is None else row[-4])
    similarity = located.distance.similarity(distance)
    return Hit(
        score=similarity if request.hybrid is None else float(row[-2]),
        similarity=similarity,
        distance=distance,
        text_rank=None if request.hybrid is None else float(row[-3]),
        key=value[collection.key],
        text=value[collection.text],
        metadata=value[collection.metadata] if collection.metadata else None,
    )
