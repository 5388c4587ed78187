"""What an archive of pg_dump holds, entry by entry, and choosing tables from it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.errors import AgentdbError, nearest

# The kinds of more than one word (pg_dump.c, the `desc` of its archive entries); a kind is
# followed by a schema, which may be written in capitals too.
_KINDS = (
    "MATERIALIZED VIEW DATA", "MATERIALIZED VIEW", "TABLE DATA", "TABLE ATTACH", "FK CONSTRAINT",
    "CHECK CONSTRAINT", "DEFAULT ACL", "SEQUENCE OWNED BY", "SEQUENCE SET", "INDEX ATTACH",
    "ROW SECURITY", "EVENT TRIGGER", "FOREIGN TABLE", "FOREIGN DATA WRAPPER", "FOREIGN SERVER",
    "USER MAPPING", "STATISTICS DATA", "SHELL TYPE", "OPERATOR CLASS", "OPERATOR FAMILY",
    "ACCESS METHOD", "PROCEDURAL LANGUAGE", "PUBLICATION TABLES IN SCHEMA", "PUBLICATION TABLE",
    "SUBSCRIPTION TABLE", "SECURITY LABEL", "DATABASE PROPERTIES", "BLOB METADATA",
    "TEXT SEARCH PARSER", "TEXT SEARCH DICTIONARY", "TEXT SEARCH TEMPLATE",
    "TEXT SEARCH CONFIGURATION",
)  # fmt: skip
_LINE = re.compile(rf"(\d+); \d+ \d+ ({'|'.join(_KINDS)}|[A-Z]+) (.*)")
_OWNER = re.compile(r"^-- Name: .*; Owner: (.+)$", re.MULTILINE)
_BULKY = frozenset({"TABLE DATA", "BLOB", "BLOBS", "STATISTICS DATA"})

# What belongs to a table without being one of its own right.
_ATTACHED = frozenset({
    "TABLE DATA", "DEFAULT", "SEQUENCE", "SEQUENCE OWNED BY", "SEQUENCE SET", "INDEX",
    "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY",
    "ROW SECURITY", "ACL", "COMMENT", "STATISTICS", "STATISTICS DATA", "TABLE ATTACH",
    "SECURITY LABEL",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an archive.

    Attributes:
        kind: `TABLE`, `TABLE DATA`, `INDEX`, `FK CONSTRAINT` …
        label: schema and name, as `public items_pkey`; `-` for no schema. Constraints and triggers
            have their table's name before their own.
        needs: the numbers of the entries that it depends on.
    """

    number: int
    kind: str
    label: str
    needs: tuple[int, ...] = ()


def read(pg_restore: str, data: Path, *options: str) -> tuple[Entry, ...]:
    """The entries of an archive.

    Args:
        options: `--create` for those about the database itself, too.

    Raises:
        AgentdbError: pg_restore cannot read it.
    """
    # In the list nothing parts a name from its owner, and both may hold spaces.
    script = run(pg_restore, *options, "--schema-only", "--file=-", str(data))
    owners = sorted(set(_OWNER.findall(script)), key=len, reverse=True)
    found: list[Entry] = []
    for line in run(pg_restore, *options, "--list", "--verbose", str(data)).splitlines():
        if (match := _LINE.fullmatch(line)) is not None:
            owner = next((o for o in owners if match[3].endswith(f" {o}")), "")
            found.append(Entry(int(match[1]), match[2], match[3].removesuffix(f" {owner}")))
        elif line.startswith(";\tdepends on:") and found:
            last = found[-1]
            needs = tuple(int(number) for number in line.partition(":")[2].split())
            found[-1] = Entry(last.number, last.kind, last.label, needs)
    return tuple(found)


def definitions(pg_restore: str, data: Path, entries: Sequence[Entry]) -> str:
    """The SQL of entries, without their rows."""
    with listed([entry for entry in entries if entry.kind not in _BULKY]) as listing:
        return run(pg_restore, "--use-list", listing, "--file=-", str(data))


def without_comments_on(entries: Sequence[Entry], extensions: Collection[str]) -> tuple[Entry, ...]:
    """The entries, but for comments on extensions that are there: only their owner may comment."""
    gone = {f"- EXTENSION {text}" for name in extensions for text in (name, f'"{name}"')}
    return tuple(e for e in entries if e.kind != "COMMENT" or e.label not in gone)


@contextmanager
def listed(entries: Sequence[Entry]) -> Iterator[str]:
    """The path of a file for `pg_restore --use-list`."""
    with tempfile.NamedTemporaryFile("w", prefix="agentdb-", suffix=".list") as stream:
        stream.writelines(f"{entry.number};\n" for entry in entries)
        stream.flush()
        yield stream.name


def run(program: str, *arguments: str) -> str:
    """What pg_restore writes about an archive; no server is asked.

    Raises:
        AgentdbError: it failed.
    """
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[0].removeprefix("pg_restore: error: ") if said else "no message"
        raise AgentdbError(f"pg_restore cannot read {arguments[-1]}: {reason}")
    return done.stdout.decode(errors="replace")


def chosen(entries: Sequence[Entry], tables: Collection[str]) -> tuple[Entry, ...]:
    """The entries of tables, with what they need and what belongs to them.

    A partitioned table comes with its partitions. A foreign key to a table that is not chosen is
    left out.

    Args:
        tables: names, as `schema.table`, or `table` in schema public.

    Raises:
        AgentdbError: the archive has no such table.
    """
    by_label = {e.label: e for e in entries if e.kind in ("TABLE", "FOREIGN TABLE")}
    wanted: set[int] = set()
    for name in tables:
        label = name.replace(".", " ", 1) if "." in name else f"public {name}"
        if label not in by_label:
            known = [label.removeprefix("public ").replace(" ", ".", 1) for label in by_label]
            raise AgentdbError(f"the backup has no table {name}{nearest(name, known)}", exit_code=2)
        wanted.add(by_label[label].number)
    _with_partitions(entries, by_label, wanted)
    main = frozenset(wanted)
    relations = frozenset(entry.number for entry in by_label.values())
    by_number = {entry.number: entry for entry in entries}
    while True:
        before = len(wanted)
        for entry in entries:
            needs = set(entry.needs)
            other_tables = (needs & relations) - main
            belongs = entry.kind in _ATTACHED and needs & wanted
            if entry.number not in wanted and belongs and not other_tables:
                wanted.add(entry.number)
        for number in tuple(wanted):
            wanted |= {need for need in by_number[number].needs if need in by_number}
        if len(wanted) == before:
            return tuple(entry for entry in entries if entry.number in wanted)


def _with_partitions(
    entries: Sequence[Entry], by_label: dict[str, Entry], wanted: set[int]
) -> None:
    attached = [e for e in entries if e.kind == "TABLE ATTACH" and e.label in by_label]
    before = -1
    while before != len(wanted):
        before = len(wanted)
        for entry in attached:
            child = by_label[entry.label].number
            if (set(entry.needs) - {child}) & wanted:
                wanted.add(child)
