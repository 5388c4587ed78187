"""`agentdb doctor`: is the server fit for production, and what mends what is not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.global_options import FORMAT
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.render import Format

if TYPE_CHECKING:
    from agentdb_cli.diagnosis.checks import Check
    from agentdb_cli.diagnosis.examine import Known
    from agentdb_cli.diagnosis.findings import Finding

app = typer.Typer(add_completion=False)


class Written(StrEnum):
    """The values of `--format`: those of every command, and two for reports."""

    table = Format.table.value
    json = Format.json.value
    jsonl = Format.jsonl.value
    csv = Format.csv.value
    plain = Format.plain.value
    markdown = "markdown"
    html = "html"


_REPORTS = (Written.markdown, Written.html)


@register(app, "doctor")
def doctor(
    run: Invocation,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="This check or area alone (repeatable)."),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="CHECK", help="Without this check or area (repeatable)."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory", metavar="SIZE", help="Memory of the server's machine, such as 16GB."
        ),
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="FILE", help="Write SQL that mends the findings; run none."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds until no answer is an answer.")
    ] = 30.0,
    format: Annotated[Written | None, FORMAT] = None,
) -> None:
    """Check whether the server is fit for production.

    Infrastructure, security, performance and monitoring: what is amiss, why it
    matters, and the command or SQL that mends it. Nothing is changed.

    Exit code: 0 ok, 1 warning, 2 critical, 3 unknown or no connection.
    """
    if format is not None and format not in _REPORTS:
        run.output.format = Format(format.value)
    checks = _chosen(only or (), skip or ())
    known = _known(run, _bytes(memory))
    if fix is not None and fix.exists():
        raise SettingsError(f"{fix} exists", hint="remove it, or name another file")
    started = time.monotonic()
    findings, place, database = _examine(run, checks, known, timeout)
    seconds = time.monotonic() - started
    from agentdb_cli.commands.doctor import formats, show
    from agentdb_cli.diagnosis.findings import overall

    if format is Written.markdown:
        typer.echo(formats.markdown(findings, place), nl=False)
    elif format is Written.html:
        typer.echo(formats.html(findings, place), nl=False)
    elif run.output.for_people:
        show.table(run.output, findings, seconds)
        if fix is None and any(item.sql for each in findings for item in each.problems):
            run.output.notice("--fix FILE writes the SQL of all this, for review")
    else:
        run.output.rows(show.COLUMNS, [show.row(finding) for finding in findings])
    if fix is not None:
        _write(run, fix, findings, place, database)
    raise typer.Exit(int(overall(findings)))


def _chosen(only: Sequence[str], skip: Sequence[str]) -> list[Check]:
    """The checks to run; an area stands for all of its own."""
    from agentdb_cli.diagnosis.checks import AREAS, available

    checks = available()
    for name in (*only, *skip):
        if name not in checks and name not in AREAS:
            raise SettingsError(
                f"there is no check '{name}'{nearest(name, (*AREAS, *checks))}",
                hint=f"areas: {', '.join(AREAS)}; checks: {', '.join(checks)}",
            )
    chosen = [
        check
        for check in checks.values()
        if (not only or {check.name, check.area} & set(only))
        and not {check.name, check.area} & set(skip)
    ]
    if not chosen:
        raise SettingsError("--only and --skip leave no check to run")
    return chosen


def _bytes(memory: str | None) -> int | None:
    from agentdb_cli.settings.keys import size

    if memory is None:
        return None
    try:
        found = size(memory)
    except ValueError as error:
        raise SettingsError(f"--memory {memory}: it must be {error}") from None
    if found < 1024**2:
        raise SettingsError(f"--memory {memory} is less than a server can run with")
    return found


def _known(run: Invocation, memory: int | None) -> Known:
    from datetime import UTC, datetime

    from agentdb_cli.commands import known_backups
    from agentdb_cli.diagnosis.examine import Known

    settings = run.settings
    return Known(
        today=datetime.now(UTC).date(),
        memory=memory,
        backups=known_backups.newest(settings),
        backed_up=known_backups.expected(settings),
    )


def _examine(
    run: Invocation, checks: Sequence[Check], known: Known, timeout: float
) -> tuple[tuple[Finding, ...], str, str]:
    """The findings, and where they were made.

    Raises:
        AgentdbError: nothing could be found out, exit code 3.
    """
    from agentdb_cli.diagnosis.examine import examine
    from agentdb_cli.postgres.connect import place

    try:
        with run.connect_briefly(timeout, ask=True) as connection:
            where, database = place(connection), connection.info.dbname
            return examine(connection, checks, known, timeout=timeout), where, database
    except SettingsError:
        raise
    except AgentdbError as error:
        error.exit_code = 3  # 1 would be a warning
        raise


def _write(
    run: Invocation, path: Path, findings: Sequence[Finding], place: str, database: str
) -> None:
    from agentdb_cli.diagnosis.script import script

    text = script(findings, place=place, database=database)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise AgentdbError(f"cannot write {path}: {error.strerror}", exit_code=3) from None
    run.output.notice(f"read {path}, then run it: psql -X -f {path}")
