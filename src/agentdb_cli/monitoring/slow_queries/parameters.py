"""Statements with parameters for their literals, for the server to plan."""

from __future__ import annotations

from collections.abc import Sequence

from agentdb_cli.monitoring.slow_queries.normalise import Token, joined, tokens_of

_TYPES = frozenset(
    """
    bit bool boolean box bytea char cidr circle date float4 float8 halfvec inet int2 int4 int8
    interval json jsonb macaddr money numeric point regclass sparsevec text time timestamp
    timestamptz tsquery tsvector uuid varchar vector xml
    """.split()  # noqa: SIM905
)

_IN_BY = ("ASC", "DESC", "NULLS")


def parameterised(text: str) -> str:
    """A statement with a parameter for each literal, for the server to plan.

    Parameters that are there keep their numbers, lists their length.
    `interval '1 day'` becomes `$1::interval`, for a parameter cannot follow a
    type. A number keeps its type: `$2::integer`. What is no value stays: the
    number of a column in `ORDER BY 2`, the length in `::varchar(10)`.
    """
    tokens = [token for token in tokens_of(text) if token.kind != "more"]
    given = [int(token.text[1:]) for token in tokens if token.kind == "parameter"]
    number, structure = max(given, default=0), _structure(tokens)
    shown: list[Token] = []
    for place, token in enumerate(tokens):
        if token.kind == "literal" and place not in structure:
            number += 1
            token = Token("parameter", f"${number}{_cast(token.text)}")
        if token.kind == "parameter" and shown and _is_type(shown):
            kind = shown.pop().text
            token = Token("parameter", f"{token.text}::{kind}")
        shown.append(token)
    while shown and shown[-1].text == ";":
        shown.pop()
    return joined(shown)


def _cast(text: str) -> str:
    """The type of a number as the server would take it; of other literals none."""
    digits = text.lstrip("+-").replace("_", "")
    if not digits[:1].isdigit() and digits[:1] != ".":
        return ""
    try:
        value = int(digits, 0) if not digits.isdigit() else int(digits)
    except ValueError:
        return "::numeric"
    return "::integer" if value < 2**31 else "::bigint" if value < 2**63 else "::numeric"


def _structure(tokens: Sequence[Token]) -> set[int]:
    """The places of literals that are a column's number after BY, or the length of a type."""
    found = set()
    within = [""]  # what the innermost bracket, or the list in it, is of
    for place, token in enumerate(tokens):
        if token.text == "(":
            length = place > 1 and tokens[place - 2].text in ("::", "AS")
            within.append("length" if length else "")
        elif token.text == ")":
            if len(within) > 1:
                within.pop()
        elif token.kind == "keyword" and token.text not in _IN_BY:
            within[-1] = token.text
        elif token.kind == "literal" and token.text.isdigit():
            alone = tokens[place - 1].text in ("BY", ",")
            if within[-1] == "length" or (within[-1] == "BY" and alone):
                found.add(place)
    return found


def _is_type(before: Sequence[Token]) -> bool:
    return before[-1].kind == "word" and before[-1].text.lower() in _TYPES
