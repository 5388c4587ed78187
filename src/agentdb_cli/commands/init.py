"""`agentdb init`: write an agentdb.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation, register
from agentdb_cli.errors import AgentdbError

app = typer.Typer(add_completion=False)


@register(app, "init")
def init(
    run: Invocation,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Migrations of your own, instead of a pack's."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print it, write nothing.")] = False,
) -> None:
    """Write an agentdb.toml.

    Takes the pack from --pack and the database from --url (its password is
    left out). With --env NAME the database becomes that environment's.
    """
    import tomli_w

    from agentdb_cli.settings.file import FILE_NAME, parse

    path = run.options.config or Path(FILE_NAME)
    if path.exists() and not (force or dry_run):
        raise AgentdbError(f"{path} exists already", hint="--force replaces it")
    text = tomli_w.dumps(_content(run, directory))
    parse(path, text)  # refuses what agentdb could not read back
    if dry_run:
        typer.echo(text, nl=False)
        return
    _write(path, text)
    run.output.line(f"wrote {path.absolute()}")


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
