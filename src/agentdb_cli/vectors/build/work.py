"""The statements that build, replace and drop an index, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.vectors.build import plan
from agentdb_cli.vectors.build.definition import Definition
from agentdb_cli.vectors.build.plan import Leaf, dropping, quoted
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index


@dataclass(frozen=True, slots=True)
class Work:
    """One statement.

    Attributes:
        index: the name of what it makes or changes, without the schema.
        schema: of it.
        table: the oid of its table.
        builds: whether it takes long; otherwise it locks for a moment, and is tried until it can.
        makes: whether `index` is not there before it.
    """

    statement: str
    schema: str
    index: str
    table: int
    builds: bool
    makes: bool = False


def creation(
    connection: Connection,
    located: Located,
    definition: Definition,
    tables: Sequence[Leaf],
    name: str | None = None,
) -> tuple[Work, ...]:
    """The statements that create an index, of a partitioned table partition by partition.

    Args:
        name: of the index; None for one that says what it is.
    """
    clause = definition.clause(located)
    taken = plan.names_in(connection, located.schema)
    root = name or plan.name_for(located, definition, taken)
    if located.kind != "p":
        statement = f"CREATE INDEX CONCURRENTLY {identifier(root)} ON {located.quoted} {clause}"
        return (Work(statement, located.schema, root, located.oid, builds=True, makes=True),)
    works: list[Work] = []
    made: dict[int, Work] = {}
    used = {located.schema: [*taken, root]}
    for table in tables:
        if table.schema not in used:
            used[table.schema] = plan.names_in(connection, table.schema)
        own = root
        if table.oid != located.oid:
            stem = f"{table.relation}_{located.collection.embedding}_{definition.method}"
            own = plan.unique(stem, "_idx", used[table.schema])
            used[table.schema].append(own)
        parted = table.kind == "p"
        how = "INDEX" if parted else "INDEX CONCURRENTLY"
        on = f"ON ONLY {table.quoted}" if parted else f"ON {table.quoted}"
        work = Work(
            f"CREATE {how} {identifier(own)} {on} {clause}",
            table.schema, own, table.oid, builds=not parted, makes=True,
        )  # fmt: skip
        made[table.oid] = work
        works.append(work)
        if table.parent is not None and table.parent in made:
            above = made[table.parent]
            works.append(
                Work(
                    f"ALTER INDEX {quoted(above.schema, above.index)}"
                    f" ATTACH PARTITION {quoted(work.schema, work.index)}",
                    work.schema,
                    work.index,
                    table.oid,
                    builds=False,
                )
            )
    return tuple(works)


def removal(located: Located, index: Index) -> Work:
    """The statement that drops an index."""
    parted = located.kind == "p"
    return Work(
        dropping(located, index), index.schema, index.relation, located.oid, builds=not parted
    )


def replacement(
    connection: Connection,
    located: Located,
    index: Index,
    definition: Definition,
    tables: Sequence[Leaf],
) -> tuple[Work, ...]:
    """The statements that put an index with other parameters in the place of one, by its name."""
    taken = plan.names_in(connection, located.schema)
    new = plan.unique(index.relation, "_new", taken)
    renamed = f"ALTER INDEX {quoted(located.schema, new)} RENAME TO {identifier(index.relation)}"
    return (
        *creation(connection, located, definition, tables, new),
        removal(located, index),
        Work(renamed, located.schema, index.relation, located.oid, builds=False),
    )


def rebuilding(connection: Connection, located: Located, index: Index) -> tuple[Work, ...]:
    """The statements that build an index anew as it is; of a partitioned one its parts."""
    rows = connection.execute(
        "SELECT n.nspname::text, c.relname::text, i.indrelid::bigint"
        " FROM pg_catalog.pg_index AS i"
        " JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE i.indexrelid = %(oid)s OR i.indexrelid IN"
        " (SELECT t.relid FROM pg_catalog.pg_partition_tree(%(oid)s) AS t)"
        " ORDER BY 1, 2",
        {"oid": index.oid},
    ).fetchall()
    return tuple(
        Work(
            f"REINDEX INDEX CONCURRENTLY {quoted(str(schema), str(name))}",
            str(schema), str(name), int(str(table)), builds=True,
        )
        for schema, name, table in rows
    )  # fmt: skip
