"""The indexes of a database: which are invalid, bloated or full of dead rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.maintenance.tables import look_up
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query

BLOAT_SHARE, BLOAT_SIZE = 0.4, 10 * 1024 * 1024
"""From which share and how many bytes of estimated bloat an index is worth rebuilding. B-trees
filled in random order settle at two thirds full, so that 30 percent is healthy."""

DEAD_SHARE = 0.2
"""From which share of dead rows a vector index is worth rebuilding: searches walk over them, and
autovacuum's scale factor is the same."""

_VECTORS = ("hnsw", "ivfflat")


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is stored.

    Attributes:
        table: the OID of its table.
        relation: the name of its table.
        tablespace: its directory, or "" for the data directory.
        permitted: whether this role may rebuild it.
        leftover: whether it is named as REINDEX CONCURRENTLY names its own.
        base: the index that it would be left over from, if there is that one.
        busy: the pid that vacuums, alters or indexes its table now (0: a prepared transaction).
        rows, dead: of its table, estimated.
    """

    oid: int
    name: str
    table: int
    relation: str
    method: str
    catalog: bool
    temporary: bool
    exclusion: bool
    valid: bool
    size: int
    tablespace: str
    permitted: bool
    leftover: bool
    base: str | None
    busy: int | None
    rows: int
    dead: int

    @property
    def refusal(self) -> str | None:
        """Why it cannot be rebuilt without locking anyone out, or None if it can."""
        if self.catalog:
            return "it belongs to a system catalog"
        if self.temporary:
            return "it belongs to a temporary table"
        if self.exclusion:
            return "it enforces an exclusion constraint"
        if not self.valid and self.leftover and self.base is None:
            return (
                "it is invalid and named as a leftover of REINDEX CONCURRENTLY, but its table "
                "has no index that it could be left over from"
            )
        return None

    @property
    def droppable(self) -> bool:
        """Whether it is what a REINDEX CONCURRENTLY that failed has left."""
        return not self.valid and self.leftover and self.base is not None


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with an index, why, and how many bytes that should save (None: unknown)."""

    index: Index
    drop: bool
    reason: str
    gain: int | None

    @property
    def statement(self) -> str:
        """The command."""
        return f"{'DROP' if self.drop else 'REINDEX'} INDEX CONCURRENTLY {self.index.name}"


def read(connection: Connection) -> list[Index]:
    """All stored indexes, those of the system included."""
    text = for_server(query("maintenance/indexes"), connection.info.server_version // 10_000)
    with connection.cursor(row_factory=class_row(Index)) as cursor:
        return cursor.execute(text.encode()).fetchall()


def named(connection: Connection, indexes: Sequence[Index], names: Iterable[str]) -> list[Index]:
    """The indexes that names mean; a table's name means all of its, partitions and TOAST included.

    Raises:
        AgentdbError: a name means nothing that has indexes, or one index that must not be rebuilt.
    """
    known = [n for index in indexes for n in (index.name, index.relation)]
    found: dict[int, Index] = {}
    for name in names:
        oid, relation, kind = look_up(connection, name, known)
        members = _members(connection, oid)
        meant = [index for index in indexes if index.oid in members]
        if not meant:
            has = "has no index" if kind in "rmpI" else "is neither an index nor a table"
            raise AgentdbError(f"{relation} {has}")
        if kind == "i" and meant[0].refusal:
            raise AgentdbError(
                f"{relation} cannot be rebuilt without locking the application out: "
                f"{meant[0].refusal}",
                hint="agentdb rebuilds no index in another way; nothing was done",
            )
        found.update((index.oid, index) for index in meant)
    return list(found.values())


def _members(connection: Connection, relation: int) -> set[int]:
    rows = connection.execute(query("maintenance/members").encode(), {"relation": relation})
    return {int(str(row[0])) for row in rows.fetchall()}


def needed_sizes(connection: Connection) -> Mapping[int, int]:
    """The bytes that each B-tree would have if it were built anew, estimated; by OID.

    Indexes whose table was never analyzed, or whose statistics this role may not read, are
    missing. The estimate is that of `agentdb inspect bloat`, before it sums up partitions.
    """
    estimates = query("inspect/bloat").partition("\nrelations AS (")[0].rstrip().removesuffix(",")
    text = f"{estimates}\nSELECT b.oid, b.needed::bigint FROM btrees AS b"
    with connection.transaction():
        connection.execute("SET LOCAL jit = off")
        rows = connection.execute(text.encode()).fetchall()
    return {int(str(oid)): int(str(needed)) for oid, needed in rows}


def in_need(indexes: Iterable[Index], needed: Mapping[int, int]) -> list[Action]:
    """What would be worth doing: leftovers first, then by what it should save."""
    found = [
        action(index, needed)
        for index in indexes
        if index.refusal is None and not index.busy and _reason(index, needed)
    ]
    return sorted(found, key=lambda a: (not a.drop, a.index.valid, -(a.gain or 0)))


def action(index: Index, needed: Mapping[int, int]) -> Action:
    """What to do with an index that somebody chose."""
    if index.droppable:
        return Action(index, True, _reason(index, needed), index.size)
    gain = max(index.size - needed[index.oid], 0) if index.oid in needed else None
    return Action(index, False, _reason(index, needed), gain)


def _reason(index: Index, needed: Mapping[int, int]) -> str:
    """Why something should be done, or "" if nothing need be."""
    if index.droppable:
        return f"left by a REINDEX CONCURRENTLY of {index.base} that failed"
    if not index.valid:
        return "invalid: its CREATE INDEX CONCURRENTLY failed, and no query uses it"
    waste = index.size - needed.get(index.oid, index.size)
    if waste >= BLOAT_SIZE and waste >= index.size * BLOAT_SHARE:
        return f"{waste / index.size:.0%} bloat, estimated"
    if index.method in _VECTORS and index.dead > index.rows * DEAD_SHARE:
        return f"{index.dead:,} dead rows beside {index.rows:,} live ones"
    return ""
