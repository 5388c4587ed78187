"""Passwords: generated, kept in a .pgpass file, and sent to the server as a verifier alone."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.postgres.connect import Connection

_SOCKETS = ("/tmp", "/var/run/postgresql")  # noqa: S108
"""Directories that libpq is built with: for these it looks for `localhost` in .pgpass."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a .pgpass file."""

    host: str
    port: int
    database: str
    role: str
    password: str = field(default="", repr=False)

    @property
    def key(self) -> str:
        """The line up to the password, escaped as libpq wants it."""
        values = (self.host, str(self.port), self.database, self.role)
        return "".join(_escaped(value) + ":" for value in values)


def entry(connection: Connection, database: str, role: str, password: str = "") -> Entry:
    """The entry by which libpq finds the password of a role for a database of this server."""
    host = connection.info.host
    return Entry(
        "localhost" if not host or host in _SOCKETS else host,
        connection.info.port,
        database,
        role,
        password,
    )


def generate() -> str:
    """A password of 192 random bits, of characters that need no escape in URLs and .pgpass."""
    return secrets.token_urlsafe(24)


def checked(password: str, source: str) -> str:
    """Refuse what no .pgpass and no log-in could hold.

    Raises:
        SettingsError: it is empty or holds a line break.
    """
    if not password or any(character in password for character in "\0\r\n"):
        raise SettingsError(f"{source} is empty or holds a line break")
    return password


def verifier(connection: Connection, role: str, password: str) -> str:
    """The SCRAM-SHA-256 verifier, computed here whatever password_encryption the server has."""
    return connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()


def find(path: Path, wanted: Entry) -> str | None:
    """The password that a file has for an entry's key; None if it has none.

    Raises:
        AgentdbError: the file cannot be read.
    """
    for line in _lines(path):
        if line.startswith(wanted.key):
            return _unescaped(line.removeprefix(wanted.key))
    return None


def save(path: Path, entries: Sequence[Entry]) -> None:
    """Put entries into a file, before all others, and keep its other lines.

    The file is replaced at once and has mode 600: libpq ignores one that others can read, and
    takes the first line that fits.

    Raises:
        AgentdbError: it cannot be written.
    """
    keys = tuple(each.key for each in entries)
    kept = [line for line in _lines(path) if not line.startswith(keys)]
    ours = [each.key + _escaped(each.password) for each in entries]
    text = "".join(f"{line}\n" for line in (*ours, *kept))
    target = path.resolve()  # a link stays one
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        temporary = Path(name)  # mkstemp gives mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise AgentdbError(f"cannot write passwords to {path}: {error.strerror}") from None


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AgentdbError(f"cannot read passwords from {path}: {error.strerror}") from None
    return lines if lines[-1] else lines[:-1]  # the last one may lack its line break


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _unescaped(value: str) -> str:
    found, characters = "", iter(value)
    for character in characters:
        found += next(characters, "") if character == "\\" else character
    return found
