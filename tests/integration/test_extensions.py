"""agentdb extensions: what is there, what is needed, enabling and upgrading."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

import clusters
import pytest
from conftest import IN_CI, Database, Result

from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster

Cli = Callable[..., Result]


def listed(cli: Cli, database: Database) -> dict[str, dict]:
    result = cli("extensions", "list", "-d", database.url, "-f", "json")
    assert (result.code, result.err) == (0, "")
    return {row["extension"]: row for row in json.loads(result.out)}


class TestList:
    def test_on_a_server_without_contrib(self, cli: Cli, database18: Database) -> None:
        database18.execute("CREATE EXTENSION vector")
        rows = listed(cli, database18)
        newest = database18.value(
            "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
        )
        assert rows["vector"] == {
            "extension": "vector",
            "state": "installed",
            "installed": newest,
            "available": newest,
            "newest": newest,
            "preload": "not needed",
            "needed_by": "inspect vector-columns, inspect vector-indexes",
            "get": "",
        }
        missing = rows["pg_stat_statements"]
        assert (missing["state"], missing["preload"]) == ("missing", "must be loaded")
        assert missing["get"].endswith("agentdb's own server comes without contrib")
        assert rows["plpgsql"]["needed_by"] == ""

    def test_on_a_server_without_pgvector(self, cli: Cli, database15: Database) -> None:
        database15.execute("CREATE EXTENSION pg_stat_statements VERSION '1.4'")
        rows = listed(cli, database15)
        assert rows["vector"]["state"] == "missing"
        assert "apt install postgresql-15-pgvector" in rows["vector"]["get"]
        assert rows["pg_trgm"]["state"] == "available"
        found = rows["pg_stat_statements"]
        assert (found["state"], found["installed"]) == ("outdated", "1.4")
        assert found["available"] == found["newest"] != "1.4"

    def test_in_csv_plain_and_as_a_table(self, cli: Cli, database18: Database) -> None:
        url = database18.url
        text = cli("extensions", "list", "-d", url, "-f", "csv").out
        assert [row["extension"] for row in csv.DictReader(io.StringIO(text))] == [
            *("vector", "pg_trgm", "pg_stat_statements", "pgstattuple", "plpgsql")
        ]
        plain = cli("extensions", "list", "-d", url, "-f", "plain").out
        assert plain.splitlines()[0].startswith("vector\tavailable\t")
        assert "needed by" in cli("extensions", "list", "-d", url).out.splitlines()[0]
        lines = cli("extensions", "list", "-d", url, "-f", "jsonl").out.splitlines()
        assert json.loads(lines[0])["extension"] == "vector"

    def test_what_a_role_may_not_see_is_said(self, cli: Cli, database18: Database) -> None:
        role = f"blind_{database18.connection.info.backend_pid}"
        database18.execute(f"CREATE ROLE {role} LOGIN")
        try:
            url = database18.url.replace("//postgres@", f"//{role}@")
            row = listed(cli, Database(database18.connection, url, 18))["pg_stat_statements"]
            assert row["preload"] == "not permitted: needs pg_read_all_settings"
        finally:
            database18.execute(f"DROP ROLE {role}")


class TestCheck:
    def test_needs_that_are_met(self, cli: Cli, database18: Database) -> None:
        database18.execute("CREATE EXTENSION vector")
        result = cli("extensions", "check", "vector", "-d", database18.url, "-f", "json")
        assert (result.code, result.err) == (0, "")
        assert [(row["command"], row["met"]) for row in json.loads(result.out)] == [
            ("inspect vector-columns", "yes"),
            ("inspect vector-indexes", "yes"),
        ]

    def test_needs_that_are_not(self, cli: Cli, database15: Database) -> None:
        result = cli("extensions", "check", "-d", database15.url, "-f", "json")
        assert result.code == 1
        assert result.err == (
            "error: 4 of 4 needs are not met: pgstattuple, vector, pg_stat_statements\n"
        )
        details = {row["command"]: row["detail"] for row in json.loads(result.out)}
        assert details["inspect bloat-exact"] == "agentdb extensions enable pgstattuple"
        database15.execute("CREATE EXTENSION pg_stat_statements")
        result = cli(
            "extensions", "check", "pg_stat_statements", "-d", database15.url, "-f", "json"
        )
        assert result.code == 1
        assert json.loads(result.out)[0]["detail"] == (
            "not preloaded; agentdb extensions enable pg_stat_statements"
        )

    def test_an_unknown_name(self, cli: Cli, database18: Database) -> None:
        result = cli("extensions", "check", "nonsense", "-d", database18.url)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: no agentdb command needs 'nonsense'\n")


class TestEnable:
    def test_one_that_is_available(self, cli: Cli, database18: Database) -> None:
        options = ("extensions", "enable", "vector", "-d", database18.url)
        dry = cli(*options, "--dry-run")
        assert (dry.code, dry.out) == (0, 'CREATE EXTENSION IF NOT EXISTS "vector";\n')
        assert not database18.execute("SELECT FROM pg_extension WHERE extname = 'vector'")
        unasked = cli(*options)
        assert (unasked.code, unasked.err.splitlines()[0]) == (2, "error: nobody can be asked here")
        assert cli(*options, "--yes").code == 0
        assert database18.execute("SELECT FROM pg_extension WHERE extname = 'vector'")
        again = cli(*options)
        assert (again.code, again.out[:13]) == (0, "nothing to do")

    def test_one_that_the_server_lacks(self, cli: Cli, database18: Database) -> None:
        result = cli("extensions", "enable", "pg_stat_statements", "-d", database18.url, "--yes")
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(
            "error: this server has no extension 'pg_stat_statements'; did you mean "
        ) or result.err.startswith("error: this server has no extension 'pg_stat_statements'\n")
        assert "agentdb's own server comes without contrib" in result.err

    def test_a_slip(self, cli: Cli, database18: Database) -> None:
        result = cli("extensions", "enable", "vectr", "-d", database18.url, "--yes")
        assert "no extension 'vectr'; did you mean 'vector'?" in result.err

    def test_one_that_needs_a_superuser(self, cli: Cli, database18: Database) -> None:
        role = f"plain_{database18.connection.info.backend_pid}"
        database18.execute(f"CREATE ROLE {role} LOGIN")
        try:
            url = database18.url.replace("//postgres@", f"//{role}@")
            result = cli("extensions", "enable", "vector", "-d", url, "--yes")
            assert result.code == 1
            assert result.err.startswith(f"error: {role} may not do that: permission denied")
        finally:
            database18.execute(f"DROP ROLE {role}")


@pytest.fixture
def own15(servers: dict[str, Binaries], request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A PostgreSQL 15 of the test's own, whose settings may be changed."""
    if "15" not in servers:
        if IN_CI:
            pytest.fail("PostgreSQL 15 must be installed in CI")
        pytest.skip("no PostgreSQL 15 on this machine")
    cluster = clusters.make(servers["15"], f"extensions-{request.node.name[-5:]}-")
    try:
        yield cluster
    finally:
        cluster.stop()


class TestPreload:
    def test_what_stands_there_is_kept(self, cli: Cli, own15: Cluster) -> None:
        database = clusters.opened(own15)
        with (own15.layout.data / "postgresql.conf").open("a") as stream:
            stream.write("shared_preload_libraries = 'nowhere'\n")  # overruled by ALTER SYSTEM
        database.execute(
            "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', '$libdir/passwordcheck'"
        )
        options = ("extensions", "enable", "pg_stat_statements", "-d", database.url)
        statement = (
            "ALTER SYSTEM SET shared_preload_libraries = "
            "'auto_explain', '$libdir/passwordcheck', 'pg_stat_statements'"
        )
        dry = cli(*options, "--dry-run")
        assert dry.out.splitlines()[0] == f"{statement};"
        done = cli(*options, "--yes")
        assert done.code == 0, done.err
        assert f"pg_ctl restart -D {own15.layout.data}" in done.err
        again = cli(*options)
        assert (again.code, again.out[:13]) == (0, "nothing to do")
        assert "from the next start of the server on" in again.err
        database.connection.close()
        own15.stop()
        database = clusters.opened(own15)
        assert database.value("SHOW shared_preload_libraries") == (
            'auto_explain, "$libdir/passwordcheck", pg_stat_statements'
        )
        assert database.value("SELECT count(*) FROM pg_stat_statements") is not None
        checked = cli("extensions", "check", "pg_stat_statements", "-d", database.url)
        assert checked.code == 0, checked.err
        assert listed(cli, database)["pg_stat_statements"]["preload"] == "loaded"
        last = cli(*options)
        assert (last.code, last.out[:13], last.err) == (0, "nothing to do", "")
        database.connection.close()

    def test_a_role_that_may_not(self, cli: Cli, own15: Cluster) -> None:
        database = clusters.opened(own15)
        rules = own15.layout.data / "pg_hba.conf"
        rules.write_text("local all all trust\n")
        database.execute("SELECT pg_reload_conf()")
        database.execute("CREATE ROLE tuner LOGIN IN ROLE pg_read_all_settings")
        url = database.url.replace("//postgres@", "//tuner@")
        options = ("extensions", "enable", "pg_stat_statements", "-d", url, "--yes")
        result = cli(*options)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith(
            "error: tuner may not read shared_preload_libraries from the server's files, "
            "and what stands there must not be lost\n"
        )
        database.execute("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO tuner")
        database.execute("GRANT SELECT ON pg_file_settings TO tuner")
        result = cli(*options)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: tuner may not change shared_preload_libraries\n")
        database.execute("GRANT ALTER SYSTEM ON PARAMETER shared_preload_libraries TO tuner")
        database.execute("CREATE EXTENSION pg_stat_statements")
        result = cli(*options)
        assert result.code == 0, result.err
        written = (own15.layout.data / "postgresql.auto.conf").read_text()
        assert "shared_preload_libraries = 'pg_stat_statements'" in written
        database.connection.close()


class TestUpgrade:
    def test_to_what_the_server_has(self, cli: Cli, database15: Database) -> None:
        database15.execute("CREATE EXTENSION pg_trgm VERSION '1.3'")
        options = ("extensions", "upgrade", "-d", database15.url)
        dry = cli(*options, "--all", "--dry-run")
        assert dry.out.splitlines()[1] == 'ALTER EXTENSION "pg_trgm" UPDATE;'
        assert listed(cli, database15)["pg_trgm"]["installed"] == "1.3"
        assert cli(*options, "pg_trgm", "--yes").code == 0
        row = listed(cli, database15)["pg_trgm"]
        assert (row["state"], row["installed"]) == ("installed", row["available"])
        again = cli(*options, "--all")
        assert (again.code, again.out[:18]) == (0, "nothing to upgrade")
        assert json.loads(cli(*options, "--all", "-f", "json").out) == []

    def test_indexes_that_must_be_rebuilt_are_named(self, cli: Cli, database18: Database) -> None:
        database18.execute("CREATE EXTENSION vector")
        database18.execute("CREATE TABLE t (v vector(3))")
        database18.execute("CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops)")
        database18.execute("CREATE INDEX t_ivf ON t USING ivfflat (v vector_l2_ops)")
        # Between these versions only the library changed, so the catalog is that of 0.8.2.
        database18.execute("UPDATE pg_extension SET extversion = '0.8.2' WHERE extname = 'vector'")
        options = ("extensions", "upgrade", "vector", "-d", database18.url, "--yes")
        result = cli(*options, "-f", "json")
        assert result.code == 0, result.err
        assert json.loads(result.out)[0]["rebuild"] == ["public.t_hnsw"]
        assert result.err.splitlines()[0] == (
            "warning: public.t_hnsw must be rebuilt afterwards, agentdb reindex public.t_hnsw: "
            "vacuum before 0.8.3 may have damaged HNSW indexes "
            "(https://github.com/pgvector/pgvector/blob/master/CHANGELOG.md)"
        )
        assert listed(cli, database18)["vector"]["state"] == "installed"
        rebuilt = cli("reindex", "public.t_hnsw", "-d", database18.url)
        assert rebuilt.code == 0, rebuilt.err

    def test_wrong_usage(self, cli: Cli, database18: Database) -> None:
        result = cli("extensions", "upgrade", "-d", database18.url)
        assert (result.code, result.err) == (2, "error: name either an extension or --all\n")
        result = cli("extensions", "upgrade", "vector", "-d", database18.url)
        assert result.err == (
            "error: the database does not have the extension 'vector'\n"
            "hint: agentdb extensions enable vector\n"
        )
