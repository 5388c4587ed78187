"""`agentdb restore`: a backup back into a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.backup.options import Directory
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.backups.restore import Options
    from agentdb_cli.backups.target import Open, State
    from agentdb_cli.commands.restore.work import Work
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False)


@register(app, "restore")
def restore(
    run: Invocation,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A backup; 'latest' is the newest.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="DATABASE", help="A name on the server of --url or --env, or a URL."
        ),
    ],
    directory: Directory = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Drop DATABASE first, with all that is in it.")
    ] = False,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="DATABASE", help="Its name again, for --clean."),
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="TABLE", help="This table alone (repeatable)."),
    ] = None,
    schema_only: Annotated[
        bool, typer.Option("--schema-only", help="Definitions without rows.")
    ] = False,
    data_only: Annotated[
        bool, typer.Option("--data-only", help="Rows alone, into empty tables that are there.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", min=1, help="Sessions at once (default: cores)."),
    ] = None,
    no_owner: Annotated[
        bool, typer.Option("--no-owner", help="All objects belong to the role that restores.")
    ] = False,
    no_privileges: Annotated[
        bool, typer.Option("--no-privileges", help="Leave out what is granted to roles.")
    ] = False,
    owners: Annotated[
        list[str] | None,
        typer.Option("--owner", metavar="OLD=NEW", help="Give OLD's objects to NEW (repeatable)."),
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="SET ROLE to it first.")
    ] = None,
    no_tablespaces: Annotated[
        bool,
        typer.Option("--no-tablespaces", help="Everything in the server's usual tablespace."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, restore nothing.")
    ] = False,
) -> None:
    """Restore a backup into a database.

    DATABASE is created if it does not exist. One that holds anything is
    refused; with --clean it is dropped, once its name was typed again (in a
    script: --confirm DATABASE).

    Before anything changes the backup's checksums, the server's version, its
    extensions, roles and tablespaces are checked. Afterwards every table is
    counted and every index, constraint and trigger looked at: what differs from
    the backup's manifest is listed. Settings, privileges, owner and comment of
    the database come last.

    Exit code: 1 if anything differs.
    """
    from agentdb_cli.backups import target
    from agentdb_cli.commands.restore.options import options_of
    from agentdb_cli.commands.restore.perform import perform
    from agentdb_cli.commands.restore.work import open_backup, server

    options = options_of(
        jobs=jobs, schema_only=schema_only, data_only=data_only, no_owner=no_owner,
        no_privileges=no_privileges, no_tablespaces=no_tablespaces, owners=owners or (), role=role,
    )  # fmt: skip
    if options.content == "data" and clean:
        raise SettingsError("--data-only needs tables that are there, and --clean drops them")
    work = open_backup(run, directory, name, tables or (), options)
    database, open_ = server(run, to)
    state = target.look(open_, database)
    work = _checked(open_, database, state, work, clean=clean)
    _refuse_occupied(run, state, database, work.options, clean=clean)
    dropped = clean and state.exists
    if dry_run:
        how = "dropped first" if dropped else "as it is" if state.exists else "created"
        run.output.line(
            f"would restore {work.manifest.name} into the database {database} ({how}): "
            f"{len(work.archive.entries)} objects"
        )
        return
    if dropped:
        _confirm(run, work, database, state, confirm)
        other_locale = target.recreate(open_, database, work.locale)
        run.output.notice(f"dropped and created the database {database}")
    elif not state.exists:
        other_locale = target.create(open_, database, work.locale)
        run.output.notice(f"created the database {database}")
    else:
        other_locale = None
    if other_locale is not None:
        run.output.warning(
            f"{database} has the server's own locale, so that text may sort in another order: "
            f"{other_locale}"
        )
    with open_(database) as connection:
        perform(
            run, connection, work, lambda: open_(database),
            comment=None if dropped else state.comment, made=not state.exists,
        )  # fmt: skip


def _checked(open_: Open, database: str, state: State, work: Work, *, clean: bool) -> Work:
    """Refuse what can be known to fail, before anything changes; the work as this server takes it.

    Raises:
        AgentdbError: something is in the way.
    """
    from agentdb_cli.backups import preflight, source, target

    with open_(database) if state.exists else target.beside(open_, database) as connection:
        preflight.check_server(connection, work.manifest)
        work = work.reaching(connection)
        if work.options.content == "data":
            target.check_for_rows(connection, work.tables)
        else:
            present = source.extensions(connection) if state.exists and not clean else ()
            preflight.check_extension_rights(connection, work.manifest, {"plpgsql", *present})
            _check_definitions(connection, work)
    return work


def _check_definitions(connection: Connection, work: Work) -> None:
    """Refuse what names roles and tablespaces that the server does not have.

    Raises:
        AgentdbError: some are missing, or --owner names one that is not in the backup.
    """
    from agentdb_cli.backups import ownership, preflight

    options, script = work.options, work.archive.script
    if options.tablespaces:
        preflight.check_tablespaces(connection, script, work.properties.tablespace)
    needed = ownership.roles(script, owned=options.owner, granted=options.privileges)
    unknown = sorted(options.owners.keys() - needed - work.properties.roles)
    if unknown:
        raise SettingsError(
            f"--owner {unknown[0]}=…: nothing in the backup belongs to {unknown[0]}",
            hint=f"roles in it: {', '.join(sorted(needed)) or 'none'}",
        )
    renamed = frozenset(options.owners.get(role, role) for role in needed)
    if lacking := ownership.missing(connection, renamed):
        raise preflight.missing_roles(lacking)


def _refuse_occupied(
    run: Invocation, state: State, database: str, options: Options, *, clean: bool
) -> None:
    """Refuse a database that something is in, or whose users a drop would throw out."""
    from agentdb_cli.backups.target import is_incomplete

    sessions = "".join(f"\n  {session}" for session in state.sessions)
    if clean and sessions:
        raise AgentdbError(
            f"the database {database} is in use; nothing was changed:{sessions}",
            hint="stop what uses it, then restore again",
        )
    if state.objects and not clean and options.content != "data":
        about = " (what an earlier restore has left)" if is_incomplete(state) else ""
        raise AgentdbError(
            f"the database {database} is not empty: {state.held}{about}",
            hint="restore into a new one, or drop it first with --clean",
        )
    if sessions:
        run.output.warning(f"others are connected to the database {database}:{sessions}")


def _confirm(run: Invocation, work: Work, database: str, state: State, confirm: str | None) -> None:
    """Have the name of the database typed that is to be dropped.

    Raises:
        SettingsError: it is another one, or nobody can be asked.
    """
    import sys

    if confirm is None:
        if not sys.stdin.isatty():
            raise SettingsError(
                "nobody can be asked here, and --clean needs the database's name",
                hint=f"--confirm {database} drops it, with all that is in it",
            )
        manifest = work.manifest
        same = (state.system_identifier, database) == (
            manifest.system_identifier,
            manifest.database,
        )
        origin = "; it is the one that the backup was taken from" if same else ""
        run.output.warning(f"{database} holds {state.held or 'nothing'} and is dropped{origin}")
        confirm = str(typer.prompt("the name of the database, to drop it", err=True))
    if confirm != database:
        raise SettingsError(
            f"'{confirm}' is not the name of the database, {database}; nothing was changed"
        )
