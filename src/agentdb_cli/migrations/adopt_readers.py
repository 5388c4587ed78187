"""Reading what other migration tools have recorded as applied.

The layouts come from the tools' sources: dbmate's and golang-migrate's PostgreSQL
drivers, goose's dialect, sqlx-postgres' migrate.rs, Flyway's table of history,
Rails' schema_migrations, yoyo's internal migrations, pycopg's Migrator and
Alembic's version table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, cast

import psycopg

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.adopt_model import History, Recorded, TheirTable, Tool
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier


def _rows(connection: Connection, table: TheirTable, columns: str, rest: str = "") -> list[Any]:
    wanted = f"SELECT {columns} FROM {table.quoted} {rest}"  # noqa: S608  (quoted)
    return connection.execute(wanted.encode()).fetchall()


def _number(table: TheirTable, key: object) -> int:
    text = str(key)
    if not (text.isascii() and text.isdecimal()):
        raise MigrationError(
            f"{table.name} has the version '{text}', which is not a whole number",
            hint="agentdb numbers migrations by whole numbers: "
            "agentdb migrate baseline N records the files up to number N",
        )
    return int(text)


def _numbers(tool: Tool) -> Callable[[Connection, TheirTable], History]:
    """For tools that keep the version of each migration, and nothing else."""

    def read(connection: Connection, table: TheirTable) -> History:
        versions = _rows(connection, table, "version", "ORDER BY version")
        recorded = (Recorded(str(key), _number(table, key)) for (key,) in versions)
        return History(tool, table.name, tuple(recorded))

    return read


def _golang_migrate(connection: Connection, table: TheirTable) -> History:
    rows = _rows(connection, table, "version, dirty")
    if not rows:
        return History(Tool.golang_migrate, table.name)
    version, dirty = rows[0]
    if dirty:
        raise MigrationError(
            f"golang-migrate left version {version} dirty: it failed half-way ({table.name})",
            hint="complete it or undo it by hand, tell golang-migrate so (its command force), "
            "then adopt again",
        )
    return History(Tool.golang_migrate, table.name, (Recorded(str(version), version),), version)


def _goose(connection: Connection, table: TheirTable) -> History:
    # A migration that was undone has a second row in older releases, and none in newer ones.
    rows = _rows(
        connection, table, "DISTINCT ON (version_id) version_id, is_applied",
        "ORDER BY version_id, id DESC",
    )  # fmt: skip
    recorded = (Recorded(str(v), v) for v, applied in rows if applied and v > 0)
    return History(Tool.goose, table.name, tuple(recorded))


def _sqlx(connection: Connection, table: TheirTable) -> History:
    rows = _rows(connection, table, "version, success, checksum", "ORDER BY version")
    failed = next((version for version, success, _ in rows if not success), None)
    if failed is not None:
        raise MigrationError(
            f"sqlx records that version {failed} failed half-way ({table.name})",
            hint="complete it or undo it by hand; then set success in its row, or delete the row, "
            "and adopt again",
        )
    recorded = (Recorded(str(v), v, checksum=bytes(checksum)) for v, _, checksum in rows)
    return History(Tool.sqlx, table.name, tuple(recorded))


def _flyway(connection: Connection, table: TheirTable) -> History:
    rows = _rows(
        connection, table, "version, type, script, checksum, success", "ORDER BY installed_rank"
    )
    failed = next((script for _, _, script, _, success in rows if not success), None)
    if failed is not None:
        raise MigrationError(
            f"Flyway records that {failed} failed ({table.name})",
            hint="complete it or undo it by hand, then run Flyway's command repair, "
            "and adopt again",
        )
    applied: dict[str, Recorded] = {}
    up_to: int | None = None
    remarks: list[str] = []
    for version, kind, script, checksum, _ in rows:
        if version is None:
            if kind != "SCHEMA":
                remarks.append(f"{script} of Flyway has no number, and is left aside")
        elif "UNDO" in kind or kind == "DELETE":
            applied.pop(version, None)
        elif kind == "BASELINE":
            up_to = _number(table, version)
        elif kind in ("SQL", "SQL_BASELINE"):
            applied[version] = Recorded(script, _number(table, version), checksum=checksum)
        elif kind != "SCHEMA":
            raise MigrationError(
                f"Flyway has applied {script}, which is no SQL ({kind}, {table.name})",
                hint="agentdb migrate baseline N records the files up to number N as applied",
            )
    recorded = tuple(applied.values())
    return History(Tool.flyway, table.name, recorded, up_to, remarks=tuple(remarks))


def _pycopg(connection: Connection, table: TheirTable) -> History:
    rows = _rows(connection, table, "version, name", "ORDER BY version")
    recorded = (Recorded(f"{version:03d}_{name}", version) for version, name in rows)
    return History(Tool.pycopg, table.name, tuple(recorded))


def _yoyo(connection: Connection, table: TheirTable) -> History:
    rows = _rows(connection, table, "migration_hash, migration_id", "ORDER BY migration_id")
    # Its hash is one of the name, not of the file: it proves the row alone.
    wrong = [key for digest, key in rows if hashlib.sha256(key.encode()).hexdigest() != digest]
    if wrong:
        raise MigrationError(
            f"{table.name} has a wrong hash for {wrong[0]}",
            hint="its rows were changed by hand; put migration_hash right: SHA-256 of migration_id",
        )
    holder = _yoyo_lock(connection, table)
    if holder is not None:
        raise MigrationError(
            f"yoyo is running, or was killed: pid {holder} holds "
            f"its lock ({table.schema}.yoyo_lock)",
            hint="wait for it; if it is gone, run yoyo break-lock, and adopt again",
        )
    return History(Tool.yoyo, table.name, tuple(Recorded(key, stem=key) for _, key in rows))


def _yoyo_lock(connection: Connection, table: TheirTable) -> int | None:
    lock = f"{identifier(table.schema)}.yoyo_lock"
    try:
        row = connection.execute(f"SELECT pid FROM {lock}".encode()).fetchone()  # noqa: S608
    except psycopg.errors.UndefinedTable:
        return None
    return None if row is None else int(cast(int, row[0]))


def _alembic(connection: Connection, table: TheirTable) -> History:
    rows = _rows(connection, table, "version_num", "ORDER BY version_num")
    return History(Tool.alembic, table.name, revisions=tuple(str(name) for (name,) in rows))


READERS: dict[Tool, Callable[[Connection, TheirTable], History]] = {
    Tool.alembic: _alembic,
    Tool.dbmate: _numbers(Tool.dbmate),
    Tool.flyway: _flyway,
    Tool.golang_migrate: _golang_migrate,
    Tool.goose: _goose,
    Tool.pycopg: _pycopg,
    Tool.rails: _numbers(Tool.rails),
    Tool.sqlx: _sqlx,
    Tool.yoyo: _yoyo,
}
