"""`agentdb health` knows the backups: how old the newest is, and whether it can be trusted."""

from __future__ import annotations

from pathlib import Path

from conftest import Database
from purging import Cli
from test_health import one

from agentdb_cli.backups import catalog

CHECK = "backups-age"


def settings(text: str = "") -> None:
    Path("agentdb.toml").write_text(f'{text}\n[backup]\ndir = "backups"\n')


def newest() -> Path:
    return max(Path("backups").iterdir())


def test_nobody_backs_up_with_agentdb(cli: Cli, database: Database) -> None:
    found = one(cli, database.url, CHECK)
    assert found == (3, "skipped", None, "no backup of this database is known here")


def test_there_should_be_one(cli: Cli, database: Database) -> None:
    settings()
    found = one(cli, database.url, CHECK)
    assert found == (2, "critical", None, "no backup of this database is known here")


def test_the_newest_counts(cli: Cli, database: Database) -> None:
    settings()
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    assert cli("backup", "create", "-d", database.url).code == 0
    code, status, value, detail = one(cli, database.url, CHECK)
    assert (code, status, detail) == (0, "ok", f"{newest().name}, not verified")
    assert isinstance(value, float)
    assert 0 <= value < 600
    assert cli("backup", "verify", "latest", "-d", database.url).code == 0
    assert one(cli, database.url, CHECK)[3] == f"{newest().name}, verified"
    settings(f"[health.{CHECK}]\nwarning = 0.001\n")
    assert one(cli, database.url, CHECK)[:2] == (1, "warning")


def test_one_that_failed_its_verification(cli: Cli, database: Database) -> None:
    settings()
    database.execute("CREATE TABLE t AS SELECT 1 AS n")
    assert cli("backup", "create", "-d", database.url).code == 0
    path = newest() / "globals.sql"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    assert cli("backup", "verify", "latest", "-d", database.url).code == 1
    code, status, _, detail = one(cli, database.url, CHECK)
    assert (code, status, detail) == (2, "critical", f"{newest().name}, its verification FAILED")


def test_another_database_s_backup_is_none_of_ours(
    cli: Cli, database15: Database, database18: Database
) -> None:
    settings()
    assert cli("backup", "create", "-d", database15.url).code == 0
    assert one(cli, database18.url, CHECK)[:2] == (2, "critical")


def test_older_ones_are_not_looked_at(cli: Cli, database18: Database) -> None:
    settings()
    for _ in range(3):
        assert cli("backup", "create", "-d", database18.url).code == 0
    oldest, middle, last = sorted(Path("backups").iterdir())
    for path in (oldest / "data").iterdir():
        path.unlink()  # nobody needs these any more
    assert one(cli, database18.url, CHECK)[3] == f"{last.name}, not verified"
    (last / "globals.sql").unlink()
    assert one(cli, database18.url, CHECK)[3] == f"{middle.name}, not verified"
    (found,) = catalog.newest(Path("backups"))
    assert found.name == middle.name
    (middle / "manifest.json").write_text("{")
    assert one(cli, database18.url, CHECK)[:2] == (2, "critical")
