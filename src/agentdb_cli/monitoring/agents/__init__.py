"""What the agents of a database do: one snapshot of what its tables say of them.

Which tables and columns that is, the pack says; what it does not name is left
out, and what could not be read is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agentdb_cli.errors import AgentdbError, nearest
from agentdb_cli.monitoring.agents.agent import Agent, Facts, Trouble, judged
from agentdb_cli.monitoring.agents.reading import Reader, Section, snapshot
from agentdb_cli.postgres.connect import Connection

__all__ = ["PARTS", "TABLES", "Agent", "Report", "Section", "Trouble", "Wanted", "look"]

TABLES = (
    "agents", "heartbeats", "metrics", "events", "messages", "llm_calls", "conversations",
    "help_requests", "help_responses",
)  # fmt: skip
"""The tables of pack.toml that this is about."""

PARTS = 24
"""The parts of a window that a metric is shown in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at.

    Attributes:
        agent: the key or name of one agent, or None for all.
        window: seconds back from now for errors, metrics and messages.
        days: days in UTC, today included, for the account of the models.
        metric: the metric to show; None for all of them, or in the list of
            agents for the one with the most samples.
        every_metric: whether the list of agents is to have all metrics.
        limit: the most errors, requests and gaps to list.
    """

    agent: str | None = None
    window: float = 3600
    days: int = 7
    metric: str | None = None
    every_metric: bool = False
    limit: int = 10


@dataclass(frozen=True, slots=True)
class Report:
    """One look at the agents.

    Attributes:
        observed_at: the server's clock; everything is as it was at this moment.
        agents: what is wrong comes first.
        sections: what was read, by name; see `sql/agents`. `costs` are totals
            by day and model; `gaps` and the last `errors` are of one agent.
        elsewhere: error events without an agent, or of one that is not registered.
    """

    observed_at: datetime
    agents: tuple[Agent, ...]
    sections: Mapping[str, Section]
    elsewhere: int

    @property
    def agent(self) -> Agent:
        """The one that was asked for."""
        return self.agents[0]


def look(
    connection: Connection,
    catalog: Mapping[str, Mapping[str, Any]],
    wanted: Wanted,
    *,
    schema: str | None = None,
    lock_timeout: int,
) -> Report:
    """Read what the tables say of the agents, in one read-only transaction.

    Args:
        connection: in autocommit mode.
        catalog: the tables of pack.toml and agentdb.toml, by name.
        schema: where tables without a schema of their own are, before public.
        lock_timeout: milliseconds to wait for a lock.


    Raises:
        AgentdbError: none of the tables is there, or there is no such agent.
    """
    with snapshot(connection, schema, lock_timeout) as observed_at:
        reader = Reader(connection, catalog, _limits(wanted))
        register = reader.read("agents")
        alone = register.rows is None
        sections = {
            "agents": register,
            "heartbeats": reader.read("heartbeats_alone" if alone else "heartbeats"),
            "error_counts": reader.read("error_counts"),
        }
        known = _known(sections)
        if wanted.agent is not None:
            key = _chosen(wanted.agent, known, sections)
            known = {key: known[key]}
            reader = reader.about(key)
            sections["gaps"] = reader.read("gaps")
        sections |= _rest(reader, wanted)
    _refuse_if_nothing(sections)
    calls = sections["calls"].rows or ()
    if alone and wanted.agent is None:
        for row in (*calls, *(sections["metrics"].rows or ())):
            if row["agent"] is not None:
                known.setdefault(row["agent"], {"agent": row["agent"]})
    sections["costs"] = sections["calls"].only(lambda row: not row["by_agent"])
    counted = sections["error_counts"].rows or ()
    facts = Facts.of(sections, catalog, observed_at)
    agents = (judged(row, facts) for row in known.values())
    return Report(
        observed_at,
        tuple(sorted(agents, key=lambda agent: agent.urgency)),
        sections,
        elsewhere=0
        if wanted.agent
        else sum(row["errors"] for row in counted if row["agent"] not in known),
    )


def _limits(wanted: Wanted) -> dict[str, object]:
    return {"window": wanted.window, "days": wanted.days, "limit": wanted.limit}


def _rest(reader: Reader, wanted: Wanted) -> dict[str, Section]:
    """The sections that are about all agents, or about one."""
    chosen: dict[str, object] = {"parts": PARTS, "metric": wanted.metric}
    if wanted.agent is None and not wanted.metric and not wanted.every_metric:
        chosen["most_frequent"] = reader.names.get("metrics.agent_column")
    return {
        "errors": reader.read("errors"),
        "metrics": reader.read("metrics", chosen),
        "messages": reader.read("messages"),
        "calls": reader.read("calls"),
        "requests": reader.read("requests"),
        "requests_by_agent": reader.read("requests_by_agent"),
    }


def _known(sections: Mapping[str, Section]) -> dict[str, dict[str, Any]]:
    """The agents by key: those registered, or without a register those heard of."""
    register = sections["agents"].rows
    if register is not None:
        return {row["agent"]: row for row in register}
    heard = (sections[name].rows or () for name in ("heartbeats", "error_counts"))
    return {row["agent"]: {"agent": row["agent"]} for rows in heard for row in rows if row["agent"]}


def _chosen(
    asked: str, known: Mapping[str, Mapping[str, Any]], sections: Mapping[str, Section]
) -> str:
    """The key of the agent that was asked for, by key or by name.

    Raises:
        AgentdbError: there is none, or several have that name.
    """
    if asked in known:
        return asked
    named = [key for key, row in known.items() if row.get("name") == asked]
    if len(named) == 1:
        return named[0]
    if named:
        raise AgentdbError(
            f"{len(named)} agents are called '{asked}'",
            hint=f"name one by its key: {', '.join(sorted(named)[:10])}",
        )
    _refuse_if_nothing(sections)
    words = {*known, *(str(row["name"]) for row in known.values() if row.get("name"))}
    raise AgentdbError(
        f"there is no agent '{asked}'{nearest(asked, words)}",
        hint="agentdb agents lists them",
    )


def _refuse_if_nothing(sections: Mapping[str, Section]) -> None:
    """Raise if the pack names tables and the database has none of them."""
    named = [section for section in sections.values() if section.named]
    if named and all(section.missing for section in named):
        raise AgentdbError(
            f"the tables of the agents are not in this database: {named[0].why}",
            hint="agentdb init --discover finds out what it has; agentdb migrate creates a pack's",
        )
