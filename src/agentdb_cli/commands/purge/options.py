"""The options of `agentdb purge`, as the domain takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.retention.load import Window
    from agentdb_cli.retention.outcome import Options


def options(
    run: Invocation,
    max_rows: int | None,
    max_duration: str | None,
    window: str | None,
    max_lag: str,
    max_active: int | None,
    keep_detached: bool,
) -> Options:
    """The options as the domain takes them.

    Raises:
        SettingsError: one of them cannot be read.
    """
    from agentdb_cli.retention.load import Limits
    from agentdb_cli.retention.outcome import Options
    from agentdb_cli.settings import milliseconds
    from agentdb_cli.settings.keys import size

    try:
        seconds = milliseconds(max_duration) / 1000 if max_duration is not None else None
    except ValueError as error:
        raise SettingsError(f"--max-duration must be {error}") from None
    try:
        lag = size(max_lag)
    except ValueError as error:
        raise SettingsError(f"--max-lag must be {error}") from None
    limits = Limits(lag, max_active, window=_window(window) if window else None)
    return Options(run.settings.connection.lock_timeout, limits, max_rows, seconds, keep_detached)


def _window(text: str) -> Window:
    from datetime import time as clock_time

    from agentdb_cli.retention.load import Window

    begin, _, end = text.partition("-")
    try:
        window = Window(
            clock_time.fromisoformat(begin.strip()), clock_time.fromisoformat(end.strip())
        )
    except ValueError:
        raise SettingsError(
            f"--window '{text}' is no window", hint="write it as 01:00-05:00"
        ) from None
    if window.begin == window.end:
        raise SettingsError(f"--window '{text}' never opens", hint="write it as 01:00-05:00")
    return window
