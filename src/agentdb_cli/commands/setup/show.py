"""What `agentdb setup` shows: the SQL of a dry run, and what came of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.outcomes import count
from agentdb_cli.errors import AgentdbError

if TYPE_CHECKING:
    from agentdb_cli.provisioning.model import LeftOut, Plan, Step, Wanted

_COLUMNS = ("step", "sql")


def dry(run: Invocation, wanted: Wanted, server: Plan, inside: Plan) -> None:
    """Write the SQL, without secrets: for people as a script, else a row a step."""
    steps = (*server.steps, *inside.steps)
    if run.output.for_people:
        _script(run, server.steps)
        if inside.steps:
            run.output.line(f"-- in the database {wanted.database}:")
        _script(run, inside.steps)
    else:
        _rows(run, steps)
    _warn(run, (*server.left_out, *inside.left_out))
    run.output.notice(
        f"{count(len(steps), 'step', 'steps')} (dry run: nothing was changed)"
        if steps
        else "nothing to do"
    )


def conclude(
    run: Invocation, wanted: Wanted, done: Sequence[Step], left_out: Sequence[LeftOut], where: str
) -> None:
    """Say what was done, and fail if an administrator has to do the rest.

    Raises:
        AgentdbError: something could not be done.
    """
    _rows(run, done)
    title = f"database {wanted.database}, server {where}"
    if done:
        run.output.line(f"{count(len(done), 'step', 'steps')} done, {title}")
    else:
        run.output.line(f"nothing to do: {title}")
    if wanted.pack_roles and any(step.sql.startswith("CREATE DATABASE") for step in done):
        run.output.notice(
            "after agentdb migrate run setup again: the pack narrows what these roles may do"
        )
    _warn(run, [each for each in left_out if not each.fails])
    failed = [each for each in left_out if each.fails]
    if failed:
        lines = "".join(f"\n  {each.what}\n    {each.hint}" for each in failed)
        raise AgentdbError(f"left to be done:{lines}")


def _rows(run: Invocation, steps: Sequence[Step]) -> None:
    if not run.output.for_people:
        run.output.rows(_COLUMNS, [{"step": step.what, "sql": step.shown} for step in steps])


def _script(run: Invocation, steps: Sequence[Step]) -> None:
    for step in steps:
        run.output.line(f"-- {step.what}")
        run.output.line(f"{step.shown};")


def _warn(run: Invocation, left_out: Sequence[LeftOut]) -> None:
    for each in left_out:
        run.output.warning(f"{each.what}; {each.hint}")
