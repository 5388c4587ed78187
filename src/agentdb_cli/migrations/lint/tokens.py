"""The tokens of a script, one by one.

The lexer of `statements` says where statements begin and end and skips what lies
between; rules need the words. A script that it has accepted is sound, so that
this one has no errors of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from agentdb_cli.settings.keys import Scalar


class Kind(Enum):
    """What a token is."""

    word = auto()  # a keyword or an identifier without quotes
    quoted = auto()  # "an identifier"
    string = auto()
    number = auto()
    variable = auto()  # of psql
    symbol = auto()
    comment = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a script.

    Attributes:
        value: a word in lower case, an identifier or a string without its
            quotes, a variable's name; otherwise the text.
        start: offset of its first character in the script.
        end: offset after its last character.
    """

    kind: Kind
    value: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words (lower case), and not in quotes."""
        return self.kind is Kind.word and self.value in words

    def is_symbol(self, symbol: str) -> bool:
        """Whether it is this symbol."""
        return self.kind is Kind.symbol and self.value == symbol

    @property
    def is_name(self) -> bool:
        """Whether it can name something."""
        return self.kind in (Kind.word, Kind.quoted)


# As in the lexer of statements: every character outside of ASCII is a letter.
_LETTER = r"[^\x00-@[-^`{-\x7f]"
_PART = r"[^\x00-/:-@[-^`{-\x7f]"
_WORD = rf"{_LETTER}[^\x00-#%-/:-@[-^`{{-\x7f]*+"
_TOKEN = re.compile(
    rf"""\s*+ (?:
    (?P<comment> --[^\n\r]*+ )
  | (?P<block> /\* )
  | (?P<dollar> \$ (?:{_LETTER}{_PART}*+)? \$ )
  | (?P<escape> [eE]'(?:[^'\\]|\\.|''|'[ \t]*\n\s*')*+' )
  | (?P<string> (?:[bBxXnN]|[uU]&)?'[^']*+(?:''[^']*+)*+' )
  | (?P<quoted> (?:[uU]&)?"[^"]*+(?:""[^"]*+)*+" )
  | (?P<word> {_WORD} )
  | (?P<number> 0[xX][0-9a-fA-F_]++ | 0[oObB][0-9_]++
      | [0-9][0-9_]*+(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)? )
  | (?P<cast> :: )
  | (?P<variable> :(?:{_PART}++|'{_PART}++'|"{_PART}++") )
  | (?P<symbol> . ) )""",
    re.VERBOSE | re.DOTALL,
)
_MARK = re.compile(r"/\*|\*/")


def tokenize(text: str) -> list[Token]:
    """All tokens of a script, line comments included, block comments left out."""
    tokens: list[Token] = []
    position = 0
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup or "symbol"
        start, position = match.span(kind)
        found = match[kind]
        match kind:
            case "block":
                position = _block_end(text, start)
                continue
            case "dollar":
                body, position = position, _dollar_end(text, found, position)
                tokens.append(
                    Token(Kind.string, text[body : position - len(found)], start, position)
                )
                continue
            case "word":
                token = Token(
                    Kind.word, found.lower() if found.isascii() else found, start, position
                )
            case "quoted":
                name = found[found.index('"') + 1 : -1].replace('""', '"')
                token = Token(Kind.quoted, name, start, position)
            case "string" | "escape":
                literal = found[found.index("'") + 1 : -1].replace("''", "'")
                token = Token(Kind.string, literal, start, position)
            case "variable":
                token = Token(Kind.variable, found.strip(":'\""), start, position)
            case "number" | "comment":
                token = Token(Kind[kind], found, start, position)
            case _:
                token = Token(Kind.symbol, found, start, position)
        tokens.append(token)
    return tokens


def number(token: Token, variables: dict[str, Scalar] | None = None) -> int | None:
    """The whole number that a token is or, as a variable, stands for."""
    value: object = token.value
    if token.kind is Kind.variable:
        value = (variables or {}).get(token.value)
    elif token.kind is not Kind.number:
        return None
    text = str(value).replace("_", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _block_end(text: str, start: int) -> int:
    depth = 0
    for mark in _MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _dollar_end(text: str, delimiter: str, body: int) -> int:
    end = text.find(delimiter, body)
    return len(text) if end < 0 else end + len(delimiter)
