"""`agentdb migrate lint`: what migrations would do to a database in use."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.global_options import FORMAT
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.migrate.options import Directory, Variables, job_of
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError, ConnectionFailed, SettingsError
from agentdb_cli.render import Format, style

if TYPE_CHECKING:
    from agentdb_cli.migrations.job import Job
    from agentdb_cli.migrations.lint.check import Source
    from agentdb_cli.migrations.lint.model import Finding


class Written(StrEnum):
    """The values of `--format`: those of every command, and two for code review."""

    table = Format.table.value
    json = Format.json.value
    jsonl = Format.jsonl.value
    csv = Format.csv.value
    plain = Format.plain.value
    github = "github"
    sarif = "sarif"


_FOR_REVIEW = (Written.github, Written.sarif)


def lint(
    run: Invocation,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Files to read instead of the pending ones."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Read applied migrations as well; needs no database.")
    ] = False,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="RULE", help="Look for this rule alone.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="RULE", help="Leave this rule out.")
    ] = None,
    directory: Directory = None,
    variables: Variables = None,
    format: Annotated[Written | None, FORMAT] = None,
) -> None:
    """Find what locks, rewrites or breaks a database in use, before it is applied.

    Reads the pending migrations, or all of them where no database answers.
    A table that the same run has made is empty and harms nobody: the pending
    files are one run, so are those of a pack and those that are named; with
    --all each file of a directory is a run of its own.

    A comment -- agentdb: allow RULE reason permits a rule: before the first
    statement in the whole file, elsewhere in the next statement. In
    agentdb.toml, [lint] skip = ["RULE"] switches a rule off, unless --rule
    names it, and ignore = ["db/old/*"] leaves files out.

    Exit code: 0 nothing found, 1 findings.
    """
    from agentdb_cli.migrations.lint import check, rules

    if format is not None and format not in _FOR_REVIEW:
        run.output.format = Format(format.value)
    lint = run.settings.lint
    where = f"skip in [lint] of {run.settings.file.path}" if run.settings.file else ""
    wanted = rules.chosen(rule or (), skip or (), lint.skip, where)
    sources, values = _sources(run, paths or [], everything, directory, variables)
    sources = _without_ignored(run, sources)
    findings = check.check(sources, wanted, values)
    _show(run, findings, format)
    judged = sum(source.judged for source in sources)
    files = count(judged, "file", "files")
    if findings:
        found = count(len(findings), "finding", "findings")
        raise AgentdbError(
            f"{found} in {len({f.path for f in findings})} of {files}",
            hint="rewrite them, or say why they are meant: -- agentdb: allow RULE reason",
        )
    if format not in _FOR_REVIEW:
        run.output.line(f"nothing found in {files}")


def _sources(
    run: Invocation,
    paths: Sequence[Path],
    everything: bool,
    directory: Path | None,
    variables: list[str] | None,
) -> tuple[tuple[Source, ...], dict[str, int | float | str | bool]]:
    """What to read, and the values of the variables in it."""
    from agentdb_cli.migrations.history import LOCAL_PACK
    from agentdb_cli.migrations.lint import sources

    if paths and (everything or directory):
        raise SettingsError(
            "file names exclude --all and --dir", hint="name files, or a directory of them"
        )
    job = job_of(run, directory, variables)
    if paths:
        return sources.named(paths), dict(job.variables)
    pending = None if everything else _pending(run, job)
    if pending is None:
        together = job.pack != LOCAL_PACK
        return sources.whole(job.directory, together=together), dict(job.variables)
    return sources.pending(job.directory, pending), dict(job.variables)


def _without_ignored(run: Invocation, found: tuple[Source, ...]) -> tuple[Source, ...]:
    """Leave out what [lint] ignores, and say so."""
    from agentdb_cli.migrations.lint import sources

    lint = run.settings.lint
    if not lint.ignore or lint.directory is None:
        return found
    left = sources.without(found, lint.ignore, lint.directory.absolute())
    number = sum(source.judged for source in found) - sum(source.judged for source in left)
    if number:
        run.output.notice(f"{count(number, 'file', 'files')} left out: ignore in [lint]")
    return left


def _pending(run: Invocation, job: Job) -> frozenset[int] | None:
    """The versions that have not been applied; None if there is no database to ask."""
    from agentdb_cli.migrations import runner

    try:
        with run.connect_briefly(_PATIENCE) as connection:
            entries = runner.status(connection, job)
    except ConnectionFailed as error:
        run.output.notice(f"all migrations are read, applied or not: {error.message}")
        return None
    return frozenset(entry.version for entry in entries if entry.applied is None)


_PATIENCE = 5.0
"""Seconds for a server to say what has been applied."""


def _show(run: Invocation, findings: Sequence[Finding], format: Written | None) -> None:
    if format in _FOR_REVIEW:
        from agentdb_cli.commands.migrate import lint_formats

        write = lint_formats.github if format is Written.github else lint_formats.sarif
        typer.echo(write(findings), nl=False)
    elif run.output.for_people:
        for finding in findings:
            _line(run, finding)
    else:
        run.output.rows(_COLUMNS, [_row(finding) for finding in findings])


def _line(run: Invocation, finding: Finding) -> None:
    severity = finding.rule.severity.value
    mark = style(severity, severity, sys.stdout)
    place = f"{finding.path}:{finding.line}:{finding.column}"
    run.output.line(f"{place}: {mark} {finding.rule.name}")
    if finding.statement:
        run.output.line(f"    {finding.statement}")
    run.output.line(f"  why:     {finding.reason}")
    run.output.line(f"  instead: {finding.rule.rewrite}")


_COLUMNS = ("file", "line", "column", "severity", "rule", "statement", "reason", "rewrite")


def _row(finding: Finding) -> dict[str, object]:
    return {
        "file": str(finding.path),
        "line": finding.line,
        "column": finding.column,
        "severity": finding.rule.severity.value,
        "rule": finding.rule.name,
        "statement": finding.statement,
        "reason": finding.reason,
        "rewrite": finding.rule.rewrite,
    }
