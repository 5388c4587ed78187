"""pgvector: where it is installed, its distances, and its types' operators.

Operators and classes are those of its documentation, "Querying" and "Indexing".
"""

from __future__ import annotations

from dataclasses import dataclass

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier


@dataclass(frozen=True, slots=True)
class Extension:
    """pgvector as a database has it.

    Attributes:
        schema: where its types and operators are; not necessarily on the search path.
        version: such as (0, 8, 1).
    """

    schema: str
    version: tuple[int, ...]

    @property
    def iterative(self) -> bool:
        """Whether its indexes can be scanned on until enough rows pass a filter (0.8)."""
        return self.version >= (0, 8)

    def operator(self, distance: str) -> str:
        """A distance's operator as SQL that no search path can mislead."""
        return f"OPERATOR({identifier(self.schema)}.{DISTANCES[distance].operator})"


@dataclass(frozen=True, slots=True)
class Distance:
    """One distance: its operator and the operator class of its indexes.

    Attributes:
        suffix: of the operator class, behind the type: `vector` + `_cosine_ops`.
        ivfflat: whether IVFFlat has such a class for type vector.
    """

    operator: str
    suffix: str
    ivfflat: bool = True

    def similarity(self, distance: float) -> float:
        """A score, larger for what is nearer, from what the operator returns.

        1 - distance for cosine, as the reference systems' documents compute it, and for
        Jaccard; the inner product itself, whose operator returns it negated; 1 / (1 +
        distance) for L2, L1 and Hamming, which have no upper bound.
        """
        if self.operator in ("<=>", "<%>"):
            return 1 - distance
        if self.operator == "<#>":
            return -distance
        return 1 / (1 + distance)


DISTANCES = {
    "cosine": Distance("<=>", "_cosine_ops"),
    "l2": Distance("<->", "_l2_ops"),
    "inner_product": Distance("<#>", "_ip_ops"),
    "l1": Distance("<+>", "_l1_ops", ivfflat=False),
    "hamming": Distance("<~>", "_hamming_ops"),
    "jaccard": Distance("<%>", "_jaccard_ops", ivfflat=False),
}

OF_TYPE = {
    "vector": ("cosine", "l2", "inner_product", "l1"),
    "halfvec": ("cosine", "l2", "inner_product", "l1"),
    "sparsevec": ("cosine", "l2", "inner_product", "l1"),
    "bit": ("hamming", "jaccard"),
}
"""The distances that can be computed between values of each type."""

INDEXABLE = {"vector": 2000, "halfvec": 4000, "bit": 64_000, "sparsevec": 1000}
"""The most dimensions of an indexed value; for sparsevec the most that are not zero."""


def extension(connection: Connection) -> Extension | None:
    """pgvector in this database, or None if it is not created here."""
    row = connection.execute(
        "SELECT n.nspname::text, e.extversion FROM pg_catalog.pg_extension AS e"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone()
    if row is None:
        return None
    return Extension(str(row[0]), _version(str(row[1])))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
