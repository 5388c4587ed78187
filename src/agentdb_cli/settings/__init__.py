"""Settings: the one place that decides where to connect and with what.

Flags, environment variables, `.env`, `agentdb.toml` and the defaults are put
in order here; no other module reads the environment for a setting.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentdb_cli.errors import SettingsError
from agentdb_cli.settings import dotenv, file, sources
from agentdb_cli.settings.file import SettingsFile
from agentdb_cli.settings.keys import CATALOG, Scalar, milliseconds
from agentdb_cli.settings.sources import Candidate, NoDatabaseChosen, Target

__all__ = [
    "Candidate",
    "Connection",
    "Flags",
    "Lint",
    "Migrations",
    "NoDatabaseChosen",
    "Scalar",
    "Server",
    "Settings",
    "SettingsFile",
    "Target",
    "dotenv_path",
    "inspections_directory",
    "milliseconds",
    "read_file",
    "resolve",
]

DEFAULT_PACK = "agentdb"
DEFAULT_HISTORY_TABLE = "public.agentdb_migrations"


class Flags(NamedTuple):
    """The command line's part of the settings; None means "not given"."""

    url: str | None = None
    environment: str | None = None
    config: Path | None = None
    pack: str | None = None
    schema: str | None = None
    lock_timeout: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """How to connect. Times in milliseconds; 0 switches a timeout off.

    Attributes:
        lock_timeout_chosen: whether somebody set `lock_timeout`, or it is the default.
    """

    connect_timeout: int = 10_000
    lock_timeout: int = 5_000
    statement_timeout: int = 0
    lock_timeout_chosen: bool = False
    libpq_defaults: Mapping[str, str] = field(default_factory=dict, repr=False)


class Migrations(NamedTuple):
    """Where migrations and their history are, and how long to wait for a turn.

    Attributes:
        directory: a directory of migration files, or None for the pack's.
        table: the tracking table, `schema.table`.
        lock_wait: milliseconds to wait for another run to finish.
        lock_retries: how often a file is tried again when it did not get a lock.
        lock_retry_time: milliseconds after which it is not tried again.
    """

    directory: Path | None = None
    table: str = DEFAULT_HISTORY_TABLE
    lock_wait: int = 600_000
    lock_retries: int = 15
    lock_retry_time: int = 120_000


class Lint(NamedTuple):
    """What `agentdb migrate lint` leaves out.

    Attributes:
        skip: names of rules.
        ignore: patterns of files, as fnmatch has them, from `directory` on.
        directory: that of the settings file.
    """

    skip: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    directory: Path | None = None


class Server(NamedTuple):
    """The embedded server: its directory (None: the user's default) and TCP port."""

    data_dir: Path | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that flags, environment and files decide for one command."""

    target: Target
    candidates: tuple[Candidate, ...]
    file: SettingsFile | None
    dotenv: Path | None
    environment: str | None
    pack: str
    schema: str | None
    variables: Mapping[str, Scalar]
    connection: Connection
    migrations: Migrations
    server: Server
    health: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    lint: Lint = field(default_factory=Lint)
    embedding: Mapping[str, Any] = field(default_factory=dict)
    """`[embedding]`: how texts become vectors."""
    catalog: Mapping[str, Any] = field(default_factory=dict)
    """The file's own tables of `pack.toml`'s kind: heartbeats, metrics …"""
    pack_chosen: bool = False
    """Whether somebody named the pack, or it is merely the default."""
    state_directory: Path | None = None
    """Where samples of earlier runs are kept; None without a home directory."""
    backup_directory: Path | None = None
    """Where backups are; None without a home directory."""


def resolve(
    flags: Flags, environ: Mapping[str, str] | None = None, directory: Path | None = None
) -> Settings:
    """Put all sources of settings in order.

    Args:
        flags: the global options of the command line.
        environ: the environment variables; the process's own by default.
        directory: where the search for `agentdb.toml` starts; the working
            directory by default.

    Raises:
        SettingsError: a file, key, variable or flag is malformed, or it is
            not clear which database is meant.
    """
    environ = os.environ if environ is None else environ
    directory = _working_directory() if directory is None else directory
    settings_file = read_file(flags.config, directory)
    variables = _variables(environ, settings_file, directory)
    layer = settings_file.layer(flags.environment) if settings_file else {}
    found = sources.candidates(flags.url, flags.environment, variables, settings_file)
    return Settings(
        target=sources.choose(found, settings_file),
        candidates=found,
        file=settings_file,
        dotenv=variables.dotenv_path,
        environment=flags.environment,
        pack=flags.pack or layer.get("pack", DEFAULT_PACK),
        schema=flags.schema or layer.get("schema"),
        variables=layer.get("variables", {}),
        connection=_connection(layer, flags, variables),
        migrations=_migrations(layer, settings_file),
        server=_server(layer, settings_file),
        health=layer.get("health", {}),
        lint=_lint(layer, settings_file),
        embedding=layer.get("embedding", {}),
        catalog={name: layer[name] for name in CATALOG if name in layer},
        pack_chosen=flags.pack is not None or "pack" in layer,
        state_directory=_state_directory(environ),
        backup_directory=_backup_directory(layer, settings_file, environ),
    )


def read_file(config: Path | None, directory: Path | None = None) -> SettingsFile | None:
    """The `agentdb.toml` in force: `--config`, or the nearest one upwards, or none.

    Raises:
        SettingsError: the named file does not exist, or its content is wrong.
    """
    path = config or file.find(directory or _working_directory())
    return None if path is None else file.read(path)


def inspections_directory(config: Path | None, environment: str | None) -> Path | None:
    """The directory of the user's own inspections, without a look at where to connect.

    Raises:
        SettingsError: the settings file is malformed or has no such environment.
    """
    found = read_file(config)
    table = found.layer(environment).get("inspect", {}) if found else {}
    return _beside(found, table.get("dir"))


def dotenv_path(settings_file: SettingsFile | None, directory: Path | None = None) -> Path | None:
    """The `.env` beside `agentdb.toml`, or without one in the working directory; or None."""
    beside = settings_file.path.parent if settings_file else directory or _working_directory()
    path = beside / dotenv.FILE_NAME
    return path if path.is_file() else None


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SettingsError(
            "the working directory no longer exists", hint="cd to another one"
        ) from None


def _variables(
    environ: Mapping[str, str], settings_file: SettingsFile | None, directory: Path
) -> sources.Variables:
    path = dotenv_path(settings_file, directory)
    if path is None:
        return sources.Variables(environ)
    return sources.Variables(environ, dotenv.read(path), path)


def _connection(layer: Mapping[str, Any], flags: Flags, variables: sources.Variables) -> Connection:
    chosen = dict(layer.get("connection", {}))
    seconds = variables.get("PGCONNECT_TIMEOUT")
    if seconds is not None and "connect_timeout" not in chosen:
        try:
            chosen["connect_timeout"] = milliseconds(f"{seconds}s")
        except ValueError:
            raise SettingsError("PGCONNECT_TIMEOUT must be a number of seconds") from None
    if flags.lock_timeout is not None:
        try:
            chosen["lock_timeout"] = milliseconds(flags.lock_timeout)
        except ValueError as error:
            raise SettingsError(f"--lock-timeout must be {error}") from None
    return Connection(
        **chosen,
        lock_timeout_chosen="lock_timeout" in chosen,
        libpq_defaults=sources.libpq_defaults(variables),
    )


def _migrations(layer: Mapping[str, Any], settings_file: SettingsFile | None) -> Migrations:
    table = dict(layer.get("migrations", {}))
    directory = table.pop("dir", None)
    return Migrations(directory=_beside(settings_file, directory), **table)


def _lint(layer: Mapping[str, Any], settings_file: SettingsFile | None) -> Lint:
    table = {name: tuple(value) for name, value in layer.get("lint", {}).items()}
    return Lint(**table, directory=settings_file.path.parent if settings_file else None)


def _server(layer: Mapping[str, Any], settings_file: SettingsFile | None) -> Server:
    table = dict(layer.get("server", {}))
    return Server(data_dir=_beside(settings_file, table.get("data_dir")), port=table.get("port"))


def _state_directory(environ: Mapping[str, str]) -> Path | None:
    """`agentdb` below XDG_STATE_HOME, or below ~/.local/state as its specification says."""
    state, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if Path(state).is_absolute():  # its rule: ignore relative ones
        return Path(state) / "agentdb"
    return Path(home) / ".local" / "state" / "agentdb" if home else None


def _backup_directory(
    layer: Mapping[str, Any], settings_file: SettingsFile | None, environ: Mapping[str, str]
) -> Path | None:
    """`[backup] dir`, or `agentdb/backups` below XDG_DATA_HOME, or below ~/.local/share."""
    named = _beside(settings_file, layer.get("backup", {}).get("dir"))
    if named is not None:
        return named
    if os.geteuid() == 0:
        # Not below /var/lib/agentdb, which the embedded server's account owns.
        return Path("/var/lib/agentdb-backups")
    data, home = environ.get("XDG_DATA_HOME", ""), environ.get("HOME", "")
    if Path(data).is_absolute():  # its rule: ignore relative ones
        return Path(data) / "agentdb" / "backups"
    return Path(home) / ".local" / "share" / "agentdb" / "backups" if home else None


def _beside(settings_file: SettingsFile | None, name: str | None) -> Path | None:
    """A path of the settings file, which counts from the file's own directory."""
    if name is None or settings_file is None:
        return None
    try:
        return settings_file.path.parent / Path(name).expanduser()
    except RuntimeError:  # no such account, or no home directory
        raise SettingsError(f"{settings_file.path}: '{name}': no such home directory") from None
