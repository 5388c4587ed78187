"""Reading parts: are they whole, and their rows as COPY takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive.columns import Format
from agentdb_cli.retention.archive.files import cannot
from agentdb_cli.retention.archive.manifest import Part

_BLOCK = 256 * 1024  # bytes


def verify(path: Path, part: Part) -> None:
    """Make sure that a file is the one that was written: its checksum, then its rows.

    Raises:
        AgentdbError: it is missing, cannot be read, or differs.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise _damaged(path, "it is missing") from None
    except OSError as error:
        raise cannot("read", path, error) from None
    if found != part.sha256:
        size = path.stat().st_size
        what = f"{size} bytes instead of {part.bytes}" if size != part.bytes else "wrong checksum"
        raise _damaged(path, what)
    rows = _count(path, part)
    if rows != part.rows:
        raise _damaged(path, f"{rows} rows instead of {part.rows}")


def _damaged(path: Path, what: str) -> AgentdbError:
    return AgentdbError(
        f"{path} is not what was archived: {what}",
        hint="take the file from a backup; nothing was put back",
    )


def blocks(path: Path, format: Format) -> Iterator[bytes]:
    """The rows in the text that COPY FROM takes, a block at a time."""
    if format is not Format.parquet:
        return _decompressed(path)
    from agentdb_cli.retention.archive import parquet

    return parquet.blocks(path)


def _count(path: Path, part: Part) -> int:
    if part.format is Format.parquet:
        from agentdb_cli.retention.archive import parquet

        return parquet.count(path)
    lines = sum(block.count(b"\n") for block in _decompressed(path))
    if part.format is Format.jsonl:
        return lines
    # A line is a row unless a text holds newlines, which is slower to find out.
    return lines - 1 if lines - 1 == part.rows else _csv_rows(_decompressed(path)) - 1


def _csv_rows(blocks: Iterable[bytes]) -> int:
    rows, quoted = 0, False
    for block in blocks:
        for place, piece in enumerate(block.split(b'"')):
            quoted ^= place > 0
            rows += 0 if quoted else piece.count(b"\n")
    return rows


def _decompressed(path: Path) -> Iterator[bytes]:
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        while block := stream.read(_BLOCK):
            yield block
