"""`agentdb vectors tune`: the smallest setting that finds as much as is wanted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.vectors.measuring import (
    IndexOption,
    LimitOption,
    QueriesOption,
    SeedOption,
    cells,
    telling,
)
from agentdb_cli.errors import AgentdbError, SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.indexes import Index
    from agentdb_cli.vectors.tune import Choice, Trial


class Apply(StrEnum):
    """Where the setting may be written."""

    config = "config"
    database = "database"
    role = "role"


def tune(
    run: Invocation,
    collection: CollectionOption = None,
    index: IndexOption = None,
    target: Annotated[
        float,
        typer.Option("--target-recall", metavar="SHARE", help="Of the nearest rows; 0.5 to 0.999."),
    ] = 0.98,
    limit: LimitOption = 10,
    queries: QueriesOption = None,
    seed: SeedOption = 0,
    apply: Annotated[
        Apply | None,
        typer.Option("--apply", help="Write it: agentdb.toml, or ALTER DATABASE or ROLE … SET."),
    ] = None,
    try_: Annotated[
        bool,
        typer.Option("--try", help="Build other indexes on a copy of some rows, and measure them."),
    ] = False,
    try_rows: Annotated[
        int, typer.Option("--try-rows", metavar="N", min=1000, help="Rows of that copy at most.")
    ] = 20_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --apply: show what would be written.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Find the smallest ef_search or probes that reaches a recall.

    It reaches it if the lower bound of the 95 percent interval does. A quarter
    of the queries has no part in the choice and checks it. Without --apply the
    setting is only shown.

    --try builds other indexes in a temporary table, and measures what they
    would bring: more connections, halfvec, binary quantisation.

    Exit code: 1 if the recall cannot be reached with this index.
    """
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.postgres.connect import is_pooled
    from agentdb_cli.vectors import recall as measured
    from agentdb_cli.vectors import truth
    from agentdb_cli.vectors import tune as tuning

    if not 0.5 <= target <= 0.999:
        raise SettingsError(f"--target-recall is from 0.5 to 0.999, not {target:g}")
    with run.connect(in_schema=True) as connection:
        located = chosen(run, connection, collection)
        searched = measured.index_for(located, index)
        if try_ and is_pooled(connection):
            raise AgentdbError(
                "a pooler in between gives each statement another session, and --try needs one of"
                " its own for its temporary table",
                hint="connect to the server directly",
            )
        tried: list[Trial] = []
        with telling(run, searched.relation) as tell:
            wanted = truth.Wanted(queries, tuning.MOST_QUERIES, tuning.SECONDS, seed)
            known = truth.find(connection, located, searched, wanted, limit, tell)
            choice = tuning.choose(
                connection, located, searched, known.queries, limit, target, tell
            )
            if try_:
                tried = tuning.trials(
                    connection, located, searched, limit, target,
                    try_rows, min(queries or 100, 100), seed, tell,
                )  # fmt: skip
        _show(run, searched, choice, tried, target, limit)
        if not choice.reached:
            raise AgentdbError(
                f"{searched.name} does not reach a recall of {target:g}: at"
                f" {measured.setting(searched)} {choice.point.value} it found"
                f" {choice.point.recall:.4f} ({choice.point.low:.4f} at least)",
                hint=_remedy(searched, tried=bool(tried)),
            )
        if apply is not None:
            _write(run, connection, located, searched, choice, apply, dry_run=dry_run, yes=yes)


def _remedy(index: Index, *, tried: bool) -> str:
    if index.method == "ivfflat":
        return "agentdb vectors index create --method hnsw finds more in less time"
    m = min(index.parameters["m"] * 2, 100)
    construction = min(max(index.parameters["ef_construction"] * 2, 2 * m), 1000)
    rebuild = f"agentdb vectors index rebuild {index.relation} --m {m}"
    more = f"{rebuild} --ef-construction {construction}"
    return more if tried else f"{more}; agentdb vectors tune --try measures what that would bring"


def _show(
    run: Invocation,
    index: Index,
    choice: Choice,
    tried: list[Trial],
    target: float,
    limit: int,
) -> None:
    from agentdb_cli.vectors.recall import setting

    name, point, people = setting(index), choice.point, run.output.for_people
    if people:
        rows = [
            {**cells(each, name, people=True), "": "chosen" if chosen else ""}
            for each in choice.tried
            for chosen in [choice.reached and each.value == point.value]
        ]
        run.output.rows(list(rows[0]), rows)
        run.output.line()
    if people and choice.reached:
        guc = f"hnsw.{name}" if index.method == "hnsw" else f"ivfflat.{name}"
        run.output.line(
            f"{guc} = {point.value} reaches a recall@{limit} of {target:g};"
            f" on {choice.checked} rows that had no part in the choice it is"
            f" {choice.check.recall:.4f}"
        )
    elif not people:
        run.output.record(
            {
                "index": index.name,
                "setting": name,
                "reached": choice.reached,
                "target": target,
                "limit": limit,
                **cells(point, "value", people=False),
                "check_recall": choice.check.recall,
                "tried": _trials(tried, people=False),
            }
        )
    if people and tried:
        rows = _trials(tried, people=True)
        run.output.line()
        run.output.rows(list(rows[0]), rows)
        run.output.notice(f"{index.relation} as it is, and others, on a copy of some rows")


def _trials(tried: list[Trial], *, people: bool) -> list[dict[str, object]]:
    from agentdb_cli.render import duration
    from agentdb_cli.render.progress import size

    rows: list[dict[str, object]] = []
    for trial in tried:
        row: dict[str, object] = {
            "index": trial.name,
            "build": duration(trial.seconds) if people else trial.seconds,
            "size": size(trial.bytes) if people else trial.bytes,
            "reached": trial.reached,
        }
        rows.append({**row, **cells(trial.point, "setting", people=people)})
    return rows


def _write(
    run: Invocation,
    connection: Connection,
    located: Located,
    index: Index,
    choice: Choice,
    where: Apply,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    from agentdb_cli.vectors.recall import setting

    name, value = setting(index), choice.point.value
    assert value is not None
    if where is Apply.config:
        _write_config(run, located, name, value, dry_run=dry_run, yes=yes)
        return
    from agentdb_cli.postgres.quoting import identifier

    database = identifier(connection.info.dbname)
    row = connection.execute("SELECT current_user::text").fetchone()
    role = identifier(str(row[0]) if row else connection.info.user)
    of = (
        f"DATABASE {database}" if where is Apply.database else f"ROLE {role} IN DATABASE {database}"
    )
    guc = f"{'hnsw' if index.method == 'hnsw' else 'ivfflat'}.{name}"
    statement = f"ALTER {of} SET {guc} = {value}"
    if dry_run:
        run.output.notice(f"dry run: {statement}")
        return
    if run.confirmed(f"{statement}: go on?", yes=yes):
        connection.execute(statement.encode())
        run.output.notice(
            f"done: {statement}; new sessions have it. agentdb search keeps to agentdb.toml"
        )


def _write_config(
    run: Invocation, located: Located, name: str, value: int, *, dry_run: bool, yes: bool
) -> None:
    from agentdb_cli.settings import edit

    if run.settings.file is None:
        raise AgentdbError(
            "there is no agentdb.toml to write the setting to", hint="agentdb init writes one"
        )
    path, environment = run.settings.file.path, run.settings.environment
    collection = located.collection
    keys: tuple[str, ...] = ("collections", collection.name)
    if environment:
        keys = ("environments", environment, *keys)
    values: dict[str, object] = {name: value}
    if collection.source == "found in the database":  # an entry has to say where its rows are
        values = {
            "table": located.name,
            "key": collection.key,
            "embedding": collection.embedding,
            "text": collection.text,
            "distance": collection.distance,
            **values,
        }
    text = edit.text_of(path)
    after = edit.changed(path, text, keys, values)
    if dry_run:
        run.output.notice(f"dry run: {name} = {value} in [{'.'.join(keys)}] of {path}")
        return
    if run.confirmed(f"write {name} = {value} to [{'.'.join(keys)}] of {path}?", yes=yes):
        edit.write(path, text, after)
        run.output.notice(f"wrote {name} = {value} to [{'.'.join(keys)}] of {path}")
