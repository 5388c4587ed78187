"""The whole check-list in two round trips, each check a transaction of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import psycopg

from agentdb_cli.diagnosis import machine
from agentdb_cli.diagnosis.checks import Check
from agentdb_cli.diagnosis.findings import Finding, judge
from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres import pipeline
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.known import Backup
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import literal


@dataclass(frozen=True, slots=True)
class Known:
    """What a check may know beside the server's answer.

    Attributes:
        today: decides on the end of life.
        memory: of the server's machine in bytes; None to look at this one, if it is that.
        backups: the backups of any database that are known here.
        backed_up: whether agentdb.toml names a directory of backups.
    """

    today: date
    memory: int | None = None
    backups: tuple[Backup, ...] = ()
    backed_up: bool = False


@dataclass(frozen=True, slots=True)
class _Session:
    user: str
    pooled: bool
    data_directory: str | None
    hidden: frozenset[str]


def examine(
    connection: Connection, checks: Sequence[Check], known: Known, *, timeout: float
) -> tuple[Finding, ...]:
    """Run the checks, in their order.

    Args:
        connection: in autocommit mode, with short lock and statement timeouts.
        timeout: seconds until what has not come is given up.

    Raises:
        ServerDown: the server ended the session.
        AgentdbError: the server stopped answering.
    """
    started = time.monotonic()
    major = connection.info.server_version // 10_000
    try:
        session = _session(connection, checks, timeout, started)
        variables = _variables(connection, session, known)
        texts = [check.query(major, variables) for check in checks]
        # To compile the larger queries takes longer than to run them. Behind a pooler the
        # setting would stay with somebody else's session.
        first = (
            "SELECT 1" if session.pooled else "SELECT pg_catalog.set_config('jit', 'off', false)"
        )
        _, *tables = pipeline.ask(
            connection, [first, *texts], timeout=timeout, started=started
        ).tables
    except TimeoutError as error:
        raise AgentdbError(
            f"the server stopped answering: {error}",
            hint="--timeout waits longer; agentdb health tells whether it is there at all",
        ) from None
    return tuple(
        judge(check, answer, user=session.user, hidden=session.hidden)
        for check, answer in zip(checks, tables, strict=True)
    )


def _session(
    connection: Connection, checks: Sequence[Check], timeout: float, started: float
) -> _Session:
    roles = sorted({check.role for check in checks if check.role})
    text = query("diagnosis/session").replace(":'roles'", literal("{" + ",".join(roles) + "}"))
    (answer,) = pipeline.ask(connection, [text], timeout=timeout, started=started).tables
    if isinstance(answer, psycopg.Error):
        raise answer
    user, pid, directory, hidden = answer.rows[0]
    return _Session(
        user or "",
        int(pid or 0) != connection.info.backend_pid,
        directory,
        frozenset((hidden or "").split(",")),
    )


def _variables(connection: Connection, session: _Session, known: Known) -> dict[str, str]:
    """SQL for each variable of the checks."""
    here = machine.of(connection, session.data_directory)
    backups = json.dumps([asdict(backup) for backup in known.backups])
    return {
        "memory": _bigint(known.memory or here.memory),
        "disk_free": _bigint(here.disk_free),
        "disk_size": _bigint(here.disk_size),
        "pooled": _boolean(session.pooled),
        "today": f"date '{known.today.isoformat()}'",
        "backups": f"{literal(backups).strip()}::jsonb",
        "backed_up": _boolean(known.backed_up),
    }


def _bigint(value: int | None) -> str:
    return f"({'NULL' if value is None else value})::bigint"


def _boolean(value: bool) -> str:
    return "true" if value else "false"
