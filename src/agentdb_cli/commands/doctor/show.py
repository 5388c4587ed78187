"""Findings of the check-list as lines for people and as rows for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from agentdb_cli.render import Output, duration, style

if TYPE_CHECKING:
    from agentdb_cli.diagnosis.findings import Finding, Item

COLUMNS = ("check", "area", "status", "title", "value", "why", "source", "findings")

MOST = 3
"""How many of a check's findings are shown; --fix and the other formats have all."""

_INDENT = " " * 10
_STYLES = {"ok": "ok", "warning": "warning", "critical": "error"}


def row(finding: Finding) -> dict[str, object]:
    """A finding for programs."""
    check = finding.check
    return {
        "check": check.name,
        "area": check.area,
        "status": finding.status.name,
        "title": check.title,
        "value": value(finding),
        "why": check.why,
        "source": check.source,
        "findings": [
            {
                "status": item.status.name,
                "value": item.value,
                "sql": item.sql,
                "caution": item.caution,
                "advice": item.advice,
            }
            for item in finding.problems
        ],
    }


def value(finding: Finding) -> str:
    """What a check found, in one line."""
    items = finding.problems or finding.items
    return items[0].value + (f" (and {len(items) - 1} more)" if len(items) > 1 else "")


def counts(findings: Sequence[Finding]) -> str:
    """`2 critical, 5 warning, 29 ok`."""
    names = ("critical", "warning", "unknown", "ok", "skipped")
    found = [finding.status.name for finding in findings]
    return ", ".join(f"{found.count(name)} {name}" for name in names if name in found)


def table(output: Output, findings: Sequence[Finding], seconds: float) -> None:
    """Write the findings area by area, the worst first, and what to do below each."""
    from agentdb_cli.diagnosis.findings import overall
    from agentdb_cli.status import SEVERITY

    for area, group in groupby(findings, key=lambda finding: finding.check.area):
        output.line(style(area.capitalize(), "hint", sys.stdout))
        for finding in sorted(group, key=lambda each: SEVERITY.index(each.status)):
            name = finding.status.name
            mark = style(f"{name:8}", _STYLES.get(name, "dim"), sys.stdout)
            shown = value(finding) if len(finding.problems) < 2 else f"{len(finding.problems)}:"
            output.line(f"{mark}  {finding.check.name:21} {finding.check.title}: {shown}")
            for line in _below(finding):
                output.line(_INDENT + line)
        output.line()
    output.line(f"{overall(findings).name}: {counts(findings)} in {duration(seconds)}")


def _below(finding: Finding) -> Iterator[str]:
    """Why it matters, what mends each thing that was found, and where the threshold is from."""
    problems = finding.problems
    if not problems:
        return
    for item in problems[:MOST]:
        if len(problems) > 1:
            yield f"- {item.value}"
        yield from _mended(item)
    if len(problems) > MOST:
        yield f"- and {len(problems) - MOST} more: --fix FILE and --format json have all"
    if finding.status.name != "unknown":
        yield f"why: {finding.check.why}"
        yield f"source: {finding.check.source}"


def _mended(item: Item) -> Iterator[str]:
    if item.sql:
        yield f"do: {item.sql};"
    if item.caution:
        yield f"    mind: {item.caution}"
    if item.advice:
        yield f"{'or' if item.sql else 'do'}: {item.advice}"
