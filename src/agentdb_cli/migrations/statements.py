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
        offset: where the construct begins, a 0-based character offset.
        line: the line of that character, 1-based.
        column: its column in that line, 1-based, in characters.
    """

    def __init__(self, message: str, offset: int, text: str) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.line, self.column = line_and_column(text, offset)


def parse(text: str) -> Script:
    """Splits `text` into its statements.

    Raises:
        ScriptError: a quoted string, a quoted identifier, a dollar-quoted
            string or a block comment is unterminated; or there is a psql
            meta-command, a COPY … FROM STDIN or a NUL character.
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
    """The line and the column of a character offset, both 1-based.

    Lines end with LF, as psql counts them; every character is one column
    wide. `len(text)` is an offset, too: the end of the text.

    Raises:
        ValueError: `offset` lies outside of `text`.
    """
    if not 0 <= offset <= len(text):
        raise ValueError(f"offset {offset} lies outside of a text of {len(text)} characters")
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


_SPACE = r"[ \t\n\r\f\v]"
# Every character outside of ASCII is a letter. The classes name what they leave
# out: ranges up to U+10FFFF would take 100 ms to compile.
_LETTER = r"[^\x00-@[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@[-^`{-\x7f]"
_LETTER_DIGIT_OR_DOLLAR = r"[^\x00-#%-/:-@[-^`{-\x7f]"
_SYMBOL = r"[\x01-\x08\x0e-\x1f!#%&*+,.<=>?@[\]^`{|}~\x7f]"
_IDENTIFIER = rf"{_LETTER}{_LETTER_DIGIT_OR_DOLLAR}*+"
_IDENTIFIER_END = rf"(?!{_LETTER_DIGIT_OR_DOLLAR})"
_LINE_COMMENT = r"--[^\n\r]*+"

# The only words that decide anything past the head of a statement. The class
# in front spares most words the comparison with all four.
_KEYWORD = rf"(?=[bBcCeEfF])(?i:begin|case|end|from){_IDENTIFIER_END}"

# What can be passed over. A number takes the letters glued to it, so that the
# E of 1E'...' opens no escape string. Parentheses with nothing of interest
# inside need no counting.
_PLAIN = rf"""(?:
    (?! [eE]' | {_KEYWORD} ) {_IDENTIFIER}
  | [0-9]++ (?: \.[0-9]*+ )? (?: {_IDENTIFIER} )?
  | \$[0-9]++ (?: {_IDENTIFIER} )?
  | {_SYMBOL}++
  | '[^']*+ (?: ''[^']*+ )*+ ' | "[^"]*+ (?: ""[^"]*+ )*+ "
  | \( [^'"$\\:()/-]*+ (?: \( [^'"$\\:()/-]*+ \) [^'"$\\:()/-]*+ ){{0,63}} \)
  | -(?!-) | /(?!\*) | :: | :[0-9]{_LETTER_OR_DIGIT}*+
)"""

# Runs are bounded: the engine keeps a frame for each repetition.
_TOKEN = re.compile(
    rf"""{_SPACE}*+ (?:
    (?P<plain> (?: {_SPACE}*+ {_PLAIN} ){{1,64}} )
  | (?P<semicolon> ; )
  | (?P<open> \( )
  | (?P<close> \) )
  | (?P<keyword> {_KEYWORD} )
  | (?P<line_comment> {_LINE_COMMENT} )
  | (?P<block_comment> /\* )
  | (?P<dollar_quote> \$ (?: {_LETTER}{_LETTER_OR_DIGIT}*+ )? \$ )
  | (?P<escape_string> [eE]' )
  | (?P<variable> : (?: {_LETTER_OR_DIGIT}++ | '{_LETTER_OR_DIGIT}++' | "{_LETTER_OR_DIGIT}++" ) )
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
_WORD = re.compile(rf"((?![bBeEnNxX]'|[uU]&['\"]){_IDENTIFIER})")
_MORE = rf"{_SPACE}++{_WORD.pattern}"
_WORDS = re.compile(rf"{_WORD.pattern}(?:{_MORE}(?:{_MORE}(?:{_MORE})?)?)?{_SPACE}*+")
_STDIN = ("STDIN", "STDOUT")  # after FROM, the server's grammar takes one for the other
_CREATE_ROUTINE = re.compile(r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)( |\Z)")
_DIRECTIVE = re.compile(r"--\s*agentdb:\s*(\S+)(.*)", re.DOTALL)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
_UNTERMINATED = {"'": "unterminated quoted string", '"': "unterminated quoted identifier"}
_QUOTING: dict[str, Quoting] = {"'": "literal", '"': "identifier"}


def _tokens(text: str, position: int = 0) -> Iterator[tuple[str, int, int]]:
    """The tokens from `position` on as (kind, start, end), without block comments."""
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
        words += [word for word in found.groups() if word]
        position = found.end()
        if len(words) >= 4 or text[position : position + 1] not in ("-", "/"):
            break
        position = _blank_end(text, position)
    # PostgreSQL folds ASCII alone: to str.upper, "ınto" would be a keyword.
    return tuple([w.upper() if w.isascii() else w.translate(_UPPER) for w in words[:4]])


def _directives(header: str) -> tuple[tuple[str, str], ...]:
    if "agentdb:" not in header:
        return ()
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
            message = "COPY … FROM STDIN takes in-line data, which only psql can send"
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
        word = _WORD.match(self.text, _blank_end(self.text, position))
        return word[0].translate(_UPPER) if word else ""
