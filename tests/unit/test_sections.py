"""Sections, rollback notes and checksums, as text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import rollback_notes, sections
from agentdb_cli.migrations.adopt import flyway_checksum

PIECES = st.lists(
    st.sampled_from(
        ["-- migrate:up\n", "-- migrate:down\n", "-- migrate:up transaction:false\n",
         "-- +goose Up\n", "-- +goose Down\n", "-- UP\n", "-- DOWN\n", "SELECT 'ü';\n", "'", "$$",
         "/*", "*/", "\n", "-- Rollback:\n", "-- DROP TABLE a;\n", "CREATE TABLE a ();\n"]
    ),
    max_size=10,
)  # fmt: skip


@given(PIECES)
def test_a_part_has_the_length_and_the_lines_of_its_file(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = sections.split(text, "file")
    except MigrationError:
        return
    for part in (found.up, found.down) if found else ():
        if part is not None:
            assert len(part.text) == len(text)
            assert [i for i, c in enumerate(part.text) if c == "\n"] == [
                i for i, c in enumerate(text) if c == "\n"
            ]
            assert all(a in (b, " ") for a, b in zip(part.text, text, strict=True))


@given(PIECES)
def test_notes_keep_the_places_of_their_file(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        found = rollback_notes.find(text, "file")
    except MigrationError:
        return
    if found is not None:
        assert len(found) == len(text)
        assert all(a in (b, " ") for a, b in zip(found, text, strict=True))


def test_notes_end_a_file() -> None:
    assert rollback_notes.find("SELECT 1;\n-- Rollback:\n-- SELECT 2;\nSELECT 3;", "file") is None
    assert rollback_notes.find("SELECT '\n-- Rollback:\n-- SELECT 2;\n';", "file") is None
    assert rollback_notes.find("SELECT 1;\n-- Rollback:\n--\n", "file") is None
    assert rollback_notes.find("SELECT 1;\n", "file") is None


def test_notes_in_several_lines() -> None:
    text = "SELECT 1;\n\n-- ROLLBACK:\n-- ALTER TABLE a\n--     DROP COLUMN b;\n\n--DROP TABLE c\n"
    assert rollback_notes.find(text, "file") == (
        "         \n\n            \n   ALTER TABLE a\n       DROP COLUMN b;\n\n  DROP TABLE c\n"
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_checksum_of_flyway(ends: str) -> None:
    # File and value as Flyway has stored them in a database.
    lines = [
        "CREATE TABLE foods(", "    id SERIAL PRIMARY KEY,", "    title TEXT NOT NULL,",
        "    price INTEGER NOT NULL,", "    image TEXT", ");",
    ]  # fmt: skip
    assert flyway_checksum(ends.join(lines).encode()) == 1458108831
