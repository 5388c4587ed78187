"""What earlier runs measured, kept in files, so that a later one can show the difference.

One file of JSON lines a database and kind of measurement, below the user's
state directory (XDG). A file holds the newest samples alone and is replaced as
a whole, so that two runs at the same moment lose one sample at most.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdb_cli.errors import AgentdbError


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        taken_at: the server's clock, in seconds since the epoch.
        content: what was measured; whatever JSON can hold.
    """

    taken_at: float
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one database and one kind.

    Attributes:
        directory: the user's state directory for agentdb.
        database: what tells this database from any other: the system
            identifier and the database's oid, as `IDENTITY` returns it.
        kind: what was measured, such as `sizes`.
        keep: how many samples stay; the oldest go first.
    """

    directory: Path
    database: str
    kind: str
    keep: int

    IDENTITY = (
        "SELECT system_identifier || '-' || oid"
        " FROM pg_catalog.pg_control_system(), pg_catalog.pg_database"
        " WHERE datname = pg_catalog.current_database()"
    )
    """A query for `database`: one row, one column."""

    @property
    def path(self) -> Path:
        """The file."""
        if not re.fullmatch(r"\d+-\d+", self.database):
            raise ValueError(f"not a database's identity: {self.database}")
        return self.directory / "samples" / self.database / f"{self.kind}.jsonl"

    def read(self) -> tuple[Sample, ...]:
        """All samples, the oldest first; lines that cannot be read are left out."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError:
            return ()
        found = []
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                found.append(Sample(float(entry["taken_at"]), entry["content"]))
            except (ValueError, KeyError, TypeError):
                continue
        return tuple(sorted(found, key=lambda sample: sample.taken_at))

    def add(self, sample: Sample) -> None:
        """Keep a sample, and of the others the newest.

        Raises:
            AgentdbError: the file cannot be written.
        """
        kept = sorted((*self.read(), sample), key=lambda kept: kept.taken_at)[-self.keep :]
        lines = (json.dumps({"taken_at": s.taken_at, "content": s.content}) + "\n" for s in kept)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, suffix=".new")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(lines)
            Path(name).replace(self.path)
        except OSError as error:
            raise AgentdbError(
                f"the sample could not be kept: {self.path}: {error.strerror}",
                hint="XDG_STATE_HOME names another place for it",
            ) from None
