"""Finding PostgreSQL's client programs in a release that fits the server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from agentdb_cli.errors import AgentdbError, ServerError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.embedded import binaries
from agentdb_cli.settings.urls import is_secret

_SYSTEM = Path("/usr")
_PACKAGED = ("lib/postgresql/*/bin", "pgsql-*/bin")
"""Where Debian's and the PGDG's packages put each major version."""

_OF_THE_SESSION = {
    "application_name",
    "client_encoding",  # a dump is in the database's own
    "connect_timeout",
    "fallback_application_name",
    "hostaddr",
    "load_balance_hosts",
    "replication",
    "service",  # its content is among the parameters
    "servicefile",
    "target_session_attrs",
}
"""Keywords of our session that say nothing about how to reach the server."""

_IMPLIED = {("sslcertmode", "allow")}
"""Defaults that psycopg tells as if they had been set; programs before 16 refuse it."""

_CONNECT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one installation.

    Attributes:
        directory: the one that holds them all.
        major: the major version, such as 18.
        version: the whole version, such as `18.4`.
    """

    directory: Path
    major: int
    version: str

    def path(self, name: str) -> str:
        """The path of `pg_dump`, `pg_restore` …"""
        return str(self.directory / name)


def find(minimum_major: int, names: Sequence[str], *, tls: bool = False) -> Programs:
    """The installation to use: of the wanted major version, else of the next newer one.

    Looked for in the embedded wheel, in PATH and where packages install.

    Args:
        minimum_major: the major version of the server, or of the program that wrote a file.
        names: the programs that it must have, such as `pg_dump`.
        tls: whether they must be able to connect with TLS; the embedded wheel's are not.

    Raises:
        AgentdbError: none has all of them and is new enough; says what was found where.
    """
    found: list[Programs] = []
    lacking: list[str] = []
    for directory in _directories():
        missing = [name for name in names if not os.access(directory / name, os.X_OK)]
        if len(missing) == len(names):
            continue
        if missing:
            lacking.append(f"{directory} lacks {', '.join(missing)}")
            continue
        version = _version(directory / names[0])
        if version is None:
            lacking.append(f"{directory / names[0]} does not run")
        elif tls and not has_tls(directory):
            lacking.append(f"{version} in {directory} without TLS")
        else:
            found.append(Programs(directory, int(version.split(".")[0]), version))
    fitting = [programs for programs in found if programs.major >= minimum_major]
    if fitting:
        return min(fitting, key=lambda programs: programs.major)
    seen = [f"{programs.version} in {programs.directory}" for programs in found] + lacking
    able = " that can do TLS, as this connection does" if tls else ""
    raise AgentdbError(
        f"there is no {names[0]} of PostgreSQL {minimum_major} or newer here{able}; found: "
        + ("; ".join(seen) or "none"),
        hint=f"install PostgreSQL {minimum_major}'s client programs "
        f"(postgresql-client-{minimum_major}), or put them into PATH",
    )


def conninfo(connection: Connection) -> str:
    """What leads a program to the very server that a connection is on, for its argument list.

    It holds no secret; `environment` has the password.

    Raises:
        AgentdbError: a secret other than the password was needed, which no program takes
            but in its argument list.
    """
    info = connection.info
    used = info.get_parameters()
    secrets = sorted(name for name, value in used.items() if value and is_secret(name))
    if secrets:
        raise AgentdbError(
            f"the connection uses {', '.join(secrets)}, which PostgreSQL's programs would show "
            "in their argument list",
            hint="use a key without a passphrase, or another way to log in",
        )
    kept = {
        name: value
        for name, value in used.items()
        if value and name not in _OF_THE_SESSION and (name, value) not in _IMPLIED
    }
    # Of several hosts the one that answered, because a snapshot is valid there alone.
    place = {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    if info.hostaddr and not info.host.startswith(("/", "@")):
        place["hostaddr"] = info.hostaddr
    return make_conninfo(**{**kept, **place, "connect_timeout": str(_CONNECT_SECONDS)})


def environment(connection: Connection) -> dict[str, str]:
    """The environment for a program that gets `conninfo`, with the password.

    Variables of libpq's are left out: what they said is in the conninfo. Messages are in
    English, for they are read.
    """
    libpq = {option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in libpq | {"PGCLIENTENCODING", "LANGUAGE", "LC_ALL"}
    }
    password = connection.info.password
    return {**kept, "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}


def _directories() -> Iterator[Path]:
    """All places to look in, each once."""
    seen = set()
    for directory in _candidates():
        with suppress(OSError):  # what cannot be entered has no program for us
            if directory.is_dir() and (real := directory.resolve()) not in seen:
                seen.add(real)
                yield directory


def _candidates() -> Iterator[Path]:
    with suppress(ServerError):
        yield Path(binaries.embedded().program("pg_dump")).parent
    for name in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if Path(name).is_absolute():
            yield Path(name)
    for pattern in _PACKAGED:
        yield from sorted(_SYSTEM.glob(pattern))


def uses_tls(connection: Connection) -> bool:
    """Whether a connection is encrypted; then those of the programs are to be so, too."""
    return bool(connection.pgconn.ssl_in_use)


@cache
def has_tls(directory: Path) -> bool:
    """Whether an installation was built with TLS: a pg_dump that was not refuses to demand it."""
    try:
        done = subprocess.run(
            [directory / "pg_dump", "--dbname=host=/nonexistent sslmode=require"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "SSL support is not compiled in" not in done.stderr


@cache
def _version(program: Path) -> str | None:
    """What `--version` says: `18.4`, `19beta1` as `19`; None if it does not run."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", done.stdout)
    return match[1] if match and done.returncode == 0 else None
