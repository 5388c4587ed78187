"""Vectors of the same dimensions in one piece of memory."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

_ZEROS = {0, 0x80}  # 0.0, and -0.0 turned round; on a big-endian machine the latter is not seen


class Matrix:
    """Vectors one behind the other, each a view on big-endian floats of 4 bytes.

    Args:
        content: all of them.
        dimensions: of each.
    """

    def __init__(self, content: memoryview, dimensions: int) -> None:
        self._content = content
        self._width = 4 * dimensions

    def __len__(self) -> int:
        return len(self._content) // self._width

    def __iter__(self) -> Iterator[memoryview]:
        return iter(self.rows())

    def rows(self) -> list[memoryview]:
        """All vectors."""
        content, width = self._content, self._width
        return [content[start : start + width] for start in range(0, len(content), width)]

    def beginning_with_zero(self) -> list[memoryview]:
        """The vectors whose first number is zero: only they can be zero altogether."""
        firsts = self._content.cast("I")[:: self._width // 4].tolist()
        if _ZEROS.isdisjoint(firsts):
            return []
        return [row for row, first in zip(self.rows(), firsts, strict=True) if first in _ZEROS]


def big_endian(values: array[float]) -> array[float]:
    """The same array, each of its floats turned round unless the machine is big-endian."""
    if sys.byteorder == "little":
        values.byteswap()
    return values
