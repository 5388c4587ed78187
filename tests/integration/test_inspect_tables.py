"""Inspections of tables and indexes, each on the condition that it is there to see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import psycopg
import pytest
from conftest import Database, Result
from inspecting import inspect

Rows = list[dict[str, object]]
Cli = Callable[..., Result]

NAMES = (
    "bloat",
    "cache-hit",
    "dead-tuples",
    "duplicate-indexes",
    "index-sizes",
    "index-usage",
    "invalid-indexes",
    "missing-fk-indexes",
    "partitions",
    "seq-scans",
    "stale-statistics",
    "table-sizes",
    "toast",
    "unused-indexes",
    "vacuum-status",
    "vector-columns",
    "vector-indexes",
)
FINDINGS = (
    "bloat",
    "dead-tuples",
    "duplicate-indexes",
    "invalid-indexes",
    "missing-fk-indexes",
    "seq-scans",
    "stale-statistics",
    "toast",
    "unused-indexes",
)
"""Those that show nothing on a healthy database."""

DISTANT = "date '2000-01-01'"


def flush(database: Database) -> None:
    """Make the statistics of this session visible to others."""
    database.execute("SELECT pg_stat_force_next_flush()")


def as_role(database: Database, role: str) -> Database:
    """The database for a command that runs with the privileges of a role."""
    return Database(database.connection, f"{database.url}&options=-crole%3D{role}", database.major)


def eventually(read: Callable[[], object], expected: object) -> None:
    """Wait until the statistics say what they must."""
    deadline = time.monotonic() + 5
    while (seen := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen == expected


def by(rows: Iterable[dict[str, object]], column: str = "relation") -> dict[object, dict]:
    return {row[column]: row for row in rows}


def only(rows: Rows) -> dict[str, object]:
    assert len(rows) == 1, rows
    return rows[0]


def fill(database: Database, table: str, rows: int, *options: str) -> None:
    """A table with `rows` rows of about 100 bytes, out of autovacuum's reach."""
    with_ = ", ".join(("autovacuum_enabled = off", *options))
    database.execute(
        f"CREATE TABLE {table} (id int NOT NULL, body text NOT NULL, at timestamptz) WITH ({with_})"
    )
    database.execute(
        f"INSERT INTO {table} SELECT i, repeat('x', 60), now() FROM generate_series(1, {rows}) i"
    )
    flush(database)


def partition(database: Database, table: str, *days: str, default: bool = False) -> None:
    database.execute(f"CREATE TABLE {table} (at timestamptz, id int) PARTITION BY RANGE (at)")
    for number, day in enumerate(days):
        database.execute(
            f"DO $$ BEGIN EXECUTE format('CREATE TABLE {table}_{number} PARTITION OF {table}"
            f" FOR VALUES FROM (%L) TO (%L)', {day}, {day} + 1); END $$"
        )
    if default:
        database.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")


@pytest.mark.parametrize("name", FINDINGS)
def test_shows_nothing_on_a_healthy_database(database: Database, cli: Cli, name: str) -> None:
    fill(database, "healthy", 5_000, "fillfactor = 90")
    database.execute("ALTER TABLE healthy ADD PRIMARY KEY (id)")
    database.execute("CREATE TABLE child (id int PRIMARY KEY, healthy int REFERENCES healthy)")
    database.execute("CREATE INDEX ON child (healthy)")
    database.execute("INSERT INTO child SELECT i, i FROM generate_series(1, 1000) i")
    flush(database)
    database.execute("SELECT pg_stat_reset()")
    database.execute("SET enable_seqscan = off")
    database.execute("SELECT * FROM child WHERE healthy = 7")
    flush(database)
    database.execute("VACUUM ANALYZE")

    assert inspect(cli, database, name) == []


def test_every_inspection_works_for_a_role_without_privileges(database: Database, cli: Cli) -> None:
    fill(database, "hidden", 20_000)
    database.execute("CREATE INDEX ON hidden (id)")
    partition(database, "parted", "current_date")
    database.execute("DELETE FROM hidden WHERE id % 2 = 0")
    flush(database)
    database.execute("ANALYZE")
    role = f"nobody_{database.major}"
    database.execute(f"DROP ROLE IF EXISTS {role}")
    database.execute(f"CREATE ROLE {role} LOGIN")
    guest = as_role(database, role)
    try:
        for name in NAMES:
            inspect(cli, guest, name)
        # whose statistics it may not read is left out
        assert "public.hidden" in by(inspect(cli, database, "bloat"))
        assert inspect(cli, guest, "bloat") == []
        assert "public.hidden" in by(inspect(cli, guest, "table-sizes"))
    finally:
        database.execute(f"DROP ROLE {role}")


def test_names_are_quoted_and_do_not_depend_on_the_search_path(
    database: Database, cli: Cli
) -> None:
    database.execute('CREATE SCHEMA "Odd"')
    fill(database, '"Odd"."a table"', 10)
    name = database.value("SELECT current_database()")
    database.execute(f"ALTER DATABASE \"{name}\" SET search_path = 'Odd', 'public'")

    for inspection in NAMES:
        inspect(cli, database, inspection)
    assert list(by(inspect(cli, database, "table-sizes"))) == ['"Odd"."a table"']


def test_table_sizes_are_those_of_the_server(database: Database, cli: Cli) -> None:
    fill(database, "big", 20_000)
    database.execute("CREATE INDEX ON big (id)")
    database.execute("ANALYZE big")

    row = by(inspect(cli, database, "table-sizes"))["public.big"]

    size = database.value("SELECT pg_total_relation_size('big')")
    assert row["total_size"] == size
    assert row["indexes_size"] == database.value("SELECT pg_indexes_size('big')")
    assert row["toast_size"] == 8192  # an empty TOAST table has an index
    assert row["table_size"] + row["toast_size"] + row["indexes_size"] == size
    assert row["rows"] == 20_000
    assert row["partitions"] is None
    whole = database.value("SELECT pg_database_size(current_database())")
    assert row["percent"] == pytest.approx(100 * size / whole, abs=0.1)


def test_table_sizes_sum_up_partitions(database: Database, cli: Cli) -> None:
    partition(database, "events", DISTANT, "current_date", default=True)
    database.execute("INSERT INTO events SELECT now(), i FROM generate_series(1, 1000) i")
    database.execute("INSERT INTO events SELECT '1999-01-01', i FROM generate_series(1, 500) i")
    database.execute("ANALYZE")

    row = only(inspect(cli, database, "table-sizes"))

    assert (row["relation"], row["partitions"], row["rows"]) == ("public.events", 3, 1500)
    assert row["total_size"] == database.value(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('events')"
    )


def test_index_sizes(database: Database, cli: Cli) -> None:
    fill(database, "big", 20_000)
    database.execute("CREATE INDEX big_id ON big (id)")
    partition(database, "events", DISTANT, "current_date")
    database.execute("CREATE INDEX events_id ON events (id)")

    rows = by(inspect(cli, database, "index-sizes"), "index")

    assert list(rows) == ["public.big_id", "public.events_id"]
    big, events = rows.values()
    assert big["size"] == database.value("SELECT pg_relation_size('big_id')")
    assert (big["relation"], big["method"], big["partitions"]) == ("public.big", "btree", None)
    assert 10 < big["percent"] < 40
    assert (events["partitions"], events["size"]) == (2, 16384)


def test_toast_larger_than_the_table(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE documents (id int, body text, note varchar)")
    database.execute("ALTER TABLE documents ALTER body SET STORAGE EXTERNAL")
    database.execute(
        "INSERT INTO documents SELECT i, repeat('x', 10000) FROM generate_series(1, 50) i"
    )
    fill(database, "narrow", 1_000)

    row = only(inspect(cli, database, "toast"))

    assert row["relation"] == "public.documents"
    assert row["toastable"] == "body, note"
    assert 500_000 <= row["toast_size"] <= 700_000
    assert row["ratio"] == pytest.approx(row["toast_size"] / row["table_size"], abs=0.1)


def bloated(database: Database) -> None:
    """A table and an index that are half empty, and others that a fillfactor leaves room in."""
    fill(database, "half", 60_000)
    database.execute("CREATE INDEX half_id ON half (id)")
    database.execute("DELETE FROM half WHERE id % 2 = 0")
    fill(database, "loose", 60_000, "fillfactor = 70")
    database.execute("CREATE INDEX loose_id ON loose (id) WITH (fillfactor = 60)")
    flush(database)
    database.execute("VACUUM ANALYZE half, loose")


def test_bloat_is_estimated(database: Database, cli: Cli) -> None:
    bloated(database)

    rows = by(inspect(cli, database, "bloat"))

    assert list(rows) == ["public.half", "public.half_id"]
    table, index = rows.values()
    assert (table["kind"], index["kind"]) == ("table", "index")
    assert table["size"] == database.value("SELECT pg_relation_size('half')")
    assert table["percent"] == pytest.approx(50, abs=3)
    assert index["percent"] == pytest.approx(50, abs=3)
    assert table["bloat"] == pytest.approx(table["size"] / 2, rel=0.06)

    database.execute("VACUUM FULL half")
    flush(database)
    assert inspect(cli, database, "bloat") == []


def test_bloat_counts_rows_that_are_deleted_but_not_vacuumed(database: Database, cli: Cli) -> None:
    fill(database, "half", 40_000)
    database.execute("VACUUM ANALYZE half")
    database.execute("DELETE FROM half WHERE id <= 10000")
    flush(database)

    assert only(inspect(cli, database, "bloat"))["percent"] == pytest.approx(25, abs=3)


def test_bloat_of_partitions_is_summed_up(database: Database, cli: Cli) -> None:
    partition(database, "events", DISTANT, "current_date")
    database.execute("CREATE INDEX events_id ON events (id)")
    for day in ("'2000-01-01'", "now()"):
        database.execute(f"INSERT INTO events SELECT {day}, i FROM generate_series(1, 60000) i")
    database.execute("DELETE FROM events WHERE id % 2 = 0")
    flush(database)
    database.execute("VACUUM ANALYZE events")

    rows = by(inspect(cli, database, "bloat"))

    assert list(rows) == ["public.events", "public.events_id"]
    for row in rows.values():
        assert row["partitions"] == 2
        assert row["percent"] == pytest.approx(50, abs=3)


def test_estimated_bloat_is_near_the_measured(database15: Database, cli: Cli) -> None:
    database15.execute("CREATE SCHEMA tools")
    database15.execute("CREATE EXTENSION pgstattuple SCHEMA tools")
    bloated(database15)
    database15.execute(
        "CREATE TABLE wide (id int, name text, at timestamptz, flag bool, n numeric)"
    )
    database15.execute(
        "INSERT INTO wide SELECT i, CASE WHEN i % 3 > 0 THEN repeat('x', i % 200) END,"
        " CASE WHEN i % 5 = 0 THEN now() END, true, i * 1.5 FROM generate_series(1, 60000) i"
    )
    database15.execute("DELETE FROM wide WHERE id % 3 = 0")
    flush(database15)
    database15.execute("VACUUM ANALYZE wide")

    estimated = by(inspect(cli, database15, "bloat"))
    exact = by(inspect(cli, database15, "bloat-exact"))

    assert set(exact) == {f"public.{n}" for n in ("half", "half_id", "loose", "loose_id", "wide")}
    for name in ("public.half", "public.wide", "public.half_id"):
        assert exact[name]["size"] == estimated[name]["size"]
        assert estimated[name]["percent"] == pytest.approx(exact[name]["percent"], abs=5)
    for name in ("public.loose", "public.loose_id"):
        assert exact[name]["percent"] < 2
        assert exact[name]["free"] > exact[name]["size"] * 0.25


def test_exact_bloat_needs_the_extension_and_a_role(database15: Database, cli: Cli) -> None:
    refused = cli("inspect", "bloat-exact", "-d", database15.url)
    assert refused.code == 1
    assert "pgstattuple" in refused.err

    database15.execute("CREATE EXTENSION pgstattuple")
    fill(database15, "big", 20_000)
    database15.execute("DROP ROLE IF EXISTS unmeasured")
    database15.execute("CREATE ROLE unmeasured LOGIN")
    try:
        guest = as_role(database15, "unmeasured")
        result = cli("inspect", "bloat-exact", "-d", guest.url, "-f", "json")
        assert (result.code, result.out.strip()) == (0, "[]")
        assert "GRANT pg_stat_scan_tables" in result.err
    finally:
        database15.execute("DROP ROLE unmeasured")


def test_dead_tuples(database: Database, cli: Cli) -> None:
    fill(database, "half", 1_000)
    database.execute("DELETE FROM half WHERE id % 4 = 0")
    flush(database)

    eventually(
        lambda: [
            (row["relation"], row["n_live_tup"], row["n_dead_tup"], row["percent"])
            for row in inspect(cli, database, "dead-tuples")
        ],
        [("public.half", 750, 250, 25.0)],
    )

    database.execute("VACUUM half")
    eventually(lambda: inspect(cli, database, "dead-tuples"), [])


def test_dead_tuples_of_partitions_are_summed_up(database: Database, cli: Cli) -> None:
    partition(database, "events", DISTANT, "current_date")
    for day in ("'2000-01-01'", "now()"):
        database.execute(f"INSERT INTO events SELECT {day}, i FROM generate_series(1, 100) i")
    database.execute("DELETE FROM events WHERE id <= 20")
    flush(database)

    row = only(inspect(cli, database, "dead-tuples"))
    assert (row["relation"], row["partitions"]) == ("public.events", 2)
    assert (row["n_live_tup"], row["n_dead_tup"], row["percent"]) == (160, 40, 20.0)
    assert only(inspect(cli, database, "vacuum-status"))["n_dead_tup"] == 40


def test_vacuum_status_against_the_thresholds_of_a_table(database: Database, cli: Cli) -> None:
    fill(
        database,
        "own",
        1_000,
        "autovacuum_vacuum_threshold = 10",
        "autovacuum_vacuum_scale_factor = 0.1",
        "autovacuum_analyze_threshold = 300",
        "autovacuum_vacuum_insert_threshold = 200",
        "autovacuum_vacuum_insert_scale_factor = 0",
    )
    fill(database, "defaults", 1_000)
    database.execute("VACUUM ANALYZE own, defaults")
    database.execute("DELETE FROM own WHERE id <= 111")
    database.execute("DELETE FROM defaults WHERE id <= 111")
    flush(database)

    rows = by(inspect(cli, database, "vacuum-status"))

    own, defaults = rows["public.own"], rows["public.defaults"]
    assert list(rows) == ["public.own", "public.defaults"]
    assert (own["n_dead_tup"], own["vacuum_threshold"], own["needs_vacuum"]) == (111, 110, True)
    assert (own["n_mod_since_analyze"], own["analyze_threshold"]) == (111, 400)
    assert (own["insert_threshold"], own["n_ins_since_vacuum"]) == (200, 0)
    assert not own["needs_analyze"]
    assert not own["needs_freeze"]
    assert own["autovacuum"] is False
    assert own["last_vacuum"] is not None
    assert (defaults["vacuum_threshold"], defaults["analyze_threshold"]) == (250, 150)
    assert not defaults["needs_vacuum"]
    assert defaults["insert_threshold"] == 1200

    database.execute("INSERT INTO defaults SELECT i, '' FROM generate_series(1, 1201) i")
    flush(database)
    row = by(inspect(cli, database, "vacuum-status"))["public.defaults"]
    assert (row["n_ins_since_vacuum"], row["needs_vacuum"]) == (1201, True)
    assert row["needs_analyze"]


def test_vacuum_status_knows_the_limit_of_18(database18: Database, cli: Cli) -> None:
    fill(database18, "capped", 1_000, "autovacuum_vacuum_max_threshold = 60")
    database18.execute("VACUUM (FREEZE, ANALYZE) capped")

    row = only(inspect(cli, database18, "vacuum-status"))

    assert row["vacuum_threshold"] == 60
    assert row["insert_threshold"] == 1000  # all pages are frozen: the scale factor adds nothing


def test_vacuum_status_of_old_transaction_ids(database: Database, cli: Cli) -> None:
    fill(database, "young", 10)
    database.execute("CREATE TABLE old (id int) WITH (autovacuum_freeze_max_age = 100000)")
    database.execute("SET synchronous_commit = off")
    database.execute(
        "DO $$ BEGIN FOR i IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    )

    rows = by(inspect(cli, database, "vacuum-status"))

    assert list(rows) == ["public.old", "public.young"]
    old, young = rows.values()
    assert (old["needs_freeze"], young["needs_freeze"]) == (True, False)
    assert 100_100 <= old["relfrozenxid_age"] < 101_000
    assert 100 < old["percent"] < 101

    database.execute("VACUUM (FREEZE) old")
    assert not any(row["needs_freeze"] for row in inspect(cli, database, "vacuum-status"))


def test_cache_hit(database: Database, cli: Cli) -> None:
    fill(database, "read", 5_000)
    database.execute("CREATE INDEX ON read (id)")
    flush(database)
    database.execute("SELECT pg_stat_reset()")
    database.execute("SELECT count(*) FROM read")
    database.execute("SET enable_seqscan = off")
    database.execute("SELECT * FROM read WHERE id = 7")
    flush(database)

    rows = inspect(cli, database, "cache-hit")

    assert rows[0]["kind"] == "database"
    table, indexes = (
        only([row for row in rows if row["kind"] == kind]) for kind in ("table", "indexes")
    )
    pages = database.value("SELECT pg_relation_size('read') / 8192")
    assert (table["relation"], indexes["relation"]) == ("public.read", "public.read")
    assert table["blks_hit"] + table["blks_read"] == pytest.approx(pages, abs=5)
    assert table["percent"] == pytest.approx(
        100 * table["blks_hit"] / (table["blks_hit"] + table["blks_read"]), abs=0.01
    )
    assert indexes["blks_hit"] + indexes["blks_read"] > 0


def test_index_usage_and_sequential_scans(database: Database, cli: Cli) -> None:
    fill(database, "scanned", 20_000)
    fill(database, "found", 20_000)
    database.execute("CREATE INDEX found_id ON found (id)")
    database.execute("ANALYZE")
    flush(database)
    database.execute("SELECT pg_stat_reset()")
    for _ in range(12):
        database.execute("SELECT count(*) FROM scanned WHERE body = ''")
        database.execute("SELECT * FROM found WHERE id = 7")
    database.execute("SELECT count(*) FROM found WHERE body = ''")
    flush(database)

    usage = by(inspect(cli, database, "index-usage"))
    assert list(usage) == ["public.scanned", "public.found"]
    assert usage["public.scanned"]["percent"] == 0
    assert usage["public.found"]["percent"] == 92.3  # 12 of 13
    assert usage["public.found"]["idx_scan"] == 12

    row = only(inspect(cli, database, "seq-scans"))
    assert (row["relation"], row["seq_scan"]) == ("public.scanned", 12)
    assert (row["seq_tup_read"], row["rows_per_scan"]) == (240_000, 20_000)
    assert ("last_seq_scan" in row) == (database.major >= 16)


def test_unused_indexes(database: Database, cli: Cli) -> None:
    fill(database, "t", 2_000)
    for column, name in {"at": "never", "body": "rare", "id": "often"}.items():
        database.execute(f"CREATE INDEX {name} ON t ({column})")
    partition(database, "events", DISTANT, "current_date")
    database.execute("CREATE INDEX events_id ON events (id)")
    database.execute("ANALYZE")
    flush(database)
    database.execute("SELECT pg_stat_reset()")
    database.execute("SET enable_seqscan = off")
    database.execute("SELECT FROM t WHERE body = ''")
    for _ in range(3):
        database.execute("SELECT FROM t WHERE id = 3")
    database.execute("CREATE UNIQUE INDEX constrained ON t (id)")
    database.execute("CREATE UNIQUE INDEX replica ON t (id, body)")
    database.execute("ALTER TABLE t REPLICA IDENTITY USING INDEX replica")
    database.execute("INSERT INTO t SELECT i, i::text, now() FROM generate_series(2001, 3100) i")
    flush(database)

    rows = by(inspect(cli, database, "unused-indexes"), "index")

    assert rows.keys() == {"public.never", "public.rare", "public.events_id"}
    assert (rows["public.never"]["idx_scan"], rows["public.rare"]["idx_scan"]) == (0, 1)
    assert rows["public.rare"]["writes"] == 1_100
    assert rows["public.never"]["size"] == database.value("SELECT pg_relation_size('never')")
    assert rows["public.never"]["stats_reset"] is not None
    assert rows["public.events_id"]["partitions"] == 2

    for row in rows.values():
        database.execute(row["statement"])
    assert inspect(cli, database, "unused-indexes") == []
    assert database.value("SELECT count(*) FROM pg_indexes WHERE indexname = 'often'") == 1


def test_duplicate_indexes(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text, d text)")
    for definition in (
        "INDEX again ON t (id)",
        "INDEX a_1 ON t (a) WHERE b > 0",
        "INDEX a_2 ON t (a) WHERE b > 0",
        "INDEX a_other ON t (a) WHERE b > 1",
        "INDEX b ON t (b)",
        "INDEX b_c ON t (b, c)",
        "INDEX b_included ON t (b) INCLUDE (c)",
        "INDEX b_down ON t (b DESC)",
        "INDEX c_pattern ON t (c text_pattern_ops)",
        'INDEX c_c ON t (c COLLATE "C", d)',
        "INDEX c ON t (c)",
        "INDEX d_hash ON t USING hash (d)",
        "INDEX d ON t (d, a)",
        "UNIQUE INDEX d_unique ON t (d)",
        "INDEX expression ON t (lower(d))",
        "INDEX expression_2 ON t (lower(d), a)",
        "INDEX expression_other ON t (upper(d))",
    ):
        database.execute(f"CREATE {definition}")

    rows = by(inspect(cli, database, "duplicate-indexes"), "index")

    assert {name: (row["kind"], row["covered_by"]) for name, row in rows.items()} == {
        "public.again": ("duplicate", "public.t_pkey"),
        "public.a_2": ("duplicate", "public.a_1"),
        "public.b": ("prefix", rows["public.b"]["covered_by"]),
        "public.b_included": ("prefix", "public.b_c"),
        "public.expression": ("prefix", "public.expression_2"),
    }
    assert all(row["size"] > 0 and row["relation"] == "public.t" for row in rows.values())

    for row in rows.values():
        database.execute(row["statement"])
    assert inspect(cli, database, "duplicate-indexes") == []
    assert database.value("SELECT count(*) FROM pg_indexes WHERE tablename = 't'") == 13


def test_duplicate_indexes_of_partitions_are_one(database: Database, cli: Cli) -> None:
    partition(database, "events", DISTANT, "current_date")
    database.execute("CREATE INDEX by_id_1 ON events (id)")
    database.execute("CREATE INDEX by_id_2 ON events (id)")

    row = only(inspect(cli, database, "duplicate-indexes"))

    assert (row["index"], row["covered_by"]) == ("public.by_id_2", "public.by_id_1")
    database.execute(row["statement"])
    assert inspect(cli, database, "duplicate-indexes") == []


def test_foreign_keys_without_an_index(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE parent (id int PRIMARY KEY, x int, y int, UNIQUE (x, y))")
    database.execute("INSERT INTO parent SELECT i, i, i FROM generate_series(1, 500) i")
    database.execute(
        'CREATE TABLE child (one int REFERENCES parent ON DELETE CASCADE, "Two" int, three int,'
        ' good int REFERENCES parent, partly int REFERENCES parent, FOREIGN KEY ("Two", three)'
        " REFERENCES parent (x, y), FOREIGN KEY (three, good) REFERENCES parent (x, y))"
    )
    database.execute("INSERT INTO child SELECT i, i, i FROM generate_series(1, 300) i")
    database.execute("CREATE INDEX ON child (good, three)")
    database.execute("CREATE INDEX ON child (partly) WHERE partly IS NOT NULL")
    database.execute("CREATE INDEX ON child (one) WHERE one > 7")
    partition(database, "events", DISTANT, "current_date")
    database.execute("ALTER TABLE events ADD FOREIGN KEY (id) REFERENCES parent")
    database.execute("ANALYZE")

    rows = by(inspect(cli, database, "missing-fk-indexes"), "columns")

    assert rows.keys() == {"one", '"Two", three', "id"}
    assert rows["one"]["constraint"] == "child_one_fkey"
    assert (rows["one"]["referenced"], rows["one"]["on_delete"]) == ("public.parent", "CASCADE")
    assert (rows["one"]["rows"], rows['"Two", three']["on_delete"]) == (300, "NO ACTION")
    assert rows["id"]["relation"] == "public.events"

    for row in rows.values():
        database.execute(row["statement"])
    assert inspect(cli, database, "missing-fk-indexes") == []


def test_invalid_indexes(database: Database, cli: Cli) -> None:
    database.execute("CREATE TABLE t (id int)")
    database.execute("INSERT INTO t VALUES (1), (1), (2)")
    for name in ("t_id", "t_id_ccnew", "t_id_ccold1"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            database.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON t (id)")

    rows = by(inspect(cli, database, "invalid-indexes"), "index")

    assert rows.keys() == {"public.t_id", "public.t_id_ccnew", "public.t_id_ccold1"}
    assert "duplicate" in rows["public.t_id"]["problem"]
    assert "REINDEX CONCURRENTLY" in rows["public.t_id_ccnew"]["problem"]
    assert "not dropped" in rows["public.t_id_ccold1"]["problem"]
    assert not any(row["building"] for row in rows.values())

    database.execute("DELETE FROM t WHERE id = 1")
    for row in rows.values():
        database.execute(row["statement"])
    assert inspect(cli, database, "invalid-indexes") == []
    assert database.execute("SELECT indexname FROM pg_indexes WHERE tablename = 't'") == [("t_id",)]


def test_invalid_index_of_a_partitioned_table(database: Database, cli: Cli) -> None:
    partition(database, "events", DISTANT)
    database.execute("CREATE INDEX whole ON ONLY events (id)")

    row = only(inspect(cli, database, "invalid-indexes"))
    assert (row["index"], row["statement"]) == ("public.whole", None)
    assert "ATTACH PARTITION" in row["problem"]

    database.execute("CREATE INDEX part ON events_0 (id)")
    database.execute("ALTER INDEX whole ATTACH PARTITION part")
    assert inspect(cli, database, "invalid-indexes") == []


def test_partitions_that_are_missing(database: Database, cli: Cli) -> None:
    # noon in the database's own time zone, so that no midnight comes in between
    name = database.value("SELECT current_database()")
    hour = database.value("SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::int")
    database.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Etc/GMT{hour - 12:+d}'")
    database.execute(f"SET timezone = 'Etc/GMT{hour - 12:+d}'")
    partition(database, "ended", DISTANT, default=True)
    database.execute("INSERT INTO ended SELECT now(), i FROM generate_series(1, 30) i")
    partition(database, "today", "current_date - 1", "current_date")
    partition(database, "ready", "current_date", "current_date + 1")
    partition(database, "bare")
    database.execute("CREATE TABLE hashed (id int) PARTITION BY HASH (id)")
    database.execute("CREATE TABLE h0 PARTITION OF hashed FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    database.execute("CREATE TABLE dates (day date) PARTITION BY RANGE (day)")
    database.execute(
        "CREATE TABLE d0 PARTITION OF dates FOR VALUES FROM ('2000-01-01') TO (MAXVALUE)"
    )
    flush(database)

    rows = by(inspect(cli, database, "partitions"))

    assert {
        relation.removeprefix("public."): (row["today"], row["tomorrow"], row["problem"])
        for relation, row in rows.items()
    } == {
        "ended": (False, False, "no partition for today; rows in the default partition"),
        "bare": (False, False, "no partitions"),
        "today": (True, False, "no partition for tomorrow"),
        "ready": (True, True, None),
        "dates": (True, True, None),
        "hashed": (None, None, None),
    }
    assert list(rows)[:3] == ["public.ended", "public.bare", "public.today"]
    ended, dates = rows["public.ended"], rows["public.dates"]
    assert (ended["partitions"], ended["default_rows"]) == (1, 30)
    assert ended["default_partition"] == "public.ended_rest"
    assert ended["last_bound"].startswith("2000-01-02")
    assert ended["size"] == database.value(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('ended')"
    )
    assert (dates["key"], dates["strategy"]) == ("RANGE (day)", "range")
    assert rows["public.hashed"]["strategy"] == "hash"


def test_stale_statistics(database: Database, cli: Cli) -> None:
    fill(database, "never", 500)
    fill(database, "changed", 1_000)
    fill(database, "current", 1_000)
    database.execute("CREATE TABLE empty (id int)")
    partition(database, "events", DISTANT, "current_date")
    database.execute("INSERT INTO events SELECT now(), i FROM generate_series(1, 100) i")
    flush(database)
    database.execute("ANALYZE changed, current")
    database.execute("ANALYZE events_0, events_1")
    database.execute("UPDATE changed SET body = '' WHERE id <= 150")
    database.execute("UPDATE current SET body = '' WHERE id <= 50")
    flush(database)

    rows = by(inspect(cli, database, "stale-statistics"))

    assert list(rows) == ["public.never", "public.changed", "public.events"]
    assert (rows["public.never"]["last_analyze"], rows["public.never"]["rows"]) == (None, 500)
    assert rows["public.changed"]["n_mod_since_analyze"] == 150
    assert rows["public.changed"]["percent"] == 15.0
    assert rows["public.changed"]["last_analyze"] is not None
    # the partitions are analysed, the table itself is not
    assert rows["public.events"]["stale_partitions"] == 0
    assert rows["public.events"]["last_analyze"] is None

    for row in rows.values():
        database.execute(row["statement"])
    assert inspect(cli, database, "stale-statistics") == []


def test_vectors_are_absent_without_the_extension(database15: Database, cli: Cli) -> None:
    assert inspect(cli, database15, "vector-indexes") == []
    assert inspect(cli, database15, "vector-columns") == []


def vectors(database: Database) -> None:
    database.execute("CREATE SCHEMA extensions")
    database.execute("CREATE EXTENSION vector SCHEMA extensions")
    database.execute("SET search_path = public, extensions")
    database.execute(
        "CREATE TABLE memories (id int, embedding vector(3), half halfvec(3), loose vector)"
        " WITH (autovacuum_enabled = off)"
    )
    database.execute(
        "INSERT INTO memories SELECT i, CASE WHEN i % 4 > 0 THEN"
        " ARRAY[i, i % 7, i % 5]::real[]::vector END, ARRAY[1, i, 2]::real[]::halfvec"
        " FROM generate_series(1, 2000) i"
    )
    flush(database)
    database.execute("VACUUM ANALYZE memories")


def test_vector_indexes(database18: Database, cli: Cli) -> None:
    vectors(database18)
    for definition in (
        "graph ON memories USING hnsw (embedding vector_cosine_ops)"
        " WITH (m = 8, ef_construction = 32)",
        "plain ON memories USING hnsw (half halfvec_ip_ops)",
        "lists ON memories USING ivfflat (embedding vector_l2_ops) WITH (lists = 2)",
        "many ON memories USING ivfflat (half halfvec_l2_ops)",
        "ignored ON memories (id)",
    ):
        database18.execute(f"CREATE INDEX {definition}")
    database18.execute("DELETE FROM memories WHERE id > 1900")
    flush(database18)

    rows = by(inspect(cli, database18, "vector-indexes"), "index")

    assert rows.keys() == {"public.graph", "public.plain", "public.lists", "public.many"}
    graph, plain, lists, many = (rows[f"public.{n}"] for n in ("graph", "plain", "lists", "many"))
    assert (graph["method"], graph["m"], graph["ef_construction"]) == ("hnsw", 8, 32)
    assert (graph["operator_class"], graph["distance"]) == ("vector_cosine_ops", "cosine (<=>)")
    assert (graph["column"], graph["relation"]) == ("embedding", "public.memories")
    assert (plain["m"], plain["ef_construction"], plain["lists"]) == (16, 64, None)
    assert plain["distance"] == "inner product (<#>)"
    assert (lists["lists"], lists["recommended_lists"], lists["rows_per_list"]) == (2, 2, 1000)
    assert (lists["m"], lists["problem"]) == (None, None)
    assert (many["lists"], many["recommended_lists"], many["rows_per_list"]) == (100, 2, 20)
    assert many["problem"] == "rebuild it with lists = 2"
    assert all(row["rows"] == 2_000 and row["valid"] for row in rows.values())
    assert all(row["n_dead_tup"] == 100 for row in rows.values())
    assert graph["size"] == database18.value("SELECT pg_relation_size('graph')")
    share = database18.value(
        "SELECT 100.0 * pg_relation_size('graph') / pg_size_bytes(current_setting("
        "'shared_buffers'))"
    )
    assert graph["shared_buffers_percent"] == pytest.approx(float(share), abs=0.06)


def test_vector_columns(database18: Database, cli: Cli) -> None:
    vectors(database18)
    database18.execute("CREATE INDEX ON memories USING hnsw (embedding vector_l2_ops)")
    database18.execute(
        "CREATE INDEX ON memories USING hnsw ((loose::vector(4)) vector_l2_ops)"
        " WHERE loose IS NOT NULL"
    )

    rows = by(inspect(cli, database18, "vector-columns"), "column")

    assert {
        name: (row["type"], row["dimension"], row["null_percent"], row["indexed"])
        for name, row in rows.items()
    } == {
        "embedding": ("vector", 3, 25.0, True),
        "half": ("halfvec", 3, 0.0, False),
        "loose": ("vector", None, 100.0, True),
    }
    assert all(row["rows"] == 2_000 for row in rows.values())
