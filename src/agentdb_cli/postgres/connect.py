"""Opening a connection, and saying clearly why it could not be opened.

`open_connection` is the only place where agentdb connects. Credentials go to
libpq in memory; they reach no message, log or argument list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from agentdb_cli.errors import (
    AgentdbError,
    ConnectionFailed,
    DatabaseMissing,
    SettingsError,
    nearest,
)
from agentdb_cli.settings import Connection as ConnectionSettings
from agentdb_cli.settings import Target

OLDEST_SERVER = 130_000
"""The oldest server_version_num that agentdb works with (PostgreSQL 13)."""

Connection = psycopg.Connection[tuple[object, ...]]
AskPassword = Callable[[str], str]


def parameters(target: Target) -> dict[str, str]:
    """The libpq keywords of a target that is not the embedded server.

    Raises:
        SettingsError: libpq cannot read the URL; the message holds no part of
            it that could be a password.
    """
    if target.url is None:
        return dict(target.parameters)
    try:
        parsed = conninfo_to_dict(target.url)
    except psycopg.ProgrammingError as error:
        raise _bad_url(target, str(error)) from None
    return {**{k: str(v) for k, v in parsed.items() if v is not None}, **target.parameters}


def describe(keywords: Mapping[str, str]) -> str:
    """`postgresql://user@host:port/dbname` of what libpq would use, never a password."""
    defaults = {
        option.keyword.decode(): option.val.decode() if option.val else ""
        for option in Conninfo.get_defaults()
    }
    values = {**defaults, **{k: v for k, v in keywords.items() if v}}
    user, host, port = values["user"], values["host"] or values["hostaddr"], values["port"]
    dbname = values["dbname"] or user
    if service := values.get("service"):
        return f"service {service}"
    if host.startswith(("/", "@")) or not host:
        query = f"?host={host}" + (f"&port={port}" if port not in ("", "5432") else "")
        return f"postgresql://{user}@/{dbname}" + (query if host else "")
    return f"postgresql://{user}@{host}{f':{port}' if port else ''}/{dbname}"


def place(connection: Connection) -> str:
    """`postgresql://user@host:port/dbname` of an open connection."""
    info = connection.info
    keywords = {"user": info.user, "dbname": info.dbname, "host": info.host}
    return describe({**keywords, "port": str(info.port)})


def open_connection(
    keywords: Mapping[str, str],
    settings: ConnectionSettings,
    *,
    command: str,
    source: str,
    ask_password: AskPassword | None = None,
) -> Connection:
    """Connect, in autocommit mode, with agentdb's name and timeouts set.

    Args:
        keywords: libpq keywords, from `parameters` or the embedded server.
        settings: timeouts (milliseconds) and defaults from a `.env` file.
        command: what runs (`migrate status`), for application_name.
        source: what named the database, for error messages.
        ask_password: called with a prompt when the server wants a password
            and there is none; None when nobody can be asked.

    Raises:
        ConnectionFailed: refused, wrong password, TLS, timeout, too old …
        DatabaseMissing: the server has no such database.
        SettingsError: a keyword has a value that libpq does not know.
    """
    wanted = _with_defaults(keywords, settings, command)
    try:
        connection = _connect(wanted, settings)
    except psycopg.Error as error:
        if ask_password is None or "no password supplied" not in str(error):
            raise _failure(str(error), wanted, source) from None
        wanted["password"] = ask_password(f"Password for {describe(wanted)}: ")
        try:
            connection = _connect(wanted, settings)
        except psycopg.Error as second:
            raise _failure(str(second), wanted, source) from None
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        connection.close()
        raise ConnectionFailed(
            f"{describe(wanted)} is PostgreSQL {_readable(version)}, too old for agentdb",
            hint="agentdb works with PostgreSQL 13 to 18; upgrade the server",
        )
    return connection


def _with_defaults(
    keywords: Mapping[str, str], settings: ConnectionSettings, command: str
) -> dict[str, str]:
    return {
        **settings.libpq_defaults,
        "application_name": f"agentdb {command}",
        "connect_timeout": str(max(2, -(-settings.connect_timeout // 1000))),
        **keywords,
        "client_encoding": "UTF8",
    }


def _connect(keywords: Mapping[str, str], settings: ConnectionSettings) -> Connection:
    """One attempt, with the timeouts as session defaults in the start-up packet.

    There they cost no round trip and survive RESET ALL. PgBouncer refuses
    start-up options unless told otherwise; then they are left out, because a
    SET would stay behind in a server session that others share, and each
    transaction sets what it needs with SET LOCAL.
    """
    timeouts = (
        f"-c lock_timeout={settings.lock_timeout} "
        f"-c statement_timeout={settings.statement_timeout}"
    )
    options = f"{timeouts} {keywords.get('options', '')}".strip()
    try:
        return psycopg.connect(autocommit=True, **{**keywords, "options": options})  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" not in str(error):
            raise
        return psycopg.connect(autocommit=True, **keywords)  # type: ignore[arg-type]


# What libpq and the server say, what it means, and what to do about it. The
# first pattern that matches decides. {place} and the groups fill the hint.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r'database "(?P<name>.*?)" does not exist',
        "there is no database '{name}'",
        "create it (createdb {name}) or name another one",
    ),
    (
        r"no password supplied",
        "the server wants a password and none was given",
        "set PGPASSWORD, or add a line for this server to ~/.pgpass",
    ),
    (
        r'password authentication failed for user "(?P<user>.*?)"',
        "wrong password for user '{user}'",
        "check the password in the environment, in ~/.pgpass or in the URL "
        "(there, write @ as %40, / as %2F, : as %3A)",
    ),
    (
        r'role "(?P<user>.*?)" does not exist',
        "there is no role '{user}'",
        "name another user, or create the role as an administrator",
    ),
    (
        r'Peer authentication failed for user "(?P<user>.*?)"',
        "the server lets in '{user}' only from the system account of that name",
        "run as that account, or connect over TCP with a password: host=localhost",
    ),
    (
        r"no pg_hba.conf entry for (?P<what>[^\n]*)",
        "the server has no pg_hba.conf entry for {what}",
        "ask for one, or try sslmode=require if the entry demands encryption",
    ),
    (
        r"server does not support SSL",
        "the server does not offer TLS, and sslmode demands it",
        "set sslmode=prefer, or switch on ssl in postgresql.conf",
    ),
    (
        r"certificate verify failed|root certificate file|SSL error|"
        r"does not match host name|sslmode",
        "TLS could not be agreed: {detail}",
        "check sslmode and sslrootcert",
    ),
    (
        r"too many connections|remaining connection slots|too many clients",
        "the server has no connection slot left",
        "close idle sessions, or raise max_connections; a superuser has reserved slots",
    ),
    (
        r"the database system is (?P<state>starting up|shutting down|in recovery mode)",
        "the server is {state}",
        "try again in a moment",
    ),
    (
        r"could not translate host name|Name or service not known|"
        r"nodename nor servname|failed to resolve host|Temporary failure in name resolution",
        "the host name cannot be resolved",
        "check the spelling of the host and the DNS",
    ),
    (
        r"timeout expired|[Tt]imed out",
        "no answer within the connect timeout",
        "the server hangs, or a firewall drops the packets; "
        "connection.connect_timeout in agentdb.toml changes the limit",
    ),
    (
        r"Connection refused",
        "connection refused",
        "no server listens there: is it running, and are host and port right?",
    ),
    (
        r"No such file or directory",
        "there is no server socket",
        "no server listens there: is it running, and is the socket directory right?",
    ),
    (
        r"Permission denied",
        "the server's socket may not be opened by this system account",
        "run as the account that owns the server",
    ),
    (
        r"server closed the connection unexpectedly",
        "the server closed the connection",
        "is it PostgreSQL that listens there? Its log says why",
    ),
)


def _failure(text: str, keywords: Mapping[str, str], source: str) -> ConnectionFailed:
    """libpq's message as one of ours."""
    place = describe(keywords)
    detail = _detail(text, keywords)
    kind = ConnectionFailed
    for pattern, reason, hint in _REASONS:
        match = re.search(pattern, text)
        if match:
            groups = {"detail": detail, "place": place, **match.groupdict()}
            if "name" in groups:
                kind = DatabaseMissing
            return kind(
                f"cannot connect to {place} (from {source}): {reason.format(**groups)}",
                hint=hint.format(**groups),
            )
    return kind(f"cannot connect to {place} (from {source}): {detail}")


def _detail(text: str, keywords: Mapping[str, str]) -> str:
    """The last line of libpq's message, without its preamble and any password."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    detail = re.sub(r"^.*?failed: ", "", lines[-1] if lines else "unknown reason")
    password = keywords.get("password")
    detail = detail.replace(password, "***") if password else detail
    return re.sub(r"^(FATAL|ERROR):\s+", "", detail)


def _bad_url(target: Target, reason: str) -> SettingsError:
    unknown = re.search(r'invalid (?:URI query parameter|connection option):? "([^"]*)"', reason)
    if unknown:
        known = {option.keyword.decode() for option in Conninfo.get_defaults()}
        return SettingsError(
            f"{target.source} has an unknown parameter '{unknown[1]}'"
            + nearest(unknown[1], known),
            hint="parameters are libpq's: sslmode, connect_timeout, target_session_attrs, …",
        )
    # Any other message may quote a piece of the password, so it is not shown.
    return SettingsError(
        f"{target.source} cannot be read as a connection string: {target}",
        hint="percent-encode special characters in user and password (@ %40, / %2F, : %3A, % %25)",
    )


def _readable(version: int) -> str:
    major, minor = divmod(version, 10_000)
    return f"{major}.{minor}" if major >= 10 else f"{major}.{minor // 100}"


def database_error(error: psycopg.Error) -> AgentdbError:
    """A statement's failure as an error of ours: the server's words and its hint.

    For failures that no command expected; a command that knows better says so
    itself.
    """
    message = error.diag.message_primary or str(error).strip() or type(error).__name__
    state = f" ({error.sqlstate})" if error.sqlstate else ""
    detail = f"\n  detail: {error.diag.message_detail}" if error.diag.message_detail else ""
    return AgentdbError(f"the server says: {message}{state}{detail}", hint=error.diag.message_hint)
