"""`agentdb restore` against pg_restore as it is typed by hand, with one job.

Two million rows with three indexes, and 100,000 vectors with an HNSW index. Ours also reads
every checksum first, and afterwards analyzes, counts every table and looks at every index.
"""

from __future__ import annotations

from pathlib import Path

from harness import Contender, NotMeasured, Peer, Place, Race, agentdb, tell
from servers import Server

from agentdb_cli.postgres.embedded.binaries import embedded

_SOURCE, _GOAL = "restore_source", "restore_goal"
_ROUNDS = 3
_ROWS = 2_000_000
_VECTORS = 100_000
_DIMENSIONS = 128
_BAR = 1 / 1.4
_TABLES = f"""
CREATE EXTENSION vector;
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, agent text NOT NULL,
    at timestamptz NOT NULL, body text
);
INSERT INTO events (agent, at, body)
    SELECT 'agent-' || i % 1000, now() - i * interval '1 second', md5(i::text)
    FROM generate_series(1, {_ROWS}) AS i;
CREATE INDEX ON events (at);
CREATE INDEX ON events (agent, at);
CREATE TABLE memories (id int PRIMARY KEY, embedding vector({_DIMENSIONS}));
INSERT INTO memories
    SELECT i, ARRAY(SELECT random() FROM generate_series(1, {_DIMENSIONS}) WHERE i > 0)::vector
    FROM generate_series(1, {_VECTORS}) AS i;
"""  # no values of the user's own are in it
_INDEX = "CREATE INDEX ON memories USING hnsw (embedding vector_cosine_ops)"


def race(directory: Path, server: Server) -> Race:
    """Both restore the same backup into a new database."""
    backups = directory / "backups"
    tell("restore: loading")
    server.recreate(_SOURCE)
    with server.connect(_SOURCE) as connection:
        connection.execute(_TABLES.encode())
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(_INDEX)
    url = server.url(_SOURCE)
    Place(directory).time([agentdb(), "backup", "create", "-d", url, "--to", str(backups)])
    made = next(path for path in backups.iterdir() if path.is_dir())
    goal = server.url(_GOAL)
    return Race(
        "restore",
        _contender(
            server,
            "agentdb restore",
            [agentdb(), "restore", made.name, "--dir", str(backups), "--to", goal],
        ),
        (
            Peer(
                "pg_restore",
                _contender(
                    server,
                    "pg_restore",
                    [embedded().program("pg_restore"), "-d", goal, str(made / "data")],
                ),
                _BAR,
            ),
        ),
        _ROUNDS,
    )


def _contender(server: Server, name: str, command: list[str]) -> Contender:
    def verify() -> None:
        with server.connect(_GOAL) as connection:
            rows = [
                connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
                for table in ("events", "memories")
            ]
        if rows != [(_ROWS,), (_VECTORS,)]:
            raise NotMeasured(f"{rows} restored")

    return Contender(name, command, lambda: server.recreate(_GOAL), verify)
