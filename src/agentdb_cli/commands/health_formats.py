"""Findings in the formats of monitoring systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentdb_cli.monitoring.checks import Check
    from agentdb_cli.monitoring.health_findings import Finding
    from agentdb_cli.status import Status


def nagios(findings: Sequence[Finding], status: Status) -> str:
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


def prometheus(findings: Sequence[Finding], status: Status) -> str:
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
