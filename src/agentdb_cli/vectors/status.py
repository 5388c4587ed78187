"""How the collections of a database and their indexes are, and what would mend them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.vectors import nearest
from agentdb_cli.vectors.build.definition import lists_for, suits
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index

WORTH_AN_INDEX = 10_000
"""Rows from which on an index is proposed: an exact search of fewer takes a few milliseconds
(24 ms of 50,000 with 384 dimensions, measured)."""

DEAD_SHARE = 0.2
"""Share of dead rows from which on a search walks over many of them; autovacuum's scale factor."""

CHANGED_SHARE = 0.5
"""Share of rows changed since the last ANALYZE from which on IVFFlat's lists are those of others:
half of the rows were not there, or not so, when anybody last looked."""

_WITH_DIMENSIONS = {"vector": "vector_dims", "halfvec": "vector_dims", "bit": "length"}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a collection.

    Attributes:
        count, nulls: None if nobody knows; estimates unless counted.
        dead, changed: by the server's statistics: not yet vacuumed, changed since `analyzed`.
        largest: rows of its largest table, which is what an index is built of.
        seen: the smallest and the largest number of dimensions; None if not counted.
    """

    count: int | None
    nulls: int | None
    dead: int
    changed: int
    analyzed: datetime | None
    bytes: int
    largest: int
    seen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is not as it should be, and the command that mends it, or None."""

    problem: str
    command: str | None = None

    def __str__(self) -> str:
        return f"{self.problem}: {self.command}" if self.command else self.problem


@dataclass(frozen=True, slots=True)
class _Statistics:
    live: int | None
    dead: int | None
    changed: int | None
    analyzed: datetime | None
    null_share: float | None
    bytes: int | None
    largest: float | None


def shared_buffers(connection: Connection) -> int:
    """Bytes of the server's cache."""
    row = connection.execute(
        "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers'))"
    ).fetchone()
    return int(str(row[0])) if row else 0


def rows(connection: Connection, located: Located, *, exact: bool) -> Rows:
    """The rows of a collection.

    Args:
        exact: count them, which reads the whole table.
    """
    with psycopg.RawCursor(connection, row_factory=class_row(_Statistics)) as cursor:
        cursor.execute(
            query("vectors/status").encode(), (located.oid, located.collection.embedding)
        )
        found = cursor.fetchone()
    assert found is not None
    count, nulls, seen = located.rows, None, None
    if exact:
        count, nulls, seen = _counted(connection, located)
    elif count is not None and found.null_share is not None:
        nulls = round(count * float(found.null_share))
    largest = max(found.largest or 0, count or 0) if located.kind != "p" else found.largest or 0
    return Rows(
        count=count,
        nulls=nulls,
        dead=found.dead or 0,
        changed=found.changed or 0,
        analyzed=found.analyzed,
        bytes=found.bytes or 0,
        largest=round(largest),
        seen=seen,
    )


def _counted(connection: Connection, located: Located) -> tuple[int, int, tuple[int, int] | None]:
    column = located.embedding.quoted
    function = _WITH_DIMENSIONS.get(located.type)
    dimensions = ""
    if function is not None:
        schema = "pg_catalog" if located.type == "bit" else f'"{located.extension.schema}"'
        dimensions = f", min({schema}.{function}({column})), max({schema}.{function}({column}))"
    row = connection.execute(
        f"SELECT count(*), count({column}){dimensions} FROM {located.quoted}".encode()  # noqa: S608
    ).fetchone()
    assert row is not None
    count, filled = int(str(row[0])), int(str(row[1]))
    seen = None
    if function is not None and row[2] is not None:
        seen = (int(str(row[2])), int(str(row[3])))
    return count, count - filled, seen


def of_collection(located: Located, found: Rows) -> list[Verdict]:
    """What is to be said of a collection, whatever its indexes."""
    said = []
    name = located.collection.name
    here = f"-c {name}"
    if located.dimensions is None and located.type != "sparsevec":
        said.append(_undeclared(located, found))
    if found.count is None:
        said.append(Verdict("never analyzed, nothing is known of its rows",
                            f"agentdb vacuum --analyze {located.name}"))  # fmt: skip
    if found.nulls:
        said.append(Verdict(f"{found.nulls:,} rows without an embedding, which no search finds",
                            f"agentdb vectors embed {here}"))  # fmt: skip
    filled = (found.count or 0) - (found.nulls or 0)
    if filled >= WORTH_AN_INDEX and not nearest.usable(located) and located.kind in "rpm":
        said.append(Verdict(f"no index serves its searches: each reads {filled:,} rows",
                            f"agentdb vectors index create {here}"))  # fmt: skip
    if found.count and found.dead > DEAD_SHARE * found.count:
        share = found.dead / (found.dead + found.count)
        said.append(Verdict(f"{share:.0%} of its rows are dead, and searches walk over them",
                            f"agentdb vacuum {located.name}"))  # fmt: skip
    return said


def _undeclared(located: Located, found: Rows) -> Verdict:
    problem = f"{located.embedding.full_type} without dimensions, which no index takes"
    if found.seen is None:
        return Verdict(problem, "agentdb vectors status --exact counts them")
    low, high = found.seen
    if low != high:
        return Verdict(f"{problem}; its rows have {low:,} to {high:,}: of several models?")
    return Verdict(
        problem,
        f"ALTER TABLE {located.quoted} ALTER COLUMN {located.embedding.quoted}"
        f" TYPE {located.type}({high})",
    )


def of_index(located: Located, index: Index, found: Rows, cache: int) -> list[Verdict]:
    """What is to be said of an index.

    Args:
        cache: bytes of shared_buffers.
    """
    here = f"{index.relation} -c {located.collection.name}"
    if not index.valid:
        return [
            Verdict("invalid, left by a build that failed", f"agentdb vectors index drop {here}")
        ]
    said = []
    if (why := nearest.unusable(located, index)) is not None:
        said.append(Verdict(f"serves no search of the collection: it {why}",
                            f"agentdb vectors index drop {here}"))  # fmt: skip
    if index.method == "ivfflat":
        said += _of_lists(index, found, here)
    if index.bytes > cache:
        smaller = index.form == "plain" and located.type == "vector"
        said.append(
            Verdict(
                f"{index.bytes / cache:.1f} times shared_buffers: searches read from disk,"
                " or the system's cache",
                f"agentdb vectors index rebuild {here} --half" if smaller else None,
            )
        )
    return said


def _of_lists(index: Index, found: Rows, here: str) -> Sequence[Verdict]:
    lists = index.parameters["lists"]
    if found.largest and not suits(lists, found.largest):
        better = lists_for(found.largest)
        few = found.largest < 1000
        mend = "--method hnsw" if few else f"--lists {better}"
        return [
            Verdict(
                f"lists = {lists:,} do not suit {found.largest:,} rows, {better:,} do",
                f"agentdb vectors index rebuild {here} {mend}",
            )
        ]
    if found.count and found.changed > CHANGED_SHARE * found.count:
        return [
            Verdict(
                f"{found.changed / found.count:.0%} of the rows have changed since the last"
                " ANALYZE: its lists may be those of others",
                f"agentdb vectors index rebuild {here}",
            )
        ]
    return []
