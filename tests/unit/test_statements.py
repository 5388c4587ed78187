"""Where statements begin and end: the lexical rules of PostgreSQL and psql, one by one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdb_cli.migrations.statements import (
    ScriptError,
    Statement,
    Variable,
    line_and_column,
    parse,
)


def split(text: str) -> list[str]:
    """The texts of the statements of a script."""
    return [statement.text for statement in parse(text).statements]


def keywords(text: str) -> tuple[str, ...]:
    """The keywords of a script's only statement."""
    (statement,) = parse(text).statements
    return statement.keywords


def variables(text: str) -> list[tuple[str, str]]:
    """(name, quoting) of each variable of a script."""
    return [(variable.name, variable.quoting) for variable in parse(text).variables]


def refusal(text: str) -> str:
    """The error that a script gets, as `line:column: message`."""
    with pytest.raises(ScriptError) as caught:
        parse(text)
    error = caught.value
    assert str(error) == error.message
    assert (error.line, error.column) == line_and_column(text, error.offset)
    return f"{error.line}:{error.column}: {error.message}"


# --- Statements --------------------------------------------------------------


def test_a_script_is_split_at_its_semicolons() -> None:
    script = parse("CREATE TABLE a ();\n\nINSERT INTO b VALUES (1);\n")
    assert script.statements == (
        Statement("CREATE TABLE a ()", 0, 17, ("CREATE", "TABLE", "A")),
        Statement("INSERT INTO b VALUES (1)", 20, 44, ("INSERT", "INTO", "B", "VALUES")),
    )
    assert script.text == "CREATE TABLE a ();\n\nINSERT INTO b VALUES (1);\n"
    assert script.variables == ()
    assert script.directives == ()


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("", []),
        (" \n", []),
        (";", []),
        (";; ;", []),
        ("-- a comment alone", []),
        ("/* another */ ; -- and a third\n;", []),
        ("a", ["a"]),
        ("a;b", ["a", "b"]),
        (";;a;;b;;", ["a", "b"]),
    ],
)
def test_empty_statements_are_dropped_and_the_last_semicolon_may_be_missing(
    script: str, statements: list[str]
) -> None:
    assert split(script) == statements


def test_comments_and_whitespace_around_a_statement_do_not_belong_to_it() -> None:
    script = "-- one\n /* two */ SELECT /* three */ 1 -- four\n /* five */ ; -- six\n"
    assert split(script) == ["SELECT /* three */ 1"]


def test_whitespace_is_ascii_whitespace() -> None:
    assert split(" \t\n\r\f\va \t\n\r\f\v; \t\n\r\f\v") == ["a"]
    # Every character outside of ASCII is a letter: a no-break space, too.
    assert split("\xa0;\u3000") == ["\xa0", "\u3000"]
    assert keywords("SELECT\xa0a") == ("SELECT\xa0A",)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("COMMIT", ("COMMIT",)),
        ("commit\nand\tno chain", ("COMMIT", "AND", "NO", "CHAIN")),
        ("create index concurrently i on t (a)", ("CREATE", "INDEX", "CONCURRENTLY", "I")),
        ("CREATE -- first\n/* second /* third */ */INDEX/**/i", ("CREATE", "INDEX", "I")),
        ("CREATE /**/ INDEX CONCURRENTLY i ON t (a)", ("CREATE", "INDEX", "CONCURRENTLY", "I")),
        ("VACUUM (FULL) a", ("VACUUM",)),
        ("SELECT 1", ("SELECT",)),
        ("SELECT - a", ("SELECT",)),
        ("SELECT a.b", ("SELECT", "A")),
        ("DROP TABLE a$1, b", ("DROP", "TABLE", "A$1")),
        ('DROP TABLE "a"', ("DROP", "TABLE")),
        ("DROP TABLE :name", ("DROP", "TABLE")),
        ("(SELECT 1)", ()),
        # The prefix of a literal is not a word.
        ("SELECT E'a'", ("SELECT",)),
        ("SELECT n'a'", ("SELECT",)),
        ("SELECT b'1'", ("SELECT",)),
        ("SELECT X'1'", ("SELECT",)),
        ("SELECT U&'a'", ("SELECT",)),
        ('SELECT u&"a"', ("SELECT",)),
        ("SELECT u & a", ("SELECT", "U")),
        # Upper case is ASCII's alone: no other letter makes a keyword.
        ("DROP TABLE é", ("DROP", "TABLE", "é")),
        ("ınsert ınto ß", ("ıNSERT", "ıNTO", "ß")),
    ],
)
def test_keywords_are_the_first_four_bare_words(statement: str, words: tuple[str, ...]) -> None:
    assert keywords(statement) == words


# --- Strings and identifiers -------------------------------------------------


@pytest.mark.parametrize(
    "literal",
    [
        "';'",
        "'it''s; here'",
        "';--'",
        "';/*'",
        "';\n;'",
        "''",
        "''';'",
        # Backslashes mean nothing to a standard string.
        "';\\'",
        "n';\\'",
        "B';'",
        "x';'",
        "U&';\\'",
        "'a' ';\\'",
        # But in an escape string they escape.
        "E'\\';'",
        "e'\\\\'",
        "E'\\\\\\';'",
        "E''';\\''",
        "E'\\\n;'",
        # Continued after a newline, an escape string remains one,
        "E'a'\n'\\';'",
        "E'a' \t\r\n \f 'b'\n'\\';'",
        "E'a' -- it's\n  -- it's\n\n --it's\r'\\';'",
        # and a standard string does not become one.
        "'a'\n';\\'",
        # No newline, or another kind of comment: a second string begins.
        "E'a' ';\\'",
        "E'a' /*\n*/ ';\\'",
        "E'a'\n/**/';\\'",
        '";"',
        '"a"";"',
        '"\';\\"',
        'U&";"',
    ],
)
def test_a_semicolon_within_quotes_does_not_split(literal: str) -> None:
    assert split(f"{literal};b") == [literal, "b"]
    assert split(f"SELECT {literal}, a;b") == [f"SELECT {literal}, a", "b"]


@pytest.mark.parametrize(
    "before",
    ["typE", "_e", "a1E", "a$E", "éE", "1E", "1.5e", "1.e", "0xE", "1_0e", "1e5e", "1e-5e", "$1e"],
)
def test_a_letter_that_ends_something_longer_opens_no_escape_string(before: str) -> None:
    assert split(f"{before}'\\';b") == [f"{before}'\\'", "b"]


@pytest.mark.parametrize(
    "before", ["", "'a'", '"a"', "$$a$$", "(", "a.", "1+", "1e-", "1..", "$1.", "=", "::", "a/**/"]
)
def test_an_escape_string_may_follow_anything_that_is_complete(before: str) -> None:
    assert split(f"{before}E'\\';'") == [f"{before}E'\\';'"]


# --- Dollar quotes -----------------------------------------------------------


@pytest.mark.parametrize(
    "quoted",
    [
        "$$;$$",
        "$$ '; \"; /*; -- $$",
        "$body$;$body$",
        "$_1$;$_1$",
        "$é$;$é$",
        # It ends with its own tag alone, in the case that it began with.
        "$a$ $$;$$ $b$;$b$ $a;$A$ $a$",
        "$a$;$a $a$",
        "$a$;$$a$",
        "$a$;$b$a$",
        "$$;$a$$",
        "1$$;$$",
        "$1$$;$$",
        "'a'$$;$$",
        "+$$;$$",
    ],
)
def test_a_semicolon_within_dollar_quotes_does_not_split(quoted: str) -> None:
    assert split(f"{quoted};b") == [quoted, "b"]


@pytest.mark.parametrize("text", ["$1", "$", "a$", "a$b$c", "a$$", "é$$", "a1$$", "1a$$", "$1a$$"])
def test_a_dollar_elsewhere_opens_no_quote(text: str) -> None:
    assert split(f"{text};{text} b") == [text, f"{text} b"]


def test_a_tag_is_an_identifier() -> None:
    assert split("$1$;$1$") == ["$1$", "$1$"]
    assert split("$a b$;$a b$") == ["$a b$", "$a b$"]


# --- Comments and operators --------------------------------------------------


@pytest.mark.parametrize(
    "comment",
    [
        "--;\n",
        "--;\r",
        "-- it's \"$$ /*;\n",
        "---;\n",
        "/*;*/",
        "/* it's \"$$ --; */",
        "/*;/*;*/;*/",
        "/*/;*/",
        "/**;**/",
        "/*;//*;*/;*/",
        "/*;*//*;*/",
    ],
)
def test_a_semicolon_within_a_comment_does_not_split(comment: str) -> None:
    assert split(f"a {comment} b; c") == [f"a {comment} b", "c"]


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "@-", "+*", "<", "/-", "||", "->>"])
def test_a_comment_begins_within_an_operator(operator: str) -> None:
    assert split(f"a {operator}--;\nb; c") == [f"a {operator}--;\nb", "c"]
    assert split(f"a {operator}/*;*/b; c") == [f"a {operator}/*;*/b", "c"]


@pytest.mark.parametrize("operator", ["-", "/", "*/", "*", "- -", "/ *", "-+-", "<->", "|/", "!=-"])
def test_one_dash_or_slash_is_an_operator(operator: str) -> None:
    assert split(f"a {operator} b; c") == [f"a {operator} b", "c"]


def test_a_line_comment_may_end_the_script() -> None:
    assert split("a; -- b") == ["a"]
    assert split("a -- b") == ["a"]


# --- Parentheses and routine bodies ------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE RULE r AS ON INSERT TO a DO ALSO (DELETE FROM b; DELETE FROM c)",
        "CREATE RULE r AS ON INSERT TO a DO ALSO (DELETE FROM b WHERE (c = ';'); SELECT (1);)",
        "((;);(;))",
        "('(';)",
        "(--(\n;)",
        ") (;)",
    ],
)
def test_a_semicolon_within_parentheses_does_not_split(statement: str) -> None:
    assert split(f"{statement};b") == [statement, "b"]


def test_unbalanced_parentheses_are_the_servers_to_refuse() -> None:
    assert split("a (b; c; d") == ["a (b; c; d"]
    assert split("a ); b (; ) c; d") == ["a )", "b (; ) c", "d"]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
        "create or replace procedure p() begin /**/ atomic ; end",
        "CREATE OR REPLACE FUNCTION f() BEGIN ATOMIC END",
        "CREATE /* a */ PROCEDURE p() BEGIN -- b\n ATOMIC SELECT ';'; END",
        # CASE ends with END, too; so do nested BEGINs, as psql counts them.
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE 1 WHEN 2 THEN 3 END; SELECT 4; END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE CASE 1 END END; SELECT 2; END",
        "CREATE FUNCTION f() BEGIN ATOMIC BEGIN; SELECT 1; END; SELECT 2; END",
        # What stands in parentheses is not counted, nor are quoted words.
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT (CASE 1 WHEN 2 THEN 3 END); SELECT 4; END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT (end, 'a'); SELECT 'end', \"end\", $$end$$; END",
        "CREATE FUNCTION f(a int DEFAULT (CASE 1 END)) BEGIN ATOMIC SELECT weekend; END",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT caſe; END",
        # A routine may be called begin: only BEGIN ATOMIC opens a body.
        "CREATE FUNCTION begin() RETURNS int RETURN 1",
        "CREATE FUNCTION f() LANGUAGE plpgsql AS $$BEGIN; END$$",
    ],
)
def test_the_body_of_a_routine_is_part_of_its_statement(statement: str) -> None:
    assert split(f"{statement}; COMMIT;") == [statement, "COMMIT"]


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "BEGIN ATOMIC",
        "CREATE TABLE begin (atomic int)",
        "CREATE VIEW f AS SELECT begin atomic",
        "CREATE OR REPLACE VIEW v AS SELECT begin atomic",
        "CREATE FUNCTIONS begin atomic",
        "ALTER FUNCTION f() begin atomic",
        'CREATE "function" begin atomic',
        "CREATE FUNCTION f() BEGIN WORK",
        "CREATE FUNCTION f() BEGIN atomically",
        "CREATE FUNCTION f() END",
        "CREATE FUNCTION f() CASE",
    ],
)
def test_no_other_begin_opens_a_body(statement: str) -> None:
    assert split(f"{statement}; SELECT 1;") == [statement, "SELECT 1"]


def test_a_body_without_end_reaches_to_the_end_of_the_script() -> None:
    script = "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2;"
    assert split(script) == [script]


# --- Variables ---------------------------------------------------------------


def test_variables_are_found_where_psql_would_replace_them() -> None:
    script = parse("SELECT :a, :'b' FROM :\"c\";")
    assert script.variables == (
        Variable("a", 7, 9, "raw"),
        Variable("b", 11, 15, "literal"),
        Variable("c", 21, 25, "identifier"),
    )
    assert [script.text[v.start : v.end] for v in script.variables] == [":a", ":'b'", ':"c"']


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":a:b", [("a", "raw"), ("b", "raw")]),
        (":a_1é.b", [("a_1é", "raw")]),
        (":a$b", [("a", "raw")]),
        ("(:a)", [("a", "raw")]),
        ("1:a", [("a", "raw")]),
        ("x:a", [("a", "raw")]),
        # A slice looks like one; psql, too, replaces it if it knows the name.
        ("x[1:n]", [("n", "raw")]),
        ("x[:n]", [("n", "raw")]),
        ("x[1:2]", []),
        ("x[1:2n]", []),
        (":'1'", [("1", "literal")]),
        (':"1"', [("1", "identifier")]),
        ("a::int", []),
        ("a::int:b", [("b", "raw")]),
        ("a:::b", [("b", "raw")]),
        ("f(a:=b)", []),
        ("a := b", []),
        (": a", []),
        (":", []),
        (":'a b'", []),
        (":''", []),
        (':"a-b"', []),
        ("':a'", []),
        ("\":a\" E':a' $$:a$$", []),
        ("-- :a\n/* :a */ b", []),
        ("'a':b", [("b", "raw")]),
        (":'a''b'", [("a", "literal")]),
    ],
)
def test_what_is_a_variable(text: str, found: list[tuple[str, str]]) -> None:
    assert variables(text) == found


def test_quotes_of_a_variable_do_not_change_what_follows() -> None:
    assert split(":'a';b") == [":'a'", "b"]
    assert split(":'a b;';c") == [":'a b;'", "c"]
    assert split(':"a;";b') == [':"a;"', "b"]
    # The variable's name is longer than the prefix of a string.
    assert split(":e'\\';b") == [":e'\\'", "b"]


# --- Directives --------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "directives"),
    [
        ("-- agentdb: no-transaction\n", [("no-transaction", "")]),
        ("-- agentdb: requires-extension vector\n", [("requires-extension", "vector")]),
        ("--agentdb:a\n", [("a", "")]),
        ("  --\tagentdb:  a   b  c \t\r\n", [("a", "b  c")]),
        (
            "-- Adds users.\n\n/* (c) */ -- agentdb: a\n;-- agentdb: b c\n",
            [("a", ""), ("b", "c")],
        ),
        ("-- agentdb: a\n-- agentdb: a\n", [("a", ""), ("a", "")]),
        ("-- agentdb:\n", []),
        ("-- agentdb no-transaction\n", []),
        ("-- Agentdb: a\n", []),
        ("-- see agentdb: a\n", []),
        ("/* agentdb: a */\n", []),
        ("/* -- agentdb: a\n*/\n", []),
    ],
)
def test_directives_are_comment_lines(header: str, directives: list[tuple[str, str]]) -> None:
    assert parse(header).directives == tuple(directives)
    assert parse(f"{header}SELECT 1;").directives == tuple(directives)


def test_directives_come_before_the_first_statement() -> None:
    assert parse("SELECT 1; -- agentdb: a").directives == ()
    assert parse("SELECT -- agentdb: a\n 1").directives == ()
    assert parse("SELECT '\n-- agentdb: a\n'").directives == ()


# --- What is refused ---------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("a;\n  'b", "2:3: unterminated quoted string"),
        ("a 'b''c", "1:3: unterminated quoted string"),
        ("SELECT n'b", "1:9: unterminated quoted string"),
        ("SELECT E'b\\'", "1:9: unterminated quoted string"),
        ("SELECT E'b\\", "1:9: unterminated quoted string"),
        ("SELECT E'a'\n'b\\'", "1:9: unterminated quoted string"),
        ("'it's'", "1:6: unterminated quoted string"),
        ('a\n"b', "2:1: unterminated quoted identifier"),
        ('a "b""', "1:3: unterminated quoted identifier"),
        ("$$ a", "1:1: unterminated dollar-quoted string $$"),
        ("a\r\n$body$ $BODY$", "2:1: unterminated dollar-quoted string $body$"),
        ("$é$ $é $", "1:1: unterminated dollar-quoted string $é$"),
        ("a /* b", "1:3: unterminated /* comment"),
        ("/* /* */", "1:1: unterminated /* comment"),
        ("SELECT /* a", "1:8: unterminated /* comment"),
        ("*/*", "1:2: unterminated /* comment"),
    ],
)
def test_unterminated_constructs(script: str, error: str) -> None:
    assert refusal(script) == error


@pytest.mark.parametrize(
    ("script", "line", "column", "command"),
    [
        ("\\connect other\nSELECT 1;", 1, 1, "\\connect"),
        ("SELECT 1;\n  \\i file.sql", 2, 3, "\\i"),
        ("SELECT 1 \\gset", 1, 10, "\\gset"),
        ("SELECT 1 \\; SELECT 2;", 1, 10, "\\;"),
        ("\\!ls", 1, 1, "\\!"),
        ("\\dt+ a", 1, 1, "\\dt"),
        ("a \\", 1, 3, "\\"),
        ("\\é", 1, 1, "\\"),
    ],
)
def test_psql_meta_commands(script: str, line: int, column: int, command: str) -> None:
    message = f"psql meta-command {command} cannot be sent to the server"
    assert refusal(script) == f"{line}:{column}: {message}"


def test_a_backslash_within_quotes_and_comments_is_no_meta_command() -> None:
    text = "'\\a' \"\\b\" $$\\c$$ E'\\d' /* \\e */ -- \\f\n + 1"
    assert split(text) == [text]


@pytest.mark.parametrize(
    "statement",
    [
        "COPY a FROM STDIN",
        "copy a from stdin with (format csv)",
        "COPY a.b (c, d) FROM /* e */ -- f\n STDIN;\n1\t2\n\\.\n",
        "COPY BINARY a FROM stdin",
        "COPY a FROM STDIN /**/\\.",
        "COPY a.from FROM STDIN",
        # So the server's grammar has it.
        "COPY a FROM STDOUT",
    ],
)
def test_copy_from_stdin(statement: str) -> None:
    message = "COPY … FROM STDIN takes in-line data, which only psql can send"
    assert refusal(f"a;\n {statement}") == f"2:2: {message}"


@pytest.mark.parametrize(
    "statement",
    [
        "COPY a FROM '/tmp/stdin'",
        "COPY a FROM PROGRAM 'stdin'",
        "COPY a TO STDOUT",
        "COPY stdin FROM '/tmp/a'",
        "COPY (SELECT 1 FROM stdin) TO '/tmp/a'",
        "COPY a FROM ſtdin",
        "SELECT a FROM stdin",
        "/* COPY a */ SELECT a FROM stdin",
    ],
)
def test_no_other_copy_is_refused(statement: str) -> None:
    assert len(parse(statement).statements) == 1


@pytest.mark.parametrize("script", ["SELECT 1;\n\0", "SELECT 1;\n\0'\0", "SELECT '\n\0'", "--\n\0"])
def test_a_nul_character(script: str) -> None:
    assert refusal(script) == "2:1: a script cannot hold a NUL character"


def test_the_error_says_where_it_is() -> None:
    with pytest.raises(ScriptError) as caught:
        parse("SELECT 1;\nSELECT 'é', 'b")
    error = caught.value
    assert (error.message, error.offset) == ("unterminated quoted string", 22)
    assert (error.line, error.column) == (2, 13)
    assert isinstance(error, ValueError)


# --- Lines and columns -------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("", 0, (1, 1)),
        ("ab\ncd", 0, (1, 1)),
        ("ab\ncd", 2, (1, 3)),
        ("ab\ncd", 3, (2, 1)),
        ("ab\ncd", 5, (2, 3)),
        ("\n\n", 2, (3, 1)),
        ("a\r\nb", 3, (2, 1)),
        ("a\rb", 2, (1, 3)),
        ("é\t𝄞x", 3, (1, 4)),
    ],
)
def test_lines_and_columns_count_from_one(text: str, offset: int, place: tuple[int, int]) -> None:
    assert line_and_column(text, offset) == place


@pytest.mark.parametrize("offset", [-1, 3])
def test_an_offset_outside_of_the_text(offset: int) -> None:
    with pytest.raises(ValueError, match="outside of a text of 2 characters"):
        line_and_column("ab", offset)


# --- Whatever the text -------------------------------------------------------

LETTERS = "abcxyzé_"


def _delimited(tag: str, body: str) -> str:
    delimiter = f"${tag}$"
    closes_early = delimiter in body + delimiter[:-1]
    return f"{delimiter}{'' if closes_early else body}{delimiter}"


BODIES = st.text("ab;'\"\\$-/*(): \n\ré", max_size=8)
NAMES = st.text(LETTERS, min_size=2, max_size=5)
COMMENTS = st.text("ab;'\"$\\( é", max_size=8)

TOKENS = st.one_of(
    NAMES,
    st.builds("{}${}".format, NAMES, NAMES),
    BODIES.map(lambda body: "'{}'".format(body.replace("'", "''"))),
    BODIES.map(lambda body: "E'{}'".format(body.replace("\\", "\\\\").replace("'", "\\'"))),
    BODIES.map(lambda body: '"{}"'.format(body.replace('"', '""'))),
    st.builds(_delimited, st.just("") | NAMES, BODIES),
    st.sampled_from(["N';\\'", "B'01'", "X'1F'", "U&';\\'", 'u&";"', "$1", ":a", ":'a'", ':"a"']),
    st.sampled_from(["1", "1.5", ".5", "1e-5", "0x1F", "1_000", "(a; b)", "x[1:2]", "a::int"]),
    st.sampled_from(["+", "-", "*", "/", "||", "->>", "<=", ",", ".", ":=", "@-", "*/", "|/"]),
)

# A newline ends in a comma: without it, it would continue an escape string.
GAPS = st.one_of(
    st.sampled_from([" ", "\t", "\f", "\v", "  ", "\n, "]),
    COMMENTS.map(lambda comment: f" --{comment}\n, "),
    COMMENTS.map(lambda comment: f" /*{comment}/*{comment}*/*/ "),
)


@st.composite
def statement_texts(draw: st.DrawFn) -> str:
    """One statement: tokens with gaps between them."""
    text: str = draw(TOKENS)
    for _ in range(draw(st.integers(0, 5))):
        text += draw(GAPS) + draw(TOKENS)
    return text


# Where the lexer has to look twice.
FRAGMENTS = st.lists(
    st.sampled_from(["'", '"', "$$", "$a$", "$", "$1", "E", "e'", "U&", "1e", "1", "a", "é", "\0"])
    | st.sampled_from(
        ["--", "/*", "*/", "-", "/", "\n", "\r", " ", "(", ")", ";", "::", ":a", "\\"]
    )
    | st.sampled_from(
        ["create function ", "begin atomic ", "case ", "end ", "copy ", "from stdin"]
    ),
    max_size=30,
).map("".join)
SCRIPTS = st.text() | FRAGMENTS


@given(st.lists(statement_texts(), max_size=4), st.sampled_from([";", " ; ", ";;\n", "\n;--;\n"]))
@settings(deadline=None)
def test_joined_statements_are_split_again(statements: list[str], separator: str) -> None:
    assert split(separator.join(statements)) == statements
    assert split("".join(f"{statement}{separator}" for statement in statements)) == statements


@given(SCRIPTS)
@settings(deadline=None)
def test_a_text_is_split_or_refused_and_nothing_else(text: str) -> None:
    try:
        parse(text)
    except ScriptError as error:
        place = (error.line, error.column)
        offset = error.offset
    else:
        return
    assert 0 <= offset < len(text)
    assert line_and_column(text, offset) == place


@given(SCRIPTS)
@settings(deadline=None)
def test_offsets_lead_to_the_text(text: str) -> None:
    try:
        script = parse(text)
    except ScriptError:
        return
    position = 0
    for statement in script.statements:
        assert position <= statement.start < statement.end <= len(text)
        assert text[statement.start : statement.end] == statement.text
        assert split(statement.text) == [statement.text]
        position = statement.end
    for variable in script.variables:
        assert variable.name == text[variable.start : variable.end].strip(":'\"")


# --- Speed -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "-- a\nINSERT INTO t VALUES (1, 'it''s', E'a\\n', $$b$$);\n" * 2_000,
        "'" + "a''" * 30_000 + "'",
        "E'" + "\\'" * 30_000 + "'",
        "E'a'\n-- b\n" * 10_000,
        "/*" * 25_000 + "*/" * 25_000,
        "(" * 50_000,
        "(a(b)" * 15_000,
        "$a" * 30_000,
        "1$" * 30_000,
        " " * 200_000 + "a",
        "COPY a " + "FROM--\n" * 10_000,
        "CREATE FUNCTION f() BEGIN ATOMIC " + "BEGIN " * 30_000,
    ],
    ids=lambda text: text[:12],
)
def test_time_grows_with_the_length_alone(text: str) -> None:
    """Some 100 KB take a tenth of a second; were it quadratic, they would take minutes."""
    begin = time.process_time()
    parse(text)
    assert time.process_time() - begin < 5
