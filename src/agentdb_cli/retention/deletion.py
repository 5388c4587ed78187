"""The statement that deletes the rows of one part of a table."""

from __future__ import annotations

from dataclasses import dataclass

from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.targets import Target


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is deleted from a table, or from one partition of it.

    Attributes:
        relation: the table or partition, as SQL.
        archived: whether the rows leave into an archive.
    """

    target: Target
    relation: str
    archived: bool = False

    def statement(self, part: str, *, skip_locked: bool = False, limit: int | None = None) -> str:
        """A DELETE of the rows of a part that are past their time.

        The condition stands in the DELETE itself in any case: a row that
        another session changes at the same moment is tested by it once more.

        Args:
            part: SQL over the alias t, from `Parts.next`.
            skip_locked: leave out rows that another session has locked,
                instead of waiting for them.
            limit: the most rows to delete, or None for all.

        Returns:
            The statement; of a deletion into an archive it ends in
            `RETURNING {row}`, for the archive to fill in.
        """
        where = self._where(part)
        if skip_locked or limit is not None or self.target.policy.keep_last is not None:
            chosen = self._chosen(where, " FOR UPDATE OF t SKIP LOCKED" if skip_locked else "")
            chosen += f" LIMIT {limit}" if limit is not None else ""
            where = f"t.ctid = ANY (ARRAY({chosen})) AND {self.target.due('t')}"
        return self.returning(where)

    def choosing(self, part: str, limit: int | None = None, *, skip_locked: bool = False) -> str:
        """A query for the ctids of those rows, which locks them against every change."""
        lock = " FOR UPDATE OF t SKIP LOCKED" if skip_locked else " FOR UPDATE OF t"
        chosen = self._chosen(self._where(part), lock)
        return f"{chosen} LIMIT {limit}" if limit is not None else chosen

    def returning(self, where: str) -> str:
        """A DELETE by a condition over the alias t; see `statement` for what it returns."""
        tail = " RETURNING {row}" if self.archived else ""
        return f"DELETE FROM ONLY {self.relation} AS t WHERE {where}{tail}"  # noqa: S608

    def count(self, part: str) -> str:
        """A query for how many rows of a part would be deleted."""
        return f"SELECT count(*) FROM ({self._chosen(self._where(part))}) AS chosen"  # noqa: S608

    def summary(self) -> str:
        """A query for how many rows would be deleted, and the time of the oldest of them."""
        time = identifier(self.target.policy.time_column)
        if self.target.policy.keep_last is None and not self.target.references:
            return (
                f"SELECT count(*), min(t.{time})::timestamptz"  # noqa: S608
                f" FROM ONLY {self.relation} AS t WHERE {self.target.due('t')}"
            )
        # Rows that are kept, or that others refer to, may be as old as they like.
        return (
            f"SELECT count(*), min(o.{time})::timestamptz"  # noqa: S608
            f" FROM ({self._chosen(self._where('true'))}) AS chosen"
            f" JOIN ONLY {self.relation} AS o ON o.ctid = chosen.ctid"
        )

    def _where(self, part: str) -> str:
        return f"{part} AND {self.target.due('t')}{self._unless_referred_to()}"

    def _unless_referred_to(self) -> str:
        """What spares rows that other rows refer to, where the foreign key would refuse."""
        return "".join(
            f" AND NOT EXISTS (SELECT FROM {reference.quoted} AS child"
            f" WHERE {reference.matches('child', 't')})"
            for reference in self.target.references
            # A row of its own that it would take along may not be past its time.
            if reference.holds
            or (self.archived and reference.to_itself and reference.on_delete == "cascade")
        )

    def _chosen(self, where: str, lock: str = "") -> str:
        """A query for the ctids of rows to delete."""
        policy = self.target.policy
        source = f"ONLY {self.relation} AS t"
        if policy.keep_last is None:
            return f"SELECT t.ctid FROM {source} WHERE {where}{lock}"  # noqa: S608
        time = identifier(policy.time_column)
        keys = [identifier(name) for name in policy.per]
        newest = (
            f"SELECT x.{time} FROM {self.target.quoted} AS x"  # noqa: S608
            + (f" WHERE {' AND '.join(f'x.{key} = d.{key}' for key in keys)}" if keys else "")
            + f" ORDER BY x.{time} DESC NULLS LAST OFFSET {policy.keep_last - 1} LIMIT 1"
        )
        if not keys:
            return f"SELECT t.ctid FROM {source} WHERE {where} AND t.{time} < ({newest}){lock}"  # noqa: S608
        # The threshold is looked up once for each key in the part, not for each row. A row
        # without a key belongs to nobody whose newest rows are to be kept.
        names = ", ".join(f"t.{key}" for key in keys)
        kept = (
            f"SELECT d.*, ({newest}) AS since"  # noqa: S608
            f" FROM (SELECT DISTINCT {names} FROM {source} WHERE {where}) AS d"
        )
        same = " AND ".join(f"kept.{key} = t.{key}" for key in keys)
        nobody = " OR ".join(f"t.{key} IS NULL" for key in keys)
        return (
            f"WITH kept AS MATERIALIZED ({kept})"  # noqa: S608
            f" SELECT t.ctid FROM {source} LEFT JOIN kept ON {same}"
            f" WHERE {where} AND (({nobody}) OR t.{time} < kept.since){lock}"
        )
