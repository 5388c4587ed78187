"""agentdb init --discover: which pack a live database is, or what an unknown one holds."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SERVERS, Database, Result

from agentdb_cli import packs

Cli = Callable[..., Result]

SCHEMAS = Path(__file__).parents[1] / "documents" / "schemas"


@pytest.fixture(autouse=True)
def scratch_server(servers: object, clean_environment: pytest.MonkeyPatch) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    data = SERVERS / "pg18"
    Path("scratch.toml").write_text(f'[server]\ndata_dir = "{data}"\n')
    Path("agentdb.toml").symlink_to("scratch.toml")


def discovered(cli: Cli, database: Database, *arguments: str) -> dict[str, object]:
    result = cli("init", "--discover", "--dry-run", "-q", "-d", database.url, *arguments)
    assert (result.code, result.err) == (0, "")
    content = tomllib.loads(result.out)
    assert content.pop("url") == database.url
    return content


@pytest.mark.parametrize("name", packs.names())
def test_a_migrated_database_is_recognised(cli: Cli, database18: Database, name: str) -> None:
    assert cli("migrate", "--pack", name, "-d", database18.url).code == 0
    assert discovered(cli, database18)["pack"] == name


@pytest.mark.parametrize("name", sorted(path.stem for path in SCHEMAS.glob("*.sql")))
def test_a_copy_of_a_documents_schema_is_recognised(
    cli: Cli, database18: Database, name: str
) -> None:
    database18.execute((SCHEMAS / f"{name}.sql").read_text())
    assert discovered(cli, database18)["pack"] == name


def test_every_reference_system_has_its_schema_here() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.sql")} == set(packs.names()) - {"agentdb"}


def test_the_schema_and_the_dimensions_are_found(cli: Cli, database18: Database) -> None:
    args = ("--pack", "openagent", "--schema", "chat", "-d", database18.url)
    Path("agentdb.toml").unlink()
    Path("agentdb.toml").write_text(
        Path("scratch.toml").read_text() + "[variables]\nembedding_dimensions = 384\n"
    )
    assert cli("migrate", *args).code == 0
    assert discovered(cli, database18) == {
        "pack": "openagent",
        "schema": "chat",
        "variables": {"embedding_dimensions": 384},
    }


def test_the_file_is_written_and_in_force(cli: Cli, database18: Database) -> None:
    cli("migrate", "--pack", "openagent", "-d", database18.url)
    assert cli("init", "--discover", "--force", "-d", database18.url).code == 0
    assert cli("migrate").out.startswith("nothing pending, 4 files, ")


UNKNOWN = """
CREATE EXTENSION vector;
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE docs (doc_id bigint PRIMARY KEY, title text, chunk text, metadata jsonb,
                   emb vector(768), owner_id int REFERENCES owners);
CREATE INDEX ON docs USING hnsw (emb vector_l2_ops);
CREATE TABLE request_log (id bigserial, created_at timestamptz, path text);
CREATE TABLE orders (id bigserial, created_at timestamptz);
CREATE SCHEMA ops;
CREATE TABLE ops.worker_heartbeats (worker_id text, ts timestamptz);
CREATE TABLE ops.metrics (metric text, value float8, ts timestamptz);
"""


def test_an_unknown_database_gets_proposals_and_no_pack(cli: Cli, database18: Database) -> None:
    database18.execute(UNKNOWN)
    off = {"days": 30, "enabled": False}
    assert discovered(cli, database18) == {
        "migrations": {"dir": "migrations"},
        "retention": {
            "request_log": {"time_column": "created_at", **off},
            "ops.worker_heartbeats": {"time_column": "ts", **off},
            "ops.metrics": {"time_column": "ts", **off},
        },
        "collections": {
            "docs": {
                "table": "docs",
                "key": "doc_id",
                "embedding": "emb",
                "text": "chunk",
                "distance": "l2",
                "metadata": "metadata",
                "filters": ["owner_id"],
            }
        },
        "heartbeats": {
            "table": "ops.worker_heartbeats",
            "agent_column": "worker_id",
            "time_column": "ts",
        },
        "metrics": {
            "table": "ops.metrics",
            "name_column": "metric",
            "value_column": "value",
            "time_column": "ts",
        },
    }


def test_no_pack_is_ever_migrated_into_an_unknown_database(cli: Cli, database18: Database) -> None:
    database18.execute(UNKNOWN)
    assert cli("init", "--discover", "--force", "-d", database18.url).code == 0
    result = cli("migrate")
    assert result.code == 1
    assert result.err.startswith("error: there is no directory ")


def test_an_empty_database(cli: Cli, database: Database) -> None:
    assert discovered(cli, database) == {"migrations": {"dir": "migrations"}}


def test_a_server_without_pgvector(cli: Cli, database15: Database) -> None:
    args = ("--pack", "gathering", "--skip-unavailable", "-d", database15.url)
    assert cli("migrate", *args).code == 0
    assert discovered(cli, database15) == {"pack": "gathering"}


OPENAGENT = """
[storage]
backend = "postgres"

[storage.postgres]
url = "{url}"
max_connections = 10
connect_timeout_secs = 30
enable_pgvector = true
vector_dimensions = 768
ssl_mode = "prefer"
"""


def test_openagents_own_settings_file_is_understood(cli: Cli, database18: Database) -> None:
    Path("openagent.toml").write_text(OPENAGENT.format(url=database18.url))
    assert cli("migrate", "--config", "openagent.toml").out.splitlines()[0].startswith("applied")
    assert database18.value(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'memories'::regclass AND attname = 'embedding'"
    ) == "vector(768)"  # fmt: skip


def test_openagents_file_without_postgres(cli: Cli) -> None:
    Path("openagent.toml").write_text('[storage]\nbackend = "sqlite"\n')
    assert cli("migrate", "--config", "openagent.toml") == Result(
        2,
        "",
        "error: openagent.toml is OpenAgent's settings file, but has no [storage.postgres]\n"
        "hint: agentdb administers its PostgreSQL storage only\n",
    )
