"""The list of a table's parts, and what became of each: one JSON object a line.

A line is added and put on disk for each event; none is ever changed. What a crash
leaves of a last line is cut off: the event that it was to record had not been
relied upon yet.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from agentdb_cli.durable import sync_directory
from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive.columns import Column, Format
from agentdb_cli.retention.archive.files import cannot, part_name

NAME = "manifest.jsonl"
VERSION = 1


class State(StrEnum):
    """What became of the transaction that wrote a part."""

    written = "written"
    committed = "committed"
    aborted = "aborted"
    doubtful = "doubtful"


class ImportState(StrEnum):
    """How far the import of a part came."""

    importing = "importing"
    imported = "imported"


@dataclass(frozen=True, slots=True)
class Header:
    """Which table the parts come from.

    Attributes:
        cluster: the server's system identifier, or "" if the role may not read it.
    """

    cluster: str
    database: str
    database_oid: int
    schema: str
    table: str

    @property
    def name(self) -> str:
        """`schema.table`."""
        return f"{self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Part:
    """The rows that one transaction took out of a table.

    Attributes:
        name: its file's name.
        xid: the transaction's id, all 64 bits.
        timeline: the server's timeline then; a restored or promoted server has another.
        oid: the table's.
        columns: the columns that it holds, in their order.
        rows: how many; a part without any has no file.
        bytes: the size of the file.
        sha256: of the file, in hexadecimal.
    """

    name: str
    format: Format
    xid: int
    timeline: str
    oid: int
    columns: tuple[Column, ...]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Import:
    """The last attempt to put a part back into one table."""

    state: ImportState
    xid: int
    timeline: str


@dataclass(slots=True)
class Record:
    """A part and what became of it.

    Attributes:
        imports: by target, as `target_key` names it.
    """

    part: Part
    state: State = State.written
    imports: dict[str, Import] = field(default_factory=dict)


def target_key(cluster: str, database_oid: int, oid: int) -> str:
    """A table that parts are put back into, as the manifest names it."""
    return f"{cluster}/{database_oid}/{oid}"


class Manifest:
    """One table's manifest.

    Attributes:
        path: the file.
        header: None when there is no manifest yet.
        records: the parts by name, oldest first.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.header: Header | None = None
        self.records: dict[str, Record] = {}
        self._good = 0  # bytes up to the end of the last whole line
        self._read()

    @property
    def directory(self) -> Path:
        """Where the parts are."""
        return self.path.parent

    def _read(self) -> None:
        """Read the lines one by one; what follows the last newline is torn, and left out.

        Raises:
            AgentdbError: the file cannot be read, is damaged, or is a newer agentdb's.
        """
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        break
                    self._take(number, line)
                    self._good += len(line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise cannot("read", self.path, error) from None

    def _take(self, number: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
            if number == 1:
                self._take_header(entry)
            else:
                self._take_event(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise AgentdbError(
                f"line {number} of {self.path} is damaged",
                hint="take the file from a backup; nothing was changed",
            ) from None

    def _take_header(self, entry: Mapping[str, Any]) -> None:
        version = entry["agentdb_archive"]
        if version > VERSION:
            raise AgentdbError(
                f"{self.path} was written by a newer agentdb (archive format {version}, "
                f"this one knows {VERSION})",
                hint="upgrade agentdb",
            )
        self.header = Header(**entry["source"])

    def _take_event(self, entry: Mapping[str, Any]) -> None:
        state = entry["state"]
        if state == State.written:
            part = _part(entry["part"])
            self.records[part.name] = Record(part)
        elif state in tuple(State):
            self.records[entry["part"]].state = State(state)
        else:
            imports = self.records[entry["part"]].imports
            imports[entry["target"]] = Import(
                ImportState(state), int(entry["xid"]), entry["timeline"]
            )

    def begin(self, header: Header) -> None:
        """Write the first line, unless there is one."""
        if self.header is None:
            self._append({"agentdb_archive": VERSION, "source": asdict(header)})
            sync_directory(self.directory)
            self.header = header

    def written(self, part: Part) -> None:
        """Record that a part is complete on disk and its transaction about to commit."""
        self._append({"state": State.written, "at": _now(), "part": asdict(part)})
        self.records[part.name] = Record(part)

    def mark(self, part: Part, state: State) -> None:
        """Record what became of a part's transaction."""
        self._append({"state": state, "at": _now(), "part": part.name})
        self.records[part.name].state = state

    def mark_import(self, part: Part, target: str, change: Import, **more: object) -> None:
        """Record how far the import of a part came.

        Args:
            target: from `target_key`.
            more: what else a reader of the file may want to know.
        """
        entry = {"state": change.state, "at": _now(), "part": part.name, "target": target}
        self._append({**entry, "xid": change.xid, "timeline": change.timeline, **more})
        self.records[part.name].imports[target] = change

    def _append(self, entry: Mapping[str, object]) -> None:
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise cannot("write", self.path, error) from None
        try:
            os.ftruncate(descriptor, self._good)
            _write_all(descriptor, line, self._good)
            os.fsync(descriptor)
        except OSError as error:
            raise cannot("write", self.path, error) from None
        finally:
            os.close(descriptor)
        self._good += len(line)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        done = os.pwrite(descriptor, data, offset)
        data, offset = data[done:], offset + done


def _part(entry: Mapping[str, Any]) -> Part:
    """A part as its line describes it; nothing in it may lead out of the directory."""
    if part_name(entry["name"]) is None:
        raise ValueError(entry["name"])
    numbers = {key: int(entry[key]) for key in ("xid", "oid", "rows", "bytes")}
    columns = tuple(Column(**column) for column in entry["columns"])
    return Part(**{**entry, **numbers, "format": Format(entry["format"]), "columns": columns})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
