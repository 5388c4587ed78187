"""`agentdb server`: control the embedded PostgreSQL server."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import group, register
from agentdb_cli.errors import AgentdbError, ServerError

if TYPE_CHECKING:
    from agentdb_cli.postgres.embedded import Cluster, Postmaster

app = group("Control the embedded PostgreSQL server.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")]


@register(app, "start")
def start(
    run: Invocation,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Listen on 127.0.0.1 at this port as well, with a password."
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Start it; made first if need be. No TCP port is opened unless --port asks for one."""
    from agentdb_cli.postgres import embedded

    found = embedded.find(run.settings.server)
    before = found.postmaster() if found else None
    port = port or run.settings.server.port
    if dry_run:
        where = found.layout.data if found else "a new data directory"
        run.output.line(f"{'runs already' if before else 'would start'}: {where}")
        return
    cluster, postmaster = embedded.ensure_running(run.settings.server, run.output.notice, port)
    if port and not (postmaster.tcp and postmaster.port == port):
        raise ServerError(
            f"the server runs already, without TCP port {port}",
            hint="agentdb server stop, then start it again with --port",
        )
    if port:
        with run.connect_embedded() as connection:
            embedded.ensure_tcp_password(connection, cluster, port)
    run.output.record(_state(run, cluster, postmaster))


@register(app, "stop")
def stop(run: Invocation, dry_run: DryRun = False) -> None:
    """Stop it; sessions are ended, committed rows are safe."""
    from agentdb_cli.postgres import embedded

    running = embedded.find_running(run.settings.server)
    if running is None:
        run.output.line("not running")
        return
    cluster, postmaster = running
    if dry_run:
        run.output.line(f"would stop pid {postmaster.pid} of {cluster.layout.data}")
    else:
        cluster.stop()
        run.output.line(f"stopped {cluster.layout.data}")


@register(app, "status")
def status(run: Invocation) -> None:
    """Show whether it runs, and where; exit 1 if it does not run."""
    from agentdb_cli.postgres import embedded

    cluster = embedded.find(run.settings.server)
    postmaster = cluster.postmaster() if cluster else None
    run.output.record(_state(run, cluster, postmaster))
    if postmaster is None:
        raise typer.Exit(1)


@register(app, "url")
def url(run: Invocation) -> None:
    """Print a URL for other programs; it holds no password."""
    cluster, postmaster = _running(run)
    typer.echo(_url(run, cluster, postmaster))


@register(app, "logs")
def logs(
    run: Invocation,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")
    ] = 50,
) -> None:
    """Print the last lines of its log."""
    from agentdb_cli.postgres import embedded

    cluster = embedded.find(run.settings.server)
    path = cluster.newest_log() if cluster else None
    if path is None:
        raise AgentdbError(
            "the embedded server has no log yet", hint="agentdb server start starts it"
        )
    run.output.notice(str(path))
    for line in path.read_text(errors="replace").splitlines()[-lines:]:
        typer.echo(line)


@register(app, "psql")
def psql(
    run: Invocation,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- PSQL OPTIONS]", help="Passed on to psql.")
    ] = None,
) -> None:
    """Open psql on it, started if need be."""
    with run.connect_embedded():
        pass  # starts the server and creates the database
    cluster, postmaster = _running(run)
    program = cluster.binaries.program("psql")
    keywords = cluster.keywords(postmaster, run.embedded_database())
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PG")},
        "PGHOST": keywords["host"],
        "PGPORT": keywords["port"],
        "PGUSER": keywords["user"],
        "PGDATABASE": keywords["dbname"],
    }
    os.execve(program, [program, *(arguments or ())], environment)  # noqa: S606


def _running(run: Invocation) -> tuple[Cluster, Postmaster]:
    from agentdb_cli.postgres import embedded

    running = embedded.find_running(run.settings.server)
    if running is None:
        raise ServerError("the embedded server is not running", hint="agentdb server start")
    return running


def _state(
    run: Invocation, cluster: Cluster | None, postmaster: Postmaster | None
) -> dict[str, object]:
    data = cluster.layout.data if cluster else None
    state: dict[str, object] = {
        "status": "running" if postmaster else "stopped",
        "data_directory": str(data) if data and data.exists() else "not made yet",
    }
    if cluster and postmaster:
        state |= {
            "pid": postmaster.pid,
            "version": f"PostgreSQL {cluster.binaries.major}",
            "runs_as": cluster.owner.name,
            "started_at": postmaster.started,
            "uptime_seconds": int((datetime.now(UTC) - postmaster.started).total_seconds()),
            "tcp": f"{postmaster.tcp}:{postmaster.port}" if postmaster.tcp else "off",
            "url": _url(run, cluster, postmaster),
        }
    return state


def _url(run: Invocation, cluster: Cluster, postmaster: Postmaster) -> str:
    from urllib.parse import quote

    from agentdb_cli.postgres.connect import describe

    database = run.embedded_database()
    if postmaster.tcp:
        place = f"postgresql://postgres@{postmaster.tcp}:{postmaster.port}/{database}"
        return f"{place}?passfile={quote(str(cluster.layout.passfile))}"
    return describe(cluster.keywords(postmaster, database))
