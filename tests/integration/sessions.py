"""Sessions of somebody else, in whose way a command comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from conftest import Database


@contextmanager
def session(database: Database, *statements: str) -> Iterator[psycopg.Connection]:
    """Another session that has begun a transaction and done something in it."""
    with psycopg.connect(database.url, application_name="app") as other:
        for statement in statements:
            other.execute(statement)
        yield other
        other.rollback()
