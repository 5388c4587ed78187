"""`agentdb vectors index`: create, rebuild and drop vector indexes while others go on working."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.commands.vectors.index import building
from agentdb_cli.commands.vectors.index.options import (
    BinaryOption,
    ConstructionOption,
    DryRunOption,
    ForceOption,
    HalfOption,
    IndexArgument,
    ListsOption,
    MemoryOption,
    Method,
    MethodOption,
    MOption,
    WaitOption,
    WorkersOption,
    YesOption,
)
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.vectors.build.definition import Wishes

app = group("Create, rebuild and drop vector indexes while others go on working.")


@register(app, "create")
def create(
    run: Invocation,
    collection: CollectionOption = None,
    method: MethodOption = None,
    half: HalfOption = False,
    binary: BinaryOption = False,
    m: MOption = None,
    ef_construction: ConstructionOption = None,
    lists: ListsOption = None,
    memory: MemoryOption = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
    wait: WaitOption = "10min",
    dry_run: DryRunOption = False,
) -> None:
    """Create the vector index of a collection, CONCURRENTLY.

    HNSW with pgvector's parameters unless said otherwise; of halfvec where a
    vector is longer than the 2,000 dimensions that can be indexed. Memory and
    workers are those of the machine, for this build alone. What an attempt that
    failed has left is dropped first; Ctrl-C leaves nothing.
    """
    from agentdb_cli.vectors.build import definition, plan, work

    wishes = _wishes(method, half, binary, m, ef_construction, lists)
    with run.connect(in_schema=True) as connection:
        located, tables = building.prepared(run, connection, collection)
        wanted = definition.define(located, wishes, building.largest(tables))
        building.refuse_second(located, wanted)
        if not force:
            plan.refuse_few_rows(wanted, tables)
        left = plan.leftovers(located)
        for index in left:
            run.output.notice(
                f"{index.name} is invalid, left by a build that failed: dropped first"
            )
        works = (
            *(work.removal(located, index) for index in left),
            *work.creation(connection, located, wanted, tables),
        )
        build = building.Build(
            run, connection, located, wanted, tables, works, wait, memory, workers
        )
        build.go("created", dry_run=dry_run)


@register(app, "rebuild")
def rebuild(
    run: Invocation,
    index: IndexArgument = None,
    collection: CollectionOption = None,
    method: MethodOption = None,
    half: HalfOption = False,
    binary: BinaryOption = False,
    m: MOption = None,
    ef_construction: ConstructionOption = None,
    lists: ListsOption = None,
    memory: MemoryOption = None,
    workers: WorkersOption = None,
    force: ForceOption = False,
    wait: WaitOption = "10min",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Build a vector index anew, with other parameters if they are given.

    As it is: by REINDEX CONCURRENTLY. With other parameters the new one is
    built beside the old one, and takes its place and name. Searches go on.
    """
    from agentdb_cli.vectors.build import definition, plan, work

    given = _wishes(method, half, binary, m, ef_construction, lists)
    with run.connect(in_schema=True) as connection:
        located, tables = building.prepared(run, connection, collection)
        old = building.named(located, index)
        if old.form == "other" or old.predicate is not None:
            raise AgentdbError(
                f"{old.name} is of another kind than agentdb makes: {old.expression}"
                + (f" WHERE {old.predicate}" if old.predicate else ""),
                hint=f"agentdb reindex {old.name} builds it anew as it is",
            )
        wanted = definition.define(
            located, definition.wishes_of(old, given), building.largest(tables)
        )
        changed = not definition.equals(old, wanted) or old.parameters != wanted.parameters
        if not force:
            plan.refuse_few_rows(wanted, tables)
        works = (
            work.replacement(connection, located, old, wanted, tables)
            if changed or not old.valid
            else work.rebuilding(connection, located, old)
        )
        build = building.Build(
            run, connection, located, wanted, tables, works, wait, memory, workers
        )
        build.go("rebuilt", dry_run=dry_run, yes=yes, ask=f"rebuild {old.name}")


@register(app, "drop")
def drop(
    run: Invocation,
    index: IndexArgument = None,
    collection: CollectionOption = None,
    wait: WaitOption = "10min",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Drop a vector index, CONCURRENTLY. Searches without any read the whole table."""
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.render.progress import size
    from agentdb_cli.vectors.build import plan, work

    longest = building.milliseconds(wait)
    with run.connect(in_schema=True) as connection:
        building.refuse_unfit(run, connection)
        located = chosen(run, connection, collection)
        plan.refuse_kind(located, ())
        old = building.named(located, index)
        works = (work.removal(located, old),)
        last = not [i for i in located.indexes if i.valid and i.oid != old.oid]
        if last:
            run.output.warning(f"without it every search reads all of {located.name}")
        if dry_run:
            building.show_sql(run, [works[0].statement])
            run.output.notice("dry run: nothing was dropped")
            return
        if not run.confirmed(f"drop {old.name}, {size(old.bytes)}: go on?", yes=yes):
            run.output.notice("nothing was done")
            return
        seconds = building.perform(run, connection, works, None, longest)
    run.output.record({"index": old.name, "state": "dropped", "seconds": round(seconds, 3)})


def _wishes(
    method: Method | None,
    half: bool,
    binary: bool,
    m: int | None,
    ef_construction: int | None,
    lists: int | None,
) -> Wishes:
    from agentdb_cli.vectors.build.definition import Wishes

    if half and binary:
        raise SettingsError("either --half or --binary")
    given = {"m": m, "ef_construction": ef_construction, "lists": lists}
    if method is None and lists is not None:
        method = Method.ivfflat
    return Wishes(
        method.value if method else None,
        "half" if half else "binary" if binary else None,
        {name: value for name, value in given.items() if value is not None},
    )
