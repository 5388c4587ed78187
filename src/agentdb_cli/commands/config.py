"""`agentdb config`: which settings are in force, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration
from agentdb_cli.settings import (
    Candidate,
    NoDatabaseChosen,
    Settings,
    Target,
    inspections_directory,
    resolve,
)

if TYPE_CHECKING:
    from agentdb_cli.settings import SettingsFile

app = group("Show which settings are in force, and why.")


@register(app, "show")
def show(run: Invocation) -> None:
    """Show the six sources of the connection, the one that won, and the settings."""
    settings = run.settings
    rows = [_row(candidate, settings.target) for candidate in settings.candidates]
    if not run.output.for_people:
        run.output.rows(_COLUMNS, rows)
        return
    run.output.line(f"Database: {settings.target}")
    run.output.line(f"  from {settings.target.source} ({settings.target.origin}),")
    run.output.line("  the first of these sources that is set:")
    run.output.line()
    run.output.rows(_COLUMNS, rows)
    run.output.line()
    inspections = inspections_directory(run.options.config, run.options.env)
    run.output.record({**_others(settings), "inspections": inspections or "agentdb's own"})


@register(app, "path")
def path(run: Invocation) -> None:
    """Print the path of the agentdb.toml in use; exit 1 if there is none."""
    from agentdb_cli.settings import read_file

    found = read_file(run.options.config)
    if found is None:
        raise AgentdbError(
            "there is no agentdb.toml here or in a directory above",
            hint="agentdb init writes one",
        )
    typer.echo(found.path)


@register(app, "check")
def check(run: Invocation) -> None:
    """Check agentdb.toml, .env and every URL in them, without connecting."""
    from agentdb_cli.settings import read_file

    found = read_file(run.options.config)
    rows = []
    for environment in _environments(run, found):
        try:
            settings = resolve(run.flags._replace(environment=environment))
        except NoDatabaseChosen:
            if environment is None and run.options.env is None:
                continue  # such a file is meant to be used with --env
            raise
        rows.append(
            {
                "environment": environment or "(none)",
                "database": _checked(settings),
                "status": "ok",
            }
        )
    run.output.rows(("environment", "database", "status"), rows)
    for warning in _warnings(found):
        run.output.warning(warning)


_COLUMNS = ("rank", "source", "status", "origin", "value")


def _row(candidate: Candidate, chosen: Target) -> dict[str, object]:
    target = candidate.target
    status = "not set" if target is None else "used" if target is chosen else "set, not used"
    if target is not None and target.embedded and target is not chosen:
        status = "not used"
    value = str(target) if target else None
    if candidate.problem is not None:
        status, value = "malformed, not used", candidate.problem.message
    return {
        "rank": candidate.rank,
        "source": candidate.source,
        "status": status,
        "origin": target.origin if target else None,
        "value": value,
    }


def _others(settings: Settings) -> dict[str, object]:
    connection = settings.connection
    return {
        "settings_file": settings.file.path if settings.file else "none",
        "dotenv_file": settings.dotenv or "none",
        "environment": settings.environment or "none",
        "pack": settings.pack,
        "schema": settings.schema or "public, or the pack's own",
        "migrations": _migrations(settings),
        "history_table": settings.migrations.table,
        "variables": dict(settings.variables),
        "connect_timeout": _time(connection.connect_timeout),
        "lock_timeout": _time(connection.lock_timeout),
        "statement_timeout": _time(connection.statement_timeout),
    }


def _migrations(settings: Settings) -> str:
    """Where the migrations are, and the tool for which they are written."""
    directory = settings.migrations.directory
    if directory is None:
        return f"those of pack {settings.pack}"
    from agentdb_cli.migrations import files, foreign

    try:
        format = foreign.recognise(files.read(directory))
    except AgentdbError as error:
        return f"{directory} ({error.message})"
    return f"{directory} ({format} files)"


def _time(milliseconds: int) -> str:
    return duration(milliseconds / 1000) if milliseconds else "none"


def _environments(run: Invocation, found: SettingsFile | None) -> tuple[str | None, ...]:
    """What to check: the environment of --env, or else all and what holds without --env."""
    if run.options.env is not None:
        return (run.options.env,)
    return (*(found.environments if found else ()), None)


def _checked(settings: Settings) -> str:
    """The database that these settings lead to.

    Raises:
        SettingsError: a source is malformed, even one that does not win; there
            is no such pack.
    """
    from agentdb_cli.packs import load
    from agentdb_cli.postgres.connect import describe, parameters

    load(settings.pack)
    for candidate in settings.candidates:
        if candidate.problem is not None:
            raise candidate.problem
        if candidate.target is not None and not candidate.target.embedded:
            parameters(candidate.target)
    target = settings.target
    return "embedded server" if target.embedded else describe(parameters(target))


def _warnings(found: SettingsFile | None) -> list[str]:
    """Passwords in files that other accounts can read."""
    from agentdb_cli.settings import dotenv, dotenv_path

    tables = [found.content, *found.content.get("environments", {}).values()] if found else []
    holders = []
    if found and any(_has_password(table.get("url")) for table in tables):
        holders.append(found.path)
    if beside := dotenv_path(found):
        variables = dotenv.read(beside)
        urls = {"DATABASE_URL", *(table["url_env"] for table in tables if "url_env" in table)}
        if any(variables.get(name) for name in ("POSTGRESQL_PASSWORD", "PGPASSWORD")) or any(
            _has_password(variables.get(name)) for name in urls
        ):
            holders.append(beside)
    return [
        f"{path} holds a password and other accounts can read it: "
        f"chmod 600 {path}, or move the password to ~/.pgpass"
        for path in holders
        if path.stat().st_mode & 0o044
    ]


def _has_password(url: str | None) -> bool:
    from agentdb_cli.settings.urls import MASK, mask

    return url is not None and MASK in mask(url)
