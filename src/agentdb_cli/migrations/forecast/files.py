"""The forecast of a run: for each pending file, statement by statement, what it locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.forecast import relations
from agentdb_cli.migrations.forecast.claims import read
from agentdb_cli.migrations.forecast.levels import Level, Mode, Work
from agentdb_cli.migrations.forecast.model import Claim, Reach, Reading
from agentdb_cli.migrations.forecast.relations import Relation, quoted
from agentdb_cli.migrations.job import Job
from agentdb_cli.migrations.lint.context import Context, known
from agentdb_cli.migrations.lint.reader import Name, Reader
from agentdb_cli.migrations.lint.statement import Column, Parsed, column, parse
from agentdb_cli.migrations.lint.tokens import Kind, tokenize
from agentdb_cli.migrations.prepare import Prepared
from agentdb_cli.migrations.statements import line_and_column
from agentdb_cli.migrations.statements import parse as parse_script
from agentdb_cli.postgres.connect import Connection

LARGE = 32 * 1024**2
"""Bytes from which on a table takes noticeably long to be read or written anew: at some
100 MB/s, with its indexes, about a second, for which everybody else waits."""

_EXCERPT = 100
_LONGEST = 20_000  # characters of a statement that are read; what is longer holds data
_MAKES = (
    "view", "sequence", "function", "procedure", "type", "domain", "foreign table", "publication",
)  # fmt: skip


class Danger(StrEnum):
    """What a lock means to those who use the database."""

    none = ""
    brief = "brief"  # stops them for a moment, once it is granted
    long = "long"  # stops them for as long as a large table is read or written
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that a statement will take.

    Attributes:
        relation: `schema.relation`, or the name as it is written if there is none yet.
        rows: estimated; None if nobody knows.
        size: bytes; None if there is no such relation yet.
        children: how many partitions or heirs are locked with it.
    """

    relation: str
    mode: Mode
    work: Work
    rows: int | None
    size: int | None
    children: int = 0
    note: str = ""

    @property
    def danger(self) -> Danger:
        """How long it stops others."""
        if self.mode < Mode.share:
            return Danger.none
        large = self.size is None or self.size >= LARGE
        return Danger.long if self.work.is_long and large else Danger.brief


@dataclass(frozen=True, slots=True)
class Step:
    """A statement: where it stands, and what it locks, the strongest first.

    Attributes:
        unknown: why there may be more locks; empty if there are none.
    """

    line: int
    text: str
    locks: tuple[Lock, ...]
    unknown: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a file will lock; `together` if until its end, in one transaction."""

    file: MigrationFile
    steps: tuple[Step, ...]
    together: bool


def forecast(connection: Connection, job: Job, files: Sequence[Prepared]) -> tuple[Forecast, ...]:
    """What files that run one after the other will lock.

    Args:
        connection: to the database in question; only read.
        files: from `runner.check`.
    """
    parsed = [tuple(_statements(prepared)) for prepared in files]
    statements = [statement for file in parsed for statement in file]
    readings = [read(statement, {}) for statement in statements]
    wanted = {quoted(claim.name) for reading in readings for claim in reading.claims}
    live = _Live(
        relations.look_up(connection, wanted, job.home) if wanted else {},
        relations.functions(
            connection, {name[-1] for reading in readings for name in reading.calls}
        ),
        Context.of(job.variables),
    )
    return tuple(
        Forecast(prepared.file, tuple(live.steps(prepared, own)), not prepared.steps)
        for prepared, own in zip(files, parsed, strict=True)
    )


@dataclass
class _Live:
    """What is known of the database, and of what the files before have made."""

    found: Mapping[str, Relation]
    functions: frozenset[str]
    context: Context
    made: set[Name] = field(default_factory=set)

    def __post_init__(self) -> None:
        for relation in self.found.values():
            for name, kind in relation.columns.items():
                known_type = column(tokenize(f'"c" {kind}'))
                if known_type:
                    self.context.columns[relation.name.split(".", 1)[1], name] = known_type

    @property
    def columns(self) -> dict[tuple[str, str], Column]:
        return self.context.columns

    def steps(self, prepared: Prepared, statements: Sequence[Parsed]) -> Iterator[Step]:
        self.context.begin_file(not prepared.steps)
        for place, statement in zip(prepared.statements, statements, strict=True):
            reading = read(statement, self.columns)
            locks = {
                (lock.relation, lock.mode, lock.work): lock
                for claim in reading.claims
                for lock in self._locks(claim)
            }
            line, _ = line_and_column(prepared.file.text, place.start)
            yield Step(
                line,
                _excerpt(place.text),
                tuple(sorted(locks.values(), key=lambda lock: -lock.mode)),
                "; ".join(self._unknown(reading)),
            )
            self._learn(statement)

    def _locks(self, claim: Claim) -> Iterator[Lock]:
        relation = self.found.get(quoted(claim.name))
        if relation is None:
            if claim.certain and not self._is_new(claim.name):
                yield Lock(
                    ".".join(claim.name), claim.level.mode, claim.level.work, None, None,
                    note="; ".join(filter(None, ("not there yet", claim.note))),
                )  # fmt: skip
            return
        yield _lock(relation, claim.level, claim.note)
        reach, level = claim.further
        for name in _reached(relation, reach, claim.constraint):
            if other := self.found.get(name):
                yield _lock(other, level, "")

    def _is_new(self, name: Name) -> bool:
        new = (self.context.fresh, self.context.indexes, self.made)
        return any(known(names, name) for names in new)

    def _unknown(self, reading: Reading) -> Iterator[str]:
        if reading.unknown:
            yield reading.unknown
        made = {name[-1] for name in self.made}
        for name in dict.fromkeys(call[-1] for call in reading.calls):
            if name in self.functions or name in made:
                yield f"what {name}() does is not read"
        if reading.data:
            for claim in reading.claims:
                relation = self.found.get(quoted(claim.name))
                if relation and relation.triggers and claim.level.mode is Mode.row_exclusive:
                    yield f"what the triggers of {relation.name} do is not read"

    def _learn(self, statement: Parsed) -> None:
        self.context.learn(statement)
        reader = Reader(statement.tokens)
        if reader.accept("create"):
            reader.accept("or", "replace")
            for words in _MAKES:
                if reader.accept(*words.split()):
                    reader.accept("if", "not", "exists")
                    if name := reader.name():
                        self.made.add(name)


def _lock(relation: Relation, level: Level, note: str) -> Lock:
    return Lock(
        relation.name, level.mode, level.work, relation.rows, relation.size,
        relation.children, note,
    )  # fmt: skip


def _reached(relation: Relation, reach: Reach, constraint: str) -> Sequence[str]:
    match reach:
        case Reach.table:
            return [relation.table_of_index] if relation.table_of_index else []
        case Reach.referenced:
            return relation.referenced
        case Reach.referencing:
            return relation.referencing
        case Reach.constraint:
            name = relation.foreign_keys.get(constraint)
            return [name] if name else []
    return []


def _statements(prepared: Prepared) -> Iterator[Parsed]:
    """The statements as they are sent, with the variables filled in."""
    for statement in parse_script(prepared.body.text).statements:
        tokens = tokenize(statement.text[:_LONGEST])
        yield parse([token for token in tokens if token.kind is not Kind.comment])


def _excerpt(text: str) -> str:
    line = " ".join(text[: 4 * _EXCERPT].split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1].rstrip() + "…"
