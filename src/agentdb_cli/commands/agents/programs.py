"""The report of `agentdb agents` for programs: stable keys, exact values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.agents import SECTIONS, Show, part
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import Format

if TYPE_CHECKING:
    from agentdb_cli.monitoring.agents import Agent, Report, Wanted

COLUMNS = {
    Show.agents: (
        "agent", "name", "state", "state_since", "troubles", "since", "uptime", "last_heartbeat",
        "missed", "errors", "last_error_at", "error_count", "new_errors", "metric", "last",
        "samples", "sent", "received", "calls", "tokens", "cost", "calls_without_cost",
        "open_requests",
    ),
    Show.errors: ("occurred_at", "agent", "severity", "type", "message"),
    Show.metrics: (
        "agent", "metric", "count", "last", "lowest", "mean", "highest", "samples",
    ),
    Show.messages: ("sender", "receiver", "messages", "last_at"),
    Show.costs: (
        "day", "model", "conversations", "calls", "tokens", "cost", "calls_without_tokens",
        "calls_without_cost",
    ),
    Show.help: ("request", "status", "priority", "created_at"),
}  # fmt: skip
"""The columns of each part, in order."""

GAPS = ("silent_from", "silent_until", "missed")


def write(
    run: Invocation, reports: Iterator[Report], wanted: Wanted, show: Show | None, *, timed: bool
) -> None:
    """Write reports in a format for programs, as one result.

    Args:
        timed: whether each row is to say first at what time it was so.
    """
    if show is None and wanted.agent is not None and run.output.format in _NESTED:
        for report in reports:
            time = {"at": report.observed_at} if timed else {}
            run.output.record({**time, **_document(report)})
        return
    part_of = show or Show.agents
    columns = (*(("at",) if timed else ()), *COLUMNS[part_of])
    first = next(reports)
    rows = _rows(run, first, part_of)  # its error comes before any header
    later = (row for report in reports for row in _rows(run, report, part_of))
    run.output.rows(columns, chain(rows, later))


def _rows(run: Invocation, report: Report, show: Show) -> list[dict[str, Any]]:
    at = {"at": report.observed_at}
    if show is not Show.agents:
        return [{**at, **_row(show, row)} for row in part(run, report, show)]
    section = report.sections["agents"]
    if section.rows is None and not report.agents:
        reason = section.why if section.named else f"the pack {run.settings.pack} names none"
        raise AgentdbError(
            f"there are no agents to show: {reason}",
            hint="--show costs and others may have something; [agents] in agentdb.toml "
            "names a table of your own",
        )
    return [{**at, **_agent(agent)} for agent in report.agents]


_NESTED = (Format.json, Format.jsonl)


# `errors` is a number already.
_NAMES = {Show.errors: "error_events", Show.help: "help_requests"}


def _document(report: Report) -> dict[str, Any]:
    """Everything about one agent; null for what was not read."""
    found: dict[str, Any] = {
        name: value
        for name, value in _agent(report.agent).items()
        if name not in ("metric", "last", "samples")
    }
    gaps = report.sections["gaps"].rows
    found["gaps"] = None if gaps is None else [{name: row[name] for name in GAPS} for row in gaps]
    for show, section in SECTIONS.items():
        rows = report.sections[section].rows
        found[_NAMES.get(show, show.value)] = (
            None if rows is None else [_row(show, row) for row in rows]
        )
    return found


def _agent(agent: Agent) -> dict[str, Any]:
    metric = agent.metric or {}
    given = {
        "metric": metric.get("metric"),
        "last": metric.get("last"),
        "samples": spread(metric) if metric else None,
        "troubles": [trouble.value for trouble in agent.troubles],
    }
    return {
        name: given[name] if name in given else getattr(agent, name)
        for name in COLUMNS[Show.agents]
    }


def _row(show: Show, row: Mapping[str, Any]) -> dict[str, Any]:
    if show is Show.metrics:
        row = {**row, "count": row["samples"], "samples": spread(row)}
    return {name: row.get(name) for name in COLUMNS[show]}


def spread(metric: Mapping[str, Any]) -> list[float | None]:
    """The means of all parts of the window, None for a part without samples."""
    from agentdb_cli.monitoring.agents import PARTS

    means = dict(zip(metric["places"], metric["means"], strict=True))
    return [means.get(place) for place in range(PARTS)]
