"""Rows drawn at random as queries, and whether the planner takes the index that is measured."""

from __future__ import annotations

import random
from collections.abc import Iterator

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import doubled, identifier
from agentdb_cli.vectors import nearest
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.indexes import Index


class NotUsed(AgentdbError):
    """The planner does not use the index at this setting."""


def drawn(
    connection: Connection, located: Located, count: int, seed: int
) -> list[tuple[object, bytes]]:
    """Keys and vectors of rows that were drawn at random."""
    if located.kind not in "rmp":
        raise AgentdbError(f"{located.name} is no table: rows cannot be drawn from it")
    key = doubled(identifier(located.collection.key))
    column, relation = doubled(located.embedding.quoted), doubled(located.quoted)
    percent = 100.0
    if located.rows:
        percent = min(100.0, 100.0 * (3 * count + 100) / located.rows)
    for share in (percent, 100.0):
        rows = connection.execute(
            f"SELECT {key}, ctid::text, tableoid::bigint FROM {relation}"  # noqa: S608
            f" TABLESAMPLE BERNOULLI (%s) REPEATABLE (%s) WHERE {column} IS NOT NULL".encode(),
            (share, seed),
        ).fetchall()
        if len(rows) >= count:
            break
    chosen = random.Random(seed).sample(rows, min(count, len(rows)))  # noqa: S311
    schema = identifier("pg_catalog" if located.type == "bit" else located.extension.schema)
    send = "varbit_send" if located.embedding.type == "bit varying" else f"{located.type}_send"
    places = [str(row[1]) for row in chosen]
    # By place: a key need not be indexed. The pairs, as partitions have equal places.
    found = connection.execute(
        f"SELECT {key}, {schema}.{send}({column}) FROM {relation}"  # noqa: S608
        " WHERE ctid = ANY (%s::tid[]) AND (ctid::text, tableoid::bigint)"
        f" IN (SELECT * FROM unnest(%s::text[], %s::bigint[])) AND {column} IS NOT NULL".encode(),
        (places, places, [int(str(row[2])) for row in chosen]),
    ).fetchall()
    random.Random(seed).shuffle(found)  # noqa: S311
    return [(key, vector) for key, vector in found if isinstance(vector, bytes)]


def refuse_other(
    connection: Connection,
    index: Index,
    statement: nearest.Statement,
    vector: bytes | str,
    at: str,
) -> None:
    explain = f"EXPLAIN (FORMAT JSON, COSTS off) {statement.text}"
    (row,) = nearest.execute(
        connection, explain, statement.parameters, {"query": vector}
    ).fetchall()
    used = set(_index_names(row[0]))
    names = connection.execute(
        "SELECT c.relname::text FROM pg_catalog.pg_class AS c WHERE c.oid = %(oid)s OR c.oid IN"
        " (SELECT t.relid FROM pg_catalog.pg_partition_tree(%(oid)s) AS t)",
        {"oid": index.oid},
    ).fetchall()
    if not used & {str(name) for (name,) in names}:
        instead = f"{', '.join(sorted(used))} instead" if used else "no index"
        raise NotUsed(
            f"at {at} the planner does not use {index.name} but {instead}",
            hint="drop the one that is not wanted: agentdb vectors index drop NAME"
            if used
            else "of so few rows it is faster to read all; agentdb vectors status shows them",
        )


def _index_names(plan: object) -> Iterator[str]:
    """The indexes in a plan, as EXPLAIN writes it in JSON."""
    if isinstance(plan, list):
        for each in plan:
            yield from _index_names(each)
    elif isinstance(plan, dict):
        if "Index Name" in plan:
            yield str(plan["Index Name"])
        yield from _index_names(list(plan.values()))
