"""`agentdb doctor` on broken databases: each check finds it, and what it prints mends it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from conftest import Database
from doctoring import Cli, look, mend, values

from agentdb_cli.diagnosis.checks import available
from agentdb_cli.diagnosis.examine import Known, examine
from agentdb_cli.diagnosis.findings import Finding
from agentdb_cli.postgres.known import Backup
from waiting import eventually

ROWS = "repeat('x', 500)"


def counted(database: Database) -> None:
    """Have what this session did counted at once, not within ten seconds."""
    database.execute("SELECT pg_stat_force_next_flush()")


def known(database: Database, check: str, what: Known) -> Finding:
    """One check with what the test says is known."""
    (finding,) = examine(database.connection, [available()[check]], what, timeout=30)
    return finding


# --- Infrastructure ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "status"),
    [
        (date(2026, 1, 1), "ok"),
        (date(2027, 5, 14), "ok"),
        (date(2027, 5, 16), "warning"),
        (date(2027, 11, 11), "warning"),
        (date(2027, 11, 12), "critical"),
    ],
)
def test_end_of_life(database15: Database, today: date, status: str) -> None:
    found = known(database15, "version", Known(today))
    assert found.status.name == status
    when = "without support since" if status == "critical" else "supported until"
    assert found.items[0].value.startswith("PostgreSQL 15.")
    assert found.items[0].value.endswith(f", {when} 2027-11-11")


def test_a_backup_is_missing_then_made(cli: Cli, database: Database) -> None:
    row = look(cli, database.url, "backups")
    assert (row["status"], values(row)) == (
        "warning", ["no backup of this database is known here"],
    )  # fmt: skip
    Path("agentdb.toml").write_text('[backup]\ndir = "backups"\n')
    assert look(cli, database.url, "backups")["status"] == "critical"
    assert row["findings"][0]["advice"].startswith("agentdb backup create, ")
    assert cli("backup", "create", "-d", database.url).code == 0
    row = look(cli, database.url, "backups")
    assert row["status"] == "ok"
    assert row["value"].endswith(", 0.0 h old, not verified")


@pytest.mark.parametrize(
    ("hours", "verified", "status", "said"),
    [
        (25, None, "ok", "b, 25.0 h old, not verified"),
        (27, True, "warning", "b, 27.0 h old, verified"),
        (51, True, "critical", "b, 51.0 h old, verified"),
        (1, False, "critical", "b, 1.0 h old, its verification FAILED"),
    ],
)
def test_old_and_damaged_backups(
    database18: Database, hours: float, verified: bool | None, status: str, said: str
) -> None:
    identifier = str(database18.value("SELECT system_identifier FROM pg_control_system()"))
    name = database18.connection.info.dbname
    created = datetime.now(UTC).timestamp() - hours * 3600
    ours = Backup("b", name, identifier, created, verified)
    others = Backup("c", "elsewhere", identifier, created + 3600, True)
    found = known(database18, "backups", Known(date(2026, 1, 1), backups=(others, ours)))
    assert (found.status.name, found.items[0].value) == (status, said)


def test_autovacuum_of_a_table(cli: Cli, database: Database) -> None:
    database.execute('CREATE TABLE "No Vacuum" (id int) WITH (autovacuum_enabled = off)')
    row = look(cli, database.url, "autovacuum")
    assert (row["status"], values(row)) == ("warning", ['off for public."No Vacuum"'])
    assert mend(database, row) == ['ALTER TABLE public."No Vacuum" RESET (autovacuum_enabled)']
    assert look(cli, database.url, "autovacuum")["status"] == "ok"


class Usage(NamedTuple):
    """As shutil has it."""

    total: int
    used: int
    free: int


def test_disk(cli: Cli, database18: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    gigabyte = 1024**3

    def disk(free: int) -> str:
        usage = (100 * gigabyte, (100 - free) * gigabyte, free * gigabyte)
        found = Usage(*usage)
        monkeypatch.setattr("agentdb_cli.diagnosis.machine.shutil.disk_usage", lambda _: found)
        row = look(cli, database18.url, "disk")
        assert row["value"].endswith(" of 100 GB free")
        return str(row["status"])

    assert [disk(free) for free in (50, 19, 9)] == ["ok", "warning", "critical"]


# --- Security ---------------------------------------------------------------------


def test_public_may_create_and_connect(cli: Cli, database: Database) -> None:
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    row = look(cli, database.url, "public-schemas")
    assert (row["status"], values(row)) == ("warning", ["public"])
    mend(database, row)
    assert look(cli, database.url, "public-schemas")["status"] == "ok"
    row = look(cli, database.url, "public-connect")
    assert values(row) == ["PUBLIC has CONNECT, TEMPORARY"]
    assert "GRANT CONNECT ON DATABASE" in row["findings"][0]["caution"]
    mend(database, row)
    assert look(cli, database.url, "public-connect")["value"] == "no: only roles with a grant"


def test_public_may_read(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE secrets (id serial)")
    database.execute("GRANT SELECT, INSERT ON secrets TO PUBLIC")
    database.execute("GRANT USAGE ON SEQUENCE secrets_id_seq TO PUBLIC")
    row = look(cli, database.url, "public-tables")
    assert values(row) == ["public.secrets: INSERT, SELECT", "public.secrets_id_seq: USAGE"]
    mend(database, row)
    assert look(cli, database.url, "public-tables")["status"] == "ok"


def test_roles(cli: Cli, database: Database) -> None:
    database.execute("CREATE ROLE mighty LOGIN SUPERUSER")
    database.execute("CREATE ROLE old LOGIN VALID UNTIL '2020-01-01'")
    database.execute("SELECT set_config('t.soon', (now() + interval '20 days')::text, false)")
    database.execute(
        "DO $$ BEGIN EXECUTE format('CREATE ROLE soon LOGIN VALID UNTIL %L',"
        " current_setting('t.soon')); END $$"
    )
    try:
        row = look(cli, database.url, "superusers")
        assert (row["status"], values(row)) == ("warning", ["mighty"])
        mend(database, row)
        assert look(cli, database.url, "superusers")["status"] == "ok"
        row = look(cli, database.url, "password-expiry")
        assert [found["status"] for found in row["findings"]] == ["critical", "warning"]
        expired, expiring = values(row)
        assert expired.startswith("that of old expired at 2020-01-01 00:00:00")
        assert expiring.startswith("that of soon expires at 20")
        mend(database, row)
        assert look(cli, database.url, "password-expiry")["status"] == "ok"
    finally:
        database.execute("DROP ROLE mighty, old, soon")


def test_md5_passwords(cli: Cli, database: Database) -> None:
    # What md5 made of it; 18 warns that it is deprecated.
    database.execute("CREATE ROLE weak LOGIN PASSWORD 'md5e8a48653851e28c69d0506508fb27fc5'")
    try:
        row = look(cli, database.url, "md5-passwords")
        assert (row["status"], values(row)) == ("warning", ["weak"])
        assert row["findings"][0]["advice"].endswith(r"\password weak")
        encrypted = database.connection.pgconn.encrypt_password(b"x", b"weak", b"scram-sha-256")
        database.execute(f"ALTER ROLE weak PASSWORD '{encrypted.decode()}'")
        assert look(cli, database.url, "md5-passwords")["status"] == "ok"
    finally:
        database.execute("DROP ROLE weak")


def test_an_application_works_as_superuser(cli: Cli, database: Database) -> None:
    with psycopg.connect(database.url, application_name="my app"):
        row = look(cli, database.url, "superuser-sessions")
    assert row["status"] == "warning"
    assert "1 of my app as postgres" in values(row)
    assert row["findings"][0]["advice"].startswith("agentdb setup makes a role")
    eventually(
        lambda: (
            "1 of my app as postgres" not in values(look(cli, database.url, "superuser-sessions"))
        )
    )


def test_tenants_without_row_security(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE notes (id int, tenant_id uuid, text text)")
    database.execute("CREATE TABLE letters (id int, user_id bigint)")
    database.execute("CREATE TABLE tenants (id uuid)")
    row = look(cli, database.url, "row-security")
    assert (row["status"], values(row)) == ("warning", ["public.notes, by its column tenant_id"])
    assert row["findings"][0]["caution"].startswith("whoever does not set app.tenant_id")
    mend(database, row)
    # Now that rows are kept apart, those of users count as well.
    row = look(cli, database.url, "row-security")
    assert values(row) == ["public.letters, by its column user_id"]
    mend(database, row)
    assert look(cli, database.url, "row-security")["status"] == "ok"
    database.execute("INSERT INTO letters VALUES (1, 7), (2, 8)")
    database.execute("CREATE ROLE reader")
    try:
        database.execute("GRANT SELECT ON letters TO reader")
        database.execute("SET ROLE reader")
        database.execute("SET app.user_id = '7'")
        assert database.execute("SELECT id FROM letters") == [(1,)]
    finally:
        database.execute("RESET ROLE")
        database.execute("DROP OWNED BY reader")
        database.execute("DROP ROLE reader")


def test_security_definer(cli: Cli, database: Database) -> None:
    database.execute(
        "CREATE FUNCTION risky(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql"
        " SECURITY DEFINER AS 'SELECT 1'"
    )
    database.execute("CREATE FUNCTION harmless() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    row = look(cli, database.url, "security-definer")
    assert values(row) == ["public.risky(a integer, b text)"]
    mend(database, row)
    assert look(cli, database.url, "security-definer")["status"] == "ok"
    assert database.value("SELECT risky(1)") == 1


# --- Performance ------------------------------------------------------------------


def test_foreign_key_without_index(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE parents (id int PRIMARY KEY)")
    database.execute("INSERT INTO parents VALUES (1)")
    database.execute("CREATE TABLE small (parent int REFERENCES parents)")
    database.execute("CREATE TABLE children (parent int REFERENCES parents, text text)")
    database.execute(f"INSERT INTO children SELECT 1, {ROWS} FROM generate_series(1, 4000)")
    database.execute("ANALYZE")
    row = look(cli, database.url, "missing-fk-indexes")
    assert row["status"] == "warning"
    assert [value.rpartition(",")[0] for value in values(row)] == ["public.children (parent)"]
    assert mend(database, row) == ["CREATE INDEX CONCURRENTLY ON public.children (parent)"]
    assert look(cli, database.url, "missing-fk-indexes")["status"] == "ok"


def test_duplicate_index(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (a int, b int)")
    database.execute("CREATE INDEX whole ON t (a, b)")
    database.execute("CREATE INDEX part ON t (a)")
    row = look(cli, database.url, "duplicate-indexes")
    assert values(row) == ["public.part, covered by public.whole, 8192 bytes"]
    assert row["findings"][0]["caution"] == "drops an index"
    mend(database, row)
    assert look(cli, database.url, "duplicate-indexes")["status"] == "ok"


def test_unused_index(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (a text)")
    database.execute(f"INSERT INTO t SELECT n || {ROWS} FROM generate_series(1, 3000) AS n")
    database.execute("CREATE INDEX idle ON t (a)")
    database.execute("ANALYZE t")
    assert look(cli, database.url, "unused-indexes")["status"] == "ok"
    for _ in range(101):
        database.execute("SELECT FROM t LIMIT 1")
    counted(database)
    row = look(cli, database.url, "unused-indexes")
    assert values(row)[0].startswith("public.idle, ")
    assert mend(database, row) == ["DROP INDEX CONCURRENTLY public.idle"]
    assert look(cli, database.url, "unused-indexes")["status"] == "ok"


def test_bloat(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int, text text) WITH (autovacuum_enabled = off)")
    database.execute(f"INSERT INTO t SELECT n, {ROWS} FROM generate_series(1, 40000) AS n")
    database.execute("DELETE FROM t WHERE id % 4 <> 0")
    counted(database)
    database.execute("VACUUM ANALYZE t")
    row = look(cli, database.url, "bloat")
    assert values(row)[0].startswith("table public.t: ")
    assert row["findings"][0]["caution"].startswith("locks everybody out")
    assert mend(database, row) == ["VACUUM (FULL, ANALYZE) public.t"]
    assert look(cli, database.url, "bloat")["status"] == "ok"


def test_bloat_of_tables_that_may_not_be_read(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (text text)")
    database.execute(f"INSERT INTO t SELECT {ROWS} FROM generate_series(1, 22000)")
    database.execute("ANALYZE t")
    database.execute("CREATE ROLE blind")
    try:
        url = f"{database.url}&options=-c%20role%3Dblind"
        row = look(cli, url, "bloat")
        assert (row["status"], row["value"]) == (
            "unknown", "not permitted: needs SELECT on 1 table",
        )  # fmt: skip
        assert mend(database, row) == ["GRANT pg_read_all_data TO blind"]
        assert look(cli, url, "bloat")["status"] == "ok"
    finally:
        database.execute("DROP ROLE blind")


def test_time_series_without_partitions(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE events (at timestamptz NOT NULL DEFAULT now(), text text)")
    database.execute(f"INSERT INTO events (text) SELECT {ROWS} FROM generate_series(1, 4000)")
    database.execute("ANALYZE events")
    assert look(cli, database.url, "time-series")["status"] == "ok"
    row = look(cli, database.url, "time-series", "--memory", "1MB")
    assert row["status"] == "warning"
    assert values(row)[0].startswith("public.events, by at, ")
    database.execute("ALTER TABLE events RENAME TO events_before")
    database.execute(
        "CREATE TABLE events (LIKE events_before INCLUDING DEFAULTS) PARTITION BY RANGE (at)"
    )
    database.execute("CREATE TABLE events_0 PARTITION OF events DEFAULT")
    database.execute("INSERT INTO events SELECT * FROM events_before")
    database.execute("DROP TABLE events_before")
    database.execute("ANALYZE events")
    assert look(cli, database.url, "time-series", "--memory", "1MB")["status"] == "ok"


def test_tables_that_vacuum_left_behind(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int) WITH (autovacuum_enabled = off)")
    database.execute("INSERT INTO t SELECT generate_series(1, 60000)")
    counted(database)
    database.execute("VACUUM ANALYZE t")
    database.execute("DELETE FROM t WHERE id > 5000")
    counted(database)
    row = look(cli, database.url, "unvacuumed")
    assert values(row) == ["public.t: 55000 dead rows, 55000 rows changed since its statistics"]
    assert mend(database, row) == ["VACUUM (ANALYZE) public.t"]
    assert look(cli, database.url, "unvacuumed")["status"] == "ok"


@pytest.fixture
def old(database18: Database) -> Database:
    """A database with a table whose rows are older than it lets them be."""
    database18.execute(
        "CREATE TABLE t (id int)"
        " WITH (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000)"
    )
    database18.execute("CREATE TABLE counter (id int)")
    database18.execute("INSERT INTO t VALUES (1)")
    database18.execute(
        "DO $$ BEGIN FOR n IN 1..100100 LOOP"
        " BEGIN INSERT INTO counter VALUES (n); EXCEPTION WHEN division_by_zero THEN END;"
        " END LOOP; END $$"
    )
    database18.execute("DROP TABLE counter")
    return database18


def test_rows_that_are_never_frozen(cli: Cli, old: Database) -> None:
    row = look(cli, old.url, "unvacuumed")
    assert row["status"] == "critical"
    assert values(row)[0].startswith("public.t: 1001")
    assert mend(old, row) == ["VACUUM (FREEZE, ANALYZE) public.t"]
    assert look(cli, old.url, "unvacuumed")["status"] == "ok"


# --- Monitoring -------------------------------------------------------------------


def test_a_server_without_pg_stat_statements(cli: Cli, database18: Database) -> None:
    row = look(cli, database18.url, "pg-stat-statements")
    assert (row["status"], values(row)) == (
        "warning", ["the server has no pg_stat_statements"],
    )  # fmt: skip
