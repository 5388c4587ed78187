"""`agentdb retention check`: is everything purged that should be, and what will that come to?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count, readable
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.settings import milliseconds

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.policy import Policy
    from agentdb_cli.retention.targets import Target

_COLUMNS = (
    "table", "state", "days", "due", "size_due", "oldest", "overdue_days", "rows", "size",
    "rows_a_day", "size_a_day", "size_settled", "doubles_on", "detail",
)  # fmt: skip
_ALWAYS = ("table", "state", "due", "rows", "size")


def check(
    run: Invocation,
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]...", help="These; default: all.")
    ] = None,
    overdue: Annotated[
        float,
        typer.Option(
            "--overdue", metavar="DAYS", min=0, help="So late rows may be purged, and no later."
        ),
    ] = 2.0,
    timeout: Annotated[
        str,
        typer.Option("--timeout", metavar="TIME", help="Longest statement while counting a table."),
    ] = "30s",
) -> None:
    """Show what is past its time in each table with a policy, and what it grows to.

    due, size due and oldest are of the rows that agentdb purge would delete
    now. size settled is what a table will take if rows keep coming as in the
    last week and leave after their days; doubles on is shown only while no
    rows leave yet. Sizes count indexes.

    It only reads. A table that is not counted in time is shown as unknown, and
    the others are counted all the same.

    Exit code: 0 if all of it can be purged and nothing waits longer than
    --overdue (a daily purge leaves rows waiting for up to a day, and for as
    long as it takes); 1 if not, or if a table was not counted.
    """
    from agentdb_cli.commands import policies
    from agentdb_cli.retention import policy as retention

    if math.isnan(overdue):
        raise SettingsError("--overdue must be a number of days", hint="such as --overdue 2")
    try:
        limit = milliseconds(timeout)
    except ValueError as error:
        raise SettingsError(f"--timeout must be {error}") from None
    with run.connect(in_schema=True) as connection:
        found = retention.chosen(policies.of_database(run, connection), tables or ())
        targets, refused = policies.examined(run, connection, found)
        rows = [_survey(run, connection, target, limit, overdue) for target in targets]
    rows += [_row(r.policy, "refused", f"{r.reason}; {r.hint}") for r in refused]
    _show(run, rows, [policy.table for policy in found if not policy.enabled])
    _conclude(rows)


def _survey(
    run: Invocation, connection: Connection, target: Target, timeout: int, overdue: float
) -> dict[str, Any]:
    """A table's row; what is missing for a quick purge is a notice."""
    import psycopg

    from agentdb_cli.retention.survey import due, growth

    try:
        with connection.transaction():
            connection.execute(
                f"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = {timeout}".encode()
            )
            found = due(connection, target, archived=target.policy.archive is not None)
            grown = growth(connection, target)
    except psycopg.errors.QueryCanceled:
        return _row(target.policy, "unknown", f"not counted within {timeout / 1000:g} s: --timeout")
    except psycopg.errors.LockNotAvailable:
        return _row(target.policy, "unknown", "not counted: locked by another session")
    except psycopg.Error as error:
        if connection.closed:
            raise
        said = error.diag.message_primary or str(error).strip()
        return _row(target.policy, "unknown", f"not counted: {said}")
    for statement in found.missing:
        run.output.notice(f"{target.name}: this index would make a purge faster: {statement}")
    late = _days((target.cutoff_at - found.oldest) if found.oldest else timedelta())
    row = _row(target.policy, "overdue" if late > overdue else "ok", None)
    return row | {
        "due": found.rows,
        "size_due": found.bytes,
        "oldest": found.oldest,
        "overdue_days": round(late, 1) if found.oldest else None,
        "rows": grown.rows,
        "size": grown.bytes,
        "rows_a_day": _rounded(grown.rows_a_day),
        "size_a_day": _rounded(grown.bytes_a_day),
        "size_settled": _rounded(grown.settles_at),
        "doubles_on": grown.doubles_at.date() if grown.doubles_at else None,
    }


def _days(age: timedelta) -> float:
    return age / timedelta(days=1)


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)


def _row(policy: Policy, state: str, detail: str | None) -> dict[str, Any]:
    known = {"table": policy.table, "state": state, "days": policy.days, "detail": detail}
    return dict.fromkeys(_COLUMNS) | known


def _show(run: Invocation, rows: Sequence[dict[str, Any]], switched_off: Sequence[str]) -> None:
    if not run.output.for_people:
        run.output.rows(_COLUMNS, rows)
        return
    if switched_off:
        run.output.notice(f"switched off, and not counted: {', '.join(switched_off)}")
    shown = [dict(readable(row)) for row in rows]
    for row in shown:
        for name in ("due", "rows", "rows_a_day"):
            row[name] = "" if row[name] is None else f"{row[name]:,}"
        row["detail"] = None  # the error says it
    columns = [c for c in _COLUMNS if c in _ALWAYS or any(row[c] is not None for row in shown)]
    run.output.rows(columns, shown)


def _conclude(rows: Sequence[dict[str, Any]]) -> None:
    """Fail unless every table is purged as its policy says.

    Raises:
        AgentdbError: one is not.
    """
    wrong = [row for row in rows if row["state"] != "ok"]
    if not wrong:
        return
    told = "".join(
        f"\n  {row['table']}: "
        + (row["detail"] or f"rows have been past their time for {row['overdue_days']} days")
        for row in wrong
    )
    late = any(row["state"] == "overdue" for row in wrong)
    raise AgentdbError(
        f"{count(len(wrong), 'table is', 'tables are')} not as the policies say:{told}",
        hint="agentdb purge deletes what is past its time; is it in cron?" if late else None,
    )
