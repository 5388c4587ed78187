"""Rules of `agentdb migrate lint`: what breaks each of them, and what only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdb_cli import packs
from agentdb_cli.errors import MigrationError, SettingsError
from agentdb_cli.migrations import statements
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.lint import check
from agentdb_cli.migrations.lint.check import Source
from agentdb_cli.migrations.lint.rules import RULES, chosen
from agentdb_cli.migrations.lint.tokens import Kind, tokenize


def script(name: str, text: str, *, together: bool = True, judged: bool = True) -> Source:
    """A script as it is read from a file of that name."""
    return Source(MigrationFile(0, name, Path(), name, text.encode(), ""), together, judged)


def found(*texts: str, only: tuple[str, ...] = (), name: str = "001_x.sql") -> list[str]:
    """The names of the rules that scripts break, the scripts run in one go."""
    sources = [script(name, text) for text in texts]
    return [f.rule.name for f in check.check(sources, chosen(only, ()), {"dims": 3072})]


HITS = [
    ("add-not-null-column", "ALTER TABLE t ADD COLUMN a int NOT NULL"),
    ("add-not-null-column", "ALTER TABLE t ADD a int NOT NULL"),
    ("add-not-null-column", 'alter table only "T" add column if not exists "default" int not null'),
    ("add-not-null-column", "ALTER TABLE t ADD COLUMN a int DEFAULT NULL NOT NULL"),
    ("add-not-null-column", "ALTER TABLE t ADD COLUMN b int, ADD COLUMN a int NOT NULL"),
    ("add-not-null-column", "ALTER TABLE t /* ; */ ADD -- x\n a numeric(3, 1) NOT NULL"),
    ("add-column-rewrite", "ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid()"),
    ("add-column-rewrite", "ALTER TABLE t ADD COLUMN a timestamptz DEFAULT clock_timestamp ()"),
    ("add-column-rewrite", "ALTER TABLE t ADD COLUMN a bigserial"),
    ("add-column-rewrite", "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) STORED"),
    ("add-column-rewrite", "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS IDENTITY"),
    ("change-column-type", "ALTER TABLE t ALTER COLUMN a TYPE bigint"),
    ("change-column-type", "ALTER TABLE t ALTER a SET DATA TYPE uuid USING a::uuid"),
    ("change-column-type", "ALTER TABLE t ALTER COLUMN a TYPE varchar(50)"),
    ("change-column-type", "ALTER TABLE t ALTER COLUMN a TYPE text USING lower(a)"),
    ("set-not-null", "ALTER TABLE t ALTER COLUMN a SET NOT NULL"),
    ("set-not-null", "ALTER TABLE t ALTER a SET NOT NULL"),
    ("foreign-key-without-not-valid", "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id)"),
    (
        "foreign-key-without-not-valid",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u ON DELETE SET NULL",
    ),
    (
        "foreign-key-without-not-valid",
        "ALTER TABLE t ADD COLUMN a int DEFAULT 1 REFERENCES u (id)",
    ),
    ("check-without-not-valid", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)"),
    ("check-without-not-valid", "ALTER TABLE t ADD CHECK (a > 0)"),
    ("check-without-not-valid", "ALTER TABLE t ADD COLUMN a int CHECK (a > 0)"),
    ("check-without-not-valid", "ALTER TABLE t ADD CONSTRAINT c NOT NULL a"),
    ("constraint-builds-index", "ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)"),
    ("constraint-builds-index", "ALTER TABLE t ADD PRIMARY KEY (a)"),
    ("constraint-builds-index", "ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)"),
    ("constraint-builds-index", "ALTER TABLE t ADD COLUMN a text UNIQUE"),
    ("rewrite-table", "ALTER TABLE t SET UNLOGGED"),
    ("rewrite-table", "ALTER TABLE t SET TABLESPACE fast"),
    ("rewrite-table", "CLUSTER t USING t_a"),
    ("detach-without-concurrently", "ALTER TABLE t DETACH PARTITION t_2024"),
    ("index-without-concurrently", "CREATE INDEX ON t (a)"),
    ("index-without-concurrently", "CREATE UNIQUE INDEX IF NOT EXISTS i ON public.t (a)"),
    ("index-without-concurrently", 'CREATE INDEX "concurrently" ON t (a)'),
    ("drop-index-without-concurrently", "DROP INDEX IF EXISTS i"),
    ("reindex-without-concurrently", "REINDEX TABLE t"),
    ("refresh-without-concurrently", "REFRESH MATERIALIZED VIEW v"),
    ("not-in-transaction", "CREATE INDEX CONCURRENTLY i ON t (a)"),
    ("not-in-transaction", "DROP INDEX CONCURRENTLY i"),
    ("not-in-transaction", "REINDEX (CONCURRENTLY) TABLE t"),
    ("not-in-transaction", "REINDEX TABLE CONCURRENTLY t"),
    ("not-in-transaction", "VACUUM t"),
    ("not-in-transaction", "ALTER TABLE t DETACH PARTITION p CONCURRENTLY"),
    ("rename-table", "ALTER TABLE t RENAME TO u"),
    ("rename-table", "ALTER TABLE t SET SCHEMA archive"),
    ("rename-column", "ALTER TABLE t RENAME COLUMN a TO b"),
    ("rename-column", 'ALTER TABLE t RENAME "to" TO b'),
    ("drop-column", "ALTER TABLE t DROP COLUMN IF EXISTS a"),
    ("drop-column", "ALTER TABLE t DROP a"),
    ("drop-table", "DROP TABLE IF EXISTS a, b"),
    ("drop-table", "DROP SCHEMA s"),
    ("truncate", "TRUNCATE t"),
    ("truncate", "TRUNCATE TABLE ONLY t RESTART IDENTITY"),
    ("cascade", "DROP FUNCTION f(int) CASCADE"),
    ("cascade", "ALTER TABLE t DROP CONSTRAINT c CASCADE"),
    ("write-whole-table", "UPDATE t SET a = 1"),
    ("write-whole-table", "DELETE FROM ONLY t"),
    ("write-whole-table", "UPDATE t SET a = (SELECT b FROM u WHERE u.id = t.id)"),
    ("lock-timeout-off", "SET lock_timeout = 0"),
    ("lock-timeout-off", "SET LOCAL lock_timeout TO '0s'"),
    ("timestamp-without-time-zone", "CREATE TABLE t (a timestamp)"),
    ("timestamp-without-time-zone", "CREATE TABLE t (a timestamp(3) without time zone NOT NULL)"),
    ("timestamp-without-time-zone", "ALTER TABLE t ADD COLUMN a pg_catalog.timestamp[]"),
    ("json-not-jsonb", "CREATE TABLE t (id int, a json DEFAULT '{}')"),
    ("vector-without-dimensions", "CREATE TABLE t (a vector)"),
    ("vector-without-dimensions", "ALTER TABLE t ADD COLUMN a public.halfvec"),
    (
        "ivfflat-on-empty-table",
        "CREATE TABLE t (a vector(3)); CREATE INDEX ON t USING ivfflat (a vector_l2_ops)",
    ),
    (
        "too-many-dimensions",
        "CREATE TABLE t (a vector(3072)); CREATE INDEX ON t USING hnsw (a vector_l2_ops)",
    ),
    (
        "too-many-dimensions",
        "CREATE TABLE t (a vector(:dims)); CREATE INDEX ON t USING hnsw (a vector_l2_ops)",
    ),
    (
        "too-many-dimensions",
        "CREATE TABLE t (a vector(9000)); "
        "CREATE INDEX ON t USING hnsw ((a::halfvec(9000)) halfvec_l2_ops)",
    ),
    ("unreadable", "SELECT 'x"),
    ("unreadable", "COPY t FROM STDIN"),
]


@pytest.mark.parametrize(("rule", "text"), HITS)
def test_hit(rule: str, text: str) -> None:
    assert found(text) == [rule]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (["add-column-rewrite", "constraint-builds-index"],
         "ALTER TABLE t ADD COLUMN id bigserial PRIMARY KEY"),
        (["rewrite-table", "not-in-transaction"], "VACUUM (FULL) t"),
        (["drop-table", "cascade"], "DROP TABLE t CASCADE"),
        (["drop-column", "drop-column"], "ALTER TABLE t DROP a, DROP COLUMN b"),
    ],
)  # fmt: skip
def test_several_hits(rules: list[str], text: str) -> None:
    assert sorted(found(text)) == sorted(rules)


NEAR_MISSES = [
    "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 0",
    "ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE t ADD COLUMN a text DEFAULT 'gen_random_uuid()'",
    "ALTER TABLE t ADD COLUMN a int GENERATED ALWAYS AS (b + 1) VIRTUAL",
    "ALTER TABLE t ADD COLUMN a int REFERENCES u (id) ON DELETE SET NULL",
    'ALTER TABLE t ADD COLUMN "not null" int',
    "ALTER TABLE t ADD COLUMN a text DEFAULT 'x NOT NULL'",
    "ALTER TABLE t ADD COLUMN a numeric(10, 2), ALTER COLUMN b SET DEFAULT 1",
    "ALTER TABLE t ALTER COLUMN a TYPE text",
    "ALTER TABLE t ALTER COLUMN a TYPE character varying",
    "ALTER TABLE t ALTER COLUMN a DROP NOT NULL",
    "ALTER TABLE t ALTER COLUMN a DROP DEFAULT",
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id) NOT VALID",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID",
    "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i",
    "ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY USING INDEX i",
    "ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE t RENAME CONSTRAINT a TO b",
    "ALTER TABLE t DROP CONSTRAINT c",
    "ALTER TABLE t SET (fillfactor = 90)",
    "ALTER TABLE t OWNER TO somebody",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t ATTACH PARTITION p FOR VALUES FROM (1) TO (2)",
    "ALTER INDEX i RENAME TO j",
    "ALTER VIEW v RENAME TO w",
    "CREATE INDEX i ON ONLY t (a)",
    "CREATE TABLE t (a int); CREATE INDEX ON t (a)",
    "CREATE TABLE IF NOT EXISTS s.t (a int); CREATE INDEX ON t (a)",
    'CREATE TABLE "T" (a int); ALTER TABLE "T" ADD COLUMN b int NOT NULL',
    "CREATE UNLOGGED TABLE t (a int); ALTER TABLE t SET LOGGED",
    "CREATE TABLE t (a int); ALTER TABLE t RENAME TO u; CREATE INDEX ON u (a); DROP TABLE u",
    "CREATE TABLE t AS SELECT 1 AS a; CREATE INDEX ON t (a)",
    "CREATE TABLE p PARTITION OF t FOR VALUES FROM (1) TO (2); CREATE INDEX ON p (a)",
    "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a; CREATE UNIQUE INDEX ON v (a)",
    "CREATE SCHEMA s CREATE TABLE t (a int); CREATE INDEX ON s.t (a); DROP SCHEMA s",
    "CREATE TABLE t (a int); CREATE INDEX i ON t (a); DROP INDEX i",
    "DO $$ BEGIN CREATE TABLE t (a int); END $$; CREATE INDEX ON t (a)",
    "DO $$ BEGIN EXECUTE 'CREATE TABLE IF NOT EXISTS t (a int)'; END $$; CREATE INDEX ON t (a)",
    "DO $$ BEGIN DROP TABLE t; CREATE INDEX ON t (a); END $$",
    "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE t; TRUNCATE t $$",
    "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC DELETE FROM t; UPDATE t SET a = 1; END",
    "SELECT 'DROP TABLE t; TRUNCATE t'",
    "SELECT E'it\\'s; DROP TABLE t'",
    "-- DROP TABLE t;\n/* DROP TABLE t; /* TRUNCATE t; */ */ SELECT 1",
    'SELECT 1 AS "DROP TABLE t;"',
    "-- agentdb: no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a)",
    "-- agentdb: no-transaction\nREINDEX INDEX CONCURRENTLY i",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
    "CREATE TEMP TABLE t (a timestamp, b json); DROP TABLE t",
    "CREATE TABLE t (a timestamptz, b timestamp with time zone, c timestamp (3) with time zone)",
    'CREATE TABLE t (timestamp timestamptz, json jsonb, vector vector(3), "check" int)',
    "CREATE TABLE t (a int, CONSTRAINT json CHECK (a > 0), FOREIGN KEY (a) REFERENCES u (json))",
    "CREATE TABLE t (a text DEFAULT 'timestamp', LIKE u)",
    "CREATE TABLE t (json, vector) AS SELECT 1, 2",
    "CREATE TABLE t (a vector(3)); CREATE INDEX ON t USING hnsw (a vector_l2_ops)",
    "CREATE TABLE t (a halfvec(3072)); CREATE INDEX ON t USING hnsw (a halfvec_l2_ops)",
    "CREATE TABLE t (a vector(3072)); "
    "CREATE INDEX ON t USING hnsw ((a::halfvec(3072)) halfvec_l2_ops)",
    "CREATE TABLE t (a vector(3072)); "
    "CREATE INDEX ON t USING hnsw ((binary_quantize(a)::bit(3072)) bit_hamming_ops)",
    "CREATE TABLE t (a vector(3072)); CREATE INDEX ON t (id)",
    "CREATE TABLE t (a vector(3)); INSERT INTO t SELECT b FROM u; "
    "CREATE INDEX ON t USING ivfflat (a vector_l2_ops)",
    "UPDATE t SET a = 1 WHERE b",
    "WITH x AS (SELECT 1) SELECT * FROM x",
    "SET LOCAL lock_timeout = '5s'",
    "SET lock_timeout TO DEFAULT",
    "SET search_path = 0",
    'ALTER TABLE :"schema".t DROP COLUMN a',
    "DROP FUNCTION f(int)",
    "DROP VIEW v",
]  # fmt: skip


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_miss(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", [*(text for _, text in HITS), *NEAR_MISSES])
def test_a_broken_off_statement_is_read_all_the_same(text: str) -> None:
    for token in tokenize(text):
        found(text[: token.start], only=tuple(RULES))
        found(text[token.start :], only=tuple(RULES))


def test_every_rule_has_a_hit_here() -> None:
    elsewhere = {
        "validate-in-same-transaction", "missing-lock-timeout", "allow-without-reason",
        "allow-unknown-rule",
    }  # fmt: skip
    assert {rule for rule, _ in HITS} | elsewhere == set(RULES)


def test_every_rule_says_why_and_what_instead() -> None:
    for rule in RULES.values():
        assert rule.name == rule.name.lower()
        assert " " not in rule.name
        assert rule.reason
        assert rule.rewrite
        assert not rule.reason.endswith(".")


# --- What stands before a statement ------------------------------------------


def test_a_table_of_an_earlier_file_of_the_run_is_fresh() -> None:
    assert found("CREATE TABLE s.t (a int)", "CREATE INDEX ON t (a)") == []
    assert found("CREATE TABLE s.t (a int)", "CREATE INDEX ON u.t (a)") == [
        "index-without-concurrently"
    ]


def test_a_run_of_its_own_finds_the_table_in_use() -> None:
    first = script("1_a.sql", "CREATE TABLE t (a varchar(10), b vector(3072))", judged=False)
    text = "CREATE INDEX ON t (a); CREATE INDEX ON t USING hnsw (b vector_l2_ops)"
    second = script("2_b.sql", text, together=False)
    rules = [f.rule.name for f in check.check([first, second], chosen((), ()), {})]
    assert rules == [
        "index-without-concurrently", "index-without-concurrently", "too-many-dimensions"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "rewrites"),
    [
        ("varchar(10)", "varchar(20)", False),
        ("varchar(20)", "varchar(10)", True),
        ("character varying(10)", "varchar", False),
        ("text", "varchar(10)", True),
        ("varchar(10)", "text", False),
        ("int", "text", True),
        ("numeric(5, 2)", "numeric(9, 2)", False),
        ("numeric(5, 2)", "numeric(9, 3)", True),
        ("decimal(5, 2)", "numeric", False),
        ("int", "bigint", True),
    ],
)
def test_a_type_that_files_tell_decides(before: str, after: str, rewrites: bool) -> None:
    first = script("1_a.sql", f"CREATE TABLE t (a {before})")
    second = script("2_b.sql", f"ALTER TABLE t ALTER a TYPE {after}", together=False)
    findings = check.check([first, second], chosen((), ()), {})
    assert [f.rule.name for f in findings] == ["change-column-type"] * rewrites


def test_ivfflat_on_a_new_column() -> None:
    index = "CREATE INDEX CONCURRENTLY i ON t USING ivfflat (a vector_l2_ops)"
    header = "-- agentdb: no-transaction\n"
    added = "ALTER TABLE t ADD COLUMN a vector(3);"
    assert found(f"{header}{added}{index}") == ["ivfflat-on-empty-table"]
    filled = f"{header}{added} UPDATE t SET a = '[1,2,3]' WHERE true;{index}"
    assert found(filled) == []
    assert found(f"{header}{index}") == []


def test_validation_in_the_transaction_of_the_constraint() -> None:
    add = "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID;"
    validate = "ALTER TABLE t VALIDATE CONSTRAINT c;"
    assert found(add + validate) == ["validate-in-same-transaction"]
    assert found(add, validate) == []
    assert found(f"-- agentdb: no-transaction\n{add}{validate}") == []
    assert found(f"CREATE TABLE t (a int);{add}{validate}") == []


def test_missing_lock_timeout_is_looked_for_on_request_alone() -> None:
    text = "ALTER TABLE t ADD COLUMN a int"
    only = ("missing-lock-timeout",)
    assert found(text) == []
    assert found(text, only=only) == ["missing-lock-timeout"]
    assert found(f"SET LOCAL lock_timeout = '5s'; {text}", only=only) == []
    assert found("CREATE TABLE t (a int); CREATE INDEX ON t (a)", only=only) == []


def test_files_that_undo_may_drop() -> None:
    text = "DROP TABLE t; ALTER TABLE u DROP COLUMN a; DROP TABLE v CASCADE"
    assert found(text, name="001_x.down.sql") == ["cascade"]
    assert found(text) == ["drop-table", "drop-column", "drop-table", "cascade"]


# --- Comments ------------------------------------------------------------------


def test_allow_counts_for_the_next_statement() -> None:
    text = "SELECT 1;\n-- agentdb: allow drop-table nobody reads it\nDROP TABLE a;\nDROP TABLE b"
    assert found(text) == ["drop-table"]


def test_allow_before_the_first_statement_counts_for_the_file() -> None:
    assert found("-- agentdb: allow drop-table obsolete\nDROP TABLE a;\nDROP TABLE b") == []


def test_allow_after_or_inside_a_statement_counts_for_that_one() -> None:
    after = "SELECT 1;\nDROP TABLE a; -- agentdb: allow drop-table obsolete\nDROP TABLE b"
    assert found(after) == ["drop-table"]
    inside = (
        "SELECT 1;\nCREATE TABLE a (\n  -- agentdb: allow json-not-jsonb order counts\n  x json)"
    )
    assert found(inside) == []


def test_allow_needs_a_reason_and_a_rule() -> None:
    assert found("SELECT 1;\n-- agentdb: allow drop-table\nDROP TABLE a") == [
        "allow-without-reason", "drop-table"
    ]  # fmt: skip
    assert found("-- agentdb: allow\nSELECT 1") == ["allow-unknown-rule"]
    sources = [script("x.sql", "-- agentdb: allow drop-tabel old\nDROP TABLE a")]
    first, second = check.check(sources, chosen((), ()), {})
    assert first.reason == "there is no rule 'drop-tabel'; did you mean 'drop-table'?"
    assert second.rule.name == "drop-table"


def test_allow_in_a_string_or_block_comment_is_none() -> None:
    text = "/* -- agentdb: allow drop-table x */ SELECT '-- agentdb: allow drop-table x';"
    assert found(f"{text} DROP TABLE a") == ["drop-table"]


# --- Findings ------------------------------------------------------------------


def test_a_finding_says_where() -> None:
    text = "-- é\nSELECT 'ö';  ALTER TABLE t\n    ADD COLUMN a int,\n    DROP COLUMN b;\n"
    (finding,) = check.check([script("001_x.sql", text)], chosen((), ()), {})
    assert (finding.line, finding.column) == (4, 5)
    assert finding.statement == "ALTER TABLE t ADD COLUMN a int, DROP COLUMN b"


def test_a_long_statement_is_shortened() -> None:
    text = f"DROP TABLE {', '.join(f'table_{i}' for i in range(99))}"
    (finding,) = check.check([script("001_x.sql", text)], chosen((), ()), {})
    assert len(finding.statement) <= 100
    assert finding.statement.endswith("…")


def test_choice_of_rules() -> None:
    assert [r.name for r in chosen(["truncate", "cascade"], ["cascade"])] == ["truncate"]
    with pytest.raises(SettingsError, match="there is no rule 'trunkate'; did you mean 'truncate'"):
        chosen(["trunkate"], [])
    with pytest.raises(SettingsError, match="leave no rule"):
        chosen(["truncate"], ["truncate"])


def test_a_script_of_data_is_refused() -> None:
    text = "SELECT 1;" + " " * check.LARGEST
    with pytest.raises(MigrationError, match="too large to read: 1,000,009 characters"):
        check.check([script("001_x.sql", text)], chosen((), ()), {})


# --- Tokens ---------------------------------------------------------------------


@pytest.mark.parametrize("pack", ["agentdb", "gathering", "project-2501"])
def test_tokens_stay_within_the_statements_of_the_lexer(pack: str) -> None:
    for path in sorted(packs.load(pack).directory.glob("*.sql")):
        script = statements.parse(path.read_text())
        spans = [(s.start, s.end) for s in script.statements]
        for token in tokenize(script.text):
            if token.kind is Kind.comment:
                continue
            around = [end for start, end in spans if start <= token.start < end]
            assert token.end <= around[0] if around else token.value == ";", (path, token)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.\"B\"\"c\" 'it''s'", ["a", ".", 'B"c', "it's"]),
        ("E'a\\'b' x", ["a\\'b", "x"]),
        ("$$a$$ $x$b $$ c$x$", ["a", "b $$ c"]),
        ("/* a /* b */ c */ d -- e\nF", ["d", "-- e", "f"]),
        (":x ::int :'y' a[1:2]", ["x", "::", "int", "y", "a", "[", "1", "2", "]"]),
        ("größe É日本$1", ["größe", "É日本$1"]),
        ("1.5e3 1_000", ["1.5e3", "1_000"]),
        ("U&\"a\" b'01'", ["a", "01"]),
    ],
)
def test_values_of_tokens(text: str, values: list[str]) -> None:
    assert [token.value for token in tokenize(text)] == values
