"""The packs: what `agentdb packs` shows of them, and that a database is what its pack says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SERVERS, Database, Result

from agentdb_cli import packs
from agentdb_cli.postgres.catalog import Catalog, snapshot
from generator import fill

Cli = Callable[..., Result]

MOVABLE = [name for name in packs.names() if packs.load(name).movable]
FIXED = [name for name in packs.names() if not packs.load(name).movable]


@pytest.fixture(autouse=True)
def scratch_server(servers: object, clean_environment: pytest.MonkeyPatch) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')


def migrate(cli: Cli, database: Database, pack: str, *arguments: str) -> None:
    """Apply all of a pack that the server can have."""
    given = ("--skip-unavailable", "-q", *arguments)
    result = cli("migrate", "-d", database.url, "--pack", pack, *given)
    assert result.code == 0, result.err


def catalog(database: Database) -> Catalog:
    return snapshot(database.connection, ignore=["public.agentdb_migrations"])


class TestShowing:
    def test_list(self, cli: Cli) -> None:
        result = cli("packs", "list")
        assert (result.code, result.err) == (0, "")
        header, _, *rows = result.out.splitlines()
        assert header.split() == ["pack", "migrations", "title"]
        assert [row.split(maxsplit=2) for row in rows] == [
            [name, str(count), packs.load(name).title]
            for name, count in (
                ("agentdb", 15),
                ("automagik", 6),
                ("background-agents", 4),
                ("gathering", 9),
                ("openagent", 4),
                ("project-2501", 9),
            )
        ]

    def test_list_in_json(self, cli: Cli) -> None:
        rows = json.loads(cli("packs", "list", "-f", "json").out)
        assert [list(row) for row in rows] == [["pack", "migrations", "title"]] * 6
        assert rows[4] == {
            "pack": "openagent",
            "migrations": 4,
            "title": "OpenAgent: conversations, messages and memories with embeddings",
        }

    def test_show(self, cli: Cli) -> None:
        assert cli("packs", "show", "openagent") == Result(
            0,
            "openagent: OpenAgent: conversations, messages and memories with embeddings\n"
            "\n"
            "The PostgreSQL tables of OpenAgent: conversations, messages, memories with embeddings "
            "and their vector index, and the users that its document names.\n"
            "\n"
            "Migrations:\n"
            "  001_conversations\n"
            "  002_memories\n"
            "  003_users\n"
            "  004_vector\n"
            "\n"
            "Variables:\n"
            "  embedding_dimensions = 1536\n"
            "\n"
            "Collections:\n"
            "  memories: memories.embedding, cosine\n"
            "\n"
            "Retention:\n"
            "  none\n",
            "",
        )

    def test_show_in_json(self, cli: Cli) -> None:
        assert json.loads(cli("packs", "show", "background-agents", "-f", "json").out) == {
            "pack": "background-agents",
            "title": "Background Agents: shared state and monitoring of agents that run in the "
            "background",
            "description": "The nine tables of the Background Agents system with their indexes, "
            "the materialized view agent_health_summary and the role bg_agents_user: register, "
            "heartbeats, metrics, events, help desk, messages and LLM calls.",
            "directory": str(packs.load("background-agents").directory),
            "migrations": [
                "001_agents",
                "002_help",
                "003_health_summary",
                "004_bg_agents_user",
            ],
            "variables": {},
            "collections": {},
            "retention": {
                "agent_heartbeats": "30 days by timestamp",
                "performance_metrics": "30 days by timestamp",
                "system_events": "30 days by timestamp",
            },
        }

    def test_without_a_name_the_pack_in_use_is_shown(self, cli: Cli) -> None:
        assert cli("packs", "show").out.startswith("agentdb: The union of five ")
        assert cli("packs", "show", "--pack", "gathering").out.startswith("gathering: GatheRing")

    @pytest.mark.parametrize("command", ["show", "diff"])
    def test_an_unknown_name(self, cli: Cli, command: str) -> None:
        assert cli("packs", command, "opnagent") == Result(
            2,
            "",
            "error: there is no pack 'opnagent'; did you mean 'openagent'?\n"
            "hint: packs: agentdb, automagik, background-agents, gathering, openagent, "
            "project-2501\n",
        )


class TestDiff:
    @pytest.mark.parametrize("pack", packs.names())
    def test_a_migrated_database_does_not_differ(
        self, cli: Cli, database: Database, pack: str
    ) -> None:
        migrate(cli, database, pack)
        result = cli("packs", "diff", pack, "-d", database.url, "--check", "-f", "json")
        assert result == Result(0, "[]\n", "no difference\n")

    def test_an_empty_database_lacks_everything(self, cli: Cli, database: Database) -> None:
        result = cli("packs", "diff", "background-agents", "-d", database.url, "-f", "csv")
        assert result == Result(
            0,
            "change,kind,object,expected,actual\n"
            "missing,table,agent_communications,table,\n"
            "missing,table,agent_health_summary,materialized view,\n"
            "missing,table,agent_heartbeats,table,\n"
            "missing,table,agents,table,\n"
            "missing,table,help_requests,table,\n"
            "missing,table,help_responses,table,\n"
            "missing,table,llm_conversations,table,\n"
            "missing,table,performance_metrics,table,\n"
            "missing,table,system_events,table,\n"
            "missing,table,system_state,table,\n",
            "10 differences from pack background-agents\n",
        )

    def test_drift_is_found(self, cli: Cli, database: Database) -> None:
        migrate(cli, database, "background-agents")
        database.connection.execute("""
            DROP INDEX idx_heartbeats_timestamp;
            ALTER TABLE agents ADD COLUMN nickname text;
            ALTER TABLE agents ALTER COLUMN state DROP NOT NULL;
            ALTER TABLE help_requests ALTER COLUMN content TYPE varchar(500);
            ALTER TABLE help_responses DROP CONSTRAINT help_responses_request_id_fkey;
            ALTER TABLE system_events ALTER COLUMN severity SET DEFAULT 'DEBUG';
            DROP TABLE system_state;
            CREATE TABLE notes (id int PRIMARY KEY);
            CREATE INDEX by_age ON agents (created_at);
        """)
        diff = ("packs", "diff", "background-agents", "-d", database.url)
        result = cli(*diff, "--check", "-f", "json")
        assert (result.code, result.err) == (
            1,
            "error: 9 differences from pack background-agents\n",
        )
        found = [tuple(row.values()) for row in json.loads(result.out)]
        assert found == [
            ("extra", "table", "notes", None, "table"),
            ("missing", "table", "system_state", "table", None),
            ("extra", "column", "agents.nickname", None, "text"),
            (
                "different", "column", "agents.state",
                "character varying(50) not null", "character varying(50)",
            ),
            (
                "different", "column", "help_requests.content",
                "text not null", "character varying(500) not null",
            ),
            (
                "different", "column", "system_events.severity",
                "character varying(20) default 'INFO'::character varying",
                "character varying(20) default 'DEBUG'::character varying",
            ),
            (
                "missing", "index", "agent_heartbeats.idx_heartbeats_timestamp",
                'CREATE INDEX USING btree ("timestamp" DESC)', None,
            ),
            ("extra", "index", "agents.by_age", None, "CREATE INDEX USING btree (created_at)"),
            (
                "missing", "constraint", "help_responses.help_responses_request_id_fkey",
                "FOREIGN KEY (request_id) REFERENCES help_requests(request_id) ON DELETE CASCADE",
                None,
            ),
        ]  # fmt: skip

        fewer = cli(*diff, "--no-extra", "-f", "json")
        assert fewer.code == 0
        assert [tuple(row.values()) for row in json.loads(fewer.out)] == [
            row for row in found if row[0] != "extra"
        ]

    def test_the_table_for_people(self, cli: Cli, database: Database) -> None:
        migrate(cli, database, "openagent")
        database.execute("ALTER TABLE users DROP COLUMN display_name")
        result = cli("packs", "diff", "openagent", "-d", database.url)
        assert (result.code, result.err) == (0, "1 difference from pack openagent\n")
        header, _, row = result.out.splitlines()
        assert header.split() == ["change", "kind", "object", "expected", "actual"]
        assert row.split() == [
            "missing",
            "column",
            "users.display_name",
            "character",
            "varying(255)",
        ]

    def test_types_functions_and_triggers_are_compared_too(
        self, cli: Cli, database: Database
    ) -> None:
        migrate(cli, database, "agentdb")
        database.connection.execute("""
            DROP TRIGGER agents_touch_updated_at ON agent.agents;
            CREATE OR REPLACE FUNCTION core.touch_updated_at() RETURNS trigger LANGUAGE plpgsql
                AS 'BEGIN RETURN NEW; END';
            CREATE TYPE core.mood AS ENUM ('fine');
        """)
        rows = cli("packs", "diff", "-d", database.url, "-f", "plain").out.splitlines()
        assert [row.split("\t")[:3] for row in rows] == [
            ["extra", "type", "core.mood"],
            ["different", "function", "core.touch_updated_at()"],
            ["missing", "trigger", "agent.agents.agents_touch_updated_at"],
        ]

    def test_the_database_is_only_read(self, cli: Cli, database: Database) -> None:
        database.execute(
            "ALTER DATABASE test SET default_transaction_read_only = on",
        )
        assert cli("packs", "diff", "-d", database.url, "-q").code == 0
        assert database.value("SELECT count(*) FROM pg_class WHERE oid >= 16384") == 0


class TestDown:
    @pytest.mark.parametrize("pack", packs.names())
    def test_down_to_zero_leaves_nothing_and_up_again_gives_the_same(
        self, cli: Cli, database: Database, pack: str
    ) -> None:
        migrate(cli, database, pack)
        before = catalog(database)
        assert before
        down_to_zero(database, pack)
        assert catalog(database) == {}
        # Extensions and roles stay, as the files say: others may use them.
        assert database.execute(LEFT_OVER) == []
        migrate(cli, database, pack)
        assert catalog(database) == before
        fill(database.connection, 50)  # rows are no obstacle
        down_to_zero(database, pack)
        assert catalog(database) == {}


def down_to_zero(database: Database, pack: str) -> None:
    """Undo what is applied, the latest first, and forget it."""
    applied = database.execute("SELECT version FROM agentdb_migrations ORDER BY version DESC")
    for (version,) in applied:
        (path,) = packs.load(pack).directory.glob(f"{version:03}_*.down.sql")
        database.connection.execute(path.read_text())
    database.execute("DROP TABLE agentdb_migrations")


# What a catalog does not show: sequences, schemas, default privileges.
LEFT_OVER = """
SELECT relname::text FROM pg_class
WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
UNION ALL SELECT nspname FROM pg_namespace WHERE oid >= 16384
UNION ALL SELECT 'default privileges' FROM pg_default_acl
"""


class TestSchema:
    def test_packs_live_side_by_side_in_one_database(self, cli: Cli, database: Database) -> None:
        migrate(cli, database, "agentdb")
        for pack in MOVABLE:
            migrate(cli, database, pack, "--schema", f"of {pack}")
        for pack in MOVABLE:
            schema = ("--schema", f"of {pack}")
            result = cli("packs", "diff", pack, "-d", database.url, *schema, "-f", "json")
            assert result == Result(0, "[]\n", "no difference\n")
        # Of agentdb, which has schemas of its own, the others are what it does not have.
        result = cli("packs", "diff", "-d", database.url, "--no-extra", "-f", "json")
        assert result == Result(0, "[]\n", "no difference\n")
        tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = "
        assert database.execute(f"{tables} 'public'::regnamespace") == [("agentdb_migrations",)]
        assert database.execute(f"{tables} '\"of openagent\"'::regnamespace ORDER BY 1") == [
            ("agentdb_migrations",), ("conversations",), ("memories",), ("messages",), ("users",),
        ]  # fmt: skip

    @pytest.mark.parametrize("pack", MOVABLE)
    def test_extensions_go_to_public_for_all(
        self, cli: Cli, database18: Database, pack: str
    ) -> None:
        migrate(cli, database18, pack, "--schema", "first")
        assert database18.execute(
            "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
        ) == ([("public",)] if packs.load(pack).collections else [])

    @pytest.mark.parametrize("pack", MOVABLE)
    def test_a_moved_pack_also_comes_down(self, cli: Cli, database: Database, pack: str) -> None:
        migrate(cli, database, pack, "--schema", "moved")
        database.execute("SET search_path = moved, public")
        made = snapshot(database.connection, "moved", ignore=["moved.agentdb_migrations"])
        assert {key.schema for key in made} == {""}
        down_to_zero(database, pack)
        assert snapshot(database.connection) == {}

    @pytest.mark.parametrize("pack", FIXED)
    @pytest.mark.parametrize("command", [("migrate", "--pack"), ("packs", "diff")])
    def test_a_pack_with_schemas_of_its_own_cannot_be_moved(
        self, cli: Cli, database18: Database, pack: str, command: tuple[str, ...]
    ) -> None:
        assert cli(*command, pack, "--schema", "mine", "-d", database18.url) == Result(
            2,
            "",
            f"error: pack {pack} has schemas of its own and cannot be put into 'mine'\n"
            "hint: leave out --schema\n",
        )


class TestFinerDrift:
    """What a list of tables and columns alone would not show."""

    CHANGES = (
        ("CREATE OR REPLACE VIEW telemetry.agent_health_summary AS SELECT agent_id,"
         " 0::bigint AS heartbeat_count, now() AS last_heartbeat, 0::numeric AS avg_cpu"
         " FROM telemetry.heartbeats", "view", "telemetry.agent_health_summary"),
        ("ALTER DOMAIN core.label DROP CONSTRAINT label_length", "type", "core.label"),
        ("ALTER TABLE memory.memories DISABLE TRIGGER memories_touch_updated_at",
         "trigger", "memory.memories.memories_touch_updated_at"),
        ("ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY", "table", "auth.users"),
        ("CREATE POLICY everybody ON auth.users USING (true)", "policy", "auth.users.everybody"),
        ("CREATE SEQUENCE help.tickets", "sequence", "help.tickets"),
        ("CREATE FUNCTION help.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function", "help.f()"),
    )  # fmt: skip

    @pytest.mark.parametrize(("change", "kind", "name"), CHANGES)
    def test_it_is_found(
        self, cli: Cli, database18: Database, change: str, kind: str, name: str
    ) -> None:
        assert cli("migrate", "-d", database18.url, "-q").code == 0
        database18.execute(change)
        result = cli("packs", "diff", "-d", database18.url, "-f", "json", "-q")
        assert [(row["kind"], row["object"]) for row in json.loads(result.out)] == [(kind, name)]

    def test_another_schema_is_somebody_elses_affair(self, cli: Cli, database18: Database) -> None:
        assert cli("migrate", "-d", database18.url, "-q").code == 0
        database18.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders (); CREATE TABLE t ()")
        assert cli("packs", "diff", "--check", "-d", database18.url).code == 0
