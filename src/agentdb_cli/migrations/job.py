"""What a run of migrations works on: which files, for which tracking table, with what values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentdb_cli.errors import SettingsError
from agentdb_cli.migrations import files
from agentdb_cli.migrations.history import LOCAL_PACK, Table
from agentdb_cli.migrations.plan import Tolerance
from agentdb_cli.settings import Settings
from agentdb_cli.settings.keys import Scalar

ATTEMPT = 1_000
"""Milliseconds of one attempt at a lock, unless somebody says otherwise: everybody else waits
behind it, and it is tried again."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run applies, and how.

    Attributes:
        pack: the name under which the history keeps these migrations.
        directory: the files.
        table: the tracking table.
        variables: values for the variables in the files.
        schema: where unqualified names go, or None for the server's default.
        tolerance: what may be overlooked.
        lock_timeout: longest wait for a lock by a statement in one attempt, milliseconds.
        lock_wait: longest wait for another run to finish, milliseconds.
        lock_retries: how often a file is tried again that did not get a lock.
        lock_retry_time: after how long it is not tried again, milliseconds.
    """

    pack: str
    directory: files.Directory
    table: Table
    variables: Mapping[str, Scalar] = field(default_factory=dict)
    schema: str | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    lock_timeout: int = ATTEMPT
    lock_wait: int = 600_000
    lock_retries: int = 15
    lock_retry_time: int = 120_000

    @property
    def home(self) -> str:
        """The schema of objects that the files do not qualify."""
        return self.schema or "public"


def of_pack(settings: Settings, name: str) -> Job:
    """The migrations of a pack.

    Raises:
        SettingsError: there is no such pack, or it cannot be put into another schema.
        MigrationError: its files cannot be read.
    """
    from agentdb_cli import packs

    pack = packs.load(name)
    if settings.schema is not None and not pack.movable:
        raise SettingsError(
            f"pack {name} has schemas of its own and cannot be put into '{settings.schema}'",
            hint="leave out --schema",
        )
    job = _job(settings, pack.name, pack.directory)
    return replace(job, variables={**pack.variables, **settings.variables})


def of_directory(settings: Settings, directory: Path) -> Job:
    """The migrations of a directory of the user's own.

    Raises:
        MigrationError: its files cannot be read.
    """
    return _job(settings, LOCAL_PACK, directory)


def _job(settings: Settings, pack: str, directory: Path) -> Job:
    limit = settings.connection
    return Job(
        pack=pack,
        directory=files.read(directory),
        table=Table.in_force(settings),
        variables=settings.variables,
        schema=settings.schema,
        lock_timeout=limit.lock_timeout if limit.lock_timeout_chosen else ATTEMPT,
        lock_wait=settings.migrations.lock_wait,
        lock_retries=settings.migrations.lock_retries,
        lock_retry_time=settings.migrations.lock_retry_time,
    )
