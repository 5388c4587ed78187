"""Whether files and history still agree: changed, missing and extra migrations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from agentdb_cli.migrations import plan
from agentdb_cli.migrations.plan import Entry, State


class Problem(NamedTuple):
    """A migration of which file and history contradict each other."""

    entry: Entry
    detail: str


def verify(entries: Iterable[Entry]) -> tuple[Problem, ...]:
    """What contradicts the history, by version; what is merely pending does not.

    Args:
        entries: from `runner.status`.
    """
    entries = tuple(entries)
    newer = {entry.version for entry in plan.newer_than_files(entries)}
    newest = max((e for e in entries if e.applied), key=lambda e: e.version, default=None)
    return tuple(
        Problem(entry, _detail(entry, newest, entry.version in newer))
        for entry in entries
        if entry.state not in (State.applied, State.pending)
    )


def _detail(entry: Entry, newest: Entry | None, newer: bool) -> str:
    if entry.file and entry.applied:
        return (
            f"applied with SHA-256 {entry.applied.checksum[:12]}…, "
            f"the file has {entry.file.checksum[:12]}…"
        )
    if entry.file:
        return f"not applied, though {newest.label if newest else 'a later one'} is"
    return (
        "applied by a newer release, which has more files" if newer else "applied, without a file"
    )
