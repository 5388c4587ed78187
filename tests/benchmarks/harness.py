"""Timing whole processes against each other, and the report of it.

An entry races our command against its peers in one run: every round times each
of them once, and their order changes from round to round, so that a busy machine
is busy for all. What counts is the ratio of the medians.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import median
from typing import Protocol


class NotMeasured(Exception):
    """A contender failed or is missing; the message says why and what to do."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Contender:
    """A command that takes part in a race.

    Attributes:
        name: how the report calls it.
        command: the program and its arguments.
        prepare: makes the state that each timing starts from; not timed.
        verify: raises NotMeasured unless the command did its work; not timed.
    """

    name: str
    command: Sequence[str]
    prepare: Callable[[], None] = _nothing
    verify: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Peer:
    """What our command is compared with.

    Attributes:
        contender: its command, or the reason why it cannot take part.
        bar: the most that ours / peer may be; None if it is shown for orientation.
    """

    name: str
    contender: Contender | NotMeasured
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    Attributes:
        ours, theirs: seconds of each round.
        verdict: `within` or `over` for a bar, `yes` or `no` for a check, `-` for neither.
        remark: why it was not measured, or what a check found.
    """

    entry: str
    ours: tuple[float, ...] = ()
    peer: str = "-"
    theirs: tuple[float, ...] = ()
    bar: float | None = None
    verdict: str = "-"
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """Our median by the peer's."""
        return median(self.ours) / median(self.theirs) if self.ours and self.theirs else None


class Entry(Protocol):
    """One measurement."""

    @property
    def rounds(self) -> int:
        """How many rounds it takes unless told otherwise."""

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """Run it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run: an empty directory and home, and a bare environment.

    No setting of the machine reaches a contender, and no setting of one reaches another.
    """

    directory: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """The whole environment of a timed process."""
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
        }

    def work(self) -> Path:
        """The empty working directory."""
        path = self.directory / "work"
        path.mkdir(exist_ok=True)
        return path

    def time(self, command: Sequence[str]) -> float:
        """Run a command and return the seconds from its start to its end.

        Raises:
            NotMeasured: it cannot be run, or exits with a code other than 0.
        """
        with tempfile.TemporaryFile() as errors:
            environment, work = self.environment, self.work()
            try:
                started = time.perf_counter()
                # No timeout: to keep one, `wait` would poll, and add to the time.
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment,
                    cwd=work,
                    check=False,
                )
                seconds = time.perf_counter() - started
            except OSError as error:
                raise NotMeasured(f"{command[0]}: {error.strerror}") from error
            if done.returncode != 0:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()[-5:]
                raise NotMeasured(
                    f"{Path(command[0]).name} exited with {done.returncode}: {' / '.join(said)}"
                )
        return seconds


@dataclass(frozen=True, slots=True)
class Race:
    """Our command against its peers."""

    name: str
    ours: Contender
    peers: tuple[Peer, ...]
    rounds: int

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """One warm-up round, then `rounds` that count."""
        missing: dict[str, NotMeasured] = {}
        entrants = {}
        for peer in self.peers:
            if isinstance(peer.contender, Contender):
                entrants[peer.name] = peer.contender
            else:
                missing[peer.name] = peer.contender
        seconds: dict[str, list[float]] = {name: [] for name in ("", *entrants)}
        try:
            for number in range(rounds + 1):
                tell(f"{self.name}: {f'round {number} of {rounds}' if number else 'warm-up'}")
                for name in _turn(tuple(seconds), number):
                    if name in missing:
                        continue
                    try:
                        taken = _timing(entrants.get(name, self.ours), place)
                    except NotMeasured as reason:
                        if not name:
                            raise
                        missing[name] = reason
                        continue
                    if number:
                        seconds[name].append(taken)
        except NotMeasured as reason:
            return [Row(self.name, verdict="failed", remark=f"agentdb: {reason}")]
        return [self._row(peer, seconds, missing.get(peer.name)) for peer in self.peers]

    def _row(
        self, peer: Peer, seconds: Mapping[str, Sequence[float]], missing: NotMeasured | None
    ) -> Row:
        ours = tuple(seconds[""])
        if missing is not None:
            verdict, remark = "not measured", f"{peer.name}: {missing}"
            return Row(self.name, ours, peer.name, (), peer.bar, verdict, remark)
        theirs = tuple(seconds[peer.name])
        verdict = "-"
        if peer.bar is not None:
            verdict = "within" if median(ours) <= peer.bar * median(theirs) else "over"
        return Row(self.name, ours, peer.name, theirs, peer.bar, verdict)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that holds or does not, and how long it took.

    Attributes:
        run: one try; returns its seconds and what was wrong, or an empty text.
    """

    name: str
    run: Callable[[Place], tuple[float, str]]
    rounds: int

    def measure(self, place: Place, rounds: int) -> list[Row]:
        """`rounds` tries, of which each must hold."""
        seconds: list[float] = []
        wrong = ""
        for number in range(1, rounds + 1):
            tell(f"{self.name}: round {number} of {rounds}")
            try:
                taken, found = self.run(place)
            except NotMeasured as reason:
                return [Row(self.name, tuple(seconds), verdict="failed", remark=str(reason))]
            seconds.append(taken)
            if found and not wrong:
                wrong = f"round {number}: {found}"
        return [Row(self.name, tuple(seconds), verdict="no" if wrong else "yes", remark=wrong)]


def _turn(names: Sequence[str], number: int) -> tuple[str, ...]:
    """The names in another order in each round, so that nobody always follows the same one."""
    orders = list(permutations(names))
    return orders[number % len(orders)]


def _timing(contender: Contender, place: Place) -> float:
    contender.prepare()
    seconds = place.time(contender.command)
    contender.verify()
    return seconds


def agentdb() -> str:
    """The console script that belongs to this interpreter.

    Raises:
        NotMeasured: agentdb is not installed here.
    """
    script = Path(sys.executable).with_name("agentdb")
    if not script.exists():
        raise NotMeasured("agentdb is not installed for this Python: pip install -e .")
    return str(script)


# --- The report --------------------------------------------------------------

_HEAD = ("entry", "agentdb", "peer", "peer's time", "ratio", "bar", "verdict")


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text, and below them the remarks."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    cells.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    remarks = [f"{row.entry}: {row.remark}" for row in rows if row.remark]
    return "\n".join([*lines, *(["", *remarks] if remarks else [])])


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.entry,
        spread(row.ours),
        row.peer,
        spread(row.theirs),
        f"{row.ratio:.2f}" if row.ratio is not None else "-",
        f"<= {row.bar:.3g}" if row.bar is not None else "-",
        row.verdict,
    )


def spread(seconds: Sequence[float]) -> str:
    """`93.1 ms (90.0-101)`: the median, the least and the most."""
    if not seconds:
        return "-"
    middle = median(seconds)
    factor, unit = (1, "s") if middle >= 1 else (1000, "ms")
    least, most = min(seconds) * factor, max(seconds) * factor
    return f"{_three(middle * factor)} {unit} ({_three(least)}-{_three(most)})"


def _three(number: float) -> str:
    """A number with three figures, and never an exponent."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def as_json(row: Row) -> dict[str, object]:
    """A row with the seconds of every round."""
    return {
        "entry": row.entry,
        "agentdb_seconds": list(row.ours),
        "peer": row.peer if row.peer != "-" else None,
        "peer_seconds": list(row.theirs),
        "ratio": row.ratio,
        "bar": row.bar,
        "verdict": row.verdict if row.verdict != "-" else None,
        "remark": row.remark or None,
    }


def tell(line: str) -> None:
    """Progress, on stderr: overwritten on a terminal, and only there."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r{line[:width]:<{width}}\r")
        sys.stderr.flush()
