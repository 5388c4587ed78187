"""`agentdb health`: is the database well, what is wrong, and what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands import health_formats
from agentdb_cli.commands.global_options import FORMAT
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import ConnectionFailed, ServerDown, SettingsError, nearest
from agentdb_cli.render import Format, duration, style

if TYPE_CHECKING:
    from agentdb_cli.monitoring.checks import Check
    from agentdb_cli.monitoring.health_findings import Finding, Place
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.settings import Settings
    from agentdb_cli.status import Status

app = typer.Typer(add_completion=False)


class Written(StrEnum):
    """The values of `--format`: those of every command, and two for monitoring systems."""

    table = Format.table.value
    json = Format.json.value
    jsonl = Format.jsonl.value
    csv = Format.csv.value
    plain = Format.plain.value
    nagios = "nagios"
    prometheus = "prometheus"


_FOR_MONITORS = (Written.nagios, Written.prometheus)


@register(app, "health")
def health(
    run: Invocation,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Run this check alone.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="CHECK", help="Leave this check out.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds until no answer is an answer.")
    ] = 5.0,
    watch: Annotated[
        float | None,
        typer.Option("--watch", metavar="SECONDS", min=0.5, help="Repeat until Ctrl-C."),
    ] = None,
    format: Annotated[Written | None, FORMAT] = None,
) -> None:
    """Check the database and its agents.

    Says what is wrong, since when, and what to do about it.

    Exit code: 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    if format is not None and format not in _FOR_MONITORS:
        run.output.format = Format(format.value)
    checks = _chosen(run, only or (), skip or ())
    while True:
        started = time.monotonic()
        findings = _examine(run, checks, timeout)
        status = _show(run, findings, time.monotonic() - started, format)
        sys.stdout.flush()
        if watch is None:
            raise typer.Exit(int(status))
        time.sleep(watch)
        if format not in _FOR_MONITORS:
            run.output.line()


def _chosen(run: Invocation, only: Sequence[str], skip: Sequence[str]) -> list[Check]:
    """The checks to run, with the pack's thresholds and, before them, the user's own."""
    from agentdb_cli.monitoring.checks import available

    settings, checks = run.settings, available()
    for name in (*only, *skip, *settings.health):
        if name not in checks:
            raise SettingsError(
                f"there is no check '{name}'{nearest(name, checks)}",
                hint=f"checks: {', '.join(checks)}",
            )
    pack = _pack(settings)
    chosen = [
        check.with_pack(pack, settings.pack).with_thresholds(settings.health.get(name, {}))
        for name, check in checks.items()
        if (not only or name in only) and name not in skip
    ]
    if not chosen:
        raise SettingsError("--only and --skip leave no check to run")
    return chosen


def _pack(settings: Settings) -> dict[str, Any]:
    """What pack.toml says of the database, with agentdb.toml laid over it."""
    from agentdb_cli import packs

    return _laid_over(packs.load(settings.pack).content, settings.catalog)


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        below = base.get(name)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = _laid_over(dict(below or {}), value) if both else value
    return merged


def _place(settings: Settings) -> Place:
    from agentdb_cli.commands import known_backups
    from agentdb_cli.monitoring.health_findings import Place

    own = settings.catalog
    return Place(
        pack=_pack(settings),
        pack_chosen=settings.pack_chosen,
        named=frozenset(own) | {f"collections.{name}" for name in own.get("collections", {})},
        state=settings.state_directory,
        backups=known_backups.newest(settings),
        backed_up=known_backups.expected(settings),
    )


def _examine(run: Invocation, checks: Sequence[Check], timeout: float) -> list[Finding]:
    from agentdb_cli.monitoring import health as monitoring
    from agentdb_cli.monitoring.checks import REACHABLE, available
    from agentdb_cli.monitoring.health_findings import LOCKED, Finding
    from agentdb_cli.postgres import embedded  # noqa: F401  loaded before the clock starts
    from agentdb_cli.status import Status

    place = _place(run.settings)
    reachable = next((c for c in checks if c.name == REACHABLE), available()[REACHABLE])
    started = time.monotonic()
    try:
        with _connected(run, timeout) as connection:
            findings = monitoring.examine(
                connection, checks, place, timeout=timeout, started=started
            )
            if any(finding.detail == LOCKED for finding in findings):
                findings = monitoring.with_blockers(findings, monitoring.blockers(connection))
    except (ConnectionFailed, TimeoutError) as error:
        down = isinstance(error, ServerDown | TimeoutError)
        status = Status.critical if down else Status.unknown
        hint = error.hint if isinstance(error, ConnectionFailed) else None
        return [Finding(reachable, status, None, str(error), hint)]
    return list(findings)


def _connected(run: Invocation, timeout: float) -> Connection:
    """A connection within `timeout` seconds; libpq itself never gives up before two.

    Raises:
        ConnectionFailed: there is none.
    """
    from threading import Thread

    opened: list[Connection] = []
    failed: list[BaseException] = []

    def connect() -> None:
        try:
            opened.append(run.connect_briefly(timeout))
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=connect, daemon=True)
    thread.start()
    thread.join(timeout + 0.1)  # where libpq can, it gives up first, and says more
    if failed:
        raise failed[0]
    if not opened:
        target = run.settings.target
        raise ServerDown(
            f"cannot connect to {target} (from {target.source}): no answer within {timeout:g} s",
            hint="the server hangs, or a firewall drops the packets",
        )
    return opened[0]


def _show(
    run: Invocation, findings: Sequence[Finding], seconds: float, format: Written | None
) -> Status:
    from agentdb_cli.monitoring.health_findings import overall

    status = overall(findings)
    if format is Written.nagios:
        typer.echo(health_formats.nagios(findings, status))
    elif format is Written.prometheus:
        typer.echo(health_formats.prometheus(findings, status), nl=False)
    elif run.output.for_people:
        _table(run, findings, status, seconds)
    else:
        run.output.rows(_COLUMNS, [_row(finding) for finding in findings])
    return status


_COLUMNS = (
    "check", "status", "value", "unit", "warning", "critical", "source", "detail", "advice", "dig",
)  # fmt: skip


def _row(finding: Finding) -> dict[str, object]:
    check = finding.check
    return {
        "check": check.name,
        "status": finding.status.name,
        "value": finding.value,
        "unit": check.unit,
        "warning": check.warning,
        "critical": check.critical,
        "source": check.source,
        "detail": finding.detail,
        "advice": finding.advice,
        "dig": check.dig,
    }


def _table(run: Invocation, findings: Sequence[Finding], status: Status, seconds: float) -> None:
    styles = {"ok": "ok", "warning": "warning", "critical": "error"}
    order = ("critical", "warning", "unknown", "ok", "skipped")
    for finding in sorted(findings, key=lambda f: order.index(f.status.name)):
        check, name = finding.check, finding.status.name
        mark = style(f"{name:8}", styles.get(name, "dim"), sys.stdout)
        shown = _readable(finding.value, check.unit)
        run.output.line(f"{mark}  {check.name:22} {shown:>9}  {finding.detail}")
        for line in _further(finding):
            run.output.line(" " * 10 + line)
    counts = ", ".join(
        f"{n} {name}" for name in order if (n := sum(f.status.name == name for f in findings))
    )
    run.output.line(f"{status.name}: {counts} in {duration(seconds)}")


def _further(finding: Finding) -> list[str]:
    """What stands below a finding: the threshold, what to do and where to look."""
    check, name = finding.check, finding.status.name
    lines = []
    if name in ("warning", "critical") and finding.value is not None:
        limit = check.critical if name == "critical" else check.warning
        beyond = "below" if check.below else "over"
        lines.append(f"{beyond} {_readable(limit, check.unit)}: {check.source}")
    if name in ("warning", "critical"):
        lines.append(f"do: {finding.advice}; see: {check.dig}")
    elif name == "unknown" and finding.advice:
        lines.append(f"do: {finding.advice}")
    return lines


_NEVER = 1e9
"""Seconds that a check returns for what never happened."""


def _readable(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "seconds":
        return duration(value) if value < _NEVER else "never"
    if unit == "bytes":
        for name in ("B", "kB", "MB", "GB"):
            if abs(value) < 1024:
                return f"{value:.0f} {name}"
            value /= 1024
        return f"{value:.1f} TB"
    return f"{value:g}"
