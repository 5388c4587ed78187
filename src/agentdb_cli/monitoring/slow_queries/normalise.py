"""Statements without their literals: one text for all executions of one statement.

Tokens are told apart as the server's scan.l does, with `standard_conforming_strings`
on. A text that is cut in the middle of a literal or a comment loses that rest, so
that no part of a literal ever comes through.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CUT = "…"
"""What stands for a rest that the server cut off inside a literal, a name or a comment."""


class Token(NamedTuple):
    """A piece of a statement: what kind it is, and its text."""

    kind: str
    text: str


_START = r"[^\x00-@[-^`{-\x7f]"  # every character outside of ASCII is a letter
_NEXT = r"[^\x00-#%-/:-@[-^`{-\x7f]"
_SPACE = r"[ \t\n\r\f\v]"
_QUOTED = r"'[^']*+(?:''[^']*+)*+(?:'|\Z)"
_ESCAPED = r"'(?:[^'\\]|''|\\.|\\\Z)*+(?:'|\Z)"
# Literals that only a line break separates are one.
_GOES_ON = rf"[ \t\f\v]*+[\n\r]{_SPACE}*+"

_TOKEN = re.compile(
    rf"""
    (?P<space> {_SPACE}++ )
  | (?P<comment> --[^\n\r]*+ )
  | (?P<block> /\* )
  | (?P<string> [eE]{_ESCAPED} (?: {_GOES_ON}{_ESCAPED} )*+
      | (?: [bBnNxX] | [uU]& )?+ {_QUOTED} (?: {_GOES_ON}{_QUOTED} )*+ )
  | (?P<name> (?: [uU]& )?+ "[^"]*+(?:""[^"]*+)*+(?:"|\Z) )
  | (?P<dollar> \$(?:{_START}[^\x00-/:-@[-^`{{-\x7f]*+)?+\$ )
  | (?P<parameter> \$[0-9]++ )
  | (?P<number> 0[xX][0-9a-fA-F_]++ | 0[oO][0-7_]++ | 0[bB][01_]++
      | (?: [0-9][0-9_]*+ (?: \.(?!\.) [0-9_]*+ )?+ | \.[0-9][0-9_]*+ )
        (?: [eE][+-]?+[0-9]++ )?+ )
  | (?P<word> {_START}{_NEXT}*+ )
  | (?P<more> \.\.\. )
  | (?P<mark> ::|:=|\.\.|[()\[\],;:.] )
  | (?P<operator> [-+*/<>=~!@\#%^&|`?]++ )
  | (?P<other> . )
    """,
    re.DOTALL | re.VERBOSE,
)
_BLOCK_MARK = re.compile(r"/\*|\*/")

KEYWORDS = frozenset(
    """
    ALL ALTER ANALYZE AND ANY ARRAY AS ASC BEGIN BETWEEN BY CALL CASCADE CASE CAST COLLATE COMMIT
    CONFLICT COPY CREATE CROSS CURRENT_DATE CURRENT_TIMESTAMP DEFAULT DELETE DESC DISTINCT DO DROP
    ELSE END EXCEPT EXECUTE EXISTS EXPLAIN FALSE FETCH FILTER FOR FROM FULL GRANT GROUP HAVING ILIKE
    IN INNER INSERT INTERSECT INTO IS JOIN LATERAL LEFT LIKE LIMIT LOCK MATERIALIZED MERGE NATURAL
    NOT NOTHING NULL NULLS OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PREPARE RECURSIVE REFRESH
    RETURNING REVOKE RIGHT ROLLBACK SELECT SET SIMILAR SKIP SOME TABLE THEN TRUE TRUNCATE UNION
    UNIQUE UPDATE USING VACUUM VALUES WHEN WHERE WINDOW WITH
    """.split()  # noqa: SIM905
)
"""Words that are written in upper case; all else that is not quoted stays as it is."""

_CONSTANTS = ("literal", "parameter")


def normalise(text: str) -> str:
    """A statement on one line: literals as `$1`, `$2` …, lists and comments collapsed.

    Statements that differ in literals, white space, comments, the case of
    keywords, or the length of an IN list alone become the same text.
    """
    tokens = _collapsed(tokens_of(text))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    numbers: dict[str, int] = {}
    shown = []
    for place, token in enumerate(tokens):
        if token.kind in _CONSTANTS:
            # A parameter keeps its number wherever it stands, a literal has its own.
            key = token.text if token.kind == "parameter" else f"literal {place}"
            number = numbers.setdefault(key, len(numbers) + 1)
            token = Token("parameter", f"${number}")
        shown.append(token)
    return joined(shown)


def fingerprint(normalised: str) -> str:
    """An identifier for a normalised text, for servers that give none: `t` and 12 digits."""
    return "t" + hashlib.sha256(normalised.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def one_line(text: str) -> str:
    """`text` as it is, literals and all, with its white space in one line."""
    return " ".join(text.split())


# --- Tokens ------------------------------------------------------------------------


def tokens_of(text: str) -> list[Token]:
    """The tokens without white space and comments.

    Literals of all kinds are `literal`, with the sign before a number in them;
    keywords are in upper case.
    """
    return _folded(list(_tokens(text)))


def _tokens(text: str) -> Iterator[Token]:
    """The tokens, without white space and comments; literals of all kinds are `literal`."""
    position = 0
    while found := _TOKEN.match(text, position):
        kind, piece, position = found.lastgroup or "", found[0], found.end()
        if kind == "block":
            start, position = found.start(), _block_end(text, found.start())
            # How PostgreSQL 18 marks a list that it collapsed by itself.
            if text[start:position] == "/*, ... */":
                yield Token("more", "...")
        elif kind == "dollar":
            end = text.find(piece, position)
            position = len(text) if end < 0 else end + len(piece)
            yield Token("literal", piece)
        elif kind in ("string", "number"):
            yield Token("literal", piece)
        elif kind == "name":
            cut = piece.count('"') % 2 == 1
            yield Token("name", CUT if cut else piece)
        elif kind == "operator":
            piece, position = _operator(text, found.start(), piece)
            yield Token("operator", piece)
        elif kind not in ("space", "comment"):
            yield Token(kind, piece)


def _block_end(text: str, start: int) -> int:
    depth = 0
    for mark in _BLOCK_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _operator(text: str, start: int, piece: str) -> tuple[str, int]:
    """The operator at the head of a run of operator characters, and where it ends.

    A comment ends it; and only an operator with one of `~!@#%^&|`?` may end in
    a sign, so that `a=-1` holds `=` and `-`.
    """
    for comment in ("--", "/*"):
        place = piece.find(comment)
        if place > 0:
            piece = piece[:place]
    if not re.search(r"[~!@#%^&|`?]", piece):
        piece = piece[:1] + piece[1:].rstrip("+-")
    return piece, start + len(piece)


def _folded(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with keywords in upper case, and signs taken into their numbers."""
    folded: list[Token] = []
    for token in tokens:
        if token.kind == "word" and token.text.upper() in KEYWORDS and not _after_dot(folded):
            token = Token("keyword", token.text.upper())
        if token.kind == "literal" and _is_signed(folded):
            token = Token("literal", folded.pop().text + token.text)
        folded.append(token)
    return folded


def _after_dot(before: Sequence[Token]) -> bool:
    return bool(before) and before[-1].text == "."


def _is_signed(before: Sequence[Token]) -> bool:
    """Whether the last token is the sign of what follows, not between two operands."""
    if not before or before[-1].text not in ("-", "+") or before[-1].kind != "operator":
        return False
    if len(before) == 1:
        return True
    previous = before[-2]
    if previous.kind == "keyword":
        return previous.text not in _OPERANDS
    return previous.kind == "operator" or previous.text in ("(", "[", ",", ":=")


_OPERANDS = ("CURRENT_DATE", "CURRENT_TIMESTAMP", "END", "FALSE", "NULL", "TRUE")


# --- Lists -------------------------------------------------------------------------


def _collapsed(tokens: Sequence[Token]) -> list[Token]:
    """`IN (…)` and `ARRAY[…]` of constants with their first alone; rows of VALUES likewise."""
    shown: list[Token] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        shown.append(token)
        place += 1
        if token.text in ("IN", "ARRAY") and token.kind == "keyword":
            end = _list_end(tokens, place)
            if end:
                more = (Token("mark", ","), Token("more", "..."))
                shown += [*tokens[place : place + 2], *more, tokens[end - 1]]
                place = end
        elif token.text == "VALUES" and token.kind == "keyword":
            end = _list_end(tokens, place)
            if end:
                shown += tokens[place:end]
                place = _rows_end(tokens, end)
                if place > end:
                    shown += [Token("mark", ","), Token("more", "...")]
    return shown


def _list_end(tokens: Sequence[Token], start: int) -> int:
    """The place after a bracketed list of constants that begins at `start`, or 0."""
    if start >= len(tokens) or tokens[start].text not in ("(", "["):
        return 0
    place = start + 1
    while place < len(tokens):
        token = tokens[place]
        if token.text in (")", "]") and place > start + 1:
            return place + 1
        constant = token.kind in (*_CONSTANTS, "more") or token.text in (
            ",", "::", "NULL", "TRUE", "FALSE", "DEFAULT"
        )  # fmt: skip
        if not constant and not (token.kind == "word" and tokens[place - 1].text == "::"):
            return 0
        place += 1
    return 0


def _rows_end(tokens: Sequence[Token], place: int) -> int:
    """The place after further rows of VALUES."""
    while place < len(tokens) and tokens[place].text == ",":
        end = _list_end(tokens, place + 1)
        if not end:
            break
        place = end
    return place


# --- Text --------------------------------------------------------------------------


def joined(tokens: Sequence[Token]) -> str:
    """The tokens with the white space that a person would write."""
    text = ""
    previous = Token("", "")
    for token in tokens:
        text += (" " if text and _apart(previous, token) else "") + token.text
        previous = token
    return text


def _apart(left: Token, right: Token) -> bool:
    if right.text in (",", ";", ")", "]", ".", "::", "[", ":", ".."):
        return right.text == ":" and left.kind == "operator"
    if left.text in ("(", "[", ".", "::", ":", ".."):
        return False
    called = left.kind in ("word", "name") or left.text in ("ALL", "ANY", "CAST", "LEFT", "RIGHT")
    return not (right.text == "(" and called)
