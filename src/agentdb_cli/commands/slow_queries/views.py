"""How slow statements are shown: two or three lines each for people, rows for programs."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agentdb_cli.commands.slow_queries.cells import (
    EXTRA_CELLS,
    GROUP_CELLS,
    GROUP_COLUMNS,
    STATEMENT_CELLS,
    STATEMENT_COLUMNS,
    Cell,
    aligned,
    milliseconds,
)
from agentdb_cli.render import Output, duration, style

if TYPE_CHECKING:
    from agentdb_cli.monitoring.slow_queries.delta import Difference
    from agentdb_cli.monitoring.slow_queries.sampling import Group, Sampling
    from agentdb_cli.monitoring.slow_queries.server import Server
    from agentdb_cli.monitoring.slow_queries.statements import Reading, Statement
    from agentdb_cli.postgres.connect import Connection

SAMPLED_ORDERS: dict[str, Callable[[Group], float]] = {
    "total": lambda group: group.seen,
    "mean": lambda group: group.mean,
    "calls": lambda group: len(group.executions),
}
"""What sampled statements can be ordered by."""

_INDENT = "    "
_TRACK_PLANNING = "pg_stat_statements.track_planning"


@dataclass(frozen=True, slots=True)
class View:
    """What the options say about the list of statements."""

    output: Output
    server: Server
    by: str
    limit: int
    all_databases: bool
    full: bool
    literals: bool

    def statements(
        self, connection: Connection, reading: Reading, difference: Difference | None
    ) -> None:
        """Show what pg_stat_statements has, all of it or what was added."""
        from agentdb_cli.monitoring.slow_queries import statements

        source = difference.statements if difference else reading.statements
        ours = [s for s in source if self._is_wanted(s.database)]
        whole = sum(s.counters.total_ms for s in ours if s.key.toplevel)
        chosen = statements.ordered(ours, self.by, self.server)[: self.limit]
        texts = statements.texts(connection, self.server, [s.key.query_id for s in chosen])
        rows = [
            self._statement(s, texts.get((s.key.database_oid, s.key.query_id)), whole)
            for s in chosen
        ]
        for row in rows:
            row["seconds"] = difference.seconds if difference else None
        self._say_span(reading, difference, len(ours), whole)
        self._say_hidden(reading)
        if self.output.for_people:
            self._lines(STATEMENT_CELLS + EXTRA_CELLS.get(self.by, ()), rows)
        else:
            self.output.rows(STATEMENT_COLUMNS, rows)

    def sampling(self, found: Sampling) -> None:
        """Show what the looks at the sessions found."""
        order = SAMPLED_ORDERS[self.by]
        groups = sorted(found.groups, key=order, reverse=True)[: self.limit]
        rows = [self._group(group, found) for group in groups]
        self._say_sampled(found)
        if any(row["cut"] for row in rows):
            size = self.server.settings["track_activity_query_size"]
            self.output.notice(f"the server cuts texts at track_activity_query_size = {size} bytes")
        if self.output.for_people:
            self._lines(GROUP_CELLS, rows)
        else:
            self.output.rows(GROUP_COLUMNS, rows)

    # --- Rows ----------------------------------------------------------------------

    def _is_wanted(self, database: str | None) -> bool:
        return self.all_databases or database == self.server.database

    def _statement(self, statement: Statement, text: str | None, whole: float) -> dict[str, Any]:
        counters = statement.counters
        timed = self.server.settings.get("track_io_timing") == "on"
        return {
            "id": str(statement.key.query_id),
            "query": None if text is None else self._text(text),
            "database": statement.database,
            "role": statement.role,
            "toplevel": statement.key.toplevel,
            "share": counters.total_ms / whole if whole else None,
            "total_ms": counters.total_ms,
            "mean_ms": statement.mean_ms,
            "stddev_ms": statement.deviation_ms,
            "mean_plus_2sd_ms": statement.mean_ms + 2 * statement.deviation_ms,
            "min_ms": statement.minimum_ms,
            "max_ms": statement.maximum_ms,
            "calls": counters.calls,
            "rows": counters.rows,
            "rows_per_call": counters.rows / counters.calls if counters.calls else None,
            "cache_hit": statement.cache_hit,
            "io_bytes": counters.io_bytes,
            "io_ms": counters.io_ms if timed else None,
            "temp_bytes": counters.temp_bytes,
            "wal_bytes": counters.wal_bytes,
            "plans": counters.plans,
            "plan_ms": counters.plan_ms,
        }

    def _group(self, group: Group, found: Sampling) -> dict[str, Any]:
        from agentdb_cli.monitoring.slow_queries.sampling import is_cut

        cut = is_cut(group.text, self.server)
        text = self._text(group.text)
        return {
            "id": group.id,
            "query": f"{text} …" if cut and not text.endswith("…") else text,
            "cut": cut,
            "databases": _names(group.databases),
            "roles": _names(group.roles),
            "applications": _names(group.applications),
            "share": group.seen / found.seen,
            "estimated_ms": group.seen * found.seconds_a_look * 1000,
            "active_sessions": group.seen / found.looks,
            "executions": len(group.executions),
            "mean_ms": group.mean * 1000,
            "max_ms": group.longest * 1000,
            "waits": {wait: n / group.seen for wait, n in group.waits.most_common()},
        }

    def _text(self, text: str) -> str:
        from agentdb_cli.monitoring.slow_queries.normalise import normalise, one_line

        if not self.literals:
            return normalise(text)
        return one_line(text) if self.output.for_people else text

    # --- For people ----------------------------------------------------------------

    def _lines(self, cells: Sequence[Cell], rows: Sequence[dict[str, Any]]) -> None:
        from agentdb_cli.render.sql import coloured

        if not rows:
            self.output.notice("no statement to show")
            return
        shown = [[cell.text(row) for cell in cells] for row in rows]
        widths = [
            max(len(text) for text in (cell.title, *column))
            for cell, column in zip(cells, zip(*shown, strict=True), strict=True)
        ]
        terminal = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        width = None if self.full or terminal is None else max(terminal - len(_INDENT), 20)
        head = aligned([cell.title for cell in cells], widths)
        self.output.line(style(head, "dim", sys.stdout))
        for row, texts in zip(rows, shown, strict=True):
            self.output.line(aligned(texts, widths))
            # A name of the database's may hold line breaks.
            about = _circumstances(row) if "waits" in row else _whose(row)
            self.output.line(_INDENT + style(" ".join(about.split()), "dim", sys.stdout))
            query = row["query"] or "(the server has lost the text)"
            self.output.line(_INDENT + coloured(query, sys.stdout, width))

    def _say_span(
        self, reading: Reading, difference: Difference | None, count: int, whole: float
    ) -> None:
        if difference is not None:
            start = reading.taken_at - difference.seconds
            span = f"since {_moment(start)}, {duration(difference.seconds)}"
        elif reading.reset_at is not None:
            age = duration(reading.taken_at - reading.reset_at)
            span = f"since the statistics began at {_moment(reading.reset_at)}, {age}"
        else:
            span = "since the statistics began (this version does not say when)"
        which = "all databases" if self.all_databases else f"database {self.server.database}"
        more = "" if self.all_databases else " (--all-databases shows the others)"
        self.output.notice(
            f"{span}: {_statements(count)} took {milliseconds(whole)}; {which}{more}"
        )
        if difference is not None and difference.was_reset:
            self.output.warning("the statistics were reset in between: shown is what came after")
        if difference is not None and difference.restarted:
            self.output.warning(
                f"{_statements(difference.restarted)} began anew in between, reset or dropped for "
                "want of room: shown is what came after"
            )
        dropped = difference.dropped if difference else reading.dropped
        if dropped:
            self.output.warning(
                f"the server dropped rare statements {dropped} times for want of room, which are "
                "missing here: raise pg_stat_statements.max"
            )
        if self.by == "plan" and self.server.settings.get(_TRACK_PLANNING) == "off":
            self.output.warning(f"no plan times are recorded: {_TRACK_PLANNING} = off")

    def _say_hidden(self, reading: Reading) -> None:
        hidden = [ms for database, ms in reading.hidden if self._is_wanted(database)]
        if not hidden:
            return
        seen = sum(s.counters.total_ms for s in reading.statements if self._is_wanted(s.database))
        share = sum(hidden) / (sum(hidden) + seen) if seen or any(hidden) else 0.0
        role = self.server.role
        self.output.warning(
            f"{_statements(len(hidden))} of other roles hidden from {role}, {share:.0%} of the "
            f"recorded time; they are no part of the shares: GRANT pg_read_all_stats TO {role} "
            "shows them"
        )

    def _say_sampled(self, found: Sampling) -> None:
        if found.ended is not None:
            self.output.warning(f"{found.ended}: this is what was gathered until then")
        active = found.seen / found.looks if found.looks else 0.0
        self.output.notice(
            f"{found.looks} looks in {duration(found.seconds)}: {active:.1f} sessions were active "
            f"on average; times are estimates"
        )
        if found.hidden:
            role = self.server.role
            self.output.warning(
                f"up to {found.hidden} sessions of other roles are hidden from {role}: "
                f"GRANT pg_read_all_stats TO {role} shows what they run"
            )
        if found.disabled:
            self.output.warning(
                f"up to {found.disabled} sessions tell nothing: track_activities = off"
            )


def plan(output: Output, wanted: str, text: str, lines: Sequence[str]) -> None:
    """Show the plan of a statement."""
    from agentdb_cli.monitoring.slow_queries.normalise import normalise
    from agentdb_cli.render.sql import coloured

    query = normalise(text)
    if not output.for_people:
        output.record({"id": wanted, "query": query, "plan": "\n".join(lines)})
        return
    output.line(coloured(query, sys.stdout))
    output.line()
    for line in lines:
        output.line(line)


# --- Words -----------------------------------------------------------------------


def _statements(count: int) -> str:
    return f"{count:,} statement" + ("" if count == 1 else "s")


def _names(counted: Counter[str]) -> list[str]:
    return [name for name, _ in counted.most_common() if name]


def _whose(row: dict[str, Any]) -> str:
    """Which statement it is and who ran it, in a few words."""
    parts = [f"id {row['id']}", f"role {row['role'] or '(dropped)'}"]
    parts += [f"database {row['database'] or '(dropped)'}"]
    parts += [f"max {milliseconds(row['max_ms'])}"] if row["max_ms"] is not None else []
    return "; ".join(parts + ([] if row["toplevel"] else ["within a function"]))


def _circumstances(row: dict[str, Any]) -> str:
    """Which sampled statement it is, what it waited for, and who ran it."""
    waits = ", ".join(f"{wait} {share:.0%}" for wait, share in list(row["waits"].items())[:4])
    parts = [f"id {row['id']}", waits, f"role {', '.join(row['roles'])}"]
    parts += [f"application {', '.join(row['applications'][:3])}"] if row["applications"] else []
    return "; ".join([*parts, f"database {', '.join(row['databases'])}"])


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
