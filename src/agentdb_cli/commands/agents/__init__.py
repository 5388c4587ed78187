"""`agentdb agents`: which agent is in trouble, since when, and what all of them do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.commands.watching import Steady, every, redraws
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import Format, duration
from agentdb_cli.settings.keys import milliseconds

if TYPE_CHECKING:
    from agentdb_cli.monitoring.agents import Report, Wanted
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False)


class Show(StrEnum):
    """The parts of a report."""

    agents = "agents"
    errors = "errors"
    metrics = "metrics"
    messages = "messages"
    costs = "costs"
    help = "help"


LISTED, LISTED_ALONE = 10, 1000
"""The most errors and help requests to list, among other parts and alone."""

SECTIONS = {
    Show.errors: "errors",
    Show.metrics: "metrics",
    Show.messages: "messages",
    Show.costs: "costs",
    Show.help: "requests",
}
"""The section of `monitoring.agents` behind each part but the first."""


@register(app, "agents")
def agents(
    run: Invocation,
    agent: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="All about this one: its key or name.")
    ] = None,
    show: Annotated[Show | None, typer.Option("--show", help="This part alone.")] = None,
    window: Annotated[
        str, typer.Option("--window", metavar="TIME", help="How far back: 15min, 1h, 2d.")
    ] = "1h",
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="Days of tokens and cost, in UTC.")
    ] = 7,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="The metric to show.")
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", metavar="SECONDS", min=0.5, help="Repeat until Ctrl-C."),
    ] = None,
) -> None:
    """Show the agents: state, heartbeats, errors, metrics, messages and cost.

    What is wrong comes first, the newest at the top.

    Tables and columns are the pack's, or those of
    \\[agents], \\[heartbeats], \\[metrics], \\[events], \\[messages], \\[llm_calls],
    \\[conversations], \\[help_requests] and \\[help_responses] in agentdb.toml;
    what they do not name is left out.

    Errors, metrics and messages are those of --window. The list shows the
    metric with the most samples, or --metric; a dot is a gap. Calls without
    cost are counted apart, not as free. Of errors and open help requests 10
    are listed, with --show 1000.

    Times are in UTC, and a day begins at midnight there. Columns without a
    time zone are read in the TimeZone of the session (PGTZ, or that of the
    role or database).

    For programs --format json gives the rows of the list, --show the rows of
    another part, and with AGENT one object of everything. What could not be
    read is null there, and said on stderr. Durations are seconds.
    """
    from agentdb_cli.commands.agents import people, programs
    from agentdb_cli.monitoring.agents import Wanted

    if watch is not None and run.output.format is Format.json:
        raise SettingsError(
            "--watch never ends, and json is one array", hint="--format jsonl: a row a line"
        )
    limit = LISTED if show is None else LISTED_ALONE
    wanted = Wanted(agent, _seconds(window), days, metric, show is Show.metrics, limit)
    with Steady(run) as steady:
        looks = every(run, watch, lambda: steady.ask(lambda found: _look(run, found, wanted)))
        reports = _warned(run, looks)
        if run.output.for_people:
            for report in reports:
                people.write(run, report, wanted, show)
        else:
            programs.write(run, reports, wanted, show, timed=watch is not None)


def _seconds(window: str) -> float:
    try:
        seconds = milliseconds(window) / 1000
    except ValueError as error:
        raise SettingsError(f"--window must be {error}") from None
    if seconds < 1:
        raise SettingsError("--window must be a second or more")
    return seconds


def span(seconds: float) -> str:
    """A window as people read it: `1 h`, `15 min`."""
    return duration(seconds).removesuffix(" 00 min").removesuffix(" 00 s")


def _look(run: Invocation, connection: Connection, wanted: Wanted) -> Report:
    from agentdb_cli.monitoring.agents import look

    settings = run.settings
    return look(
        connection,
        _catalog(run),
        wanted,
        schema=settings.schema,
        lock_timeout=settings.connection.lock_timeout,
    )


def _warned(run: Invocation, reports: Iterator[Report]) -> Iterator[Report]:
    """The reports; of each it is said before what could not be read, but the same only once."""
    said: set[str] = set()
    # Next to tables of the user's own, those of a pack that nobody chose need not be there.
    expected = run.settings.pack_chosen or not run.settings.catalog
    for report in reports:
        for name, section in report.sections.items():
            failed = section.rows is None and section.named and name != "calls"
            warning = f"{name.replace('_', ' ')} could not be read: {section.why}"
            if failed and (expected or not section.missing):
                if redraws(run) or warning not in said:
                    run.output.warning(warning)
                said.add(warning)
        yield report


def part(run: Invocation, report: Report, show: Show) -> tuple[dict[str, Any], ...]:
    """The rows of a part that was asked for.

    Raises:
        AgentdbError: there is no such part in this database.
    """
    section = report.sections[SECTIONS[show]]
    if section.rows is None:
        reason = section.why if section.named else f"the pack {run.settings.pack} names none"
        raise AgentdbError(
            f"there are no {show} to show: {reason}",
            hint=None if section.named else "tables of your own can be named in agentdb.toml",
        )
    return section.rows


def _catalog(run: Invocation) -> dict[str, Mapping[str, Any]]:
    """The tables that pack and agentdb.toml name; the latter goes before."""
    from agentdb_cli import packs
    from agentdb_cli.monitoring.agents import TABLES

    content = packs.load(run.settings.pack).content
    found = {name: content[name] for name in TABLES if name in content}
    for name in found.keys() | run.settings.catalog.keys() & set(TABLES):
        own = run.settings.catalog.get(name, {})
        given = found.get(name, {})
        if own.get("table", given.get("table")) != given.get("table"):
            # Columns are another table's; numbers and lists are what was agreed.
            given = {key: value for key, value in given.items() if not isinstance(value, str)}
        found[name] = {**given, **own}
    return found
