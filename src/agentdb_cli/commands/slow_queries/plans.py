"""`agentdb slow-queries --explain ID`: finding the statement, and showing its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.slow_queries import views
from agentdb_cli.errors import AgentdbError
from agentdb_cli.render import duration

if TYPE_CHECKING:
    from agentdb_cli.monitoring.slow_queries.sampling import Group
    from agentdb_cli.monitoring.slow_queries.server import Server
    from agentdb_cli.monitoring.slow_queries.statements import Reading
    from agentdb_cli.postgres.connect import Connection


def explain(
    run: Invocation,
    connection: Connection,
    server: Server,
    reading: Reading | None,
    wanted: str,
    seconds: float,
) -> None:
    """Show the plan of a statement, which is not run.

    Args:
        reading: what pg_stat_statements has, or None to look at the sessions.
        wanted: the identifier that the command shows.
        seconds: how long to look at the sessions for it.

    Raises:
        AgentdbError: there is no such statement, or it cannot be planned.
    """
    from agentdb_cli.monitoring.slow_queries.explain import plan

    if reading is not None:
        text = _recorded(connection, server, reading, wanted)
    else:
        text = _seen(run, connection, server, wanted, seconds)
    lines = plan(connection, text)
    views.plan(run.output, wanted, text, lines)
    if connection.info.server_version < 160_000 and "Subplans Removed" in "".join(lines):
        run.output.notice("partitions are missing from the plan as if every parameter were null")


def _recorded(connection: Connection, server: Server, reading: Reading, wanted: str) -> str:
    """The text of a statement in pg_stat_statements, of this database."""
    from agentdb_cli.monitoring.slow_queries import statements

    found = [s for s in reading.statements if str(s.key.query_id) == wanted]
    here = [s for s in found if s.database == server.database]
    if found and not here:
        raise AgentdbError(
            f"the statement {wanted} ran in the database {found[0].database}, not in this one",
            hint=f"connect to {found[0].database} to explain it",
        )
    if not here:
        raise AgentdbError(
            f"pg_stat_statements knows no statement {wanted}",
            hint="agentdb slow-queries lists the identifiers; --sample 30s looks for it "
            "in the sessions",
        )
    key = here[0].key
    text = statements.texts(connection, server, [key.query_id])[key.database_oid, key.query_id]
    if text is None:
        raise AgentdbError(f"the server has lost the text of the statement {wanted}")
    return text


def _seen(
    run: Invocation, connection: Connection, server: Server, wanted: str, seconds: float
) -> str:
    """The text of a statement that a session is seen to run."""
    from agentdb_cli.monitoring.slow_queries import sampling

    def is_wanted(group: Group) -> bool:
        return group.id == wanted

    length = duration(seconds)
    run.output.notice(f"looking for {wanted} in the sessions for up to {length}")
    found = sampling.sample(connection, seconds, database_oid=server.database_oid, enough=is_wanted)
    group = next(filter(is_wanted, found.groups), None)
    if group is None:
        raise AgentdbError(
            f"no session was seen to run the statement {wanted}",
            hint="look longer: --sample 1min; agentdb slow-queries lists the identifiers",
        )
    if sampling.is_cut(group.text, server):
        raise AgentdbError(
            f"the server has only the beginning of the statement {wanted}",
            hint="raise track_activity_query_size (it needs a restart)",
        )
    return group.text
