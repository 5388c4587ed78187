"""The tables of a database: how much each needs VACUUM and ANALYZE, and which a name means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query

FREEZE_SHARE = 0.95
"""The share of autovacuum_freeze_max_age from which a table is frozen. PostgreSQL caps
vacuum_freeze_table_age there, "so that a periodic manual VACUUM has a chance to run before an
anti-wraparound autovacuum" (documentation, Client Connection Defaults)."""

_KINDS = {
    "v": "a view",
    "f": "a foreign table",
    "S": "a sequence",
    "i": "an index",
    "I": "an index",
    "c": "a composite type",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table, materialised view, TOAST or partitioned table; the latter has no numbers of its own.

    Attributes:
        relation: `schema.table`, quoted where need be.
        kind: pg_class.relkind.
        root: the OID of the partitioned table that it belongs to.
        tablespace: its directory, or "" for the data directory.
        size: bytes, with indexes and TOAST.
        permitted: whether this role may vacuum it.
        dead, inserted, modified: rows since the last VACUUM, VACUUM and ANALYZE.
        dead_share, insert_share: of the threshold; 1 is where autovacuum acts.
    """

    oid: int
    relation: str
    kind: str
    temporary: bool
    catalog: bool
    toast: int
    root: int | None
    tablespace: str
    size: int
    permitted: bool
    dead: int
    dead_threshold: int | None
    dead_share: float | None
    inserted: int | None
    insert_threshold: int | None
    insert_share: float | None
    modified: int | None
    analyze_threshold: int | None
    analyzed: bool | None
    xid_age: int | None
    freeze_max_age: int | None
    multixact_age: int | None
    multixact_max_age: int | None

    @property
    def partitioned(self) -> bool:
        """Whether its rows are in its partitions alone."""
        return self.kind == "p"

    @property
    def age_share(self) -> float:
        """The older of its transaction and multixact ages, as a share of autovacuum's limit."""
        return max(
            (self.xid_age or 0) / (self.freeze_max_age or 1),
            (self.multixact_age or 0) / (self.multixact_max_age or 1),
        )

    @property
    def needs_freeze(self) -> bool:
        """Whether its oldest transaction comes near the limit."""
        return not self.partitioned and self.age_share >= FREEZE_SHARE

    @property
    def needs_vacuum(self) -> bool:
        """Whether autovacuum would vacuum it."""
        return max(self.dead_share or 0, self.insert_share or 0) > 1

    @property
    def needs_analyze(self) -> bool:
        """Whether autovacuum would analyze it, or nobody ever has."""
        if self.partitioned or self.kind == "t" or not self.size:
            return False
        return not self.analyzed or (self.modified or 0) > (self.analyze_threshold or 0)

    def reasons(self) -> list[str]:
        """Why it needs something, in words."""
        found = []
        if self.needs_freeze:
            found.append(
                f"transaction age {self.xid_age:,}, multixact age {self.multixact_age:,}: "
                f"{self.age_share:.0%} of where autovacuum must freeze"
            )
        if (self.dead_share or 0) > 1:
            threshold = self.dead_threshold or 0
            rows = f"{self.dead:,} dead rows (threshold {threshold:,})"
            found.append(rows if self.dead > threshold else "dead rows in its TOAST table")
        if (self.insert_share or 0) > 1:
            limit, inserted = self.insert_threshold, self.inserted or 0
            if limit is not None and inserted > limit:
                since = "inserted since the last vacuum"
                found.append(f"{inserted:,} rows {since} (threshold {limit:,})")
            else:
                found.append("rows inserted into its TOAST table")
        if self.needs_analyze and not self.analyzed:
            found.append("never analyzed")
        elif self.needs_analyze:
            found.append(
                f"{self.modified:,} rows changed since the last analyze "
                f"(threshold {self.analyze_threshold or 0:,})"
            )
        return found

    def urgency(self) -> tuple[bool, float, float]:
        """What the worst table has the highest of."""
        share = max(self.dead_share or 0, self.insert_share or 0)
        return self.needs_freeze, self.age_share if self.needs_freeze else 0, share


def read(connection: Connection) -> list[Table]:
    """All tables, those of the system included."""
    text = for_server(query("maintenance/tables"), connection.info.server_version // 10_000)
    with connection.cursor(row_factory=class_row(Table)) as cursor:
        return cursor.execute(text.encode()).fetchall()


def named(connection: Connection, tables: Sequence[Table], names: Iterable[str]) -> list[Table]:
    """The tables that names mean: `table` on the search path, or `schema.table`.

    Raises:
        AgentdbError: a name means nothing, or nothing that has rows of its own.
    """
    known = {table.oid: table for table in tables}
    found: dict[int, Table] = {}
    for name in names:
        oid, relation, kind = look_up(connection, name, [table.relation for table in tables])
        if kind in _KINDS:
            raise AgentdbError(
                f"{relation} is {_KINDS[kind]}, which cannot be vacuumed", hint="name its table"
            )
        table = known.get(oid)
        if table is None:
            raise AgentdbError(f"{relation} has been dropped meanwhile")
        if table.temporary:
            raise AgentdbError(
                f"{relation} is a temporary table, which its own session alone can vacuum"
            )
        found[oid] = table
    return list(found.values())


def look_up(connection: Connection, name: str, known: Iterable[str]) -> tuple[int, str, str]:
    """The OID, `schema.name` and pg_class.relkind of the relation that a name means.

    Args:
        known: names to propose when it means none.

    Raises:
        AgentdbError: it means none.
    """
    try:
        row = connection.execute(query("maintenance/names").encode(), (name,)).fetchone()
    except psycopg.Error as error:
        raise AgentdbError(
            f"'{name}' cannot be read as a name: {error.diag.message_primary}",
            hint="write table or schema.table; quote as in SQL",
        ) from None
    if row is None:
        full = [relation for relation in known if not relation.startswith(("pg_", "information_"))]
        short = [relation.partition(".")[2] for relation in full]
        raise AgentdbError(f"there is no '{name}' here{nearest(name, full + short)}")
    oid, relation, kind = row
    return int(str(oid)), str(relation), str(kind)


def with_partitions(tables: Sequence[Table], chosen: Iterable[Table]) -> list[Table]:
    """`chosen`, each partitioned table followed by those that hold its rows.

    Raises:
        AgentdbError: one of them is a partitioned table below another; its root must be named.
    """
    found: dict[int, Table] = {}
    for table in chosen:
        if table.partitioned and table.root not in (None, table.oid):
            root = next(other.relation for other in tables if other.oid == table.root)
            raise AgentdbError(
                f"{table.relation} is itself a partition of {root}", hint=f"name {root} instead"
            )
        found[table.oid] = table
        if table.partitioned:
            leaves = (t for t in tables if t.root == table.oid and not t.partitioned)
            found.update((leaf.oid, leaf) for leaf in leaves)
    return list(found.values())
