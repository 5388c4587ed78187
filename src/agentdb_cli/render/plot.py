"""Pictures: the extra `plot` brings matplotlib, which nothing else needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentdb_cli.errors import AgentdbError, SettingsError

_FORMATS = (".svg", ".png")
_BLUE, _GREY = "#1f5fa8", "#666666"


def check(path: Path) -> None:
    """Make sure that a picture can be drawn there, before anything is measured.

    Raises:
        SettingsError: the name has another ending.
        AgentdbError: matplotlib is missing, or there is no such directory.
    """
    if path.suffix.lower() not in _FORMATS:
        raise SettingsError(f"{path} is neither .svg nor .png", hint="--plot recall.svg")
    if not path.absolute().parent.is_dir():
        raise AgentdbError(f"{path.parent} is no directory", hint="make it first")
    try:
        import matplotlib as _  # noqa: F401
    except ImportError:
        raise AgentdbError(
            "a picture needs matplotlib, which is not installed",
            hint="pip install 'agentdb-cli[plot]'",
        ) from None


def curve(
    path: Path,
    title: str,
    setting: str,
    points: Sequence[tuple[str, float, float, float, float]],
    exact: float,
) -> None:
    """Draw recall over latency.

    Args:
        setting: what the points' labels are values of.
        points: label, seconds, recall and the bounds of its interval.
        exact: seconds of the exact search.

    Raises:
        AgentdbError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    milliseconds = [point[1] * 1000 for point in points]
    shares = [point[2] for point in points]
    below = [point[2] - point[3] for point in points]
    above = [point[4] - point[2] for point in points]
    axes.errorbar(
        milliseconds, shares, yerr=[below, above], fmt="o-", color=_BLUE, ecolor="#9bb8dd",
        capsize=3, label=f"index, by {setting}; bars: 95 % interval",
    )  # fmt: skip
    for (label, *_), x, y in zip(points, milliseconds, shares, strict=True):
        axes.annotate(label, (x, y), xytext=(4, -12), textcoords="offset points", fontsize=8)
    axes.axvline(exact * 1000, color=_GREY, linestyle="--", label="exact search")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel("p50 of a search (ms)")
    axes.set_ylabel("recall")
    axes.set_title(title)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(loc="lower right")
    try:
        figure.savefig(path)
    except OSError as error:
        raise AgentdbError(f"cannot write {path}: {error.strerror}") from error
