"""What other migration tools keep in a database: whose table it is, and what they record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from agentdb_cli.postgres.quoting import Qualified


class Tool(StrEnum):
    """A tool that keeps its history in the database, by the name that `--from` takes."""

    alembic = "alembic"
    dbmate = "dbmate"
    flyway = "flyway"
    golang_migrate = "golang-migrate"
    goose = "goose"
    pycopg = "pycopg"
    rails = "rails"
    sqlx = "sqlx"
    yoyo = "yoyo"


class Recorded(NamedTuple):
    """A migration that another tool has applied.

    Attributes:
        key: what the tool calls it.
        version: its number; -1 if the tool keeps the file's name instead.
        stem: that name, without suffix.
        checksum: SHA-384 of the file (sqlx), or CRC-32 of its lines (Flyway).
    """

    key: str
    version: int = -1
    stem: str | None = None
    checksum: bytes | int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What a tool has recorded.

    Attributes:
        table: where it keeps that.
        recorded: the migrations.
        up_to: the number up to which everything is applied, for tools that keep no more.
        revisions: what Alembic keeps, which names no file.
        remarks: what is left aside.
    """

    tool: Tool
    table: str
    recorded: tuple[Recorded, ...] = ()
    up_to: int | None = None
    revisions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TheirTable(Qualified):
    """A table of another tool.

    Attributes:
        columns: each with its type.
        with_rails: whether a table of Rails stands beside it: by its own columns
            schema_migrations may be dbmate's as well.
    """

    schema: str
    relation: str
    columns: tuple[str, ...]
    with_rails: bool

    def may_be_of(self, tool: Tool | str) -> bool:
        """Whether it can be read as a tool's."""
        return self.tool == tool or {self.tool, tool} == _ALIKE

    @property
    def tool(self) -> Tool | None:
        """Whose it is; None if no tool has such columns."""
        have = set(self.columns)
        names = {column.partition(" ")[0] for column in self.columns}
        match self.relation:
            case "schema_migrations" if have == {"version bigint", "dirty boolean"}:
                return Tool.golang_migrate
            case "schema_migrations" if names == {"version", "name", "applied_at"}:
                return Tool.pycopg
            case "schema_migrations" if names == {"version"} and " character" in self.columns[0]:
                return Tool.rails if self.with_rails else Tool.dbmate
        tool, wanted = BY_TABLE.get(self.relation, (None, set()))
        return tool if wanted <= names else None


_ALIKE = {Tool.dbmate, Tool.rails}

BY_TABLE: dict[str, tuple[Tool, set[str]]] = {
    "alembic_version": (Tool.alembic, {"version_num"}),
    "_sqlx_migrations": (Tool.sqlx, {"version", "success", "checksum"}),
    "flyway_schema_history": (Tool.flyway, {"installed_rank", "version", "type", "success"}),
    "schema_version": (Tool.flyway, {"installed_rank", "version", "type", "success"}),
    "goose_db_version": (Tool.goose, {"version_id", "is_applied"}),
    "_yoyo_migration": (Tool.yoyo, {"migration_hash", "migration_id"}),
}
