"""The manifest of a backup: what is in it, where it came from, and how it was made.

A directory is a backup only with a whole manifest: it carries its own checksum, so that
a damaged one is noticed as any other file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from agentdb_cli.errors import AgentdbError

FILE_NAME = "manifest.json"
DATA = "data"
"""The directory of pg_dump's own."""
GLOBALS = "globals.sql"
VERSION = 1
_HEAD = 4096  # bytes, in which the first fields of a manifest are
_DATABASE = re.compile(r'^  "database": ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)
_IDENTIFIER = re.compile(r'^  "system_identifier": ("\d+"|null),$', re.MULTILINE)
_CHECKSUM = "manifest_sha256"
_NEWER = "objects"
"""The field that the first manifests did not have."""

Content = Literal["all", "schema", "data"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows are in a backup.

    Attributes:
        rows: counted in the dump's own snapshot; None if they could not be counted, or the
            backup holds none.
        bytes: what it took on the server's disk, without indexes.
    """

    schema: str
    name: str
    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Object:
    """A definition in a backup, as `sql/backups/objects.sql` shows it.

    Attributes:
        kind: `table`, `view`, `sequence`, `index`, `constraint`, `trigger`, `policy`, `function`
            or `type`.
        table: whose constraint, trigger or policy it is; None for what has a name of its own.
        definition: its SQL, where a look at the name would not do.
        state: `valid`, or what was wrong with it in the source already.
        bytes: of an index; None for all else.
    """

    kind: str
    schema: str
    table: str | None
    name: str
    definition: str | None
    state: str
    bytes: int | None

    def __str__(self) -> str:
        return f"{self.schema}.{self.table + ' ' if self.table else ''}{self.name}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a backup; its path counts from the backup's directory."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a backup.

    Attributes:
        version: of this format.
        created_at: the moment of the snapshot, in UTC, ISO 8601.
        seconds: how long it took.
        server: where the database is, without secrets.
        system_identifier: of the server's data directory; None if the role may not read it.
        server_version: server_version_num.
        tool: `agentdb 0.1.0`.
        program: the version of pg_dump.
        commands: the argument lists that were run; no secrets are in them.
        selection: the tables that were asked for; None for all of them.
        compression: `gzip:6`, `zstd:3` …
        extensions: versions by name.
        packs: the last migration applied, by pack.
        bytes: of all files.
        objects: the definitions in it; None in a manifest of before they were listed.
    """

    name: str
    created_at: str
    seconds: float
    database: str
    server: str
    system_identifier: str | None
    server_version: int
    tool: str
    program: str
    commands: tuple[tuple[str, ...], ...]
    content: Content
    selection: tuple[str, ...] | None
    compression: str
    jobs: int
    extensions: Mapping[str, str]
    packs: Mapping[str, int]
    tables: tuple[Table, ...]
    files: tuple[File, ...]
    bytes: int
    format: str = "directory"
    version: int = VERSION
    objects: tuple[Object, ...] | None = None

    @property
    def created(self) -> datetime:
        """`created_at` as a time."""
        return datetime.fromisoformat(self.created_at)

    @property
    def rows(self) -> int | None:
        """All rows that were counted; None if no table's were."""
        counted = [table.rows for table in self.tables if table.rows is not None]
        return sum(counted) if counted else None


def read(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        AgentdbError: it is missing, damaged, or of a newer format.
    """
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_bytes())
        version = content["version"]
    except FileNotFoundError:
        raise AgentdbError(f"{directory} has no {FILE_NAME}") from None
    except OSError as error:
        raise AgentdbError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise AgentdbError(f"{path} is damaged: not the JSON of a manifest") from None
    if version != VERSION:
        raise AgentdbError(
            f"{path} has the format {version}, and this agentdb reads {VERSION}",
            hint="use the agentdb that made it, or a newer one",
        )
    if content.pop(_CHECKSUM, None) != _checksum(content):
        raise AgentdbError(f"{path} is damaged: its checksum does not match")
    try:
        return _from_json(content)
    except (KeyError, TypeError, ValueError):
        raise AgentdbError(f"{path} is damaged: a field is missing or wrong") from None


def database_of(directory: Path) -> tuple[str, str | None] | None:
    """A backup's database and its server's system identifier; None if the manifest is damaged.

    Out of the first lines, where `write` puts them, because `read` takes in the whole manifest.
    """
    try:
        with (directory / FILE_NAME).open("rb") as stream:
            head = stream.read(_HEAD).decode("ascii")
        database, identifier = _DATABASE.search(head), _IDENTIFIER.search(head)
        if database is not None and identifier is not None:
            return json.loads(database[1]), json.loads(identifier[1])
        whole = read(directory)
    except (OSError, ValueError, AgentdbError):
        return None
    return whole.database, whole.system_identifier


def write(manifest: Manifest, directory: Path) -> None:
    """Write the manifest of a backup, durably.

    Raises:
        OSError: it cannot be written.
    """
    content = json.loads(json.dumps(asdict(manifest)))
    content[_CHECKSUM] = _checksum(content)
    text = json.dumps(content, indent=2) + "\n"
    descriptor = os.open(directory / FILE_NAME, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _from_json(content: Mapping[str, Any]) -> Manifest:
    values = {field.name: content[field.name] for field in fields(Manifest) if field.name != _NEWER}
    selection, objects = values["selection"], content.get(_NEWER)
    return Manifest(
        **{
            **values,
            "commands": tuple(tuple(command) for command in values["commands"]),
            "selection": None if selection is None else tuple(selection),
            "tables": tuple(Table(**table) for table in values["tables"]),
            "files": tuple(File(**file) for file in values["files"]),
            _NEWER: None if objects is None else tuple(Object(**each) for each in objects),
        }
    )
