"""`agentdb config`: which settings are in force, and why."""

from __future__ import annotations

import typer

from agentdb_cli.commands.invocation import Invocation, register
from agentdb_cli.errors import AgentdbError
from agentdb_cli.settings import Candidate, Settings, resolve
from agentdb_cli.settings.sources import Target

app = typer.Typer(no_args_is_help=True, help="Show which settings are in force, and why.")


@register(app, "show")
def show(run: Invocation) -> None:
    """Show the six sources of the connection, the one that won, and the settings."""
    settings = run.settings
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [_row(c, settings.target) for c in settings.candidates])
        return
    run.output.line(f"Database: {settings.target}")
    run.output.line(f"  from {settings.target.source} ({settings.target.origin}),")
    run.output.line("  the first of these sources that is set:")
    run.output.line()
    run.output.rows(_COLUMNS, [_row(c, settings.target) for c in settings.candidates])
    run.output.line()
    run.output.record(_others(settings))


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
    from agentdb_cli.packs import load
    from agentdb_cli.postgres.connect import describe, parameters
    from agentdb_cli.settings import read_file

    found = read_file(run.options.config)
    names = found.environments if found else ()
    rows = []
    for environment in (*names, None) if run.options.env is None else (run.options.env,):
        try:
            settings = resolve(_in_environment(run, environment))
        except AgentdbError as error:
            if environment is None and names and "no database chosen" in error.message:
                continue  # such a file is meant to be used with --env
            raise
        load(settings.pack)
        target = settings.target
        place = "embedded server" if target.embedded else describe(parameters(target))
        rows.append({"environment": environment or "(none)", "database": place, "status": "ok"})
    run.output.rows(("environment", "database", "status"), rows)
    for warning in _warnings(run):
        run.output.warning(warning)


_COLUMNS = ("rank", "source", "status", "origin", "value")


def _row(candidate: Candidate, chosen: Target) -> dict[str, object]:
    target = candidate.target
    status = "not set" if target is None else "used" if target is chosen else "set, not used"
    if target is not None and target.embedded and target is not chosen:
        status = "not used"
    return {
        "rank": candidate.rank,
        "source": candidate.source,
        "status": status,
        "origin": target.origin if target else None,
        "value": str(target) if target else None,
    }


def _others(settings: Settings) -> dict[str, object]:
    connection = settings.connection
    return {
        "settings_file": settings.file.path if settings.file else "none",
        "dotenv_file": settings.dotenv or "none",
        "environment": settings.environment or "none",
        "pack": settings.pack,
        "migrations": settings.migrations.directory or f"those of pack {settings.pack}",
        "history_table": settings.migrations.table,
        "variables": dict(settings.variables),
        "connect_timeout": f"{connection.connect_timeout} ms",
        "lock_timeout": f"{connection.lock_timeout} ms",
        "statement_timeout": f"{connection.statement_timeout} ms",
    }


def _in_environment(run: Invocation, environment: str | None):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(run.flags, environment=environment)


def _warnings(run: Invocation) -> list[str]:
    """Passwords in files that other accounts can read."""
    from agentdb_cli.settings import read_file
    from agentdb_cli.settings.urls import MASK, mask

    found = read_file(run.options.config)
    if found is None or not found.path.stat().st_mode & 0o044:
        return []
    if MASK not in mask(found.path.read_text(encoding="utf-8-sig")) and not any(
        MASK in mask(line.partition("=")[2].strip(" \"'"))
        for line in found.path.read_text(encoding="utf-8-sig").splitlines()
    ):
        return []
    return [f"{found.path} holds a password and other accounts can read it: chmod 600, or .pgpass"]
