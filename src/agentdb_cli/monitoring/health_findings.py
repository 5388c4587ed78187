"""What the answer to a check means: a status, a value, and what to do.

What could not be found out is "unknown", never "ok".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.monitoring import health_growth
from agentdb_cli.monitoring.checks import REACHABLE, Check
from agentdb_cli.postgres.known import Backup
from agentdb_cli.postgres.pipeline import Row
from agentdb_cli.status import SEVERITY, Status, worst_of

LOCKED = "a table is locked against reading: the application waits, too"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        value: in the check's unit; None if it could not be found out.
        detail: what stands behind the value, or why there is none.
        remedy: what to do, where it is not what the check advises.
    """

    check: Check
    status: Status
    value: float | None
    detail: str
    remedy: str | None = None

    @property
    def advice(self) -> str | None:
        """What to do; None where nothing was found and nothing is known to help."""
        silent = self.status in (Status.unknown, Status.skipped)
        return self.remedy or (None if silent else self.check.advice)


def overall(findings: Iterable[Finding]) -> Status:
    """The worst status of all; unknown if there is no finding."""
    return worst_of(finding.status for finding in findings)


def worst(check: Check, findings: Sequence[Finding]) -> Finding:
    """The finding of a check that asked about several tables."""
    if not findings:
        return Finding(check, Status.skipped, None, "the pack has no such table")

    def badness(finding: Finding) -> tuple[int, float]:
        value = finding.value or 0.0
        return -SEVERITY.index(finding.status), -value if check.below else value

    # Of equals the last one: agentdb.toml's own collections stand behind the pack's.
    found = max(reversed(findings), key=badness)
    asked = sum(finding.status is not Status.skipped for finding in findings)
    if asked < 2 or found.value is None:
        return found
    alike = all(finding.value in (None, found.value) for finding in findings)
    others = f"and {asked - 1} more" if alike else f"the worst of {asked}"
    return replace(found, detail=f"{found.detail} ({others})")


@dataclass(frozen=True, slots=True)
class Place:
    """What a check may know beside the database.

    Attributes:
        pack: the content of pack.toml, with what agentdb.toml says laid over it.
        pack_chosen: whether somebody chose this pack; its missing tables are
            then a finding rather than no concern of this database.
        named: the tables and collections that agentdb.toml names, such as
            `heartbeats` or `collections.docs`; the same holds for them.
        state: the directory of earlier runs' measurements; None if there is none.
        backups: the backups of any database that are known here.
        backed_up: whether agentdb.toml names a directory of backups, so that there
            should be some.
    """

    pack: Mapping[str, Any]
    pack_chosen: bool
    named: frozenset[str]
    state: Path | None
    backups: tuple[Backup, ...] = ()
    backed_up: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """Turns answers into findings.

    Attributes:
        user: our role, quoted.
        hidden: the roles whose rights it lacks.
        latency: seconds from the beginning to the first answer.
    """

    place: Place
    user: str
    hidden: frozenset[str]
    latency: float

    def finding(self, check: Check, about: str, answer: Row) -> Finding:
        """What an answer means.

        Args:
            about: the tables or the collection that was asked about.
        """
        if isinstance(answer, psycopg.Error):
            found = self._failed(check, about, answer)
        elif check.samples:
            found = self._grown(check, *answer)
        elif check.catalog:
            found = self._backed_up(check, *answer)
        else:
            found = self._answered(check, *answer)
        if check.each and found.detail != LOCKED:
            return replace(found, detail=f"{about.partition('.')[2]}: {found.detail}")
        return found

    def _answered(
        self, check: Check, value: str | None, detail: str | None, unseen: str | None = None
    ) -> Finding:
        if check.role in self.hidden:
            remedy = f"GRANT {check.role} TO {self.user}"
            return _unknown(check, f"not permitted: needs {check.role}", remedy)
        if value is None:
            return _unknown(check, detail or "the server does not say")
        measured = self.latency if check.name == REACHABLE else float(value)
        status = _status(check, measured)
        if unseen and status is Status.ok:
            remedy = f"the role {self.user} needs SELECT on it"
            return _unknown(check, f"not permitted: {unseen}", remedy)
        return Finding(check, status, measured, detail or "")

    def _backed_up(
        self, check: Check, system_identifier: str | None, database: str | None, now: str | None
    ) -> Finding:
        own = [
            backup
            for backup in self.place.backups
            if (backup.system_identifier, backup.database) == (system_identifier, database)
        ]
        if not own:
            status = Status.critical if self.place.backed_up else Status.skipped
            return Finding(check, status, None, "no backup of this database is known here")
        newest = max(own, key=lambda backup: backup.created)
        age = max(float(now or 0) - newest.created, 0.0)
        said = {None: "not verified", True: "verified", False: "its verification FAILED"}
        status = Status.critical if newest.verified is False else _status(check, age)
        return Finding(check, status, age, f"{newest.name}, {said[newest.verified]}")

    def _grown(
        self, check: Check, size: str | None, database: str | None, now: str | None
    ) -> Finding:
        if size is None or database is None or now is None or check.samples is None:
            return _unknown(check, "the server does not say")
        shown = f"{_bytes(int(size))} now"
        if self.place.state is None:
            remedy = "set HOME or XDG_STATE_HOME, or --skip disk-growth"
            return _unknown(check, f"{shown}; there is no place to keep it for later runs", remedy)
        try:
            growth = health_growth.measure(
                self.place.state, database, check.samples, size=int(size), now=float(now)
            )
        except AgentdbError as error:
            return _unknown(check, error.message, error.hint)
        if isinstance(growth, health_growth.Growth):
            detail = f"{shown}, {_bytes(growth.earlier)} {growth.seconds / 3600:.0f} h ago"
            return Finding(check, _status(check, growth.share), growth.share, detail)
        if growth is None:
            missing = "no earlier sample to compare it with"
        else:
            missing = f"the first sample is {growth / 60:.0f} min old, an hour tells"
        return Finding(check, Status.skipped, None, f"{shown}; {missing}")

    def _failed(self, check: Check, about: str, error: psycopg.Error) -> Finding:
        said = error.diag.message_primary or str(error).strip()
        errors = psycopg.errors
        named = not self.place.named.isdisjoint(about.split())
        if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
            # Most databases are not the default pack; that is no finding.
            if check.needs and not named and not self.place.pack_chosen:
                return Finding(check, Status.skipped, None, said)
            remedy = "agentdb migrate makes the pack's tables; --pack names another pack"
            return _unknown(check, said, "correct it in agentdb.toml" if named else remedy)
        if isinstance(error, errors.UndefinedColumn) and check.each and not named:
            # The packs keep embeddings in a migration of its own for such servers.
            reason = f"{said}: the pack's file that needs pgvector was not applied"
            return Finding(check, Status.skipped, None, reason)
        if isinstance(error, errors.CannotCoerce) and check.each:
            return Finding(check, Status.skipped, None, f"{said}, so its dimension is not seen")
        if isinstance(error, errors.InsufficientPrivilege):
            remedy = f"the role {self.user} needs SELECT on the table and USAGE on its schema"
            return _unknown(check, f"not permitted: {said}", remedy)
        if isinstance(error, errors.LockNotAvailable):
            remedy = "agentdb inspect locks shows the statement, agentdb inspect kill PID ends it"
            return Finding(check, Status.warning, None, LOCKED, remedy)
        if isinstance(error, errors.QueryCanceled):
            return _unknown(check, "took too long and was cancelled", _SLOW)
        return _unknown(check, said, _SLOW if error.sqlstate is None else None)


_SLOW = "agentdb inspect activity shows what keeps the server busy; --timeout waits longer"


def _unknown(check: Check, detail: str, remedy: str | None = None) -> Finding:
    return Finding(check, Status.unknown, None, detail, remedy)


def _status(check: Check, value: float) -> Status:
    def beyond(threshold: float | None) -> bool:
        if threshold is None:
            return False
        return value < threshold if check.below else value > threshold

    if beyond(check.critical):
        return Status.critical
    return Status.warning if beyond(check.warning) else Status.ok


def _bytes(number: int) -> str:
    """A size in whole MB, or in GB with one decimal."""
    megabytes = number / 1024**2
    return f"{megabytes:.0f} MB" if megabytes < 10_000 else f"{megabytes / 1024:.1f} GB"
