"""A build as a command does it: looked at, shown, asked about, done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError, SettingsError, nearest

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.build.definition import Definition
    from agentdb_cli.vectors.build.machine import Server
    from agentdb_cli.vectors.build.plan import Leaf, Needs, Settings
    from agentdb_cli.vectors.build.work import Work
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.indexes import Index


class Build:
    """A build: shown, asked about, done."""

    def __init__(
        self,
        run: Invocation,
        connection: Connection,
        located: Located,
        wanted: Definition,
        tables: tuple[Leaf, ...],
        works: tuple[Work, ...],
        wait: str,
        memory: str | None,
        workers: int | None,
    ) -> None:
        from agentdb_cli.vectors.build import machine, plan

        self._run, self._connection, self._located = run, connection, located
        self._wanted, self._works, self._wait = wanted, works, milliseconds(wait)
        self._server: Server = machine.server(connection)
        self._needs: Needs = plan.needs(connection, wanted, tables, self._server)
        bytes_ = _bytes(memory)
        self._settings, note = plan.settings(self._needs, self._server, bytes_, workers)
        plan.refuse_full_disk(self._needs)
        largest = max((table.rows for table in tables if table.kind in "rm"), default=0)
        for text in (plan.lists_note(wanted, largest), note):
            if text:
                run.output.warning(text)

    def go(self, done: str, *, dry_run: bool, yes: bool = True, ask: str = "") -> None:
        """Do it, or show what it would be."""
        from agentdb_cli.render.progress import size

        run, statements = self._run, [work.statement for work in self._works]
        if dry_run:
            show_sql(run, [*self._settings.statements(), *statements], self._estimates())
            run.output.notice("dry run: nothing was changed")
            return
        estimate = (
            f"about {size(self._needs.disk)} of disk, {size(self._settings.memory)} of memory"
        )
        if not run.confirmed(f"{ask} ({estimate}): go on?", yes=yes):
            run.output.notice("nothing was done")
            return
        run.output.notice(
            f"{self._needs.rows:,} rows, {estimate}, {self._settings.workers + 1} processes"
        )
        seconds = perform(run, self._connection, self._works, self._settings, self._wait)
        self._show(done, seconds)

    def _estimates(self) -> dict[str, object]:
        needs, settings = self._needs, self._settings
        return {
            "rows": needs.rows,
            "disk": needs.disk,
            "disk_free": needs.free,
            "memory_needed": needs.memory,
            "memory": settings.memory,
            "workers": settings.workers,
        }

    def _show(self, done: str, seconds: float) -> None:
        from agentdb_cli.render import duration
        from agentdb_cli.render.progress import size
        from agentdb_cli.vectors import indexes

        run, located = self._run, self._located
        known = {index.oid: index for index in located.indexes}
        made = self._made(indexes.read(self._connection, located.oid, located.collection.embedding))
        record: dict[str, object] = {
            "index": made.name if made else None,
            "state": done,
            "method": self._wanted.method,
            "form": self._wanted.form,
            **self._wanted.parameters,
            "rows": self._needs.rows,
            "bytes": made.bytes if made else None,
            "seconds": round(seconds, 3),
        }
        if run.output.for_people:
            record["bytes"] = size(made.bytes) if made else None
            record["seconds"] = duration(seconds)
            record = {{"bytes": "size", "seconds": "took"}.get(k, k): v for k, v in record.items()}
        run.output.record(record)
        others = [
            i.name for i in known.values() if made and i.valid and i.relation != made.relation
        ]
        if others:
            run.output.notice(
                f"beside it there is {', '.join(others)}: each costs every insert its time"
            )

    def _made(self, found: tuple[Index, ...]) -> Index | None:
        names = {work.index for work in self._works}
        return next((index for index in found if index.relation in names and index.valid), None)


def prepared(
    run: Invocation, connection: Connection, collection: str | None
) -> tuple[Located, tuple[Leaf, ...]]:
    """The collection and its tables, if they can be indexed from here."""
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.vectors.build import plan

    refuse_unfit(run, connection)
    located = chosen(run, connection, collection)
    plan.refuse_kind(located, ())
    tables = plan.leaves(connection, located)
    plan.refuse_kind(located, tables)
    return located, tables


def refuse_unfit(run: Invocation, connection: Connection) -> None:
    """Make sure that the server takes the command, and that a session stays ours."""
    from agentdb_cli.postgres import server
    from agentdb_cli.postgres.connect import is_pooled

    server.refuse_standby(connection, "CREATE INDEX")
    if is_pooled(connection):
        raise AgentdbError(
            "a pooler in between gives each statement another session, and a build needs one of"
            " its own: its memory and its lock_timeout are set there",
            hint="connect to the server directly",
        )


def refuse_second(located: Located, wanted: Definition) -> None:
    """Make sure that there is no such index already."""
    from agentdb_cli.vectors.build.definition import equals

    for index in located.indexes:
        if index.valid and index.predicate is None and equals(index, wanted):
            parameters = ", ".join(f"{k} = {v}" for k, v in index.parameters.items())
            raise AgentdbError(
                f"{index.name} is such an index already ({index.method}, {parameters})",
                hint="agentdb vectors index rebuild builds it anew, with other parameters if given",
            )


def named(located: Located, name: str | None) -> Index:
    """The index of that name; without one, the only one."""
    names = [index.relation for index in located.indexes]
    if not names:
        raise AgentdbError(
            f"{located.name}.{located.collection.embedding} has no vector index",
            hint="agentdb vectors index create makes one",
        )
    if name is None and len(names) > 1:
        raise SettingsError(
            f"which index? {located.name} has {', '.join(names)}", hint=f"name it: {names[0]}"
        )
    wanted = names[0] if name is None else name
    for index in located.indexes:
        if wanted in (index.relation, index.name):
            return index
    raise SettingsError(
        f"{located.name}.{located.collection.embedding} has no vector index '{wanted}'"
        f"{nearest(wanted, names)}",
        hint=f"its vector indexes: {', '.join(names)}",
    )


def largest(tables: tuple[Leaf, ...]) -> int:
    return max((table.rows for table in tables if table.kind in "rm"), default=0)


def perform(
    run: Invocation,
    connection: Connection,
    works: tuple[Work, ...],
    settings: Settings | None,
    wait: int,
) -> float:
    from agentdb_cli.commands.outcomes import reporting
    from agentdb_cli.vectors.build.run import perform

    lock_timeout = run.settings.connection.lock_timeout
    with reporting(run) as report:
        return perform(connection, works, settings, report, lock_timeout=lock_timeout, wait=wait)


def show_sql(
    run: Invocation, statements: list[str], estimates: dict[str, object] | None = None
) -> None:
    from agentdb_cli.render.progress import size

    if not run.output.for_people:
        run.output.record({"statements": statements, **(estimates or {})})
        return
    for statement in statements:
        run.output.line(f"{statement};")
    if estimates is None:
        return
    run.output.line()
    run.output.record(
        {
            name: size(value)
            if isinstance(value, int) and name not in ("rows", "workers")
            else "unknown"
            if value is None
            else value
            for name, value in estimates.items()
        }
    )


def milliseconds(text: str) -> int:
    from agentdb_cli.settings import milliseconds

    try:
        return milliseconds(text)
    except ValueError as error:
        raise SettingsError(f"--wait must be {error}") from None


def _bytes(text: str | None) -> int | None:
    from agentdb_cli.settings.keys import size

    if text is None:
        return None
    try:
        found = size(text)
    except ValueError as error:
        raise SettingsError(f"--memory must be {error}") from None
    if found < 1024 * 1024:
        raise SettingsError("--memory must be 1MB or more")  # maintenance_work_mem's least
    return found
