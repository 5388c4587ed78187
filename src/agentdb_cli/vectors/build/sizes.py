"""What a vector index takes: bytes of memory while it is built, and of disk for good.

The layouts and the constants are those of pgvector 0.8: measured with 3, 384 and 1,536
dimensions and m of 8 to 32, where they hold within a few percent.
"""

from __future__ import annotations

_PAGE, _PAGE_ROOM = 8192, 8152
_ELEMENT_IN_MEMORY = 224
"""A graph's element without its value and neighbours, with what the allocator adds."""
_NEIGHBOUR_IN_MEMORY = 32
"""Of each of the m connections a layer: twice as many on the lowest, 16 bytes each."""
_ELEMENT, _NEIGHBOUR = 92, 6
"""The same on disk: header and item pointers; an item pointer a neighbour."""
SHARED_MARGIN = 4 * 1024 * 1024
"""What a parallel build leaves unused of maintenance_work_mem: pgvector keeps 3 MB for itself."""
SAMPLES_PER_LIST, LEAST_SAMPLES = 50, 10_000
"""How many rows IVFFlat's k-means takes, in pgvector's source."""


def value(type: str, dimensions: int) -> int:
    """Bytes of a value: pgvector's documentation, "Vector Type" and the following."""
    match type:
        case "halfvec":
            return 8 + 2 * dimensions
        case "bit":
            return 8 + -(-dimensions // 8)
    return 8 + 4 * dimensions


def hnsw_memory(rows: int, width: int, m: int) -> int:
    """Bytes that hold a whole HNSW graph, so that none of it is built on disk.

    Args:
        width: bytes of a value.
    """
    element = width + _ELEMENT_IN_MEMORY + _NEIGHBOUR_IN_MEMORY * m
    return round(rows * element * 1.05) + SHARED_MARGIN


def hnsw_disk(rows: int, width: int, m: int) -> int:
    """Bytes of an HNSW index."""
    return rows * _on_pages(width + _ELEMENT + _NEIGHBOUR * (2 * m + 1))


def ivfflat_memory(rows: int, width: int, lists: int) -> int:
    """Bytes that IVFFlat's k-means wants, or refuses to start.

    The sample, three times the centres, the lower bounds of each sample to each centre, and the
    distances between centres.
    """
    samples = max(lists * SAMPLES_PER_LIST, LEAST_SAMPLES)
    needed = (samples + 3 * lists) * width + 4 * samples * lists + 4 * lists * lists
    return round(needed * 1.05) + SHARED_MARGIN + 16 * samples


def ivfflat_disk(rows: int, width: int, lists: int) -> int:
    """Bytes of an IVFFlat index: each list begins a page, and the last one is half full."""
    return rows * _on_pages(width + 12) + lists * (_PAGE // 2) + lists * _on_pages(width + 16)


def _on_pages(entry: int) -> int:
    """Bytes of disk an entry: what does not fit on a page begins the next one."""
    return _PAGE // (_PAGE_ROOM // entry) if entry <= _PAGE_ROOM else _PAGE + entry - _PAGE_ROOM
