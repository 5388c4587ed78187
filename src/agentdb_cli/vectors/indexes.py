"""The vector indexes of a column: what they index, by which distance, with which parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.pgvector import DISTANCES
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified

M, EF_CONSTRUCTION = 24, 128
"""Of the graphs that agentdb builds. pgvector's 16 and 64 are too few for real embeddings, from
some 10,000 rows on.

Of 100,000 embedded sentences half of which pass a filter, a search with hnsw.ef_search 40 finds
0.977 of the ten nearest in 1.25 ms; in pgvector's graph it finds 0.955 in 1.0 ms, and 0.98 with 80
in 2.0 ms. The better graph takes 2.2 times as long to build, and of 384 dimensions no more disk.
"""

_DEFAULTS = {"hnsw": {"m": 16, "ef_construction": 64}, "ivfflat": {"lists": 100}}
_CAST = re.compile(r"::(?:\"?\w+\"?\.)?(halfvec|vector|bit|sparsevec)\((\d+)\)\)*$")


@dataclass(frozen=True, slots=True)
class Index(Qualified):
    """A vector index.

    Attributes:
        method: hnsw or ivfflat.
        distance: cosine, l2 …, or None for an operator class that agentdb does not know.
        expression: what it indexes, as SQL: the column, or an expression on it.
        form: `plain` for the column itself, `half` and `binary` for its values as halfvec or as
            bits (`binary_quantize`), `other` for any other expression.
        predicate: of a partial index, as SQL, or None.
        parameters: m and ef_construction, or lists; pgvector's defaults where none was set.
        bytes: of all its parts.
    """

    oid: int
    schema: str
    relation: str
    method: str
    operator_class: str
    distance: str | None
    expression: str
    form: str
    predicate: str | None
    valid: bool
    parameters: Mapping[str, int]
    bytes: int

    @property
    def dimensions(self) -> int | None:
        """The dimensions of an expression's values, or None for a plain column."""
        cast = _CAST.search(self.expression)
        return int(cast[2]) if cast else None

    @property
    def well_connected(self) -> bool:
        """Whether it is a graph at least as good as agentdb builds them."""
        given = self.parameters
        return given.get("m", 0) >= M and given.get("ef_construction", 0) >= EF_CONSTRUCTION


def read(connection: Connection, table: int, column: str) -> tuple[Index, ...]:
    """The vector indexes of a column, valid or not, by name.

    Args:
        table: its oid.
    """
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(query("vectors/indexes").encode(), (table, column))
        return tuple(_index(row) for row in cursor.fetchall())


def _index(row: Mapping[str, Any]) -> Index:
    options = dict(option.split("=", 1) for option in row["options"] or ())
    known = {suffix.suffix: name for name, suffix in DISTANCES.items()}
    suffix = re.sub(r"^(?:vector|halfvec|bit|sparsevec)", "", row["operator_class"])
    return Index(
        oid=row["oid"],
        schema=row["schema"],
        relation=row["relation"],
        method=row["method"],
        operator_class=row["operator_class"],
        distance=known.get(suffix),
        expression=row["expression"],
        form=_form(row["expression"]),
        predicate=row["predicate"],
        valid=row["valid"],
        parameters={
            name: int(options.get(name, default))
            for name, default in _DEFAULTS[row["method"]].items()
        },
        bytes=row["bytes"],
    )


def _form(expression: str) -> str:
    if "(" not in expression:
        return "plain"
    cast = _CAST.search(expression)
    if "binary_quantize(" in expression and cast and cast[1] == "bit":
        return "binary"
    # Nothing but the column and the cast: subvector() and the like are another thing.
    if cast and cast[1] == "halfvec" and "(" not in expression[: cast.start()].lstrip("("):
        return "half"
    return "other"
