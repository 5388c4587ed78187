"""How a function becomes a command: with the global options, accepted before and after its name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import typer

from agentdb_cli.commands.global_options import GlobalOptions
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError


def group(help: str) -> typer.Typer:
    """A group of commands that takes the global options before a command's name as well.

    Args:
        help: the line that `agentdb --help` shows for it.
    """
    app = typer.Typer(add_completion=False, no_args_is_help=True)

    def options(run: Invocation) -> None:
        """Nothing of its own: the options reach the command through the context."""

    app.callback(help=help)(with_global_options(options))
    return app


def register(app: typer.Typer, name: str, **settings: Any) -> Callable[..., Callable[..., Any]]:
    """Decorator: add a function to `app` as command `name`, with the global options."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        app.command(name, **settings)(with_global_options(function))
        return function

    return add


def by_default(app: typer.Typer, function: Callable[..., Any], help: str) -> None:
    """Make `function` what a group does when no sub-command is named, with its options.

    Args:
        help: the help of the group.
    """
    first, *own = inspect.signature(function, eval_str=True).parameters.values()
    subcommand = inspect.Parameter("subcommand", inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def callback(run: Invocation, subcommand: str | None, **arguments: Any) -> Any:
        if subcommand is None:
            return function(run, **arguments)
        if any(arguments.values()):
            raise SettingsError(
                f"options of {run.command} stand before '{subcommand}'",
                hint=f"write them after it: agentdb {run.command} {subcommand} …",
            )
        return None

    callback.__signature__ = inspect.Signature([first, subcommand, *own])  # type: ignore[attr-defined]
    app.callback(help=help)(with_global_options(callback))


def with_global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(invocation, …)` as Typer wants it: a context and all options.

    A parameter of its own with the name of a global option stands in for that
    one, and only the function knows what it means.
    """
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=annotation,
        )
        for name, annotation in _global_annotations().items()
        if name not in signature.parameters
    ]

    @functools.wraps(function)
    def run(ctx: typer.Context, **arguments: Any) -> Any:
        given = GlobalOptions(**{p.name: arguments.pop(p.name) for p in shared})
        options = given.over(ctx.obj) if isinstance(ctx.obj, GlobalOptions) else given
        ctx.obj = options
        if any(p.name == "subcommand" for p in own):
            arguments["subcommand"] = ctx.invoked_subcommand
        return function(Invocation(options, ctx.command_path.partition(" ")[2]), **arguments)

    parameters = [context, *(p for p in own if p.name != "subcommand"), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


@functools.cache
def _global_annotations() -> dict[str, Any]:
    return inspect.get_annotations(GlobalOptions, eval_str=True)
