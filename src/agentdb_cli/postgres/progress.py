"""What a running command has come to, as the server's progress views tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psycopg

from agentdb_cli.postgres import holders
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import for_server, query


@dataclass(frozen=True, slots=True)
class Step:
    """Where one command is.

    Attributes:
        phase: the server's own words.
        done, total: blocks, rows, indexes or sessions of this phase; total 0 if unknown.
    """

    phase: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Report:
    """How a run tells what it does.

    Attributes:
        started, finished: called with the name of a table or index.
        step: called with that name and where it is, about twice a second.
        notice, warning: called with a sentence.
    """

    started: Callable[[str], None]
    step: Callable[[str, Step], None]
    finished: Callable[[str], None]
    notice: Callable[[str], None]
    warning: Callable[[str], None]


def poll(
    connection: Connection, relations: Mapping[int, str], builds: str = "REINDEX"
) -> dict[str, Step]:
    """Where the commands on some tables are.

    Found by table, not by process: a pooler in between gives process ids of its own.

    Args:
        relations: the name to report under, by the OIDs of tables and their TOAST tables.
        builds: which of the commands that build indexes: those that begin with these words.
    """
    text = for_server(query("catalog/progress"), connection.info.server_version // 10_000)
    parameters = {"relations": list(relations), "builds": f"{builds}%"}
    rows = connection.execute(text.encode(), parameters).fetchall()
    steps = {}
    for relation, phase, done, total, waits_for in rows:
        assert isinstance(relation, int)
        shown = str(phase)
        if isinstance(waits_for, int):
            shown += f": {holders.session(connection, waits_for)}"
        steps[relations[relation]] = Step(shown, int(str(done or 0)), int(str(total or 0)))
    return steps


def watch(
    connection: Connection | None,
    relations: Mapping[int, str],
    report: Report,
    builds: str = "REINDEX",
) -> Callable[[], None]:
    """A function that reports where the commands on some tables are.

    Args:
        connection: to look with; without one, or when it is lost, there is nothing to report.
        relations, builds: as for `poll`.
    """

    def look() -> None:
        if connection is None or connection.broken:
            return
        try:
            steps = poll(connection, relations, builds)
        except psycopg.Error:
            return  # no progress is no reason to end what makes it
        for name, step in steps.items():
            report.step(name, step)

    return look
