"""Verifying a backup without a server: its checksums, and what pg_restore sees in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from agentdb_cli.backups import files, verified
from agentdb_cli.backups.catalog import Backup
from agentdb_cli.backups.manifest import DATA, FILE_NAME, File, Manifest
from agentdb_cli.backups.verified import Verification
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import programs


def verify(backup: Backup, read: Callable[[File], None]) -> Verification:
    """Read every file of a backup, let pg_restore list it, and record what came of it.

    Args:
        read: told of each file that was read; may be called by several threads.

    Raises:
        AgentdbError: there is no pg_restore that is new enough, or the result cannot be
            recorded.
    """
    if backup.manifest is None:
        found = [backup.problem or "there is no manifest"]
        done = ""
    else:
        pg_restore = programs.find(_major(backup.manifest), ("pg_restore",))
        found = files.differences(backup.directory, backup.manifest.files, read)
        found += _unknown(backup.directory, backup.manifest)
        if not found:  # of a damaged one pg_restore might say anything
            found += _unlisted(backup.directory, backup.manifest, pg_restore.path("pg_restore"))
        done = (
            f"{len(backup.manifest.files)} files, {len(backup.manifest.tables)} tables, "
            f"listed by pg_restore {pg_restore.version}"
        )
    result = Verification(verified.now(), "checksums", not found, "; ".join(found[:10]) or done)
    verified.append(backup.directory, result)
    return result


def _major(manifest: Manifest) -> int:
    return int(manifest.program.split(".")[0])


def _unknown(directory: Path, manifest: Manifest) -> list[str]:
    known = {file.path for file in manifest.files} | {FILE_NAME, verified.FILE_NAME}
    present = (path for path in directory.rglob("*") if not path.is_dir())
    names = (path.relative_to(directory).as_posix() for path in present)
    return [f"{name} is not in the manifest" for name in sorted(set(names) - known)]


def _unlisted(directory: Path, manifest: Manifest, pg_restore: str) -> list[str]:
    """What the dump's table of contents lacks of the manifest's tables."""
    try:
        done = subprocess.run(
            [pg_restore, "--list", str(directory / DATA)],
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise AgentdbError(f"cannot run {pg_restore}: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        return [f"pg_restore cannot list it: {said}"]
    listed = done.stdout.decode(errors="replace")
    return [
        f"the dump has no rows of {table.schema}.{table.name}"
        for table in manifest.tables
        if table.rows is not None and f" TABLE DATA {table.schema} {table.name} " not in listed
    ]
