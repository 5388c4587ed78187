"""What a vector index is to be: method, form, operator class and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.postgres.pgvector import DISTANCES, INDEXABLE
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.vectors.build import sizes
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import EF_CONSTRUCTION, Index, M

BOUNDS = {"m": (2, 100), "ef_construction": (4, 1000), "lists": (1, 32768)}
"""What pgvector takes; ef_construction has to be at least twice m."""

FEW_ROWS = 10
"""Rows a list below which IVFFlat is refused. Its lists are the clusters of the rows that are
there: of so few, those that come later find no list that suits them, and recall falls."""

_TYPES = {"half": "halfvec", "binary": "bit"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody said about an index; None and empty: whatever suits.

    Attributes:
        form: plain, half or binary.
        parameters: m, ef_construction, lists: those that were given.
    """

    method: str | None = None
    form: str | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Definition:
    """An index that can be built.

    Attributes:
        expression: as SQL, what stands in CREATE INDEX's parentheses before the class.
        type: of the indexed values.
        operator_class: without its schema.
    """

    method: str
    form: str
    distance: str
    expression: str
    type: str
    dimensions: int
    operator_class: str
    parameters: Mapping[str, int]

    def clause(self, located: Located) -> str:
        """`USING hnsw (…) WITH (…)`."""
        options = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        schema = identifier(located.extension.schema)
        return (
            f"USING {self.method} ({self.expression} {schema}.{self.operator_class})"
            f" WITH ({options})"
        )

    def width(self, average: int | None) -> int:
        """Bytes of an indexed value.

        Args:
            average: of the column's values; only a sparse one's are not known otherwise.
        """
        if self.type == "sparsevec":
            return average or 8 * INDEXABLE["sparsevec"]
        return sizes.value(self.type, self.dimensions)

    def memory(self, rows: int, width: int) -> int:
        """Bytes for the build to go at its best."""
        if self.method == "hnsw":
            return sizes.hnsw_memory(rows, width, self.parameters["m"])
        return sizes.ivfflat_memory(rows, width, self.parameters["lists"])

    def disk(self, rows: int, width: int) -> int:
        """Bytes of the index."""
        if self.method == "hnsw":
            return sizes.hnsw_disk(rows, width, self.parameters["m"])
        return sizes.ivfflat_disk(rows, width, self.parameters["lists"])


def lists_for(rows: int) -> int:
    """IVFFlat's lists for so many rows: pgvector's documentation, "IVFFlat"."""
    return max(round(rows / 1000) if rows <= 1_000_000 else round(math.sqrt(rows)), 1)


def suits(lists: int, rows: int) -> bool:
    """Whether so many lists are within a factor of two of what the rows want."""
    return lists_for(rows) / 2 <= lists <= 2 * lists_for(rows)


def define(located: Located, wishes: Wishes, rows: int) -> Definition:
    """The index that suits a collection and what was wished.

    Args:
        rows: of its largest table, with an embedding.

    Raises:
        AgentdbError: pgvector has no such index.
        SettingsError: parameters do not go together.
    """
    dimensions = _dimensions(located)
    form = wishes.form or _form(located, dimensions)
    type_ = _TYPES.get(form, located.type)
    if form != "plain" and located.type not in ("vector", "halfvec" if form == "binary" else ""):
        raise AgentdbError(
            f"a {form} index is one of vector{' or halfvec' if form == 'binary' else ''}:"
            f" {located.name}.{located.collection.embedding} is {located.type}",
            hint="leave the option out",
        )
    if type_ != "sparsevec" and dimensions > INDEXABLE[type_]:
        raise AgentdbError(
            f"a {type_} of {dimensions:,} dimensions cannot be indexed:"
            f" {INDEXABLE[type_]:,} are the most",
            hint="--binary indexes up to 64,000, and search orders what it finds by exact distance",
        )
    distance = "hamming" if form == "binary" else located.collection.distance
    method = wishes.method or "hnsw"
    _check_method(method, type_, distance)
    return Definition(
        method=method,
        form=form,
        distance=distance,
        expression=_expression(located, form, dimensions),
        type=type_,
        dimensions=dimensions,
        operator_class=f"{type_}{DISTANCES[distance].suffix}",
        parameters=_parameters(method, wishes.parameters, rows),
    )


def equals(index: Index, wanted: Definition) -> bool:
    """Whether an index is of the same method, form and distance, whatever its parameters."""
    return (index.method, index.form, index.distance) == (
        wanted.method,
        wanted.form,
        wanted.distance,
    )


def wishes_of(index: Index, given: Wishes) -> Wishes:
    """An index as it is, with what was given put over it."""
    if given.method not in (None, index.method):
        return Wishes(given.method, given.form or index.form, given.parameters)
    return Wishes(index.method, given.form or index.form, {**index.parameters, **given.parameters})


def _dimensions(located: Located) -> int:
    if located.dimensions is not None:
        return located.dimensions
    name = f"{located.name}.{located.collection.embedding}"
    raise AgentdbError(
        f"{name} is {located.embedding.full_type} without dimensions, which no index takes",
        hint="agentdb vectors status --exact counts what its rows have; then"
        f" ALTER TABLE {located.quoted} ALTER COLUMN {located.embedding.quoted}"
        f" TYPE {located.type}(N)",
    )


def _form(located: Located, dimensions: int) -> str:
    """The column itself, or its values as halfvec where a vector is too long to be indexed."""
    longer = located.type == "vector" and dimensions > INDEXABLE["vector"]
    return "half" if longer and dimensions <= INDEXABLE["halfvec"] else "plain"


def _expression(located: Located, form: str, dimensions: int) -> str:
    column = located.embedding.quoted
    if form == "half":
        return f"(({column}::{located.cast('halfvec')}({dimensions})))"
    if form == "binary":
        schema = identifier(located.extension.schema)
        return f"(({schema}.binary_quantize({column})::bit({dimensions})))"
    return column


def _check_method(method: str, type_: str, distance: str) -> None:
    if method != "ivfflat":
        return
    if type_ == "sparsevec":
        raise AgentdbError("IVFFlat does not index sparsevec", hint="--method hnsw does")
    if not DISTANCES[distance].ivfflat:
        raise AgentdbError(f"IVFFlat has no distance {distance}", hint="--method hnsw has")


def _parameters(method: str, given: Mapping[str, int], rows: int) -> dict[str, int]:
    for name, value in given.items():
        if (name == "lists") != (method == "ivfflat"):
            other = "ivfflat" if name == "lists" else "hnsw"
            raise SettingsError(
                f"{_option(name)} is a parameter of {other}, not of {method}",
                hint=f"--method {other}",
            )
        least, most = BOUNDS[name]
        if not least <= value <= most:
            raise SettingsError(f"{_option(name)} is from {least} to {most:,}, not {value:,}")
    if method == "ivfflat":
        return {"lists": given.get("lists", lists_for(rows))}
    m = given.get("m", M)
    ef_construction = given.get("ef_construction", max(EF_CONSTRUCTION, 2 * m))
    if ef_construction < 2 * m:
        raise SettingsError(
            f"--ef-construction {ef_construction} is less than twice --m {m}",
            hint=f"--ef-construction {2 * m} or more",
        )
    return {"m": m, "ef_construction": ef_construction}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
