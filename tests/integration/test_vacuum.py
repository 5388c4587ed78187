"""`agentdb vacuum` on tables that need it, that cannot have it, and that others hold back."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import Database, Result
from sessions import session

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]


def fill(database: Database, table: str, rows: int, options: str = "") -> None:
    """A vacuumed and analyzed table, out of autovacuum's reach."""
    with_ = ", ".join(("autovacuum_enabled = off", *([options] if options else [])))
    database.execute(f"CREATE TABLE {table} (id int, body text) WITH ({with_})")
    database.execute(
        f"INSERT INTO {table} SELECT i, repeat('x', 60) FROM generate_series(1, {rows}) i"
    )
    database.execute("SELECT pg_stat_force_next_flush()")
    database.execute(f"VACUUM ANALYZE {table}")


def delete(database: Database, table: str, condition: str = "true") -> None:
    database.execute(f"DELETE FROM {table} WHERE {condition}")
    database.execute("SELECT pg_stat_force_next_flush()")


def vacuum(cli: Cli, database: Database, *arguments: str) -> tuple[Result, dict[str, dict]]:
    """What a run did, and its rows by relation."""
    result = cli("vacuum", "-d", database.url, "-f", "json", *arguments)
    rows = json.loads(result.out) if result.out else []
    return result, {row["relation"]: row for row in rows}


@contextmanager
def role(database: Database, options: str = "") -> Iterator[str]:
    name = f"vacuum_guest_{database.major}"
    database.execute(f"DROP ROLE IF EXISTS {name}")
    database.execute(f"CREATE ROLE {name} LOGIN {options}")
    try:
        yield name
    finally:
        database.execute(f"DROP OWNED BY {name}")
        database.execute(f"DROP ROLE {name}")


def as_role(database: Database, name: str) -> Database:
    return Database(database.connection, f"{database.url}&options=-crole%3D{name}", database.major)


def wait_for(database: Database, condition: str) -> None:
    """Wait until a query returns a row."""
    deadline = time.monotonic() + 20
    while not database.execute(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


# --- What needs it -----------------------------------------------------------


def test_nothing_needs_it(database: Database, cli: Cli) -> None:
    fill(database, "fresh", 1000)
    database.execute("VACUUM ANALYZE")
    done = cli("vacuum", "-d", database.url)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no table needs it, database postgresql://postgres@/")
    assert vacuum(cli, database)[0].out == "[]\n"


def test_the_worst_comes_first_with_its_reasons(database: Database, cli: Cli) -> None:
    fill(database, "bad", 1000)
    fill(database, "worse", 1000)
    fill(database, "fine", 1000)
    fill(database, "lenient", 1000, "autovacuum_vacuum_scale_factor = 0.9")
    delete(database, "bad", "id <= 300")
    delete(database, "worse", "id <= 900")
    delete(database, "fine", "id <= 100")
    delete(database, "lenient", "id <= 300")
    database.execute("CREATE TABLE unknown (id int); INSERT INTO unknown VALUES (1)")
    database.execute("SELECT pg_stat_force_next_flush()")

    done, rows = vacuum(cli, database, "--dry-run")

    assert done.code == 0
    assert list(rows)[:2] == ["public.worse", "public.bad"]
    assert rows["public.worse"]["reason"] == (
        "900 dead rows (threshold 250); 900 rows changed since the last analyze (threshold 150)"
    )
    assert rows["public.worse"]["statement"] == "VACUUM (ANALYZE, TRUNCATE false) public.worse"
    assert rows["public.worse"]["size"] == database.value("SELECT pg_total_relation_size('worse')")
    assert rows["public.unknown"]["reason"] == "never analyzed"
    assert rows["public.unknown"]["statement"] == "ANALYZE public.unknown"
    assert rows["public.lenient"]["statement"] == "ANALYZE public.lenient"
    assert "public.fine" not in rows
    assert database.value("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'bad'") == 300


def test_inserted_rows_need_it_too(database: Database, cli: Cli) -> None:
    fill(database, "grown", 10)
    database.execute("INSERT INTO grown SELECT i, '' FROM generate_series(1, 2000) i")
    database.execute("SELECT pg_stat_force_next_flush()")
    _, rows = vacuum(cli, database, "--dry-run")
    assert rows["public.grown"]["reason"].startswith(
        "2,000 rows inserted since the last vacuum (threshold 1,002); "
    )


def test_a_threshold_of_minus_one_is_never_reached(database: Database, cli: Cli) -> None:
    fill(database, "grown", 10, "autovacuum_vacuum_insert_threshold = -1")
    database.execute("INSERT INTO grown SELECT i, '' FROM generate_series(1, 2000) i")
    database.execute("SELECT pg_stat_force_next_flush()")
    _, rows = vacuum(cli, database, "--dry-run")
    assert rows["public.grown"]["statement"] == "ANALYZE public.grown"


def test_dead_rows_in_toast_count(database: Database, cli: Cli) -> None:
    fill(database, "large", 1000)
    database.execute("ALTER TABLE large ALTER body SET STORAGE EXTERNAL")
    for _ in range(3):
        database.execute("UPDATE large SET body = repeat('x', 50000) WHERE id <= 30")
    database.execute("SELECT pg_stat_force_next_flush()")
    _, rows = vacuum(cli, database, "large", "--dry-run")
    assert rows["public.large"]["reason"].endswith("; rows inserted into its TOAST table")
    done, rows = vacuum(cli, database)
    assert (done.code, rows["public.large"]["dead_after"]) == (0, 0)


def test_a_table_near_the_transaction_limit_is_frozen(database: Database, cli: Cli) -> None:
    fill(database, "old", 10, "autovacuum_freeze_max_age = 100000")
    spend_transactions(database, 96_000)
    _, rows = vacuum(cli, database, "--dry-run")
    assert rows["public.old"]["statement"] == "VACUUM (FREEZE, TRUNCATE false) public.old"
    assert "of where autovacuum must freeze" in rows["public.old"]["reason"]

    with session(database, "CREATE TABLE other ()"):
        spend_transactions(database, 96_000)
        done, rows = vacuum(cli, database)
        assert (done.code, rows["public.old"]["state"]) == (1, "held back")
        assert "its transaction age stays 96,0" in rows["public.old"]["detail"]
        assert "needed by pid" in rows["public.old"]["detail"]

    done, rows = vacuum(cli, database)
    assert (done.code, rows["public.old"]["state"]) == (0, "done")
    assert database.value("SELECT age(relfrozenxid) FROM pg_class WHERE relname = 'old'") < 1000


def spend_transactions(database: Database, count: int) -> None:
    database.execute("CREATE TABLE IF NOT EXISTS spent (i int) WITH (autovacuum_enabled = off)")
    database.execute(
        f"DO $$ BEGIN FOR i IN 1..{count} LOOP BEGIN INSERT INTO spent VALUES (i);"
        " EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
    )
    database.execute("TRUNCATE spent")
    database.execute("VACUUM ANALYZE spent")


# --- What it does ------------------------------------------------------------


def test_dead_rows_go_and_empty_pages_stay_unless_wanted(database: Database, cli: Cli) -> None:
    fill(database, "events", 20_000)
    delete(database, "events", "id > 1000")
    size = database.value("SELECT pg_relation_size('events')")

    done, rows = vacuum(cli, database)
    assert (done.code, done.err) == (0, "")
    row = rows["public.events"]
    assert (row["state"], row["dead_before"], row["dead_after"]) == ("done", 19_000, 0)
    assert database.value("SELECT pg_relation_size('events')") == size

    done, rows = vacuum(cli, database, "events", "--truncate")
    assert rows["public.events"]["size_after"] < rows["public.events"]["size_before"]


def test_people_read_a_table_and_a_line(database: Database, cli: Cli) -> None:
    fill(database, "events", 2000)
    delete(database, "events", "id > 1000")
    done = cli("vacuum", "-d", database.url, "events")
    assert (done.code, done.err) == (0, "")
    heading, _, row, total = done.out.splitlines()
    assert heading.split()[:3] == ["relation", "state", "duration"]
    assert row.split()[:2] == ["public.events", "done"]
    assert " 1,000 " in row
    assert total.startswith("1 table in ")


def test_quiet_says_nothing_when_all_is_done(database: Database, cli: Cli) -> None:
    fill(database, "events", 2000)
    delete(database, "events")
    assert cli("vacuum", "-d", database.url, "--all", "--analyze", "-q") == Result(0, "", "")
    assert database.value("SELECT n_dead_tup FROM pg_stat_user_tables") == 0


def test_all_and_jobs(database: Database, cli: Cli) -> None:
    for number in range(5):
        fill(database, f"t{number}", 100)
    done, rows = vacuum(cli, database, "--all", "--jobs", "3", "--freeze")
    assert done.code == 0
    assert sorted(rows) == [f"public.t{number}" for number in range(5)]
    counts = database.execute("SELECT vacuum_count FROM pg_stat_user_tables")
    assert counts == [(2,)] * 5


def test_a_partitioned_table_means_its_partitions(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    database.execute("CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100)")
    database.execute(
        "CREATE TABLE high PARTITION OF parted FOR VALUES FROM (100) TO (200)"
        " PARTITION BY LIST (id)"
    )
    database.execute("CREATE TABLE high_rest PARTITION OF high DEFAULT")
    database.execute("INSERT INTO parted SELECT generate_series(0, 199)")

    done, rows = vacuum(cli, database, "parted")
    assert done.code == 0
    assert sorted(rows) == ["public.high_rest", "public.low"]

    done, rows = vacuum(cli, database, "parted", "--analyze", "--dry-run")
    assert list(rows)[-1] == "public.parted"
    only = "ONLY " if database.major >= 18 else ""
    assert rows["public.parted"]["statement"] == f"ANALYZE {only}public.parted"
    done, rows = vacuum(cli, database, "parted", "--analyze", "--jobs", "2")
    assert (done.code, len(rows)) == (0, 3)
    assert database.value("SELECT count(*) FROM pg_stats WHERE tablename = 'parted'") == 1

    done, _ = vacuum(cli, database, "high")
    assert done == Result(
        1,
        "",
        "error: public.high is itself a partition of public.parted\n"
        "hint: name public.parted instead\n",
    )


def test_names_are_read_as_in_sql(database: Database, cli: Cli) -> None:
    database.execute('CREATE SCHEMA "My Schema"')
    database.execute('CREATE TABLE "My Schema"."Odd ""Name" (i int)')
    done, rows = vacuum(cli, database, '"My Schema"."Odd ""Name"')
    assert (done.code, list(rows)) == (0, ['"My Schema"."Odd ""Name"'])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("event", "there is no 'event' here; did you mean 'events'?"),
        ("a_view", "public.a_view is a view, which cannot be vacuumed"),
        ("numbers", "public.numbers is a sequence, which cannot be vacuumed"),
        ("a.b.c.d", "'a.b.c.d' cannot be read as a name: "),
        ("fleeting", "there is no 'fleeting' here"),
    ],
)
def test_names_that_cannot_be_vacuumed(
    database: Database, cli: Cli, name: str, message: str
) -> None:
    fill(database, "events", 10)
    database.execute("CREATE VIEW a_view AS SELECT 1; CREATE SEQUENCE numbers")
    database.execute("CREATE TEMP TABLE fleeting (i int)")
    done = cli("vacuum", "-d", database.url, "events", name)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"error: {message}")
    assert (
        database.value("SELECT vacuum_count FROM pg_stat_user_tables WHERE relname = 'events'") == 1
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("events", "--all"), "error: name either tables or --all\n"),
        (
            ("--full",),
            "error: --full wants the tables to rewrite, or --all\n"
            "hint: agentdb inspect bloat shows which of them waste space\n",
        ),
        (
            ("--full", "--all", "--truncate"),
            "error: --full rewrites the whole table; leave out --truncate\n",
        ),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], error: str, cli: Cli) -> None:
    assert cli("vacuum", "-d", "postgresql://nowhere.invalid/x", *arguments) == Result(2, "", error)


# --- What keeps it from being done -------------------------------------------


@pytest.mark.parametrize("analyze", [(), ("--analyze",)])
def test_dead_rows_that_an_old_transaction_needs(
    database: Database, cli: Cli, analyze: tuple[str, ...]
) -> None:
    fill(database, "events", 1000)
    fill(database, "other", 1)
    with session(
        database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT * FROM other"
    ) as holder:
        delete(database, "events")
        done, rows = vacuum(cli, database, "events", *analyze)
        row = rows["public.events"]
        assert (done.code, row["state"]) == (1, "held back")
        assert row["dead_after"] == 1000
        assert row["detail"].startswith(
            f"1,000 dead rows stay, needed by pid {holder.info.backend_pid} "
            "(app, idle in transaction for 0:00:0"
        )
        assert "1 of 1 table not done" in done.err
        assert "hint: end what needs the dead rows: agentdb inspect" in done.err
    done, rows = vacuum(cli, database, "events")
    assert (done.code, rows["public.events"]["dead_after"]) == (0, 0)


def test_dead_rows_that_a_hidden_session_needs(database: Database, cli: Cli) -> None:
    fill(database, "events", 1000)
    with role(database) as guest:
        database.execute(f"ALTER TABLE events OWNER TO {guest}")
        with session(
            database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT FROM events"
        ):
            delete(database, "events")
            done, rows = vacuum(cli, as_role(database, guest), "events")
        assert (done.code, rows["public.events"]["state"]) == (1, "held back")
        assert "a session that this role may not see" in rows["public.events"]["detail"]


def test_a_table_that_somebody_has_locked(database: Database, cli: Cli) -> None:
    fill(database, "events", 1000)
    fill(database, "free", 1000)
    with session(database, "LOCK TABLE events IN SHARE MODE") as holder:
        pid = holder.info.backend_pid
        done, rows = vacuum(cli, database, "events", "free", "--lock-timeout", "100ms")
    assert done.code == 1
    assert rows["public.free"]["state"] == "done"
    assert rows["public.events"]["state"] == "locked"
    assert rows["public.events"]["detail"].startswith(
        f"locked by pid {pid} (app, idle in transaction for 0:00:0"
    )
    assert "error: 1 of 2 tables not done, database postgresql://" in done.err
    assert "\n  public.events: locked by pid " in done.err


def test_readers_and_writers_do_not_keep_it_away(database: Database, cli: Cli) -> None:
    fill(database, "events", 1000)
    with session(database, "INSERT INTO events VALUES (0, '')", "SELECT FROM events"):
        done, rows = vacuum(cli, database, "events", "--lock-timeout", "100ms")
    assert (done.code, rows["public.events"]["state"]) == (0, "done")


def test_a_table_of_somebody_else(database: Database, cli: Cli) -> None:
    fill(database, "mine", 1000)
    fill(database, "theirs", 1000)
    with role(database) as guest:
        database.execute(f"ALTER TABLE mine OWNER TO {guest}")
        _, rows = vacuum(cli, as_role(database, guest), "--all", "--dry-run")
        assert {name: row["permitted"] for name, row in rows.items()} == {
            "public.mine": True,
            "public.theirs": False,
        }
        done, rows = vacuum(cli, as_role(database, guest), "mine", "theirs")
        assert done.code == 1
        assert rows["public.mine"]["state"] == "done"
        assert rows["public.theirs"]["state"] == "not permitted"
        more = ", nor has it MAINTAIN" if database.major >= 17 else ""
        detail = f"the role {guest} owns neither the table nor the database{more}"
        assert rows["public.theirs"]["detail"] == detail
        assert f"\n  public.theirs: not permitted: {detail}\n" in done.err
        assert done.err.endswith("hint: connect as the owner\n")
        if database.major >= 17:
            database.execute(f"GRANT MAINTAIN ON theirs TO {guest}")
            assert vacuum(cli, as_role(database, guest), "theirs")[0].code == 0


def test_what_the_server_skips_with_a_mere_warning_has_failed(
    database: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the owner changes between the look and the command."""
    from dataclasses import replace

    from agentdb_cli.maintenance import tables

    read = tables.read
    monkeypatch.setattr(
        tables, "read", lambda c: [replace(table, permitted=True) for table in read(c)]
    )
    fill(database, "theirs", 1000)
    with role(database) as guest:
        done, rows = vacuum(cli, as_role(database, guest), "theirs")
    assert (done.code, rows["public.theirs"]["state"]) == (1, "failed")
    assert "theirs" in rows["public.theirs"]["detail"]


def test_without_a_second_connection_it_works_without_progress(
    database18: Database, cli: Cli
) -> None:
    fill(database18, "events", 1000)
    with role(database18, "CONNECTION LIMIT 1") as guest:
        database18.execute(f"ALTER TABLE events OWNER TO {guest}")
        url = database18.url.replace("postgres@", f"{guest}@")
        done = cli("vacuum", "-d", url, "events", "--jobs", "2", "-f", "json")
        assert done.code == 0, done.err
        assert json.loads(done.out)[0]["state"] == "done"
        assert "warning: no further connection, going on without progress: " in done.err


# --- VACUUM FULL -------------------------------------------------------------


def test_full_states_its_price_and_wants_an_answer(database: Database, cli: Cli) -> None:
    fill(database, "events", 20_000)
    delete(database, "events", "id > 10")
    with session(database, "SELECT FROM events") as reader:
        done = cli("vacuum", "-d", database.url, "--full", "events")
        assert done.code == 2
        assert "holds an ACCESS EXCLUSIVE lock on each table until it is rewritten" in done.err
        assert f"in use by pid {reader.info.backend_pid} (app, idle in transaction" in done.err
        assert " of disk in the data directory, and as much WAL; " in done.err
        assert done.err.endswith(
            "error: nobody can be asked here\nhint: --yes goes on without a question\n"
        )
    before = database.value("SELECT relfilenode FROM pg_class WHERE relname = 'events'")
    assert cli("vacuum", "-d", database.url, "--full", "events", "--dry-run").code == 0
    assert database.value("SELECT relfilenode FROM pg_class WHERE relname = 'events'") == before

    done, rows = vacuum(cli, database, "--full", "events", "--yes")
    row = rows["public.events"]
    assert (done.code, row["state"], row["dead_after"]) == (0, "done", 0)
    assert row["size_after"] < row["size_before"] / 10
    # the visibility map is there again
    assert database.value("SELECT relallvisible FROM pg_class WHERE relname = 'events'") == 1


def test_full_asks_for_its_lock_thrice(database: Database, cli: Cli) -> None:
    fill(database, "events", 100)
    with session(database, "SELECT FROM events"):
        done, rows = vacuum(cli, database, "--full", "events", "--yes", "--lock-timeout", "20ms")
    assert (done.code, rows["public.events"]["state"]) == (1, "locked")
    assert "; trying again (2 of 3)\n" in done.err
    assert "; trying again (3 of 3)\n" in done.err


def test_full_refuses_catalogs(database: Database, cli: Cli) -> None:
    done = cli("vacuum", "-d", database.url, "--full", "--yes", "pg_catalog.pg_class")
    assert done == Result(
        1,
        "",
        "error: pg_catalog.pg_class is a system catalog, and no session can work while it is "
        "rewritten\nhint: leave out --full\n",
    )
    assert cli("vacuum", "-d", database.url, "pg_catalog.pg_class").code == 0


def test_full_refuses_a_disk_without_room(
    database: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, "events", 1000)
    monkeypatch.setattr("agentdb_cli.postgres.disk.free", lambda *_: 1024)
    before = database.value("SELECT relfilenode FROM pg_class WHERE relname = 'events'")
    done = cli("vacuum", "-d", database.url, "--full", "events", "--yes")
    assert done.code == 1
    assert "error: the disk has not enough room in the data directory: " in done.err
    assert " needed, 1 kB free\n" in done.err
    assert database.value("SELECT relfilenode FROM pg_class WHERE relname = 'events'") == before


# --- Behind a pooler that drops lock_timeout ---------------------------------


def test_without_lock_timeout_a_locked_table_is_skipped_at_once(
    database: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, "events", 1000)
    monkeypatch.setattr("agentdb_cli.postgres.server.lock_timeout_holds", lambda *_: False)
    with session(database, "LOCK TABLE events IN SHARE MODE") as holder:
        pid = holder.info.backend_pid
        done, rows = vacuum(cli, database, "events")
    assert (done.code, rows["public.events"]["state"]) == (1, "locked")
    assert rows["public.events"]["detail"].startswith(f"locked by pid {pid} (app, ")
    assert vacuum(cli, database, "events", "--analyze")[0].code == 0
    done = cli("vacuum", "-d", database.url, "events", "--full", "--yes")
    assert done.code == 1
    assert done.err == (
        "error: a pooler in between keeps --lock-timeout from the server, and VACUUM FULL could "
        "stop the application while it waits for its lock\n"
        "hint: connect to the server directly\n"
    )


# --- Interruption and progress -----------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(database: Database, number: signal.Signals) -> None:
    fill(database, "first", 100)
    fill(database, "events", 100)
    fill(database, "last", 100)
    with session(database, "LOCK TABLE events IN SHARE MODE"):
        command = ["vacuum", "-d", database.url, "first", "events", "last", "-f", "json"]
        process = subprocess.Popen(
            [*AGENTDB, *command, "--lock-timeout", "1min"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(
            database,
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass",
        )
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    states = {row["relation"]: row["state"] for row in json.loads(out)}
    assert states == {
        "public.first": "done",
        "public.events": "interrupted",
        "public.last": "not started",
    }
    assert not database.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'VACUUM%events' AND state = 'active'"
    )


def test_a_terminal_shows_a_bar(database18: Database) -> None:
    fill(database18, "events", 20_000)
    delete(database18, "events")
    options = "&options=-cvacuum_cost_delay%3D20ms%20-cvacuum_cost_limit%3D10"
    shown = on_a_terminal("vacuum", "-d", database18.url + options, "events")
    assert "public.events" in shown
    assert "scanning heap" in shown
    assert "%" in shown
    assert "1 table in " in shown


def on_a_terminal(*arguments: str) -> str:
    """What a command writes to a terminal of 120 columns."""
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(
        [*AGENTDB, *arguments], stdin=child, stdout=child, stderr=child, env=environment
    )
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(parent)
    assert process.wait(timeout=20) == 0, shown
    return shown.decode()
