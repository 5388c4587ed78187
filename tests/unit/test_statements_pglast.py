"""The splitter against PostgreSQL's own grammar, as pglast has it: both end statements alike.

pglast is GPL and so belongs to the tests alone.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pglast
import pytest
from conftest import DEBIAN_15, IN_CI
from hypothesis import given, settings
from hypothesis import strategies as st

import agentdb_cli
from agentdb_cli.migrations import files
from agentdb_cli.migrations.lint.tokens import Kind, tokenize
from agentdb_cli.migrations.statements import ScriptError, parse
from agentdb_cli.postgres.embedded.binaries import embedded

GENERATED = 10_000
SCRIPTS_OF = {"18": 40, "15": 150}  # at least

Spans = list[tuple[int, int]]


def ours(text: str) -> Spans:
    """From the first to the last character of each statement."""
    return [(statement.start, statement.end) for statement in parse(text).statements]


def theirs(text: str) -> Spans:
    """The same by PostgreSQL's parser, which leaves a comment at the end to the statement."""
    tokens = [t for t in pglast.parser.scan(text) if t.name not in ("SQL_COMMENT", "C_COMMENT")]
    found, position = [], 0
    for part in pglast.split(text, only_slices=True):
        while tokens[position].start < part.start:
            position += 1
        start = tokens[position].start
        while position < len(tokens) and tokens[position].end < part.stop:
            position += 1
        found.append((start, tokens[position - 1].end + 1))
    return found


def without_psql(text: str) -> str:
    """An extension's script as the server reads it: CREATE EXTENSION passes over \\echo lines."""
    text = re.sub(r"^\\(echo|quit).*$", "", text, flags=re.MULTILINE)
    return re.sub(r"@(\w+(?::\w+)?)@", lambda found: found[1].replace(":", "_"), text)


def scripts(major: str) -> list[Path]:
    """Every SQL script of an installation."""
    share = embedded().root / "share" / "postgresql"
    if major == "15":
        if not DEBIAN_15.exists():
            assert not IN_CI, "PostgreSQL 15 must be installed in CI"
            pytest.skip("no PostgreSQL 15 on this machine")
        share = Path("/usr/share/postgresql/15")
    return sorted(share.rglob("*.sql"))


@pytest.mark.parametrize("major", ["18", "15"])
def test_scripts_that_come_with_postgresql(major: str) -> None:
    found = scripts(major)
    assert len(found) >= SCRIPTS_OF[major]
    assert {"information_schema.sql", "system_views.sql"} <= {path.name for path in found}
    for path in found:
        text = without_psql(path.read_text())
        assert ours(text) == theirs(text), path


# --- Generated scripts ---------------------------------------------------------

STRINGS = [
    "'plain;'", "'it''s; -- no comment'", "''", "'back\\'", "'/* ; '", "E'\\';'", "e'\\\\'",
    "E'a'';\\''", "E'line\\n;\n;'", "U&'\\0041;'", "u&'d\\0061t'", "N'n;'", "$$;$$", "$$it's;$$",
    "$a$ $$;$$ $b$ ; $a$", "$_1$;--$_1$", "$é$;$é$", "'a'\n';'", "'a' -- it's;\n  'b'",
    "E'a'\n'\\';'", "'é;ß'", "'\n;\n'", "'\t'",
]  # fmt: skip
VALUES = [
    *STRINGS, "B'01'", "x'1F'", "1", "1.5e-3", "0x1F", "1_000", "$1", '"quo;ted"', '"a""; b"',
    'U&"d\\0061t;a"', "a", "a.b", "é", "a$1", "1::int", "ARRAY[1, 2]", "a[1:2]", "-1", "- -1",
    "5 - 3", "5 / 2", "6 @ 7", "(1)", "((1) + (2))", "(SELECT 1)", "CASE WHEN true THEN 1 END",
    "CASE a WHEN 1 THEN CASE WHEN b THEN ';' END END", "true", "NULL", "cast('1' AS int)",
    "f()", "f(1, ';')", "a = any (b)", "now() AT TIME ZONE 'UTC'", "a ->> 'b'", "a <-> b",
]  # fmt: skip
GAPS = [
    " ", "\n", "\t", "  ", "\f", "\v", "\r\n", " -- it's; a \"comment\n", " /* ; ' */ ",
    " /* a /* nested ; */ $$ */ ", "\n--\n", "/**/", " /*/**/*/ ", "\n\n", " -- */ /*\n",
]  # fmt: skip
BETWEEN = [*GAPS, "", ";", " ; ; ", "\n;\n"]


class Generator:
    """Makes scripts that PostgreSQL's grammar takes."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def script(self) -> str:
        pieces = [self.between()]
        for _ in range(self.chance.randint(1, 6)):
            pieces += [self.statement(), self.between(), ";", self.between()]
        if self.chance.random() < 0.3:
            pieces += [self.statement(), self.gap()]
        return "".join(pieces)

    def statement(self) -> str:
        return self.chance.choice(
            [
                self.select,
                self.select,
                self.insert,
                self.routine,
                self.atomic,
                self.atomic,
                self.rule,
                self.other,
            ]
        )()

    def select(self) -> str:
        values = f"{self.gap()},{self.gap()}".join(
            self.value() for _ in range(self.chance.randint(1, 4))
        )
        return f"SELECT{self.gap()}{values}"

    def insert(self) -> str:
        return self.words("INSERT INTO t VALUES", f"({self.value()}, {self.value()})")

    def routine(self) -> str:
        body = self.chance.choice(
            ["'x;'", "$$SELECT 1; SELECT 2$$", "$b$ BEGIN; $$ $b$", "E'\\';'"]
        )
        head = self.chance.choice(["CREATE FUNCTION f()", "CREATE OR REPLACE FUNCTION begin()"])
        return self.words(head, "RETURNS int LANGUAGE sql AS", body)

    def atomic(self) -> str:
        inner = "".join(
            f"{self.select()}{self.gap()};{self.gap()}" for _ in range(self.chance.randint(0, 3))
        )
        head = self.chance.choice(
            ["CREATE FUNCTION f(a int DEFAULT 1) RETURNS int", "create or replace procedure p()"]
        )
        begin = self.chance.choice(["BEGIN ATOMIC", "begin atomic", "Begin /* ; */ Atomic"])
        return self.words(head, "LANGUAGE sql", begin, f"{inner}END")

    def rule(self) -> str:
        inner = f"{self.select()};{self.gap()}{self.select()}"
        return self.words("CREATE RULE r AS ON INSERT TO t DO ALSO", f"({inner})")

    def other(self) -> str:
        return self.chance.choice(
            [
                "BEGIN",
                "COMMIT",
                "DO $$BEGIN; END$$",
                "COPY t TO STDOUT",
                "COPY t FROM '/x;'",
                "CREATE TABLE t (a int DEFAULT 1, CHECK (a > 0))",
                "VALUES (1), (2)",
                "TABLE t",
                f"COMMENT ON TABLE t IS {self.chance.choice(['$$;$$', '$a$; $a$'])}",
                "SELECT 1 AS begin",
                "SELECT 1 AS copy FROM stdin",
                "SET a TO 'b;'",
                "CREATE FUNCTION f() RETURNS int AS 'a;', 'b' LANGUAGE c",
                "DROP FUNCTION begin()",
                "COPY (SELECT ';') TO STDOUT",
                'CREATE VIEW "v;" AS SELECT 1',
                "EXPLAIN SELECT 1",
            ]
        )

    def words(self, *words: str) -> str:
        return self.gap().join(words)

    def value(self) -> str:
        return self.chance.choice(VALUES)

    def gap(self) -> str:
        return self.chance.choice(GAPS) if self.chance.random() < 0.5 else " "

    def between(self) -> str:
        return "".join(self.chance.choice(BETWEEN) for _ in range(self.chance.randint(0, 3)))


def test_generated_scripts() -> None:
    generator = Generator(random.Random(20_260))
    statements = 0
    for number in range(GENERATED):
        script = generator.script()
        spans = ours(script)
        statements += len(spans)
        assert spans == theirs(script), f"script {number}: {script!r}"
    assert statements > 3 * GENERATED


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_scripts_that_hypothesis_chooses(chance: random.Random) -> None:
    script = Generator(chance).script()
    assert ours(script) == theirs(script)


def test_data_within_a_script_is_refused_where_it_begins() -> None:
    chance = random.Random(7)
    generator = Generator(chance)
    for _ in range(300):
        before = f"{generator.script()}\n;"
        copy = generator.words("COPY", "t", "(a, b)", chance.choice(["FROM STDIN", "from stdin"]))
        with pytest.raises(ScriptError) as caught:
            parse(f"{before}{copy};\n1\t;'\n\\.\nSELECT 1;")
        assert caught.value.offset == len(before)
        assert caught.value.line == before.count("\n") + 1
        assert str(caught.value) == (
            "COPY … FROM STDIN takes in-line data, which only psql can send"
        )


def test_line_ends_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    generator = Generator(random.Random(8))
    for _ in range(100):
        script = generator.script().replace("\r\n", "\n")
        read = []
        for name, content in (
            ("lf", script.encode()),
            ("crlf", script.replace("\n", "\r\n").encode()),
            ("bom", b"\xef\xbb\xbf" + script.encode()),
            ("both", b"\xef\xbb\xbf" + script.replace("\n", "\r\n").encode()),
        ):
            directory = tmp_path / name
            directory.mkdir(exist_ok=True)
            (directory / "1_x.sql").write_bytes(content)
            [file] = files.read(directory).files
            read.append((file.checksum, file.text, parse(file.text).statements))
        assert read[0][1] == script
        assert all(each == read[0] for each in read)


# --- The lexer of the rules ----------------------------------------------------


def test_rules_see_the_same_words() -> None:
    generator = Generator(random.Random(9))
    for _ in range(1_000):
        script = generator.script()
        words = [(t.start, t.end) for t in tokenize(script) if t.kind is Kind.word]
        assert (
            words
            == [
                (token.start, token.end + 1)
                for token in pglast.parser.scan(script)
                if re.match(r"[^\W\d]", script[token.start])
                # A literal with a prefix; N is a word of its own to the server.
                and not token.name.endswith(("CONST", "UIDENT"))
                and script[token.start : token.end + 2] != "N'"
            ]
        ), script


def test_the_program_itself_never_loads_pglast() -> None:
    package = Path(agentdb_cli.__file__).parent
    assert not [path for path in package.rglob("*.py") if "pglast" in path.read_text()]
