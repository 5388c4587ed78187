"""Statements of which more words than the first decide what they lock."""

from __future__ import annotations

from collections.abc import Callable

from agentdb_cli.migrations.forecast import levels, rows
from agentdb_cli.migrations.forecast.levels import Level, Mode, Where, Work
from agentdb_cli.migrations.forecast.model import Claim, Reach, Reading, names_in, of_rows, skip
from agentdb_cli.migrations.lint.reader import Name, Reader, find
from agentdb_cli.migrations.lint.statement import Parsed


def _create_table(statement: Parsed, reader: Reader) -> Reading:
    tokens = statement.tokens
    claims = [Claim(name, levels.REFERENCED) for name in rows.after(tokens, "references")]
    claims += [Claim(name, levels.PARTITIONED) for name in rows.after(tokens, "partition", "of")]
    claims += [Claim(name, levels.READ) for name in rows.after(tokens, "like")
               if find(tokens, "as") is None]  # fmt: skip
    if (at := find(tokens, "inherits")) is not None:
        reader.position = at + 1
        inside = Reader(reader.parentheses() or ())
        while name := inside.name():
            claims.append(Claim(name, levels.INHERITED))
            inside.symbol(",")
    if find(tokens, "as") is None:
        return Reading(tuple(claims))
    return _with_query(statement, claims)


def _create_view(statement: Parsed, reader: Reader) -> Reading:
    skip(reader)
    name = reader.name()
    replaced = statement.words[1:3] == ("or", "replace") and name is not None
    return _with_query(
        statement, [Claim(name, levels.REPLACED, certain=False)] if replaced and name else []
    )


def _with_query(statement: Parsed, claims: list[Claim]) -> Reading:
    at = find(statement.tokens, "as") or 0
    query = of_rows(Parsed(statement.tokens[at + 1 :], ()))
    runs = statement.words[:1] == ("create",) and statement.table is not None
    return Reading((*claims, *query.claims), calls=query.calls if runs else (), data=runs)


def _create_schema(statement: Parsed, _: Reader) -> Reading:
    found = rows.after(statement.tokens, "references")
    return Reading(tuple(Claim(name, levels.REFERENCED) for name in found))


def _alter_index(statement: Parsed, reader: Reader) -> Reading:
    skip(reader)
    name = reader.name()
    if name is None or statement.words[2:3] == ("all",):
        return Reading(unknown="ALL IN TABLESPACE moves every index there")
    if reader.accept("attach", "partition") and (part := reader.name()):
        return Reading((Claim(name, levels.INDEX_ALTERED), Claim(part, levels.INDEX_ATTACHED)))
    moved = find(statement.tokens, "set", "tablespace") is not None
    return Reading((Claim(name, levels.INDEX_MOVED if moved else levels.INDEX_ALTERED),))


def _alter_sequence(statement: Parsed, reader: Reader) -> Reading:
    skip(reader)
    name = reader.name()
    defined = not any(t.is_word("rename", "schema") for t in reader.rest)
    owner = find(statement.tokens, "owner", "to") is not None
    level = levels.SEQUENCE if defined and not owner else levels.SEQUENCE_OTHERWISE
    return Reading((Claim(name, level),) if name else ())


def _alter_type(statement: Parsed, reader: Reader) -> Reading:
    name = reader.name()
    if name is None or find(statement.tokens, "attribute") is None:
        return Reading()
    return Reading(
        (Claim(name, levels.ATTRIBUTES),),
        "every table of the type is locked and changed as well"
        if statement.tokens[-1].is_word("cascade")
        else "",
    )


def _alter_domain(statement: Parsed, _: Reader) -> Reading:
    tokens = statement.tokens
    checks = find(tokens, "add") is not None and find(tokens, "not", "valid") is None
    if (
        checks
        or find(tokens, "validate") is not None
        or find(tokens, "set", "not", "null") is not None
    ):
        return Reading(unknown="SHARE on every table with a column of the domain, which is read")
    return Reading()


def _publication(statement: Parsed, reader: Reader) -> Reading:
    claims: list[Claim] = []
    if (at := find(statement.tokens, "table")) is not None:
        reader.position = at + 1
        reader.accept("only")
        claims = [
            Claim(name, levels.PUBLISHED)
            for name in names_in(statement.tokens, reader, Where.objects)
        ]
    everything = find(statement.tokens, "in", "schema") is not None
    return Reading(tuple(claims), "every table of the schema" if everything else "")


def _lock(statement: Parsed, reader: Reader) -> Reading:
    reader.accept("table")
    reader.accept("only")
    names = names_in(statement.tokens, reader, Where.objects)
    level = levels.LOCKED
    if reader.accept("in"):
        words = [token.value for token in reader.rest if not token.is_word("mode", "nowait")]
        level = Level(Mode["_".join(words)], Work.none, level.source)
    return Reading(tuple(Claim(name, level) for name in names))


def _maintain(statement: Parsed, reader: Reader) -> Reading:
    """VACUUM, ANALYZE and CLUSTER."""
    tokens = statement.tokens
    options = {t.value for t in reader.parentheses() or ()}
    while word := reader.accept_any(("full", "freeze", "verbose", "analyze")):
        options.add(word)
    level = levels.ANALYZED if tokens[0].is_word("analyze") else levels.VACUUMED
    if "full" in options or tokens[0].is_word("cluster"):
        level = levels.REWRITTEN
    names: list[Name] = []
    while name := reader.name():
        names.append(name)
        reader.parentheses()
        if not reader.symbol(","):
            break
    if not names:
        return Reading(unknown=f"every table, {level.mode} on one after the other")
    return Reading(tuple(Claim(name, level) for name in names))


def _reindex(statement: Parsed, reader: Reader) -> Reading:
    options = {token.value for token in reader.parentheses() or ()}
    kind = reader.accept_any(("index", "table", "schema", "database", "system"))
    concurrently = reader.accept("concurrently") or "concurrently" in options
    name = reader.name()
    if kind not in ("index", "table") or name is None:
        return Reading(unknown=f"every index of the {kind}, on one table after the other")
    table, index = levels.REINDEXED_TABLE, levels.REINDEXED
    if concurrently:
        table = index = Level(levels.INDEX_CONCURRENTLY.mode, Work.build, table.source)
    if kind == "index":
        return Reading((Claim(name, index, (Reach.table, table)),))
    stopped = "" if concurrently else "each of its indexes is locked against reading, too"
    return Reading((Claim(name, table, note=stopped),))


SPECIAL: dict[str, Callable[[Parsed, Reader], Reading]] = {
    "create table": _create_table,
    "create foreign table": _create_table,
    "create materialized view": _create_view,
    "create view": _create_view,
    "create schema": _create_schema,
    "create publication": _publication,
    "alter publication": _publication,
    "alter index": _alter_index,
    "alter sequence": _alter_sequence,
    "alter type": _alter_type,
    "alter domain": _alter_domain,
    "alter extension": lambda statement, _: Reading(
        unknown="the extension's own script is not read"
        if find(statement.tokens, "update") is not None
        else ""
    ),
    "reassign owned": lambda *_: Reading(unknown="every object that the roles own"),
    "drop owned": lambda *_: Reading(unknown="every object that the roles own"),
    "drop statistics": lambda *_: Reading(unknown="SHARE UPDATE EXCLUSIVE on their tables"),
    "lock": _lock,
    "vacuum": _maintain,
    "analyze": _maintain,
    "cluster": _maintain,
    "reindex": _reindex,
}
