"""A drill: restore a backup for real, look at everything, and throw the database away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import psycopg
from psycopg import sql

from agentdb_cli.backups import compare, contents, ownership, partial, preflight, source
from agentdb_cli.backups.crew import Crew
from agentdb_cli.backups.following import Step
from agentdb_cli.backups.manifest import DATA, Manifest, Table
from agentdb_cli.backups.restore import Archive, Options, restore
from agentdb_cli.packs import Collection
from agentdb_cli.postgres import pgvector
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.programs import Programs

NEIGHBOURS = 10
"""How many rows a search asks for: what an agent typically puts into a prompt."""

_MOST_PROBES = "32768"  # pgvector's most: then IVFFlat, too, finds as many rows as there are


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked about a restored database.

    Attributes:
        applied: reads the last migration by pack.
        collections: tells what can be searched, of all that may be in the backup.
    """

    applied: Callable[[Connection], Mapping[str, int]]
    collections: Callable[[Connection], Sequence[Collection]]


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
    crew: Crew,
    programs: Programs,
    directory: Path,
    manifest: Manifest,
    facts: Facts,
    options: Options,
    step: Step,
) -> Drill:
    """Restore a backup into an empty scratch database and compare it with its manifest.

    Args:
        crew: sessions in the scratch database.

    Raises:
        AgentdbError: it could not be restored at all.
    """
    begun = time.monotonic()
    connection = crew.connection
    preflight.check_server(connection, manifest)
    preflight.check_extension_rights(connection, manifest, source.extensions(connection))
    data, pg_restore = directory / DATA, programs.path("pg_restore")
    entries = contents.read(pg_restore, data)
    script = contents.definitions(pg_restore, data, entries)
    skipped = []
    if manifest.selection and (strangers := partial.foreign_keys(entries, script)):
        entries = tuple(entry for entry in entries if entry not in strangers)
        manifest = partial.without(manifest, strangers)
        skipped.append(partial.left_out(strangers))
    # Roles belong to the whole server: a drill makes none. Policies may name some.
    lacking = ownership.missing(connection, ownership.roles(script, owned=False, granted=False))
    if lacking:
        entries = ownership.without_policies(entries)
        manifest = _without_policies(manifest)
        skipped.append(f"row security policies: no role {', '.join(lacking)} here")
    restore(crew, Archive(programs, data, entries, script, manifest), options, step)
    expected = compare.Expected(manifest, entries, script, rows=options.content != "schema")
    problems = [
        str(each) for each in compare.differences(crew, expected, facts.applied(connection), step)
    ]
    searches = 0
    if expected.rows and "vector" in manifest.extensions:
        for collection, table in _searchable(manifest, facts.collections(connection)):
            crew.check()
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


def _without_policies(manifest: Manifest) -> Manifest:
    if manifest.objects is None:
        return manifest
    kept = tuple(each for each in manifest.objects if each.kind != "policy")
    return replace(manifest, objects=kept)


def _searchable(
    manifest: Manifest, collections: Sequence[Collection]
) -> Iterator[tuple[Collection, Table]]:
    """The collections whose table is in the backup."""
    for collection in collections:
        table = _table_of(manifest, collection)
        if table is not None:
            yield collection, table


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
            extension = pgvector.extension(connection)
            if vector is None:
                return None
            if extension is None:
                return f"search in {name}: pgvector is not in this database"
            found = connection.execute(
                sql.SQL("SELECT 1 FROM {} WHERE {e} IS NOT NULL ORDER BY {e} {} {}"
                        " LIMIT {}").format(
                    relation, sql.SQL(extension.operator(collection.distance)), vector,
                    NEIGHBOURS, e=embedding,
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


def _table_of(manifest: Manifest, collection: Collection) -> Table | None:
    """The collection's table in the backup: in its schema, or for one without in any."""
    schema, _, name = collection.table.rpartition(".")
    found = [t for t in manifest.tables if t.name == name and schema in ("", t.schema)]
    return found[0] if found else None
