"""The list of agents for people: a line an agent, what is wrong first and in colour."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agentdb_cli.commands.agents import programs, span
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.render import UNSAFE, duration, style
from agentdb_cli.render.sparkline import sparkline

if TYPE_CHECKING:
    from agentdb_cli.monitoring.agents import Agent, Report, Wanted

_IN_CELL = re.compile(rf"[\t\n{UNSAFE}]")

# Left out in this order where the terminal is too narrow.
_DISPENSABLE = (
    "received", "sent", "open requests", "calls", "tokens", "cost", "name", "metric", "uptime",
)  # fmt: skip


def listing(run: Invocation, report: Report, wanted: Wanted) -> None:
    """Write the list, with a line above it that says how many agents are in trouble."""
    agents = report.agents
    at = report.observed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if not agents and not report.sections["agents"].named:
        run.output.line(
            f"the pack {run.settings.pack} names no agents; "
            "[agents] in agentdb.toml can name a table of your own"
        )
        return
    run.output.line(
        f"{_head(report)}; {at}, errors, metrics and messages within {span(wanted.window)}"
    )
    if not report.sections["heartbeats"].named:
        run.output.line("no heartbeats in this pack: nothing tells whether an agent is alive")
    if report.elsewhere:
        run.output.line(
            f"errors of the system or of agents not registered: {report.elsewhere}; --show errors"
        )
    if agents:
        run.output.line()
        _table(run, _columns(report), agents)


def _head(report: Report) -> str:
    """How many agents are in trouble, as far as that could be read."""
    agents = report.agents
    down = sum(any(trouble.grave for trouble in agent.troubles) for agent in agents)
    bad = sum(bool(agent.troubles) for agent in agents)
    if bad:
        counts = (
            (down, "failed or silent"),
            (bad - down, "with errors"),
            (len(agents) - bad, "well"),
        )
        head = ", ".join(f"{number} {what}" for number, what in counts if number)
        return style(f"{_agents(agents)}: {head}", "error" if down else "warning", sys.stdout)
    deciding = (report.sections[name] for name in ("agents", "heartbeats", "error_counts"))
    if any(section.named and section.rows is None for section in deciding):
        return style(f"{_agents(agents)}, not all could be read", "warning", sys.stdout)
    return style(f"{_agents(agents)}, no trouble seen", "ok", sys.stdout) if agents else "no agents"


def _agents(agents: Sequence[Agent]) -> str:
    return "1 agent" if len(agents) == 1 else f"{len(agents)} agents"


def troubles(agent: Agent, now: datetime) -> list[str]:
    """What is wrong with an agent, in words."""
    said = []
    for trouble in agent.troubles:
        match trouble.value:
            case "error_state":
                said.append(f"state {agent.state}" + _for(agent.state_since, now))
            case "silent":
                last = agent.last_heartbeat
                said.append("silent" + _for(last, now) if last else "no heartbeat ever")
            case "error_events":
                errors = "1 error" if agent.errors == 1 else f"{agent.errors} errors"
                said.append(f"{errors}, the last {_ago(agent.last_error_at, now)}")
            case "new_errors":
                said.append(f"{agent.new_errors} more by its own count")
    return said


def _for(moment: datetime | None, now: datetime) -> str:
    return f" for {duration((now - moment).total_seconds())}" if moment else ""


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{duration((now - moment).total_seconds())} ago" if moment else "at an unknown time"


def _columns(report: Report) -> dict[str, list[str]]:
    """The cells of each column that says anything, from the left to the right."""
    agents, now = report.agents, report.observed_at
    never = "" if report.sections["heartbeats"].rows is None else "never"
    columns = {
        "agent": [agent.agent for agent in agents],
        "name": [agent.name or "" for agent in agents],
        "state": [agent.state or "" for agent in agents],
        "uptime": [
            "" if agent.uptime is None else duration(agent.uptime.total_seconds())
            for agent in agents
        ],
        "heartbeat": [
            _ago(agent.last_heartbeat, now) if agent.last_heartbeat else never for agent in agents
        ],
        "missed": [_number(agent.missed) for agent in agents],
        "errors": [_number(agent.errors) for agent in agents],
        "trouble": ["; ".join(troubles(agent, now)) for agent in agents],
        "metric": [_metric(agent) for agent in agents],
        "sent": [_number(agent.sent) for agent in agents],
        "received": [_number(agent.received) for agent in agents],
        "calls": [_number(agent.calls) for agent in agents],
        "tokens": ["" if agent.tokens is None else f"{agent.tokens:f}" for agent in agents],
        "cost": [_cost(agent) for agent in agents],
        "open requests": [_number(agent.open_requests) for agent in agents],
    }
    return {name: cells for name, cells in columns.items() if any(cells)}


def _header(name: str, agents: Sequence[Agent]) -> str:
    """What stands above a column: the metric's own name, if it is one for all."""
    metrics = {str(agent.metric["metric"]) for agent in agents if agent.metric}
    return metrics.pop() if name == "metric" and len(metrics) == 1 else name


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _metric(agent: Agent) -> str:
    if agent.metric is None:
        return ""
    shape = sparkline(programs.spread(agent.metric), sys.stdout.encoding)
    return f"{shape} {agent.metric['last']:.4g}"


def _cost(agent: Agent) -> str:
    """What the calls cost, and of how many that is not known."""
    known = "" if agent.cost is None else f"{agent.cost:f}"
    unknown = f"{agent.calls_without_cost} unknown" if agent.calls_without_cost else ""
    return " + ".join(filter(None, (known, unknown)))


def _table(run: Invocation, columns: dict[str, list[str]], agents: Sequence[Agent]) -> None:
    from rich.cells import cell_len, set_cell_size

    safe = {
        name: [_IN_CELL.sub(_escaped, cell) for cell in (_header(name, agents), *cells)]
        for name, cells in columns.items()
    }
    widths = {name: max(map(cell_len, cells)) for name, cells in safe.items()}
    left_out = _fit(widths)
    for place in range(len(agents) + 1):
        agent = agents[place - 1] if place else None
        cells = [
            _styled(name, set_cell_size(safe[name][place], width), agent)
            for name, width in widths.items()
        ]
        run.output.line("  ".join(cells).rstrip())
    if left_out:
        run.output.line(f"(too narrow for {', '.join(left_out)})")


def _fit(widths: dict[str, int]) -> list[str]:
    """Leave out columns until a line fits into the terminal; the names of those."""
    if not sys.stdout.isatty():
        return []
    room, left_out = shutil.get_terminal_size().columns, []
    for name in _DISPENSABLE:
        if sum(widths.values()) + 2 * (len(widths) - 1) > room and name in widths:
            del widths[name]
            left_out.append(name)
    return left_out


def _styled(name: str, cell: str, agent: Agent | None) -> str:
    if agent is None:
        return style(cell, "dim", sys.stdout)
    if agent.troubles and name in ("agent", "trouble"):
        return style(cell, "error" if agent.troubles[0].grave else "warning", sys.stdout)
    return style(cell, "dim", sys.stdout) if agent.active is False else cell


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
