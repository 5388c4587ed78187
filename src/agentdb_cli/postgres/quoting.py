"""SQL literals and identifiers, for text that is sent without parameters."""

from __future__ import annotations


def literal(text: str) -> str:
    """`text` as an SQL string literal, right with any standard_conforming_strings."""
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def doubled(text: str) -> str:
    """SQL for a statement with placeholders: its own percent signs doubled."""
    return text.replace("%", "%%")


def identifier(text: str) -> str:
    """`text` as a quoted SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


class Qualified:
    """What has a schema and the name of a relation in it: its names."""

    __slots__ = ()

    schema: str
    relation: str

    @property
    def name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.relation}"

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return f"{identifier(self.schema)}.{identifier(self.relation)}"
