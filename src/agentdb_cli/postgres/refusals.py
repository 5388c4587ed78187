"""Why a connection could not be opened, in words that say what to do next.

libpq and the server answer in English prose; `REASONS` is the one place that
reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agentdb_cli.errors import (
    ConnectionFailed,
    DatabaseMissing,
    ServerDown,
    SettingsError,
    nearest,
)
from agentdb_cli.settings import Target
from agentdb_cli.settings.urls import MASK


class Reason(NamedTuple):
    """One kind of refusal.

    Attributes:
        pattern: what libpq or the server says.
        what: what it means; the pattern's groups, {detail} (libpq's own words),
            {timeout} and {source} are filled in.
        hint: what to do about it; filled in alike.
        error: the error to raise.
    """

    pattern: str
    what: str
    hint: str
    error: type[ConnectionFailed] = ConnectionFailed


# The first that matches decides: what the server says comes before what the
# network says, since one of several addresses may have answered.
REASONS = (
    Reason(
        r'database "(?P<name>.*?)" does not exist',
        "there is no database '{name}'",
        "create it (agentdb setup, or createdb {name}) or name another one",
        DatabaseMissing,
    ),
    Reason(
        r"no password supplied",
        "the server wants a password and none was given",
        "set PGPASSWORD, or add a line for this server to ~/.pgpass",
    ),
    Reason(
        r'password authentication failed for user "(?P<user>.*?)"',
        "wrong password for user '{user}'",
        "check the password in the environment, in ~/.pgpass or in the URL "
        "(there, write @ as %40, / as %2F, : as %3A)",
    ),
    Reason(
        r'role "(?P<user>.*?)" does not exist',
        "there is no role '{user}'",
        "name another user, or have an administrator create it: agentdb setup",
    ),
    Reason(
        r'role "(?P<user>.*?)" is not permitted to log in',
        "the role '{user}' may not log in",
        "name another user, or as an administrator: ALTER ROLE {user} LOGIN",
    ),
    Reason(
        r'permission denied for database "(?P<name>.*?)"',
        "this user may not connect to the database '{name}'",
        "name another user, or as its owner: GRANT CONNECT ON DATABASE {name} TO …",
    ),
    Reason(
        r'Peer authentication failed for user "(?P<user>.*?)"',
        "the server lets in '{user}' only from the system account of that name",
        "run as that account, or connect over TCP with a password: host=localhost",
    ),
    Reason(
        r"pg_hba.conf rejects connection for (?P<what>[^\n]*)",
        "the server's pg_hba.conf rejects {what}",
        "connect from another host or as another user, or have that line changed",
    ),
    Reason(
        r"no pg_hba.conf entry for (?P<what>[^\n]*)",
        "the server has no pg_hba.conf entry for {what}",
        "ask for one, or try sslmode=require if the entry demands encryption",
    ),
    Reason(
        r"server does not support SSL",
        "the server does not offer TLS, and sslmode demands it",
        "set sslmode=prefer, or switch on ssl in postgresql.conf",
    ),
    Reason(
        r"'utf-8' codec",
        "a value of the connection is not UTF-8",
        "correct it in {source}",
    ),
    Reason(
        r"invalid (integer value|port number|\S+ value)|bad value for|could not match \d+",
        "{detail}",
        "correct it in {source}",
    ),
    Reason(
        r"certificate verify failed|root certificate file|SSL error|does not match host name",
        "TLS could not be agreed: {detail}",
        "check sslmode and sslrootcert",
    ),
    Reason(
        r'too many connections for (?P<kind>role|database) "(?P<name>.*?)"',
        "the {kind} '{name}' has reached its connection limit",
        "close idle sessions of it, or raise the limit: alter {kind} {name} connection limit …",
    ),
    Reason(
        r"too many connections|connection slots|too many clients|no more connections allowed",
        "the server has no connection slot left",
        "close idle sessions, or raise max_connections; a superuser has reserved slots",
        ServerDown,
    ),
    Reason(
        r"unsupported startup parameter(?: in options)?: (?P<name>\w+)",
        "the pooler in between refuses the start-up parameter {name}",
        "leave out options and PGOPTIONS, or name it in PgBouncer's ignore_startup_parameters",
    ),
    Reason(
        r"the database system is (?P<state>[^\n]*)",
        "the server is {state}",
        "try again in a moment",
        ServerDown,
    ),
    Reason(
        r"received invalid response|expected authentication request|"
        r"server sent an error response during SSL exchange|unsupported frontend protocol",
        "what answers there is not PostgreSQL",
        "another program listens on that port: are host and port right?",
        ServerDown,
    ),
    Reason(
        r"could not translate host name|Name or service not known|'idna' codec|"
        r"nodename nor servname|failed to resolve host|Temporary failure in name resolution",
        "the host name cannot be resolved",
        "check the spelling of the host and the DNS",
        ServerDown,
    ),
    Reason(
        r"timeout expired|[Tt]imed out",
        "no answer within {timeout}",
        "the server hangs, or a firewall drops the packets; "
        "connection.connect_timeout in agentdb.toml changes the limit",
        ServerDown,
    ),
    Reason(
        r"Connection refused",
        "connection refused",
        "no server listens there: is it running, and are host and port right?",
        ServerDown,
    ),
    Reason(
        r"No route to host|Network is unreachable|Host is down",
        "the network has no way to that host",
        "check the network or VPN, and the host's address",
        ServerDown,
    ),
    Reason(
        r'socket "(?P<socket>.*?)" failed: No such file or directory',
        "there is no server socket {socket}",
        "no server listens there: is it running, and are socket directory and port right?",
        ServerDown,
    ),
    Reason(
        r"Permission denied",
        "the server's socket may not be opened by this system account",
        "run as the account that owns the server",
    ),
    Reason(
        r"server closed the connection unexpectedly|Connection reset by peer",
        "the server closed the connection",
        "is it PostgreSQL that listens there? Its log says why",
        ServerDown,
    ),
)


def refusal(text: str, *, place: str, source: str, keywords: Mapping[str, str]) -> ConnectionFailed:
    """libpq's message as an error of ours.

    Args:
        text: the message.
        place: the database that was meant, without a password.
        source: what named it.
        keywords: the libpq keywords of the attempt.
    """
    facts = {
        "detail": _detail(text, keywords.get("password")),
        "timeout": f"{keywords.get('connect_timeout', '?')} s",
        "source": source,
    }
    opening = f"cannot connect to {place} (from {source})"
    for reason in REASONS:
        if match := re.search(reason.pattern, text):
            groups = {**facts, **match.groupdict()}
            what, hint = reason.what.format(**groups), reason.hint.format(**groups)
            return reason.error(f"{opening}: {what}", hint=hint)
    return ConnectionFailed(f"{opening}: {facts['detail']}")


def unreadable(target: Target, reason: str, known: Iterable[str]) -> SettingsError:
    """The error for a URL that libpq cannot read.

    Only what `mask` lets through is quoted: all else in libpq's message may be
    a piece of the password.

    Args:
        target: what holds the URL.
        reason: libpq's message.
        known: the keywords that libpq knows.
    """
    shown = str(target)
    unknown = re.search(r'invalid (?:URI query parameter|connection option):? "([^"]*)"', reason)
    if unknown and re.search(rf"(?<![^\s?&]){re.escape(unknown[1])}\s*=", shown):
        return SettingsError(
            f"{target.source} has an unknown parameter '{unknown[1]}'{nearest(unknown[1], known)}",
            hint="parameters are libpq's: sslmode, connect_timeout, target_session_attrs, …",
        )
    return SettingsError(
        f"{target.source} cannot be read as a connection string: {shown}",
        hint="in a URL write @ as %40, / as %2F, : as %3A, % as %25, a space as %20; "
        "in a conninfo string put a value with spaces in single quotes",
    )


def _detail(text: str, password: str | None) -> str:
    """What libpq says first, or the server said, without preamble and password."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if "FATAL:" in line] or lines or ["unknown reason"]
    detail = re.sub(
        r"^(connection failed: |connection is bad: )?(connection to server .*? failed: )?"
        r"((FATAL|ERROR):\s+)?",
        "",
        said[0],
    )
    # libpq quotes no password; should it ever do so, a short one would tear words apart.
    return detail.replace(password, MASK) if password and len(password) > 3 else detail
