"""`agentdb search --filter`: what each form finds, and what is refused."""

from __future__ import annotations

import pytest
from conftest import Database
from searching import Cli, declare, keys, small


@pytest.fixture(scope="module")
def rows() -> dict[str, list[int]]:
    """What each filter keeps of the rows of `small` that have an embedding."""
    return {
        "agent_id=1": [1, 2],
        "AGENT_ID = 1": [1, 2],
        "agent_id!=1": [3, 4, 5],
        "agent_id<>1": [3, 4, 5],
        "agent_id is null": [5],
        "agent_id IS NOT NULL": [1, 2, 3, 4],
        "agent_id in 1,2": [1, 2, 3, 4],
        "agent_id IN (2)": [3, 4],
        "agent_id not in (1)": [3, 4, 5],
        "weight>1": [2, 3, 5],
        "weight >= 1.5": [2, 3, 5],
        "weight<1.5": [1],
        "weight<=1.5": [1, 2],
        "kind=fact": [1, 3],
        "kind='fact'": [1, 3],
        "kind in (fact, preference)": [1, 2, 3, 5],
        "created_at>2026-02-15": [3, 4],
        "created_at<=2026-02-01 00:00+00": [1, 2],
        "content~north%": [1, 2],
        "content!~north%": [3, 4, 5],
        "content in ('north', 'a, b')": [1],
        "content=": [],
        "content=it''s": [],
        "tags=a": [1, 4],
        "tags in b,c": [1, 2],
        "tags!=a": [2, 3, 5],
        "tags not in (a, b)": [3, 5],
        "tags is null": [3],
        '"Odd % name"=odd': [1],
        '"Odd % name"=100 %': [4],
        '"Odd % name"=it\'s': [5],
        "metadata.type=fact": [1, 2],
        "metadata.type!=fact": [3, 4, 5],
        "metadata.type in fact,preference": [1, 2, 3],
        "metadata.type is null": [4, 5],
        "metadata.type~pre%": [3],
        "metadata.level=3": [4],
        "metadata.level=10": [3],
        "metadata.level>1": [2, 3],
        "metadata.level<=2": [1, 2],
        "metadata.a.b=x": [1],
        "metadata.ok=true": [4],
        "plain.k=2": [1],
        "plain.k>1": [1],
    }


def test_forms(cli: Cli, database18: Database, rows: dict[str, list[int]]) -> None:
    small(database18)
    found = {
        text: sorted(keys(cli, database18, "--vector", "[0, 1]", "-q", "--filter", text))
        for text in rows
    }
    assert found == rows


def test_the_same_by_a_gin_index(
    cli: Cli, database18: Database, rows: dict[str, list[int]]
) -> None:
    small(database18)
    database18.execute("CREATE INDEX ON docs USING gin (metadata)")
    of_json = {text: wanted for text, wanted in rows.items() if text.startswith("metadata")}
    found = {
        text: sorted(keys(cli, database18, "--vector", "[0, 1]", "-q", "--filter", text))
        for text in of_json
    }
    assert found == of_json


def test_several(cli: Cli, database18: Database) -> None:
    small(database18)
    given = ("--vector", "[0, 1]", "-q", "--filter", "agent_id=1", "--filter", "weight>1")
    assert keys(cli, database18, *given) == [2]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "agentid=1",
            "--filter agentid=1: public.docs has no column 'agentid'; did you mean 'agent_id'?\n"
            "hint: columns: id, content, metadata, plain, agent_id, weight, kind, tags, created_at,"
            " Odd % name, embedding",
        ),
        (
            "agent_id=one",
            "--filter agent_id=one: agent_id is bigint; the server says:"
            ' invalid input syntax for type bigint: "one"',
        ),
        (
            "created_at>yesteryear",
            "--filter created_at>yesteryear: created_at is timestamp with time zone; the server"
            ' says: invalid input syntax for type timestamp with time zone: "yesteryear"',
        ),
        (
            "kind=fiction",
            "--filter kind=fiction: kind is kind; the server says:"
            ' invalid input value for enum kind: "fiction"',
        ),
        (
            "agent_id in 1,x",
            "--filter agent_id in 1,x: agent_id is bigint; the server says:"
            ' invalid input syntax for type bigint: "x"',
        ),
        (
            "weight~1%",
            "--filter weight~1%: weight is double precision; the server says: operator does not"
            " exist: double precision ~~ unknown\n"
            "hint: = != is null and is not null go with every type, ~ with text alone",
        ),
        (
            "tags>a",
            "--filter tags>a: tags is text[], which cannot be asked '>'\n"
            "hint: of an array ask = (it has this element), != or in (it has one of these)",
        ),
        (
            "content.key=1",
            "--filter content.key=1: content is text, which has no keys\n"
            "hint: COLUMN.KEY is for json and jsonb",
        ),
        (
            "agent_id",
            "--filter agent_id: cannot be read\nhint: write COLUMN=VALUE, with"
            " = != > >= < <= ~ !~ (LIKE), in, not in, is null or is not null",
        ),
        (
            "agent_id in ()",
            "--filter agent_id in (): an empty list\nhint: write COLUMN in VALUE, VALUE, …",
        ),
    ],
)
def test_refused(cli: Cli, database18: Database, text: str, error: str) -> None:
    small(database18)
    given = ("-d", database18.url, "--vector", "[0, 1]", "--filter", "weight>0", "--filter", text)
    result = cli("search", *given)
    assert (result.code, result.out, result.err) == (2, "", f"error: {error}\n")


@pytest.mark.parametrize(
    "text",
    [
        "content='; DROP TABLE docs; --",
        "content=' OR true --",
        "content=%(query)s",
        "metadata.x'y=1",
        'metadata."a\'); DROP TABLE docs; --"=1',
    ],
)
def test_values_are_never_sql(cli: Cli, database18: Database, text: str) -> None:
    small(database18)
    declare(metadata="metadata")
    result = cli("search", "-d", database18.url, "--vector", "[0, 1]", "--filter", text, "-q")
    assert result.out == ""
    assert result.code in (0, 2)
    assert database18.value("SELECT count(*) FROM docs") == 6
