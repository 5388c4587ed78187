"""`agentdb backup verify`: whether backups are as they were written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.backup.options import Directory, directory_of
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.backups.catalog import Backup
    from agentdb_cli.backups.verified import Verification


def verify(
    run: Invocation,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which backups; the latest if none is named."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every backup.")] = False,
    directory: Directory = None,
    drill: Annotated[
        bool,
        typer.Option("--drill", help="Restore it for real, on the embedded server; count it all."),
    ] = False,
    drill_url: Annotated[
        str | None,
        typer.Option(
            "--drill-url", metavar="URL", help="Drill on this server, in a database of its own."
        ),
    ] = None,
) -> None:
    """Verify backups: read every file, compare its checksum, let pg_restore list it.

    With --drill each is also restored into a new database, which is dropped
    afterwards: every table is counted, every index, constraint and sequence
    looked at, and each collection of vectors searched.

    What came of it is recorded beside the backup, for backup list and prune.

    Exit code: 1 if one does not verify.
    """
    from agentdb_cli.backups import catalog

    if every and names:
        raise SettingsError("name either backups or --all")
    place = directory_of(run, directory)
    if every:
        chosen = catalog.backups(place)
    else:
        chosen = tuple(catalog.named(place, name) for name in names or (catalog.LATEST,))
    started = time.monotonic()
    drilled = drill or drill_url is not None
    results = [(backup, _verified(run, backup, drilled, drill_url)) for backup in chosen]
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [_row(*result) for result in results])
    elif not run.output.quiet:
        for backup, result in results:
            if result.ok:
                run.output.line(f"{backup.name}: {result.detail}")
        run.output.line(
            f"{count(len(results), 'backup', 'backups')} in "
            f"{duration(time.monotonic() - started)}, {place}"
        )
    failed = [(backup, result) for backup, result in results if not result.ok]
    if failed:
        lines = "".join(f"\n  {backup.name}: {result.detail}" for backup, result in failed)
        raise AgentdbError(
            f"{len(failed)} of {count(len(results), 'backup', 'backups')} "
            f"{'does' if len(failed) == 1 else 'do'} not verify:{lines}",
            hint="do not rely on them; agentdb backup create makes a new one",
        )


_COLUMNS = ("name", "verified_at", "by", "ok", "detail")


def _row(backup: Backup, result: Verification) -> dict[str, object]:
    return {
        "name": backup.name,
        "verified_at": result.time,
        "by": result.kind,
        "ok": result.ok,
        "detail": result.detail,
    }


def _verified(run: Invocation, backup: Backup, drilled: bool, url: str | None) -> Verification:
    """The files first: of a damaged backup a restore would say nothing that is of use."""
    from agentdb_cli.commands.backup.drill import drill

    result = _verify(run, backup)
    return drill(run, backup, url) if drilled and result.ok else result


def _verify(run: Invocation, backup: Backup) -> Verification:
    from threading import Lock

    from agentdb_cli.backups.manifest import File
    from agentdb_cli.backups.verify import verify as verify_backup
    from agentdb_cli.render.progress import Progress

    total = backup.manifest.bytes if backup.manifest else 0
    done, turn = 0, Lock()
    with Progress(run.output) as progress:
        progress.start(backup.name)

        def read(file: File) -> None:
            nonlocal done
            with turn:
                done += file.bytes
                progress.step(backup.name, file.path, done, total)

        return verify_backup(backup, read)
