"""The record of a backup's verifications: `verified.jsonl`, one line each."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from agentdb_cli.errors import AgentdbError

FILE_NAME = "verified.jsonl"

Kind = Literal["checksums", "drill"]


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification of a backup.

    Attributes:
        at: UTC, ISO 8601.
        kind: `checksums` (the files are as they were written) or `drill` (it was restored).
        detail: what was looked at, or what was wrong.
    """

    at: str
    kind: Kind
    ok: bool
    detail: str

    @property
    def time(self) -> datetime:
        """`at` as a time."""
        return datetime.fromisoformat(self.at)


def now() -> str:
    """The present moment as `Verification.at`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(directory: Path) -> tuple[Verification, ...]:
    """All verifications, oldest first; a line that was cut off by a crash is left out."""
    found = []
    try:
        lines = (directory / FILE_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    for line in lines:
        try:
            verification = Verification(**json.loads(line))
            aware = verification.time.tzinfo is not None
        except (ValueError, TypeError):
            continue
        if aware:
            found.append(verification)
    return tuple(found)


def append(directory: Path, verification: Verification) -> None:
    """Record a verification, durably.

    Raises:
        AgentdbError: the file cannot be written.
    """
    path = directory / FILE_NAME
    # Begins with a line break: the line before it may have been cut off.
    text = "\n" + json.dumps(asdict(verification), ensure_ascii=False) + "\n"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise AgentdbError(f"cannot record it in {path}: {error.strerror}") from None
