"""`agentdb doctor`: the whole check-list on a database of 2,000 tables within a second."""

from __future__ import annotations

from harness import Check, Place, agentdb, tell
from servers import Server

_ROUNDS = 11
_TABLES = 2000
_AT_ONCE = 200
"""Tables of one transaction: each takes locks, and the server has room for 6,400."""
_LIMIT = 1.0
"""Seconds."""

_TABLE = """
CREATE TABLE t_{0} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent bigint REFERENCES t_{1},
    tenant_id int,
    name text,
    state text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON t_{0} (created_at);
CREATE INDEX ON t_{0} (name, state);
INSERT INTO t_{0} (name, state) SELECT 'name ' || n, 'x' FROM generate_series(1, 200) AS n;
"""


def check_list(server: Server) -> Check:
    """All checks; the defaults of a server are worth a warning, so the exit code is to be 1."""
    server.recreate("doctor")
    with server.connect("doctor") as connection:
        for first in range(0, _TABLES, _AT_ONCE):
            tell(f"doctor: {first} of {_TABLES} tables")
            numbers = range(first, first + _AT_ONCE)
            statements = "".join(_TABLE.format(n, max(n - 1, 0)) for n in numbers)
            connection.execute(statements.encode())
        connection.execute("ANALYZE")
    command = f"'{agentdb()}' doctor --url '{server.url('doctor')}'; [ $? -eq 1 ]"

    def run(place: Place) -> tuple[float, str]:
        seconds = place.time(["sh", "-c", command])
        return seconds, "" if seconds < _LIMIT else f"it took over {_LIMIT:g} s"

    return Check("doctor", run, _ROUNDS)
