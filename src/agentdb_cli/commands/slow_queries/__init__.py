"""`agentdb slow-queries`: which statements take the server's time, and what they wait for."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.commands.slow_queries import plans, views
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.render import duration
from agentdb_cli.settings import milliseconds

if TYPE_CHECKING:
    from agentdb_cli.monitoring.samples import Samples
    from agentdb_cli.monitoring.slow_queries.delta import Difference
    from agentdb_cli.monitoring.slow_queries.server import Server
    from agentdb_cli.monitoring.slow_queries.statements import Reading
    from agentdb_cli.postgres.connect import Connection

app = typer.Typer(add_completion=False)

DEFAULT_SAMPLE = "10s"
"""How long is sampled where pg_stat_statements cannot be read."""


class By(StrEnum):
    """What `--by` orders statements by."""

    total = "total"
    mean = "mean"
    calls = "calls"
    io = "io"
    temp = "temp"
    wal = "wal"
    plan = "plan"


@register(app, "slow-queries")
def slow_queries(
    run: Invocation,
    by: Annotated[By, typer.Option("--by", help="What to order by, the most first.")] = By.total,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The most statements.")] = 10,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="AGE", help="Only what was added since an earlier run: 1h, last."
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option("--sample", metavar="TIME", help="Sample the sessions instead: 30s."),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", metavar="SECONDS", min=1, help="Show what each interval added."),
    ] = None,
    all_databases: Annotated[
        bool, typer.Option("--all-databases", "-a", help="Not this database alone.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Show whole texts.")] = False,
    literals: Annotated[
        bool, typer.Option("--literals", help="Show texts as the server has them.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="ID", help="Show the plan of a statement; not run."),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Set the statistics to zero.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what --reset would do, do nothing.")
    ] = False,
) -> None:
    """Show which statements take the time.

    Reads pg_stat_statements. Where that is not to be had, or with --sample, it
    looks at pg_stat_activity ten times a second: that works on any server, and
    shows what statements wait for.

    Times are those of execution, without planning and commit; sampled ones hold
    these, too, and are estimates. Columns *_ms are milliseconds. mean+2sd is the
    mean and two standard deviations: few calls take longer. Statements within
    functions are no part of the whole that shares are of.

    Texts are shown without their literals. --literals shows them as the server
    has them: sampled texts and utility statements hold the literals they ran with.

    Each run keeps the counters, not the texts, for --since of a later one.
    """
    _refuse(
        {
            "--explain": explain is not None,
            "--reset": reset,
            "--since": since is not None,
            "--sample": sample is not None,
            "--watch": watch is not None,
        },
        {"--yes": yes, "--dry-run": dry_run, "--literals": literals},
    )
    seconds = _seconds("--sample", sample or DEFAULT_SAMPLE)
    age = _seconds("--since", since) if since not in (None, "last") else None
    from agentdb_cli.monitoring.slow_queries import server as servers
    from agentdb_cli.monitoring.slow_queries import statements

    with run.connect() as connection:
        server = servers.look(connection)
        show = views.View(run.output, server, by.value, limit, all_databases, full, literals)
        if reset:
            _reset(run, connection, server, all_databases, yes=yes, dry_run=dry_run)
            return
        problem: AgentdbError | None = None
        reading = None
        if sample is None:
            try:
                reading = statements.read(connection, server)
            except AgentdbError as error:
                problem = error
        if explain is not None:
            plans.explain(run, connection, server, reading, explain, seconds)
        elif reading is None:
            if since is not None or by.value not in views.SAMPLED_ORDERS:
                _needs_statistics("--since" if since is not None else f"--by {by.value}", problem)
            _say_sampling(run, problem, watch or seconds)
            _sample(connection, show, seconds, watch)
        else:
            if silence := server.silence():
                run.output.warning(silence)
            if watch is not None:
                _watch(connection, show, reading, watch)
                return
            samples = _samples(run, connection)
            found = _since(run, samples, reading, server, since, age)
            show.statements(connection, reading, found)


def _refuse(modes: dict[str, bool], others: dict[str, bool]) -> None:
    """Refuse options that do not go together.

    Raises:
        SettingsError: two of them were given.
    """
    given = [name for name, is_given in modes.items() if is_given]
    if len(given) > 1 and set(given) != {"--explain", "--sample"}:
        raise SettingsError(f"{given[0]} and {given[1]} do not go together")
    for name in ("--yes", "--dry-run"):
        if others[name] and not modes["--reset"]:
            raise SettingsError(f"{name} goes with --reset alone")
    if others["--literals"] and modes["--explain"]:
        raise SettingsError(
            "--explain and --literals do not go together", hint="the plan is one for any literals"
        )


def _seconds(option: str, text: str | None) -> float:
    try:
        seconds = milliseconds(text) / 1000
    except ValueError as error:
        raise SettingsError(f"{option} must be {error}") from None
    if seconds <= 0:
        raise SettingsError(f"{option} must be more than 0")
    return seconds


# --- Statistics --------------------------------------------------------------------


def _samples(run: Invocation, connection: Connection) -> Samples | None:
    """Where readings of this database are kept; None without a home directory."""
    from agentdb_cli.monitoring.samples import Samples
    from agentdb_cli.monitoring.slow_queries import delta
    from agentdb_cli.monitoring.slow_queries.server import OURS

    if run.settings.state_directory is None:
        return None
    row = connection.execute(f"{OURS} {Samples.IDENTITY}".encode()).fetchone()
    assert row is not None
    return Samples(run.settings.state_directory, str(row[0]), delta.KIND, delta.KEEP)


def _since(
    run: Invocation,
    samples: Samples | None,
    reading: Reading,
    server: Server,
    since: str | None,
    age: float | None,
) -> Difference | None:
    """Keep the reading; what was added since the one that `--since` names, or None."""
    from agentdb_cli.monitoring.slow_queries import delta

    if samples is None:
        if since is not None:
            raise SettingsError("--since needs a place for readings", hint="set XDG_STATE_HOME")
        return None
    earlier = delta.kept(samples, server) if since is not None else ()
    try:
        delta.keep(samples, reading, server)
    except AgentdbError as error:  # what was asked for can be shown all the same
        run.output.warning(f"{error.message} ({error.hint})")
    if since is None:
        return None
    moment = reading.taken_at - (age or 0.0)
    base = earlier[-1:] if age is None else (delta.nearest(earlier, moment),)
    if not base or base[0] is None:
        raise AgentdbError(
            "no earlier run on this database is known to compare with",
            hint="this one is kept: run it again later; --watch 10 shows what is added now",
        )
    return delta.difference(base[0], reading)


def _watch(connection: Connection, show: views.View, reading: Reading, seconds: float) -> None:
    """Show what each interval added, until Ctrl-C."""
    from agentdb_cli.monitoring.slow_queries import delta, statements

    while True:
        time.sleep(seconds)
        newer = statements.read(connection, show.server)
        show.statements(connection, newer, delta.difference(reading, newer))
        show.output.line()
        reading = newer


def _reset(
    run: Invocation,
    connection: Connection,
    server: Server,
    everything: bool,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    from agentdb_cli.monitoring.slow_queries import delta, statements

    reading = statements.read(connection, server)
    count = sum(everything or s.database == server.database for s in reading.statements)
    which = "all databases" if everything else f"the database {server.database}"
    run.output.notice(f"statements in pg_stat_statements of {which}: {count}")
    if dry_run or not run.confirmed("set their statistics to zero?", yes=yes):
        run.output.notice("nothing was done")
        return
    if samples := _samples(run, connection):
        delta.keep(samples, reading, server)
    statements.reset(connection, server, everything=everything)
    run.output.notice("their statistics begin anew")


# --- Sampling ----------------------------------------------------------------------


def _needs_statistics(option: str, problem: AgentdbError | None) -> None:
    if problem is None:
        raise SettingsError(f"{option} and --sample do not go together")
    raise AgentdbError(f"{option} needs pg_stat_statements: {problem.message}", hint=problem.hint)


def _say_sampling(run: Invocation, problem: AgentdbError | None, seconds: float) -> None:
    if problem is not None:
        run.output.notice(f"{problem.message} (to have it: {problem.hint})")
    run.output.notice(f"sampling the sessions for {duration(seconds)}; Ctrl-C ends it early")


def _sample(connection: Connection, show: views.View, seconds: float, watch: float | None) -> None:
    from agentdb_cli.monitoring.slow_queries import sampling

    oid = None if show.all_databases else show.server.database_oid
    while True:
        found = sampling.sample(connection, watch or seconds, database_oid=oid)
        show.sampling(found)
        if watch is None or found.ended is not None:
            return
        show.output.line()
