"""Whether files and history still agree: changed, missing, extra and half-done migrations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agentdb_cli.migrations import down_part, plan
from agentdb_cli.migrations.plan import Entry, State
from agentdb_cli.migrations.prepare import prepare
from agentdb_cli.migrations.unfinished import Unfinished, digest
from agentdb_cli.settings.keys import Scalar


class Problem(NamedTuple):
    """A migration of which file and history contradict each other, or that is half done."""

    version: int
    migration: str
    state: str
    detail: str


def verify(
    entries: Iterable[Entry], begun: Mapping[int, Unfinished], values: Mapping[str, Scalar]
) -> tuple[Problem, ...]:
    """What contradicts the history, by version; what is merely pending does not.

    Args:
        entries: from `runner.status`.
        begun: from `unfinished.read`.
        values: the variables in the files.
    """
    entries = tuple(entries)
    newer = {entry.version for entry in plan.newer_than_files(entries)}
    newest = max((e for e in entries if e.applied), key=lambda e: e.version, default=None)
    problems = [
        Problem(
            entry.version,
            entry.label,
            entry.state.value,
            _detail(entry, newest, entry.version in newer),
        )
        for entry in entries
        if entry.state not in (State.applied, State.pending) and entry.version not in begun
    ]
    found = {entry.version: entry for entry in entries}
    problems += [_half_done(each, found.get(each.version), values) for each in begun.values()]
    return tuple(sorted(problems))


def _half_done(each: Unfinished, entry: Entry | None, values: Mapping[str, Scalar]) -> Problem:
    label = entry.label if entry else f"{each.version:03d}_{each.name}"
    undone = entry is not None and entry.state is State.undoing
    state = State.undoing.value if undone else each.state
    return Problem(each.version, label, state, f"{each.described}{_doubt(each, entry, values)}")


def _doubt(each: Unfinished, entry: Entry | None, values: Mapping[str, Scalar]) -> str:
    """What keeps a half-done file from going on."""
    if entry is None or entry.file is None:
        return ", and has no file any more"
    undone = entry.state is State.undoing
    prepared = down_part.prepared if undone else prepare
    steps = [digest(step.statement) for step in prepared(entry.file, values).steps]
    for number, done in enumerate(each.done, start=1):
        if number > len(steps) or steps[number - 1] != done:
            return f", and statement {number} of the file is not the one that was completed"
    return ""


def _detail(entry: Entry, newest: Entry | None, newer: bool) -> str:
    if entry.state is State.undoing:
        return "its down part was broken off: agentdb migrate down goes on"
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
