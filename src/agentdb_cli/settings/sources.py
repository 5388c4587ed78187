"""Where to connect: six sources in order, the first that is set wins.

1. --url                          4. POSTGRESQL_* then PG*
2. --env NAME                     5. url in agentdb.toml
3. DATABASE_URL                   6. the embedded server
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentdb_cli.errors import SettingsError
from agentdb_cli.settings import urls
from agentdb_cli.settings.file import SettingsFile

# Background Agents' names -> libpq keywords.
POSTGRESQL_VARIABLES = {
    "POSTGRESQL_HOST": "host",
    "POSTGRESQL_PORT": "port",
    "POSTGRESQL_DATABASE": "dbname",
    "POSTGRESQL_USER": "user",
    "POSTGRESQL_PASSWORD": "password",
    "POSTGRESQL_SSL_MODE": "sslmode",
}

# libpq's own names -> keywords (PostgreSQL documentation, "Environment
# Variables" of libpq); those that say where and how to connect.
LIBPQ_VARIABLES = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGPASSFILE": "passfile",
    "PGSERVICE": "service",
    "PGSSLMODE": "sslmode",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLROOTCERT": "sslrootcert",
    "PGCHANNELBINDING": "channel_binding",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGOPTIONS": "options",
}

# A password or an sslmode alone names no database; these keywords do.
_NAMING = ("host", "hostaddr", "port", "dbname", "user", "service")


@dataclass(frozen=True, slots=True)
class Target:
    """The database that a command works on.

    Attributes:
        source: which source won, as the user knows it (`DATABASE_URL`).
        origin: where that source was read (`environment`, a file's path).
        url: a libpq URL or conninfo string; None for sources 4 and 6.
        parameters: libpq keywords that complete `url` or stand alone.
        embedded: whether the embedded server is meant.
    """

    source: str
    origin: str
    url: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    embedded: bool = False

    def __str__(self) -> str:
        if self.embedded:
            return "embedded server"
        if self.url is not None:
            return urls.mask(self.url)
        shown = {k: urls.MASK if urls.is_secret(k) else v for k, v in self.parameters.items()}
        return " ".join(f"{key}={value}" for key, value in shown.items())


class Candidate(NamedTuple):
    """One of the six sources, as `config show` lists it.

    Attributes:
        rank: 1 to 6.
        target: what it names, or None when it is not set or malformed.
        source: its name, also when it is not set.
        problem: why it is malformed, which matters only if it would win.
    """

    rank: int
    source: str
    target: Target | None
    problem: SettingsError | None = None


class NoDatabaseChosen(SettingsError):
    """Nothing is set, and agentdb.toml has environments to choose from."""


@dataclass(frozen=True, slots=True)
class Variables:
    """Environment variables, those of a `.env` file behind the real ones."""

    environ: Mapping[str, str]
    dotenv: Mapping[str, str] = field(default_factory=dict)
    dotenv_path: Path | None = None

    def get(self, name: str) -> str | None:
        """The value, or None when it is unset or empty (as libpq takes it)."""
        return self.environ.get(name) or self.dotenv.get(name) or None

    def origin(self, name: str) -> str:
        """Where `name` was read: `environment`, or the path of the `.env` file."""
        return "environment" if self.environ.get(name) else str(self.dotenv_path)


def candidates(
    url: str | None,
    environment: str | None,
    variables: Variables,
    file: SettingsFile | None,
) -> tuple[Candidate, ...]:
    """The six sources in order.

    Args:
        url: the value of `--url`, or None.
        environment: the value of `--env`, or None.
        variables: the environment variables.
        file: the `agentdb.toml` in force, or None.

    Raises:
        SettingsError: the source that would win is malformed.
    """
    readers: tuple[tuple[str, Callable[[], Target | None]], ...] = (
        ("--url", lambda: _from_flag(url)),
        (f"--env {environment or 'NAME'}", lambda: _from_environment(environment, variables, file)),
        ("DATABASE_URL", lambda: _from_database_url(variables)),
        ("POSTGRESQL_*, PG*", lambda: _from_parameters(variables)),
        ("url in agentdb.toml", lambda: _from_file(variables, file)),
        ("embedded server", lambda: Target("embedded server", "built in", embedded=True)),
    )
    found: list[Candidate] = []
    for rank, (name, read) in enumerate(readers, 1):
        try:
            found.append(Candidate(rank, name, read()))
        except SettingsError as error:
            if all(candidate.target is None for candidate in found):
                raise
            found.append(Candidate(rank, name, None, error))
    return tuple(found)


def choose(all_candidates: tuple[Candidate, ...], file: SettingsFile | None) -> Target:
    """The target of the first source that is set.

    Raises:
        NoDatabaseChosen: only the embedded server is left although agentdb.toml
            names databases in its environments: one of them is meant, and
            starting a server instead would be a surprise.
    """
    target = next(c.target for c in all_candidates if c.target is not None)
    if target is all_candidates[-1].target and file is not None and file.environments:
        raise NoDatabaseChosen(
            f"no database chosen: {file.path} has environments but no url of its own",
            hint=f"pass --env with one of {', '.join(file.environments)}, "
            f"or --url {urls.EMBEDDED} for the embedded server",
        )
    return target


def libpq_defaults(variables: Variables) -> dict[str, str]:
    """What a `.env` file says through libpq's own variables, by keyword.

    libpq reads the process's environment by itself; these come behind it.
    """
    return {
        keyword: variables.dotenv[name]
        for name, keyword in LIBPQ_VARIABLES.items()
        if variables.dotenv.get(name) and not variables.environ.get(name)
    }


def from_url(source: str, origin: str, url: str) -> Target:
    """The target of a URL.

    Args:
        source: what the user calls it (`--url`), also for errors.
        origin: where it was read.
        url: anything that `urls.normalize` takes, or `embedded`.

    Raises:
        SettingsError: it is malformed.
    """
    if url.strip().rstrip(":") == urls.EMBEDDED:
        return Target(source, origin, embedded=True)
    return Target(source, origin, url=urls.normalize(url, where=source))


def _from_flag(url: str | None) -> Target | None:
    return None if url is None else from_url("--url", "command line", url)


def _from_environment(
    environment: str | None, variables: Variables, file: SettingsFile | None
) -> Target | None:
    if environment is None:
        return None
    if file is None:
        raise SettingsError(
            f"--env {environment} needs an agentdb.toml, and there is none here or above",
            hint=f"write one with [environments.{environment}], or name it with --config FILE",
        )
    file.layer(environment)  # an unknown name is refused there
    table = file.content["environments"][environment]
    source = f"--env {environment}"
    target = _from_table(table, source, f"environments.{environment}", variables, file)
    if target is None:
        raise SettingsError(
            f"{file.path}: [environments.{environment}] names no database",
            hint='add url = "postgresql://…" or url_env = "NAME_OF_A_VARIABLE" to it',
        )
    return target


def _from_database_url(variables: Variables) -> Target | None:
    url = variables.get("DATABASE_URL")
    return None if url is None else from_url("DATABASE_URL", variables.origin("DATABASE_URL"), url)


def _from_parameters(variables: Variables) -> Target | None:
    for label, names in (("POSTGRESQL_*", POSTGRESQL_VARIABLES), ("PG*", LIBPQ_VARIABLES)):
        values = {name: value for name in names if (value := variables.get(name)) is not None}
        parameters = {names[name]: value for name, value in values.items()}
        naming = [name for name in values if names[name] in _NAMING]
        if naming:
            return Target(label, variables.origin(naming[0]), parameters=parameters)
    return None


def _from_file(variables: Variables, file: SettingsFile | None) -> Target | None:
    if file is None:
        return None
    return _from_table(file.content, "url in agentdb.toml", "url", variables, file)


def _from_table(
    table: Mapping[str, Any], source: str, key: str, variables: Variables, file: SettingsFile
) -> Target | None:
    """The database that a table of the file names by `url` or `url_env`."""
    if "url" in table:
        return from_url(source, str(file.path), table["url"])
    name = table.get("url_env")
    if name is None:
        return None
    url = variables.get(name)
    if url is None:
        raise SettingsError(
            f"{file.path}: '{key}' takes its URL from ${name}, which is not set",
            hint=f"set {name} in the environment or in a .env file beside agentdb.toml",
        )
    return from_url(source, f"{file.path} (${name})", url)
