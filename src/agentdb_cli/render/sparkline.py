"""A row of numbers as a row of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS, _BLOCK_GAP = "▁▂▃▄▅▆▇█", "·"
_DIGITS, _DIGIT_GAP = "12345678", "."


def sparkline(values: Sequence[float | None], encoding: str | None) -> str:
    """One character a value, from the lowest to the highest of them.

    None, NaN and infinities are gaps, shown as `·`: never as a low value.

    Args:
        encoding: what the characters must exist in; without blocks, the
            digits 1 to 8 stand for them and `.` for a gap.
    """
    levels, gap = (_BLOCKS, _BLOCK_GAP) if _has_blocks(encoding) else (_DIGITS, _DIGIT_GAP)
    known = [value for value in values if value is not None and math.isfinite(value)]
    lowest, highest = min(known, default=0.0), max(known, default=0.0)
    # Halved, because the difference of two large numbers may be no number any more.
    span = highest / 2 - lowest / 2

    def level(value: float | None) -> str:
        if value is None or not math.isfinite(value):
            return gap
        share = (value / 2 - lowest / 2) / span if span > 0 else 0.5
        return levels[min(int(share * len(levels)), len(levels) - 1)]

    return "".join(map(level, values))


def _has_blocks(encoding: str | None) -> bool:
    try:
        (_BLOCKS + _BLOCK_GAP).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
