"""`agentdb vectors load`: all rows or none, bad ones located, existing ones as told."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as arrow
import pytest
from conftest import Database, Result
from loading import TABLE, TOML, collection, lines, rejected
from pyarrow import parquet

from waiting import eventually

Cli = Callable[..., Result]


@pytest.fixture
def docs(database18: Database) -> Database:
    return collection(database18)


@pytest.fixture
def load(cli: Cli, database18: Database) -> Callable[..., Result]:
    return lambda *arguments: cli("vectors", "load", *arguments, "-d", database18.url)


def rows(database: Database, columns: str = "id, body, embedding::text") -> list[tuple]:
    return database.execute(f"SELECT {columns} FROM docs ORDER BY id")


def row(number: int, *vector: float, **more: object) -> dict[str, object]:
    return {"id": number, "embedding": list(vector) or [number, 1, 0.5], **more}


def test_json_lines(docs: Database, load: Cli) -> None:
    lines(
        "new.jsonl",
        row(1, body="one", agent=7, meta={"a": [1, "ß"]}, seen="2026-02-03T04:05:06.789+02:00"),
        "",
        row(2, 0.1, -2e-3, 3, body=None, agent=None, meta=None),
        row(3),
    )
    done = load("new.jsonl")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("public.docs: 3 inserted in ")
    columns = "id, body, agent, meta, embedding::text, seen AT TIME ZONE 'UTC' || ''"
    assert rows(docs, columns) == [
        (1, "one", 7, {"a": [1, "ß"]}, "[1,1,0.5]", "2026-02-03 02:05:06.789"),
        (2, None, None, None, "[0.1,-0.002,3]", "2026-01-01 00:00:00"),
        (3, None, None, None, "[3,1,0.5]", "2026-01-01 00:00:00"),  # a field less: the default
    ]


def test_the_record_for_programs(docs: Database, load: Cli) -> None:
    lines("new.jsonl", row(1), row(2))
    done = load("new.jsonl", "--format", "json")
    found = json.loads(done.out)
    assert found.pop("duration") >= 0
    assert found == {
        "collection": "docs", "table": "public.docs", "file": "new.jsonl", "read": 2,
        "inserted": 2, "updated": 0, "skipped": 0, "rejected": 0, "rejects": None,
        "dry_run": False,
    }  # fmt: skip


def test_csv(docs: Database, load: Cli) -> None:
    Path("new.csv").write_text(
        "\ufeffid,body,meta,embedding,seen\n"
        '1,"a ""quoted"", text\nwith a line","{""k"": 1}","[1, 2, 3]",2026-01-31T12:00:00Z\n'
        '2,,,"[4,5,6]",2026-01-31\n'
    )
    assert load("new.csv").code == 0
    assert rows(docs, "id, body, meta, embedding::text") == [
        (1, 'a "quoted", text\nwith a line', {"k": 1}, "[1,2,3]"),
        (2, None, None, "[4,5,6]"),
    ]


@pytest.mark.parametrize("kind", ["fixed", "list", "large", "double", "nulls"])
def test_parquet(docs: Database, load: Cli, kind: str) -> None:
    values = [[1.0, 2.0, 3.0], [0.5, -1.0, 2.0], [7.0, 8.0, 9.0]]
    types = {
        "fixed": arrow.list_(arrow.float32(), 3),
        "list": arrow.list_(arrow.float32()),
        "large": arrow.large_list(arrow.float32()),
        "double": arrow.list_(arrow.float64()),
        "nulls": arrow.list_(arrow.float32()),
    }
    if kind == "nulls":
        values[1] = None  # type: ignore[call-overload]
    table = arrow.table(
        {
            "id": arrow.array([1, 2, 3], arrow.int32()),
            "embedding": arrow.array(values, types[kind]),
            "body": ["x", None, "z"],
        }
    )
    parquet.write_table(table, "new.parquet", row_group_size=2)
    assert load("new.parquet").code == 0
    second = None if kind == "nulls" else "[0.5,-1,2]"
    assert rows(docs) == [(1, "x", "[1,2,3]"), (2, None, second), (3, "z", "[7,8,9]")]


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2", "<i4", "|i1"])
def test_npy_of_every_kind(docs: Database, load: Cli, kind: str) -> None:
    np.save("new.npy", np.array([[1, 2, 3], [4, 5, -6]]).astype(kind))
    assert load("new.npy").code == 0
    assert rows(docs) == [(1, None, "[1,2,3]"), (2, None, "[4,5,-6]")]


def test_npy_with_keys(docs: Database, load: Cli) -> None:
    np.save("new.npy", np.eye(3, dtype="f4"))
    Path("keys").write_text("17\n5\n9\n")
    assert load("new.npy", "--keys", "keys").code == 0
    assert [found[0] for found in rows(docs)] == [5, 9, 17]
    Path("keys").write_text("17\n5\n")
    done = load("new.npy", "--keys", "keys")
    assert done.err == "error: new.npy has 3 rows, and there are keys for 2\n"
    Path("keys").write_text("1\n2\n3\n4\n")
    done = load("new.npy", "--keys", "keys")
    assert done.err == "error: new.npy has 3 rows, and there are more keys\n"
    assert len(rows(docs)) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "new.npy is no .npy file"),
        (b"\x93NUMPY\x01\x00\x05\x00junk\n", "new.npy: the header of the .npy file cannot be read"),
    ],
)
def test_what_is_no_npy(docs: Database, load: Cli, content: bytes, said: str) -> None:
    Path("new.npy").write_bytes(content)
    assert load("new.npy").err == f"error: {said}\n"


def test_npy_of_another_shape_or_cut_short(docs: Database, load: Cli) -> None:
    np.save("flat.npy", np.zeros(3))
    assert load("flat.npy").err.startswith("error: flat.npy holds 3 of <f8\nhint: rows of numbers")
    np.save("new.npy", np.ones((10, 3), "f4"))
    Path("new.npy").write_bytes(Path("new.npy").read_bytes()[:-30])
    assert load("new.npy").err == "error: new.npy ends in row 8 of 10\n"
    assert rows(docs) == []


def test_stdin(docs: Database, load: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lines("new.jsonl", row(1))
    with file.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert load("-").code == 0
    assert [found[0] for found in rows(docs)] == [1]


BAD = [
    (row(2, 1, 2), "embedding: has 2 dimensions, and the column 3"),
    ('{"id": 3, "embedding": [1, NaN, 0]}', "embedding: value 2 of 3 is NaN"),
    ('{"id": 3, "embedding": [1, 0, -Infinity]}', "embedding: value 3 of 3 is infinite"),
    (row(3, 1e39, 0, 0), "embedding: value 1 is 1e+39, more than a vector holds (3.40282e+38)"),
    (
        row(3, 0, 0, 0),
        "embedding: all values are zero: such a vector has no direction, and so no cosine distance",
    ),
    ({"id": 3, "embedding": [1, "2", 3]}, "embedding: value 2 is no number but a string"),
    ({"id": 3, "embedding": "abc"}, "embedding: no list of numbers such as [0.1, 0.2]"),
    ({"id": 3, "embedding": {}}, "embedding: no list of numbers but an object"),
    ({"id": None, "embedding": [1, 2, 3]}, "id: is null, and the column may not be"),
    ({"id": 2**63, "embedding": [1, 2, 3]}, "id: '9223372036854775808' does not fit into 8 bytes"),
    ({"id": 1.5, "embedding": [1, 2, 3]}, "id: '1.5' is no whole number"),
    ({"embedding": [1, 2, 3]}, "no field for the key id"),
    (row(3, body="a\0b"), "body: a text with the character NUL, which PostgreSQL does not store"),
    (row(3, body="\ud800"), "body: a text with half of a character (a lone surrogate)"),
    (row(3, seen="yesterday"), "seen: 'yesterday' is no timestamp such as 2026-01-31T12:00:00Z"),
    (row(3, agent=2**31), "agent: '2147483648' does not fit into 4 bytes"),
    ("[1, 2]", "no JSON object"),
    ('{"id": 3', "no JSON: Expecting ',' delimiter at character 9"),
]


def test_bad_rows_are_located_and_nothing_is_loaded(docs: Database, load: Cli) -> None:
    lines("new.jsonl", row(1), *(bad for bad, _ in BAD), row(99))
    done = load("new.jsonl")
    assert done.code == 1
    assert rows(docs) == []
    assert rejected("new.jsonl.rejects.jsonl") == [
        (number, reason) for number, (_, reason) in enumerate(BAD, 2)
    ]
    shown = "".join(f"  line {number}: {reason}\n" for number, (_, reason) in enumerate(BAD[:5], 2))
    assert done.err == (
        f"error: new.jsonl: {len(BAD)} rows of {len(BAD) + 2} cannot be loaded, written to"
        f" new.jsonl.rejects.jsonl\n{shown}  … and {len(BAD) - 5} more\nnothing was loaded\n"
        "hint: mend them and load the file again; --max-rejects N loads the others if at most N"
        " are bad\n"
    )


def test_bad_rows_may_be_left_out(docs: Database, load: Cli) -> None:
    lines("new.jsonl", row(1), *(bad for bad, _ in BAD), row(99))
    done = load("new.jsonl", "--max-rejects", len(BAD), "--rejects", "bad.jsonl")
    assert done.code == 0
    assert [found[0] for found in rows(docs)] == [1, 99]
    assert len(rejected("bad.jsonl")) == len(BAD)
    assert done.err.startswith(f"warning: new.jsonl: {len(BAD)} rows of {len(BAD) + 2} cannot be")
    # What was put aside can be mended and loaded.
    first = json.loads(Path("bad.jsonl").read_text().splitlines()[0])["row"]
    lines("mended.jsonl", {**first, "embedding": [1, 2, 3]})
    assert load("mended.jsonl").code == 0
    assert load("new.jsonl", "--max-rejects", len(BAD) - 1, "--on-conflict", "update").code == 1


@pytest.mark.parametrize("format", ["npy", "parquet"])
@pytest.mark.parametrize("forgiving", [False, True])
def test_floats_that_only_the_server_sees(
    docs: Database, load: Cli, format: str, forgiving: bool
) -> None:
    values = np.arange(3.0, 36.0).reshape(11, 3).astype("f4")
    values[3, 1], values[7, 2], values[5] = math.nan, -math.inf, 0
    if format == "npy":
        np.save("new.npy", values)
    else:
        column = arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel()), 3)
        ids = arrow.array(range(1, 12))
        parquet.write_table(arrow.table({"id": ids, "embedding": column}), "new.parquet")
    done = load(f"new.{format}", *(["--max-rejects", 3] if forgiving else []))
    assert done.code == 0 if forgiving else 1
    assert sorted(rejected(f"new.{format}.rejects.jsonl")) == [
        (4, "embedding: value 2 of 3 is NaN"),
        (6, "embedding: all values are zero: such a vector has no direction, and so no cosine"
         " distance"),
        (8, "embedding: value 3 of 3 is infinite"),
    ]  # fmt: skip
    kept = [1, 2, 3, 5, 7, 9, 10, 11] if forgiving else []
    assert [found[0] for found in rows(docs)] == kept


def test_what_the_server_refuses_is_located(docs: Database, load: Cli) -> None:
    docs.execute(
        "ALTER TABLE docs ADD CHECK (agent > 0), ADD COLUMN name varchar(3) UNIQUE,"
        " ADD COLUMN parent bigint REFERENCES docs"
    )
    good = [row(number, name=str(number), agent=1, parent=None) for number in range(1, 40)]
    good[10] |= {"agent": -5}
    good[20] |= {"name": "long"}
    good[30] |= {"parent": 77}
    good[35] |= {"name": "3"}
    lines("new.jsonl", *good)
    done = load("new.jsonl", "--max-rejects", 4)
    assert done.code == 0
    found = dict(rejected("new.jsonl.rejects.jsonl"))
    assert sorted(found) == [11, 21, 31, 36]
    assert 'violates check constraint "docs_agent_check"' in found[11]
    assert found[21] == "value too long for type character varying(3)"
    assert 'Key (parent)=(77) is not present in table "docs".' in found[31]
    assert "Key (name)=(3) already exists." in found[36]
    assert len(rows(docs)) == 35
    docs.execute("TRUNCATE docs CASCADE")
    assert load("new.jsonl", "--max-rejects", 3).code == 1
    assert rows(docs) == []


def test_a_single_refusal_without_forgiveness(docs: Database, load: Cli) -> None:
    docs.execute("ALTER TABLE docs ADD CHECK (agent > 0)")
    lines("new.jsonl", *(row(number, agent=number - 5) for number in range(1, 9)))
    done = load("new.jsonl")
    assert done.code == 1
    assert "  line 1: new row for relation" in done.err
    assert rows(docs) == []


def test_rows_that_are_there(docs: Database, load: Cli) -> None:
    docs.execute("INSERT INTO docs (id, body, agent) VALUES (2, 'old', 7), (4, 'older', 8)")
    lines("new.jsonl", *(row(number, body=f"new {number}") for number in range(1, 6)))
    done = load("new.jsonl")
    assert done.code == 1
    assert done.err == (
        "error: line 2: the key 2 is in public.docs already, and so is 1 more of the rows around"
        " it\nhint: --on-conflict update replaces such rows, --on-conflict skip keeps them\n"
    )
    assert len(rows(docs)) == 2
    done = load("new.jsonl", "--on-conflict", "skip")
    assert "3 inserted, 2 skipped" in done.out
    assert rows(docs, "id, body")[1] == (2, "old")
    done = load("new.jsonl", "--on-conflict", "update")
    assert "0 inserted, 5 updated" in done.out
    assert rows(docs, "id, body, agent, embedding::text")[1] == (2, "new 2", 7, "[2,1,0.5]")


def test_vectors_for_rows_whose_text_may_not_be_null(docs: Database, load: Cli) -> None:
    docs.execute("ALTER TABLE docs ALTER body SET NOT NULL")
    docs.execute("INSERT INTO docs (id, body) SELECT n, 'text' FROM generate_series(1, 3) AS n")
    np.save("new.npy", np.eye(3, dtype="f4"))
    assert load("new.npy", "--on-conflict", "update").code == 0
    assert rows(docs)[2] == (3, "text", "[0,0,1]")


def test_a_key_that_comes_twice(docs: Database, load: Cli) -> None:
    docs.execute("INSERT INTO docs (id, body) VALUES (1, 'old')")
    lines(
        "new.jsonl",
        row(1, body="first"), row(2, body="first"), row(1, body="second"), row(2, body="last"),
        row(1, agent=5),
    )  # fmt: skip
    assert load("new.jsonl").code == 1
    assert load("new.jsonl", "--on-conflict", "update").code == 0
    assert rows(docs, "id, body, agent") == [(1, "second", 5), (2, "last", None)]
    docs.execute("TRUNCATE docs")
    assert load("new.jsonl", "--on-conflict", "skip").code == 0
    assert rows(docs, "id, body, agent") == [(1, "first", None), (2, "first", None)]


@pytest.mark.parametrize("kind", ["uuid", "text", "int", "varchar(40)"])
def test_keys_of_other_types(database18: Database, load: Cli, kind: str) -> None:
    docs = collection(database18, TABLE.replace("id bigint", f"id {kind}"))
    key: object = 7 if kind == "int" else str(uuid.UUID(int=7)).upper()
    lines("new.jsonl", {"id": key, "embedding": [1, 2, 3]})
    assert load("new.jsonl").code == 0
    assert "in public.docs already" in load("new.jsonl").err
    assert "1 updated" in load("new.jsonl", "--on-conflict", "update").out
    assert len(rows(docs)) == 1


def test_a_key_of_a_type_that_finds_nothing(database18: Database, load: Cli) -> None:
    collection(database18, TABLE.replace("id bigint", "id numeric"))
    lines("new.jsonl", row(1))
    assert load("new.jsonl").err.startswith(
        "error: collection docs: rows cannot be found by keys of type numeric (public.docs.id)\n"
    )


def test_a_key_that_the_table_makes(database18: Database, load: Cli) -> None:
    identity = "id bigint GENERATED ALWAYS AS IDENTITY"
    docs = collection(database18, TABLE.replace("id bigint", identity))
    lines("new.jsonl", {"embedding": [1, 2, 3]}, {"embedding": [4, 5, 6]})
    assert load("new.jsonl").code == 0
    assert [found[0] for found in rows(docs)] == [1, 2]
    lines("more.jsonl", row(50))
    done = load("more.jsonl")
    assert done.code == 0
    assert done.err == (
        "warning: public.docs_id_seq stands at 2, and the largest key is 50: the application's own"
        " rows would get keys that are taken; SELECT setval('public.docs_id_seq', 50) moves it on\n"
    )
    assert [found[0] for found in rows(docs)] == [1, 2, 50]


def test_columns_that_the_server_casts(docs: Database, load: Cli) -> None:
    docs.execute(
        "CREATE TYPE mood AS ENUM ('good', 'bad');"
        "ALTER TABLE docs ADD tags text[], ADD mood mood, ADD score numeric(6, 2),"
        " ADD took interval"
    )
    cast = {"tags": ["a,b", 'c"d', None], "mood": "bad", "score": 1.239, "took": "2 hours"}
    lines("new.jsonl", row(1, **cast), row(2), row(3, **cast))
    docs.execute("INSERT INTO docs (id) VALUES (3)")
    assert load("new.jsonl", "--on-conflict", "update").code == 0
    expected = (["a,b", 'c"d', None], "bad", "1.24", "02:00:00")
    found = rows(docs, "id, tags, mood::text, score::text, took::text")
    assert found == [(1, *expected), (2, None, None, None, None), (3, *expected)]
    lines("bad.jsonl", row(4, mood="good"), row(5, mood="so-so"), row(6, mood="bad"))
    assert load("bad.jsonl", "--max-rejects", 1).code == 0
    assert rejected("bad.jsonl.rejects.jsonl") == [
        (2, 'invalid input value for enum mood: "so-so"')
    ]


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        ("halfvec(3)", [1, 0.5, -2], "[1,0.5,-2]"),
        ("sparsevec(3)", [0, 0.5, 0], "{2:0.5}/3"),
        ("bit(3)", [1, 0, 1], "101"),
        ("vector", [1, 2], "[1,2]"),
    ],
)
def test_other_types_of_vectors(
    database18: Database, load: Cli, kind: str, given: list[float], stored: str
) -> None:
    more = 'distance = "hamming"\n' if kind == "bit(3)" else ""
    docs = collection(database18, TABLE.replace("vector(3)", kind), more)
    lines("new.jsonl", {"id": 1, "embedding": given})
    assert load("new.jsonl").code == 0
    np.save("new.npy", np.array([given], "f4"))
    assert load("new.npy", "--on-conflict", "update").code == 0
    assert rows(docs)[0][2] == stored
    lines("bad.jsonl", {"id": 2, "embedding": [70000, 0, 0]})
    assert load("bad.jsonl").code == (0 if kind in ("sparsevec(3)", "vector") else 1)


def test_unknown_fields_are_named_first(docs: Database, load: Cli) -> None:
    lines("new.jsonl", {"key": 1, "vector": [1, 2, 3], "text": "x", "note": 1})
    done = load("new.jsonl")
    assert done.code == 2
    assert done.err == (
        "error: new.jsonl has fields that public.docs has no column for: key, vector, text, note\n"
        "hint: --map key=COLUMN sends one to a column, --map key= leaves it out; columns: id,"
        " body, agent, meta, seen, embedding\n"
    )
    maps = ("--map", "key=id", "--map", "vector=embedding", "-m", "text=body", "-m", "note=")
    assert load("new.jsonl", *maps).code == 0
    assert rows(docs) == [(1, "x", "[1,2,3]")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.jsonl"], "there is no file none.jsonl"),
        (["data.txt"], "data.txt: its name does not say what format it has"),
        (["new.jsonl", "--as", "xml"], "there is no file format 'xml'"),
        (["new.jsonl", "--map", "x"], "--map x: write FIELD=COLUMN, or FIELD= to leave it out"),
        (
            ["new.jsonl", "--map", "x=bdy"],
            "--map x=bdy: public.docs has no column 'bdy' to load; did you mean 'body'?",
        ),
        (
            ["new.jsonl", "--on-conflict", "merge"],
            "--on-conflict merge: it is one of error, update, skip",
        ),
        (["new.jsonl", "--keys", "k"], "--keys is for .npy files, which have no keys of their own"),
        (["empty.csv"], "empty.csv is empty: a CSV file begins with the names of its columns"),
        (["twice.csv"], "twice.csv: two columns are called 'id'"),
        (["nokey.csv"], "nokey.csv has no field for the key public.docs.id"),
    ],
)  # fmt: skip
def test_wrong_usage(docs: Database, load: Cli, arguments: list[str], said: str) -> None:
    lines("new.jsonl", row(1))
    Path("empty.csv").write_text("")
    Path("twice.csv").write_text("id,id\n")
    Path("nokey.csv").write_text("embedding\n[1]\n")
    done = load(*arguments)
    assert done.err.splitlines()[0] == f"error: {said}"
    assert done.code in (1, 2)
    assert rows(docs) == []


def test_dry_run(docs: Database, load: Cli) -> None:
    lines("new.jsonl", row(1), row(2, 0, 0, 0), row(3))
    done = load("new.jsonl", "--dry-run")
    assert done.code == 1
    assert "new.jsonl: 1 row of 3 cannot be loaded" in done.err
    assert done.out == "dry run: 2 rows can be loaded, nothing was changed\n"
    np.save("new.npy", np.array([[1, 2, 3], [1, math.inf, 3]], "f4"))
    assert "row 2: embedding: value 2 of 3 is infinite" in load("new.npy", "--dry-run").err
    assert rows(docs) == []


def test_batches_are_committed(docs: Database, load: Cli) -> None:
    good = [row(number) for number in range(1, 26)]
    lines("new.jsonl", *good, row(26, 1), row(27))
    done = load("new.jsonl", "--batch-rows", 10)
    assert done.code == 1
    assert "the first 20 rows of the file stay loaded" in done.err
    assert len(rows(docs)) == 20
    done = load("new.jsonl", "--batch-rows", 10, "--on-conflict", "skip", "--max-rejects", 1)
    assert done.code == 0
    assert len(rows(docs)) == 26


def test_a_lock_is_waited_for_no_longer_than_may_be(docs: Database, load: Cli) -> None:
    docs.execute("INSERT INTO docs (id, body) VALUES (1, 'old')")
    lines("new.jsonl", row(1), row(2))
    with psycopg.connect(docs.url) as other:
        other.execute("UPDATE docs SET body = 'held'")
        done = load("new.jsonl", "--on-conflict", "update", "--lock-timeout", "50ms")
        other.rollback()
    assert done.code == 1
    assert done.err == (
        "error: another session has locked public.docs, or is writing rows with the keys of these:"
        " they are not loaded\nhint: run it again later (agentdb inspect activity shows who is at"
        " work); --lock-timeout changes how long to wait\n"
    )
    assert len(rows(docs)) == 1


@pytest.mark.parametrize("on_conflict", ["error", "update", "skip"])
@pytest.mark.parametrize("options", [(), ("--batch-rows", 5)])
def test_a_key_that_somebody_else_is_writing(
    docs: Database, load: Cli, on_conflict: str, options: tuple[object, ...]
) -> None:
    lines("new.jsonl", row(1), row(2))
    with psycopg.connect(docs.url) as other:
        other.execute("INSERT INTO docs (id, body) VALUES (2, 'theirs')")
        done = load("new.jsonl", "--on-conflict", on_conflict, "--lock-timeout", "50ms", *options)
        other.commit()
    assert done.code == 1
    assert "error: another session has locked public.docs, or is writing rows" in done.err
    assert [found[:2] for found in rows(docs)] == [(2, "theirs")]


def test_a_key_that_comes_twice_in_an_empty_table(docs: Database, load: Cli) -> None:
    np.save("new.npy", np.arange(1, 10, dtype="f4").reshape(3, 3))
    Path("keys").write_text("1\n2\n1\n")
    done = load("new.npy", "--keys", "keys")
    assert done.err.splitlines()[0] == "error: row 3: the key 1 is in public.docs already"
    assert rows(docs) == []
    done = load("new.npy", "--keys", "keys", "--on-conflict", "update")
    assert done.out.startswith("public.docs: 2 inserted, 1 updated in ")
    assert rows(docs, "id, embedding::text") == [(1, "[7,8,9]"), (2, "[4,5,6]")]


def test_a_key_that_nothing_keeps_unique(docs: Database, load: Cli) -> None:
    docs.execute("ALTER TABLE docs DROP CONSTRAINT docs_pkey")
    docs.execute("INSERT INTO docs (id, body) VALUES (2, 'old')")
    np.save("new.npy", np.arange(1, 10, dtype="f4").reshape(3, 3))
    assert "row 2: the key 2 is in public.docs already" in load("new.npy").err
    done = load("new.npy", "--on-conflict", "skip")
    assert done.out.startswith("public.docs: 2 inserted, 1 skipped in ")
    assert [found[0] for found in rows(docs)] == [1, 2, 3]


@pytest.mark.parametrize(("timeout", "statements"), [("0", 1), ("20s", 2)])
def test_many_rows_in_one_copy(docs: Database, load: Cli, timeout: str, statements: int) -> None:
    docs.execute("CREATE SEQUENCE statements")
    docs.execute(
        "CREATE FUNCTION count_statements() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM nextval('statements'); RETURN NULL; END$$"
    )
    docs.execute("CREATE TRIGGER counted BEFORE INSERT ON docs EXECUTE FUNCTION count_statements()")
    Path("agentdb.toml").write_text(f'{TOML}[connection]\nstatement_timeout = "{timeout}"\n')
    np.save("new.npy", np.ones((400_000, 3), "f4"))
    assert load("new.npy").code == 0
    assert docs.execute("SELECT last_value FROM statements") == [(statements,)]
    assert docs.execute("SELECT count(*) FROM docs") == [(400_000,)]


def test_the_model_is_recorded_and_held_to(docs: Database, load: Cli) -> None:
    lines("new.jsonl", row(1))
    assert load("new.jsonl", "--model", "small").code == 0
    assert docs.execute(
        "SELECT table_schema, table_name, column_name, model FROM agentdb_embedding_models"
    ) == [("public", "docs", "embedding", "small")]
    lines("more.jsonl", row(2))
    done = load("more.jsonl", "--model", "large")
    assert done.code == 1
    assert done.err == (
        "error: collection docs holds vectors of small (so says the database), and these are of"
        " large\nhint: vectors of two models cannot be compared: use that model, or embed all rows"
        " again (agentdb vectors embed --collection docs --again)\n"
    )
    assert load("more.jsonl", "--model", "small").code == 0
    Path("agentdb.toml").write_text(TOML + 'model = "org/Small:latest"\n')
    lines("more.jsonl", row(3))
    assert load("more.jsonl", "--model", "small").code == 0
    assert "(so says [collections.docs] model)" in load("more.jsonl", "--model", "x").err


def test_a_view_is_not_loaded_into(docs: Database, load: Cli) -> None:
    docs.execute("ALTER TABLE docs RENAME TO base; CREATE VIEW docs AS SELECT * FROM base")
    lines("new.jsonl", row(1))
    assert load("new.jsonl").err.startswith("error: collection docs: public.docs is a view\n")


def test_a_partitioned_table(database18: Database, load: Cli) -> None:
    table = TABLE.replace("embedding vector(3)\n)", "embedding vector(3)\n) PARTITION BY HASH (id)")
    docs = collection(database18, table)
    docs.execute(
        "CREATE TABLE one PARTITION OF docs FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE two PARTITION OF docs FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
    )
    lines("new.jsonl", *(row(number) for number in range(1, 9)))
    assert load("new.jsonl").code == 0
    assert "8 updated" in load("new.jsonl", "--on-conflict", "update").out


def test_behind_a_pooler(docs: Database, cli: Cli, pgbouncer: str) -> None:
    lines("new.jsonl", row(1), row(2))
    for conflict in ("error", "update"):
        done = cli("vectors", "load", "new.jsonl", "-d", pgbouncer, "--on-conflict", conflict)
        assert (done.code, done.err) == (0, "")
    assert len(rows(docs)) == 2


def test_without_pgvector(database15: Database, cli: Cli) -> None:
    collection(database15, "CREATE TABLE docs (id int PRIMARY KEY, body text, meta jsonb,"
               " agent int, embedding text)")  # fmt: skip
    lines("new.jsonl", row(1))
    done = cli("vectors", "load", "new.jsonl", "-d", database15.url)
    assert done.code == 1
    assert done.err.startswith(
        "error: collection docs: public.docs.embedding is text, no type of pgvector\n"
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_end_in_the_middle_leaves_nothing(docs: Database, end: signal.Signals) -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", "vectors", "load", "-", "-d", docs.url],
        stdin=read,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(read)
    with process, os.fdopen(write, "w") as pipe:
        # A block and a half: the first is on its way while the next is waited for.
        text = "".join(json.dumps(row(number, body="x" * 1000)) + "\n" for number in range(6000))
        pipe.write(text)
        pipe.flush()
        insert = "SELECT 1 FROM pg_stat_progress_copy WHERE relid = 'docs'::regclass"
        waiting = (
            "SELECT 1 FROM pg_stat_activity WHERE application_name = 'agentdb vectors load'"
            " AND state = 'idle in transaction' AND query LIKE 'COPY%%'"
        )
        eventually(lambda: docs.execute(waiting) or docs.execute(insert))
        process.send_signal(end)
        process.wait(60)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == (-9 if end is signal.SIGKILL else 1)
    if end is signal.SIGTERM:
        assert said == "error: stopped by SIGTERM: nothing was loaded\n"
    gone = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'agentdb vectors load'"
    eventually(lambda: not docs.execute(gone))
    assert rows(docs) == []
