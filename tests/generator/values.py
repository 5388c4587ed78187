"""Plausible values by the name and type of a column, written as COPY's text format wants them."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from random import Random
from re import search

import psycopg

from generator.catalog import INTEGERS, Column, Table

DAYS = 60
CLUSTERS = 16

_SENTENCES = """
agent answer budget cache cluster context conversation customer dashboard database decision
deployment document embedding error evaluation incident index invoice latency memory message
metric migration model network order pattern pipeline planner preference prompt query queue
release report request retrieval review route schedule schema search server session summary
support task team telemetry token tool trace user vector workflow the of for with and prefers
checks writes reads plans fails needs finds slow quick daily weekly open stable recent shared
"""
_AGENTS = """
performance_monitor code_reviewer researcher router planner support_bot data_analyst test_runner
release_manager documentation_writer security_auditor translator
"""
WORDS = _SENTENCES.split()
AGENTS = _AGENTS.split()

# Words for a column, by its name: the first is the most frequent. The first pattern found counts.
VOCABULARY = [
    (pattern, words.split())
    for pattern, words in (
        (r"metric_name", "cpu_usage memory_usage response_time_ms queue_depth error_rate"),
        (r"unit$", "percent ms count tokens"),
        (r"severity|level$", "INFO WARNING ERROR CRITICAL DEBUG"),
        (r"priority", "medium high low critical"),
        (r"state$", "running stopped idle starting error"),
        (r"status", "active pending completed in_progress failed running"),
        (r"outcome", "success failure denied"),
        (r"event_type", "agent_started task_completed heartbeat_missed error_raised login"),
        (r"message_type", "request response broadcast alert"),
        (r"memory_type", "fact preference event decision"),
        (r"scope$", "agent conversation project global"),
        (r"provider", "anthropic openai ollama"),
        (r"model", "claude-sonnet-4-20250514 gpt-4o llama3 text-embedding-3-small"),
        (r"role$", "assistant user system tool"),
        (r"mode$", "route coordinate collaborate"),
        (r"domain|category", "billing support engineering operations legal"),
        (r"channel|source$", "telegram cli web slack"),
        (r"trigger_type|reason", "manual schedule api event"),
        (r"_type$|^type$|action", "run_agent run_pipeline send_message"),
        (r"time_?zone", "UTC Europe/Paris America/New_York"),
        (r"cron", "@hourly @daily 0-59/5"),
    )
]

# Ranges of numbers by the name of their column.
RANGES = (
    (r"importance|score|confidence|probability|weight|similarity", 0, 1),
    (r"cost|price", 0, 0.05),
    (r"tokens", 10, 4_000),
    (r"error_count|attempt|retr", 0, 5),
    (r"cpu|usage|percent|value", 0, 100),
)

# Times of a row, by the name of the column. What is not listed is when the row was made; ends come
# after it and are NULL while they lie ahead; plans and expiries may lie ahead.
ENDS = r"end|finish|complet|stop|clos|resolv|answer"
LATER = r"updat|last_|access|seen|read|modif"
AHEAD = r"expir|due|next_|until"


@dataclass(frozen=True)
class Rows:
    """The rows of one table while they are made.

    Attributes:
        times: when each row was made, seconds since 1970, ascending.
        now: what the times count back from.
        zone: the time zone of columns that do not hold one.
    """

    table: str
    times: Sequence[float]
    now: float
    zone: tzinfo
    random: Random

    @classmethod
    def of(
        cls, table: Table, count: int, random: Random, now: float, connection: psycopg.Connection
    ) -> Rows:
        """New rows of the last 60 days: an eighth in the last 3 hours, half in the last week."""
        ages = (DAYS * 86_400 * random.random() ** 3 + 0.001 for _ in range(count))
        times = sorted(now - age for age in ages)
        return cls(str(table), times, now, connection.info.timezone, random)


def make(column: Column, rows: Rows, *, unique: bool) -> list[str | None]:
    """The values of a column, one a row.

    Args:
        unique: whether no two may be alike.

    Raises:
        ValueError: nothing is known of the type, and the column needs a value.
    """
    found: Sequence[str | None]
    if column.choices:
        found = _chosen(column.choices, rows)
    elif column.is_array:
        found = [f"{{{_word(rows)}}}" if column.type in _TEXTS else "{}" for _ in rows.times]
    elif column.type in _MAKERS:
        found = _MAKERS[column.type](column, rows, unique)
    elif column.not_null and not column.has_default:
        raise ValueError(f"{rows.table}.{column.name}: no values of type {column.type} are known")
    else:
        found = [None] * len(rows.times)
    made = _is_time(column) and not search(f"{ENDS}|{AHEAD}", column.name)
    if column.not_null or column.has_default or unique or made:
        return list(found)
    return [None if rows.random.random() < 0.1 else value for value in found]


def distinct(text: str, number: int, longest: int | None) -> str:
    """A text that carries a number, within the length allowed."""
    suffix = f"_{number}"
    return text[: None if longest is None else longest - len(suffix)] + suffix


def _word(rows: Rows) -> str:
    return rows.random.choice(WORDS)


def _chosen(words: Sequence[str], rows: Rows) -> list[str]:
    """The first word for about half of the rows, the last one for the fewest."""
    escaped = [word.replace("\\", "\\\\") for word in words]
    return [escaped[int(len(words) * rows.random.random() ** 2)] for _ in rows.times]


# --- By type -----------------------------------------------------------------------


def _text(column: Column, rows: Rows, unique: bool) -> list[str]:
    name, random, count = column.name, rows.random, len(rows.times)
    agents = search(r"agent|updated_by|created_by", name) or rows.table.endswith(".agents")
    if unique and agents:
        # The same names stand in columns that speak of agents without a foreign key.
        return [*AGENTS, *(f"agent_{n}" for n in range(len(AGENTS), count))][:count]
    vocabulary = next((words for pattern, words in VOCABULARY if search(pattern, name)), None)
    if search("email", name):
        return [f"{_word(rows)}.{n}@example.org" for n in range(count)]
    if (agents and name in ("name", "id")) or search(r"agent|_by$", name):
        found = _chosen(AGENTS, rows)
    elif vocabulary:
        found = _chosen(vocabulary, rows)
    elif name.endswith("_id"):
        stem = name.removesuffix("_id")
        found = [f"{stem}_{int(count * random.random() ** 2)}" for _ in rows.times]
    elif search(r"name$|title|key|label|path|instance", name):
        found = [f"{_word(rows)}_{_word(rows)}" for _ in rows.times]
    else:
        found = [" ".join(random.choices(WORDS, k=random.randint(5, 20))) for _ in rows.times]
    if unique:
        return [distinct(text, n, column.longest) for n, text in enumerate(found, start=1)]
    return [text[: column.longest] for text in found]


def _integer(column: Column, rows: Rows, unique: bool) -> list[str]:
    if unique:
        return [str(n) for n in range(1, len(rows.times) + 1)]
    if _is_time(column):  # as some keep times: seconds since 1970
        return [str(int(moment)) for moment in rows.times]
    low, high = _range(column, 1, 1_000)
    return [str(rows.random.randint(math.ceil(low), math.floor(high))) for _ in rows.times]


def _number(column: Column, rows: Rows, unique: bool) -> list[str]:
    if unique:
        return _integer(column, rows, unique)
    low, high = _range(column, 0, 1_000)
    if column.type == "numeric" and column.size >= 0:  # numeric(precision, scale)
        precision, scale = (column.size - 4) >> 16 & 0xFFFF, (column.size - 4) & 0x7FF
        high = min(high, 10 ** (precision - scale) - 1)
    return [f"{rows.random.uniform(low, high):.4f}" for _ in rows.times]


def _range(column: Column, low: float, high: float) -> tuple[float, float]:
    for pattern, least, most in RANGES:
        if search(pattern, column.name):
            low, high = least, most
            break
    if column.lowest is not None:
        low, high = max(low, column.lowest), max(high, column.lowest)
    if column.highest is not None:
        low, high = min(low, column.highest), min(high, column.highest)
    return low, high


def _boolean(column: Column, rows: Rows, unique: bool) -> list[str]:
    share = 0.9 if search("active|enabled", column.name) else 0.3
    return ["t" if rows.random.random() < share else "f" for _ in rows.times]


def _uuid(column: Column, rows: Rows, unique: bool) -> list[str]:
    return [str(uuid.UUID(int=rows.random.getrandbits(128), version=4)) for _ in rows.times]


def _time(column: Column, rows: Rows, unique: bool) -> list[str | None]:
    random, now = rows.random, rows.now
    moments: list[float | None] = list(rows.times)
    if search(AHEAD, column.name):
        moments = [moment + random.uniform(0, DAYS / 4) * 86_400 for moment in rows.times]
    elif search(ENDS, column.name):
        ends = [moment + random.expovariate(1 / 900) for moment in rows.times]
        moments = [end if end <= now else (now if column.not_null else None) for end in ends]
    elif search(LATER, column.name):
        moments = [moment + (now - moment) * random.random() ** 3 for moment in rows.times]
    zone = UTC if column.type == "timestamptz" else rows.zone
    length = {"date": 10, "timestamp": 26, "timestamptz": 32}[column.type]
    return [
        None if m is None else datetime.fromtimestamp(m, zone).isoformat(" ", _EXACT)[:length]
        for m in moments
    ]


def _interval(column: Column, rows: Rows, unique: bool) -> list[str]:
    return [f"{rows.random.choice((5, 15, 60, 1440))} minutes" for _ in rows.times]


def _json(column: Column, rows: Rows, unique: bool) -> list[str]:
    pool = [json.dumps(_document(column.name, rows)) for _ in range(256)]
    return [rows.random.choice(pool) for _ in rows.times]


def _document(name: str, rows: Rows) -> object:
    random, word = rows.random, _word(rows)
    if search("metric", name):
        names = ("cpu_usage", "memory_usage")
        usage = {name: round(random.uniform(1, 99), 1) for name in names}
        return {**usage, "queue_depth": random.randint(0, 40)}
    if search("config|personality|settings", name):
        return {"model": "gpt-4o", "temperature": round(random.random(), 2), "style": word}
    if search("candidates|sources|tool_", name):
        return [{"name": random.choice(AGENTS), "score": round(random.random(), 3)}]
    if search("definition", name):
        return {"nodes": [{"id": word}, {"id": "end"}], "edges": [[word, "end"]]}
    return {"type": random.choice(("preference", "fact")), "source": "inferred", "topic": word}


def _vector(column: Column, rows: Rows, unique: bool) -> list[str]:
    """Unit vectors around a few centres, as the embeddings of texts on a few topics lie."""
    random, size = rows.random, column.size if column.size > 0 else 8
    noise = [random.gauss(0, 0.5) for _ in range(size + 4_096)]
    centres = [[random.gauss(0, 1) for _ in range(size)] for _ in range(CLUSTERS)]
    found = []
    for _ in rows.times:
        start = random.randrange(4_096)
        point = [a + b for a, b in zip(random.choice(centres), noise[start:], strict=False)]
        length = math.hypot(*point)
        found.append(f"[{','.join([f'{x / length:.5f}' for x in point])}]")
    return found


def _address(column: Column, rows: Rows, unique: bool) -> list[str]:
    return [f"10.0.{rows.random.randrange(256)}.{rows.random.randrange(256)}" for _ in rows.times]


def _bytes(column: Column, rows: Rows, unique: bool) -> list[str]:
    return [f"\\\\x{rows.random.randbytes(16).hex()}" for _ in rows.times]


_TEXTS = ("text", "varchar", "bpchar", "citext", "name")
_EXACT = "microseconds"
_TIMES = ("timestamptz", "timestamp", "date")
_MAKERS: dict[str, Callable[[Column, Rows, bool], Sequence[str | None]]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(INTEGERS, _integer),
    **dict.fromkeys(("numeric", "float4", "float8"), _number),
    **dict.fromkeys(_TIMES, _time),
    **dict.fromkeys(("json", "jsonb"), _json),
    **dict.fromkeys(("vector", "halfvec"), _vector),
    **dict.fromkeys(("inet", "cidr"), _address),
    "bool": _boolean,
    "uuid": _uuid,
    "interval": _interval,
    "bytea": _bytes,
    "tsvector": _text,
}


def _is_time(column: Column) -> bool:
    return column.type in _TIMES or (
        column.type == "int8" and search(r"_at$|timestamp", column.name) is not None
    )
