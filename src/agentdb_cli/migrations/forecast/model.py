"""A claim to a lock, and what else a statement tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agentdb_cli.migrations.forecast import levels, rows
from agentdb_cli.migrations.forecast.levels import Level, Mode, Where
from agentdb_cli.migrations.lint.reader import Name, Reader, find
from agentdb_cli.migrations.lint.statement import Parsed
from agentdb_cli.migrations.lint.tokens import Token


class Reach(StrEnum):
    """What a lock reaches besides the relation that the statement names."""

    alone = ""
    table = "table"  # the table of an index
    referenced = "referenced"  # tables that its foreign keys refer to
    referencing = "referencing"  # tables whose foreign keys refer to it
    constraint = "constraint"  # the table that the named foreign key refers to


@dataclass(frozen=True, slots=True)
class Claim:
    """A lock that a statement asks for.

    Attributes:
        name: as the statement writes it.
        further: what is locked along with it, and how.
        constraint: the foreign key that `further` is about.
        certain: False for what may be no relation at all (a name after FROM).
        note: what the words leave open.
    """

    name: Name
    level: Level
    further: tuple[Reach, Level] = (Reach.alone, levels.READ)
    constraint: str = ""
    certain: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement tells.

    Attributes:
        unknown: why there may be more locks than these; empty if there are none.
        calls: functions that it calls, of which nobody knows here what they do.
        data: whether it reads or writes rows, so that triggers and functions run.
    """

    claims: tuple[Claim, ...] = ()
    unknown: str = ""
    calls: tuple[Name, ...] = ()
    data: bool = False


_FILLERS = (
    ("or", "replace"), ("temporary",), ("temp",), ("unlogged",), ("recursive",), ("unique",),
    ("if", "not", "exists"), ("if", "exists"), ("only",),
)  # fmt: skip


def of_rows(statement: Parsed) -> Reading:
    """What a statement tells that reads or writes rows."""
    return Reading(
        tuple(
            Claim(name, level, certain=level.mode >= Mode.row_exclusive)
            for name, level in rows.relations(statement.tokens)
        ),
        calls=tuple(rows.calls(statement.tokens)),
        data=True,
    )


def names_in(tokens: tuple[Token, ...], reader: Reader, where: Where) -> list[Name]:
    """The relations that a statement names in a place.

    Args:
        reader: after the first words of the statement.
    """
    if where is Where.nothing:
        return []
    if where in (Where.on, Where.to, Where.source):
        word = where.value
        at = find(tokens, word)
        if word == "on" and tokens[0].is_word("comment"):
            second = find(tokens[at + 1 :], word) if at is not None else None
            at = None if at is None or second is None else at + 1 + second
        if at is None:
            return []
        reader.position = at + 1
        reader.accept("table")
    names: list[Name] = []
    while name := reader.name():
        names.append(name[:-1] if where is Where.column else name)
        reader.symbol("*")
        if where in (Where.object, Where.column) or not reader.symbol(","):
            break
    return [name for name in names if name]


def accept(reader: Reader, words: tuple[str, ...]) -> bool:
    """Read the words of a statement, with what may stand between them."""
    for word in words:
        if not reader.accept(word):
            skip(reader)
            if not reader.accept(word):
                return False
    return True


def skip(reader: Reader) -> None:
    """Read what may stand between the words of a statement: IF EXISTS, ONLY …"""
    while any(reader.accept(*filler) for filler in _FILLERS):
        pass
