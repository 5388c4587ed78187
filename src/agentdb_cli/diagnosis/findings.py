"""What the check-list found, and what mends it.

What could not be found out is "unknown", never "ok".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from agentdb_cli.diagnosis.checks import Check
from agentdb_cli.postgres.pipeline import Answer, Table
from agentdb_cli.status import SEVERITY, Status, worst_of

FINE = (Status.ok, Status.skipped)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a check found.

    Attributes:
        value: what was found.
        sql: statements that mend it, with semicolons in between; None where none can.
        caution: why nobody should run them unread; None where anybody may.
        advice: what to do where no SQL helps, or besides.
    """

    status: Status
    value: str
    sql: str | None = None
    caution: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        items: the worst first; never empty.
    """

    check: Check
    items: tuple[Item, ...]

    @property
    def status(self) -> Status:
        """The worst of its items."""
        return self.items[0].status

    @property
    def problems(self) -> tuple[Item, ...]:
        """What is to be mended or could not be found out."""
        return tuple(item for item in self.items if item.status not in FINE)


def overall(findings: Iterable[Finding]) -> Status:
    """The worst status of all; unknown if there is no finding."""
    return worst_of(finding.status for finding in findings)


def judge(check: Check, answer: Answer, *, user: str, hidden: frozenset[str]) -> Finding:
    """What the server's answer to a check means.

    Args:
        user: our role, quoted.
        hidden: the predefined roles whose rights it lacks.
    """
    if check.role in hidden:
        grant = f"as a superuser: GRANT {check.role} TO {user}"
        return _unknown(check, f"not permitted: needs {check.role}", grant)
    if isinstance(answer, psycopg.Error):
        return _failed(check, answer)
    items = sorted(_items(answer), key=lambda item: SEVERITY.index(item.status))
    return Finding(check, tuple(items) or (Item(Status.ok, check.none),))


def _items(table: Table) -> Iterable[Item]:
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        status, value = Status[cells["status"] or ""], cells["value"] or ""
        if status in FINE:
            yield Item(status, value)
        else:
            yield Item(status, value, cells.get("sql"), cells.get("caution"), cells.get("advice"))


def _unknown(check: Check, value: str, advice: str | None) -> Finding:
    return Finding(check, (Item(Status.unknown, value, advice=advice),))


def _failed(check: Check, error: psycopg.Error) -> Finding:
    said = error.diag.message_primary or str(error).strip()
    errors = psycopg.errors
    if isinstance(error, errors.InsufficientPrivilege):
        return _unknown(check, f"not permitted: needs {check.needs or said}", None)
    if isinstance(error, errors.LockNotAvailable):
        advice = "agentdb inspect locks shows the statement; run it again after its end"
        return _unknown(check, "a table is locked against reading", advice)
    if isinstance(error, errors.QueryCanceled) or error.sqlstate is None:
        advice = "agentdb inspect activity shows what keeps the server busy; --timeout waits longer"
        return _unknown(check, f"took too long: {said}", advice)
    return _unknown(check, f"the server says: {said}", None)
