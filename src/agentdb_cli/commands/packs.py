"""`agentdb packs`: what the schema packs contain, and how a live database differs."""

from __future__ import annotations

from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import AgentdbError

app = group("Show the schema packs, and compare a database.")

Name = Annotated[str | None, typer.Argument(help="A pack; the one in use by default.")]


@register(app, "list")
def list_(run: Invocation) -> None:
    """List the packs."""
    from agentdb_cli import packs
    from agentdb_cli.migrations import files

    rows = []
    for name in packs.names():
        pack = packs.load(name)
        count = len(files.read(pack.directory).files)
        rows.append({"pack": name, "migrations": count, "title": pack.title})
    run.output.rows(("pack", "migrations", "title"), rows)


@register(app, "show")
def show(run: Invocation, name: Name = None) -> None:
    """Show a pack's migrations, variables, searchable collections and retention."""
    from agentdb_cli import packs
    from agentdb_cli.migrations import files

    pack = packs.load(name or run.settings.pack)
    migrations = [file.label for file in files.read(pack.directory).files]
    retention = {
        table: f"{entry['days']} days by {entry['time_column']}"
        for table, entry in pack.content.get("retention", {}).items()
    }
    collections = {c.name: f"{c.table}.{c.embedding}, {c.distance}" for c in pack.collections}
    if run.output.for_people:
        run.output.line(f"{pack.name}: {pack.title}")
        run.output.line()
        run.output.line(pack.description)
        for title, items in (
            ("Migrations", migrations),
            ("Variables", [f"{key} = {value}" for key, value in pack.variables.items()]),
            ("Collections", [f"{key}: {value}" for key, value in collections.items()]),
            ("Retention", [f"{key}: {value}" for key, value in retention.items()]),
        ):
            run.output.line()
            run.output.line(f"{title}:")
            for item in items or ["none"]:
                run.output.line(f"  {item}")
        return
    run.output.record(
        {
            "pack": pack.name,
            "title": pack.title,
            "description": pack.description,
            "directory": str(pack.directory),
            "migrations": migrations,
            "variables": dict(pack.variables),
            "collections": collections,
            "retention": retention,
        }
    )


@register(app, "diff")
def diff(
    run: Invocation,
    name: Name = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 if there is a difference.")
    ] = False,
    extra: Annotated[
        bool, typer.Option("--extra/--no-extra", help="Also list what the pack does not have.")
    ] = True,
) -> None:
    """Show how the database differs from what the pack's migrations make.

    The migrations are applied to a scratch database on the embedded server;
    the database in question is only read.
    """
    from agentdb_cli.migrations import drift
    from agentdb_cli.migrations.job import of_pack
    from agentdb_cli.postgres.catalog import Change

    job = of_pack(run.settings, name or run.settings.pack)
    with run.connect() as live, run.scratch() as scratch:
        found = drift.differences(live, scratch, job)
    shown = [d for d in found if extra or d.change is not Change.extra]
    run.output.rows(
        _DIFF_COLUMNS,
        [
            {
                "change": d.change.value,
                "kind": d.key.kind,
                "object": str(d.key),
                "expected": d.expected,
                "actual": d.actual,
            }
            for d in shown
        ],
    )
    count = f"{len(shown)} difference{'' if len(shown) == 1 else 's'} from pack {job.pack}"
    if check and shown:
        raise AgentdbError(count)
    run.output.notice(count if shown else "no difference")


_DIFF_COLUMNS = ("change", "kind", "object", "expected", "actual")
