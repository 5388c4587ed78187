"""Rows go into the archive and come back the same, whatever their types and the format."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, Result
from pyarrow import parquet

from agentdb_cli.retention.archive import Archive, Format

Cli = Callable[..., Result]

TYPES = r"""
CREATE TYPE mood AS ENUM ('calm', 'it''s "odd"');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN label AS text CHECK (value <> 'forbidden');
CREATE DOMAIN document AS jsonb;
CREATE TABLE everything (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    t text, v varchar(20), c char(6), b bool, i2 int2, i4 int4, i8 int8, n numeric, n2 numeric(10,2),
    f4 float4, f8 float8, tz timestamptz, ts timestamp(3), d date, tm timetz, iv interval,
    j json, jb jsonb, doc document, u uuid, by bytea, ia int[], ta text[], m mood, p pair, pa pair[],
    l label, r int4range, tr tstzrange, ip inet, bits bit(3), money money, ch "char", x xml,
    "odd ""name"" \ 'ü" text, dropped int,
    doubled bigint GENERATED ALWAYS AS (i4::bigint * 2) STORED
);
ALTER TABLE everything DROP COLUMN dropped;
INSERT INTO everything (t) VALUES (NULL), (''), (E'\\.'), (E'a\nb'), (E'a\r\nb\rc'), (E'\t"\\"\', end'),
    (E'\x01\x02\x1f\x7f'), ('ünï 😀 ' || chr(8232)), (repeat('x', 300000)), ('NULL'), (E'\\N'), ('\u0041');
INSERT INTO everything (i2, i4, i8, n, n2, f4, f8) VALUES
    (-32768, -2147483648, -9223372036854775808, 1234567890123456789012345678901234567890.123456789,
     -99999999.99, 1.1, 0.1),
    (32767, 2147483647, 9223372036854775807, 1.10, 0, 3.4028235e38, 1.7976931348623157e308),
    (0, 0, 0, 'NaN', 0.10, 'NaN', 'NaN'), (NULL, 1, NULL, 0.000, NULL, 'Infinity', '-Infinity'),
    (NULL, NULL, NULL, 1e-30, NULL, '-0', 5e-324), (NULL, NULL, NULL, 1e30, NULL, 1e-45, 1e22);
INSERT INTO everything (tz, ts, d, tm, iv) VALUES
    ('2026-01-02 03:04:05.678901+05:45', '2026-01-02 03:04:05.678', '2026-01-02', '12:00:01.5+02', '1 year -2 days 03:04:05.000001'),
    ('infinity', 'infinity', 'infinity', '24:00:00-12', '-1 mon'),
    ('-infinity', '-infinity', '-infinity', NULL, '0'),
    ('0044-03-15 12:00:00 BC', '4713-01-01 00:00:00 BC', '4713-01-01 BC', NULL, '-00:00:01.5'),
    ('1969-12-31 23:59:59.999999+00', '1900-01-01 00:00:00.001', '1582-10-15', NULL, '178000000 years'),
    ('99999-12-31 23:59:59.999999+00', '20000-01-01', '5874897-12-31', NULL, NULL);
INSERT INTO everything (j, jb, doc) VALUES
    (E'{"a": 1, "a":  2,\n "b": 1.50}', '{"b": 1.50, "a": [1, null, "x\ny"]}', '{"k": null}'),
    ('null', 'null', 'null'), (NULL, NULL, NULL), ('"\u0000"', '"text"', '"null"'), (' 1 ', '1e400', '[]'),
    ('"\\u00e9"', '{"\u0001\u007f": "\u2028\"\\"}', '""'), ('{}', '123456789012345678901234567890', '0.10');
INSERT INTO everything (u, by, ia, ta, m, p, pa, l, r, tr, ip, bits, money, ch, x, c, v, b, "odd ""name"" \ 'ü") VALUES
    ('00000000-0000-0000-0000-00000000000a', '\x00ff5c0a', '{1,NULL,3}', '{"a,b",NULL,"NULL","","\"\\"}',
     'it''s "odd"', '(1,"a ""b"", c")', '{"(1,x)","(,)"}', 'x', '[1,5)', '[2026-01-01 00:00+01,)', '10.0.0.1/8',
     '101', '$1,234.50', 'a', :xml, 'ab', 'x  ', true, 'value'),
    (NULL, '', '[0:1]={5,6}', '{}', 'calm', '(,)', '{}', '', 'empty', NULL, '::1', '000', '-0.01', '', NULL, '', '', false, ''),
    (NULL, NULL, '{{1,2},{3,4}}', '{{a},{b}}', NULL, NULL, NULL, NULL, '(,)', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""  # noqa: E501


def fill(database: Database) -> None:
    """The embedded server is built without XML: there the column stays empty."""
    xml = "NULL" if database.major == 18 else "'<a>1</a>'"
    database.execute(TYPES.replace(":xml", xml))


SETTINGS = (
    "SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -3;"
    "SET bytea_output = 'escape'; SET TimeZone = 'Asia/Kathmandu'; SET synchronous_commit = off"
)
EXACT = "SET extra_float_digits = 3; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'"


def archived(database: Database, table: str, format: Format, directory: Path) -> int:
    """Move all rows of a table into the archive, in one part."""
    connection = database.connection
    oid = database.value("SELECT %s::regclass::oid", table)
    with Archive.open(directory, connection, table, oid, format, lambda _: None) as archive:
        with connection.transaction():
            part = archive.write(connection, f"DELETE FROM {table} AS t RETURNING {{row}}")
        archive.commit(part)
    return part.rows


def texts(database: Database, table: str) -> list[tuple]:
    database.execute(EXACT)
    return database.execute(f"SELECT t::text FROM {table} AS t ORDER BY id")


@pytest.mark.parametrize("format", Format)
def test_every_type_comes_back_as_it_was(
    format: Format, database: Database, cli: Cli, tmp_path: Path
) -> None:
    fill(database)
    before = texts(database, "everything")
    # The session's own ways of writing values must not matter.
    database.execute(SETTINGS)
    assert archived(database, "everything", format, tmp_path) == len(before) > 30
    assert texts(database, "everything") == []

    result = cli("import", "archive", tmp_path, "--yes", "-d", database.url, "-f", "json")
    assert result.code == 0, result.err
    assert json.loads(result.out) == [
        {
            "table": "everything",
            "files": 1,
            "rows": len(before),
            "inserted": len(before),
            "present": 0,
        }
    ]
    assert texts(database, "everything") == before


@pytest.mark.parametrize("format", Format)
def test_vectors_come_back_as_they_were(
    format: Format, database18: Database, cli: Cli, tmp_path: Path
) -> None:
    database18.execute(
        "CREATE EXTENSION vector;"
        "CREATE TABLE embedded (id int PRIMARY KEY, v vector(3), h halfvec, s sparsevec(5));"
        "INSERT INTO embedded VALUES (1, '[0.1,-1e-7,3]', '[0.5,2]', '{1:0.25,5:3}/5'),"
        "(2, NULL, NULL, NULL)"
    )
    before = texts(database18, "embedded")
    archived(database18, "embedded", format, tmp_path)
    assert cli("import", "archive", tmp_path, "--yes", "-d", database18.url).code == 0
    assert texts(database18, "embedded") == before


@pytest.mark.parametrize("format", Format)
def test_odd_names_and_wide_tables(
    format: Format, database: Database, cli: Cli, tmp_path: Path
) -> None:
    columns = ", ".join(f'"c{i}" text' for i in range(250))
    for schema, table in (
        ('we"ird/..', "na.me"),
        ("Upper", "tàble%"),
        ("upper", "tàble%"),
        ("s" * 63, "ü" * 31),
    ):
        quoted = f'"{schema.replace(chr(34), chr(34) * 2)}"."{table}"'
        database.execute(f"CREATE SCHEMA {quoted.rpartition('.')[0]}" if table != "na.me" else
                         'CREATE SCHEMA "we""ird/.."')  # fmt: skip
        database.execute(f"CREATE TABLE {quoted} (id int PRIMARY KEY, {columns})")
        database.execute(f"INSERT INTO {quoted} (id, c7) VALUES (1, 'x'), (2, NULL)")
        before = texts(database, quoted)
        assert archived(database, quoted, format, tmp_path) == 2
        result = cli(
            "import", "archive", tmp_path, "--table", f"{schema}.{table}", "-y", "-d", database.url
        )
        assert result.code == 0, result.err
        assert texts(database, quoted) == before
    assert len([path for path in tmp_path.iterdir() if path.name.count(".") or "~" in path.name])
    assert len(list(tmp_path.glob("*/manifest.jsonl"))) == 4


def test_json_lines_are_json(database: Database, tmp_path: Path) -> None:
    fill(database)
    archived(database, "everything", Format.jsonl, tmp_path)
    (path,) = tmp_path.glob("*/*.zst")
    text = subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout
    rows = [json.loads(line) for line in text.decode().split("\n") if line]
    (row,) = [row for row in rows if row.get("jb") == {"b": 1.5, "a": [1, None, "x\ny"]}]
    assert row["j"] == '{"a": 1, "a":  2,\n "b": 1.50}'
    assert rows[0] == {"id": 1}
    assert {row["i8"] for row in rows if "i8" in row} == {0, 2**63 - 1, -(2**63)}
    assert any(row.get("tz") == "2026-01-01T21:19:05.678901+00:00" for row in rows)


def test_parquet_has_types(database: Database, tmp_path: Path) -> None:
    fill(database)
    archived(database, "everything", Format.parquet, tmp_path)
    (path,) = tmp_path.glob("*/*.parquet")
    schema = {field.name: str(field.type) for field in parquet.read_schema(path)}
    assert schema["i8"] == "int64"
    assert schema["n"] == "string"
    assert schema["n2"] == "decimal128(10, 2)"
    assert schema["tz"] == "timestamp[us, tz=UTC]"
    assert schema["ts"] == "timestamp[us]"
    assert schema["d"] == "date32[day]"
    assert schema["b"] == "bool"
    assert schema["jb"] == schema["u"] == schema["ia"] == "string"
    assert "doubled" not in schema


@pytest.mark.parametrize("format", Format)
def test_a_single_column(format: Format, database: Database, cli: Cli, tmp_path: Path) -> None:
    database.execute(r"CREATE TABLE one (id text); INSERT INTO one VALUES (NULL), (''), ('\.')")
    assert archived(database, "one", format, tmp_path) == 3
    result = cli("import", "archive", tmp_path, "-y", "-d", database.url)
    assert result.code == 0, result.err
    assert database.execute("SELECT id FROM one ORDER BY id NULLS FIRST") == [
        (None,),
        ("",),
        ("\\.",),
    ]
