"""The backups of a directory: whole ones, and broken ones that are named as such."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentdb_cli.backups import manifest as manifests
from agentdb_cli.backups import verified as record
from agentdb_cli.backups.manifest import Manifest
from agentdb_cli.backups.verified import Verification
from agentdb_cli.errors import AgentdbError, nearest

LATEST = "latest"
_NEVER = datetime.min.replace(tzinfo=UTC)
_NAME = re.compile(r"(?P<database>.+)-(?P<time>\d{8}T\d{6}Z)")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it stands on disk.

    Attributes:
        directory: its own; the last part is its name.
        manifest: None if it cannot be read.
        verified: its verifications, oldest first.
        problem: why it is broken; None if it has all its files, in their sizes.
    """

    directory: Path
    manifest: Manifest | None
    verified: tuple[Verification, ...]
    problem: str | None = None

    @property
    def name(self) -> str:
        """`<database>-<UTC time>`."""
        return self.directory.name

    @property
    def created(self) -> datetime | None:
        """When it was made, as its manifest or else its name says."""
        if self.manifest is not None:
            return self.manifest.created
        return _time_of(self.name)

    @property
    def is_verified(self) -> bool:
        """Whether it is whole, and the last verification of it succeeded."""
        return self.problem is None and bool(self.verified) and self.verified[-1].ok


def name_of(database: str, moment: datetime) -> str:
    """The name of a backup: `<database>-<UTC YYYYMMDDTHHMMSSZ>`.

    What a file system could take for something else is written as %XX.
    """
    safe = re.sub(
        rb"[^A-Za-z0-9_.-]|^\.", lambda match: b"%%%02X" % match[0][0], database.encode()
    ).decode()
    return f"{safe}-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def backups(directory: Path) -> tuple[Backup, ...]:
    """All backups of a directory, newest first; none if there is no such directory.

    What is neither named as a backup nor has a manifest is somebody else's and left out.

    Raises:
        AgentdbError: the directory cannot be read.
    """
    found = [at(path) for path in _directories(directory)]
    return tuple(sorted(found, key=lambda b: (b.created or _NEVER, b.name), reverse=True))


def newest(directory: Path) -> tuple[Backup, ...]:
    """The newest whole backup of each database; the files of older ones are not looked at.

    Raises:
        AgentdbError: the directory cannot be read.
    """
    found: dict[object, Backup] = {}
    for path in sorted(_directories(directory), key=_when, reverse=True):
        of = manifests.database_of(path)
        if of is not None and of not in found and (backup := at(path)).problem is None:
            found[of] = backup
    return tuple(found.values())


def named(directory: Path, name: str) -> Backup:
    """One backup by its name; `latest` is the newest that is not broken.

    Raises:
        AgentdbError: there is none of that name.
    """
    found = backups(directory)
    if name == LATEST:
        for backup in found:
            if backup.problem is None:
                return backup
        raise AgentdbError(
            f"there is no whole backup in {directory}", hint="agentdb backup create makes one"
        )
    for backup in found:
        if backup.name == name:
            return backup
    raise AgentdbError(
        f"there is no backup '{name}' in {directory}"
        f"{nearest(name, (LATEST, *(b.name for b in found)))}",
        hint="agentdb backup list shows what is there",
    )


def at(directory: Path) -> Backup:
    """The backup of one directory, broken or not."""
    verified = record.read(directory)
    try:
        manifest = manifests.read(directory)
    except AgentdbError as error:
        return Backup(directory, None, verified, error.message)
    return Backup(directory, manifest, verified, _problem(directory, manifest))


def _problem(directory: Path, manifest: Manifest) -> str | None:
    """What a look at the files' sizes shows; their content is for `verify`."""
    for file in manifest.files:
        path = directory / file.path
        try:
            status = path.stat()
        except FileNotFoundError:
            return f"{file.path} is missing"
        except OSError as error:
            return f"cannot read {path}: {error.strerror}"
        if not stat.S_ISREG(status.st_mode):
            return f"{file.path} is no file"
        if status.st_size != file.bytes:
            return f"{file.path} has {status.st_size} bytes instead of {file.bytes}"
    return None


def _directories(directory: Path) -> list[Path]:
    """Those of backups, whole or not.

    Raises:
        AgentdbError: the directory cannot be read.
    """
    try:
        entries = [path for path in directory.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AgentdbError(f"cannot read {directory}: {error.strerror}") from None
    return [path for path in entries if _looks_like_one(path)]


def _when(path: Path) -> tuple[datetime, str]:
    return (_time_of(path.name) or at(path).created or _NEVER, path.name)


def _looks_like_one(path: Path) -> bool:
    if not path.is_dir():
        return False
    return _time_of(path.name) is not None or (path / manifests.FILE_NAME).exists()


def _time_of(name: str) -> datetime | None:
    match = _NAME.fullmatch(name)
    try:
        return datetime.strptime(match["time"], "%Y%m%dT%H%M%S%z") if match else None
    except ValueError:
        return None
