"""What `agentdb search` shows: hits, or how they were found."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from agentdb_cli.render import Format, Output, values

if TYPE_CHECKING:
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.search import Found, Hit, Request

_PIPED = 100
"""Characters of a text where there is no terminal to fit into."""


def show(output: Output, located: Located, request: Request, found: Found) -> None:
    """The hits: for people in lines that fit the terminal, for programs whole."""
    names = ["score", "similarity", "text_rank", "key", "text", "metadata"]
    if request.hybrid is None:
        names = [name for name in names if name not in ("similarity", "text_rank")]
    if output.format is not Format.table:
        names.insert(1, "distance")
        output.rows(names, [{name: getattr(hit, name) for name in names} for hit in found.hits])
        return
    if not found.hits:
        output.notice(f"nothing found in {located.name}")
        return
    if located.collection.metadata is None:
        names.remove("metadata")
    rows = [_readable(hit, names) for hit in found.hits]
    _fit(rows)
    output.rows(names, rows)


def _readable(hit: Hit, names: list[str]) -> dict[str, str]:
    shown = {}
    for name in names:
        value = getattr(hit, name)
        if isinstance(value, float) and name != "key":
            shown[name] = f"{value:.4f}"
        else:
            shown[name] = " ".join(values.shown(value).split())
    return shown


def _fit(rows: list[dict[str, str]]) -> None:
    """Cut texts and metadata, so that each row has a line of its own."""
    others = sum(
        max(len(name), *(len(row[name]) for row in rows)) + 2
        for name in rows[0]
        if name not in ("text", "metadata")
    )
    room = 2 * _PIPED
    if sys.stdout.isatty():
        room = max(shutil.get_terminal_size().columns - others - 3, 20)
    metadata = min(max((len(row.get("metadata", "")) for row in rows), default=0), room // 3)
    for row in rows:
        row["text"] = _cut(
            row["text"], min(room - metadata, room if sys.stdout.isatty() else _PIPED)
        )
        if "metadata" in row:
            row["metadata"] = _cut(row["metadata"], max(metadata, 8))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(width - 1, 0)]}…"


def explain(output: Output, located: Located, found: Found) -> None:
    """How the search was run, why so, and its plan."""
    choice = found.choice
    output.record(
        {
            "collection": f"{located.collection.name} ({located.collection.source})",
            "table": located.name,
            "distance": located.collection.distance,
            "way": choice.way,
            "index": choice.index.name if choice.index is not None else None,
            "why": _lines(output, found.reasons),
            "settings": dict(choice.settings)
            if output.format is not Format.table
            else ", ".join(f"{name} = {value}" for name, value in choice.settings.items()),
            "hits": len(found.hits),
            "complete": found.complete,
            "statement": found.statement.text,
            "plan": _lines(output, found.plan),
        }
    )


def _lines(output: Output, lines: tuple[str, ...]) -> object:
    return "\n".join(lines) if output.format is Format.table else list(lines)


def tell(output: Output, request: Request, found: Found) -> None:
    """Why there are fewer hits than were wanted, or only by one half of a hybrid search."""
    if request.hybrid is not None and found.hits and not any(h.text_rank for h in found.hits):
        output.notice("none of the hits has such words: they are by the vector alone")
    if found.said is None:
        return
    if found.complete:
        output.notice(found.said)
    else:
        output.warning(f"{found.said}; --exact reads them all")
