"""What PostgreSQL locks, and how strongly: one table, after its manual.

`source` is the page of the manual that says so (of PostgreSQL 18, in
https://www.postgresql.org/docs/18/), or `measured` where the manual is silent: seen
in pg_locks on 15 and 18. tests/integration/test_migrate_plan.py holds each entry
against real servers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Mode(IntEnum):
    """The modes of table locks, from weak to strong: page explicit-locking."""

    access_share = 1
    row_share = 2
    row_exclusive = 3
    share_update_exclusive = 4
    share = 5
    share_row_exclusive = 6
    exclusive = 7
    access_exclusive = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ").upper()

    @property
    def stops(self) -> str:
        """What other sessions cannot do meanwhile: page explicit-locking, table 13.2."""
        if self is Mode.access_exclusive:
            return "reading and writing"
        if self >= Mode.share:
            return "writing"
        return "other schema changes" if self is Mode.share_update_exclusive else ""

    @classmethod
    def of(cls, name: str) -> Mode:
        """From pg_locks' name: `AccessExclusiveLock`."""
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).split()
        return cls["_".join(words[:-1])]


class Work(StrEnum):
    """What is done with the rows while the lock is held."""

    none = ""
    rows = "writes rows"
    scan = "reads the whole table"
    build = "reads the whole table for an index"
    rewrite = "writes the whole table anew"
    empty = "empties it"
    drop = "drops it"

    @property
    def is_long(self) -> bool:
        """Whether it takes the longer, the more rows there are."""
        return self in (Work.scan, Work.build, Work.rewrite)


@dataclass(frozen=True, slots=True)
class Level:
    """How strongly something locks its relation, and what it does there."""

    mode: Mode
    work: Work
    source: str


_AS, _RS, _RE, _SUE = (
    Mode.access_share, Mode.row_share, Mode.row_exclusive, Mode.share_update_exclusive
)  # fmt: skip
_S, _SRE, _E, _AE = Mode.share, Mode.share_row_exclusive, Mode.exclusive, Mode.access_exclusive
_ALTER = "sql-altertable"

# The actions of ALTER TABLE, by the words with which `alter.phrase` describes them; the longest
# that fits counts.
ALTER_TABLE: dict[str, Level] = {
    "": Level(_AE, Work.none, _ALTER),  # "unless explicitly noted"
    "add column": Level(_AE, Work.none, _ALTER),
    "add column computed": Level(_AE, Work.rewrite, _ALTER),
    "add column checked": Level(_AE, Work.scan, _ALTER),
    "add column unique": Level(_AE, Work.build, _ALTER),
    "add foreign key": Level(_SRE, Work.scan, _ALTER),
    "add foreign key not valid": Level(_SRE, Work.none, _ALTER),
    "add check": Level(_AE, Work.scan, _ALTER),
    "add check not valid": Level(_AE, Work.none, _ALTER),
    "add unique": Level(_AE, Work.build, _ALTER),
    "add unique using index": Level(_AE, Work.none, _ALTER),
    "add primary key using index": Level(_AE, Work.scan, _ALTER),  # unless NOT NULL is known
    "alter column type": Level(_AE, Work.rewrite, _ALTER),
    "alter column type same bytes": Level(_AE, Work.none, _ALTER),
    "alter column set not null": Level(_AE, Work.scan, _ALTER),
    "alter column set expression": Level(_AE, Work.rewrite, _ALTER),
    "alter column set statistics": Level(_SUE, Work.none, _ALTER),
    "alter column set (": Level(_SUE, Work.none, _ALTER),
    "alter column reset (": Level(_SUE, Work.none, _ALTER),
    "validate constraint": Level(_SUE, Work.scan, _ALTER),
    "enable trigger": Level(_SRE, Work.none, _ALTER),
    "enable always trigger": Level(_SRE, Work.none, _ALTER),
    "enable replica trigger": Level(_SRE, Work.none, _ALTER),
    "disable trigger": Level(_SRE, Work.none, _ALTER),
    "cluster on": Level(_SUE, Work.none, _ALTER),
    "set without cluster": Level(_SUE, Work.none, _ALTER),
    "set (": Level(_SUE, Work.none, _ALTER),
    "set ( user_catalog_table": Level(_AE, Work.none, "measured"),
    "reset (": Level(_SUE, Work.none, _ALTER),
    "reset ( user_catalog_table": Level(_AE, Work.none, "measured"),
    "set logged": Level(_AE, Work.rewrite, _ALTER),
    "set unlogged": Level(_AE, Work.rewrite, _ALTER),
    "set tablespace": Level(_AE, Work.rewrite, _ALTER),
    "set access method": Level(_AE, Work.rewrite, _ALTER),
    "attach partition": Level(_SUE, Work.none, _ALTER),
    "detach partition": Level(_AE, Work.none, _ALTER),
    "detach partition concurrently": Level(_SUE, Work.none, _ALTER),
    "detach partition finalize": Level(_SUE, Work.none, _ALTER),
}

# What an action of ALTER TABLE locks besides its table.
OTHER_TABLE: dict[str, Level] = {
    "references": Level(_SRE, Work.none, _ALTER),
    "validated foreign key": Level(_RS, Work.none, _ALTER),
    "dropped foreign key": Level(_AE, Work.none, "measured"),
    "attach partition": Level(_AE, Work.scan, _ALTER),
    "detach partition": Level(_AE, Work.none, _ALTER),
    "inherit": Level(_SUE, Work.none, "measured"),
    "no inherit": Level(_AS, Work.none, "measured"),
}


class Where(StrEnum):
    """Where a statement names the relation that it locks."""

    object = "object"  # right after its words
    objects = "objects"  # a list of names after its words
    on = "on"  # after ON
    to = "to"  # after TO
    source = "from"  # after FROM
    column = "column"  # right after its words, with the column's name at the end
    nothing = "nothing"  # no relation that exists


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of statement: its first words, and what it locks."""

    words: tuple[str, ...]
    where: Where
    level: Level


def _entry(words: str, where: str, mode: Mode, work: Work, source: str) -> Entry:
    return Entry(tuple(words.split()), Where(where), Level(mode, work, source))


# The first that fits counts. CREATE TABLE, ALTER TABLE, REINDEX, VACUUM, LOCK and what reads or
# writes rows have words of their own that decide: see `claims`.
STATEMENTS: tuple[Entry, ...] = (
    _entry("drop index concurrently", "objects", _SUE, Work.drop, "sql-dropindex"),
    _entry("drop index", "objects", _AE, Work.drop, "sql-dropindex"),
    _entry("drop table", "objects", _AE, Work.drop, "explicit-locking"),
    _entry("drop foreign table", "objects", _AE, Work.drop, "measured"),
    _entry("drop view", "objects", _AE, Work.drop, "measured"),
    _entry("drop materialized view", "objects", _AE, Work.drop, "measured"),
    _entry("drop sequence", "objects", _AE, Work.drop, "measured"),
    _entry("drop trigger", "on", _AE, Work.none, "measured"),
    _entry("drop rule", "on", _AE, Work.none, "measured"),
    _entry("drop policy", "on", _AE, Work.none, "measured"),
    _entry("truncate table", "objects", _AE, Work.empty, "sql-truncate"),
    _entry("truncate", "objects", _AE, Work.empty, "sql-truncate"),
    _entry("create trigger", "on", _SRE, Work.none, "explicit-locking"),
    _entry("create constraint trigger", "on", _SRE, Work.none, "explicit-locking"),
    _entry("create rule", "to", _AE, Work.none, "measured"),
    _entry("create policy", "on", _AE, Work.none, "measured"),
    _entry("create statistics", "from", _SUE, Work.none, "explicit-locking"),
    _entry("alter trigger", "on", _AE, Work.none, "measured"),
    _entry("alter rule", "on", _AE, Work.none, "measured"),
    _entry("alter policy", "on", _AE, Work.none, "measured"),
    _entry("alter view", "object", _AE, Work.none, "measured"),
    _entry("refresh materialized view concurrently", "object", _E, Work.rows,
           "explicit-locking"),
    _entry("refresh materialized view", "object", _AE, Work.rewrite, "explicit-locking"),
    _entry("comment on table", "object", _SUE, Work.none, "explicit-locking"),
    _entry("comment on view", "object", _SUE, Work.none, "measured"),
    _entry("comment on materialized view", "object", _SUE, Work.none, "measured"),
    _entry("comment on foreign table", "object", _SUE, Work.none, "measured"),
    _entry("comment on sequence", "object", _SUE, Work.none, "measured"),
    _entry("comment on index", "object", _SUE, Work.none, "measured"),
    _entry("comment on column", "column", _SUE, Work.none, "explicit-locking"),
    _entry("comment on constraint", "on", _AS, Work.none, "measured"),
    _entry("comment on trigger", "on", _AS, Work.none, "measured"),
    _entry("comment on rule", "on", _AS, Work.none, "measured"),
    _entry("comment on policy", "on", _AS, Work.none, "measured"),
    _entry("comment on", "nothing", _AS, Work.none, "measured"),
    _entry("security label on table", "object", _SUE, Work.none, "measured"),
    _entry("security label on view", "object", _SUE, Work.none, "measured"),
    _entry("security label on column", "column", _SUE, Work.none, "measured"),
    _entry("grant", "on", _AS, Work.none, "measured"),  # 18; 15 takes none
    _entry("revoke", "on", _AS, Work.none, "measured"),
)  # fmt: skip

SEQUENCE = Level(_SRE, Work.none, "sql-altersequence")
SEQUENCE_OTHERWISE = Level(_AE, Work.none, "measured")  # RENAME, OWNER TO, SET SCHEMA
INDEX = Level(_S, Work.build, "sql-createindex")
INDEX_CONCURRENTLY = Level(_SUE, Work.build, "sql-createindex")
INDEX_ALTERED = Level(_SUE, Work.none, "sql-alterindex")
INDEX_MOVED = Level(_AE, Work.rewrite, "sql-alterindex")
INDEX_ATTACHED = Level(_AE, Work.none, "measured")
REINDEXED = Level(_AE, Work.rewrite, "sql-reindex")
REINDEXED_TABLE = Level(_S, Work.build, "sql-reindex")
PARTITIONED = Level(_AE, Work.none, "sql-createtable")
INHERITED = Level(_SUE, Work.none, "measured")
REFERENCED = Level(_SRE, Work.none, "sql-createtable")
PUBLISHED = Level(_SUE, Work.none, "measured")
REPLACED = Level(_AE, Work.none, "measured")
ATTRIBUTES = Level(_AE, Work.rewrite, "sql-altertype")
ANALYZED = Level(_SUE, Work.none, "explicit-locking")
VACUUMED = Level(_SUE, Work.scan, "explicit-locking")
REWRITTEN = Level(_AE, Work.rewrite, "explicit-locking")
READ = Level(_AS, Work.none, "explicit-locking")
READ_FOR_UPDATE = Level(_RS, Work.none, "explicit-locking")
WRITTEN = Level(_RE, Work.rows, "explicit-locking")
LOCKED = Level(_AE, Work.none, "sql-lock")  # without IN … MODE

_MADE = (
    "function", "procedure", "aggregate", "type", "domain", "sequence", "operator", "cast",
    "role", "user", "group", "database", "tablespace", "server", "foreign", "subscription",
    "collation", "conversion", "text", "access", "language", "transform",
    "extension", "event",
)  # fmt: skip
_ALTERED = (
    "function", "procedure", "routine", "aggregate", "role", "user", "group", "database",
    "system", "schema", "privileges", "operator", "collation", "conversion", "server", "language",
    "event", "text", "foreign", "subscription", "tablespace", "statistics", "type", "domain",
    "extension", "large",
)  # fmt: skip
_DROPPED = (
    "function", "procedure", "routine", "aggregate", "type", "domain", "role", "user", "group",
    "database", "tablespace", "server", "foreign", "subscription", "collation", "conversion",
    "text", "access", "language", "transform", "operator", "cast", "event", "publication",
    "schema", "extension",
)  # fmt: skip
_OTHERS = (
    "set", "reset", "show", "begin", "start", "savepoint", "release", "rollback", "prepare",
    "deallocate", "discard", "checkpoint", "listen", "notify", "unlisten", "declare", "fetch",
    "move", "close", "load", "import",
)  # fmt: skip
NOTHING = frozenset(
    {("create", word) for word in _MADE}
    | {("alter", word) for word in _ALTERED}
    | {("drop", word) for word in _DROPPED}
    | {(word,) for word in _OTHERS}
)
"""First words of statements that lock no table which exists (page explicit-locking names none)."""
