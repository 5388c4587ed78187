"""The table that an import fills: its columns, its key, where rows without a partition go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.retention.archive.manifest import Header, Part


@dataclass(frozen=True, slots=True)
class Target:
    """A table that rows are put back into.

    Attributes:
        name: as SQL, with its schema unless the search path finds it.
        types: the columns that can be filled, with their types.
        generated: the columns that the server computes.
        key: the columns that tell rows apart; none when there is no unique index for it.
        defaults: its default partitions by oid.
    """

    name: str
    oid: int
    database_oid: int
    types: Mapping[str, str]
    generated: frozenset[str]
    key: tuple[str, ...]
    defaults: Mapping[int, str]

    def check(self, part: Part) -> tuple[str, ...]:
        """The columns that have come to the table since a part was written.

        Raises:
            AgentdbError: the part has a column that the table lacks or computes.
        """
        for column in part.columns:
            if column.name in self.generated:
                raise AgentdbError(
                    f"the column '{column.name}' of {part.name} is computed in {self.name} now",
                    hint="put the rows into a table that has it as it was: --into schema.table",
                )
            if column.name not in self.types:
                raise AgentdbError(
                    f"{self.name} no longer has the column '{column.name}' ({column.type}) "
                    f"of {part.name}",
                    hint="add it, or put the rows into a table that has it: --into schema.table",
                )
        held = {column.name for column in part.columns}
        return tuple(name for name in self.types if name not in held)


def find(connection: Connection, header: Header, into: str | None) -> Target:
    """The table that an archive's rows go to.

    Args:
        into: another table than the one that they came from, as SQL.

    Raises:
        AgentdbError: there is no such table, or it is a view or the like.
    """
    name = into or f"{identifier(header.schema)}.{identifier(header.table)}"
    try:
        row = connection.execute(
            "SELECT c.oid, c.oid::regclass::text, d.oid, c.relkind IN ('r', 'p')"
            " FROM pg_catalog.pg_class AS c, pg_catalog.pg_database AS d"
            " WHERE c.oid = to_regclass(%s) AND d.datname = current_database()",
            (name,),
        ).fetchone()
    except psycopg.errors.InvalidName:
        row = None
    if row is None:
        raise AgentdbError(
            f"there is no table {into or header.name} in the database {connection.info.dbname}",
            hint="create it (agentdb migrate), or name another one: --into schema.table",
        )
    oid, shown, database_oid, is_table = cast(tuple[int, str, int, bool], row)
    if not is_table:
        raise AgentdbError(f"{shown} is not a table")
    columns = cast(Sequence[tuple[str, str, bool]], _rows(connection, "import_columns", oid))
    key = _rows(connection, "import_key", oid)
    return Target(
        name=shown,
        oid=oid,
        database_oid=database_oid,
        types={name: type for name, type, generated in columns if not generated},
        generated=frozenset(name for name, _, generated in columns if generated),
        key=tuple(cast(list[str], key[0][0])) if key else (),
        defaults=dict(cast(Sequence[tuple[int, str]], _rows(connection, "import_defaults", oid))),
    )


def in_order(connection: Connection, oids: Sequence[int]) -> list[int]:
    """Tables with those that others refer to first; circles stay as they come."""
    text = query("retention/import_references").replace(":oids", f"'{{{_listed(oids)}}}'::oid[]")
    found = cast(Sequence[tuple[int, int]], connection.execute(text.encode()).fetchall())
    parents: dict[int, set[int]] = {}
    for child, parent in found:
        parents.setdefault(child, set()).add(parent)
    ordered: list[int] = []
    waiting = list(oids)
    while waiting:
        ready = [oid for oid in waiting if not parents.get(oid, set()) & set(waiting)]
        ordered += ready or waiting
        waiting = [oid for oid in waiting if oid not in ordered]
    return ordered


def _listed(oids: Sequence[int]) -> str:
    return ",".join(map(str, oids))


def _rows(connection: Connection, name: str, oid: int) -> Sequence[tuple[object, ...]]:
    text = query(f"retention/{name}").replace(":oid", str(oid))
    return connection.execute(text.encode()).fetchall()
