"""SQL literals and identifiers, for text that is sent without parameters."""

from __future__ import annotations


def literal(text: str) -> str:
    """`text` as an SQL string literal, right with any standard_conforming_strings."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def identifier(text: str) -> str:
    """`text` as a quoted SQL identifier."""
    return '"' + text.replace('"', '""') + '"'
