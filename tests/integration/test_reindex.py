"""`agentdb reindex`: what it finds, what it leaves alone, and what becomes of a failed rebuild."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from conftest import Database, Result
from sessions import session

Cli = Callable[..., Result]
AGENTDB = [sys.executable, "-m", "agentdb_cli"]
LEFTOVER = "left by a REINDEX CONCURRENTLY of public.events_id that failed"


def fill(database: Database, rows: int = 1000) -> None:
    """The table `events` with the index `events_id`, out of autovacuum's reach."""
    database.execute("CREATE TABLE events (id int, k int) WITH (autovacuum_enabled = off)")
    database.execute(f"INSERT INTO events SELECT i, i FROM generate_series(1, {rows}) i")
    database.execute("CREATE INDEX events_id ON events (id)")
    database.execute("VACUUM ANALYZE events")


def reindex(cli: Cli, database: Database, *arguments: str) -> tuple[Result, dict[str, dict]]:
    """What a run did, and its rows by index."""
    result = cli("reindex", "-d", database.url, "-f", "json", *arguments)
    rows = json.loads(result.out) if result.out else []
    return result, {row["index"]: row for row in rows}


def indexes(database: Database, table: str = "events") -> dict[str, bool]:
    """Whether each index of a table is valid."""
    rows = database.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass",
        table,
    )
    return dict(rows)


@contextmanager
def snapshot(database: Database) -> Iterator[psycopg.Connection]:
    """A session with a snapshot, which REINDEX CONCURRENTLY waits for before it swaps."""
    database.execute("CREATE TABLE IF NOT EXISTS other (i int)")
    isolation = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    with session(database, isolation, "SELECT FROM other") as other:
        yield other


def leave_behind(database: Database, count: int = 1) -> None:
    """Let REINDEX CONCURRENTLY of `events_id` fail midway, as often as wanted."""
    with snapshot(database), psycopg.connect(database.url, autocommit=True) as other:
        other.execute("SET lock_timeout = 100")
        for _ in range(count):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("REINDEX INDEX CONCURRENTLY events_id")


def wait_for(database: Database, condition: str) -> None:
    """Wait until a query returns a row."""
    deadline = time.monotonic() + 20
    while not database.execute(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


WAITING = "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for old%'"


# --- What it finds -----------------------------------------------------------


def test_nothing_needs_it(database: Database, cli: Cli) -> None:
    fill(database)
    done = cli("reindex", "-d", database.url)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no index needs it, database postgresql://postgres@/")


def test_leftovers_are_dropped(database: Database, cli: Cli) -> None:
    fill(database)
    leave_behind(database, 2)
    assert indexes(database) == {
        "events_id": True,
        "events_id_ccnew": False,
        "events_id_ccnew1": False,
    }
    _, rows = reindex(cli, database, "--dry-run")
    assert {name: (row["reason"], row["statement"]) for name, row in rows.items()} == {
        f"public.{name}": (LEFTOVER, f"DROP INDEX CONCURRENTLY public.{name}")
        for name in ("events_id_ccnew", "events_id_ccnew1")
    }
    assert len(indexes(database)) == 3

    done, _ = reindex(cli, database)
    assert done.err == "error: nobody can be asked here\nhint: --yes goes on without a question\n"
    assert len(indexes(database)) == 3

    done, rows = reindex(cli, database, "--yes")
    assert (done.code, done.err) == (0, "")
    assert [(row["action"], row["state"]) for row in rows.values()] == [("drop", "done")] * 2
    assert indexes(database) == {"events_id": True}


def test_a_leftover_after_the_swap_is_dropped(database: Database, cli: Cli) -> None:
    fill(database)
    with (
        session(database, "SELECT FROM events"),
        psycopg.connect(database.url, autocommit=True) as other,
    ):
        other.execute("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("REINDEX INDEX CONCURRENTLY events_id")
    left = [name for name, valid in indexes(database).items() if not valid]
    assert len(left) == 1
    done, rows = reindex(cli, database, "--yes")
    assert (done.code, list(rows)) == (0, [f"public.{left[0]}"])
    assert indexes(database) == {"events_id": True}


def test_an_index_that_is_merely_named_like_a_leftover_stays(database: Database, cli: Cli) -> None:
    fill(database)
    database.execute("CREATE INDEX events_id_ccnew ON events (k)")
    database.execute("CREATE INDEX orphan_ccold ON events (k)")
    database.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orphan_ccold'::regclass"
    )
    done, rows = reindex(cli, database, "--yes")
    assert (done.code, rows) == (0, {})
    assert done.err == (
        "warning: public.orphan_ccold is left out: it is invalid and named as a leftover of "
        "REINDEX CONCURRENTLY, but its table has no index that it could be left over from\n"
    )
    assert indexes(database) == {"events_id": True, "events_id_ccnew": True, "orphan_ccold": False}


def test_a_long_name_is_cut_before_its_suffix(database: Database, cli: Cli) -> None:
    fill(database)
    name = "i" * 60 + "end"
    database.execute(f"CREATE INDEX {name} ON events (k)")
    with snapshot(database), psycopg.connect(database.url, autocommit=True) as other:
        other.execute("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute(f"REINDEX INDEX CONCURRENTLY {name}")
    done, rows = reindex(cli, database, "--yes")
    assert (done.code, [row["action"] for row in rows.values()]) == (0, ["drop"])
    assert indexes(database) == {"events_id": True, name: True}


def test_the_index_of_a_running_reindex_is_not_touched(database: Database, cli: Cli) -> None:
    fill(database)
    with snapshot(database) as holder:
        running = subprocess.Popen(
            [*AGENTDB, "reindex", "-d", database.url, "events_id"], stderr=subprocess.PIPE
        )
        wait_for(database, WAITING)
        done, rows = reindex(cli, database, "--yes")
        assert (done.code, rows) == (0, {})
        assert "public.events_id_ccnew is invalid, and left alone: pid " in done.err
        # named, it is waited for, and then given up
        done, rows = reindex(cli, database, "events_id_ccnew", "--lock-timeout", "300ms")
        assert (done.code, rows["public.events_id_ccnew"]["state"]) == (1, "locked")
        assert indexes(database) == {"events_id": True, "events_id_ccnew": False}
        holder.rollback()
        _, err = running.communicate(timeout=20)
    assert (running.returncode, err) == (0, b"")
    assert indexes(database) == {"events_id": True}


def test_the_index_of_a_running_create_is_not_touched(database: Database, cli: Cli) -> None:
    fill(database)
    with snapshot(database) as holder:
        program = (
            "import psycopg, sys;psycopg.connect(sys.argv[1], autocommit=True).execute(sys.argv[2])"
        )
        create = "CREATE INDEX CONCURRENTLY events_k ON events (k)"
        running = subprocess.Popen([sys.executable, "-c", program, database.url, create])
        wait_for(database, WAITING)
        done, rows = reindex(cli, database, "--yes")
        assert (done.code, rows) == (0, {})
        assert "public.events_k is invalid, and left alone: pid " in done.err
        holder.rollback()
        assert running.wait(timeout=20) == 0
    assert indexes(database) == {"events_id": True, "events_k": True}


def test_an_invalid_index_is_rebuilt_once_its_duplicates_are_gone(
    database: Database, cli: Cli
) -> None:
    fill(database)
    database.execute("INSERT INTO events VALUES (1, 1)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute("CREATE UNIQUE INDEX CONCURRENTLY events_k ON events (k)")

    done, rows = reindex(cli, database, "--yes")
    row = rows["public.events_k"]
    assert (done.code, row["state"]) == (1, "failed")
    assert row["detail"] == (
        'could not create unique index "events_k_ccnew": Key (k)=(1) is duplicated; '
        "dropped public.events_k_ccnew, which it left"
    )
    assert f"error: 1 of 1 index not done, database {'postgresql://'}" in done.err
    assert indexes(database) == {"events_id": True, "events_k": False}

    database.execute("DELETE FROM events WHERE ctid = (SELECT max(ctid) FROM events)")
    done, rows = reindex(cli, database, "--yes")
    assert (done.code, rows["public.events_k"]["state"]) == (0, "done")
    assert indexes(database) == {"events_id": True, "events_k": True}


def test_a_bloated_index_is_rebuilt(database: Database, cli: Cli) -> None:
    fill(database, 800_000)
    database.execute("CREATE INDEX events_fine ON events (k) WHERE k > 700000")
    database.execute("DELETE FROM events WHERE id % 20 <> 0")
    database.execute("SELECT pg_stat_force_next_flush()")
    database.execute("VACUUM ANALYZE events")
    done, rows = reindex(cli, database, "--dry-run")
    row = rows["public.events_id"]
    assert list(rows) == ["public.events_id"]
    assert row["reason"].endswith(" bloat, estimated")
    assert row["statement"] == "REINDEX INDEX CONCURRENTLY public.events_id"
    size = database.value("SELECT pg_relation_size('events_id')")
    assert row["size"] == size

    _, rows = reindex(cli, database, "--yes")
    done = rows["public.events_id"]
    assert done["size_before"] == size
    assert done["size_after"] == database.value("SELECT pg_relation_size('events_id')")
    # the estimate was good to a tenth of the index
    assert abs(size - done["size_after"] - row["gain"]) < size / 10
    assert reindex(cli, database, "--dry-run")[0].out == "[]\n"


def test_a_vector_index_with_many_dead_rows(database18: Database, cli: Cli) -> None:
    database18.execute("CREATE EXTENSION vector")
    database18.execute(
        "CREATE TABLE memories (id int, e vector(64)) WITH (autovacuum_enabled = off)"
    )
    database18.execute(
        "INSERT INTO memories SELECT i, (SELECT array_agg(random()) FROM generate_series(1, 64)"
        " WHERE i > 0)::vector FROM generate_series(1, 6000) i"
    )
    database18.execute("CREATE INDEX memories_e ON memories USING hnsw (e vector_l2_ops)")
    database18.execute("ANALYZE memories")
    assert reindex(cli, database18, "--dry-run")[0].out == "[]\n"
    database18.execute("DELETE FROM memories WHERE id <= 1500")
    database18.execute("SELECT pg_stat_force_next_flush()")
    _, rows = reindex(cli, database18, "--dry-run")
    assert rows["public.memories_e"]["reason"] == "1,500 dead rows beside 6,000 live ones"

    url = f"{database18.url}&options=-cmaintenance_work_mem%3D1MB"
    done = cli("reindex", "-d", url, "memories_e")
    assert done.code == 0
    assert (
        "public.memories_e: hnsw graph no longer fits into maintenance_work_mem after" in done.err
    )
    assert "(Increase maintenance_work_mem to speed up builds.)" in done.err


# --- Names -------------------------------------------------------------------


def test_a_table_means_all_its_indexes(database: Database, cli: Cli) -> None:
    fill(database)
    database.execute("ALTER TABLE events ADD COLUMN body text")
    database.execute("CREATE INDEX events_k ON events (k)")
    before = database.value("SELECT 'events_id'::regclass::oid")
    done, rows = reindex(cli, database, "events")
    assert done.code == 0
    toast = database.value(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c"
        " ON c.reltoastrelid = i.indrelid WHERE c.oid = 'events'::regclass"
    )
    assert set(rows) == {"public.events_id", "public.events_k", toast}
    assert database.value("SELECT 'events_id'::regclass::oid") != before


def test_a_partitioned_index_means_those_of_the_partitions(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    database.execute("CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100)")
    database.execute("CREATE TABLE high PARTITION OF parted FOR VALUES FROM (100) TO (200)")
    database.execute("CREATE INDEX parted_id ON parted (id)")
    for name in ("parted_id", "parted"):
        done, rows = reindex(cli, database, name)
        assert (done.code, sorted(rows)) == (0, ["public.high_id_idx", "public.low_id_idx"])
    assert indexes(database, "low") == {"low_id_idx": True}


def test_all_leaves_out_the_systems_own(database: Database, cli: Cli) -> None:
    fill(database)
    database.execute("CREATE TABLE ranges (r int4range, EXCLUDE USING gist (r WITH &&))")
    done, rows = reindex(cli, database, "--all")
    assert done.code == 0
    assert [name for name in rows if not name.startswith("pg_toast.")] == ["public.events_id"]
    assert done.err == (
        "warning: public.ranges_r_excl is left out: it enforces an exclusion constraint\n"
    )
    assert cli("reindex", "-d", database.url, "events", "-q") == Result(0, "", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "ranges_r_excl",
            "public.ranges_r_excl cannot be rebuilt without locking the application out: "
            "it enforces an exclusion constraint\n"
            "hint: agentdb rebuilds no index in another way; nothing was done",
        ),
        (
            "pg_catalog.pg_class_oid_index",
            "pg_catalog.pg_class_oid_index cannot be rebuilt without locking the application out: "
            "it belongs to a system catalog\n"
            "hint: agentdb rebuilds no index in another way; nothing was done",
        ),
        ("events_ids", "there is no 'events_ids' here; did you mean 'events_id'?"),
        ("bare", "public.bare has no index"),
        ("a_view", "public.a_view is neither an index nor a table"),
    ],
)
def test_refused(database: Database, cli: Cli, name: str, message: str) -> None:
    fill(database)
    database.execute("CREATE TABLE ranges (r int4range, EXCLUDE USING gist (r WITH &&))")
    database.execute("CREATE TABLE bare (); CREATE VIEW a_view AS SELECT 1")
    before = database.value("SELECT 'events_id'::regclass::oid")
    done = cli("reindex", "-d", database.url, "events_id", name)
    assert done == Result(1, "", f"error: {message}\n")
    assert database.value("SELECT 'events_id'::regclass::oid") == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("events", "--all"), "error: name either indexes and tables or --all\n"),
        (("--wait", "soon"), "error: --wait must be "),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], error: str, cli: Cli) -> None:
    done = cli("reindex", "-d", "postgresql://nowhere.invalid/x", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(error)


def test_an_index_of_somebody_else(database: Database, cli: Cli) -> None:
    fill(database)
    guest = f"reindex_guest_{database.major}"
    database.execute(f"DROP ROLE IF EXISTS {guest}")
    database.execute(f"CREATE ROLE {guest}")
    try:
        theirs = Database(
            database.connection, f"{database.url}&options=-crole%3D{guest}", database.major
        )
        done, rows = reindex(cli, theirs, "events_id")
        assert (done.code, rows["public.events_id"]["state"]) == (1, "not permitted")
        more = " nor has MAINTAIN on the table" if database.major >= 17 else ""
        assert rows["public.events_id"]["detail"] == f"the role {guest} does not own it{more}"
    finally:
        database.execute(f"DROP ROLE {guest}")


def test_a_disk_without_room(database: Database, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database)
    monkeypatch.setattr("agentdb_cli.postgres.disk.free", lambda *_: 1024)
    done = cli("reindex", "-d", database.url, "events_id")
    assert done == Result(
        1,
        "",
        "error: the disk has not enough room to rebuild public.events_id: "
        "40 kB needed, 1 kB free\nhint: rebuild smaller ones by name, or make room\n",
    )


# --- Waiting -----------------------------------------------------------------


def test_it_waits_longer_for_an_old_transaction_than_for_a_lock(
    database: Database, cli: Cli
) -> None:
    fill(database)
    with snapshot(database) as holder:
        running = subprocess.Popen(
            [*AGENTDB, "reindex", "-d", database.url, "events_id", "--lock-timeout", "50ms"]
        )
        wait_for(database, WAITING)
        # far more than the lock timeout, and writers pass
        database.execute("SELECT pg_sleep(0.5)")
        database.execute("INSERT INTO events VALUES (0, 0)")
        assert running.poll() is None
        holder.rollback()
        assert running.wait(timeout=20) == 0
    assert indexes(database) == {"events_id": True}


def test_waiting_in_vain_leaves_nothing_behind(database: Database, cli: Cli) -> None:
    fill(database)
    with snapshot(database) as holder:
        pid = holder.info.backend_pid
        done, rows = reindex(cli, database, "events_id", "--wait", "200ms")
    row = rows["public.events_id"]
    assert (done.code, row["state"]) == (1, "locked")
    assert row["detail"].startswith(
        f"waited in vain for the older transaction of pid {pid} (app, idle in transaction for 0:00"
    )
    assert row["detail"].endswith("; dropped public.events_id_ccnew, which it left")
    assert indexes(database) == {"events_id": True}


def test_what_cannot_be_dropped_yet_is_said(database: Database, cli: Cli) -> None:
    fill(database)
    with session(database, "INSERT INTO events VALUES (0, 0)"):
        done, rows = reindex(
            cli, database, "events_id", "--wait", "200ms", "--lock-timeout", "200ms"
        )
    detail = rows["public.events_id"]["detail"]
    assert done.code == 1
    assert (
        "; public.events_id_ccnew is left and could not be dropped (canceling statement due to "
        "lock timeout): agentdb reindex public.events_id_ccnew drops it" in detail
    )
    done, _ = reindex(cli, database, "public.events_id_ccnew")
    assert done.code == 0
    assert indexes(database) == {"events_id": True}


def test_a_table_that_somebody_works_on(database: Database, cli: Cli) -> None:
    fill(database)
    with session(database, "LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE") as holder:
        pid = holder.info.backend_pid
        done, rows = reindex(cli, database, "events_id", "--lock-timeout", "100ms")
    row = rows["public.events_id"]
    assert (done.code, row["state"]) == (1, "locked")
    assert row["detail"].startswith(f"locked by pid {pid} (app, idle in transaction for 0:00:0")
    assert indexes(database) == {"events_id": True}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(database: Database, number: signal.Signals) -> None:
    fill(database)
    database.execute("CREATE INDEX events_k ON events (k)")
    with snapshot(database):
        process = subprocess.Popen(
            [*AGENTDB, "reindex", "-d", database.url, "events", "-f", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(database, WAITING)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert indexes(database) == {"events_id": True, "events_k": True}
    assert (process.returncode, err) == (130, "error: interrupted\n")
    first, second = json.loads(out)
    assert (first["state"], second["state"]) == ("interrupted", "not started")
    assert first["detail"].endswith("; dropped public.events_id_ccnew, which it left")


def test_a_log_says_whom_it_waits_for(database18: Database) -> None:
    fill(database18)
    with snapshot(database18) as holder:
        pid = holder.info.backend_pid
        process = subprocess.Popen(
            [*AGENTDB, "reindex", "-d", database18.url, "events_id"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        line = process.stderr.readline()
        holder.rollback()
        assert process.wait(timeout=20) == 0
    assert line.startswith(
        f"public.events_id: waiting for old snapshots: pid {pid} (app, idle in transaction for "
    )
    process.stderr.close()
