"""What belongs to a database as a whole: its locale, owner, settings, privileges and comment.

pg_restore gives these back only to a database that it creates itself, under its old name. So
the statements that pg_dump wrote for them are taken out of the archive and run with the new one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from agentdb_cli.backups import contents, ownership
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import identifier

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_STATEMENT = re.compile(
    r"^(?:CREATE|ALTER|COMMENT|GRANT|REVOKE)\b"
    r"""(?:[^;'"]|'(?:[^']|'')*'|"(?:[^"]|"")*")*;$""",
    re.MULTILINE,
)
_DATABASE = re.compile(rf"""^((?:"(?:[^"]|"")*"|[^"'])*?\bDATABASE ){_NAME}""")
_CREATE = re.compile(rf"^CREATE DATABASE {_NAME} WITH (.*);$", re.DOTALL)
_TABLESPACE = re.compile(rf" TABLESPACE = ({_NAME})$")
_OWNER = re.compile(rf"^ALTER DATABASE {_NAME} OWNER TO ({_NAME});$")
_COMMENT = re.compile(rf"^COMMENT ON DATABASE {_NAME} IS '(.*)';$", re.DOTALL)
_OF_A_ROLE = re.compile(rf"(?<=^ALTER ROLE ){_NAME}(?= IN DATABASE )")


@dataclass(frozen=True, slots=True)
class Properties:
    """What an archive says about its database.

    Attributes:
        locale: encoding and locale as CREATE DATABASE takes them; None if it does not say.
        tablespace: the one of the database, if not the usual one.
        owner: the role that it belonged to, or None.
        comment: None if it had none.
        settings: statements with the connection limit, and what was set for the database.
        privileges: statements that grant and revoke.
    """

    locale: str | None = None
    tablespace: str | None = None
    owner: str | None = None
    comment: str | None = None
    settings: tuple[str, ...] = ()
    privileges: tuple[str, ...] = ()

    @property
    def roles(self) -> frozenset[str]:
        """The roles that are named."""
        found = {name for text in self.privileges for name in ownership.in_grant(text)}
        found |= {
            ownership.plain(m[0]) for text in self.settings for m in _OF_A_ROLE.finditer(text)
        }
        return frozenset(found | ({self.owner} if self.owner else set()))


def read(pg_restore: str, data: Path) -> Properties:
    """The properties of the database that an archive was made of.

    Raises:
        AgentdbError: pg_restore cannot read it.
    """
    entries = [
        entry
        for entry in contents.read(pg_restore, data, "--create")
        if entry.kind in ("DATABASE", "DATABASE PROPERTIES")
        or (entry.kind in ("ACL", "COMMENT") and entry.label.startswith("- DATABASE "))
    ]
    with contents.listed(entries) as listing:
        script = contents.run(
            pg_restore, "--create", "--schema-only", "--use-list", listing, "--file=-", str(data)
        )
    return of(script)


def of(script: str) -> Properties:
    """The properties in the SQL of an archive's entries about its database."""
    found = [match[0] for match in _STATEMENT.finditer(script)]
    locale = next((m[1] for text in found if (m := _CREATE.match(text))), None)
    tablespace = _TABLESPACE.search(locale or "")
    owner = next((m[1] for text in found if (m := _OWNER.match(text))), None)
    comment = next((m[1] for text in found if (m := _COMMENT.match(text))), None)
    return Properties(
        locale=_TABLESPACE.sub("", locale).removeprefix("TEMPLATE = template0 ")
        if locale is not None
        else None,
        tablespace=ownership.plain(tablespace[1]) if tablespace else None,
        owner=ownership.plain(owner) if owner is not None else None,
        comment=None if comment is None else comment.replace("''", "'"),
        settings=tuple(
            text for text in found if text.startswith("ALTER ") and not _OWNER.match(text)
        ),
        privileges=tuple(text for text in found if text.startswith(("GRANT ", "REVOKE "))),
    )


def apply(
    connection: Connection,
    properties: Properties,
    roles: Mapping[str, str],
    *,
    owner: bool,
    privileges: bool,
) -> tuple[str, ...]:
    """Give a restored database the settings, privileges and the owner that its source had.

    Args:
        roles: the new name of each old one; others keep theirs.
        owner, privileges: whether these are wanted.

    Returns:
        What the server did not let us do: each statement with the reason.
    """
    statements = [
        *(ownership.renamed(_OF_A_ROLE, text, roles) for text in properties.settings),
        *(ownership.granted_to(text, roles) for text in properties.privileges if privileges),
    ]
    if owner and properties.owner is not None:
        name = identifier(roles.get(properties.owner, properties.owner))
        statements.append(f"ALTER DATABASE name OWNER TO {name};")  # last: then it is not ours
    refused = []
    for statement in statements:
        text = on(statement, connection.info.dbname)
        try:
            connection.execute(text.encode())
        except psycopg.Error as error:
            if connection.closed:
                raise
            refused.append(f"{text} ({error.diag.message_primary or error})")
    return tuple(refused)


def on(statement: str, database: str) -> str:
    """A statement about another database than it was written for."""
    return _DATABASE.sub(lambda match: match[1] + identifier(database), statement, count=1)
