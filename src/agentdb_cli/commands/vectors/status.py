"""`agentdb vectors status`: the collections, their indexes, and what would mend them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.indexes import Index
    from agentdb_cli.vectors.status import Rows, Verdict


def status(
    run: Invocation,
    collection: CollectionOption = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Count rows and dimensions: reads whole tables.")
    ] = False,
) -> None:
    """Show the collections, their vector indexes, and what would mend them.

    Rows are the server's estimates unless --exact counts them. `changed` are
    rows since the last ANALYZE; the server does not know since when an index is.
    """
    from agentdb_cli.commands.collections import DISCOVERED, known
    from agentdb_cli.commands.embedding import record_schema
    from agentdb_cli.vectors import models
    from agentdb_cli.vectors import status as domain
    from agentdb_cli.vectors.collections import locate, named

    rows: list[dict[str, object]] = []
    said: list[tuple[str, Verdict]] = []
    missing: list[AgentdbError] = []
    with run.connect(in_schema=True) as connection:
        cache = domain.shared_buffers(connection)
        found = known(run, connection)
        found = found if collection is None else (named(found, collection),)
        for each in found:
            try:
                located = locate(connection, each)
            except AgentdbError as error:
                if collection is not None:
                    raise
                missing.append(error)
                continue
            counted = domain.rows(connection, located, exact=exact)
            model = models.recorded(connection, located, record_schema(run))
            verdicts = domain.of_collection(located, counted)
            said += [(each.name, verdict) for verdict in verdicts]
            indexes: tuple[Index | None, ...] = located.indexes or (None,)
            for index in indexes:
                own = domain.of_index(located, index, counted, cache) if index else []
                said += [(index.relation, verdict) for verdict in own if index]
                row = _row(located, index, counted, model, cache)
                rows.append({**row, "verdicts": [str(v) for v in (*verdicts, *own)]})
    for absent in missing:
        run.output.warning(absent.message)
    _show(run, rows, said, discovered=all(each.source == DISCOVERED for each in found))


def _row(
    located: Located, index: Index | None, rows: Rows, model: str | None, cache: int
) -> dict[str, object]:
    return {
        "collection": located.collection.name,
        "table": located.name,
        "rows": rows.count,
        "nulls": rows.nulls,
        "type": located.type,
        "dimensions": located.dimensions,
        "dimensions_seen": list(rows.seen) if rows.seen else None,
        "distance": located.collection.distance,
        "model": model,
        "dead": rows.dead,
        "changed": rows.changed,
        "analyzed": rows.analyzed,
        "table_bytes": rows.bytes,
        "index": index.name if index else None,
        "method": index.method if index else None,
        "form": index.form if index else None,
        "parameters": dict(index.parameters) if index else None,
        "index_distance": index.distance if index else None,
        "valid": index.valid if index else None,
        "index_bytes": index.bytes if index else None,
        "share_of_cache": round(index.bytes / cache, 3) if index and cache else None,
    }


def _show(
    run: Invocation,
    rows: list[dict[str, object]],
    said: list[tuple[str, Verdict]],
    *,
    discovered: bool,
) -> None:
    if not run.output.for_people:
        run.output.rows(list(rows[0]) if rows else [], rows)
        return
    shown = [_readable(row) for row in rows]
    if shown:
        columns = [
            name
            for name in shown[0]
            if name in ("collection", "rows", "index")
            or any(row[name] not in (None, "") for row in shown)
        ]
        run.output.rows(columns, shown)
    if said:
        run.output.line()
    for name, verdict in said:
        run.output.line(f"{name}: {verdict.problem}")
        if verdict.command:
            run.output.line(f"    {verdict.command}")
    if discovered and rows:
        run.output.notice(
            "nobody declared these: they were found; agentdb init --discover writes them down"
        )


def _readable(row: dict[str, object]) -> dict[str, object]:
    from agentdb_cli.render.progress import size

    parameters, bytes_, share = row["parameters"], row["index_bytes"], row["share_of_cache"]
    seen = row["dimensions_seen"]
    dimensions = row["dimensions"]
    if isinstance(seen, list) and seen != [dimensions, dimensions]:
        dimensions = f"{dimensions or 'any'}, seen {' to '.join(map(str, dict.fromkeys(seen)))}"
    built = None
    if isinstance(parameters, dict):
        values = ", ".join(f"{name} {value}" for name, value in parameters.items())
        form = "" if row["form"] == "plain" else f" {row['form']}"
        built = f"{row['method']}{form}: {values}"
    index = row["index"]
    return {
        "collection": row["collection"],
        "rows": f"{row['rows']:,}" if isinstance(row["rows"], int) else "unknown",
        "nulls": row["nulls"] or "",
        "dimensions": dimensions,
        "dead": row["dead"] or "",
        "changed": row["changed"] or "",
        "model": row["model"],
        "index": "none" if index is None else f"{index}{'' if row['valid'] else ' (invalid)'}",
        "built": built,
        "size": size(bytes_) if isinstance(bytes_, int) else None,
        "of cache": f"{share:.0%}" if isinstance(share, float) else None,
    }
