"""`agentdb migrate dump`: a canonical schema.sql."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import job_of
from agentdb_cli.errors import AgentdbError, SettingsError


def dump(
    run: Invocation,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a file, not to stdout."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Exit 1 with a diff if it is out of date."),
    ] = None,
) -> None:
    """Write the schema as SQL that is the same wherever the schema is the same.

    For review and for CI: in the order of names, without versions, owners and
    privileges. At its end are the applied migrations of all packs, so that a
    database made from it has nothing pending. Servers of different major
    versions write the same view or constraint in different words.
    """
    from agentdb_cli.migrations import dump as dumps

    if output and check:
        raise SettingsError("--output and --check exclude each other", hint="leave one of them out")
    before = _read(check) if check else ""
    job = job_of(run, None, None)
    with run.connect() as connection:
        text = dumps.dump(connection, job.table, run.settings.connection.lock_timeout)
    if check:
        _compare(run, check, before, text)
    elif output:
        _write(output, text)
        run.output.notice(f"wrote {output}")
    else:
        typer.echo(text, nl=False)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise AgentdbError(
            f"there is no file {path}", hint=f"agentdb migrate dump --output {path} writes it"
        ) from None
    except UnicodeDecodeError:
        raise AgentdbError(
            f"{path} is not UTF-8", hint="agentdb migrate dump --output writes it anew"
        ) from None
    except OSError as error:
        raise AgentdbError(f"cannot read {path}: {error.strerror}") from error


def _compare(run: Invocation, path: Path, before: str, now: str) -> None:
    from difflib import unified_diff

    if before == now:
        run.output.notice(f"{path} is up to date")
        return
    lines = before.splitlines(keepends=True), now.splitlines(keepends=True)
    for line in unified_diff(*lines, fromfile=str(path), tofile="database"):
        typer.echo(line if line.endswith("\n") else f"{line}\n", nl=False)
    raise AgentdbError(
        f"{path} is not the schema of the database",
        hint=f"agentdb migrate dump --output {path} writes it anew",
    )


def _write(path: Path, text: str) -> None:
    """Write all of it or leave the file as it was."""
    import tempfile

    temporary = ""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise AgentdbError(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
