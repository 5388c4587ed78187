"""What pg_stat_statements knows: which statements took the time, in total or since a moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import psycopg
from psycopg.rows import dict_row

from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring.slow_queries.server import OURS, Server, ours
from agentdb_cli.postgres.quoting import identifier

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection


class Key(NamedTuple):
    """What one row of pg_stat_statements is about."""

    database_oid: int
    role_oid: int
    toplevel: bool
    query_id: int


class Counters(NamedTuple):
    """What only grows. Times in milliseconds; None where this version does not count it.

    Attributes:
        squares: the sum of the squares of all execution times, for their deviation.
        hit_bytes, read_bytes: shared buffers found and not found in the cache.
        io_bytes: shared and local blocks read and written.
    """

    calls: float
    total_ms: float
    squares: float
    plans: float | None
    plan_ms: float | None
    rows: float
    hit_bytes: float
    read_bytes: float
    io_bytes: float
    io_ms: float
    temp_bytes: float
    wal_bytes: float | None

    def minus(self, other: Counters) -> Counters:
        """What was added since `other`."""
        pairs = zip(self, other, strict=True)
        return Counters(*(None if a is None else a - (b or 0) for a, b in pairs))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one role in one database, and what it took.

    Attributes:
        since: when its counters began (seconds since the epoch), if known.
        minimum_ms, maximum_ms: None if they are not known for the time shown.
    """

    key: Key
    database: str | None
    role: str | None
    since: float | None
    minimum_ms: float | None
    maximum_ms: float | None
    counters: Counters

    @property
    def mean_ms(self) -> float:
        """The mean execution time."""
        return self.counters.total_ms / self.counters.calls if self.counters.calls else 0.0

    @property
    def deviation_ms(self) -> float:
        """The standard deviation of the execution times."""
        if not self.counters.calls:
            return 0.0
        # Never below zero: the difference of two large sums may be, by rounding.
        return math.sqrt(max(self.counters.squares / self.counters.calls - self.mean_ms**2, 0.0))

    @property
    def cache_hit(self) -> float | None:
        """The share of shared buffers that were found in the cache; None if none was wanted."""
        wanted = self.counters.hit_bytes + self.counters.read_bytes
        return self.counters.hit_bytes / wanted if wanted else None


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment.

    Attributes:
        taken_at: the server's clock, seconds since the epoch.
        reset_at: when everything was last reset; None before version 1.9.
        dropped: how often statements had to go for want of room; None before 1.9.
        hidden: the database and the milliseconds of each row that this role may not see.
    """

    taken_at: float
    reset_at: float | None
    dropped: int | None
    statements: tuple[Statement, ...]
    hidden: tuple[tuple[str | None, float], ...] = ()


ORDERS: dict[str, Callable[[Statement], float | None]] = {
    "total": lambda s: s.counters.total_ms,
    "mean": lambda s: s.mean_ms,
    "calls": lambda s: s.counters.calls,
    "io": lambda s: s.counters.io_bytes,
    "temp": lambda s: s.counters.temp_bytes,
    "wal": lambda s: s.counters.wal_bytes,
    "plan": lambda s: s.counters.plan_ms,
}
"""What statements can be ordered by, most first."""


def read(connection: Connection, server: Server) -> Reading:
    """Read all counters of all databases.

    Raises:
        AgentdbError: pg_stat_statements cannot be read, and why.
    """
    if problem := server.unusable():
        raise problem
    schema = str(server.schema)
    columns = {
        str(name) for (name,) in connection.execute(ours("columns"), (schema,), prepare=False)
    }
    taken_at = connection.execute(
        (OURS + " SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8").encode()  # noqa: S608
    ).fetchone()
    assert taken_at is not None
    try:
        with connection.cursor(row_factory=dict_row) as cursor:
            query = ours("statements", schema=schema, columns=columns)
            rows = cursor.execute(query, prepare=False).fetchall()
        reset_at, dropped = _information(connection, schema, columns)
    except psycopg.errors.InsufficientPrivilege as error:
        raise AgentdbError(
            f"the role '{server.role}' may not read pg_stat_statements: "
            f"{error.diag.message_primary}",
            hint=f"GRANT USAGE ON SCHEMA {schema} and SELECT ON {schema}.pg_stat_statements "
            f"TO {server.role}",
        ) from None
    seen = [_statement(row) for row in rows if row["query_id"] is not None]
    hidden = [(row["database"], row["total_ms"]) for row in rows if row["query_id"] is None]
    return Reading(
        taken_at=float(taken_at[0]),  # type: ignore[arg-type]
        reset_at=reset_at,
        dropped=dropped,
        statements=tuple(seen),
        hidden=tuple(hidden),
    )


def _information(
    connection: Connection, schema: str, columns: Collection[str]
) -> tuple[float | None, int | None]:
    if "toplevel" not in columns:  # it came with the view of this information, in 1.9
        return None, None
    row = connection.execute(ours("info", schema=schema), prepare=False).fetchone()
    return cast("tuple[float, int]", row)


def _statement(row: dict[str, Any]) -> Statement:
    return Statement(
        key=Key(*(row[name] for name in Key._fields)),
        database=row["database"],
        role=row["role"],
        since=row["since"],
        minimum_ms=row["min_ms"],
        maximum_ms=row["max_ms"],
        counters=Counters(*(row[name] for name in Counters._fields)),
    )


def ordered(statements: Iterable[Statement], by: str, server: Server) -> list[Statement]:
    """The statements that have any of what `by` names, the most of it first.

    Raises:
        AgentdbError: this version of pg_stat_statements does not count that.
    """
    valued = [(ORDERS[by](statement), statement) for statement in statements]
    if any(value is None for value, _ in valued):
        raise AgentdbError(
            f"pg_stat_statements {server.version} does not count '{by}'",
            hint="ALTER EXTENSION pg_stat_statements UPDATE may bring it",
        )
    some = [(value, statement) for value, statement in valued if value]
    return [statement for _, statement in sorted(some, key=lambda pair: pair[0], reverse=True)]


def texts(
    connection: Connection, server: Server, query_ids: Sequence[int]
) -> dict[tuple[int, int], str | None]:
    """The texts of statements as the server has them, by database oid and query id.

    None where the server has lost the text.
    """
    query = ours("texts", schema=str(server.schema))
    rows: Any = connection.execute(query, (list(query_ids),), prepare=False)
    return {(database, query_id): text for database, query_id, text in rows}


def reset(connection: Connection, server: Server, *, everything: bool) -> None:
    """Set the counters to zero, of this database or of all.

    Raises:
        AgentdbError: this role may not, or this version can only reset all.
    """
    function = f"{identifier(str(server.schema))}.pg_stat_statements_reset"
    call = f"{function}()" if everything else f"{function}(0, d.oid, 0)"
    try:
        connection.execute(
            f"{OURS} SELECT {call} FROM pg_catalog.pg_database AS d"  # noqa: S608
            " WHERE d.datname = pg_catalog.current_database()".encode()
        )
    except psycopg.errors.InsufficientPrivilege:
        raise AgentdbError(
            f"the role '{server.role}' may not reset pg_stat_statements",
            hint=f"GRANT EXECUTE ON FUNCTION {_signature(connection)} TO {server.role}",
        ) from None
    except psycopg.errors.UndefinedFunction:
        raise AgentdbError(
            f"pg_stat_statements {server.version} can only reset all databases",
            hint="--all-databases, or ALTER EXTENSION pg_stat_statements UPDATE",
        ) from None


def _signature(connection: Connection) -> str:
    row = connection.execute(
        "SELECT p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc AS p"
        " WHERE p.proname = 'pg_stat_statements_reset'"
    ).fetchone()
    return str(row[0]) if row else "pg_stat_statements_reset"
