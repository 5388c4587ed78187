"""The bytes of a script as everybody reads them: UTF-8, with LF line ends, without a mark."""

from __future__ import annotations

from agentdb_cli.errors import MigrationError

_BOM = b"\xef\xbb\xbf"


def plain(path: str, content: bytes) -> bytes:
    """The content of a file without byte order mark and with LF line ends.

    Raises:
        MigrationError: it is not UTF-8; the message names the line.
    """
    if not content.isascii():
        content = content.removeprefix(_BOM)
        _refuse_other_encodings(path, content)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    return content


def _refuse_other_encodings(path: str, content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise MigrationError(
            f"{path}, line {line}: not UTF-8 (byte 0x{content[error.start]:02x})",
            hint="save the file as UTF-8",
        ) from None
