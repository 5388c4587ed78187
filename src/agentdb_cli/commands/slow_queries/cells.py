"""The figures of a slow statement: which columns there are, and how a person reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agentdb_cli.render import duration

STATEMENT_COLUMNS = (
    "id", "query", "database", "role", "toplevel", "seconds", "share", "total_ms", "mean_ms",
    "stddev_ms", "mean_plus_2sd_ms", "min_ms", "max_ms", "calls", "rows", "rows_per_call",
    "cache_hit", "io_bytes", "io_ms", "temp_bytes", "wal_bytes", "plans", "plan_ms",
)  # fmt: skip
GROUP_COLUMNS = (
    "id", "query", "cut", "databases", "roles", "applications", "share", "estimated_ms",
    "active_sessions", "executions", "mean_ms", "max_ms", "waits",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a row: its title, its column, and how a person reads it."""

    title: str
    column: str
    shown: Callable[[Any], str]

    def text(self, row: dict[str, Any]) -> str:
        """The figure; `-` if it is not known."""
        value = row[self.column]
        return "-" if value is None else self.shown(value)


def milliseconds(value: float) -> str:
    """Milliseconds as a person reads them; short ones with three figures."""
    return f"{value:#.3g} ms" if value < 9.995 else duration(value / 1000)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _few(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


STATEMENT_CELLS = (
    Cell("share", "share", _percent),
    Cell("total", "total_ms", milliseconds),
    Cell("calls", "calls", _count),
    Cell("mean", "mean_ms", milliseconds),
    Cell("mean+2sd", "mean_plus_2sd_ms", milliseconds),
    Cell("rows/call", "rows_per_call", _few),
    Cell("hit", "cache_hit", _percent),
)
EXTRA_CELLS = {
    "io": (Cell("io", "io_bytes", _bytes), Cell("io time", "io_ms", milliseconds)),
    "temp": (Cell("temp", "temp_bytes", _bytes),),
    "wal": (Cell("wal", "wal_bytes", _bytes),),
    "plan": (Cell("plan", "plan_ms", milliseconds), Cell("plans", "plans", _count)),
}
GROUP_CELLS = (
    Cell("share", "share", _percent),
    Cell("total", "estimated_ms", milliseconds),
    Cell("sessions", "active_sessions", lambda value: f"{value:.2f}"),
    Cell("seen", "executions", _count),
    Cell("mean age", "mean_ms", milliseconds),
    Cell("max age", "max_ms", milliseconds),
)


def aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    """One line of texts, each at the right of its width."""
    return "  ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
