"""Opening a connection, and saying clearly why it could not be opened.

`open_connection` is the only place where agentdb connects. Credentials go to
libpq in memory; they reach no message, log or argument list.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from itertools import zip_longest

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from agentdb_cli.errors import AgentdbError, ConnectionFailed, SettingsError
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.settings import Connection as ConnectionSettings
from agentdb_cli.settings import Target

# What psycopg ignores while another error is on its way is nothing to say: without a handler
# Python would write it to stderr.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

OLDEST_SERVER = 130_000
"""The oldest server_version_num that agentdb works with (PostgreSQL 13)."""

Connection = psycopg.Connection[tuple[object, ...]]
AskPassword = Callable[[str], str]


def parameters(target: Target) -> dict[str, str]:
    """The libpq keywords of a target that is not the embedded server.

    Raises:
        SettingsError: libpq cannot read the URL, or a port is no number; the
            message holds no part of it that could be a password.
    """
    keywords = dict(target.parameters)
    if target.url is not None:
        try:
            parsed = conninfo_to_dict(target.url)
        except (psycopg.ProgrammingError, UnicodeError) as error:
            from agentdb_cli.postgres.refusals import unreadable

            raise unreadable(target, str(error), _defaults()) from None
        keywords = {**{k: str(v) for k, v in parsed.items() if v is not None}, **keywords}
    for port in keywords.get("port", "").split(","):
        if port and not (port.isdecimal() and 1 <= int(port) <= 65535):
            raise SettingsError(
                f"{target.source} has the port '{port}'", hint="a port is a number from 1 to 65535"
            )
    return keywords


def describe(keywords: Mapping[str, str]) -> str:
    """`postgresql://user@host:port/dbname` of what libpq would use, never a password."""
    values = {**_defaults(), **{k: v for k, v in keywords.items() if v}}
    user, host, port = values["user"], values["host"] or values["hostaddr"], values["port"]
    dbname = values["dbname"] or user
    if values["service"] and not keywords.get("host"):
        return f"service {values['service']}"
    if host.startswith(("/", "@")) or not host:
        query = f"?host={host}" + (f"&port={port}" if port not in ("", "5432") else "")
        return f"postgresql://{user}@/{dbname}" + (query if host else "")
    return f"postgresql://{user}@{_hosts(host, port)}/{dbname}"


def _hosts(host: str, port: str) -> str:
    """`host:port`, or several of them between commas."""
    hosts, ports = host.split(","), port.split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    shown = [f"[{host}]" if ":" in host else host for host in hosts]
    return ",".join(
        f"{host}:{port}" if port else host for host, port in zip_longest(shown, ports, fillvalue="")
    )


def _defaults() -> dict[str, str]:
    """What libpq takes for each keyword that is not given: from PG* variables, or built in."""
    return {
        option.keyword.decode(): os.fsdecode(option.val or b"")
        for option in Conninfo.get_defaults()
    }


def place(connection: Connection) -> str:
    """`postgresql://user@host:port/dbname` of an open connection."""
    info = connection.info
    keywords = {"user": info.user, "dbname": info.dbname, "host": info.host}
    return describe({**keywords, "port": str(info.port)})


def search_path_option(schema: str) -> str:
    """A start-up option that puts a schema before public in the search path."""
    quoted = identifier(schema).replace("\\", "\\\\").replace(" ", "\\ ")
    return f"-c search_path={quoted},public"


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
    """
    wanted = _with_defaults(keywords, settings, command)
    try:
        connection = _connect(wanted, settings)
    except _FAILURES as error:
        if ask_password is None or "no password supplied" not in str(error):
            raise _refusal(error, wanted, source) from None
        wanted["password"] = ask_password(f"Password for {describe(wanted)}: ")
        try:
            connection = _connect(wanted, settings)
        except _FAILURES as second:
            raise _refusal(second, wanted, source) from None
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
    wanted = {
        "options": _defaults()["options"],  # PGOPTIONS, which ours would displace
        **settings.libpq_defaults,
        "application_name": f"agentdb {command}",
        "connect_timeout": _seconds(settings.connect_timeout),
        **keywords,
        "client_encoding": "UTF8",
    }
    if keywords.get("host") and "hostaddr" not in keywords:
        # To libpq, PGHOSTADDR has more weight than a host that was named: it
        # would lead to another server than the one that every message names.
        wanted["hostaddr"] = ""
    return wanted


def _seconds(milliseconds: int) -> str:
    """A connect timeout for libpq: whole seconds, at least 2; 0 for none."""
    return str(max(2, -(-milliseconds // 1000))) if milliseconds else "0"


def _connect(keywords: Mapping[str, str], settings: ConnectionSettings) -> Connection:
    """One attempt, with the timeouts as session defaults in the start-up packet.

    There they cost no round trip and survive RESET ALL. PgBouncer refuses
    start-up options unless told otherwise; then they are left out, because a
    SET would stay behind in a server session that others share, and each
    transaction sets what it needs with SET LOCAL.
    """
    # The last of two settings wins: options of the user's own may change the
    # statement timeout, but never how long agentdb waits for a lock.
    options = " ".join(
        (
            f"-c statement_timeout={settings.statement_timeout}",
            keywords.get("options", ""),
            f"-c lock_timeout={settings.lock_timeout}",
        )
    )
    try:
        return _open({**keywords, "options": options})
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" not in str(error):
            raise
        return _open(keywords)


def _open(keywords: Mapping[str, str]) -> Connection:
    # Never prepared on our side: behind a pooler the next transaction may be in another
    # server session, and a prepared plan outlives a changed planner setting.
    return psycopg.connect(autocommit=True, prepare_threshold=None, **keywords)  # type: ignore[arg-type]


def is_pooled(connection: Connection) -> bool:
    """Whether a pooler is in between: the server session is then another one than it was.

    What a session keeps (a SET, an advisory lock) is not to be relied upon there.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid


def another(connection: Connection, settings: ConnectionSettings, *, command: str) -> Connection:
    """A second connection to where the first one leads, as the same role.

    Args:
        settings: timeouts (milliseconds) of its session.
        command: for application_name.

    Raises:
        ConnectionFailed: the server lets no more in.
    """
    info = connection.info
    # Of several hosts, the one that was reached.
    keywords = {**info.get_parameters(), "host": info.host, "port": str(info.port)}
    if "hostaddr" in keywords:
        keywords["hostaddr"] = info.hostaddr
    if info.password:
        keywords["password"] = info.password
    return open_connection(keywords, settings, command=command, source="the first connection")


# UnicodeError: a host name that DNS cannot hold, or a value that is not UTF-8.
_FAILURES = (psycopg.Error, UnicodeError)


def _refusal(error: Exception, keywords: Mapping[str, str], source: str) -> ConnectionFailed:
    from agentdb_cli.postgres.refusals import refusal  # here, as most connections succeed

    return refusal(str(error), place=describe(keywords), source=source, keywords=keywords)


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
