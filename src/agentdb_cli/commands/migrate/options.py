"""The options that the commands of `agentdb migrate` share, and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError
from agentdb_cli.render import duration, style

if TYPE_CHECKING:
    from agentdb_cli.migrations.apply import Done
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.migrations.runner import Progress

Directory = Annotated[
    Path | None,
    typer.Option("--dir", metavar="DIR", help="Migrations of your own instead of the pack's."),
]
Variables = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set a variable that the files use."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what is pending, change nothing.")]
LockWait = Annotated[
    str | None,
    typer.Option(
        "--lock-wait", metavar="TIME", help="Longest wait for another run (default 10min)."
    ),
]
LockRetries = Annotated[
    int | None,
    typer.Option(
        "--lock-retries",
        metavar="NUMBER",
        min=0,
        help="How often to try a file again that did not get a lock (default 15).",
    ),
]
LockRetryTime = Annotated[
    str | None,
    typer.Option(
        "--lock-retry-time",
        metavar="TIME",
        help="After how long a file is not tried again (default 2min).",
    ),
]
AllowChanged = Annotated[
    bool,
    typer.Option("--allow-changed", help="Go on although applied files have changed."),
]
AllowMissing = Annotated[
    bool,
    typer.Option("--allow-missing", help="Go on although applied files are missing."),
]
OutOfOrder = Annotated[
    bool,
    typer.Option("--out-of-order", help="Apply files numbered below the newest applied one."),
]

SkipUnavailable = Annotated[
    bool,
    typer.Option(
        "--skip-unavailable",
        help="Leave out files that need an extension which the server does not have.",
    ),
]


def job_of(
    run: Invocation,
    directory: Path | None,
    variables: list[str] | None,
    lock_wait: str | None = None,
    lock_retries: int | None = None,
    lock_retry_time: str | None = None,
) -> Job:
    """The files, tracking table and variables that options and settings name."""
    from dataclasses import replace

    from agentdb_cli.migrations import job

    settings = run.settings
    # A pack named on the command line comes before a directory in the file.
    own = directory or (None if run.options.pack else settings.migrations.directory)
    found = job.of_directory(settings, own) if own else job.of_pack(settings, settings.pack)
    values = {**found.variables, **_assignments(variables or ())}
    return replace(
        found,
        variables=values,
        lock_wait=_duration("--lock-wait", lock_wait, found.lock_wait),
        lock_retries=found.lock_retries if lock_retries is None else lock_retries,
        lock_retry_time=_duration("--lock-retry-time", lock_retry_time, found.lock_retry_time),
    )


def _duration(option: str, given: str | None, otherwise: int) -> int:
    """The milliseconds of an option."""
    from agentdb_cli.settings import milliseconds

    try:
        return milliseconds(given) if given else otherwise
    except ValueError as error:
        raise SettingsError(f"{option} must be {error}") from None


def _assignments(given: Sequence[str]) -> dict[str, int | float | str]:
    """`--set NAME=VALUE` options; a value that is a number becomes one."""
    values: dict[str, int | float | str] = {}
    for assignment in given:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise SettingsError(f"--set wants NAME=VALUE, not '{assignment}'")
        values[name] = int(value) if value.lstrip("-").isdecimal() else value
    return values


def progress_of(run: Invocation, word: str = "applied") -> Progress:
    """How a run reports what it does; `word` is what it has done to each file."""
    from agentdb_cli.migrations.runner import Progress

    def applied(done: Done) -> None:
        mark = style(word, "ok", sys.stdout)
        run.output.line(f"{mark}  {done.file.label}  {duration(done.seconds)}")

    return Progress(applied, run.output.notice, run.output.warning)
