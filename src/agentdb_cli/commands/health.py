"""`agentdb health`: is the database well, what is wrong, and what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import ConnectionFailed, ServerDown, SettingsError, nearest
from agentdb_cli.render import duration, style

if TYPE_CHECKING:
    from agentdb_cli.monitoring.checks import Check
    from agentdb_cli.monitoring.health import Finding, Status

app = typer.Typer(add_completion=False)


class For(StrEnum):
    """The monitoring systems whose formats `--for` writes."""

    nagios = "nagios"
    prometheus = "prometheus"


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
        float | None, typer.Option("--watch", metavar="SECONDS", min=0.5, help="Repeat.")
    ] = None,
    target: Annotated[
        For | None, typer.Option("--for", help="Write it for a monitoring system.")
    ] = None,
) -> None:
    """Check the database and its agents.

    Says what is wrong, since when, and what to do about it.

    Exit code: 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    checks = _chosen(run, only or (), skip or ())
    while True:
        started = time.monotonic()
        findings = _examine(run, checks, timeout)
        status = _show(run, findings, time.monotonic() - started, target)
        sys.stdout.flush()
        if watch is None:
            raise typer.Exit(int(status))
        time.sleep(watch)


def _chosen(run: Invocation, only: Sequence[str], skip: Sequence[str]) -> list[Check]:
    """The checks to run, with thresholds of the user's own."""
    from agentdb_cli.monitoring.checks import available

    checks = available()
    for name in (*only, *skip, *run.settings.health):
        if name not in checks:
            raise SettingsError(
                f"there is no check '{name}'{nearest(name, checks)}",
                hint=f"checks: {', '.join(checks)}",
            )
    chosen = [
        check.with_thresholds(run.settings.health.get(name, {}))
        for name, check in checks.items()
        if (not only or name in only) and name not in skip
    ]
    if not chosen:
        raise SettingsError("--only and --skip leave no check to run")
    return chosen


def _examine(run: Invocation, checks: Sequence[Check], timeout: float) -> list[Finding]:
    from agentdb_cli import packs
    from agentdb_cli.monitoring import health as monitoring
    from agentdb_cli.monitoring.checks import REACHABLE

    settings = run.settings
    content = packs.load(settings.pack).content
    # What agentdb.toml says of a table goes before what the pack says.
    own = {name: {**content.get(name, {}), **given} for name, given in settings.catalog.items()}
    pack = {**content, **own}
    try:
        with run.connect_briefly(timeout) as connection:
            findings = monitoring.examine(
                connection,
                checks,
                pack,
                timeout=timeout,
                own_pack=settings.pack_chosen,
            )
            if any(finding.detail == monitoring.LOCKED for finding in findings):
                findings = monitoring.with_blockers(findings, monitoring.blockers(connection))
    except (ServerDown, TimeoutError) as error:
        return [monitoring.Finding(REACHABLE, monitoring.Status.critical, None, str(error))]
    except ConnectionFailed as error:
        return [monitoring.Finding(REACHABLE, monitoring.Status.unknown, None, str(error))]
    return list(findings)


def _show(
    run: Invocation, findings: Sequence[Finding], seconds: float, target: For | None
) -> Status:
    from agentdb_cli.monitoring.health import overall

    status = overall(findings)
    if target is For.nagios:
        typer.echo(_nagios(findings, status))
    elif target is For.prometheus:
        typer.echo(_prometheus(findings, status), nl=False)
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
        "advice": check.advice,
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
        if name in ("warning", "critical"):
            limit = check.critical if name == "critical" else check.warning
            beyond = "below" if check.below else "over"
            indent = " " * 10
            if finding.value is not None:
                bound = f"{beyond} {_readable(limit, check.unit)}: {check.source}"
                run.output.line(f"{indent}{bound}")
            run.output.line(f"{indent}do: {check.advice}; see: {check.dig}")
    counts = ", ".join(
        f"{n} {name}" for name in order if (n := sum(f.status.name == name for f in findings))
    )
    run.output.line(f"{status.name}: {counts} in {duration(seconds)}")


def _readable(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "share":
        return f"{value:.1%}"
    if unit == "seconds":
        return duration(value)
    if unit == "bytes":
        for name in ("B", "kB", "MB", "GB"):
            if abs(value) < 1024:
                return f"{value:.0f} {name}"
            value /= 1024
        return f"{value:.1f} TB"
    return f"{value:g}"


def _nagios(findings: Sequence[Finding], status: Status) -> str:
    """One line as Nagios' plug-in interface wants it, with performance data."""
    bad = [f for f in findings if f.status.name in ("critical", "warning", "unknown")]
    text = "; ".join(f"{f.check.name}: {f.detail}" for f in bad) or "all checks passed"
    data = " ".join(
        f"{f.check.name}={f.value:.12g};{_range(f.check, f.check.warning)};"
        + _range(f.check, f.check.critical)
        for f in findings
        if f.value is not None
    )
    line = f"AGENTDB {status.name.upper()} - {text}".replace("|", "/").replace("\n", " ")
    return f"{line} | {data}" if data else line


def _range(check: Check, threshold: float | None) -> str:
    """A threshold in Nagios' notation: `10` is bad above, `10:` is bad below."""
    if threshold is None:
        return ""
    return f"{threshold:.12g}:" if check.below else f"{threshold:.12g}"


def _prometheus(findings: Sequence[Finding], status: Status) -> str:
    """Prometheus' text format: a status and, where known, a value for each check."""
    lines = [
        "# HELP agentdb_health Worst status (0 ok, 1 warning, 2 critical, 3 unknown).",
        "# TYPE agentdb_health gauge",
        f"agentdb_health {int(status)}",
        "# HELP agentdb_check_status Status of a check (0 ok, 1 warning, 2 critical, 3 unknown).",
        "# TYPE agentdb_check_status gauge",
    ]
    shown = [f for f in findings if f.status.name != "skipped"]
    lines += [f'agentdb_check_status{{check="{f.check.name}"}} {int(f.status)}' for f in shown]
    lines += [
        "# HELP agentdb_check_value What a check measured, in its unit.",
        "# TYPE agentdb_check_value gauge",
    ]
    lines += [
        f'agentdb_check_value{{check="{f.check.name}",unit="{f.check.unit}"}} {f.value:.12g}'
        for f in shown
        if f.value is not None
    ]
    return "\n".join(lines) + "\n"
