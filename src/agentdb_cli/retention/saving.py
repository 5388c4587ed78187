"""Rows into the archive as they are deleted, with the rows that foreign keys delete along.

ON DELETE CASCADE would delete those unsaved. So the rows to go are locked
first, and nobody can refer to them any more; then those that refer to them
leave, from the last table up, and in the end they themselves: all in one
transaction, each table into its own archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.retention.deletion import Deletion
from agentdb_cli.retention.references import Reference, references
from agentdb_cli.retention.targets import Target

if TYPE_CHECKING:
    from agentdb_cli.retention.archive import Archive, Part

Chain = tuple[Reference, ...]
"""Foreign keys from a table down to one whose rows go along; each refers to the one before."""


@dataclass(frozen=True, slots=True)
class Saving:
    """The open archives of one purged table.

    Attributes:
        archive: of the table itself.
        along: of the tables whose rows go along, the farthest first.
    """

    archive: Archive
    along: tuple[tuple[Chain, Archive], ...]

    @classmethod
    def open(
        cls, connection: Connection, target: Target, notice: Callable[[str], None]
    ) -> Saving | None:
        """Open the archives that a table's policy asks for, or None.

        Raises:
            AgentdbError: one of them cannot be written.
        """
        from agentdb_cli.retention.archive import Archive, Format  # who archives needs zstd

        policy = target.policy
        if policy.archive is None:
            return None
        directory, written_as = policy.archive, Format(policy.archive_format)
        opened: dict[int, Archive] = {}

        def one(name: str, oid: int) -> Archive:
            if oid not in opened:  # more than one foreign key may lead to a table
                opened[oid] = Archive.open(directory, connection, name, oid, written_as, notice)
            return opened[oid]

        try:
            own = one(target.name, target.oid)
            along = [
                (chain, one(chain[-1].child, chain[-1].child_oid))
                for chain in _chains(connection, target)
            ]
        except BaseException:
            for archive in opened.values():
                archive.close()
            raise
        return cls(own, tuple(reversed(along)))

    def close(self) -> None:
        """Let other processes in."""
        for archive in {self.archive, *(archive for _, archive in self.along)}:
            archive.close()

    def delete(
        self,
        connection: Connection,
        deletion: Deletion,
        part: str,
        limits: str,
        *,
        limit: int | None = None,
        skip_locked: bool = False,
    ) -> tuple[int, int]:
        """Delete the rows of a part in one transaction, into the archives.

        Args:
            limits: statements that bound what the transaction may take.

        Returns:
            How many rows of the table went, and how many of others with them.
        """
        parts: list[tuple[Archive, Part]] = []
        try:
            with connection.transaction():
                connection.execute(limits.encode())
                if self.along:
                    tids = _tids(
                        connection, deletion.choosing(part, limit, skip_locked=skip_locked)
                    )
                    chosen = f"t.ctid = ANY ({literal(tids)}::tid[])"
                    for chain, archive in self.along:
                        statement = _deletion_of(chain, deletion.relation, chosen)
                        parts.append((archive, archive.write(connection, statement)))
                    statement = deletion.returning(chosen)
                else:
                    statement = deletion.statement(part, limit=limit, skip_locked=skip_locked)
                parts.append((self.archive, self.archive.write(connection, statement)))
        except BaseException:
            for archive, written in parts:
                archive.abort(written)
            raise
        for archive, written in parts:
            archive.commit(written)
        *others, own = (written.rows for _, written in parts)
        return own, sum(others)


def _chains(connection: Connection, target: Target) -> Iterator[Chain]:
    """Every way down from a table by ON DELETE CASCADE, the nearest tables first."""
    level: list[Chain] = [
        (each,) for each in target.references if each.on_delete == "cascade" and not each.to_itself
    ]
    while level:
        yield from level
        below = references(connection, [chain[-1].child_oid for chain in level])
        level = [
            (*chain, each)
            for chain in level
            for each in below[chain[-1].child_oid]
            if each.on_delete == "cascade"
            and each.child_oid not in {target.oid, *(above.child_oid for above in chain)}
        ]


def _deletion_of(chain: Chain, relation: str, chosen: str) -> str:
    """A DELETE of the rows of the last table that refer, through the others, to chosen rows."""
    source, condition = f"ONLY {relation}", chosen
    for each in chain:
        own = ", ".join(f"t.{identifier(name)}" for name in each.columns)
        other = ", ".join(f"t.{identifier(name)}" for name in each.referenced)
        # Inside the parentheses t is the table above, outside of them this one.
        condition = f"({own}) IN (SELECT {other} FROM {source} AS t WHERE {condition})"  # noqa: S608
        source = each.quoted
    return f"DELETE FROM {source} AS t WHERE {condition} RETURNING {{row}}"  # noqa: S608


def _tids(connection: Connection, choosing: str) -> str:
    text = f"SELECT coalesce(array_agg(c.ctid), '{{}}')::text FROM ({choosing}) AS c"  # noqa: S608
    row = connection.execute(text.encode()).fetchone()
    assert row is not None
    return str(row[0])
