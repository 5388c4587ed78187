"""SQL for people: in colours on a terminal, and cut to a width."""

from __future__ import annotations

from typing import TextIO

from agentdb_cli.render import _IN_CELL, _coloured, _escaped, style

_LONGEST = 20_000
"""Characters from which on a text stays without colours: they would take too long."""


def coloured(text: str, stream: TextIO, width: int | None = None) -> str:
    """An SQL text on one line, with colours if `stream` shows them.

    Control characters are escaped before anything is coloured, so that the
    text cannot bring colours of its own.

    Args:
        width: the most characters; what is cut ends in `…`.
    """
    text = _IN_CELL.sub(_escaped, text)
    if width is not None and len(text) > width:
        text = text[: max(width - 1, 0)] + "…"
    if not _coloured(stream) or len(text) > _LONGEST:
        return text
    # Imported here because nothing else needs it.
    from pygments.lexers.sql import PostgresLexer  # type: ignore[import-untyped]
    from pygments.token import (  # type: ignore[import-untyped]
        Comment,
        Keyword,
        Literal,
        Name,
    )

    styles = {Keyword: "hint", Literal: "ok", Comment: "dim", Name.Variable: "ok"}
    shown = []
    for _, kind, piece in PostgresLexer().get_tokens_unprocessed(text):
        name = next((name for token, name in styles.items() if kind in token), None)
        shown.append(style(piece, name, stream) if name and piece.strip() else piece)
    return "".join(shown)
