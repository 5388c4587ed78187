"""The up and the down part of one file, as dbmate, goose and pycopg mark them.

Both parts keep the length and the lines of the file: what does not belong to a
part is blank there, so that every place in it is one in the file. After
dbmate's pkg/dbmate/migration.go, goose's internal/sqlparser and pycopg's
migrations.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.foreign import Format
from agentdb_cli.migrations.statements import ScriptError, parse

_DBMATE = re.compile(r"^--[ \t]*migrate:(?P<part>up|down)(?P<options>[ \t][^\n]*)?$", re.MULTILINE)
_GOOSE = re.compile(r"^--[ \t]*\+goose[ \t]+(?P<words>[^\n]*?)[ \t]*$", re.MULTILINE)
_PYCOPG = re.compile(r"^-- (?P<part>UP|DOWN)[ \t]*$", re.MULTILINE)
_NOT_BLANK = re.compile(r"[^\n]")
_COMMENTS = re.compile(r"(?:[ \t]*(?:--[^\n]*)?\n)*")


class Part(NamedTuple):
    """One of the two parts of a file.

    Attributes:
        text: as long as the file's, with blanks for the rest of it.
        no_transaction: whether it runs without a transaction.
    """

    text: str
    no_transaction: bool


class Sections(NamedTuple):
    """What a file with sections holds."""

    format: Format
    up: Part
    down: Part | None


class _Mark(NamedTuple):
    part: str  # up, down, or another word of goose
    start: int
    end: int
    options: str


def split(text: str, where: str) -> Sections | None:
    """The parts of a file; None for one without sections.

    Args:
        where: the file, for errors.

    Raises:
        MigrationError: the sections are not one up part and then, at most, one
            down part; or a statement stands before them.
    """
    if "+goose" in text and (marks := _genuine(text, _goose(text))):
        return _of_goose(text, where, marks)
    if "migrate:" in text and (marks := _genuine(text, _marks(text, _DBMATE))):
        return _of_dbmate(text, where, marks)
    marks = _genuine(text, _marks(text, _PYCOPG)) if "-- DOWN" in text else []
    # Two words may be a remark: sections are an up part first, and then a down part.
    if [mark.part for mark in marks] == ["up", "down"] and _only_comments(text, marks[0]):
        return _parts(text, where, Format.pycopg, marks, "-- UP")
    return None


def _of_dbmate(text: str, where: str, marks: list[_Mark]) -> Sections:
    return _parts(text, where, Format.dbmate, marks, "-- migrate:up")


def _of_goose(text: str, where: str, marks: list[_Mark]) -> Sections:
    envsubst = next((mark for mark in marks if mark.part == "envsubst on"), None)
    if envsubst is not None:
        raise MigrationError(
            f"{where}, line {_line(text, envsubst.start)}: ENVSUBST, which agentdb does not know",
            hint="write the value itself, or a variable (:name) and set it with --set",
        )
    everywhere = any(mark.part == "no transaction" for mark in marks)
    halves = [mark for mark in marks if mark.part in ("up", "down")]
    found = _parts(text, where, Format.goose, halves, "-- +goose Up")
    if not everywhere:
        return found
    down = found.down and found.down._replace(no_transaction=True)
    return Sections(Format.goose, found.up._replace(no_transaction=True), down)


def _marks(text: str, pattern: re.Pattern[str]) -> Iterator[_Mark]:
    for match in pattern.finditer(text):
        options = match.groupdict().get("options") or ""
        yield _Mark(match["part"].lower(), match.start(), match.end(), options)


def _goose(text: str) -> Iterator[_Mark]:
    for match in _GOOSE.finditer(text):
        yield _Mark(" ".join(match["words"].lower().split()), match.start(), match.end(), "")


def _genuine(text: str, marks: Iterator[_Mark]) -> list[_Mark]:
    """Those that are comments: not a line of a string, a function's body or a block comment."""
    return [mark for mark in marks if _only_comments(text, mark) or _is_outside(text, mark.start)]


def _only_comments(text: str, mark: _Mark) -> bool:
    found = _COMMENTS.match(text, 0, mark.start)
    return found is not None and found.end() == mark.start


def _is_outside(text: str, position: int) -> bool:
    try:
        parse(text[:position])
    except ScriptError as error:
        return not error.message.startswith("unterminated")
    return True


def _parts(text: str, where: str, format: Format, marks: list[_Mark], first: str) -> Sections:
    for number, mark in enumerate(marks):
        expected = ("up", "down")[number] if number < 2 else ""
        if mark.part != expected:
            line = text[mark.start : mark.end].strip()
            problem = (
                f"{line} without {first} above it"
                if number == 0
                else f"{line} a second time"
                if mark.part == marks[number - 1].part
                else f"{line} after the down part"
            )
            raise MigrationError(
                f"{where}, line {_line(text, mark.start)}: {problem}",
                hint=f"a file has one up part, under {first}, and then one down part",
            )
    if not marks:
        raise MigrationError(
            f"{where} has sections, but none under {first}", hint=f"write {first} above its SQL"
        )
    up, down = marks[0], marks[1] if len(marks) > 1 else None
    if not _only_comments(text, up) and (before := parse(text[: up.start]).statements):
        raise MigrationError(
            f"{where}, line {_line(text, before[0].start)}: a statement above {first}",
            hint=f"move it below {first}: what stands above belongs to no part",
        )
    last = down.start if down else len(text)
    upper = text[:last] + _blank(text[last:])
    lower = text[: up.start] + _blank(text[up.start : down.end]) + text[down.end :] if down else ""
    return Sections(format, Part(upper, _alone(up)), Part(lower, _alone(down)) if down else None)


def _alone(mark: _Mark) -> bool:
    return "transaction:false" in mark.options.split()


def _blank(text: str) -> str:
    return _NOT_BLANK.sub(" ", text)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
