"""The database that is backed up: what is in it, and one snapshot of it held still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import cast

import psycopg
from psycopg.rows import class_row

from agentdb_cli.backups import definitions
from agentdb_cli.backups.manifest import Content, Object
from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.postgres import holders
from agentdb_cli.postgres.connect import Connection, is_pooled
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier

_AT_ONCE = 100
"""Tables of one LOCK statement."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as `sql/backups/tables.sql` shows it; bytes without its indexes."""

    oid: int
    schema: str
    name: str
    partitioned: bool
    unlogged: bool
    visible: bool
    readable: bool
    filtered: bool
    bytes: int = 0

    @property
    def quoted(self) -> str:
        """The name as SQL, and as an exact pattern of pg_dump's."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def require_direct(connection: Connection) -> None:
    """Make sure that no pooler is in between.

    Raises:
        AgentdbError: one is.
    """
    if is_pooled(connection):
        raise AgentdbError(
            "a pooler is in between, and pg_dump's sessions and their snapshot do not survive it",
            hint="connect to the server directly",
        )


def relations(connection: Connection, selection: Sequence[str]) -> tuple[Relation, ...]:
    """The tables of the database, or those that are named, with all their partitions.

    Args:
        selection: `table` or `schema.table`, in which `*` and `?` stand for any characters;
            nothing for all tables.

    Raises:
        AgentdbError: a name is no table's.
    """
    with connection.cursor(row_factory=class_row(Relation)) as cursor:
        found = cursor.execute(query("backups/tables").encode()).fetchall()
    if not selection:
        return _with_sizes(connection, found)
    chosen = {relation.oid for name in selection for relation in _named(found, name)}
    below = connection.execute(
        "SELECT p.relid::oid::bigint FROM unnest(%s::bigint[]) AS t (oid),"
        " LATERAL pg_catalog.pg_partition_tree(t.oid::oid::regclass) AS p",
        (sorted(chosen),),
    ).fetchall()
    chosen |= {cast(int, oid) for (oid,) in below}
    return _with_sizes(connection, [relation for relation in found if relation.oid in chosen])


def _with_sizes(connection: Connection, found: Sequence[Relation]) -> tuple[Relation, ...]:
    """The tables with what they take on disk, which waits for a lock on each.

    Raises:
        AgentdbError: somebody has a table locked for longer than lock_timeout.
    """
    oids = [relation.oid for relation in found]
    try:
        rows = connection.execute(
            "SELECT t.oid, COALESCE(pg_catalog.pg_table_size(t.oid::oid::regclass), 0)"
            " FROM unnest(%s::bigint[]) AS t (oid)",
            (oids,),
        ).fetchall()
    except psycopg.errors.LockNotAvailable:
        raise in_the_way(connection, oids) from None
    sizes = dict(cast(list[tuple[int, int]], rows))
    return tuple(replace(relation, bytes=sizes[relation.oid]) for relation in found)


def _named(found: Sequence[Relation], name: str) -> list[Relation]:
    named = [r for r in found if str(r) == name] or [
        r for r in found if r.visible and r.name == name
    ]
    if not named and set("*?") & set(name):
        named = [
            r
            for r in found
            if fnmatchcase(str(r), name) or (r.visible and fnmatchcase(r.name, name))
        ]
    if not named:
        known = [str(r) for r in found] + [r.name for r in found if r.visible]
        raise AgentdbError(
            f"there is no table '{name}' in this database{nearest(name, known)}",
            hint="write it as schema.table; agentdb inspect table-sizes shows the tables",
        )
    return named


def require_readable(connection: Connection, tables: Sequence[Relation], content: Content) -> None:
    """Make sure that pg_dump will be let in everywhere: a part of a database is no backup.

    Raises:
        AgentdbError: this role may not read a table, or not all rows of it.
    """
    row = connection.execute("SELECT current_user::text").fetchone()
    role = str(row[0]) if row else connection.info.user
    closed = [str(table) for table in tables if not table.readable]
    if closed:
        everything = "pg_read_all_data" if connection.info.server_version >= 140_000 else None
        grant = f"GRANT {everything} TO {role};" if everything else f"GRANT SELECT … TO {role};"
        raise AgentdbError(
            f"the role {role} may not read {_listed(closed)}, so the backup would not be whole",
            hint=f"{grant} or connect as the owner, or name the tables to back up with --table",
        )
    filtered = [str(table) for table in tables if table.filtered]
    if filtered and content != "schema":
        raise AgentdbError(
            f"row-level security hides rows of {_listed(filtered)} from the role {role}, "
            "so the backup would not be whole",
            hint=f"connect as the owner, or ALTER ROLE {role} BYPASSRLS;",
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def jobs(connection: Connection, wanted: int | None, usual: int) -> int:
    """How many of pg_dump's sessions may work, as far as connections are left.

    Args:
        wanted: what was asked for, or None for `usual` or less.

    Raises:
        AgentdbError: there are not enough connections left.
    """
    row = connection.execute(query("backups/room").encode()).fetchone() or ()
    limits = dict(zip(("server", "role", "database"), row, strict=False))
    left = {name: int(str(number)) for name, number in limits.items() if number is not None}
    tightest = min(left, key=lambda name: left[name], default="server")
    room = left.get(tightest, 2**31)
    number = wanted if wanted is not None else max(1, min(usual, room - 1))
    needed = number + 1 if number > 1 else 1  # the leader reads no table then
    if room < needed:
        raise AgentdbError(
            f"the {tightest} has {max(room, 0)} connections left, and pg_dump with "
            f"{number} job{'s' if number > 1 else ''} needs {needed}",
            hint="take fewer --jobs, or end sessions: agentdb inspect connections shows them",
        )
    return number


def system_identifier(connection: Connection) -> str | None:
    """What tells this server's data from another's; None if the role may not read it."""
    try:
        row = connection.execute(
            "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
        ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return str(row[0]) if row else None


def extensions(connection: Connection) -> Mapping[str, str]:
    """The versions of the extensions, by name."""
    rows = connection.execute(
        "SELECT extname::text, extversion FROM pg_catalog.pg_extension ORDER BY extname"
    ).fetchall()
    return {str(name): str(version) for name, version in rows}


@contextmanager
def snapshot(connection: Connection) -> Iterator[str]:
    """A transaction that sees the database as it is now, and cannot time out.

    While it lasts, VACUUM removes no row that has died since. Gives the name under which
    pg_dump sees the same.
    """
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        # A role's or database's own settings must not end it.
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(f"SET LOCAL {setting} = 0".encode())
        if connection.info.server_version >= 170_000:
            connection.execute("SET LOCAL transaction_timeout = 0")
        connection.execute("SET LOCAL row_security = off")
        row = connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
        assert row is not None
        yield str(row[0])
    finally:
        with suppress(psycopg.Error):  # of a lost connection; that must not hide why
            connection.execute("ROLLBACK")


def objects(
    connection: Connection, tables: Sequence[Relation], *, whole: bool
) -> tuple[Object, ...]:
    """The definitions that pg_dump takes.

    Args:
        connection: in the transaction of `snapshot`, with the tables locked.
        whole: whether everything is dumped; otherwise only what belongs to `tables`.
    """
    oids = {table.oid for table in tables}
    return tuple(
        found.object
        for found in definitions.read(connection)
        if found.dumped and (whole or found.relation in oids)
    )


def lock(connection: Connection, tables: Sequence[Relation]) -> None:
    """Keep tables from being changed or dropped, in the transaction in progress.

    pg_dump does so too; but here it can be said who is in the way.

    Raises:
        AgentdbError: somebody has a table locked for longer than lock_timeout.
    """
    for begin in range(0, len(tables), _AT_ONCE):
        part = tables[begin : begin + _AT_ONCE]
        names = ", ".join(f"ONLY {table.quoted}" for table in part)
        try:
            connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())
        except psycopg.errors.LockNotAvailable:
            connection.execute("ROLLBACK")
            raise in_the_way(connection, [table.oid for table in part]) from None


def in_the_way(connection: Connection, oids: Sequence[int]) -> AgentdbError:
    """The error when a lock was not to be had, with who has it.

    Args:
        connection: outside a transaction.
        oids: tables among which the locked one is.
    """
    row = connection.execute(query("backups/locked").encode(), (list(oids),)).fetchone()
    hint = "wait until that session has ended, or wait longer with --lock-timeout"
    if row is None:
        return AgentdbError("a table was locked by somebody for too long", hint=hint)
    who = holders.locked_by(connection, cast(int, row[0]), exclusive=True)
    return AgentdbError(f"{row[1]} cannot be read: {who}", hint=hint)
