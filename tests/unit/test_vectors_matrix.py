"""Vectors in one piece of memory, as `vectors load` reads them."""

from __future__ import annotations

import struct

from agentdb_cli.vectors.load.matrix import Matrix


def matrix(*rows: tuple[float, ...]) -> Matrix:
    content = b"".join(struct.pack(f">{len(row)}f", *row) for row in rows)
    return Matrix(memoryview(content), len(rows[0]))


def test_rows() -> None:
    found = matrix((1, 2), (3, 4), (5, 6))
    assert len(found) == 3
    assert [struct.unpack(">2f", row) for row in found] == [(1, 2), (3, 4), (5, 6)]


def test_vectors_that_may_be_zero() -> None:
    found = matrix((1, 0, 0), (0, 0, 0), (0, 2, 0), (-0.0, 0, 0), (1e-40, 0, 0))
    suspects = [struct.unpack(">3f", row) for row in found.beginning_with_zero()]
    assert [str(row[0]) for row in suspects] == ["0.0", "0.0", "-0.0"]
    assert matrix((1, 0), (2, 0)).beginning_with_zero() == []
