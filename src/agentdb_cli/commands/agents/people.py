"""The report of `agentdb agents` for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.agents import Show, part, programs, span
from agentdb_cli.commands.agents.listing import listing, troubles
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.render import duration, style
from agentdb_cli.render.sparkline import sparkline

if TYPE_CHECKING:
    from agentdb_cli.monitoring.agents import Report, Wanted


def write(run: Invocation, report: Report, wanted: Wanted, show: Show | None) -> None:
    """Write the report, or a part of it."""
    if show is not None and show is not Show.agents:
        part(run, report, show)  # an error rather than nothing
        _PARTS[show](run, report, wanted)
    elif wanted.agent is not None:
        _one(run, report, wanted)
        if show is None:
            _parts(run, report, wanted, _GAPS, *_PARTS.values())
    else:
        listing(run, report, wanted)
        if show is None:
            _parts(run, report, wanted, _PARTS[Show.costs], _PARTS[Show.help])


def _parts(run: Invocation, report: Report, wanted: Wanted, *parts: Any) -> None:
    for write_part in parts:
        write_part(run, report, wanted)


def _one(run: Invocation, report: Report, wanted: Wanted) -> None:
    """What is known of one agent."""
    agent, now = report.agent, report.observed_at
    facts: dict[str, object] = {"agent": agent.agent}
    if agent.name is not None:
        facts["name"] = agent.name
    facts["trouble"] = "; ".join(troubles(agent, now)) or "none"
    if agent.state is not None:
        facts["state"] = agent.state + _since(agent.state_since, now)
    if report.sections["heartbeats"].rows is not None:
        facts["last heartbeat"] = _moment(agent.last_heartbeat, now)
        if agent.missed is not None:
            facts["missed"] = agent.missed
    elif not report.sections["heartbeats"].named:
        facts["last heartbeat"] = "the pack names no heartbeats"
    if agent.errors is not None:
        last = f", the last {_moment(agent.last_error_at, now)}" if agent.last_error_at else ""
        facts["errors"] = f"{agent.errors} within {span(wanted.window)}{last}"
    if agent.error_count is not None:
        more = (
            f", {agent.new_errors} of them within {span(wanted.window)}" if agent.new_errors else ""
        )
        facts["own count of errors"] = f"{agent.error_count}{more}"
    if agent.sent is not None:
        facts["messages"] = (
            f"{agent.sent} sent, {agent.received} received within {span(wanted.window)}"
        )
    run.output.record(facts)


def _heading(run: Invocation, text: str) -> None:
    run.output.line()
    run.output.line(style(text, "hint", sys.stdout))


def _gaps(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["gaps"].rows
    if rows:
        _heading(run, f"heartbeats missing within {span(wanted.window)}")
        shown = [{**row, "silent_until": row["silent_until"] or "now"} for row in rows]
        run.output.rows(programs.GAPS, shown)


def _errors(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["errors"].rows
    if rows is None:
        return
    _heading(run, f"errors within {span(wanted.window)}{'' if rows else ': none'}")
    _rows(run, rows, _about(wanted, programs.COLUMNS[Show.errors]))


def _metrics(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["metrics"].rows
    if rows is None:
        return
    _heading(run, f"metrics within {span(wanted.window)}{'' if rows else ': none'}")
    shown = [
        {
            **{name: row[name] for name in ("agent", "metric")},
            "over time": sparkline(programs.spread(row), sys.stdout.encoding),
            **{name: f"{row[name]:.6g}" for name in ("last", "lowest", "mean", "highest")},
            "samples": row["samples"],
        }
        for row in rows
    ]
    columns = "agent", "metric", "over time", "last", "lowest", "mean", "highest", "samples"
    _rows(run, shown, _about(wanted, columns))


def _messages(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["messages"].rows
    if rows is None:
        return
    _heading(run, f"messages within {span(wanted.window)}{'' if rows else ': none'}")
    _rows(run, rows, programs.COLUMNS[Show.messages])


def _costs(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["costs"].rows
    if rows is None:
        return
    days = f"{wanted.days} days" if wanted.days > 1 else "today"
    _heading(run, f"language models, {days} (UTC){'' if rows else ': no calls'}")
    if not rows:
        return
    _rows(run, rows, programs.COLUMNS[Show.costs])
    run.output.line("all: " + ", ".join(_account(rows)))


def _account(rows: tuple[dict[str, Any], ...]) -> list[str]:
    """The sums of all rows, in words; what is not known is said, not counted as nothing."""
    calls = sum(row["calls"] for row in rows)
    found = [_calls(calls)]
    for name in ("tokens", "cost"):
        if f"calls_without_{name}" not in rows[0]:
            continue
        without = sum(row[f"calls_without_{name}"] for row in rows)
        if without < calls:
            total = sum(row[name] for row in rows if row[name] is not None)
            found.append(f"{total:f} tokens" if name == "tokens" else f"cost {total:f}")
        if without:
            found.append(f"{_calls(without)} without {name}")
    return found


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _help(run: Invocation, report: Report, wanted: Wanted) -> None:
    rows = report.sections["requests"].rows
    if rows is None:
        return
    answered = " that it answered" if wanted.agent is not None else ""
    if not rows:
        _heading(run, f"open help requests{answered}: none")
        return
    backlog, oldest = rows[0]["backlog"], rows[0]["created_at"]
    waits = f", the oldest {_moment(oldest, report.observed_at)}" if oldest else ""
    _heading(run, f"open help requests{answered}: {backlog}{waits}")
    _rows(run, rows, programs.COLUMNS[Show.help])


def _about(wanted: Wanted, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns without the agent, where all is about one."""
    return columns if wanted.agent is None else tuple(name for name in columns if name != "agent")


def _rows(run: Invocation, rows: Any, columns: tuple[str, ...]) -> None:
    """A table of the columns that say anything."""
    told = tuple(name for name in columns if any(row.get(name) is not None for row in rows))
    if rows:
        run.output.rows(told, [{name: row.get(name) for name in told} for row in rows])


_GAPS = _gaps
_PARTS: Mapping[Show, Any] = {
    Show.errors: _errors,
    Show.metrics: _metrics,
    Show.messages: _messages,
    Show.costs: _costs,
    Show.help: _help,
}


def _moment(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    at = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{at}, {duration((now - moment).total_seconds())} ago"


def _since(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return ""
    at = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f" since {at}, {duration((now - moment).total_seconds())}"
