"""An archiving run may be killed at any instant: no row is lost, none is twice and unmarked."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard
from conftest import Database
from pyarrow import parquet

from agentdb_cli.retention.archive import Archive, Format
from agentdb_cli.retention.archive.manifest import Manifest, State

ROUNDS = 24
ROWS = 30_000

# Deletes in batches as purge does; dies by itself before or after a step that is named.
DRIVER = """
import os, signal, sys, psycopg
from contextlib import contextmanager
from pathlib import Path
from agentdb_cli.retention.archive import Archive, Format
from agentdb_cli.retention.archive import encoding, files, manifest

url, directory, format, step, when, skip, batches = sys.argv[1:]
left = int(skip)

def die():
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

def arm(owner, name):
    original = getattr(owner, name)
    def armed(*arguments, **options):
        if when == "before":
            die()
        result = original(*arguments, **options)
        if when == "after":
            die()
        return result
    setattr(owner, name, armed)

steps = {
    "encode": (encoding.Zstd, "write"),
    "finish": (files.PartFile, "finish"),
    "rename": (Path, "rename"),
    "written": (manifest.Manifest, "written"),
    "mark": (manifest.Manifest, "mark"),
}
connection = psycopg.connect(url, autocommit=True, application_name="driver")
oid = connection.execute("SELECT 'kept'::regclass::oid").fetchone()[0]
archive = Archive.open(Path(directory), connection, "public.kept", oid, Format(format), print)
if step in steps:
    arm(*steps[step])
print("go", flush=True)
for _ in range(int(batches)):
    low = connection.execute("SELECT min(id) FROM kept").fetchone()[0]
    if low is None:
        break
    with connection.transaction():
        part = archive.write(
            connection, f"DELETE FROM kept AS t WHERE id < {low + 300} RETURNING {{row}}")
    archive.commit(part)
archive.close()
"""


def fill(database: Database) -> None:
    database.execute("CREATE TABLE kept (id int PRIMARY KEY, body jsonb)")
    database.execute(
        "INSERT INTO kept SELECT g, jsonb_build_object('n', g, 'text', repeat('x', g % 50))"
        f" FROM generate_series(1, {ROWS}) AS g"
    )


def drive(
    database: Database,
    directory: Path,
    format: str,
    step: str = "none",
    when: str = "",
    skip: int = 0,
    batches: int = 1000,
) -> subprocess.Popen:
    """Start the driver and wait until it is about to delete."""
    arguments = (database.url, directory, format, step, when, skip, batches)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line == "go\n":
            break
    return process


def dead(database: Database, process: subprocess.Popen) -> None:
    """Wait until a killed driver's session has ended too."""
    assert process.wait(30) == -signal.SIGKILL
    assert process.stdout is not None
    process.stdout.close()
    deadline = time.monotonic() + 30
    while database.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'driver'"):
        assert time.monotonic() < deadline


def in_table(database: Database) -> set[int]:
    return {row[0] for row in database.execute("SELECT id FROM kept")}


def in_parts(directory: Path, *states: State) -> list[int]:
    """The ids in all parts of these states; every file must be whole."""
    manifest = Manifest(directory / "public.kept")
    found: list[int] = []
    for record in manifest.records.values():
        path = manifest.directory / record.part.name
        if record.state not in states:
            continue
        if record.part.format is Format.parquet:
            ids = parquet.read_table(path, columns=["id"])["id"].to_pylist()
        else:
            with zstandard.open(path, "rb") as file:
                lines = file.read().decode().splitlines()
            if record.part.format is Format.csv:
                ids = [int(line.partition(",")[0]) for line in lines[1:]]
            else:
                ids = [json.loads(line)["id"] for line in lines]
        assert len(ids) == record.part.rows
        found += ids
    return found


def check(database: Database, directory: Path) -> None:
    """Before and after the next run has settled what was left, nothing is lost or doubled."""
    everything = set(range(1, ROWS + 1))
    table = in_table(database)
    committed = in_parts(directory, State.committed)
    written = in_parts(directory, State.written)
    assert len(committed) == len(set(committed))
    assert not table & set(committed), "a row is in both and not marked so"
    assert table | set(committed) | set(written) == everything, "a row is in neither"

    oid = database.value("SELECT 'kept'::regclass::oid")
    Archive.open(
        directory, database.connection, "public.kept", oid, Format.csv, lambda _: None
    ).close()
    committed = in_parts(directory, State.committed)
    assert in_parts(directory, State.written, State.doubtful) == []
    assert len(committed) + len(table) == ROWS
    assert set(committed) | table == everything
    listed = {
        name
        for name, record in Manifest(directory / "public.kept").records.items()
        if record.state is State.committed
    }
    there = {path.name for path in (directory / "public.kept").iterdir()}
    assert there == listed | {"lock", "manifest.jsonl"}


def test_kills_at_random_instants(database: Database, tmp_path: Path) -> None:
    fill(database)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    formats = list(Format)
    killed = 0
    for number in range(ROUNDS):
        process = drive(database, tmp_path, formats[number % 3])
        time.sleep(chance.uniform(0, 0.1))  # the instant is what is tried here
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += process.returncode == -signal.SIGKILL
        if process.returncode == -signal.SIGKILL:
            dead(database, process)
        check(database, tmp_path)
    assert killed > ROUNDS // 2
    assert in_table(database) != set(range(1, ROWS + 1))


@pytest.mark.parametrize(
    ("step", "when", "skip", "batches"),
    [
        ("encode", "before", 0, 0),
        ("encode", "after", 2, 2),
        ("finish", "before", 1, 1),
        ("rename", "before", 1, 1),
        ("rename", "after", 1, 1),
        ("finish", "after", 1, 1),
        ("written", "before", 1, 1),
        ("written", "after", 1, 1),
        ("mark", "before", 1, 2),
        ("mark", "after", 1, 2),
    ],
)
def test_a_kill_at_each_step(
    step: str, when: str, skip: int, batches: int, database: Database, tmp_path: Path
) -> None:
    fill(database)
    process = drive(database, tmp_path, "jsonl", step, when, skip)
    dead(database, process)
    check(database, tmp_path)
    assert len(in_table(database)) == ROWS - batches * 300


def test_a_run_that_is_not_killed_leaves_nothing_to_settle(
    database: Database, tmp_path: Path
) -> None:
    fill(database)
    process = drive(database, tmp_path, "jsonl", batches=5)
    assert process.wait(60) == 0
    assert len(in_parts(tmp_path, State.committed)) == 1500
    check(database, tmp_path)
