"""Statements without their literals."""

from __future__ import annotations

import random

import pytest

from agentdb_cli.monitoring.slow_queries.normalise import fingerprint, normalise
from agentdb_cli.monitoring.slow_queries.parameters import parameterised

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("select * from T where a=1", "SELECT * FROM T WHERE a = $1"),
        ("SELECT 'a''b', 2.5e-3, .5, 0x1F, 1_000", "SELECT $1, $2, $3, $4, $5"),
        (r"SELECT e'a\'b', E'c\\', N'd', b'1', X'ff', U&'e'", "SELECT $1, $2, $3, $4, $5, $6"),
        ("SELECT $$a'b$$, $x$ $$ $x$", "SELECT $1, $2"),
        ("SELECT 'a'\n  'b', 'c'", "SELECT $1, $2"),
        ('SELECT "a""b", U&"c" FROM "T"', 'SELECT "a""b", U&"c" FROM "T"'),
        ("SELECT 1 -- it's\n + /* a /* b */ 'c' */ 2", "SELECT $1 + $2"),
        ("SELECT a FROM t WHERE b = $2 AND c = $1", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        (
            "SELECT a WHERE b=-1 AND c<-1 AND d-1>0",
            "SELECT a WHERE b = $1 AND c < $2 AND d - $3 > $4",
        ),
        ("SELECT CASE WHEN a THEN 1 END -1", "SELECT CASE WHEN a THEN $1 END - $2"),
        ("DELETE FROM t WHERE a IN (1,2,\n'x', NULL)", "DELETE FROM t WHERE a IN ($1, ...)"),
        ("SELECT a = ANY(ARRAY[1,2])", "SELECT a = ANY(ARRAY[$1, ...])"),
        ("SELECT a IN ('1'::int, '2'::int)", "SELECT a IN ($1, ...)"),
        ("SELECT a IN ($1 /*, ... */)", "SELECT a IN ($1, ...)"),
        ("SELECT a IN (b, 1)", "SELECT a IN (b, $1)"),
        ("SELECT f(1, 2)", "SELECT f($1, $2)"),
        ("insert into t values (1,'a'),(2,'b')", "INSERT INTO t VALUES ($1, $2), ..."),
        ("SELECT t.values, t.Order", "SELECT t.values, t.Order"),
        ("SELECT e <=> '[1,2]'::vector(3), a[1:2]", "SELECT e <=> $1::vector($2), a[$3:$4]"),
        ("SELECT a->>'k' @> '{}', b ? 'c'", "SELECT a ->> $1 @> $2, b ? $3"),
        (f"ALTER ROLE a PASSWORD '{SECRET}'", "ALTER ROLE a PASSWORD $1"),
        ("", ""),
    ],
)
def test_normalise(text: str, normalised: str) -> None:
    assert normalise(text) == normalised


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT '{SECRET}",
        f"SELECT e'\\'{SECRET}",
        f"SELECT e'{SECRET}\\",
        f"SELECT $$ {SECRET}",
        f"SELECT $a$ {SECRET} $a",
        f"SELECT 1 /* {SECRET}",
        f"SELECT 1 -- {SECRET}",
        f'SELECT "{SECRET}',
    ],
)
def test_what_was_cut_within_a_literal_is_gone(text: str) -> None:
    assert SECRET not in normalise(text)
    assert SECRET not in parameterised(text)


PIECES = (
    "SELECT", "a", "t.b", '"C d"', "=", "<->", "(", ")", ",", "IN", "IN (1, 2)", "::int", "$1",
    "-", "+", "/", "*", "VALUES", "BY", ";", "\n", "-- x\n", "/* y */", "::", "[", "]", ".", "é",
)  # fmt: skip
LITERALS = (
    f"'{SECRET}'", f"'it''s {SECRET}'", f"e'\\'{SECRET}\\\\'", f"$$ {SECRET} ' $$",
    f"$q$ $$ {SECRET} $q$", f"U&'{SECRET}'", f"n'{SECRET}'", f"'a'\n'{SECRET}'",
)  # fmt: skip


def some_statements() -> list[str]:
    """Statements put together at random, the same ones in each run."""
    chance = random.Random(1)

    def piece() -> str:
        return chance.choice(chance.choice((PIECES, LITERALS)))

    return [" ".join(piece() for _ in range(chance.randint(1, 15))) for _ in range(3000)]


def test_no_literal_ever_comes_through_cut_or_whole() -> None:
    chance = random.Random(2)
    for text in some_statements():
        for shown in (text, text[: chance.randint(0, len(text))]):
            # What is cut inside the secret is still a part of it.
            assert "s3c" not in normalise(shown), shown
            assert "s3c" not in parameterised(shown), shown


def test_normalising_twice_changes_nothing() -> None:
    for text in some_statements():
        once = normalise(text)
        assert normalise(once) == once, text


def test_statements_of_one_kind_have_one_text() -> None:
    kinds = {
        normalise(text)
        for text in (
            "SELECT a FROM t WHERE b = 1 AND c IN (1)",
            "select a\n\tfrom t -- x\nwhere b = -2.5 and c in (1, 2, 3)",
            "/* y */ SELECT a FROM t WHERE b='x''y' AND c IN ($7, $8)",
            "SELECT a FROM t WHERE b = $1 AND c IN ('x') ; ",
        )
    }
    assert kinds == {"SELECT a FROM t WHERE b = $1 AND c IN ($2, ...)"}


def test_lists_of_any_length_leave_the_parameters_after_them_alike() -> None:
    two = normalise("SELECT 1 WHERE a IN ($1, $2) AND b = $3")
    assert two == normalise("SELECT 1 WHERE a IN ($1, $2, $3) AND b = $4")


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    for piece in ("(", "'a' ", "/* ", "$$ ", "- ", "IN (1, ", '"', "VALUES (1), (2), ", "e'\\"):
        normalise(piece * 20_000)


def test_fingerprint() -> None:
    assert fingerprint("SELECT $1") == "t165a22d8eabe"
    assert fingerprint("SELECT $1") != fingerprint("SELECT $2")


@pytest.mark.parametrize(
    ("text", "with_parameters"),
    [
        ("SELECT a FROM t WHERE b = 'x' AND c = $2;", "SELECT a FROM t WHERE b = $3 AND c = $2"),
        ("SELECT 1, -2, 3000000000, 1.5",
         "SELECT $1::integer, $2::integer, $3::bigint, $4::numeric"),
        ("SELECT a IN (1, 2)", "SELECT a IN ($1::integer, $2::integer)"),
        ("SELECT a IN ($1 /*, ... */)", "SELECT a IN ($1)"),
        ("SELECT interval $1, date '2020-01-01'", "SELECT $1::interval, $2::date"),
        ("SELECT a, 1 FROM t GROUP BY 1, b ORDER BY 2 DESC, 1 LIMIT 5",
         "SELECT a, $1::integer FROM t GROUP BY 1, b ORDER BY 2 DESC, 1 LIMIT $2::integer"),
        ("SELECT a::varchar(10), CAST(b AS numeric(8, 2)), f(10)",
         "SELECT a::varchar(10), CAST(b AS numeric(8, 2)), f($1::integer)"),
        ("SELECT a FROM t ORDER BY b + 1", "SELECT a FROM t ORDER BY b + $1::integer"),
    ],
)  # fmt: skip
def test_parameterised(text: str, with_parameters: str) -> None:
    assert parameterised(text) == with_parameters
