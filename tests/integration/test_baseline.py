"""agentdb migrate baseline: databases that were migrated by other means."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SERVERS, Database, Result

from agentdb_cli import packs
from agentdb_cli.migrations import files
from agentdb_cli.postgres.embedded.binaries import embedded

Cli = Callable[..., Result]

PROJECT = packs.load("project-2501").directory


@pytest.fixture
def scratch_server(cli: Cli, servers: object) -> None:
    """The suite's PostgreSQL 18 stands in for the user's embedded server."""
    Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{SERVERS / "pg18"}"\n')


def by_hand(database: Database, directory: Path, last: int) -> None:
    """Run psql -f with each file up to a number, in order."""
    for file in files.read(directory).files:
        if file.version <= last:
            subprocess.run(
                [embedded().program("psql"), "-qX", database.url, "-v", "ON_ERROR_STOP=1",
                 "-v", "embedding_dimensions=1536", "-f", file.path],
                check=True,
                capture_output=True,
            )  # fmt: skip


@pytest.mark.usefixtures("scratch_server")
class TestDetect:
    @pytest.mark.parametrize("last", range(9))
    def test_a_database_made_with_psql_is_recognised_at_each_number(
        self, cli: Cli, database18: Database, last: int
    ) -> None:
        by_hand(database18, PROJECT, last)
        args = ("--pack", "project-2501", "-d", database18.url)
        result = cli("migrate", "baseline", "--detect", *args)
        assert result.code == 0, result.err
        assert f"{last + 1} recorded as applied, database " in result.out
        assert database18.value("SELECT max(version) FROM agentdb_migrations") == last

        assert cli("migrate", *args).code == 0
        assert cli("migrate", "status", "--check", *args).code == 0
        assert cli("packs", "diff", "--check", *args).code == 0

    def test_dry_run_records_nothing(self, cli: Cli, database18: Database) -> None:
        by_hand(database18, PROJECT, 2)
        args = ("--pack", "project-2501", "-d", database18.url)
        result = cli("migrate", "baseline", "--detect", "--dry-run", *args)
        assert result.out.splitlines()[:3] == [
            "would record  000_initial_schema",
            "would record  001_add_thinking_and_persona_relationship",
            "would record  002_fix_message_cascade_delete",
        ]
        assert database18.value("SELECT to_regclass('agentdb_migrations')") is None

    def test_a_migration_that_is_there_in_part_is_an_error(
        self, cli: Cli, database18: Database
    ) -> None:
        by_hand(database18, PROJECT, 8)
        database18.execute("DROP INDEX ix_conversation_memory_first_message_id")
        args = ("--pack", "project-2501", "-d", database18.url, "-q")
        result = cli("migrate", "baseline", "--detect", *args)
        assert result.code == 1
        assert result.err.startswith("error: 008_add_first_message_id is there in part: ")
        assert (
            "\n  index conversation_memory.ix_conversation_memory_first_message_id\n" in result.err
        )
        assert database18.value("SELECT to_regclass('agentdb_migrations')") is None

    def test_a_database_without_a_trace(self, cli: Cli, database18: Database) -> None:
        args = ("--pack", "gathering", "-d", database18.url, "-q")
        assert cli("migrate", "baseline", "--detect", *args) == Result(
            1,
            "",
            "error: the database shows no trace of the migrations in "
            f"{packs.load('gathering').directory}\n"
            "hint: check --pack, --dir, --schema and the variables (agentdb config show)\n",
        )

    def test_a_database_that_alembic_made(self, cli: Cli, database18: Database) -> None:
        database18.execute(
            "CREATE EXTENSION vector;"
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));"
            "INSERT INTO alembic_version VALUES ('0001');"
            "CREATE TABLE knowledge_base (id UUID NOT NULL, domain VARCHAR(50) NOT NULL,"
            " question TEXT NOT NULL, answer TEXT NOT NULL, embedding VECTOR(1536),"
            " created_at TIMESTAMP WITHOUT TIME ZONE, PRIMARY KEY (id));"
            "CREATE INDEX idx_embedding ON knowledge_base USING ivfflat (embedding)"
            " WITH (lists = 100);"
        )
        args = ("--pack", "automagik", "-d", database18.url)
        result = cli("migrate", "baseline", "--detect", *args)
        assert result.code == 0, result.err
        assert result.out.splitlines()[:2] == [
            "recorded  001_knowledge_base",
            "recorded  006_vector",
        ]
        assert cli("migrate", "--out-of-order", *args).code == 0
        assert cli("migrate", "status", "--check", *args).code == 0


class TestByNumber:
    def test_files_up_to_a_number_are_recorded_without_being_run(
        self, cli: Cli, database: Database, tmp_path: Path
    ) -> None:
        for number in (1, 2, 3):
            (tmp_path / f"{number}_x.sql").write_text(f"CREATE TABLE t{number} ();")
        args = ("-d", database.url, "--dir", tmp_path)
        result = cli("migrate", "baseline", 2, *args)
        assert result.out.splitlines()[:2] == ["recorded  1_x", "recorded  2_x"]
        assert cli("migrate", "baseline", 2, *args).out.startswith("nothing to record, ")
        assert cli("migrate", *args).code == 0
        assert database.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^t\\d'") == [
            ("t3",)
        ]

    def test_no_such_number(self, cli: Cli, database18: Database, tmp_path: Path) -> None:
        (tmp_path / "1_x.sql").write_text("SELECT 1;")
        result = cli("migrate", "baseline", 7, "-d", database18.url, "--dir", tmp_path)
        assert result == Result(1, "", f"error: there is no migration 7 in {tmp_path}\n")

    def test_neither_number_nor_detect(self, cli: Cli) -> None:
        assert cli("migrate", "baseline") == Result(
            2,
            "",
            "error: baseline wants either a version or --detect\n"
            "hint: for example agentdb migrate baseline 8\n",
        )
