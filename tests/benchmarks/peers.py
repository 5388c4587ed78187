"""Where the peers are, and how to get those that are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import NotMeasured

_DBMATE_HELP = (
    "get it with `npm install --prefix DIR dbmate` and name it with --dbmate DIR, "
    "or set AGENTDB_BENCH_DBMATE, or put its binary on the PATH"
)
_YOYO_HELP = (
    "get it with `python -m venv DIR && DIR/bin/pip install yoyo-migrations 'psycopg[binary]'` "
    "and name it with --yoyo DIR, or set AGENTDB_BENCH_YOYO, or put it on the PATH"
)


@dataclass(frozen=True, slots=True)
class Peers:
    """The programs of others, as options name them."""

    dbmate_option: Path | None = None
    yoyo_option: Path | None = None

    def dbmate(self) -> Path:
        """The dbmate binary.

        Raises:
            NotMeasured: there is none; the message says how to get it.
        """
        named = _named("dbmate", self.dbmate_option)
        return _first(named, _dbmate_candidates, "dbmate", _DBMATE_HELP)

    def yoyo(self) -> Path:
        """The console script of yoyo-migrations.

        Raises:
            NotMeasured: there is none; the message says how to get it.
        """
        named = _named("yoyo", self.yoyo_option)
        return _first(named, lambda path: (path, path / "bin" / "yoyo"), "yoyo", _YOYO_HELP)

    def versions(self) -> dict[str, str]:
        """The version of each peer that is there."""
        commands: dict[str, Callable[[], list[str]]] = {
            "dbmate": lambda: [str(self.dbmate()), "--version"],
            "yoyo": lambda: _yoyo_version(self.yoyo()),
        }
        found = {}
        for name, command in commands.items():
            try:
                done = subprocess.run(command(), capture_output=True, text=True, check=False)
            except NotMeasured:
                continue
            found[name] = (done.stdout.split() or ["unknown"])[-1]
        return found


def _yoyo_version(script: Path) -> list[str]:
    """A command that prints it: yoyo has no option for that, but its interpreter knows."""
    interpreter = script.read_text().splitlines()[0].removeprefix("#!").strip()
    code = "import importlib.metadata as m; print(m.version('yoyo-migrations'))"
    return [interpreter, "-c", code]


def _named(name: str, option: Path | None) -> Path | None:
    """What the option, the environment or the PATH names."""
    found = option or os.environ.get(f"AGENTDB_BENCH_{name.upper()}") or shutil.which(name)
    return Path(found).absolute() if found else None


def _first(
    named: Path | None, candidates: Callable[[Path], Iterable[Path]], name: str, how: str
) -> Path:
    if named is None:
        raise NotMeasured(f"not found: {how}")
    for path in candidates(named):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise NotMeasured(f"there is no {name} at {named}: {how}")


def _dbmate_candidates(named: Path) -> Iterator[Path]:
    """The binary itself, or the one in an npm prefix.

    npm's own `dbmate` is a script for node, whose start would be timed as
    well; the binary that it runs lies in a package beside it.
    """
    if named.is_file() and not _is_script(named):
        yield named
    for base in (named, *named.resolve().parents):
        yield from sorted((base / "node_modules").glob("@dbmate/*/bin/dbmate"))


def _is_script(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"#!"
