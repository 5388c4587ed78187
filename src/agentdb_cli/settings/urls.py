"""Connection strings as people write them, turned into what libpq reads.

Nothing here talks to a server or imports psycopg: a URL is only rewritten
(SQLAlchemy's driver suffixes, other clients' query parameters) or masked.

libpq takes the first `@` before the first `/` for the end of the password and
reads on as if nothing were wrong: a password with a plain `@` or `/` in it ends
up in the host, and from there in messages. So such a URL is refused here.
"""

from __future__ import annotations

import re

from agentdb_cli.errors import SettingsError, nearest

EMBEDDED = "embedded"
"""The word that names the embedded server where a URL is expected."""

MASK = "***"

_SCHEMES = frozenset({"postgresql", "postgres"})
_SCHEME = re.compile(r"(?P<scheme>(?:jdbc:)?[A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9_]+)?://")
_CONNINFO = re.compile(r"\s*\w+\s*=")
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_.-]+")

# The part of a URL up to its path or query, as far as its ports are numbers.
_HOSTS = re.compile(r"(?:[^/?:\[]|\[[^\]/]*\]|:\d*(?=[,/?]|$))*")

_ENCODE = "in user and password write @ as %40, / as %2F, : as %3A, % as %25, a space as %20"

# Query parameters that other clients put into the same URL. None of them
# changes which database is meant, so they are dropped, not refused.
_FOREIGN_PARAMETERS = frozenset(
    {
        "connection_limit",  # Prisma
        "pgbouncer",
        "pool_timeout",
        "schema",
        "socket_timeout",
        "statement_cache_size",
        "async_fallback",  # SQLAlchemy's asyncpg dialect
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "pool_size",
        "pool_max_conns",  # Go's pgxpool
        "pool_min_conns",
        "currentSchema",  # JDBC
    }
)
_RENAMED_PARAMETERS = {"ssl": "sslmode"}  # asyncpg
_SSLMODES_OF_SSL = {"true": "require", "false": "disable"}

# Keywords whose value is a secret: libpq's, and what people write by mistake.
_CONFIDENTIAL = r"(?:\w*pass(?!file)\w*|\w*pwd\w*|\w*secret\w*|scram_\w+_key)"
# Keywords that end a secret's value when it was not quoted or encoded as it should be.
_KNOWN = r"(?:application_name|channel_binding|connect_timeout|dbname|host|hostaddr|options|"
_KNOWN += r"passfile|port|service|ssl\w+|target_session_attrs|user)"
# Not compiled here: they are wanted only when a URL is shown.
_SECRET_IN_CONNINFO = (
    rf"(?is)(\b{_CONFIDENTIAL}\s*=\s*)"
    rf"(?:'(?:[^'\\]|\\.)*'(?=\s*$|\s+{_KNOWN}\s*=)|'.*|.+?(?=\s+{_KNOWN}\s*=|$))"
)
_SECRET_IN_QUERY = rf"(?is)([?&]{_CONFIDENTIAL}=).+?(?=&{_KNOWN}=|$)"


def normalize(url: str, *, where: str) -> str:
    """Rewrite `url` into a libpq URL or conninfo string.

    Args:
        url: a libpq URL, a conninfo string, a SQLAlchemy URL
            (`postgresql+psycopg://…`) or a bare database name; in quotes, too,
            as `docker --env-file` passes them on.
        where: what the user called it (`--url`, `DATABASE_URL`), for errors.

    Returns:
        A string that libpq accepts, as far as can be told without libpq.

    Raises:
        SettingsError: the scheme is not PostgreSQL's, the URL is empty, or it
            is not clear where its password ends.
    """
    url = _unquoted(url.strip())
    if not url:
        raise SettingsError(
            f"{where} is empty", hint="give a URL such as postgresql://user@host:5432/database"
        )
    match = _SCHEME.match(url)
    if match is None:
        if _CONNINFO.match(url):
            return url
        if _DATABASE_NAME.fullmatch(url):
            return f"dbname={url}"
        raise SettingsError(
            f"{where} is neither a URL nor a conninfo string: {mask(url)}",
            hint="write postgresql://user@host:5432/database or 'host=… dbname=…'",
        )
    scheme = match["scheme"].lower()
    if scheme not in _SCHEMES:
        raise SettingsError(
            f"{where} has the scheme '{scheme}', not postgresql{nearest(scheme, _SCHEMES)}",
            hint="agentdb administers PostgreSQL: postgresql://user@host:5432/database",
        )
    rest = url[match.end() :]
    _refuse_unclear_password(rest, where)
    return "postgresql://" + _translate_query(rest)


def mask(url: str) -> str:
    """`url` with every password replaced by `***`, fit to be shown or logged.

    Works on broken URLs too, and rather hides too much: all between the first
    colon of the user part and the last `@` is taken for a password, and so is
    all from a port on that is no number.
    """
    if _CONNINFO.match(url):
        return re.sub(_SECRET_IN_CONNINFO, rf"\1{MASK}", url)
    scheme = _SCHEME.match(url.lstrip("'\" "))
    ours = scheme is not None and scheme["scheme"].lower() in _SCHEMES
    start = url.find("://") + 3 if ours else 0  # not ours: it may be a user and a password
    url = re.sub(_SECRET_IN_QUERY, rf"\1{MASK}", url)
    at = url.rfind("@")
    colon = url.find(":", start, max(at, start))
    shown, rest = url[:start], url[start:]
    if colon >= 0:
        shown, rest = f"{url[:colon]}:{MASK}", url[at:]
    hosts = _hosts_end(rest)
    if rest[hosts : hosts + 1] in (":", "["):
        rest = rest[: hosts + 1] + MASK
    return shown + rest


def is_secret(keyword: str) -> bool:
    """Whether the value of a connection keyword must not be shown."""
    return re.fullmatch(_CONFIDENTIAL, keyword, re.IGNORECASE) is not None


def _unquoted(url: str) -> str:
    quoted = len(url) > 1 and url[0] == url[-1] and url[0] in "'\""
    return url[1:-1].strip() if quoted else url


def _hosts_end(text: str) -> int:
    found = _HOSTS.match(text)
    return found.end() if found else 0


def _authority_end(rest: str) -> int:
    """Where libpq sees the end of `user:password@` in the part after `://`; 0 without one."""
    at, slash = rest.find("@"), rest.find("/")
    return at + 1 if at >= 0 and (slash < 0 or at < slash) else 0


def _refuse_unclear_password(rest: str, where: str) -> None:
    """Refuse the part after `://` if a piece of a password may stand outside of its place.

    Raises:
        SettingsError: there is an `@` behind the one that ends the password,
            or a port that is no number.
    """
    tail = rest[_authority_end(rest) :]
    hosts = tail[: _hosts_end(tail)]
    shown = mask(f"postgresql://{rest}")
    if "@" in hosts or ("@" in tail and ":" in rest[: rest.rfind("@")]):
        raise SettingsError(
            f"{where} has an @, / or : in user or password that is not percent-encoded: {shown}",
            hint=_ENCODE,
        )
    if tail[len(hosts) : len(hosts) + 1] in (":", "["):
        raise SettingsError(
            f"{where} has no number for a port, or no @ after the password: {shown}",
            hint=f"write postgresql://user:password@host:5432/database; {_ENCODE}",
        )


def _translate_query(rest: str) -> str:
    """The part after `://` with other clients' query parameters translated.

    Values stay as they are, since libpq decodes them by rules of its own (a `+`
    is no space); but it wants `=` and spaces in them encoded.
    """
    question = rest.find("?", _authority_end(rest))
    if question < 0:
        return rest
    kept = []
    for parameter in rest[question + 1 :].split("&"):
        name, separator, value = parameter.partition("=")
        if name in _FOREIGN_PARAMETERS or not parameter:
            continue
        if name in _RENAMED_PARAMETERS:
            name, value = _RENAMED_PARAMETERS[name], _SSLMODES_OF_SSL.get(value.lower(), value)
        kept.append(name + separator + value.replace("=", "%3D").replace(" ", "%20"))
    return rest[:question] + ("?" + "&".join(kept) if kept else "")
