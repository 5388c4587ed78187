"""What turns rows as COPY writes them into the bytes of a file, a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive.columns import Column, Format
from agentdb_cli.retention.archive.files import PartFile

# Level 1 makes a heartbeat table as small as level 3 does, in less time.
_ZSTD_LEVEL = 1


class Encoder(Protocol):
    """Writes one part."""

    def write(self, rows: bytes) -> None:
        """Append whole rows, in the text that COPY made of them."""

    def finish(self) -> None:
        """Write what was held back."""


def require(format: Format) -> None:
    """Make sure that a format can be written and read here.

    Raises:
        AgentdbError: pyarrow is not installed.
    """
    if format is not Format.parquet:
        return
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        raise AgentdbError(
            "Parquet needs the package pyarrow", hint='pip install "agentdb-cli[parquet]"'
        ) from None


def encoder(format: Format, file: PartFile, columns: Sequence[Column]) -> Encoder:
    """The encoder of a format."""
    if format is not Format.parquet:
        return Zstd(file)
    from agentdb_cli.retention.archive.parquet import ParquetEncoder

    return ParquetEncoder(file, columns)


class Zstd:
    """Rows as they are, compressed, with a checksum in each frame."""

    def __init__(self, file: PartFile) -> None:
        import zstandard

        target: Any = file  # it only needs write() and flush()
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        self._stream: Any = compressor.stream_writer(target, closefd=False)

    def write(self, rows: bytes) -> None:
        """Append whole rows."""
        self._stream.write(rows)

    def finish(self) -> None:
        """End the frame."""
        self._stream.close()
