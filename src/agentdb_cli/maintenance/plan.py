"""Which tables to vacuum, in which order, with which command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentdb_cli.maintenance.tables import Table


@dataclass(frozen=True, slots=True)
class Options:
    """What to do with every table, whatever it needs.

    Attributes:
        full: rewrite it, which keeps everybody out meanwhile.
        truncate: give empty pages at its end back; keeps everybody out for moments.
        wait: whether lock_timeout bounds a wait; if not, a locked table is skipped at once.
    """

    analyze: bool = False
    freeze: bool = False
    full: bool = False
    truncate: bool = False
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """One command on one table, and why."""

    table: Table
    statement: str
    reasons: Sequence[str]


def in_need(tables: Iterable[Table]) -> list[Table]:
    """The tables that need VACUUM or ANALYZE, worst first.

    Catalogs are left to autovacuum unless their age is near the limit.
    """
    needy = [
        table
        for table in tables
        if table.kind != "t"
        and not table.temporary
        and (
            table.needs_freeze
            or (not table.catalog and (table.needs_vacuum or table.needs_analyze))
        )
    ]
    return sorted(needy, key=Table.urgency, reverse=True)


def plan(tables: Iterable[Table], options: Options, server: int, *, needs: bool) -> list[Task]:
    """A command for each table; those of partitioned tables come last.

    Args:
        server: the server's major version.
        needs: do no more than each table needs.
    """
    tasks = []
    for table in sorted(tables, key=lambda table: table.partitioned):
        if table.partitioned and not options.analyze:
            continue  # it has no rows of its own
        statement = _statement(table, options, server, needs=needs)
        reasons = table.reasons()
        if table.partitioned:
            reasons = ["autovacuum never analyzes a partitioned table"]
        tasks.append(Task(table, statement, reasons))
    return tasks


def _statement(table: Table, options: Options, server: int, *, needs: bool) -> str:
    if table.partitioned:
        return f"ANALYZE {'ONLY ' if server >= 18 else ''}{table.relation}"
    analyze = options.analyze or (needs and table.needs_analyze)
    skip = [] if options.wait else ["SKIP_LOCKED"]
    if needs and not (table.needs_vacuum or table.needs_freeze or options.freeze):
        return f"ANALYZE {'' if options.wait else '(SKIP_LOCKED) '}{table.relation}"
    words = [
        *(["FULL"] if options.full else []),
        *(["FREEZE"] if options.freeze or table.needs_freeze else []),
        *(["ANALYZE"] if analyze and table.kind != "t" else []),
        *([] if options.full or options.truncate else ["TRUNCATE false"]),
        *skip,
    ]
    listed = f"({', '.join(words)}) " if words else ""
    return f"VACUUM {listed}{table.relation}"
