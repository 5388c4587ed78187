"""How a check came out, in `health` and in `doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Status(IntEnum):
    """How a check came out; the numbers are the exit codes, which are Nagios'."""

    ok = 0
    warning = 1
    critical = 2
    unknown = 3
    skipped = 4


# From the worst to the best; what is unknown may be anything.
SEVERITY = (Status.critical, Status.warning, Status.unknown, Status.ok, Status.skipped)


def worst_of(statuses: Iterable[Status]) -> Status:
    """The worst status: critical, then warning, then unknown; skipped ones do not count.

    No status at all is unknown.
    """
    found = set(statuses) - {Status.skipped}
    return next((status for status in SEVERITY if status in found), Status.unknown)
