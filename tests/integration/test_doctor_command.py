"""`agentdb doctor` as a command: options, formats, the file that mends, who may see what."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from clusters import copy_of, make, opened
from conftest import Database, free_port
from doctoring import Cli, look

from agentdb_cli.diagnosis.checks import AREAS, available
from agentdb_cli.postgres import connect
from agentdb_cli.postgres.embedded.binaries import Binaries, embedded


def everything(cli: Cli, url: str, *options: object) -> dict[str, dict[str, object]]:
    """All rows by check."""
    result = cli("doctor", "-d", url, "-f", "json", *options)
    rows = json.loads(result.out)
    assert result.err == ""
    return {row["check"]: row for row in rows}


# --- The whole list ---------------------------------------------------------------


def test_every_check_is_answered(cli: Cli, database: Database) -> None:
    rows = everything(cli, database.url)
    assert list(rows) == list(available())
    assert {row["area"] for row in rows.values()} == set(AREAS)
    assert not [row["value"] for row in rows.values() if row["status"] == "unknown"]


def test_a_pooler_in_between(cli: Cli, pgbouncer: str) -> None:
    rows = everything(cli, pgbouncer)
    unknown = {check for check, row in rows.items() if row["status"] == "unknown"}
    # Over TCP nothing is known of the machine.
    assert unknown == {"disk", "effective-cache-size", "shared-buffers", "work-mem"}
    assert rows["pooler"]["value"] == "this session came through one"


def test_what_the_machine_has_must_be_told_over_tcp(cli: Cli, pgbouncer: str) -> None:
    row = look(cli, pgbouncer, "shared-buffers")
    assert row["status"] == "unknown"
    assert row["value"] == "128 MB; the memory of the server cannot be read from here"
    assert row["findings"][0]["sql"] is None
    assert row["findings"][0]["advice"] == "--memory SIZE says how much it has"
    assert look(cli, pgbouncer, "shared-buffers", "--memory", "512MB")["status"] == "ok"


@pytest.fixture(scope="module")
def standby(servers: dict[str, Binaries]) -> Iterator[Database]:
    """A streaming standby."""
    primary = make(servers["18"], "doctorprimary")
    clusters = [primary]
    try:
        clusters.insert(0, copy_of(opened(primary), servers["18"], "doctorstandby", "-R"))
        yield opened(clusters[0])
    finally:
        for cluster in clusters:
            cluster.stop()


def test_a_standby(cli: Cli, standby: Database) -> None:
    rows = everything(cli, standby.url)
    assert not [row["value"] for row in rows.values() if row["status"] == "unknown"]
    assert rows["archiving"]["status"] == "skipped"
    assert rows["archiving"]["value"] == "a standby, which leaves that to its primary"


# --- Round trips ------------------------------------------------------------------


def test_two_round_trips(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    genuine: Callable[..., connect.Connection] = connect._open

    with trace.open("w") as file:

        def traced(keywords: dict[str, str]) -> connect.Connection:
            connection = genuine(keywords)
            connection.pgconn.trace(file.fileno())
            return connection

        monkeypatch.setattr(connect, "_open", traced)
        assert len(everything(cli, database.url)) == len(available())
    # A message to the server after one from it ends a wait. The last message ends the session.
    message = re.compile(r"^\S+ \S+\t([FB])\t", re.M)
    directions = [match[1] for match in message.finditer(trace.read_text())]
    assert directions.count("B") > len(available())
    waits = sum(pair == ("B", "F") for pair in pairwise(directions))
    assert directions[0] == "F"
    assert waits == 2  # of them one goes with the good-bye, so there are two round trips


# --- Who may see what -------------------------------------------------------------


@pytest.fixture
def blind(database: Database) -> Iterator[str]:
    """A URL of a role that owns nothing."""
    database.execute("CREATE ROLE blind")
    yield f"{database.url}&options=-c%20role%3Dblind"
    database.execute("DROP ROLE blind")


def test_what_an_ordinary_role_may_not_see(cli: Cli, database: Database, blind: str) -> None:
    rows = everything(cli, blind)
    hidden = {name: check.needs for name, check in available().items() if check.needs}
    assert set(hidden) == {
        "authentication", "md5-passwords", "pooler", "superuser-sessions", "tls-enforced",
        "wal-size",
    }  # fmt: skip
    for name, needs in hidden.items():
        assert rows[name]["status"] == "unknown"
        assert rows[name]["value"] == f"not permitted: needs {needs}"
    assert rows["disk"]["status"] == "unknown"  # where the data is stays hidden, too
    others = {name for name, row in rows.items() if row["status"] == "unknown"} - set(hidden)
    assert others == {"disk"}
    granted = rows["pooler"]["findings"]
    assert granted == [
        {
            "status": "unknown",
            "value": "not permitted: needs pg_monitor",
            "sql": None,
            "caution": None,
            "advice": "as a superuser: GRANT pg_monitor TO blind",
        }
    ]
    database.execute("GRANT pg_monitor TO blind")
    seen = everything(cli, blind)
    still = {name for name, row in seen.items() if row["status"] == "unknown"}
    assert still == {"authentication", "md5-passwords", "tls-enforced"}


def test_what_is_needed_to_read_pg_hba_conf(cli: Cli, database: Database, blind: str) -> None:
    database.execute("GRANT SELECT ON pg_hba_file_rules TO blind")
    database.execute("GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO blind")
    try:
        assert look(cli, blind, "authentication")["status"] == "ok"
    finally:
        database.execute("REVOKE SELECT ON pg_hba_file_rules FROM blind")
        database.execute("REVOKE EXECUTE ON FUNCTION pg_hba_file_rules() FROM blind")


def test_a_locked_table(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
    database.execute("ANALYZE t")
    with psycopg.connect(database.url) as other:
        other.execute("LOCK TABLE t")
        row = look(cli, database.url, "bloat")
    assert (row["status"], row["value"]) == ("unknown", "a table is locked against reading")


def test_no_server(cli: Cli) -> None:
    result = cli("doctor", "-d", f"postgresql://127.0.0.1:{free_port()}/x")
    assert result.code == 3
    assert result.out == ""
    assert result.err.startswith("error: cannot connect to ")


# --- Wrong usage ------------------------------------------------------------------


def test_an_unknown_check(cli: Cli) -> None:
    result = cli("doctor", "--only", "shared-bufers", "-d", "postgresql://nowhere/x")
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        "error: there is no check 'shared-bufers'; did you mean 'shared-buffers'?"
    )
    assert result.err.splitlines()[1].startswith(
        "hint: areas: infrastructure, security, performance, monitoring; checks: archiving, "
    )


def test_nothing_left(cli: Cli) -> None:
    result = cli("doctor", "--only", "tls", "--skip", "security", "-d", "postgresql://nowhere/x")
    assert (result.code, result.err) == (2, "error: --only and --skip leave no check to run\n")


def test_an_area_alone(cli: Cli, database18: Database) -> None:
    rows = everything(cli, database18.url, "--only", "monitoring", "--skip", "io-timing")
    assert list(rows) == ["pg-stat-statements", "slow-query-log"]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("lots", 'it must be a size such as "64MB" (units: B, kB, MB, GB, TB)'),
        ("16GiB", 'it must be a size such as "64MB" (units: B, kB, MB, GB, TB)'),
    ],
)
def test_a_size_that_is_none(cli: Cli, size: str, said: str) -> None:
    result = cli("doctor", "--memory", size, "-d", "postgresql://nowhere/x")
    assert (result.code, result.err) == (2, f"error: --memory {size}: {said}\n")


def test_too_little_memory(cli: Cli) -> None:
    result = cli("doctor", "--memory", "64kB", "-d", "postgresql://nowhere/x")
    assert result.code == 2
    assert result.err == "error: --memory 64kB is less than a server can run with\n"


# --- Formats ----------------------------------------------------------------------

EVIL = 'a|b `c` <script> "d"'


@pytest.fixture
def evil(database18: Database) -> Database:
    """A database with a table that everybody may read, whose name is markup."""
    quoted = EVIL.replace('"', '""')
    database18.execute(f'CREATE TABLE "{quoted}" (id int)')
    database18.execute(f'GRANT SELECT ON "{quoted}" TO PUBLIC')
    return database18


def test_for_people(cli: Cli, database18: Database) -> None:
    for number in range(5):
        database18.execute(f"CREATE TABLE t{number} (id int)")
        database18.execute(f"GRANT SELECT ON t{number} TO PUBLIC")
    result = cli("doctor", "-d", database18.url, "--only", "public-tables")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0] == "Security"
    assert lines[1] == "warning   public-tables         Tables that everybody may use: 5:"
    assert lines[2] == "          - public.t0: SELECT"
    assert lines[3] == "          do: REVOKE ALL PRIVILEGES ON public.t0 FROM PUBLIC;"
    assert lines[4].strip() == "mind: roles that rely on it need a grant of their own first"
    assert "          - and 2 more: --fix FILE and --format json have all" in lines
    assert lines[-1].startswith("warning: 1 warning in ")
    assert result.err == "--fix FILE writes the SQL of all this, for review\n"


def test_csv_and_plain(cli: Cli, evil: Database) -> None:
    result = cli("doctor", "-d", evil.url, "--only", "public-tables", "-f", "csv")
    (row,) = csv.DictReader(io.StringIO(result.out))
    assert row["status"] == "warning"
    assert "<script>" in json.loads(row["findings"])[0]["sql"]
    result = cli("doctor", "-d", evil.url, "--only", "tls", "-f", "plain")
    assert result.out.split("\t")[:3] == ["tls", "security", "ok"]


def test_markdown(cli: Cli, evil: Database) -> None:
    result = cli("doctor", "-d", evil.url, "--only", "public-tables", "-f", "markdown")
    assert (result.code, result.err) == (1, "")
    lines = result.out.splitlines()
    assert lines[0] == "# agentdb doctor: warning"
    assert lines[2].endswith(": 1 warning")
    (cell,) = [line for line in lines if line.startswith("| warning | public-tables | ")]
    assert len(re.findall(r"(?<!\\)\|", cell)) == 4
    assert "<script>" not in result.out.replace(r"\<script\>", "").partition("```")[0]
    assert lines[lines.index("  ```sql") + 1].startswith("  REVOKE ALL PRIVILEGES ON public.")


def test_html(cli: Cli, evil: Database) -> None:
    result = cli("doctor", "-d", evil.url, "--only", "public-tables", "-f", "html")
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith('<!DOCTYPE html>\n<html lang="en">\n')
    assert result.out.endswith("</html>\n")
    assert "<script>" not in result.out
    assert "&lt;script&gt;" in result.out
    assert '<td class="warning">warning</td><td>public-tables</td>' in result.out


# --- The file that mends ----------------------------------------------------------


def psql(url: str, file: str) -> subprocess.CompletedProcess[str]:
    """Run a file as its first lines say."""
    return subprocess.run(
        [embedded().program("psql"), "-X", "-q", "-d", url, "-f", file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_mends_what_is_safe_to_mend(cli: Cli, database: Database) -> None:
    name = 'x\n"; DROP TABLE kept; --'
    quoted = name.replace('"', '""')
    database.execute("CREATE TABLE kept (id int)")
    database.execute(f'CREATE TABLE "{quoted}" (id int) WITH (autovacuum_enabled = off)')
    database.execute(f'GRANT SELECT ON "{quoted}" TO PUBLIC')
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    only = ("--only", "autovacuum", "--only", "public-tables", "--only", "public-schemas")
    result = cli("doctor", "-d", database.url, *only, "--fix", "fix.sql")
    assert result.code == 1
    assert result.err == "read fix.sql, then run it: psql -X -f fix.sql\n"
    text = Path("fix.sql").read_text()
    assert "\nREVOKE CREATE ON SCHEMA public FROM PUBLIC;\n" in text
    assert "\n-- REVOKE ALL PRIVILEGES ON public." in text
    assert "\n--   roles that rely on it need a grant of their own first\n" in text
    done = psql(database.url, "fix.sql")
    assert (done.returncode, done.stderr) == (0, "")
    assert look(cli, database.url, "public-schemas")["status"] == "ok"
    assert look(cli, database.url, "autovacuum")["status"] == "ok"
    assert look(cli, database.url, "public-tables")["status"] == "warning"
    assert database.value("SELECT to_regclass('kept') IS NOT NULL")


def test_what_was_commented_out_can_be_taken_in(cli: Cli, database: Database) -> None:
    database.execute("CREATE TABLE t (id int)")
    database.execute("GRANT SELECT ON t TO PUBLIC")
    cli("doctor", "-d", database.url, "--only", "public-tables", "--fix", "fix.sql")
    text = Path("fix.sql").read_text().replace("-- REVOKE", "REVOKE")
    Path("fix.sql").write_text(text)
    assert psql(database.url, "fix.sql").returncode == 0
    assert look(cli, database.url, "public-tables")["status"] == "ok"


def test_the_file_stops_in_another_database(cli: Cli, database: Database) -> None:
    database.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    cli("doctor", "-d", database.url, "--only", "public-schemas", "--fix", "fix.sql")
    info = database.connection.info
    done = psql(database.url.replace(f"/{info.dbname}?", "/postgres?"), "fix.sql")
    assert done.returncode == 3
    assert "this file is for another database" in done.stderr


def test_a_file_is_never_overwritten(cli: Cli, database18: Database) -> None:
    Path("fix.sql").write_text("mine")
    result = cli("doctor", "-d", database18.url, "--fix", "fix.sql")
    assert result.code == 2
    assert result.err == "error: fix.sql exists\nhint: remove it, or name another file\n"
    assert Path("fix.sql").read_text() == "mine"


def test_a_file_that_cannot_be_written(cli: Cli, database18: Database) -> None:
    result = cli("doctor", "-d", database18.url, "--only", "tls", "--fix", "no/where.sql")
    assert result.code == 3
    assert result.err == "error: cannot write no/where.sql: No such file or directory\n"


def test_doctor_loads_little() -> None:
    program = (
        "import sys; from agentdb_cli.app import execute; execute(['doctor', '--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"psycopg", "agentdb_cli.diagnosis"} & set(done.stderr.split())
