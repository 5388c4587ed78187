"""Definitions in a live database, named and written so that two databases can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agentdb_cli.backups.manifest import Object
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query

_CAST = re.compile(
    r"::(?:character varying|double precision|bit varying|time(?:stamp)? with(?:out)? time zone"
    r'|(?:"(?:[^"]|"")+"|\w+)(?:\.(?:"(?:[^"]|"")+"|\w+))?)(?:\(\d+(?:,\d+)?\))?(?:\[\])*'
)


@dataclass(frozen=True, slots=True)
class Found:
    """One definition.

    Attributes:
        relation: OID of the table that it belongs to, or None.
        dumped: whether pg_dump takes it.
    """

    object: Object
    relation: int | None
    dumped: bool


def read(connection: Connection) -> tuple[Found, ...]:
    """All definitions of the database; one transaction, or part of the one in progress."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")
        rows: list[tuple[Any, ...]] = connection.execute(
            query("backups/objects").encode()
        ).fetchall()
    return tuple(Found(Object(*row[1:-1]), row[0], row[-1]) for row in rows)


def same(one: str, other: str) -> bool:
    """Whether two definitions mean the same.

    PostgreSQL puts the casts and parentheses of a condition elsewhere once it has read its own
    text, so that `varchar IN (…)` has two forms: neither of them counts.
    """
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    return re.sub(r"[\s()]", "", _CAST.sub("", text))
