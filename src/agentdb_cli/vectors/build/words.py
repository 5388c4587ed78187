"""Sizes in the sentences of domain code, which does not know how results are rendered."""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes as PostgreSQL's settings take them: `512kB`, `260MB`, `3GB` (powers of 1024)."""
    for unit, factor in (("GB", 1024**3), ("MB", 1024**2)):
        if count >= 10 * factor or (unit == "MB" and count >= factor):
            return f"{-(-count // factor)}{unit}"
    return f"{-(-count // 1024)}kB"
