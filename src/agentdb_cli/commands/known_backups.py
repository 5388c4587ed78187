"""The backups that `health` and `doctor` know of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentdb_cli.postgres.known import Backup
    from agentdb_cli.settings import Settings


def newest(settings: Settings) -> tuple[Backup, ...]:
    """The newest whole backup of each database, in the directory that settings name."""
    directory = settings.backup_directory
    if directory is None or not directory.is_dir():
        return ()  # most runs: without loading what reads them
    from agentdb_cli.backups import catalog
    from agentdb_cli.postgres.known import Backup

    return tuple(
        Backup(
            name=each.name,
            database=each.manifest.database,
            system_identifier=str(each.manifest.system_identifier),
            created=each.manifest.created.timestamp(),
            verified=each.verified[-1].ok if each.verified else None,
        )
        for each in catalog.newest(directory)
        if each.manifest is not None
    )


def expected(settings: Settings) -> bool:
    """Whether agentdb.toml names a directory of backups, so that there should be some."""
    return bool(settings.file and settings.file.layer(settings.environment).get("backup"))
