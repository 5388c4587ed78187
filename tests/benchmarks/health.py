"""`agentdb health` against a Python process that imports the same libraries and asks for 1."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import Contender, Peer, Place, Race, Row, agentdb, tell
from servers import Server, running

_ROUNDS = 21
_TABLES = 5000
_SESSIONS = 500
_AT_ONCE = 250
"""Tables of one transaction: each takes locks, and the server has room for 6,400."""

_AGENTS = """
INSERT INTO agent.agents (id, state, started_at)
SELECT 'agent-' || n, 'running', now() - interval '1 day' FROM generate_series(1, 10) AS n;
INSERT INTO telemetry.heartbeats (agent_id, occurred_at)
SELECT id, now() FROM agent.agents;
INSERT INTO telemetry.metrics (agent_id, metric_name, value, occurred_at)
SELECT id, 'cpu_usage', 1, now() FROM agent.agents;
INSERT INTO telemetry.events (event_type, severity, occurred_at)
SELECT 'e', 'INFO', now() FROM generate_series(1, 100);
INSERT INTO memory.memories (content, embedding)
SELECT 'text', array_fill(1::real, ARRAY[1536])::vector FROM generate_series(1, 100);
"""
_TABLE = """
CREATE TABLE t_{0:04d} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
INSERT INTO t_{0:04d} (name) VALUES ('x');
"""


def healthy_pack(directory: Path, server: Server) -> Race:
    """All checks on the default pack with a few rows."""
    server.recreate("healthy")
    Place(directory).time([agentdb(), "migrate", "--quiet", "--url", server.url("healthy")])
    with server.connect("healthy") as connection:
        connection.execute(_AGENTS)
    return _race("health", server, "healthy", bar=1.6)


@dataclass(frozen=True, slots=True)
class Crowd:
    """All checks on 5,000 tables, while 500 sessions are open."""

    directory: Path
    rounds: int = _ROUNDS

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Start a server with room for the sessions, fill it, and race."""
        with _roomy(self.directory) as server, ExitStack() as stack:
            server.recreate("crowd")
            with server.connect("crowd") as connection:
                for first in range(0, _TABLES, _AT_ONCE):
                    tell(f"health-crowd: {first} of {_TABLES} tables")
                    numbers = range(first, first + _AT_ONCE)
                    connection.execute("".join(map(_TABLE.format, numbers)).encode())
            for _ in range(_SESSIONS):
                stack.enter_context(server.connect("crowd"))
            return _race("health-crowd", server, "crowd", bar=3).measure(place, rounds)


def _race(name: str, server: Server, database: str, bar: float) -> Race:
    url = server.url(database)
    # In autocommit mode, or each would end in a rollback, of which the check is to find few.
    connect = f"psycopg.connect({url!r}, autocommit=True)"
    program = f"import psycopg, typer, rich; {connect}.execute('select 1')"
    peer = Contender("python: select 1", [sys.executable, "-c", program])
    # It exits with 0 only if no check finds anything and none is unknown.
    ours = Contender("agentdb", [agentdb(), "health", "--url", url])
    return Race(name, ours, (Peer(peer.name, peer, bar),), _ROUNDS)


@contextmanager
def _roomy(directory: Path) -> Iterator[Server]:
    """A server of its own, of whose connections 500 are no finding."""
    own = directory / "roomy"
    own.mkdir(exist_ok=True)
    own.chmod(0o755)
    with running(own) as server:
        server.administrator.execute("ALTER SYSTEM SET max_connections = 700")
    with running(own) as server:
        yield server
