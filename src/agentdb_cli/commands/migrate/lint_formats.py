"""Findings for code review: annotations of GitHub Actions, and SARIF 2.1.0."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from agentdb_cli import __version__

if TYPE_CHECKING:
    from agentdb_cli.migrations.lint.model import Finding, Rule

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def github(findings: Sequence[Finding]) -> str:
    """A workflow command a finding."""
    return "".join(
        f"::{finding.rule.severity.value} file={_property(_relative(finding.path))},"
        f"line={finding.line},col={finding.column},title={_property(finding.rule.name)}::"
        f"{_data(_message(finding))}\n"
        for finding in findings
    )


def sarif(findings: Sequence[Finding]) -> str:
    """A log with one run, which names the rules that were broken."""
    rules = list({finding.rule.name: finding.rule for finding in findings}.values())
    positions = {rule.name: position for position, rule in enumerate(rules)}
    driver = {"name": "agentdb", "version": __version__, "rules": [_rule(rule) for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, positions[finding.rule.name]) for finding in findings],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.reason},
        "help": {"text": rule.rewrite},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(finding: Finding, position: int) -> dict[str, object]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    place = {"artifactLocation": {"uri": _uri(finding.path)}, "region": region}
    return {
        "ruleId": finding.rule.name,
        "ruleIndex": position,
        "level": finding.rule.severity.value,
        "message": {"text": _message(finding)},
        "locations": [{"physicalLocation": place}],
    }


def _message(finding: Finding) -> str:
    return f"{finding.reason}. Instead: {finding.rule.rewrite}"


def _relative(path: Path) -> str:
    """The path from the working directory, where a job of CI has its checkout."""
    absolute = Path.cwd() / path
    return (
        absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
    ).as_posix()


def _uri(path: Path) -> str:
    relative = _relative(path)
    return f"file://{quote(relative)}" if relative.startswith("/") else quote(relative)


# The escapes of the runner's own actions/toolkit, packages/core/src/command.ts.
def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
