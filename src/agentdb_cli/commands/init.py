"""`agentdb init`: write an agentdb.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import AgentdbError

app = typer.Typer(add_completion=False)


@register(app, "init")
def init(
    run: Invocation,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Migrations of your own, instead of a pack's."),
    ] = None,
    discover: Annotated[
        bool,
        typer.Option("--discover", help="Look at the database: its pack, logs and vectors."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it, write nothing.")] = False,
) -> None:
    """Write an agentdb.toml.

    Takes the pack from --pack and the database from --url (its password is
    left out). With --env NAME the database becomes that environment's.

    With --discover the database is looked at (and only read): if it is one of
    the packs, that pack is named; otherwise its vector columns, logs,
    heartbeats and metrics are proposed, to be read before they are used.
    Proposed retention is switched off: enabled = true makes it count.
    """
    import tomli_w

    from agentdb_cli.settings.file import FILE_NAME, parse

    path = run.options.config or Path(FILE_NAME)
    if path.exists() and not (force or dry_run):
        raise AgentdbError(f"{path} exists already", hint="--force replaces it")
    content = _content(run, directory)
    if discover:
        content = _discovered(run, content)
    text = tomli_w.dumps(content)
    parse(path, text)  # refuses what agentdb could not read back
    if dry_run:
        typer.echo(text, nl=False)
        return
    _write(path, text)
    run.output.line(f"wrote {path.absolute()}")


def _discovered(run: Invocation, content: dict[str, Any]) -> dict[str, Any]:
    """The content with what the database shows."""
    from agentdb_cli.migrations.recognise import recognise
    from agentdb_cli.postgres.discover import discover

    with run.connect() as live:
        found = discover(live)
        fits = recognise(live, run.scratch, run.settings)
    rest = {k: v for k, v in content.items() if k not in ("pack", "variables", "migrations")}
    for fit in fits:
        place = f" in schema {fit.schema}" if fit.schema not in (None, "public") else ""
        run.output.notice(
            f"pack {fit.pack}{place} explains {fit.explained} of {fit.columns} columns"
        )
    if fits:
        own: dict[str, Any] = {"pack": fits[0].pack}
        if fits[0].schema not in (None, "public"):
            own["schema"] = fits[0].schema
        if found.dimensions:
            dimensions = max(found.dimensions.values(), key=list(found.dimensions.values()).count)
            own["variables"] = {"embedding_dimensions": dimensions}
        return {**own, **rest}
    run.output.notice("no pack explains this database; what was found is proposed")
    # A directory of its own, so that no pack is ever migrated into this database.
    own = {"migrations": content.get("migrations", {"dir": "migrations"})}
    for name in ("retention", "collections", "heartbeats", "metrics"):
        if entries := getattr(found, name):
            own[name] = dict(entries)
    return {**rest, **own}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AgentdbError(
            f"cannot write {path}: {error.strerror}",
            hint="choose another place with --config FILE",
        ) from error


def _content(run: Invocation, directory: Path | None) -> dict[str, Any]:
    """The file's content, from the options alone: the environment is not copied into it."""
    from agentdb_cli import packs
    from agentdb_cli.settings import DEFAULT_PACK

    pack = packs.load(run.options.pack or DEFAULT_PACK)
    database: dict[str, Any] = {}
    if run.options.url is not None:
        database["url"] = _url_without_password(run, run.options.url)
    content: dict[str, Any] = {"pack": pack.name}
    if run.options.env is None:
        content |= database
    if directory is not None:
        content["migrations"] = {"dir": _seen_from(run.options.config, directory)}
    if pack.variables:
        content["variables"] = dict(pack.variables)
    if run.options.env is not None:
        content["environments"] = {run.options.env: database or {"url_env": "DATABASE_URL"}}
    return content


def _seen_from(config: Path | None, directory: Path) -> str:
    """`directory` as the file names it: relative paths in it count from its own directory."""
    if config is None or directory.is_absolute():
        return str(directory)
    return os.path.relpath(directory, config.parent)


def _url_without_password(run: Invocation, url: str) -> str:
    """The URL as given, or without its password as a conninfo string."""
    from psycopg.conninfo import make_conninfo

    from agentdb_cli.postgres.connect import parameters
    from agentdb_cli.settings import sources, urls

    target = sources.from_url("--url", "command line", url)
    if target.embedded:
        return urls.EMBEDDED
    keywords = parameters(target)
    secrets = [name for name in keywords if urls.is_secret(name)]
    if not secrets and target.url is not None:
        return target.url
    for name in secrets:
        del keywords[name]
    run.output.notice(
        "the password was left out: put it into ~/.pgpass, PGPASSWORD or DATABASE_URL"
    )
    return make_conninfo("", **keywords)
