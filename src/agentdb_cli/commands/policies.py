"""Which retention policies hold in a database: those of its packs and of agentdb.toml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.packs import Pack
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.retention.policy import Policy
    from agentdb_cli.retention.refusals import Refused
    from agentdb_cli.retention.targets import Target


def packs_of(run: Invocation, connection: Connection) -> tuple[Pack, ...]:
    """The packs of a database: the one that somebody named, else those applied to it.

    Never one by default: another system may have a table of the same name.
    """
    from agentdb_cli import packs
    from agentdb_cli.migrations import history

    settings = run.settings
    if settings.pack_chosen:
        return (packs.load(settings.pack),)
    applied = history.packs(connection, history.Table.in_force(settings))
    return tuple(packs.load(name) for name in applied if name in packs.names())


def of_database(run: Invocation, connection: Connection) -> tuple[Policy, ...]:
    """All policies, the switched-off ones included.

    Raises:
        SettingsError: a policy is incomplete.
    """
    from agentdb_cli.retention.policy import policies

    settings = run.settings
    return policies(
        packs_of(run, connection),
        settings.catalog.get("retention", {}),
        settings.file.path.parent if settings.file else None,
    )


def examined(
    run: Invocation, connection: Connection, found: tuple[Policy, ...]
) -> tuple[tuple[Target, ...], tuple[Refused, ...]]:
    """The tables that may be purged by the enabled policies, and those that may not.

    Raises:
        AgentdbError: no policy is enabled, or the server does not take its `where`.
    """
    from agentdb_cli.retention.targets import checked_where, examine

    enabled = tuple(policy for policy in found if policy.enabled)
    if not enabled:
        raise _none_declared(connection, found)
    targets, refused = examine(connection, enabled)
    checked_where(connection, targets)
    return targets, _without_absent(run, refused)


def _without_absent(run: Invocation, refused: Sequence[Refused]) -> tuple[Refused, ...]:
    """The refusals without tables of a pack that this database does not have: no loss there."""
    absent = [r for r in refused if r.missing and r.policy.source.startswith("pack ")]
    for each in absent:
        run.output.notice(f"{each.policy.table}: not in this database ({each.policy.source})")
    return tuple(each for each in refused if each not in absent)


def _none_declared(connection: Connection, found: tuple[Policy, ...]) -> AgentdbError:
    """The error when no table may be purged, with the tables that look as if they could be."""
    from agentdb_cli.postgres.discover import discover

    if found:
        tables = ", ".join(policy.table for policy in found)
        return AgentdbError(
            f"no retention policy is enabled; nothing was deleted. Proposed: {tables}",
            hint="read them (agentdb retention list), then set enabled = true in agentdb.toml",
        )
    candidates = discover(connection).retention
    listed = "".join(
        f"\n  {table}, by {entry['time_column']}" for table, entry in candidates.items()
    )
    what = f". These tables look like logs:{listed}" if listed else ""
    return AgentdbError(
        f"this database has no retention policy; nothing was deleted{what}",
        hint="declare one: agentdb retention set TABLE --column COLUMN --days DAYS; "
        "or name the pack: --pack NAME",
    )
