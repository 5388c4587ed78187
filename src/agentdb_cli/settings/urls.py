"""Connection strings as people write them, turned into what libpq reads.

Nothing here talks to a server or imports psycopg: a URL is only rewritten
(SQLAlchemy's driver suffixes, other clients' query parameters) or masked.
"""

from __future__ import annotations

import re
from agentdb_cli.errors import SettingsError, nearest

EMBEDDED = "embedded"
"""The word that names the embedded server where a URL is expected."""

MASK = "***"

_SCHEMES = frozenset({"postgresql", "postgres"})
_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9.-]*)(?:\+[A-Za-z0-9_]+)?://")
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_.-]+")

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
    }
)
_RENAMED_PARAMETERS = {"ssl": "sslmode"}  # asyncpg
_SSLMODES_OF_SSL = {"true": "require", "false": "disable"}


def normalize(url: str, *, where: str) -> str:
    """Rewrite `url` into a libpq URL or conninfo string.

    Args:
        url: a libpq URL, a conninfo string, a SQLAlchemy URL
            (`postgresql+psycopg://…`) or a bare database name.
        where: what the user called it (`--url`, `DATABASE_URL`), for errors.

    Returns:
        A string that libpq accepts, as far as can be told without libpq.

    Raises:
        SettingsError: the scheme is not PostgreSQL's, or the URL is empty.
    """
    url = url.strip()
    if not url:
        raise SettingsError(
            f"{where} is empty", hint="give a URL such as postgresql://user@host:5432/database"
        )
    match = _SCHEME.match(url)
    if match is None:
        if "=" in url:
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
    return "postgresql://" + _translate_query(url[match.end() :])


def mask(url: str) -> str:
    """`url` with every password replaced by `***`, fit to be shown or logged.

    Works on broken URLs too: all between the first colon of the user part and
    the last `@` is taken for a password, so that an unescaped `@` or `/` in it
    does not leak its rest.
    """
    masked = re.sub(
        r"^([A-Za-z][A-Za-z0-9+._-]*://[^:/@?\s]*):.*@", rf"\1:{MASK}@", url, flags=re.DOTALL
    )
    return re.sub(
        r"(?i)\b((?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]+)", rf"\1{MASK}", masked
    )


def _translate_query(rest: str) -> str:
    """The part after `://` with other clients' query parameters translated."""
    at = rest.rfind("@")
    question = rest.find("?", at + 1)
    if question < 0:
        return rest
    kept = []
    # Not by urllib: it takes + for a space, and libpq does not.
    for parameter in rest[question + 1 :].split("&"):
        name, equals, value = parameter.partition("=")
        if name in _FOREIGN_PARAMETERS:
            continue
        if name in _RENAMED_PARAMETERS:
            name, value = _RENAMED_PARAMETERS[name], _SSLMODES_OF_SSL.get(value.lower(), value)
        # libpq alone refuses a second = (options=-c%20search_path=x).
        kept.append(name + equals + value.replace("=", "%3D"))
    query = "&".join(kept)
    return rest[:question] + (f"?{query}" if query else "")
