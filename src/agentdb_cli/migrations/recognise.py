"""Which pack a live database is, by the columns that both have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from agentdb_cli import packs
from agentdb_cli.migrations import drift
from agentdb_cli.migrations.job import of_pack
from agentdb_cli.postgres.catalog import Catalog, Key, snapshot
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.settings import Settings

ENOUGH = 0.6
"""The share of a database's columns that a pack must explain to be recognised.

A database made by hand has the documented tables and a few of its own; two
different systems share a tenth of their columns at most (id, created_at).
"""

# Tables in which other tools keep their history; they belong to no schema.
_HISTORIES = frozenset(
    {"alembic_version", "_sqlx_migrations", "schema_migrations", "flyway_schema_history",
     "goose_db_version", "ar_internal_metadata", "_yoyo_log", "_yoyo_migration", "_yoyo_version",
     "yoyo_lock", "agentdb_migrations", "agentdb_migrations_unfinished"}
)  # fmt: skip

Scratch = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a pack explains a schema of the database.

    Attributes:
        schema: the schema that it was compared with; None for a pack with
            schemas of its own.
        explained: columns of the database that the pack has, too.
        columns: all columns of the database in those schemas.
    """

    pack: str
    schema: str | None
    explained: int
    columns: int

    @property
    def share(self) -> float:
        """The share of the database's columns that the pack explains, 0 to 1."""
        return self.explained / self.columns if self.columns else 0.0


def recognise(live: Connection, scratch: Scratch, settings: Settings) -> tuple[Fit, ...]:
    """All packs that explain enough of the database, the best one first.

    Args:
        live: the database in question; only read.
        scratch: makes an empty database, for each pack anew.
        settings: the variables for the packs' migrations.
    """
    settings = replace(settings, schema=None)
    fits: list[Fit] = []
    actual = {home: _columns(snapshot(live, home)) for home in _schemas(live)}
    for name in packs.names():
        job = of_pack(settings, name)
        with scratch() as connection:
            expected = _columns(drift.final_catalog(live, connection, job))
        if packs.load(name).movable:
            wanted = {column for schema, column in expected if schema == ""}
            for home, columns in actual.items():
                unqualified = {column for schema, column in columns if schema == ""}
                fits.append(Fit(name, home, len(unqualified & wanted), len(unqualified)))
        else:
            touched = {schema for schema, _ in expected}
            own = {column for column in actual["public"] if column[0] in touched}
            fits.append(Fit(name, None, len(own & expected), len(own)))
    good = [fit for fit in fits if fit.share >= ENOUGH]
    return tuple(sorted(good, key=lambda fit: (-fit.explained, -fit.share, fit.pack)))


def _schemas(connection: Connection) -> list[str]:
    """The schemas that hold tables, and public in any case, first."""
    rows = connection.execute(
        "SELECT DISTINCT schemaname::text FROM pg_tables"
        " WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema'"
    ).fetchall()
    return sorted({"public", *(str(row[0]) for row in rows)}, key=lambda name: name != "public")


def _columns(catalog: Catalog) -> set[tuple[str, str]]:
    """(schema, table.column) of every column, other tools' histories left out."""
    return {
        (key.schema, key.name) for key in catalog if key.kind == "column" and not _is_history(key)
    }


def _is_history(key: Key) -> bool:
    return key.name.split(".")[0] in _HISTORIES
