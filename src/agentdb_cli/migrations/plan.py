"""What is to be done: files against history, with every doubt cleared beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import history
from agentdb_cli.migrations.files import Directory, MigrationFile
from agentdb_cli.migrations.history import Applied
from agentdb_cli.settings.keys import Scalar

_SHOWN = 10


class State(StrEnum):
    """Where a migration stands."""

    applied = "applied"
    pending = "pending"
    changed = "changed"  # applied, but the file is no longer the one that was
    missing = "missing"  # applied, but there is no file
    undoing = "being undone"  # by statements of which each is committed by itself
    out_of_order = "out of order"  # pending, though a later one has been applied


class Entry(NamedTuple):
    """One migration as files and history together show it."""

    version: int
    label: str
    state: State
    file: MigrationFile | None
    applied: Applied | None


class Tolerance(NamedTuple):
    """What a run may overlook, each by a flag of `agentdb migrate`."""

    changed: bool = False
    out_of_order: bool = False
    missing: bool = False
    unavailable: bool = False
    """Leave out files that need an extension which the server does not have."""


def compare(directory: Directory, applied: Iterable[Applied]) -> tuple[Entry, ...]:
    """Every migration that has a file or was applied, by version."""
    files = {file.version: file for file in directory.files}
    rows = {row.version: row for row in applied}
    newest = max(rows, default=-1)
    return tuple(
        _entry(version, files.get(version), rows.get(version), newest)
        for version in sorted(files.keys() | rows.keys())
    )


def is_nothing_to_do(directory: Directory, applied: Sequence[Applied]) -> bool:
    """Whether all files are applied as they are, and nothing else is: in one pass over them."""
    return len(directory.files) == len(applied) and all(
        file.version == row.version and file.checksum == row.checksum and not row.variables
        for file, row in zip(directory.files, applied, strict=True)
    )


def pending(entries: Iterable[Entry], tolerance: Tolerance) -> tuple[MigrationFile, ...]:
    """The files to apply, in order.

    Raises:
        MigrationError: files and history contradict each other in a way that
            `tolerance` does not cover; nothing has been run then.
    """
    entries = tuple(entries)
    _refuse_undoing(entries)
    _refuse_changed(entries, tolerance)
    _refuse_missing(entries, tolerance)
    _refuse_out_of_order(entries, tolerance)
    return tuple(
        entry.file
        for entry in entries
        if entry.file is not None and entry.state in (State.pending, State.out_of_order)
    )


def newer_than_files(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Applied migrations past the last file: a newer release has been here."""
    entries = tuple(entries)
    last_file = max((e.version for e in entries if e.file is not None), default=-1)
    return tuple(e for e in entries if e.state is State.missing and e.version > last_file)


def changed_variables(
    entries: Iterable[Entry], values: Mapping[str, Scalar]
) -> tuple[tuple[str, str, Scalar, Scalar], ...]:
    """Variables that had another value when a migration was applied.

    Returns:
        (variable, label of the first such migration, value then, value now).
    """
    found: dict[str, tuple[str, str, Scalar, Scalar]] = {}
    for entry in entries:
        for name, then in (entry.applied.variables if entry.applied else {}).items():
            now = values.get(name, then)
            if now != then:
                found.setdefault(name, (name, entry.label, then, now))
    return tuple(found.values())


def _entry(version: int, file: MigrationFile | None, row: Applied | None, newest: int) -> Entry:
    if row is not None and row.checksum.startswith(history.UNDOING):
        row = row._replace(checksum=row.checksum.removeprefix(history.UNDOING))
        return Entry(version, file.label if file else row.label, State.undoing, file, row)
    if file is None:
        assert row is not None
        return Entry(version, row.label, State.missing, None, row)
    if row is None:
        state = State.out_of_order if version < newest else State.pending
    else:
        state = State.applied if row.checksum == file.checksum else State.changed
    return Entry(version, file.label, state, file, row)


def _refuse_undoing(entries: tuple[Entry, ...]) -> None:
    undoing = [entry for entry in entries if entry.state is State.undoing]
    if undoing:
        raise MigrationError(
            f"{undoing[0].label} is being undone, or that was broken off",
            hint="agentdb migrate down goes on with it",
        )


def _refuse_changed(entries: tuple[Entry, ...], tolerance: Tolerance) -> None:
    changed = [e for e in entries if e.state is State.changed]
    if changed and not tolerance.changed:
        lines = [
            f"{e.label}: applied with SHA-256 {e.applied.checksum[:12]}…, "
            f"the file has {e.file.checksum[:12]}…"
            for e in changed
            if e.applied and e.file
        ]
        raise MigrationError(
            f"{count(changed, 'applied migration')} changed afterwards:{listed(lines)}",
            hint="restore the files and put the change into a new migration; "
            "--allow-changed goes on if the change means nothing (a comment)",
        )


def _refuse_missing(entries: tuple[Entry, ...], tolerance: Tolerance) -> None:
    newer = {entry.version for entry in newer_than_files(entries)}
    missing = [e for e in entries if e.state is State.missing and e.version not in newer]
    if missing and not tolerance.missing:
        raise MigrationError(
            f"{count(missing, 'applied migration')} without a file:"
            f"{listed(e.label for e in missing)}",
            hint="restore the files, or check --dir and --pack; --allow-missing goes on",
        )


def _refuse_out_of_order(entries: tuple[Entry, ...], tolerance: Tolerance) -> None:
    late = [e for e in entries if e.state is State.out_of_order]
    if late and not tolerance.out_of_order:
        newest = max(e.version for e in entries if e.applied is not None)
        label = next(e.label for e in entries if e.version == newest)
        raise MigrationError(
            f"{count(late, 'pending migration')} numbered below {label}, which is applied:"
            f"{listed(e.label for e in late)}",
            hint="renumber them after it, or pass --out-of-order if their order does not matter",
        )


def count(entries: Sequence[object], noun: str) -> str:
    """`1 migration`, `2 migrations`."""
    return f"{len(entries)} {noun}{'' if len(entries) == 1 else 's'}"


def listed(lines: Iterable[str]) -> str:
    """Lines to stand below a message; the first ten of them."""
    lines = list(lines)
    shown = "".join(f"\n  {line}" for line in lines[:_SHOWN])
    more = len(lines) - _SHOWN
    return shown + (f"\n  and {more} more" if more > 0 else "")
