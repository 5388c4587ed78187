"""`agentdb migrate new`: the files of the next migration."""

from __future__ import annotations

from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory
from agentdb_cli.errors import SettingsError


def new(
    run: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it does: add_users.")],
    directory: Directory = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the names alone.")] = False,
) -> None:
    """Write the files of the next migration: NNN_name.sql and NNN_name.down.sql.

    In a directory written for another tool they are named and divided as its
    files are. The number follows the last one in its width, or is the time
    (UTC) where the directory numbers by time. No file is overwritten, and no database is
    needed.
    """
    from agentdb_cli.migrations import new as migrations

    own = directory or run.settings.migrations.directory
    if own is None:
        raise SettingsError(
            "there is no directory of migrations of your own",
            hint="name it with --dir, or in agentdb.toml: dir in [migrations]",
        )
    files = migrations.plan(own, name)
    if not dry_run:
        migrations.write(files)
    if not run.output.for_people:
        run.output.rows(("file",), [{"file": str(path)} for path, _ in files])
        return
    for path, _ in files:
        run.output.line(f"{'would write' if dry_run else 'wrote'}  {path}")
