"""Benchmarks: `python tests/benchmarks/run.py [NAME…] [--rounds N] [--json FILE]`.

Bars are printed, never enforced: the exit code tells only whether everything
could be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import backup
import docstrings
import doctor
import health
import migrate
import packs
import purge
import restore
import sampler
import search
import startup
import vectors_index
import vectors_load
from harness import Entry, NotMeasured, Place, Row, as_json, table, tell
from peers import Peers
from servers import Server, postgresql_version, running, workspace

from agentdb_cli import __version__
from agentdb_cli.errors import AgentdbError


class Bench:
    """What the entries need: a directory, the peers, and a server once one asks for it."""

    def __init__(self, stack: ExitStack, peers: Peers) -> None:
        self._stack = stack
        self._server: Server | None = None
        self.peers = peers
        self.directory = stack.enter_context(workspace())

    @property
    def server(self) -> Server:
        """The server, started at the first call."""
        if self._server is None:
            self._server = self._stack.enter_context(running(self.directory))
        return self._server


ENTRIES: dict[str, Callable[[Bench], Entry]] = {
    "version": lambda _: startup.version(),
    "help": lambda bench: startup.help_screen(bench.directory),
    "migrate-500": lambda b: migrate.apply_all(b.directory, b.server, b.peers),
    "nothing-pending": lambda b: migrate.nothing_pending(b.directory, b.server, b.peers),
    "nothing-pending-5000": lambda b: migrate.nothing_pending_of_many(b.directory, b.server),
    "ten-at-once": lambda b: migrate.ten_at_once(b.directory, b.server),
    "packs": lambda b: packs.from_nothing(b.server),
    "health": lambda b: health.healthy_pack(b.directory, b.server),
    "doctor": lambda b: doctor.check_list(b.server),
    "health-crowd": lambda b: health.Crowd(b.directory),
    "purge": lambda b: purge.Purge(b.server),
    "restore": lambda b: restore.race(b.directory, b.server),
    "backup": lambda b: backup.Backup(b.server),
    "search": lambda b: search.Search(b.server),
    "search-sentences": lambda b: search.Real(b.server),
    "hybrid": lambda b: search.Both(b.server),
    "hybrid-docstrings": lambda b: docstrings.Docstrings(b.server),
    "vectors-load": lambda b: vectors_load.Load(b.directory, b.server),
    "vectors-index": lambda b: vectors_index.Index(b.server),
    "vectors-tune": lambda b: vectors_index.Tune(b.server),
    "sampler": lambda b: sampler.sampler(b.directory),
}


def main(arguments: Sequence[str]) -> int:
    """Run the named entries, or all.

    Returns:
        0 if everything was measured, 1 if not, 130 if interrupted.
    """
    options = _options(arguments)
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:
            signal.signal(ending, signal.default_int_handler)  # so that the server is stopped
    peers = Peers(options.dbmate, options.yoyo)
    rows: list[Row] = []
    load = os.getloadavg()
    try:
        facts = _machine(peers)
        with ExitStack() as stack:
            bench = Bench(stack, peers)
            for name in options.names or ENTRIES:
                rows += _rows(bench, name, options.rounds)
    except AgentdbError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        tell("")
    facts["load"] = f"{load[0]:.2f} before, {os.getloadavg()[0]:.2f} after"
    for key, value in facts.items():
        print(f"{key:<11} {value}")
    print(f"\n{table(rows)}")
    if options.json is not None:
        report = {"machine": facts, "results": [as_json(row) for row in rows]}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any(row.verdict in ("failed", "not measured") for row in rows) else 0


def _rows(bench: Bench, name: str, rounds: int | None) -> list[Row]:
    tell(f"{name}: preparing")
    try:
        entry = ENTRIES[name](bench)
    except NotMeasured as reason:
        return [Row(name, verdict="failed", remark=str(reason))]
    return entry.measure(Place(bench.directory), rounds or entry.rounds)


def _machine(peers: Peers) -> dict[str, str]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "agentdb": __version__,
        "machine": f"{platform.system()} {platform.machine()}, {_cores()} cores",
        "python": platform.python_version(),
        "postgresql": postgresql_version(),
        **peers.versions(),
    }


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py", description="Benchmarks of agentdb against its peers."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(ENTRIES)}")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each entry")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every timing to FILE")
    parser.add_argument("--dbmate", type=Path, metavar="PATH", help="binary or npm prefix")
    parser.add_argument("--yoyo", type=Path, metavar="PATH", help="console script or venv")
    options = parser.parse_args(arguments)
    for name in options.names:
        if name not in ENTRIES:
            parser.error(f"no entry '{name}'; there are {', '.join(ENTRIES)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
