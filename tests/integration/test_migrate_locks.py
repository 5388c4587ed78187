"""Migrations that wait: for a lock on a table, and for each other, also behind a pooler."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result

from agentdb_cli.migrations.blockers import without_literals

Cli = Callable[..., Result]
HEADER = "-- agentdb: no-transaction\n"
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "migrations"
    directory.mkdir()
    return directory


def start(url: str, directory: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", "migrate", "-d", url, "--dir", directory, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def applied_once(runs: list[subprocess.Popen[str]], count: int) -> None:
    """All runs end well, and together they have applied each of the files once."""
    ends = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs), [err for _, err in ends]
    versions = [row["version"] for out, _ in ends for row in json.loads(out)]
    assert sorted(versions) == list(range(1, count + 1))


class TestALockOnATable:
    def test_it_is_tried_again_and_nobody_waits_meanwhile(
        self, cli: Cli, database: Database, directory: Path
    ) -> None:
        database.execute("CREATE TABLE a (id int)")
        (directory / "1_a.sql").write_text("ALTER TABLE a ADD COLUMN b int;")
        with psycopg.connect(database.url) as other:
            other.execute("SELECT * FROM a")
            run = start(database.url, directory, "--lock-timeout", "100ms")
            assert run.stderr is not None
            assert run.stderr.readline() == "1_a did not get a lock; trying again\n"
            # Would wait behind the ALTER TABLE for as long as that waits for `other`.
            database.execute("SELECT * FROM a")
        _, error = run.communicate(timeout=30)
        assert (run.returncode, error) == (0, "")
        assert database.value("SELECT count(*) FROM agentdb_migrations") == 1

    @pytest.mark.parametrize(("retries", "tried"), [("2", "  tried 3 times\n"), ("0", "")])
    def test_who_is_in_the_way_is_named(
        self, cli: Cli, database: Database, directory: Path, retries: str, tried: str
    ) -> None:
        database.execute("CREATE TABLE a (id int, t text)")
        (directory / "1_a.sql").write_text("SELECT 1;\nALTER TABLE a ADD COLUMN b int;")
        with psycopg.connect(f"{database.url}&application_name=worker") as other:
            other.execute("SELECT id FROM a WHERE t = 'secret' AND id > 17")
            pid = other.info.backend_pid
            result = cli(
                "migrate", "-d", database.url, "--dir", directory, "--lock-timeout", "300ms",
                "--lock-retries", retries,
            )  # fmt: skip
        again = "1_a did not get a lock; trying again\n" if tried else ""
        assert re.sub(r"for \d:\d\d:\d\d", "for …", result.err) == (
            f"{again}error: 1_a failed: canceling statement due to lock timeout (55P03)\n"
            f"  in {directory}/1_a.sql, line 2, column 1\n"
            "  2 | ALTER TABLE a ADD COLUMN b int;\n"
            "    | ^\n"
            f"{tried}"
            f"  blocked by pid {pid} (worker, idle in transaction for …): "
            "SELECT id FROM a WHERE t = ? AND id > ?\n"
            "hint: nothing of this file was kept. Another session holds a lock on it: "
            "run again, or raise --lock-timeout\n"
        )

    def test_an_index_waits_for_an_older_transaction_for_the_whole_time(
        self, cli: Cli, database: Database, directory: Path
    ) -> None:
        database.execute("CREATE TABLE a (id int)")
        (directory / "1_a.sql").write_text(HEADER + "CREATE INDEX CONCURRENTLY a_id ON a (id);")
        options = ("--lock-timeout", "50ms", "--lock-retry-time", "1s", "--lock-retries", "0")
        with psycopg.connect(f"{database.url}&application_name=report") as other:
            other.execute("LOCK TABLE a IN ROW EXCLUSIVE MODE")
            pid = other.info.backend_pid
            result = cli("migrate", "-d", database.url, "--dir", directory, *options)
        assert re.sub(r"for \d:\d\d:\d\d", "for …", result.err) == (
            "error: 1_a failed: canceling statement due to lock timeout (55P03)\n"
            f"  in {directory}/1_a.sql, line 2, column 1\n"
            "  2 | CREATE INDEX CONCURRENTLY a_id ON a (id);\n"
            "    | ^\n"
            f"  blocked by pid {pid} (report, idle in transaction for …): "
            "LOCK TABLE a IN ROW EXCLUSIVE MODE\n"
            "  left the invalid index public.a_id: the next run drops it\n"
            "hint: nothing of this file was done. Another session holds a lock on it: "
            "run again, or raise --lock-retry-time\n"
        )
        assert cli("migrate", "-d", database.url, "--dir", directory).code == 0
        assert database.value("SELECT indisvalid FROM pg_index WHERE indrelid = 'a'::regclass")

    def test_a_deadlock_is_tried_again(self, cli: Cli, database: Database, directory: Path) -> None:
        database.execute("CREATE TABLE a (id int); CREATE TABLE b (id int)")
        (directory / "1_a.sql").write_text(
            "SET LOCAL deadlock_timeout = '10ms';"
            "ALTER TABLE a ADD COLUMN c int; ALTER TABLE b ADD COLUMN c int;"
        )
        with psycopg.connect(database.url) as other:
            other.execute("SET deadlock_timeout = '1h'; LOCK TABLE b")
            run = start(database.url, directory, "--lock-timeout", "20s")
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'b'::regclass"
            while not database.value(waits):
                assert run.poll() is None, run.communicate()
                time.sleep(0.01)
            other.execute("LOCK TABLE a")  # the migration is the one that notices
        _, error = run.communicate(timeout=30)
        assert (run.returncode, error) == (0, "1_a did not get a lock; trying again\n")

    def test_settings(self, cli: Cli, database18: Database, directory: Path) -> None:
        Path("agentdb.toml").write_text("[migrations]\nlock_retries = -1\n")
        result = cli("migrate", "-d", database18.url, "--dir", directory)
        assert result == Result(
            2,
            "",
            f"error: {Path('agentdb.toml').absolute()}, line 2: 'migrations.lock_retries' must be "
            "a whole number, 0 or more\n",
        )
        Path("agentdb.toml").unlink()
        assert cli(
            "migrate", "-d", database18.url, "--dir", directory, "--lock-retry-time", "soon"
        ).err == (
            'error: --lock-retry-time must be a duration such as "5s", "250ms" or 0 '
            "(units: us, ms, s, min, h, d)\n"
        )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT  1,\n 'a''b', e'x\\'y' -- it's\n, \"it's\"", 'SELECT ?, ?, ? , "it\'s"'),
        ("SELECT $$a'b$$, $x$ $$ $x$, col1 /* 'c' */ + t2.x", "SELECT ?, ?, col1 + t2.x"),
        ("SELECT 'cut off in the mid", "SELECT ?"),
        ("SELECT U&'x', x'ff', 1.5e3", "SELECT U&?, ?, ?"),
        ("x" * 120, "x" * 99 + "…"),
    ],
)
def test_a_query_is_shown_without_its_literals(text: str, shown: str) -> None:
    assert without_literals(text) == shown


class TestManyRuns:
    def test_while_indexes_are_built_concurrently(
        self, database: Database, directory: Path
    ) -> None:
        for n in range(1, 13):
            index = f"{HEADER}CREATE INDEX CONCURRENTLY i{n} ON t{n - 1} (id);"
            table = f"CREATE TABLE t{n} (id int);"
            (directory / f"{n}_x.sql").write_text(index if n % 4 == 0 else table)
        applied_once([start(database.url, directory, "-f", "json") for _ in range(6)], 12)
        assert database.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


class TestBehindAPooler:
    def test_many_runs(self, database18: Database, pgbouncer: str, directory: Path) -> None:
        for n in range(1, 21):
            opening = "BEGIN ISOLATION LEVEL REPEATABLE READ;" if n % 5 == 0 else ""
            (directory / f"{n}_x.sql").write_text(
                f"{opening}CREATE TABLE t{n} (id int); SELECT pg_sleep(0.01);"
                f"{'COMMIT;' if opening else ''}"
            )
        applied_once([start(pgbouncer, directory, "-f", "json") for _ in range(6)], 20)
        assert database18.value(ADVISORY) == 0

    def test_direct_runs_and_pooled_ones_keep_out_of_each_others_way(
        self, database18: Database, pgbouncer: str, directory: Path
    ) -> None:
        for n in range(1, 21):
            (directory / f"{n}_x.sql").write_text(f"CREATE TABLE t{n} (id int);")
        urls = [pgbouncer, database18.url] * 3
        applied_once([start(url, directory, "-f", "json") for url in urls], 20)
        assert database18.value(ADVISORY) == 0

    def test_a_file_without_a_transaction_is_refused(
        self, cli: Cli, database18: Database, pgbouncer: str, directory: Path
    ) -> None:
        (directory / "1_a.sql").write_text("CREATE TABLE a (id int);")
        (directory / "2_b.sql").write_text(HEADER + "VACUUM a;")
        port = pgbouncer.rpartition(":")[2].partition("/")[0]
        assert cli("migrate", "-d", pgbouncer, "--dir", directory) == Result(
            1,
            "",
            "error: 2_b runs without a transaction, which a pooler in between does not allow\n"
            f"hint: connect to the server itself: it listens on port 5432, the pooler on {port}\n",
        )
        assert database18.value("SELECT to_regclass('a')") is None

    def test_waiting_names_the_one_who_has_the_lock(
        self, cli: Cli, database18: Database, pgbouncer: str, directory: Path
    ) -> None:
        (directory / "1_a.sql").write_text("SELECT pg_sleep(60);")
        first = start(database18.url, directory)
        while not database18.value(ADVISORY):
            assert first.poll() is None, first.communicate()
            time.sleep(0.01)
        try:
            result = cli("migrate", "-d", pgbouncer, "--dir", directory, "--lock-wait", "1500ms")
        finally:
            first.kill()
            first.communicate()
        told, error, _ = result.err.splitlines()
        holder = r"pid \d+ \(agentdb migrate, postgres@local\), connected since .*"
        assert re.fullmatch(f"waiting for another migration run: {holder}", told)
        assert re.fullmatch(
            f"error: another migration run did not finish within 1.5 s: {holder}", error
        )
        database18.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )

    def test_a_failure_and_a_baseline(
        self, cli: Cli, database18: Database, pgbouncer: str, directory: Path
    ) -> None:
        (directory / "1_a.sql").write_text("CREATE TABLE a (id int);\nSELECT nothing;")
        result = cli("migrate", "-d", pgbouncer, "--dir", directory)
        assert result.err == (
            'error: 1_a failed: column "nothing" does not exist (42703)\n'
            f"  in {directory}/1_a.sql, line 2, column 8\n"
            "  2 | SELECT nothing;\n"
            "    |        ^\n"
            "hint: nothing of this file was kept. Mend the file, then run agentdb migrate again\n"
        )
        assert cli("migrate", "baseline", "1", "-d", pgbouncer, "--dir", directory).code == 0
        assert database18.value("SELECT count(*) FROM agentdb_migrations") == 1
        assert database18.value(ADVISORY) == 0

    def test_who_is_in_the_way_is_named(
        self, cli: Cli, database18: Database, pgbouncer: str, directory: Path
    ) -> None:
        database18.execute("CREATE TABLE a (id int)")
        (directory / "1_a.sql").write_text("ALTER TABLE a ADD COLUMN b int;")
        with psycopg.connect(f"{database18.url}&application_name=worker") as other:
            other.execute("SELECT * FROM a")
            pid = other.info.backend_pid
            result = cli(
                "migrate", "-d", pgbouncer, "--dir", directory, "--lock-timeout", "300ms",
                "--lock-retries", "1",
            )  # fmt: skip
        assert f"  blocked by pid {pid} (worker, idle in transaction for " in result.err
