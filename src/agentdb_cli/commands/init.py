"""`agentdb init`: write an agentdb.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation, register
from agentdb_cli.errors import AgentdbError

app = typer.Typer()


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

    Takes the pack from --pack, the database from --url (its password is left
    out) and, with --env NAME, puts it under [environments.NAME].
    """
    import tomli_w

    from agentdb_cli.settings.file import FILE_NAME, read

    path = run.options.config or Path(FILE_NAME)
    text = tomli_w.dumps(_content(run, directory))
    if dry_run:
        typer.echo(text, nl=False)
        return
    if path.exists() and not force:
        raise AgentdbError(f"{path} exists already", hint="--force replaces it")
    path.write_text(text, encoding="utf-8")
    read(path)
    run.output.line(f"wrote {path.absolute()}")


def _content(run: Invocation, directory: Path | None) -> dict[str, Any]:
    """The file's content, from the options alone: the environment is not copied into it."""
    from agentdb_cli import packs
    from agentdb_cli.settings import DEFAULT_PACK

    pack = packs.load(run.options.pack or DEFAULT_PACK)
    database: dict[str, Any] = {}
    if run.options.url is not None:
        database["url"] = _url_without_password(run)
    content: dict[str, Any] = {"pack": pack.name}
    if run.options.env is None:
        content |= database
    if directory is not None:
        content["migrations"] = {"dir": str(directory)}
    if pack.variables:
        content["variables"] = dict(pack.variables)
    if run.options.env is not None:
        content["environments"] = {run.options.env: database or {"url_env": "DATABASE_URL"}}
    return content


def _url_without_password(run: Invocation) -> str:
    from agentdb_cli.postgres.connect import parameters
    from agentdb_cli.settings import Flags, resolve

    target = resolve(Flags(url=run.options.url)).target
    if target.embedded:
        return "embedded"
    from psycopg.conninfo import make_conninfo

    keywords = parameters(target)
    if keywords.pop("password", None) is not None:
        run.output.notice(
            "the password was left out: put it into ~/.pgpass, PGPASSWORD or DATABASE_URL"
        )
    return make_conninfo(**keywords)  # type: ignore[arg-type]
