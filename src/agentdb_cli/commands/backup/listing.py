"""`agentdb backup list`: the backups of a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb_cli.commands.backup.options import Directory, ago, directory_of
from agentdb_cli.commands.invocation import Invocation

if TYPE_CHECKING:
    from agentdb_cli.backups.catalog import Backup


def list_(run: Invocation, directory: Directory = None) -> None:
    """List the backups, newest first: age, size, and when each was verified."""
    from agentdb_cli.backups.catalog import backups

    place = directory_of(run, directory)
    found = backups(place)
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [_row(backup) for backup in found])
    elif found:
        rows = [_shown(backup) for backup in found]
        columns = [name for name in rows[0] if name != "problem" or any(r[name] for r in rows)]
        run.output.rows(columns, rows)
    else:
        run.output.line(f"no backups in {place}")
    broken = [backup.name for backup in found if backup.problem]
    if broken:
        run.output.warning(f"{len(broken)} of {len(found)} broken: {', '.join(broken)}")


_COLUMNS = (
    "name", "directory", "created_at", "database", "server", "content", "tables", "rows",
    "bytes", "verified_at", "verified_by", "verified_ok", "problem",
)  # fmt: skip


def _row(backup: Backup) -> dict[str, object]:
    manifest = backup.manifest
    last = backup.verified[-1] if backup.verified else None
    return {
        "name": backup.name,
        "directory": str(backup.directory),
        "created_at": backup.created,
        "database": manifest.database if manifest else None,
        "server": manifest.server if manifest else None,
        "content": manifest.content if manifest else None,
        "tables": len(manifest.tables) if manifest else None,
        "rows": manifest.rows if manifest else None,
        "bytes": manifest.bytes if manifest else None,
        "verified_at": last.time if last else None,
        "verified_by": last.kind if last else None,
        "verified_ok": last.ok if last else None,
        "problem": backup.problem,
    }


def _shown(backup: Backup) -> dict[str, object]:
    from agentdb_cli.render.progress import size

    manifest = backup.manifest
    last = backup.verified[-1] if backup.verified else None
    verified = "never"
    if last is not None:
        failed = "" if last.ok else "failed "
        verified = f"{failed}{ago(last.time)} ago, by {last.kind}"
    return {
        "name": backup.name,
        "age": ago(backup.created) if backup.created else "",
        "size": size(manifest.bytes) if manifest else "",
        "content": manifest.content if manifest else "",
        "rows": f"{manifest.rows:,}" if manifest and manifest.rows is not None else "",
        "verified": verified,
        "problem": backup.problem or "",
    }
