"""All rules, and which of them a run looks for."""

from __future__ import annotations

from collections.abc import Collection

from agentdb_cli.errors import SettingsError, nearest
from agentdb_cli.migrations.lint import clients, indexes, tables, types
from agentdb_cli.migrations.lint.model import Rule, Severity

UNREADABLE = Rule(
    "unreadable", Severity.error,
    "the script cannot be split into statements",
    "correct what the message names",
)  # fmt: skip
ALLOW_WITHOUT_REASON = Rule(
    "allow-without-reason", Severity.error,
    "an allow comment without a reason tells the next reader nothing, and allows nothing",
    "-- agentdb: allow RULE reason",
)  # fmt: skip
ALLOW_UNKNOWN_RULE = Rule(
    "allow-unknown-rule", Severity.error,
    "there is no such rule, so the comment allows nothing",
    "-- agentdb: allow RULE reason, with the name of a finding's rule",
)  # fmt: skip

_ALWAYS = (UNREADABLE, ALLOW_WITHOUT_REASON, ALLOW_UNKNOWN_RULE)

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (*tables.RULES, *indexes.RULES, *clients.RULES, *types.RULES, *_ALWAYS)
}


def chosen(
    only: Collection[str], skip: Collection[str], off: Collection[str] = (), where: str = ""
) -> tuple[Rule, ...]:
    """The rules to look for.

    Args:
        only: names of the only ones; empty for all that are not on request.
        skip: names of those to leave out.
        off: names of those that settings switch off, for a run that does not name them.
        where: what switches them off, for errors.

    Raises:
        SettingsError: there is no such rule, or none is left.
    """
    for place, names in (("", (*only, *skip)), (f"{where}: ", off)):
        for name in names:
            if name not in RULES:
                raise SettingsError(
                    f"{place}there is no rule '{name}'{nearest(name, RULES)}",
                    hint=f"rules: {', '.join(RULES)}",
                )
    left_out = {*skip, *(name for name in off if name not in only)}
    found = tuple(
        rule
        for rule in RULES.values()
        if rule.name not in left_out and (rule.name in only or not (only or rule.on_request))
    )
    if not found:
        raise SettingsError(
            "--rule and --skip leave no rule to look for"
            if not off
            else f"--rule, --skip and {where} leave no rule to look for"
        )
    return found
