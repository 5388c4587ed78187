"""How a command on a table or index can end."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How it ended."""

    done = "done"
    held_back = "held back"
    locked = "locked"
    not_permitted = "not permitted"
    failed = "failed"
    interrupted = "interrupted"
    not_started = "not started"

    def told(self, detail: str) -> str:
        """The state and its detail as one piece of a sentence."""
        if not detail or detail.startswith(self.value):
            return detail or self.value
        return f"{self.value}: {detail}"
