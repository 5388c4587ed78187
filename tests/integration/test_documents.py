"""The SQL of the five documents, run on the packs that were made after them.

`tests/documents/<pack>.sql` holds what each document has people run, word for
word and in its order. A heading opens what stands together in one place:

    -- # Common Issues / Performance Degradation
    -- adapted                 not SQL in the document: what its code has to send
    -- outside-transaction     runs in none; all others run in one that is rolled back

and each statement may be preceded by

    -- expect: rows            it returns or changes some
    -- expect: counts          it returns rows whose last column is above zero
    -- expect: notice TEXT     the server says so
    -- expect-error: STATE     it cannot work; the reason follows
    -- instead: WHY            not in the document: what works instead of the statement before
    -- parameters: 'a', 1      for $1 or %s; `embedding` stands for one
    -- needs: EXTENSION        left out where the server does not have it

`tests/documents/schemas` holds the tables that the documents show.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from conftest import IN_CI, Database, Result
from psycopg import sql

from agentdb_cli import packs
from agentdb_cli.migrations import statements
from agentdb_cli.postgres.catalog import Change, compare, snapshot
from generator import VECTOR_ROWS, fill

Cli = Callable[..., Result]

ROOT = Path(__file__).resolve().parents[2]
COPIES = ROOT / "tests" / "documents"
DOCUMENTS = ROOT.parent / "shared" / "reference"

ROWS = 1_000
EMBEDDING = str([1 / math.sqrt(1536)] * 1536)

# The database of each document, called as there.
DATABASES = {
    "automagik": "ai",
    "background-agents": "background_agents",
    "gathering": "gathering",
    "openagent": "openagent",
    "project-2501": "project2501",
}

# What has gone on in a database before the statements are run.
HISTORY = {
    "background-agents": (
        "REFRESH MATERIALIZED VIEW agent_health_summary",
        "UPDATE agents SET updated_at = now() WHERE agent_id LIKE '%monitor'",
    ),
}


# --- The copies --------------------------------------------------------------------


@dataclass(frozen=True)
class Statement:
    """One statement of a document, with what is said of it above."""

    text: str
    notes: dict[str, str]

    @property
    def parameters(self) -> list[object]:
        return eval(f"[{self.notes.get('parameters', '')}]", {"embedding": EMBEDDING})


@dataclass(frozen=True)
class Block:
    """What stands together in one place of a document."""

    pack: str
    heading: str
    flags: set[str] = field(default_factory=set)
    statements: list[Statement] = field(default_factory=list)


def blocks(pack: str) -> list[Block]:
    text = (COPIES / f"{pack}.sql").read_text()
    found: list[Block] = []
    position = 0
    for statement in statements.parse(text).statements:
        comments = text[position : statement.start]
        position = statement.end
        if heading := re.search(r"^-- # (.+)$", comments, re.MULTILINE):
            flags = re.findall(r"^-- (adapted|outside-transaction)$", comments, re.MULTILINE)
            found.append(Block(pack, heading[1], set(flags)))
        notes = re.findall(
            r"^-- (expect|expect-error|instead|parameters|needs): (.+)$", comments, re.MULTILINE
        )
        found[-1].statements.append(Statement(statement.text, dict(notes)))
    return found


BLOCKS = [block for pack in DATABASES for block in blocks(pack)]
BLOCKS.sort(key=lambda block: "outside-transaction" in block.flags)  # not rolled back, so last


# --- The databases -----------------------------------------------------------------


Urls = dict[tuple[str, str], str]
Filled = Callable[[str, str], str]


@pytest.fixture(scope="module")
def urls() -> Iterator[Urls]:
    """The databases made so far, by pack and server; dropped at the end."""
    made: Urls = {}
    yield made
    for (pack, _), url in made.items():
        name = sql.Identifier(_name(pack))
        with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE {}").format(name))
            server.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture
def filled(
    request: pytest.FixtureRequest, cli: Cli, servers: dict[str, object], urls: Urls
) -> Filled:
    """Makes a database called as in the document, with a pack and rows in it; gives its URL."""

    def make(pack: str, major: str) -> str:
        if (pack, major) not in urls:
            if major not in servers:
                if IN_CI:
                    pytest.fail(f"PostgreSQL {major} must be installed in CI")
                pytest.skip(f"no PostgreSQL {major} on this machine")
            server = request.getfixturevalue(f"server{major}")
            place = f"host={server.host}&port={server.port}"
            url = f"postgresql://postgres@/{_name(pack)}?{place}"
            _create(pack, url)
            urls[pack, major] = url
            result = cli("migrate", "-d", url, "--pack", pack, "--skip-unavailable", "-q")
            assert result.code == 0, result.err
            _fill(pack, url)
        return urls[pack, major]

    return make


def _name(pack: str) -> str:
    """Of the database, and of the role that owns it."""
    return DATABASES.get(pack, pack)


def _create(pack: str, url: str) -> None:
    name = sql.Identifier(_name(pack))
    with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
        server.execute(sql.SQL("CREATE ROLE {}").format(name))
        server.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))


def _fill(pack: str, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection, ROWS)
        for extension in _needed(pack) & _available(connection):
            connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        for statement in HISTORY.get(pack, ()):
            connection.execute(statement)


def _needed(pack: str) -> set[str]:
    said = [
        s.notes.get("needs") for block in BLOCKS if block.pack == pack for s in block.statements
    ]
    return {extension for extension in said if extension}


def _available(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM pg_available_extensions")}


# --- What the documents have people run --------------------------------------------


def _cases() -> list[object]:
    """Every block on each server; but not where all of it needs pgvector, which only 18 has."""
    return [
        pytest.param(block, major, id=f"{block.pack}: {block.heading} ({major})")
        for block in BLOCKS
        for major in ("18", "15")
        if major == "18" or any(s.notes.get("needs") != "vector" for s in block.statements)
    ]


@pytest.mark.parametrize(("block", "major"), _cases())
def test_the_documents_statements_do_what_they_are_for(
    block: Block, major: str, filled: Filled
) -> None:
    with psycopg.connect(filled(block.pack, major), autocommit=True) as connection:
        available = {None, *_available(connection)}
        possible = [s for s in block.statements if s.notes.get("needs") in available]
        assert possible
        said: list[str] = []
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        alone = "outside-transaction" in block.flags
        with nullcontext() if alone else connection.transaction(force_rollback=True):
            for statement in possible:
                savepoint = nullcontext() if alone else connection.transaction()
                if "expect-error" in statement.notes:
                    _check_refused(connection, statement, savepoint)
                else:
                    _check(connection, statement, said)


def _check(connection: psycopg.Connection, statement: Statement, said: list[str]) -> None:
    cursor = _execute(connection, statement)
    rows = cursor.fetchall() if cursor.description else []
    expected, _, text = statement.notes.get("expect", "").partition(" ")
    if expected == "counts":
        assert rows
        assert all(row[-1] > 0 for row in rows), rows
    elif expected == "notice":
        assert text in said
    elif expected == "rows" and statement.text.startswith("EXPLAIN"):
        assert re.search(r"actual time\S+ rows=[1-9]", rows[0][0]), rows[0][0]
    elif expected == "rows":
        assert cursor.rowcount > 0, statement.text


def _check_refused(
    connection: psycopg.Connection, statement: Statement, savepoint: AbstractContextManager[object]
) -> None:
    state = statement.notes["expect-error"].split()[0]
    with pytest.raises(psycopg.Error) as refused, savepoint:
        _execute(connection, statement)
    assert refused.value.sqlstate == state, refused.value


def _execute(connection: psycopg.Connection, statement: Statement) -> psycopg.Cursor:
    """As the document's driver does: asyncpg numbers the parameters, psycopg writes %s."""
    numbered = "$1" in statement.text
    cursor = (psycopg.RawCursor if numbered else psycopg.Cursor)(connection)
    return cursor.execute(statement.text.encode(), statement.parameters or None)


@pytest.mark.parametrize("pack", packs.names())
def test_every_statement_of_the_workload_finds_rows(pack: str, filled: Filled) -> None:
    with psycopg.connect(filled(pack, "18")) as connection:
        for name, statement in packs.load(pack).content["workload"].items():
            assert connection.execute(statement).rowcount > 0, name


def test_the_agents_role_may_do_what_agents_do(filled: Filled) -> None:
    with psycopg.connect(filled("background-agents", "18")) as connection:
        connection.execute("SET ROLE bg_agents_user")
        connection.execute("INSERT INTO agents (agent_id, state) VALUES ('new', 'running')")
        connection.execute("UPDATE agents SET state = 'stopped' WHERE agent_id = 'new'")
        connection.execute(
            "INSERT INTO agent_heartbeats (agent_id, timestamp) VALUES ('new', now())"
        )
        connection.execute("DELETE FROM agents WHERE agent_id = 'new'")
        connection.execute("SELECT FROM agent_health_summary")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE system_events")
        connection.rollback()


# --- The tables that the documents show ---------------------------------------------

# Where a pack departs from its document, as the head of its pack.toml says.
DEPARTURES = {
    "automagik": [("missing", "alembic_version", "table", None)],  # of a tool that is not used
    "gathering": [
        (
            "different",
            "memory.memories.idx_memories_embedding",
            "CREATE INDEX USING ivfflat (embedding vector_cosine_ops) WITH (lists='100')",
            "CREATE INDEX USING hnsw (embedding vector_cosine_ops) "
            "WITH (m='16', ef_construction='64')",
        ),
        (
            "different",
            "agent_status",
            "enum ('idle', 'active')",
            "enum ('idle', 'active', 'busy', 'paused', 'offline', 'error')",
        ),
        (
            "different",
            "circle_status",
            "enum ('created')",
            "enum ('created', 'active', 'paused', 'stopped', 'archived')",
        ),
        (
            "different",
            "memory_scope",
            "enum ('agent')",
            "enum ('agent', 'circle', 'conversation', 'project', 'user', 'global')",
        ),
        (
            "different",
            "memory_type",
            "enum ('fact')",
            "enum ('fact', 'preference', 'event', 'decision', 'skill', 'summary')",
        ),
    ],
}


@pytest.mark.parametrize("pack", DATABASES)
def test_the_pack_has_the_tables_of_the_document(
    pack: str, filled: Filled, database18: Database
) -> None:
    database18.connection.execute((COPIES / "schemas" / f"{pack}.sql").read_text())
    with psycopg.connect(filled(pack, "18"), autocommit=True) as connection:
        differences = compare(snapshot(database18.connection), snapshot(connection))
    assert [
        (d.change.value, str(d.key), d.expected, d.actual)
        for d in differences
        if d.change is not Change.extra
    ] == DEPARTURES.get(pack, [])


# --- The copies against the documents ----------------------------------------------

needs_documents = pytest.mark.skipif(
    not DOCUMENTS.is_dir(), reason="the documents are not part of the repository"
)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _document(pack: str) -> str:
    return (DOCUMENTS / f"{pack}.md").read_text(errors="replace")


def _copied(pack: str) -> list[str]:
    found = [
        _on_one_line(statement.text)
        for block in blocks(pack)
        for statement in block.statements
        if "adapted" not in block.flags and "instead" not in statement.notes
    ]
    return sorted(found, key=len, reverse=True)


@needs_documents
@pytest.mark.parametrize("pack", DATABASES)
def test_the_copy_is_word_for_word(pack: str) -> None:
    document = _on_one_line(_document(pack))
    assert [text for text in _copied(pack) if text not in document] == []


@needs_documents
@pytest.mark.parametrize("pack", DATABASES)
def test_the_copy_is_complete(pack: str) -> None:
    copied = _copied(pack)
    verbs = "SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|VACUUM|ANALYZE|REINDEX|GRANT|ROLLBACK"
    for language, body in re.findall(r"```(\w+)\s(.*?)```", _document(pack), re.DOTALL):
        if language == "sql":
            left = _on_one_line(body)
            for text in copied:
                left = left.replace(f"{text};", "")
            *others, _ = left.split(";")
            assert [text for text in others if not re.search("CREATE (TABLE|INDEX)", text)] == []
        else:  # within Python, Rust and shell lines
            quoted = re.findall(rf"""(["'])((?:{verbs})\b.*?)\1""", body)
            bare = re.findall(rf"^((?:{verbs}) .*)$", body, re.MULTILINE)
            found = {text.rstrip("; ") for text in [*(text for _, text in quoted), *bare]}
            assert found <= set(copied)


# --- The rows ----------------------------------------------------------------------

ANYTHING = """
CREATE TYPE mood AS ENUM ('it''s fine', 'so\\so');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN less AS percent CHECK (VALUE < 50);
CREATE TABLE tenants (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" varchar(10) UNIQUE);
CREATE TABLE users (
    tenant_id int REFERENCES tenants, id bigserial, mood mood NOT NULL, share less NOT NULL,
    size smallint CHECK (size > 3 AND size <= 7), kind text CHECK (kind IN ('x', 'y')),
    tags text[], numbers int[] NOT NULL, data bytea, born date, nobody_knows int4range,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE documents (
    id uuid PRIMARY KEY, tenant_id int NOT NULL REFERENCES tenants, owner bigint NOT NULL,
    parent uuid REFERENCES documents, code char(8) NOT NULL, version int NOT NULL,
    "odd ""name" text, double int GENERATED ALWAYS AS (version * 2) STORED,
    started_at timestamp NOT NULL, ended_at timestamp CHECK (ended_at >= started_at),
    FOREIGN KEY (tenant_id, owner) REFERENCES users (tenant_id, id),
    UNIQUE (tenant_id, code, version)
);
CREATE TABLE nodes (
    id int PRIMARY KEY, up int NOT NULL REFERENCES nodes, tenant_id int REFERENCES tenants,
    upper int, UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, upper) REFERENCES nodes (tenant_id, id)
);
CREATE TABLE readings (
    at timestamptz, id bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE TABLE readings_default PARTITION OF readings DEFAULT;
CREATE TABLE once (document uuid PRIMARY KEY REFERENCES documents);
CREATE TABLE pairs (
    document uuid REFERENCES documents, tenant int REFERENCES tenants,
    PRIMARY KEY (document, tenant)
);
CREATE TABLE versions (
    tenant int REFERENCES tenants, is_active boolean NOT NULL,
    cron text, every interval, CHECK (num_nonnulls(cron, every) <= 1)
);
CREATE UNIQUE INDEX ON versions (tenant) WHERE is_active;
"""
ALL = ("documents", "nodes", "once", "pairs", "readings", "tenants", "users", "versions")


class TestGenerator:
    def test_it_fills_any_database(self, database: Database) -> None:
        database.connection.execute(ANYTHING)
        made = fill(database.connection, 300, rows_by_table={"public.tenants": 20})
        assert 280 < made.pop("public.pairs") <= 300  # without those that came out alike
        assert made.pop("public.tenants") == 20
        assert made == dict.fromkeys(
            (f"public.{table}" for table in ALL if table not in ("tenants", "pairs")), 300
        )
        assert database.value("SELECT nextval('users_id_seq')") == 301
        assert database.value("SELECT count(DISTINCT id) FROM readings") == 300
        assert database.value("SELECT count(parent) BETWEEN 100 AND 200 FROM documents")

    def test_the_same_seed_gives_the_same_rows(self, database: Database) -> None:
        database.connection.execute(ANYTHING)
        now = datetime(2026, 1, 1, tzinfo=UTC)

        def rows(seed: int, now: datetime = now) -> list[tuple]:
            database.execute(f"TRUNCATE {', '.join(ALL)}")
            fill(database.connection, 50, seed, now=now)
            return database.execute("SELECT * FROM documents JOIN users USING (tenant_id)")

        assert rows(1) == rows(1)
        assert rows(1) != rows(2)
        assert rows(1) != rows(1, datetime(2026, 1, 2, tzinfo=UTC))

    def test_a_part_refers_to_what_is_there(self, database: Database) -> None:
        database.connection.execute(
            "CREATE SCHEMA a; CREATE TABLE a.agents (id text PRIMARY KEY);"
            "CREATE SCHEMA b; CREATE TABLE b.calls (agent text NOT NULL REFERENCES a.agents);"
        )
        with pytest.raises(ValueError, match=r"^b\.calls needs a row of a\.agents, and there is"):
            fill(database.connection, 10, schemas=["b"])
        database.execute("INSERT INTO a.agents VALUES ('router')")
        assert fill(database.connection, 10, schemas=["b"]) == {"b.calls": 10}
        assert database.execute("SELECT DISTINCT agent FROM b.calls") == [("router",)]

    def test_what_it_does_not_understand_leaves_nothing_behind(self, database: Database) -> None:
        database.connection.execute(
            "CREATE TABLE a (n int); CREATE TABLE b (n int CHECK (n * n < 0))"
        )
        with pytest.raises(psycopg.errors.CheckViolation):
            fill(database.connection, 10)
        assert database.value("SELECT count(*) FROM a") == 0

    def test_times_texts_and_vectors_are_plausible(self, filled: Filled) -> None:
        with psycopg.connect(filled("agentdb", "18")) as connection:

            def value(statement: str) -> object:
                row = connection.execute(statement).fetchone()
                return row and row[0]

            last = "SELECT count(*) FROM telemetry.heartbeats WHERE occurred_at > now() - "
            assert value(f"{last} interval '60 days 1 hour'") == ROWS
            assert ROWS * 0.4 < value(f"{last} interval '7 days'") < ROWS * 0.6
            assert ROWS * 0.02 < value(f"{last} interval '5 minutes'") < ROWS * 0.05
            assert value(
                "SELECT count(*) FROM conversation.messages"
                " WHERE content_tsv @@ websearch_to_tsquery('english', 'deployment -failure')"
            )
            assert value("SELECT count(*) FROM memory.memories") == VECTOR_ROWS
            assert value(
                "SELECT bool_and(abs(vector_norm(embedding) - 1) < 0.001) FROM memory.memories"
            )
            # Clustered: the nearest neighbour is much nearer than the average of all.
            assert value(
                "SELECT min(d) < avg(d) / 3 FROM (SELECT a.embedding <=> b.embedding AS d"
                " FROM memory.memories a, memory.memories b WHERE a.id = (SELECT min(id::text)"
                " FROM memory.memories WHERE embedding IS NOT NULL)::uuid AND a.id <> b.id) AS all_"
            )
