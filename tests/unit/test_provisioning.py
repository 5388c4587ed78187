"""The parts of setup and extensions that need no server."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from agentdb_cli import app, packs
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.postgres.queries import sql_directory
from agentdb_cli.provisioning import extensions, facts, model, passwords, preload


def entry(role: str, password: str = "", database: str = "db") -> passwords.Entry:
    return passwords.Entry("host", 5432, database, role, password)


class TestPgpass:
    def test_new_entries_stand_first_and_other_lines_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "sub" / "pgpass"
        path.parent.mkdir()
        path.write_bytes(b"# caf\xe9\n*:*:*:app:general\nhost:5432:db:app:old")
        passwords.save(path, [entry("app", r"a:b\c"), entry("x:y", "p")])
        assert path.read_bytes() == (
            b"host:5432:db:app:a\\:b\\\\c\nhost:5432:db:x\\:y:p\n# caf\xe9\n*:*:*:app:general\n"
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [each.name for each in path.parent.iterdir()] == ["pgpass"]

    def test_what_is_saved_is_found(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "pgpass"
        assert passwords.find(path, entry("app")) is None
        for password in ("plain", r"a:b\c\\", "ü – '\"", ":", "\\"):
            passwords.save(path, [entry("app", password)])
            assert passwords.find(path, entry("app")) == password
        assert passwords.find(path, entry("app", database="other")) is None
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_text("")
        (tmp_path / "link").symlink_to("real")
        passwords.save(tmp_path / "link", [entry("app", "p")])
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_text() == "host:5432:db:app:p\n"

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(AgentdbError, match=r"cannot (read|write) passwords"):
            passwords.save(tmp_path / "file" / "pgpass", [entry("app", "p")])

    @pytest.mark.parametrize("password", ["", "a\nb", "a\0b", "a\rb"])
    def test_unfit_passwords(self, password: str) -> None:
        with pytest.raises(SettingsError, match="it is empty or holds a line break"):
            passwords.checked(password, "it")

    def test_a_generated_one_needs_no_escape(self) -> None:
        found = {passwords.generate() for _ in range(50)}
        assert len(found) == 50
        assert all(re.fullmatch(r"[\w-]{32}", password) for password in found)


class TestNames:
    @pytest.mark.parametrize(
        ("owner", "database", "message"),
        [
            ("pg_owner", "db", "--owner 'pg_owner' is a name that PostgreSQL reserves"),
            ("public", "db", "--owner 'public' is a name that PostgreSQL reserves"),
            ("", "db", "--owner is empty or holds a line break"),
            ("ü" * 32, "db", f"--owner '{'ü' * 32}' is longer than 63 bytes"),
            ("app", "db", "one role is named twice"),
            ("owner", "template1", "--database 'template1' is the server's own"),
        ],
    )
    def test_unfit_names(self, owner: str, database: str, message: str) -> None:
        with pytest.raises(SettingsError) as refused:
            model.checked_names(model.Wanted(database, {"owner": owner, "app": "app"}))
        assert refused.value.message == message

    def test_a_step_shows_no_secret(self) -> None:
        step = model.Step("what", "secret", "masked")
        assert step.shown == "masked"
        assert "secret" not in repr(step)


def test_the_roles_of_a_pack() -> None:
    roles = packs.load("agentdb").content["roles"]
    assert model.roles_of_pack(roles) == {
        "app": roles["agentdb_app"],
        "readonly": roles["agentdb_monitor"],
    }
    assert model.roles_of_pack(packs.load("background-agents").content["roles"]) == {}


class TestFacts:
    def test_commands_and_packs_are_real(self) -> None:
        inspections = {
            path.stem.replace("_", "-") for path in (sql_directory() / "inspect").glob("*.sql")
        }
        for fact in facts.facts().values():
            assert set(fact.packs) <= set(packs.names())
            for command in fact.commands:
                name, _, inspection = command.partition(" ")
                assert name in app.COMMANDS
                assert not inspection or inspection in inspections

    def test_every_extension_that_a_query_requires_is_known(self) -> None:
        texts = "".join(path.read_text() for path in sql_directory().rglob("*.sql"))
        required = set(re.findall(r"^-- requires: extension (\w+)", texts, re.MULTILINE))
        assert required
        assert required <= set(facts.facts())

    def test_how_to_get_one(self) -> None:
        found = facts.how_to_get("vector", 17)
        assert "Debian: apt install postgresql-17-pgvector" in found
        for platform in ("Docker", "RDS", "Cloud SQL", "Azure", "Supabase"):
            assert f"; {platform}: " in found

    @pytest.mark.parametrize(
        ("before", "after", "methods"),
        [
            ("0.2.7", "0.3.1", {"ivfflat"}),
            ("0.3.0", "0.8.1", {"ivfflat"}),
            ("0.2.6", "0.3.1", set()),
            ("0.3.1", "0.8.2", set()),
            ("0.5.0", "0.8.3", {"hnsw"}),
            ("0.8.10", "0.8.11", set()),
            ("0.8.1", "0.8.10", {"hnsw"}),
        ],
    )
    def test_which_upgrades_of_pgvector_leave_indexes_to_be_rebuilt(
        self, before: str, after: str, methods: set[str]
    ) -> None:
        rebuilds = facts.facts()["vector"].rebuild
        found = {
            method
            for each in rebuilds
            if extensions.concerns(each, before, after)
            for method in each.methods
        }
        assert found == methods


class TestPreload:
    @pytest.mark.parametrize(
        ("value", "names"),
        [
            ("", []),
            ("a", ["a"]),
            ("a, b,c ", ["a", "b", "c"]),
            ('"$libdir/a b", "say ""x""" ,d', ["$libdir/a b", 'say "x"', "d"]),
        ],
    )
    def test_names_of_a_value(self, value: str, names: list[str]) -> None:
        assert preload.parse(value) == names

    def test_what_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(AgentdbError, match="cannot be read"):
            preload.parse('"open')

    def test_each_library_is_a_literal_of_its_own(self) -> None:
        assert preload.statement(["a", "it's"], "b") == (
            "ALTER SYSTEM SET shared_preload_libraries = 'a', 'it''s', 'b'"
        )

    def test_the_base_of_a_library(self) -> None:
        assert preload.base("$libdir/pg_stat_statements.so") == "pg_stat_statements"
