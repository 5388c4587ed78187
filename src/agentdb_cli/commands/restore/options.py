"""What the options of `agentdb restore` say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.backups.restore import Options

MEMORY = 1 << 30
"""Bytes for building indexes, of all jobs together. The graph of an HNSW index that does not fit
into its part of it is built several times slower (pgvector's documentation, "Index Build Time")."""

_MOST_JOBS = 8


def default_jobs() -> int:
    """One session a core of this machine, within reason."""
    return min(os.cpu_count() or 1, _MOST_JOBS)


def options_of(
    *,
    jobs: int | None,
    schema_only: bool,
    data_only: bool,
    no_owner: bool,
    no_privileges: bool,
    no_tablespaces: bool,
    owners: Sequence[str],
    role: str | None,
) -> Options:
    """The options, checked against each other.

    Raises:
        SettingsError: two exclude each other, or a mapping is none.
    """
    from agentdb_cli.backups.restore import Options

    if schema_only and data_only:
        raise SettingsError("--schema-only and --data-only exclude each other")
    if owners and (no_owner or role is not None):
        other = "--no-owner" if no_owner else "--role"
        raise SettingsError(f"--owner and {other} exclude each other")
    mapping = {}
    for pair in owners:
        old, equals, new = pair.partition("=")
        if not (old and equals and new):
            raise SettingsError(f"--owner must be OLD=NEW, not {pair!r}")
        mapping[old] = new
    return Options(
        jobs=jobs or default_jobs(),
        memory=MEMORY,
        content="schema" if schema_only else "data" if data_only else "all",
        owner=not no_owner,
        privileges=not no_privileges,
        tablespaces=not no_tablespaces,
        owners=mapping,
        role=role,
    )
