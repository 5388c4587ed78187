"""`agentdb setup`: roles, database, extensions and privileges, from a bare server on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.commands.setup.passwords import Passwords
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.provisioning.model import LeftOut, Plan, Step, Wanted

app = typer.Typer(add_completion=False)


@register(app, "setup")
def setup(
    run: Invocation,
    database: Annotated[str, typer.Option("--database", metavar="NAME", help="The database.")],
    owner: Annotated[
        str, typer.Option("--owner", metavar="ROLE", help="Owns all of it, and migrates.")
    ],
    app_user: Annotated[
        str, typer.Option("--app-user", metavar="ROLE", help="The application: reads and writes.")
    ],
    readonly_user: Annotated[
        str | None, typer.Option("--readonly-user", metavar="ROLE", help="Only reads.")
    ] = None,
    admin_url: Annotated[
        str | None,
        typer.Option(
            "--admin-url",
            metavar="URL",
            envvar="AGENTDB_ADMIN_URL",
            show_envvar=True,
            help="An administrator's database, instead of --url.",
        ),
    ] = None,
    extension: Annotated[
        list[str] | None,
        typer.Option("--extension", metavar="NAME", help="Besides the pack's own (repeatable)."),
    ] = None,
    locale: Annotated[
        str | None,
        typer.Option("--locale", metavar="NAME", help="Such as C.UTF-8; default: the server's."),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", metavar="FILE", help="Passwords are read from it or written to it."
        ),
    ] = None,
    pgpass: Annotated[
        bool, typer.Option("--pgpass", help="Write passwords to ~/.pgpass instead.")
    ] = False,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="New passwords, also for roles that have one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL without secrets; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Create roles, database, extensions and privileges.

    Only what is missing is done: a second run changes nothing, and an
    interrupted one is completed by the next. The administrator need not be a
    superuser: CREATEROLE and CREATEDB are enough, and it becomes a member of
    the owner. Tables that the owner makes later are covered. Where the pack
    says what its roles may do, run setup again after agentdb migrate.

    A role without password gets that of AGENTDB_OWNER_PASSWORD,
    AGENTDB_APP_PASSWORD or AGENTDB_READONLY_PASSWORD, of the password file, what
    is typed at a terminal, or a generated one, which is kept in the file (.pgpass
    format, mode 600; by default agentdb/pgpass below XDG_STATE_HOME). The server
    gets the SCRAM verifier alone.

    The database is UTF8, with the server's locale unless --locale names one.

    Exit code: 1 if something is left that an administrator has to do.
    """
    run = _administrator(run, admin_url)
    wanted = _wanted(run, database, owner, app_user, readonly_user, extension or (), locale)
    if pgpass and password_file:
        raise SettingsError("either --password-file or --pgpass")
    from agentdb_cli.commands.setup.show import conclude, dry
    from agentdb_cli.postgres.connect import place

    passwords = Passwords(run, password_file, pgpass=pgpass, rotate=rotate, ask=not yes)
    with run.connect_to() as connection:
        _refuse_standby(connection)
        first, second = _preview(run, connection, wanted, rotate=rotate)
        where = place(connection)
        left_out = (*first.left_out, *second.left_out)
        if dry_run:
            dry(run, wanted, first, second)
            return
        passwords.tell_unused(connection, wanted)
        if not first.steps and not second.steps:
            conclude(run, wanted, [], left_out, where)
            return
        if not _agreed(run, (*first.steps, *second.steps), where, yes=yes):
            return
        with _only_setup(connection):
            done, left_out = _apply(run, connection, wanted, passwords)
        _told_of_others(run, connection, wanted)
    conclude(run, wanted, done, left_out, where)


def _wanted(
    run: Invocation,
    database: str,
    owner: str,
    app_user: str,
    readonly_user: str | None,
    extra: Sequence[str],
    locale: str | None,
) -> Wanted:
    from agentdb_cli import packs
    from agentdb_cli.provisioning import facts, model

    pack = packs.load(run.settings.pack)
    if run.settings.schema is not None and not pack.movable:
        raise SettingsError(
            f"pack {pack.name} has schemas of its own and cannot be put into "
            f"'{run.settings.schema}'",
            hint="leave out --schema",
        )
    roles = {"owner": owner, "app": app_user}
    if readonly_user is not None:
        roles["readonly"] = readonly_user
    wanted = model.Wanted(
        database,
        roles,
        run.settings.schema,
        locale,
        tuple(dict.fromkeys((*facts.of_pack(pack.name), *extra))),
        tuple(extra),
        model.roles_of_pack(pack.content.get("roles", {})),
    )
    model.checked_names(wanted)
    return wanted


def _administrator(run: Invocation, url: str | None) -> Invocation:
    """This run with the administrator's URL; messages name the option that it came from."""
    if url is None:
        return run
    admin = Invocation(replace(run.options, url=url), run.command)
    target = replace(admin.settings.target, source="--admin-url")
    admin.settings = replace(admin.settings, target=target)
    return admin


def _refuse_standby(connection: Connection) -> None:
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is not None and row[0]:
        raise AgentdbError(
            "this server is a standby, which takes no changes", hint="connect to the primary"
        )


def _preview(
    run: Invocation, connection: Connection, wanted: Wanted, *, rotate: bool
) -> tuple[Plan, Plan]:
    """What would be done, on the server and within the database, without passwords."""
    from agentdb_cli.provisioning import roles, setup

    existing = roles.read(connection, wanted)
    kinds = roles.without_password(connection, wanted, existing, rotate=rotate)
    server, exists = setup.plan_server(
        connection, wanted, {wanted.roles[kind]: "" for kind in kinds}
    )
    if not exists:
        return server, setup.plan_new_database(connection, wanted)
    with run.connect_to(wanted.database, password=connection.info.password) as inside:
        return server, setup.plan_database(inside, wanted)


def _agreed(run: Invocation, steps: Sequence[Step], where: str, *, yes: bool) -> bool:
    from agentdb_cli.commands.outcomes import count

    if not yes:
        for step in steps:
            run.output.notice(step.what)
    if run.confirmed(f"{count(len(steps), 'step', 'steps')}, server {where}: go on?", yes=yes):
        return True
    run.output.notice("nothing was changed")
    return False


@contextmanager
def _only_setup(connection: Connection) -> Iterator[None]:
    """Refuse to run beside another setup on the same server.

    Raises:
        AgentdbError: another one is at work.
    """
    from agentdb_cli.postgres import advisory
    from agentdb_cli.provisioning.setup import LOCK

    if not advisory.try_lock(connection, LOCK):
        raise AgentdbError(
            f"another setup is at work: {advisory.holder(connection, LOCK)}",
            hint="wait for its end, then run setup again",
        )
    try:
        yield
    finally:
        if not connection.closed:
            advisory.unlock(connection, LOCK)


def _apply(
    run: Invocation,
    connection: Connection,
    wanted: Wanted,
    passwords: Passwords,
) -> tuple[list[Step], tuple[LeftOut, ...]]:
    """Do it; the plan is made anew, since others may have changed something meanwhile."""
    from agentdb_cli.provisioning import setup

    done: list[Step] = []

    def report(step: Step) -> None:
        done.append(step)
        run.output.notice(f"done: {step.what}")

    verifiers = passwords.verifiers(connection, wanted)
    server, _ = setup.plan_server(connection, wanted, verifiers)
    left_out = setup.apply(connection, server, report)
    with run.connect_to(wanted.database, password=connection.info.password) as inside:
        left_out += setup.apply(inside, setup.plan_database(inside, wanted), report)
    return done, tuple(left_out)


def _told_of_others(run: Invocation, connection: Connection, wanted: Wanted) -> None:
    from agentdb_cli.provisioning.database import elsewhere

    if others := elsewhere(connection, wanted):
        run.output.notice(
            f"PUBLIC may connect to {', '.join(others)}, and so may these roles; "
            f"REVOKE CONNECT ON DATABASE … FROM PUBLIC ends that"
        )
