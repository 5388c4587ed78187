"""The vector of a row, for a search for others like it."""

from __future__ import annotations

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import doubled
from agentdb_cli.vectors.collections import Located


def of_row(connection: Connection, located: Located, key: str) -> bytes:
    """The embedding of the row with that key, in the server's binary form.

    Raises:
        AgentdbError: there is no such row, its embedding is NULL, or a vector of zeros that has
            no cosine distance.
    """
    collection = located.collection
    column = located.columns[collection.key]
    names = {name: doubled(name) for name in (column.quoted, located.quoted)}
    embedding = doubled(located.embedding.quoted)
    text = (
        f"SELECT {embedding} FROM {names[located.quoted]}"  # noqa: S608
        f" WHERE {names[column.quoted]} = %(like)s LIMIT 1"
    )
    try:
        found = connection.execute(text.encode(), {"like": key}, binary=True).fetchone()
    except psycopg.DataError as error:
        raise AgentdbError(
            f"--like {key}: {column.name} is {column.full_type}; the server says:"
            f" {error.diag.message_primary}",
            exit_code=2,
        ) from None
    if found is None:
        raise AgentdbError(f"{located.name} has no row with {column.name} {key}")
    value = found[0]
    if value is None:
        raise AgentdbError(
            f"the row with {column.name} {key} of {located.name} has no embedding:"
            f" {collection.embedding} is NULL",
            hint="search for its text instead",
        )
    vector: bytes = bytes(value)  # type: ignore[call-overload]
    head = {"vector": 4, "halfvec": 4, "sparsevec": 12}.get(located.type)
    if head is not None and collection.distance == "cosine" and not any(vector[head:]):
        raise AgentdbError(
            f"the embedding of the row with {column.name} {key} of {located.name} is all zeros,"
            " which has no cosine distance"
        )
    return vector
