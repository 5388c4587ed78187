"""The errors that agentdb shows to its user.

Every error carries what happened, on which object, and (`hint`) what to do
next. `app.main` is the only place that turns one into text and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AgentdbError(Exception):
    """Something failed that the user can act upon.

    Args:
        message: one sentence without a trailing period; may hold further,
            indented lines (an excerpt of a file, a list of objects).
        hint: what to do next, or None when the message says it already.
        exit_code: the process's exit code (1 failed, 2 wrong usage).
    """

    exit_code = 1

    def __init__(
        self, message: str, *, hint: str | None = None, exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class SettingsError(AgentdbError):
    """A flag, an environment variable or a settings file is wrong."""

    exit_code = 2


class ConnectionFailed(AgentdbError):
    """The server was not reached, or did not let us in."""


class ServerDown(ConnectionFailed):
    """No server answered there, or one that takes no sessions now."""


class DatabaseMissing(ConnectionFailed):
    """The server answered that the database does not exist."""


class ServerError(AgentdbError):
    """The embedded server could not be prepared, started or stopped."""


class MigrationError(AgentdbError):
    """The migration files, their history or one of their statements is wrong."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence part that names the nearest of `known`, or nothing.

    Returns:
        `"; did you mean 'url'?"`, or `""` when nothing comes near.
    """
    matches = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
