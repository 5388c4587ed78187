"""Findings of the check-list as reports: Markdown for a ticket, HTML for a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from agentdb_cli.commands.doctor.show import counts, value

if TYPE_CHECKING:
    from agentdb_cli.diagnosis.findings import Finding, Item

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~&])")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left;
         vertical-align: top }
pre { background: #8882; padding: .5rem; white-space: pre-wrap }
.critical { color: #c00 } .warning { color: #a60 } .ok { color: #080 } .unknown { color: #666 }
"""


def markdown(findings: Sequence[Finding], place: str) -> str:
    """A report in Markdown, as GitHub has it."""
    from agentdb_cli.diagnosis.findings import overall

    lines = [
        f"# agentdb doctor: {overall(findings).name}",
        "",
        f"{_plain(place)}: {counts(findings)}",
    ]
    for area, group in _areas(findings):
        lines += ["", f"## {area.capitalize()}", "", "| status | check | found |", "|---|---|---|"]
        lines += [
            f"| {finding.status.name} | {finding.check.name} | {_plain(value(finding))} |"
            for finding in group
        ]
        for finding in group:
            if finding.problems:
                lines += ["", f"### {_plain(finding.check.title)}", ""]
                lines += [f"{finding.check.why} (source: {finding.check.source})"]
                for item in finding.problems:
                    lines += ["", *_item(item)]
    return "\n".join(lines) + "\n"


def _item(item: Item) -> Iterator[str]:
    yield f"- {item.status.name}: {_plain(item.value)}"
    if item.caution:
        yield f"  - mind: {_plain(item.caution)}"
    if item.advice:
        yield f"  - {_plain(item.advice)}"
    if item.sql:
        # A fence longer than any within, so that no name ends it.
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", item.sql) or [""]))
        yield ""
        yield f"  {fence}sql"
        yield from (f"  {line}" for line in f"{item.sql};".splitlines())
        yield f"  {fence}"


def _plain(text: str) -> str:
    """`text` on one line, with nothing that Markdown would act upon."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def html(findings: Sequence[Finding], place: str) -> str:
    """A report as one page of HTML that loads nothing."""
    from agentdb_cli.diagnosis.findings import overall

    title = f"agentdb doctor: {overall(findings).name}"
    lines = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{title}</h1>\n<p>{escape(place)}: {counts(findings)}</p>",
    ]
    for area, group in _areas(findings):
        lines += [f"<h2>{area.capitalize()}</h2>\n<table>"]
        lines += ["<tr><th>status</th><th>check</th><th>found</th></tr>"]
        for finding in group:
            name = finding.status.name
            lines.append(
                f'<tr><td class="{name}">{name}</td><td>{finding.check.name}</td>'
                f"<td>{''.join(_cell(finding))}</td></tr>"
            )
        lines.append("</table>")
    return "\n".join(lines) + "\n</body>\n</html>\n"


def _cell(finding: Finding) -> Iterator[str]:
    check = finding.check
    yield f"{escape(check.title)}: {escape(value(finding))}"
    if not finding.problems:
        return
    yield f"<p>{escape(check.why)}<br>source: {escape(check.source)}</p>"
    for item in finding.problems:
        yield f"<p>{escape(item.value)}"
        if item.caution:
            yield f"<br>mind: {escape(item.caution)}"
        if item.advice:
            yield f"<br>{escape(item.advice)}"
        yield "</p>"
        if item.sql:
            yield f"<pre>{escape(item.sql)};</pre>"


def _areas(findings: Sequence[Finding]) -> Iterator[tuple[str, list[Finding]]]:
    """The findings by area, the worst first."""
    from agentdb_cli.status import SEVERITY

    for area, group in groupby(findings, key=lambda finding: finding.check.area):
        yield area, sorted(group, key=lambda each: SEVERITY.index(each.status))
