"""Whether a server takes maintenance commands at all."""

from __future__ import annotations

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection


def refuse_standby(connection: Connection, what: str) -> None:
    """Make sure that the server is no standby.

    Args:
        what: the command, such as `VACUUM`.

    Raises:
        AgentdbError: it is.
    """
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is not None and row[0]:
        raise AgentdbError(
            f"this server is a standby, which takes no {what}",
            hint="run it on the primary; the standby follows",
        )


def role(connection: Connection) -> str:
    """The role that commands run as; not the one that logged in after SET ROLE."""
    row = connection.execute("SELECT current_user::text").fetchone()
    return str(row[0]) if row else ""


def lock_timeout_holds(connection: Connection, milliseconds: int) -> bool:
    """Whether the session has the lock_timeout that it was opened with.

    Behind PgBouncer it may not, and what one session sets there, another one inherits.
    """
    row = connection.execute(
        "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'lock_timeout'"
    ).fetchone()
    return row is not None and row[0] == milliseconds
