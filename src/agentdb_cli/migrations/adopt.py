"""Another tool's history: which files are what it has applied, and whether unchanged."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import foreign, history, plan
from agentdb_cli.migrations.adopt_model import History, Recorded, Tool
from agentdb_cli.migrations.files import MigrationFile, raw
from agentdb_cli.migrations.job import Job
from agentdb_cli.postgres.connect import Connection

_BOM = b"\xef\xbb\xbf"


class Adopted(NamedTuple):
    """A file that another tool has applied.

    Attributes:
        recorded_as: what the tool calls it.
        proof: the kind of checksum by which the file is the one that was applied;
            None if the tool keeps none.
    """

    file: MigrationFile
    recorded_as: str
    proof: str | None


def match(connection: Connection, job: Job, found: History) -> tuple[Adopted, ...] | None:
    """The files that a tool has applied, by version; None if its records name no file.

    Raises:
        MigrationError: a recorded migration has no file, a file is another one than
            was applied, or one was passed over.
    """
    foreign.recognise(job.directory)
    if found.tool is Tool.alembic:
        return _of_revisions(job, found) if found.revisions else ()
    adopted: dict[int, Adopted] = {}
    changed: list[str] = []
    lost: list[str] = []
    by_version = {file.version: file for file in job.directory.files}
    by_stem = {file.label: file for file in job.directory.files}
    for recorded in found.recorded:
        file = by_stem.get(recorded.stem) if recorded.stem else by_version.get(recorded.version)
        if file is None:
            lost.append(recorded.key)
            continue
        proof, problem = _proof(file, recorded)
        changed += [problem] if problem else []
        adopted[file.version] = Adopted(file, recorded.key, proof)
    _refuse_lost(job, found, lost)
    if changed:
        raise MigrationError(
            f"{plan.count(changed, 'file')} changed since {found.tool} applied "
            f"{'it' if len(changed) == 1 else 'them'}:{plan.listed(changed)}",
            hint="restore what was applied from version control; a change goes into a new "
            "migration: agentdb migrate new",
        )
    for file in job.directory.files:
        if found.up_to is not None and file.version <= found.up_to:
            adopted.setdefault(file.version, Adopted(file, f"up to {found.up_to}", None))
    ours = {row.version for row in history.read(connection, job.table, job.pack)}
    _refuse_passed_over(job, found, adopted.keys() | ours, max(adopted, default=-1))
    return tuple(adopted[version] for version in sorted(adopted))


def unrecorded(connection: Connection, job: Job, adopted: Sequence[Adopted]) -> list[Adopted]:
    """Those that agentdb's own history does not have yet."""
    recorded = {row.version for row in history.read(connection, job.table, job.pack)}
    return [each for each in adopted if each.file.version not in recorded]


def _refuse_lost(job: Job, found: History, lost: list[str]) -> None:
    if not lost:
        return
    python = [key for key in lost if (job.directory.path / f"{key}.py").exists()]
    if python:
        raise MigrationError(
            f"{job.directory.path / python[0]}.py is written in Python, which agentdb cannot run",
            hint="write it as SQL under the same name, beside it, then adopt again",
        )
    raise MigrationError(
        f"{plan.count(lost, 'migration')} that {found.tool} has applied without a file in "
        f"{job.directory.path}:{plan.listed(lost)}",
        hint="restore the files, or name their directory with --dir",
    )


def _refuse_passed_over(job: Job, found: History, known: Collection[int], newest: int) -> None:
    over = [
        file.label
        for file in job.directory.files
        if file.version < newest and file.version not in known
    ]
    if over:
        last = next(file.label for file in job.directory.files if file.version == newest)
        raise MigrationError(
            f"{plan.count(over, 'file')} numbered below {last}, which {found.tool} has applied, "
            f"but not recorded by it:{plan.listed(over)}",
            hint=f"apply {'it' if len(over) == 1 else 'them'} with {found.tool} first, or renumber "
            f"{'it' if len(over) == 1 else 'them'} after {last}",
        )


def _proof(file: MigrationFile, recorded: Recorded) -> tuple[str | None, str | None]:
    """The kind of the checksum, and how it differs from the recorded one."""
    if isinstance(recorded.checksum, bytes):
        then, now = recorded.checksum.hex(), hashlib.sha384(file.content).hexdigest()
        same = then in {hashlib.sha384(form).hexdigest() for form in _forms(file)}
        short = f"SHA-384 {then[:12]}…, the file has {now[:12]}…"
        return "SHA-384", None if same else f"{file.label}: applied with {short}"
    if isinstance(recorded.checksum, int):
        crc = flyway_checksum(file.content)
        short = f"CRC-32 {recorded.checksum}, the file has {crc}"
        return "CRC-32", None if crc == recorded.checksum else f"{file.label}: applied with {short}"
    return None, None


def _forms(file: MigrationFile) -> set[bytes]:
    """What a file may have been with other line ends, and with a byte order mark."""
    content = file.content
    windows = content.replace(b"\n", b"\r\n")
    return {raw(str(file.path)), content, windows, _BOM + content, _BOM + windows}


def flyway_checksum(content: bytes) -> int:
    """Flyway's checksum: CRC-32 of the lines without their ends, as a signed 32-bit number."""
    crc = zlib.crc32(content.removeprefix(_BOM).replace(b"\r", b"").replace(b"\n", b""))
    return crc - 2**32 if crc >= 2**31 else crc


def _of_revisions(job: Job, found: History) -> tuple[Adopted, ...] | None:
    """The files up to those that carry Alembic's revisions, if any do.

    `alembic upgrade --sql` writes them, each as `-- Running upgrade a -> b`.
    """
    last = -1
    for revision in found.revisions:
        carries = re.compile(rf"(?:->|Revision ID:) *{re.escape(revision)}\b")
        named = re.compile(rf"(?<![A-Za-z0-9]){re.escape(revision)}(?![A-Za-z0-9])")
        fitting = [
            file.version
            for file in job.directory.files
            if named.search(file.filename) or carries.search(file.source)
        ]
        if len(fitting) != 1:
            return None
        last = max(last, fitting[0])
    return tuple(
        Adopted(file, f"up to {', '.join(found.revisions)}", None)
        for file in job.directory.files
        if file.version <= last
    )
