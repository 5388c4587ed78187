"""`agentdb extensions`: what the database has, what agentdb needs, and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.provisioning.extensions import Damaged, Extension
    from agentdb_cli.provisioning.preload import Preload

app = group("Show, enable and upgrade the extensions that agentdb uses.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the SQL; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_LISTED = (
    "extension", "state", "installed", "available", "newest", "preload", "needed_by", "get",
)  # fmt: skip
_CHECKED = ("command", "extension", "met", "purpose", "detail")
_REBUILT = ("extension", "before", "after", "rebuild")


@register(app, "list")
def list_(run: Invocation) -> None:
    """List the extensions that agentdb uses, and all that the database has.

    preload: whether a library that must be in shared_preload_libraries is. get:
    where an extension comes from that the server does not have.
    """
    from agentdb_cli.provisioning import extensions, preload
    from agentdb_cli.provisioning.facts import facts, how_to_get

    with run.connect() as connection:
        found = {each.name: each for each in extensions.read(connection)}
        loaded = preload.loaded(connection)
        major = connection.info.server_version // 10_000
    names = [*facts(), *sorted(n for n in found if found[n].installed and n not in facts())]
    rows = []
    for name in names:
        fact, extension = facts().get(name), found.get(name)
        there = extension is not None and extension.available is not None
        rows.append(
            {
                "extension": name,
                "state": _state(extension),
                "installed": extension.installed if extension else None,
                "available": extension.available if extension else None,
                "newest": extension.newest if extension else None,
                "preload": _preload(name, loaded) if fact and fact.preload else "not needed",
                "needed_by": ", ".join(fact.commands) if fact else "",
                "get": "" if there else how_to_get(name, major),
            }
        )
    run.output.rows(_LISTED, rows)


def _state(extension: Extension | None) -> str:
    if extension is None:
        return "missing"
    if extension.installed is None:
        return "available"
    if extension.available is None:
        return "files gone"
    return "outdated" if extension.outdated else "installed"


def _preload(name: str, loaded: tuple[str, ...] | None) -> str:
    if loaded is None:
        return "not permitted: needs pg_read_all_settings"
    return "loaded" if name in loaded else "must be loaded"


@register(app, "check")
def check(
    run: Invocation,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXTENSION]...", help="These alone.", show_default=False),
    ] = None,
) -> None:
    """Check that every agentdb command has the extensions that it needs.

    Exit code: 1 if one has not, or if this role may not see it.
    """
    from agentdb_cli.provisioning import extensions, preload
    from agentdb_cli.provisioning.facts import facts

    for name in names or ():
        if name not in facts():
            raise SettingsError(
                f"no agentdb command needs '{name}'", hint=f"known: {', '.join(facts())}"
            )
    with run.connect() as connection:
        needs = extensions.needs(
            connection, extensions.read(connection), preload.loaded(connection)
        )
    needs = [need for need in needs if not names or need.extension in names]
    shown = {True: "yes", False: "no", None: "not permitted"}
    run.output.rows(
        _CHECKED,
        [
            {
                "command": need.command,
                "extension": need.extension,
                "met": shown[need.met],
                "purpose": need.purpose,
                "detail": need.detail,
            }
            for need in needs
        ],
    )
    unmet = [need for need in needs if not need.met]
    if unmet:
        raise AgentdbError(
            f"{len(unmet)} of {len(needs)} needs are not met: "
            + ", ".join(dict.fromkeys(need.extension for need in unmet))
        )


@register(app, "enable")
def enable(
    run: Invocation,
    name: Annotated[str, typer.Argument(metavar="EXTENSION", help="Such as vector.")],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Create an extension in the database, and have its library preloaded if it must be.

    shared_preload_libraries is added to by ALTER SYSTEM; what stands there stays. It counts
    from the next start of the server, which agentdb does not bring about.
    """
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.provisioning import extensions, preload
    from agentdb_cli.provisioning.facts import facts

    with run.connect() as connection:
        extension = extensions.named(connection, name)
        if extension.available is None:
            raise AgentdbError(
                f"the files of the extension '{name}' are gone from the server",
                hint="install its package again",
            )
        statements, libraries = [], None
        fact = facts().get(name)
        if fact and fact.preload and name not in (preload.loaded(connection) or ()):
            libraries = preload.read(connection)
            if name not in map(preload.base, libraries.next):
                _refuse_preload(connection, libraries, name)
                statements.append(preload.statement(libraries.next, name))
        if extension.installed is None:
            statements.append(extensions.create_statement(extension))
        _change(run, connection, statements, f"database {place(connection)}", dry_run, yes)
    if libraries is not None:
        _explain_restart(run, libraries, name)


def _refuse_preload(connection: Connection, libraries: Preload, name: str) -> None:
    from agentdb_cli.provisioning import preload

    if libraries.fixed:
        raise AgentdbError(
            f"{preload.SETTING} stands on the server's command line, before which no file counts",
            hint=f"add {name} to it there, and start the server again",
        )
    if not preload.may_alter(connection):
        raise AgentdbError(
            f"{connection.info.user} may not change {preload.SETTING}",
            hint=f"as a superuser: {preload.statement(libraries.next, name)}; "
            "on a managed server in its parameters, with a restart",
        )


def _change(
    run: Invocation,
    connection: Connection,
    statements: list[str],
    where: str,
    dry_run: bool,
    yes: bool,
) -> None:
    """Show statements, ask, and run them.

    Raises:
        Exit: the answer was no.
    """
    from agentdb_cli.provisioning import extensions

    if run.output.for_people:
        for statement in statements:
            run.output.line(f"{statement};")
        if not statements:
            run.output.line(f"nothing to do, {where}")
    else:
        run.output.rows(("sql",), [{"sql": statement} for statement in statements])
    if dry_run or not statements:
        return
    if not run.confirmed(f"run this, {where}?", yes=yes):
        run.output.notice("nothing was changed")
        raise typer.Exit
    for statement in statements:
        extensions.execute(connection, statement)


def _explain_restart(run: Invocation, libraries: Preload, name: str) -> None:
    how = (
        "agentdb server stop, then agentdb server start"
        if run.settings.target.embedded
        else f"systemctl restart postgresql, or pg_ctl restart -D {libraries.data_directory}"
    )
    run.output.notice(
        f"{name} records from the next start of the server on, which ends all sessions: {how}"
    )


@register(app, "upgrade")
def upgrade(
    run: Invocation,
    name: Annotated[str | None, typer.Argument(metavar="[EXTENSION]", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are outdated.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bring extensions to the version that the server has, and name indexes to be rebuilt.

    The server's packages come first: this takes what they have brought.
    """
    from agentdb_cli.postgres.connect import place
    from agentdb_cli.provisioning import extensions

    if (name is None) == (not every):
        raise SettingsError("name either an extension or --all")
    with run.connect() as connection:
        if name is not None:
            chosen = [extensions.named(connection, name)]
            if chosen[0].installed is None:
                raise AgentdbError(
                    f"the database does not have the extension '{name}'",
                    hint=f"agentdb extensions enable {name}",
                )
        else:
            chosen = extensions.read(connection)
        chosen = [each for each in chosen if each.outdated]
        where = f"database {place(connection)}"
        _show_upgrades(run, connection, chosen, where)
        if dry_run or not chosen:
            return
        if not run.confirmed(f"upgrade, {where}?", yes=yes):
            run.output.notice("nothing was changed")
            return
        for each in chosen:
            extensions.execute(connection, extensions.upgrade_statement(each))
            run.output.notice(f"{each.name} is {each.available} now")


def _show_upgrades(
    run: Invocation, connection: Connection, chosen: list[Extension], where: str
) -> None:
    from agentdb_cli.provisioning import extensions

    damaged: dict[str, list[Damaged]] = {
        each.name: extensions.to_rebuild(
            connection, each.name, each.installed or "", each.available or ""
        )
        for each in chosen
    }
    if run.output.for_people:
        for each in chosen:
            run.output.line(f"-- from {each.installed} to {each.available}")
            run.output.line(f"{extensions.upgrade_statement(each)};")
        if not chosen:
            run.output.line(f"nothing to upgrade, {where}")
    else:
        run.output.rows(
            _REBUILT,
            [
                {
                    "extension": each.name,
                    "before": each.installed,
                    "after": each.available,
                    "rebuild": [index.name for index in damaged[each.name]],
                }
                for each in chosen
            ],
        )
    for indexes in damaged.values():
        for index in indexes:
            run.output.warning(
                f"{index.name} must be rebuilt afterwards, agentdb reindex {index.name}: "
                f"{index.why} ({index.source})"
            )
