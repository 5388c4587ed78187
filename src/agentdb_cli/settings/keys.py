"""The keys that `agentdb.toml` may have, and what their values must be."""

from __future__ import annotations

import re
from typing import Any

Scalar = str | int | float | bool
"""The value of a variable for SQL files."""

_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(value: object) -> int:
    """A duration in milliseconds, from `"5s"`, `"250ms"`, `"2min"`, `0` …

    Units are PostgreSQL's: us, ms, s, min, h, d. A bare number is taken as
    milliseconds, as PostgreSQL does for lock_timeout.

    Raises:
        ValueError: it is no such duration, or a negative one.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value))
    if isinstance(value, bool) or match is None or (match[2] or "ms") not in _UNITS:
        raise ValueError('a duration such as "5s", "250ms" or 0 (units: us, ms, s, min, h, d)')
    exact = float(match[1]) * _UNITS[match[2] or "ms"]
    if exact > 2_147_483_647:  # PostgreSQL's own upper bound for its timeouts
        raise ValueError("a duration of at most 24 days")
    # 0 switches a timeout off, so less than a millisecond must not become it.
    return max(round(exact), 1) if exact else 0


_SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


def size(value: object) -> int:
    """A size in bytes, from `"64MB"`, `"1 GB"` … in PostgreSQL's units (powers of 1024).

    Raises:
        ValueError: it is no such size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", str(value))
    if isinstance(value, bool) or match is None or (match[2] or "B") not in _SIZES:
        raise ValueError('a size such as "64MB" (units: B, kB, MB, GB, TB)')
    return round(float(match[1]) * _SIZES[match[2] or "B"])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a non-empty string")
    return value


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("a port number from 1 to 65535")
    return value


def _scalar(value: object) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        raise ValueError("a string, a number or a boolean")
    return value


def _days(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number of days, 1 or more")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number, 1 or more")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _interval(value: object) -> str:
    if value not in ("day", "week", "month"):
        raise ValueError('"day", "week" or "month"')
    return str(value)


def _archive_format(value: object) -> str:
    if value not in ("csv", "jsonl", "parquet"):
        raise ValueError('"csv", "jsonl" or "parquet"')
    return str(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _names(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return value


ANY_NAME = "*"
"""Stands for any key in a table of rules."""

# What agentdb knows of the tables, in the words of pack.toml.
CATALOG: dict[str, Any] = {
    "retention": {
        ANY_NAME: {
            "time_column": _text,
            "days": _days,
            "enabled": _flag,
            "fixed": _flag,
            "where": _text,
            "keep_last": _count,
            "per": _names,
            "archive": _text,
            "archive_format": _archive_format,
            "partitioned": _interval,
        }
    },
    "collections": {
        ANY_NAME: {
            "table": _text,
            "key": _text,
            "embedding": _text,
            "text": _text,
            "metadata": _text,
            "filters": _names,
            "distance": _text,
            "tsvector": _text,
            "text_search_config": _text,
            "model": _text,
            "ef_search": _count,
            "probes": _count,
            "hybrid": {"text_weight": _number, "vector_weight": _number},
            "hnsw": {"m": _count, "ef_construction": _count, "distance": _text},
        }
    },
    "heartbeats": {
        "table": _text,
        "agent_column": _text,
        "time_column": _text,
        "interval_seconds": _number,
        "missed_warning": _number,
        "state_column": _text,
        "error_count_column": _text,
    },
    "metrics": {
        "table": _text,
        "agent_column": _text,
        "name_column": _text,
        "value_column": _text,
        "time_column": _text,
        "interval_seconds": _number,
    },
    "events": {
        "table": _text,
        "time_column": _text,
        "severity_column": _text,
        "agent_column": _text,
        "type_column": _text,
        "message_column": _text,
        "error_severities": _names,
        "error_rate_warning": _number,
    },
    "agents": {
        "table": _text,
        "key": _text,
        "name_column": _text,
        "state_column": _text,
        "started_column": _text,
        "stopped_column": _text,
        "active_column": _text,
        "running_states": _names,
        "error_states": _names,
    },
    "help_requests": {
        "table": _text,
        "key": _text,
        "status_column": _text,
        "priority_column": _text,
        "time_column": _text,
        "open_statuses": _names,
    },
    "help_responses": {"table": _text, "request_column": _text, "agent_column": _text},
    "llm_calls": {
        "table": _text,
        "time_column": _text,
        "agent_column": _text,
        "conversation_column": _text,
        "model_column": _text,
        "tokens_column": _text,
        "input_tokens_column": _text,
        "output_tokens_column": _text,
        "cost_column": _text,
        "role_column": _text,
        "answer_roles": _names,
    },
    "conversations": {
        "table": _text,
        "key": _text,
        "agent_column": _text,
        "model_column": _text,
    },
    "messages": {
        "table": _text,
        "from_column": _text,
        "to_column": _text,
        "time_column": _text,
    },
    "advisory_locks": {
        "namespaces": {ANY_NAME: _text},
        "names": {ANY_NAME: {"table": _text, "key": _text, "name_column": _text}},
    },
}

_DATABASE: dict[str, Any] = {
    "url": _text,
    "url_env": _text,
    "pack": _text,
    "schema": _text,
    "variables": {ANY_NAME: _scalar},
    "connection": {
        "connect_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "statement_timeout": milliseconds,
    },
    "migrations": {
        "dir": _text,
        "table": _text,
        "lock_wait": milliseconds,
        "lock_retries": _whole,
        "lock_retry_time": milliseconds,
    },
    "lint": {"skip": _names, "ignore": _names},
    "health": {ANY_NAME: {"warning": _number, "critical": _number}},
    "inspect": {"dir": _text},
    "backup": {"dir": _text},
    "embedding": {
        "url": _text,
        "model": _text,
        "dimensions": _count,
        "api_key_env": _text,
        "command": _names,
        "batch_size": _count,
        "timeout": milliseconds,
        "retries": _whole,
        "requests_per_minute": _number,
        "price_per_million_tokens": _number,
        "query_prefix": _text,
        "document_prefix": _text,
    },
    **CATALOG,
}
TOP: dict[str, Any] = {
    **_DATABASE,
    "server": {"data_dir": _text, "port": _port},
    "environments": {ANY_NAME: _DATABASE},
}
"""The rules: for each key a converter, which raises ValueError, or a table of rules."""
