"""The parts of `agentdb agents` that need no server: names in queries, sparklines, missed beats."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentdb_cli.monitoring.agents.agent import missed_heartbeats
from agentdb_cli.monitoring.naming import fill
from agentdb_cli.render.sparkline import sparkline

# --- Names in queries --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "filled"),
    [
        ('SELECT :"t.key"', {"t.key": "id"}, 'SELECT "id"'),
        ('FROM :"t.table"', {"t.table": "agent.agents"}, 'FROM "agent"."agents"'),
        ('FROM :"table"', {"table": 'a"b'}, 'FROM "a""b"'),
        ("= :'agent'", {"agent": "it's"}, "= 'it''s'"),
        ("ANY (:'states')", {"states": ["a", "b c"]}, """ANY ('{"a","b c"}')"""),
        ("ANY (:'states')", {"states": ['a"b']}, """ANY ( E'{"a\\\\"b"}')"""),
        ("* :t.interval_seconds + 1", {"t.interval_seconds": 60}, "* 60.0 + 1"),
        (":days::int", {"days": 7}, "7.0::int"),
        ("now()::timestamptz(0)", {}, "now()::timestamptz(0)"),
        ("a, -- if t.a\nb", {"t.a": "x"}, "a,\nb"),
        ("a, -- if t.a\nb", {}, "b"),
        ("a, -- unless t.a\nb", {}, "a,\nb"),
        ("a, -- unless t.a\nb", {"t.a": "x"}, "b"),
        ('x.:"t.a", -- if t.a\nb', {}, "b"),
        ("a\n  -- if t.a\nb\nc\n  -- end\nd", {"t.a": "x"}, "a\nb\nc\nd"),
        ("a\n  -- if t.a\nb\nc\n  -- end\nd", {}, "a\nd"),
        ("-- unless t.a\nb, -- if t.b\nc\n-- end\nd", {}, "c\nd"),
    ],
)
def test_names_are_filled_in(text: str, names: dict[str, object], filled: str) -> None:
    assert fill(text, names) == filled


@pytest.mark.parametrize("names", [{}, {"t.key": None}])
def test_a_query_that_lacks_a_name_is_none(names: dict[str, object]) -> None:
    assert fill('SELECT :"t.key"', names) is None


# --- Sparklines --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "encoding", "drawn"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "utf-8", "▁▂▃▄▅▆▇█"),
        ([0, None, 8], "utf-8", "▁·█"),
        ([0.0, float("nan"), float("inf"), 1.0], "utf-8", "▁··█"),
        ([5, 5, None], "utf-8", "▅▅·"),
        ([-1e308, 1e308], "utf-8", "▁█"),
        ([None, None], "utf-8", "··"),
        ([], "utf-8", ""),
        ([0, None, 7], "ascii", "1.8"),
        ([0, None, 7], "iso8859-1", "1.8"),
        ([0, 7], None, "18"),
    ],
)
def test_sparkline(values: list[float | None], encoding: str | None, drawn: str) -> None:
    assert sparkline(values, encoding) == drawn


# --- Missed heartbeats -------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "missed"),
    [(-5, 0), (0, 0), (60, 0), (60.1, 1), (120, 1), (180, 2), (180.1, 3), (600, 9)],
)
def test_missed_heartbeats_of_60_s(seconds: float, missed: int) -> None:
    assert missed_heartbeats(timedelta(seconds=seconds), 60) == missed
