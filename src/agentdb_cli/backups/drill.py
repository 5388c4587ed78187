"""A drill: restore a backup for real, look at everything, and throw the database away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql

from agentdb_cli.backups import compare, contents, ownership, preflight
from agentdb_cli.backups.manifest import DATA, Manifest, Table
from agentdb_cli.backups.restore import Options, Step, restore
from agentdb_cli.packs import Collection
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.programs import Programs

NEIGHBOURS = 10
"""How many rows a search asks for: what an agent typically puts into a prompt."""

# pgvector's operators by the distance of a collection (its documentation, "Querying").
_OPERATORS = {
    "cosine": "<=>",
    "l2": "<->",
    "inner_product": "<#>",
    "l1": "<+>",
    "hamming": "<~>",
    "jaccard": "<%>",
}
_MOST_PROBES = "32768"  # pgvector's most: then IVFFlat, too, finds as many rows as there are


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill found.

    Attributes:
        rows: restored and counted.
        searches: vector searches that were made.
        problems: what differs from the manifest; nothing else makes a drill a success.
        skipped: what was left out, and why.
    """

    tables: int
    rows: int
    searches: int
    problems: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float


def drill(
    connection: Connection,
    programs: Programs,
    directory: Path,
    manifest: Manifest,
    collections: Sequence[Collection],
    applied: Callable[[Connection], Mapping[str, int]],
    options: Options,
    step: Step,
    stop: Callable[[], str | None],
) -> Drill:
    """Restore a backup into an empty scratch database and compare it with its manifest.

    Args:
        connection: to the scratch database.
        collections: what can be searched, of all packs that may be in the backup.
        applied: reads the last migration by pack.

    Raises:
        AgentdbError: it could not be restored at all.
    """
    begun = time.monotonic()
    preflight.check_server(connection, manifest)
    data, pg_restore = directory / DATA, programs.path("pg_restore")
    entries = contents.read(pg_restore, data)
    script = contents.definitions(pg_restore, data, entries)
    skipped = []
    # Roles belong to the whole server: a drill makes none. Policies may name some.
    lacking = ownership.missing(connection, ownership.roles(script, owned=False, granted=False))
    if lacking:
        entries = tuple(entry for entry in entries if entry.kind != "POLICY")
        skipped.append(f"row security policies: no role {', '.join(lacking)} here")
    restore(connection, programs, data, entries, script, options, step, stop)
    expected = compare.Expected(manifest, entries, script, rows=options.content != "schema")
    problems = [
        str(each) for each in compare.differences(connection, expected, applied(connection), step)
    ]
    searches = 0
    if expected.rows and "vector" in manifest.extensions:
        for collection in collections:
            table = _table_of(manifest, collection)
            if table is not None:
                searches += 1
                step(f"search in {collection.name}", 0, 0)
                problem = search(connection, collection, table)
                problems += [problem] if problem is not None else []
    return Drill(
        len(manifest.tables),
        manifest.rows or 0,
        searches,
        tuple(problems),
        tuple(skipped),
        time.monotonic() - begun,
    )


def search(connection: Connection, collection: Collection, table: Table) -> str | None:
    """Search for the neighbours of one row's embedding.

    Returns:
        What is wrong: an error, or fewer rows than there must be; None if all is well.
    """
    name, relation = collection.name, sql.Identifier(table.schema, table.name)
    embedding = sql.Identifier(collection.embedding)
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL ivfflat.probes = {_MOST_PROBES}".encode())
            connection.execute("SET LOCAL enable_seqscan = off")
            row = connection.execute(
                sql.SQL("SELECT pg_catalog.count({e}), (SELECT {e}::text FROM {t}"
                        " WHERE {e} IS NOT NULL LIMIT 1) FROM {t}").format(e=embedding, t=relation)
            ).fetchone()  # fmt: skip
            if row is None or row[0] is None:
                return f"search in {name}: {table.schema}.{table.name} cannot be counted"
            count, vector = cast(tuple[int, str | None], row)
            if vector is None:
                return None
            found = connection.execute(
                sql.SQL("SELECT 1 FROM {} WHERE {e} IS NOT NULL ORDER BY {e} OPERATOR({}.{}) {}"
                        " LIMIT {}").format(
                    relation, sql.Identifier(_schema(connection)),
                    sql.SQL(_OPERATORS[collection.distance]), vector, NEIGHBOURS, e=embedding,
                )
            ).fetchall()  # fmt: skip
    except psycopg.Error as error:
        if connection.closed:
            raise
        return f"search in {name}: {error.diag.message_primary or error}"
    wanted = min(NEIGHBOURS, count)
    if len(found) < wanted:
        return f"search in {name}: {len(found)} rows instead of {wanted}"
    return None


def _schema(connection: Connection) -> str:
    """Where pgvector's operators are."""
    row = connection.execute(
        "SELECT n.nspname::text FROM pg_catalog.pg_extension AS e"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone()
    return str(row[0]) if row is not None else "public"


def _table_of(manifest: Manifest, collection: Collection) -> Table | None:
    """The collection's table in the backup: in its schema, or for one without in any."""
    schema, _, name = collection.table.rpartition(".")
    found = [t for t in manifest.tables if t.name == name and schema in ("", t.schema)]
    return found[0] if found else None
