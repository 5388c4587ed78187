"""Roles in an archive: which ones it needs, and giving what is theirs to other roles.

pg_restore knows only "as it was" and "all mine". With a mapping it is told to leave out owners,
privileges and policies, and the statements that pg_dump wrote for them run afterwards with the
other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from agentdb_cli.backups.contents import Entry
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier

_ROLE = r'("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_ENTRY = re.compile(r"^--\n-- (?:Data for )?Name: .*?; Type: ([A-Z ]+); Schema: .*\n--$", re.M)
_OWNER = re.compile(rf"^ALTER .* OWNER TO {_ROLE};$")
# The words before a role in a statement of an ACL entry (dumputils.c).
_GRANTED = re.compile(
    rf"(?<=FOR ROLE ){_ROLE}|(?<=SESSION AUTHORIZATION ){_ROLE}"
    rf"|(?<=\bTO ){_ROLE}(?=;$| WITH GRANT)|(?<=\bFROM ){_ROLE}(?=;$)"
)
_POLICY = re.compile(
    rf"^CREATE POLICY .*? TO ({_ROLE}(?:, {_ROLE})*)(?: USING| WITH CHECK|;)", re.M
)
_NOT_ROLES = frozenset({"PUBLIC", "public", "DEFAULT", "default"})


def owners(script: str) -> Iterator[str]:
    """The statements that give objects to their owners, in the order of an archive's SQL."""
    for _, text in _entries(script):
        lines = text.strip().splitlines()
        # The last statement of its entry: the body of a function may hold such a line too.
        for line in reversed(lines):
            if not _OWNER.match(line):
                break
            yield line


def privileges(script: str) -> Iterator[str]:
    """The statements that grant and revoke."""
    for kind, text in _entries(script):
        if kind in ("ACL", "DEFAULT ACL"):
            yield from (line for line in text.strip().splitlines() if line and line[0] != "\\")


def policies(script: str) -> Iterator[str]:
    """The statements that make policies of row-level security, and comment on them."""
    for kind, text in _entries(script):
        statement = text.strip()
        if kind == "POLICY" or statement.startswith("COMMENT ON POLICY"):
            yield statement


def without_policies(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries of an archive, without policies and comments on them."""
    gone = {entry.number for entry in entries if entry.kind == "POLICY"}
    return tuple(e for e in entries if e.number not in gone and not gone.intersection(e.needs))


def roles(script: str, *, owned: bool = True, granted: bool = True) -> frozenset[str]:
    """The names of the roles that an archive's SQL needs."""
    found: set[str] = set()
    if owned:
        found |= {match[1] for line in owners(script) if (match := _OWNER.match(line))}
    if granted:
        found |= {match[0] for line in privileges(script) for match in _GRANTED.finditer(line)}
    for text in policies(script):
        for match in _POLICY.finditer(text):
            found |= {name[0] for name in re.finditer(_ROLE, match[1])}
    return frozenset(plain(name) for name in found if name not in _NOT_ROLES)


def apply(connection: Connection, script: str, mapping: Mapping[str, str]) -> None:
    """Run the statements that name roles, with these renamed.

    Args:
        mapping: the new name of each old one; others keep theirs.

    Raises:
        psycopg.Error: a role may not be given that; nothing is changed then.
    """

    def to_others(match: re.Match[str]) -> str:
        before, after = match.start(1) - match.start(), match.end(1) - match.start()
        return match[0][:before] + renamed(_ROLE, match[1], mapping) + match[0][after:]

    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")  # the other names are whole
        for text in policies(script):
            connection.execute(_POLICY.sub(to_others, text).encode())
        for line in owners(script):
            connection.execute(renamed(rf"(?<=OWNER TO ){_ROLE}", line, mapping).encode())
        for line in privileges(script):
            connection.execute(granted_to(line, mapping).encode())


def granted_to(statement: str, mapping: Mapping[str, str]) -> str:
    """A statement that grants or revokes, with its roles under their new names."""
    return renamed(_GRANTED, statement, mapping)


def in_grant(statement: str) -> Iterator[str]:
    """The names of the roles that a statement grants to or revokes from."""
    return (plain(m[0]) for m in _GRANTED.finditer(statement) if m[0] not in _NOT_ROLES)


def renamed(pattern: str | re.Pattern[str], statement: str, mapping: Mapping[str, str]) -> str:
    """A statement with the roles that a pattern matches under their new names."""

    def other(match: re.Match[str]) -> str:
        name = plain(match[0])
        return identifier(mapping[name]) if name in mapping else match[0]

    return re.sub(pattern, other, statement)


def missing(connection: Connection, needed: frozenset[str]) -> tuple[str, ...]:
    """Which of these roles the server does not have."""
    rows = connection.execute("SELECT rolname::text FROM pg_catalog.pg_roles").fetchall()
    return tuple(sorted(needed - {str(name) for (name,) in rows}))


def _entries(script: str) -> Iterator[tuple[str, str]]:
    """The kind and the SQL of each entry."""
    marks = list(_ENTRY.finditer(script))
    ends = [*(mark.start() for mark in marks[1:]), len(script)]
    for mark, end in zip(marks, ends, strict=False):  # an empty database has no mark
        yield (
            mark[1],
            script[mark.end() : end].split("\n--\n-- PostgreSQL database dump complete")[0],
        )


def plain(name: str) -> str:
    """A name as it is, of one that is quoted as SQL or needs no quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
