"""What a build is going to do and take: statements, settings, memory and disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import disk
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import Qualified, identifier
from agentdb_cli.vectors.build import machine
from agentdb_cli.vectors.build.definition import FEW_ROWS, Definition, lists_for
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index

COUNTED = 1024**3
"""Bytes of a table up to which its rows are counted rather than estimated: a second or two."""

_LEAST_WORKER = 32 * 1024**2
"""What PostgreSQL wants of maintenance_work_mem for each process of a parallel build."""

_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Leaf(Qualified):
    """A table of a collection: itself, or one of its partitions.

    Attributes:
        kind: r(elation), p(artitioned), m(aterialized view) or f(oreign).
        parent: the oid of what it is a partition of, or None.
        rows: with an embedding.
        width: average bytes of an embedding, by the last ANALYZE.
    """

    oid: int
    schema: str
    relation: str
    kind: str
    parent: int | None
    rows: int
    width: int | None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the session of a build is given. Memory in bytes."""

    memory: int
    workers: int
    most_workers: int

    def statements(self) -> tuple[str, ...]:
        """The SETs, for a session that ends with the build."""
        return (
            f"SET maintenance_work_mem = '{-(-self.memory // 1024)}kB'",
            f"SET max_parallel_maintenance_workers = {self.workers}",
            f"SET max_parallel_workers = {self.most_workers}",
            # Long vectors lie outside of the table, which then looks too small for workers.
            "SET min_parallel_table_scan_size = 0",
        )


@dataclass(frozen=True, slots=True)
class Needs:
    """What a build takes. Bytes.

    Attributes:
        memory: for the largest table, to go at its best.
        disk: of the whole index.
        free: of the disk where it goes, or None if that cannot be seen from here.
        machine: the server's, or None if it is another one.
    """

    rows: int
    memory: int
    disk: int
    free: int | None
    machine: machine.Machine | None


def leaves(connection: Connection, located: Located) -> tuple[Leaf, ...]:
    """The tables of a collection, parents first, with their rows.

    Rows are estimated as the planner does, and counted in small tables.
    """
    with psycopg.RawCursor(connection, row_factory=dict_row) as cursor:
        cursor.execute(
            query("vectors/leaves").encode(), (located.oid, located.collection.embedding)
        )
        found = cursor.fetchall()
    made = []
    for row in found:
        leaf = Leaf(
            row["oid"],
            row["schema"],
            row["relation"],
            row["kind"],
            row["parent"],
            0,
            row["width"],
        )
        if leaf.kind in "rm":
            rows = row["rows"]
            if rows is None or row["heap_bytes"] <= COUNTED:
                rows = _counted(connection, leaf, located.embedding.quoted)
            elif row["null_frac"]:
                rows = round(rows * (1 - row["null_frac"]))
            leaf = replace(leaf, rows=rows)
        made.append(leaf)
    return tuple(made)


def _counted(connection: Connection, leaf: Leaf, column: str) -> int:
    row = connection.execute(f"SELECT count({column}) FROM ONLY {leaf.quoted}".encode()).fetchone()  # noqa: S608
    return int(str(row[0])) if row else 0


def refuse_kind(located: Located, tables: Sequence[Leaf]) -> None:
    """Make sure that the tables can be indexed, by this role.

    Raises:
        AgentdbError: one cannot.
    """
    both: tuple[Located | Leaf, ...] = (located, *tables)
    for table in both:
        if table.kind in "vf":
            what = {"v": "a view", "f": "a foreign table"}[table.kind]
            raise AgentdbError(
                f"{table.name} is {what}, which has no indexes",
                hint="index the table that its rows are in",
            )
    if not located.owned:
        raise AgentdbError(
            f"{located.name} belongs to another role, and only its owner builds indexes on it",
            hint="connect as the owner",
        )


def refuse_few_rows(definition: Definition, tables: Sequence[Leaf]) -> None:
    """Make sure that IVFFlat has rows to make its lists of.

    Raises:
        AgentdbError: it has too few.
    """
    if definition.method != "ivfflat":
        return
    lists = definition.parameters["lists"]
    for table in tables:
        if table.kind in "rm" and table.rows < FEW_ROWS * lists:
            least = FEW_ROWS * lists
            raise AgentdbError(
                f"{table.name} has {table.rows:,} rows with an embedding, too few for IVFFlat with"
                f" {lists:,} lists: they are the clusters of the rows that are there when it is"
                " built, and rows that come later find none that suits them",
                hint=f"load the rows first ({least:,} at least, {1000 * lists:,} are better);"
                " or --method hnsw, which needs none; or --force",
            )


def lists_note(definition: Definition, rows: int) -> str | None:
    """What there is to say of IVFFlat's lists, or None."""
    if definition.method != "ivfflat":
        return None
    lists, better = definition.parameters["lists"], lists_for(rows)
    if better / 2 <= lists <= 2 * better:
        return None
    return f"lists = {lists:,} do not suit {rows:,} rows: pgvector's documentation says {better:,}"


def needs(
    connection: Connection, definition: Definition, tables: Sequence[Leaf], server: machine.Server
) -> Needs:
    """What building an index takes."""
    filled = [table for table in tables if table.kind in "rm"]
    memory = max((definition.memory(t.rows, definition.width(t.width)) for t in filled), default=0)
    size = sum(definition.disk(t.rows, definition.width(t.width)) for t in filled)
    return Needs(
        rows=sum(table.rows for table in filled),
        memory=memory,
        disk=size,
        free=disk.free(connection, ""),
        machine=machine.of(connection, server),
    )


def refuse_full_disk(found: Needs, more: str = "") -> None:
    """Make sure that the disk has room, where that can be seen.

    Raises:
        AgentdbError: it has not.
    """
    from agentdb_cli.vectors.build.words import size

    if found.free is not None and found.free < found.disk:
        raise AgentdbError(
            f"the disk has not enough room for the index: about {size(found.disk)} are needed,"
            f" {size(found.free)} are free{more}",
            hint="make room; --half takes half the disk, --binary a thirtieth",
        )


def settings(
    found: Needs, server: machine.Server, memory: int | None, workers: int | None
) -> tuple[Settings, str | None]:
    """What the build is given, and what there is to say of it.

    Args:
        memory: bytes, as somebody said; None for what suits.
        workers: beside the leader, as somebody said.
    """
    from agentdb_cli.vectors.build.words import size

    chosen, note = memory, None
    if chosen is None:
        room = found.machine.usable if found.machine else 0
        chosen = max(server.memory, min(found.memory, room))
        if chosen < found.memory:
            where = (
                f"half of the memory that is available here is {size(room)}"
                if found.machine
                else "the memory of a server elsewhere is not known"
            )
            note = (
                f"the build would need {size(found.memory)} of memory to be fast and gets"
                f" {size(chosen)}: {where}; --memory gives it more"
            )
    if workers is None:
        workers = found.machine.cores - 1 if found.machine else server.workers
        # Each process of a parallel build is to have its share, or PostgreSQL starts fewer.
        workers = max(min(workers, server.processes, chosen // _LEAST_WORKER - 1), 0)
        shared = found.machine.shared if found.machine else None
        if workers and shared is not None and shared < chosen:
            workers = 0
            note = (
                f"built by one process: /dev/shm has {size(shared)} free, and several need"
                f" {size(chosen)} there"
            )
    return Settings(chosen, workers, max(server.most_workers, workers)), note


def name_for(located: Located, definition: Definition, taken: Sequence[str]) -> str:
    """A name that no relation of the schema has."""
    words = [located.relation, located.collection.embedding, definition.method]
    if definition.form != "plain":
        words.append(definition.form)
    return unique("_".join(words), "_idx", taken)


def unique(stem: str, suffix: str, taken: Sequence[str]) -> str:
    """`stem` + `suffix`, cut to what PostgreSQL keeps of a name, with a number if need be."""
    number = 0
    while True:
        tail = f"{suffix}{number or ''}"
        cut = stem.encode()[: _LONGEST_NAME - len(tail.encode())].decode(errors="ignore")
        if (name := cut + tail) not in taken:
            return name
        number += 1


def names_in(connection: Connection, schema: str) -> list[str]:
    """The relations of a schema."""
    rows = connection.execute(
        "SELECT c.relname::text FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s",
        (schema,),
    ).fetchall()
    return [str(row[0]) for row in rows]


def leftovers(located: Located) -> tuple[Index, ...]:
    """The invalid indexes on the embeddings: what earlier attempts have left."""
    return tuple(index for index in located.indexes if not index.valid)


def dropping(located: Located, index: Index) -> str:
    """The statement that drops an index; a partitioned table's not CONCURRENTLY, which it lacks."""
    concurrently = "" if located.kind == "p" else "CONCURRENTLY "
    return f"DROP INDEX {concurrently}{index.quoted}"


def quoted(schema: str, name: str) -> str:
    """The name of a relation as SQL."""
    return f"{identifier(schema)}.{identifier(name)}"
