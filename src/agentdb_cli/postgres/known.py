"""What is known of a database beside what it says itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup that is known here.

    Attributes:
        created: in seconds since the epoch.
        verified: how its last verification came out; None if there was none.
    """

    name: str
    database: str
    system_identifier: str
    created: float
    verified: bool | None
