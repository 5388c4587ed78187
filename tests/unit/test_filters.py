"""Reading `--filter`: what is a column, an operator and a value."""

from __future__ import annotations

import pytest

from agentdb_cli.errors import SettingsError
from agentdb_cli.vectors.filters import Filter, parse


@pytest.mark.parametrize(
    ("text", "path", "operator", "values"),
    [
        ("a=1", ("a",), "=", ("1",)),
        (" a  =  1 ", ("a",), "=", ("1",)),
        ("a==1", ("a",), "=", ("=1",)),
        ("a>=1", ("a",), ">=", ("1",)),
        ("a<>1", ("a",), "!=", ("1",)),
        ("a!~x%", ("a",), "!~", ("x%",)),
        ("a=", ("a",), "=", ("",)),
        ("a='it''s'", ("a",), "=", ("it's",)),
        ("a='", ("a",), "=", ("'",)),
        ("a=x = y", ("a",), "=", ("x = y",)),
        ("a=in 1", ("a",), "=", ("in 1",)),
        ('"A.b ""c"".d"=1', ('A.b "c".d',), "=", ("1",)),
        ("a.b.c=1", ("a", "b", "c"), "=", ("1",)),
        ("a.content-type=1", ("a", "content-type"), "=", ("1",)),
        ('a."x.y".0=1', ("a", "x.y", "0"), "=", ("1",)),
        ("a in 1,2", ("a",), "in", ("1", "2")),
        ("a IN('b, c', d)", ("a",), "in", ("b, c", "d")),
        ("a Not  In (1)", ("a",), "not in", ("1",)),
        ("a is NULL", ("a",), "null", ()),
        ("a.b is not null", ("a", "b"), "not null", ()),
        ("is=1", ("is",), "=", ("1",)),
        ("größe>1", ("größe",), ">", ("1",)),
        ("a=x\ny", ("a",), "=", ("x\ny",)),
    ],
)
def test_forms(text: str, path: tuple[str, ...], operator: str, values: tuple[str, ...]) -> None:
    assert parse(text) == Filter(text, path, operator, values)


@pytest.mark.parametrize(
    "text", ["", "a", "=1", "a b=1", "1a=1", "a.=1", "a is 1", "a in", '"a=1', "a;b=1", "(a)=1"]
)
def test_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.message == f"--filter {text}: cannot be read"


@pytest.mark.parametrize("text", ["a in ()", "a in ( )", "a not in ()"])
def test_empty_lists(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert caught.value.message == f"--filter {text}: an empty list"
