"""The one statement that finds the nearest rows of a vector, and the settings it runs under.

Search runs it; recall and tuning measure it. The vector is a parameter of its own, so that one
statement serves many queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import doubled, identifier
from agentdb_cli.vectors.indexes import Index

if TYPE_CHECKING:
    from agentdb_cli.vectors.collections import Located

EF_SEARCH, EF_WELL_CONNECTED = 80, 46
"""hnsw.ef_search unless somebody chose another: usually, and in a graph as agentdb builds it.

Recall@10 of 100,000 embedded sentences without a filter, and with one that half of them pass (400
to 700 queries; of 300 others, 46 finds 0.989 and 0.982 in the better graph):

    ef_search     m 16, ef_construction 64     m 24, ef_construction 128
    40            0.966, 0.955                 0.986, 0.979
    44            0.970, 0.961                 0.988, 0.982
    80            0.987, 0.982                 0.995, 0.993
"""

EF_BOUNDS = (1, 1000)
"""What pgvector takes for hnsw.ef_search."""

RERANKED = {"plain": 1, "half": 2, "binary": 10}
"""How many times the limit an index of each form has to find, which exact distances then order."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a WHERE clause.

    Attributes:
        sql: with placeholders `%(name)s`; a literal percent sign is doubled.
        parameters: by name.
    """

    sql: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """A search as SQL: the columns that were asked for, and the distance last.

    Attributes:
        text: with placeholders `%(name)s`, of which `query` is the vector.
        parameters: all but `query`.
        candidates: how many rows the index has to give.
    """

    text: str
    parameters: Mapping[str, object]
    candidates: int

    def run(self, connection: Connection, query: bytes | str) -> list[tuple[object, ...]]:
        """The rows that are nearest to a vector, nearest first.

        Args:
            query: the vector as the server sends and reads it, in binary (`values.encoder`) or as
                text; of 1,536 dimensions the text takes a fifth of the statement's time.
        """
        cursor = execute(connection, self.text, self.parameters, {"query": query})
        # A relaxed scan gives its rows in nearly, but not quite, the right order.
        return ordered(known(cursor.fetchall()))


class _Binary(bytes):
    """A value in the binary form of its type, which the statement says."""


class _BinaryDumper(Dumper):
    format = Format.BINARY
    oid = 0

    def dump(self, obj: bytes) -> bytes:
        return obj


def execute(
    connection: Connection,
    text: str,
    parameters: Mapping[str, object],
    vectors: Mapping[str, bytes | str],
) -> psycopg.Cursor[tuple[object, ...]]:
    """Run SQL with placeholders for vectors, such as `%(query)s`; never prepared."""
    cursor = connection.cursor()
    cursor.adapters.register_dumper(_Binary, _BinaryDumper)
    sent = {
        name: _Binary(vector) if isinstance(vector, bytes) else vector
        for name, vector in vectors.items()
    }
    return cursor.execute(text.encode(), {**parameters, **sent}, prepare=False)


def known(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The rows with a distance, which stands last: a planner that sorts would add those without."""
    return [row for row in rows if row[-1] is not None]


def ordered(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The rows by their distance, which stands last; NaN behind all others."""
    return sorted(rows, key=lambda row: (math.isnan(row[-1]), row[-1]))  # type: ignore[arg-type]


def statement(
    located: Located,
    index: Index | None,
    limit: int,
    *,
    columns: Sequence[str] = (),
    where: Condition | None = None,
    exact: bool = False,
    candidates: int | None = None,
) -> Statement:
    """The SQL that finds the `limit` rows nearest to a vector. NULL embeddings are never found.

    Args:
        index: to be used, in its own form; None for none.
        columns: to return; the key by default.
        where: what the rows have to fulfil besides.
        exact: read all rows that fulfil it, whatever indexes there are.
        candidates: how many rows an index gives, of which the nearest by exact distance remain;
            by default `RERANKED` of its form, times the limit.
    """
    quoted = [doubled(identifier(name)) for name in columns or (located.collection.key,)]
    names = ", ".join(quoted)
    embedding, relation = doubled(located.embedding.quoted), doubled(located.quoted)
    distance = distance_sql(located)
    conditions = [f"({where.sql})"] if where else []
    # No vector index holds NULL: to ask for it costs the planner a twentieth of a short search.
    if exact or index is None or index.predicate is not None:
        conditions.insert(0, f"{embedding} IS NOT NULL")
    parameters = dict(where.parameters) if where else {}
    rows = f"FROM {relation}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
    if exact or index is None:
        # No index can serve the sum: every row's distance is computed, and only once.
        text = f"SELECT {names}, ({distance}) + 0 AS _distance {rows} ORDER BY ({distance}) + 0"
        return Statement(f"{text} LIMIT {limit}", parameters, limit)
    found = max(limit, candidates or limit * RERANKED[index.form])
    if index.form == "plain" and found == limit:
        text = f"SELECT {names}, {distance} AS _distance {rows} ORDER BY {distance}"
        return Statement(f"{text} LIMIT {limit}", parameters, limit)
    inner = ", ".join(dict.fromkeys((*quoted, embedding)))
    text = (
        f"SELECT {names}, ({distance}) + 0 AS _distance FROM (SELECT {inner} {rows}"  # noqa: S608
        f" ORDER BY {_by_index(located, index)} LIMIT {found}) AS nearest"
        f" ORDER BY ({distance}) + 0 LIMIT {limit}"
    )
    return Statement(text, parameters, found)


def distance_sql(located: Located, row: str | None = None, vector: str | None = None) -> str:
    """A row's distance from a vector, for a statement with placeholders.

    Args:
        row: the name of the table in the statement.
        vector: as SQL, `%(query)s` by default.
    """
    embedding, operator = doubled(located.embedding.quoted), doubled(located.operator)
    embedding = f"{row}.{embedding}" if row else embedding
    return f"{embedding} {operator} {vector or f'%(query)s::{located.cast()}'}"


def _by_index(located: Located, index: Index) -> str:
    """The distance as an index of that form computes it."""
    expression, type_ = doubled(index.expression), located.cast()
    if index.form == "half":
        half = f"{located.cast('halfvec')}({index.dimensions})"
        return f"{expression} {doubled(located.operator)} %(query)s::{type_}::{half}"
    if index.form == "binary":
        schema = identifier(located.extension.schema)
        operator = doubled(located.extension.operator(index.distance or "hamming"))
        bits = f"{schema}.binary_quantize(%(query)s::{type_})::bit({index.dimensions})"
        return f"{expression} {operator} {bits}"
    return distance_sql(located)


def unusable(located: Located, index: Index) -> str | None:
    """Why an index cannot serve the collection's searches, or None if it can."""
    if not index.valid:
        return "is invalid: its build was broken off"
    if index.form == "other":
        return f"indexes another expression: {index.expression}"
    if index.form == "binary":
        if index.distance not in ("hamming", "jaccard"):
            return f"is of operator class {index.operator_class}, unknown to agentdb"
        if located.collection.distance in ("cosine", "l2", "inner_product", "l1"):
            return None
    if index.distance != located.collection.distance:
        by = index.distance or f"operator class {index.operator_class}"
        return f"is by {by}, the collection by {located.collection.distance}"
    return None


def usable(located: Located) -> tuple[Index, ...]:
    """The indexes that can serve the collection, the best form and method first."""
    forms, methods = tuple(RERANKED), ("hnsw", "ivfflat")
    found = [index for index in located.indexes if unusable(located, index) is None]
    return tuple(
        sorted(
            found,
            key=lambda i: (
                i.predicate is not None,
                forms.index(i.form),
                methods.index(i.method),
                i.relation,
            ),
        )
    )


def settings(
    located: Located,
    index: Index | None,
    candidates: int,
    *,
    ef_search: int | None = None,
    probes: int | None = None,
    iterative: bool = False,
    max_scan_tuples: int | None = None,
) -> dict[str, str]:
    """What to set for a statement's transaction: name and value.

    Args:
        candidates: `Statement.candidates`; ef_search is never less.
        ef_search: of HNSW, `default_ef_search` by default.
        probes: of IVFFlat, `default_probes` by default.
        iterative: whether the scan goes on until enough rows have passed the filter (pgvector
            0.8; left out before).
        max_scan_tuples: how many rows an iterative HNSW scan visits at most.
    """
    if index is None:
        return {}
    iterative = iterative and located.extension.iterative
    # Without it the planner may prefer to sort: that is decided by us, not by its costs.
    chosen = {"enable_sort": "off", "enable_seqscan": "off"}
    if index.method == "ivfflat":
        lists = index.parameters["lists"]
        wanted = min(max(probes or default_probes(lists), 1), lists)
        chosen["ivfflat.probes"] = str(wanted)
        if located.extension.iterative:
            chosen["ivfflat.iterative_scan"] = "relaxed_order" if iterative else "off"
        if iterative:
            chosen["ivfflat.max_probes"] = str(lists)
        return chosen
    least, most = EF_BOUNDS
    wanted = ef_search or default_ef_search(index)
    chosen["hnsw.ef_search"] = str(min(max(wanted, candidates, least), most))
    if located.extension.iterative:
        chosen["hnsw.iterative_scan"] = "relaxed_order" if iterative else "off"
    if iterative and max_scan_tuples is not None:
        chosen["hnsw.max_scan_tuples"] = str(min(max(max_scan_tuples, 1), 2_147_483_647))
        # Its memory is work_mem times this, which would end the scan before the tuples do.
        chosen["hnsw.scan_mem_multiplier"] = "16"
    return chosen


def default_ef_search(index: Index) -> int:
    """How many candidates a search of an HNSW index keeps."""
    return EF_WELL_CONNECTED if index.well_connected else EF_SEARCH


def default_probes(lists: int) -> int:
    """How many lists to look into: four times their square root.

    pgvector's documentation begins with the square root, whose recall@10 on 100,000
    vectors of overlapping clusters and 100 lists is 0.88; that of four times as many is 0.98.
    """
    return min(lists, math.ceil(4 * math.sqrt(lists)))


@contextmanager
def transaction(connection: Connection, chosen: Mapping[str, str]) -> Iterator[None]:
    """A read-only transaction with such settings, which end with it."""
    with connection.transaction():
        # Compilation takes longer than nearly every search.
        apply(connection, {"transaction_read_only": "on", "jit": "off", **chosen})
        yield


def apply(connection: Connection, chosen: Mapping[str, str]) -> None:
    """Set all of it for the transaction that is open, in one round trip."""
    calls = ", ".join("pg_catalog.set_config(%s, %s, true)" for _ in chosen)
    values = [value for pair in chosen.items() for value in pair]
    connection.execute(f"SELECT {calls}".encode(), values)
