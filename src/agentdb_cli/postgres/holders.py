"""Who stands in the way: of a lock, or of removing dead rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from psycopg.rows import class_row

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query


@dataclass(frozen=True, slots=True)
class Holder:
    """A session, replication slot or prepared transaction.

    Attributes:
        kind: `session`, `replication slot`, `prepared transaction`, or None for nobody seen.
        age: how old its transaction is; None where there is none, or this role may not see it.
        hidden: how many sessions this role may not look into, any of which may be meant instead.
    """

    kind: str | None
    pid: int | None
    name: str | None
    state: str | None
    age: timedelta | None
    hidden: int

    def __str__(self) -> str:
        unseen = (
            f"a session that this role may not see ({self.hidden} of them; "
            "GRANT pg_monitor shows them)"
        )
        if self.kind is None:
            return unseen
        return f"{self._shown()}, or {unseen}" if self.hidden else self._shown()

    def _shown(self) -> str:
        since = f"for {_clock(self.age)}" if self.age is not None else ""
        if self.kind != "session":
            name = f" '{self.name}'" if self.name else ""
            return " ".join(part for part in (f"{self.kind}{name}", since) if part)
        known = ", ".join(part for part in (self.name, self.state) if part)
        about = " ".join(part for part in (known, since) if part)
        return f"pid {self.pid} ({about})" if about else f"pid {self.pid}"


def _clock(age: timedelta) -> str:
    return str(timedelta(seconds=max(int(age.total_seconds()), 0)))


def of_horizon(connection: Connection) -> Holder | None:
    """What keeps dead rows from being removed now; None if nothing does."""
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        holder = cursor.execute(query("holders/horizon").encode()).fetchone()
    if holder is None or (holder.kind is None and not holder.hidden):
        return None
    return holder


def of_lock(connection: Connection, relation: int, *, exclusive: bool) -> list[Holder]:
    """Whose locks on a relation (an OID) keep ours away.

    Args:
        exclusive: ours lets nobody pass; otherwise it lets readers and writers.
    """
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        return cursor.execute(
            query("holders/of_lock").encode(),
            {"relation": relation, "exclusive": exclusive},
        ).fetchall()


def locked_by(connection: Connection, relation: int, *, exclusive: bool) -> str:
    """`locked by pid 12 (psql, idle in transaction for 0:03:12)`."""
    found = of_lock(connection, relation, exclusive=exclusive)
    return f"locked by {', '.join(map(str, found)) or 'a session that has ended meanwhile'}"


def session(connection: Connection, pid: int) -> Holder:
    """The session of a process id, as far as this role may see it."""
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        found = cursor.execute(query("holders/session").encode(), (pid,)).fetchone()
    return found or Holder("session", pid, None, None, None, 0)
