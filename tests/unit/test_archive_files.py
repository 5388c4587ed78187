"""Names of the archive's files, and the manifest's lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdb_cli.errors import AgentdbError
from agentdb_cli.retention.archive.columns import COPY_OPTIONS, Column, Format, row
from agentdb_cli.retention.archive.files import PartFile, directory_name, part_name
from agentdb_cli.retention.archive.manifest import Header, Manifest, Part, State

HEADER = Header("7", "db", 5, "public", "kept")
NAME = "20260101T000000Z-000001-x17.csv.zst"
PART = Part(NAME, Format.csv, 1, "1", 2, (Column("id", "integer", "int4"),), 3, 4, "ab")


@pytest.mark.parametrize(
    ("schema", "table", "name"),
    [
        ("public", "agent_heartbeats", "public.agent_heartbeats"),
        ("telemetry", "heartbeats-2", "telemetry.heartbeats-2"),
        ("public", "Users", "public.%55sers"),
        ('we"ird', "../name", "we%22ird.%2E%2E%2Fname"),
        ("a.b", "c", "a%2Eb.c"),
        ("a", "b.c", "a.b%2Ec"),
        ("x", "ü%\0", "x.%C3%BC%25%00"),
    ],
)
def test_a_tables_directory(schema: str, table: str, name: str) -> None:
    assert directory_name(schema, table) == name


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(NAMES, NAMES, NAMES, NAMES)
def test_no_two_tables_share_a_directory(a: str, b: str, c: str, d: str) -> None:
    first, second = directory_name(a, b), directory_name(c, d)
    assert (first.casefold() == second.casefold()) == ((a, b) == (c, d))
    assert first.isascii()
    assert "/" not in first
    assert len(first) <= 200


def test_long_names_differ() -> None:
    one, two = directory_name("s", "ü" * 63), directory_name("s", "ü" * 62 + "ä")
    assert len(one) == len(two) == 177
    assert one != two


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("20260101T000000Z-000001-x17.jsonl.zst", 1),
        ("20260101T000000Z-1234567-x17.parquet", 1234567),
        ("20260101T000000Z-000001-x17.jsonl.zst.partial", None),
        ("manifest.jsonl", None),
        ("notes.csv.zst", None),
    ],
)
def test_what_a_file_name_says(name: str, number: int | None) -> None:
    found = part_name(name)
    assert (found.number if found else None) == number
    assert found is None or found.xid == 17


def test_a_file_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    file = PartFile(tmp_path / "part")
    file.write(b"abc")
    assert [path.name for path in tmp_path.glob("part*")] == ["part.partial"]
    file.finish()
    assert [path.name for path in tmp_path.glob("part*")] == ["part"]
    assert (tmp_path / "part").read_bytes() == b"abc"
    assert file.bytes == 3
    assert file.sha256.startswith("ba7816bf")
    file.discard()
    assert list(tmp_path.glob("part*")) == []
    file.write(b"what an encoder flushes when it is collected")


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    assert manifest.header is None
    manifest.begin(HEADER)
    manifest.written(PART)
    manifest.mark(PART, State.committed)
    again = Manifest(tmp_path)
    assert again.header == HEADER
    assert again.records == manifest.records
    assert again.records[NAME].part == PART
    assert again.records[NAME].state is State.committed


def test_a_manifest_torn_at_any_byte_is_what_stood_before(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.begin(HEADER)
    manifest.written(PART)
    manifest.mark(PART, State.committed)
    whole = manifest.path.read_bytes()
    ends = [at for at in range(len(whole)) if whole[at : at + 1] == b"\n"]
    for size in range(len(whole)):
        manifest.path.write_bytes(whole[:size])
        torn = Manifest(tmp_path)
        lines = sum(end < size for end in ends)
        assert (torn.header is not None) == (lines > 0)
        assert len(torn.records) == (lines > 1)
        torn.begin(HEADER)
        assert Manifest(tmp_path).header == HEADER


@pytest.mark.parametrize("line", ["[]", "{}", '{"state": "committed", "part": "other"}', "3"])
def test_a_line_that_means_nothing(line: str, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.begin(HEADER)
    with manifest.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(AgentdbError) as caught:
        Manifest(tmp_path)
    assert caught.value.message == f"line 2 of {manifest.path} is damaged"


@pytest.mark.parametrize(
    ("good", "bad"), [(NAME, "../" + NAME), (NAME, "/etc/passwd"), ('"xid": 1', '"xid": "1\'"')]
)
def test_a_line_that_leads_elsewhere(good: str, bad: str, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.begin(HEADER)
    manifest.written(PART)
    text = manifest.path.read_text()
    assert good in text
    manifest.path.write_text(text.replace(good, bad))
    with pytest.raises(AgentdbError, match="is damaged"):
        Manifest(tmp_path)


def test_rows_of_a_wide_table_need_no_function_of_too_many_arguments() -> None:
    columns = [Column(f"c{i}", "text", "text") for i in range(200)]
    assert row(columns, Format.jsonl).count("pg_catalog.concat(") == 3
    assert set(COPY_OPTIONS) == set(Format)
