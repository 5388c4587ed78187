"""Splits a PostgreSQL script into its statements, before any of it is sent.

Tokens are told apart as the server's scan.l does, statements end where psql's
psqlscan.l ends them, and `standard_conforming_strings` is taken to be on. Every
offset is a 0-based character offset into the text given to `parse`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Quoting = Literal["raw", "literal", "identifier"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, from its first token to its last.

    Attributes:
        text: `script.text[start:end]`: without the comments and whitespace
            around the statement and without the `;` that closes it.
        start: offset of its first character.
        end: offset after its last character.
        keywords: its leading bare words, at most four, their ASCII letters in
            upper case; ends before the first token that is not a word.
    """

    text: str
    start: int
    end: int
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A place where psql would put the value of a variable.

    Attributes:
        name: the variable's name.
        start: offset of the colon.
        end: offset after the name or its closing quote.
        quoting: "raw" for `:name`, "literal" for `:'name'`, "identifier" for
            `:"name"`. An array slice such as `a[1:n]` reads like a raw one:
            replace only the names that are known.
    """

    name: str
    start: int
    end: int
    quoting: Quoting


@dataclass(frozen=True, slots=True)
class Script:
    """What `parse` found in a script.

    Attributes:
        text: the script as it was given.
        statements: in order, without the empty ones.
        variables: in order, without those in quotes and comments.
        directives: (name, rest of the line) of each comment
            `-- agentdb: name rest` before the first statement.
    """

    text: str
    statements: tuple[Statement, ...]
    variables: tuple[Variable, ...]
    directives: tuple[tuple[str, str], ...]


class ScriptError(ValueError):
    """The script cannot be split, or holds something that only psql can run.

    Attributes:
        message: one sentence without a trailing period.
        offset: offset of the first character of what is wrong.
    """

    def __init__(self, message: str, offset: int, text: str) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self._text = text

    @property
    def line(self) -> int:
        """The line of `offset`, 1-based."""
        return line_and_column(self._text, self.offset)[0]

    @property
    def column(self) -> int:
        """The column of `offset`, 1-based, in characters."""
        return line_and_column(self._text, self.offset)[1]


def parse(text: str) -> Script:
    """Splits `text` into its statements.

    Raises:
        ScriptError: a quoted string, a quoted identifier, a dollar-quoted
            string or a block comment is unterminated; or there is a psql
            meta-command, a COPY ... FROM STDIN or a NUL character.
    """
    if (nul := text.find("\0")) >= 0:
        raise ScriptError("a script cannot hold a NUL character", nul, text)
    splitter = _Splitter(text)
    for kind, start, end in _tokens(text):
        splitter.take(kind, start, end)
    splitter.end_statement()
    statements = tuple(splitter.statements)
    header = text[: statements[0].start] if statements else text
    return Script(text, statements, tuple(splitter.variables), _directives(header))


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The 1-based line and column of a character offset, up to `len(text)`.

    A line ends with \\n, \\r\\n or \\r; every character is one column wide.

    Raises:
        ValueError: `offset` lies outside of `text`.
    """
    if not 0 <= offset <= len(text):
        raise ValueError(f"offset {offset} lies outside of a text of {len(text)} characters")
    starts = [0, *(newline.end() for newline in _NEWLINE.finditer(text, 0, offset))]
    return len(starts), offset - starts[-1] + 1


_NEWLINE = re.compile(r"\r\n?|\n")
_SPACE = r"[ \t\n\r\f\v]"
_LETTER = r"A-Za-z_\x80-\U0010ffff"  # every character outside of ASCII is one
_IDENTIFIER = rf"[{_LETTER}][{_LETTER}0-9$]*+"
_IDENTIFIER_END = rf"(?![{_LETTER}0-9$])"
_LINE_COMMENT = r"--[^\n\r]*+"

# The only words that decide anything past the head of a statement. The class
# in front spares most words the comparison with all four.
_KEYWORD = rf"(?=[bBcCeEfF])(?i:begin|case|end|from){_IDENTIFIER_END}"

# What can be passed over. A number takes the letters glued to it, so that the
# E of 1E'...' opens no escape string. Parentheses with nothing of interest
# inside need no counting.
_PLAIN = rf"""(?:
    (?! [eE]' | {_KEYWORD} ) {_IDENTIFIER}
  | \$?[0-9]++ (?: \.[0-9]*+ )? (?: [eE][-+] | {_IDENTIFIER} )?
  | [^ \t\n\r\f\v{_LETTER}0-9'"$\\;:()/-]++
  | '[^']*+' | "[^"]*+"
  | \( [^'"$\\;:()/-]*+ (?: \( [^'"$\\;:()/-]*+ \) [^'"$\\;:()/-]*+ ){{0,63}} \)
  | -(?!-) | /(?!\*) | :[:=] | :[0-9][{_LETTER}0-9]*+
)"""

# Runs are bounded: the engine keeps a frame for each repetition.
_TOKEN = re.compile(
    rf"""{_SPACE}*+ (?:
    (?P<plain> {_PLAIN} (?: {_SPACE}*+ {_PLAIN} ){{0,63}} )
  | (?P<semicolon> ; )
  | (?P<open> \( )
  | (?P<close> \) )
  | (?P<keyword> {_KEYWORD} )
  | (?P<line_comment> {_LINE_COMMENT} )
  | (?P<block_comment> /\* )
  | (?P<dollar_quote> \$ (?: [{_LETTER}][{_LETTER}0-9]*+ )? \$ )
  | (?P<escape_string> [eE]' )
  | (?P<variable> : (?: [{_LETTER}0-9]++ | '[{_LETTER}0-9]++' | "[{_LETTER}0-9]++" ) )
  | (?P<open_quote> ['"] )
  | (?P<meta_command> \\ (?: [A-Za-z_]++ | [!-~] )? )
  | (?P<stray> [:$] ) )""",
    re.ASCII | re.VERBOSE,
)

# A literal continued after a newline stays in its mode: only in an escape
# string does that differ from a second literal next to the first.
_ESCAPE_STRING_QUOTE = re.compile(
    rf"""\\. | ''
  | ' [ \t\f\v]*+ (?: {_LINE_COMMENT} )? [\n\r] {_SPACE}*+
      (?: {_LINE_COMMENT} [\n\r] {_SPACE}*+ )* '
  | (?P<end> ' )""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")
_WORD = rf"((?![bBeEnNxX]'|[uU]&['\"]){_IDENTIFIER})"
_MORE = rf"{_SPACE}++{_WORD}"
_WORDS = re.compile(rf"{_WORD}(?:{_MORE}(?:{_MORE}(?:{_MORE})?)?)?{_SPACE}*+")
_STDIN = ("STDIN", "STDOUT")  # after FROM, the server's grammar takes one for the other
_CREATE_ROUTINE = re.compile(r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)( |\Z)")
_DIRECTIVE = re.compile(r"--\s*agentdb:\s*(\S+)(.*)", re.DOTALL)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_UNTERMINATED = {"'": "unterminated quoted string", '"': "unterminated quoted identifier"}
_QUOTING: dict[str, Quoting] = {"'": "literal", '"': "identifier"}


def _tokens(text: str, position: int = 0) -> Iterator[tuple[str, int, int]]:
    """The tokens from `position` on as (kind, start, end), without block comments."""
    if position == 0 and text.startswith("\ufeff"):
        position = 1  # psql, too, skips a byte order mark
    while token := _TOKEN.match(text, position):
        kind = token.lastgroup or ""
        start, position = token.span(kind)
        if kind == "block_comment":
            position = _block_comment_end(text, start)
            continue
        if kind == "dollar_quote":
            position = _dollar_quote_end(text, start, position)
        elif kind == "escape_string":
            position = _escape_string_end(text, start + 1)
        elif kind == "open_quote":
            raise ScriptError(_UNTERMINATED[text[start]], start, text)
        elif kind == "meta_command":
            name = text[start:position]
            raise ScriptError(f"psql meta-command {name} cannot be sent to the server", start, text)
        yield kind, start, position


def _block_comment_end(text: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise ScriptError("unterminated /* comment", start, text)


def _dollar_quote_end(text: str, start: int, body: int) -> int:
    delimiter = text[start:body]
    end = text.find(delimiter, body)
    if end < 0:
        raise ScriptError(f"unterminated dollar-quoted string {delimiter}", start, text)
    return end + len(delimiter)


def _escape_string_end(text: str, quote: int) -> int:
    for found in _ESCAPE_STRING_QUOTE.finditer(text, quote + 1):
        if found.lastgroup:
            return found.end()
    raise ScriptError(_UNTERMINATED["'"], quote, text)


def _blank_end(text: str, position: int) -> int:
    tokens = _tokens(text, position)
    return next((start for kind, start, _ in tokens if kind != "line_comment"), len(text))


def _keywords(text: str, position: int) -> tuple[str, ...]:
    words: list[str] = []
    while found := _WORDS.match(text, position):
        words += [_upper(word) for word in found.groups() if word]
        position = found.end()
        if len(words) >= 4 or text[position : position + 1] not in ("-", "/"):
            break
        position = _blank_end(text, position)
    return tuple(words[:4])


def _upper(word: str) -> str:
    # str.upper would make keywords of words that are none, "ınto" for one.
    return word.upper() if word.isascii() else word.translate(_UPPER)


def _directives(header: str) -> tuple[tuple[str, str], ...]:
    comments = (span for kind, *span in _tokens(header) if kind == "line_comment")
    found = (_DIRECTIVE.match(header, start, end) for start, end in comments)
    return tuple((directive[1], directive[2].strip()) for directive in found if directive)


class _Splitter:
    """Puts tokens together into statements."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.statements: list[Statement] = []
        self.variables: list[Variable] = []
        self._start_over()

    def _start_over(self) -> None:
        self.start = self.end = -1
        self.keywords: tuple[str, ...] = ()
        self.parentheses = self.blocks = 0

    def take(self, kind: str, start: int, end: int) -> None:
        if kind == "line_comment":
            return
        if kind == "semicolon" and not self.parentheses and not self.blocks:
            self.end_statement()
            return
        if self.start < 0:
            self.start = start
            self.keywords = _keywords(self.text, start)
        self.end = end
        if kind == "open":
            self.parentheses += 1
        elif kind == "close":
            self.parentheses = max(self.parentheses - 1, 0)
        elif kind == "keyword" and not self.parentheses:
            self._take_keyword(self.text[start:end].upper(), end)
        elif kind == "variable":
            quoting = _QUOTING.get(self.text[start + 1], "raw")
            name = self.text[start:end].strip(":'\"")
            self.variables.append(Variable(name, start, end, quoting))

    def end_statement(self) -> None:
        if self.start >= 0:
            text = self.text[self.start : self.end]
            self.statements.append(Statement(text, self.start, self.end, self.keywords))
            self._start_over()

    def _take_keyword(self, word: str, end: int) -> None:
        if _CREATE_ROUTINE.match(" ".join(self.keywords)):
            self._take_block_word(word, end)
        elif self.keywords[:1] == ("COPY",) and word == "FROM" and self._next_word(end) in _STDIN:
            message = "COPY ... FROM STDIN needs in-line data, which only psql can send"
            raise ScriptError(message, self.start, self.text)

    def _take_block_word(self, word: str, end: int) -> None:
        # The outermost BEGIN counts only with ATOMIC: a routine may be called
        # "begin". Within a body CASE counts, too, for it ends with END.
        if word == "END":
            self.blocks = max(self.blocks - 1, 0)
        elif self.blocks:
            self.blocks += word in ("BEGIN", "CASE")
        elif word == "BEGIN" and self._next_word(end) == "ATOMIC":
            self.blocks = 1

    def _next_word(self, position: int) -> str:
        return "".join(_keywords(self.text, _blank_end(self.text, position))[:1])
