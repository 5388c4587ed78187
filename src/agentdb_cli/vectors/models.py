"""Which model the vectors of a collection were made with.

agentdb.toml or a pack says so, or the database does: in a small table that `vectors load` and
`vectors embed` write. Vectors of two models cannot be compared, whatever their dimensions.
"""

from __future__ import annotations

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.vectors.collections import Located

TABLE = "agentdb_embedding_models"


def recorded(connection: Connection, located: Located, schema: str) -> str | None:
    """The model of a collection: as declared, else as the database has it, or None.

    Args:
        schema: of the migrations' tracking table: the record lies beside it.
    """
    if located.collection.model is not None:
        return located.collection.model
    table = f"{identifier(schema)}.{identifier(TABLE)}"
    there = connection.execute(
        "SELECT pg_catalog.has_table_privilege(c, 'SELECT') FROM pg_catalog.to_regclass(%s) AS c"
        " WHERE c IS NOT NULL",
        (table,),
    ).fetchone()
    if there is None or not there[0]:
        return None
    row = connection.execute(
        f"SELECT model FROM {table}"  # noqa: S608  (a quoted name)
        " WHERE table_schema = %s AND table_name = %s AND column_name = %s".encode(),
        (located.schema, located.relation, located.collection.embedding),
    ).fetchone()
    return None if row is None else str(row[0])


def check(connection: Connection, located: Located, model: str | None, schema: str) -> None:
    """Refuse vectors of another model than those that are there.

    Args:
        model: of the new vectors or the query; None if nobody knows, which passes.

    Raises:
        AgentdbError: with both names.
    """
    known = recorded(connection, located, schema)
    if model is None or known is None or _plain(known) == _plain(model):
        return
    declared = located.collection.model is not None
    where = f"[collections.{located.collection.name}] model" if declared else "the database"
    raise AgentdbError(
        f"collection {located.collection.name} holds vectors of {known} (so says {where}), and"
        f" these are of {model}",
        hint="vectors of two models cannot be compared: use that model, or embed all rows again"
        f" (agentdb vectors embed --collection {located.collection.name} --again)",
    )


def record(connection: Connection, located: Located, model: str, schema: str) -> str | None:
    """Remember the model, unless it is declared or remembered already.

    Returns:
        Why it could not be remembered, or None.
    """
    if located.collection.model is not None or recorded(connection, located, schema) == model:
        return None
    text = query("vectors/models").replace(":schema", identifier(schema))
    create, upsert = text.split(";\n")[:2]
    values = (located.schema, located.relation, located.collection.embedding, model)
    try:
        with connection.transaction():
            connection.execute(create.encode())
            psycopg.RawCursor(connection).execute(upsert.encode(), values)
    except psycopg.errors.InsufficientPrivilege:
        return (
            f"this role may not record the model {model} in {schema}.{TABLE}:"
            f" [collections.{located.collection.name}] model in agentdb.toml does as well"
        )
    return None


def _plain(model: str) -> str:
    """A name without an organisation before it and Ollama's tag of the latest behind it."""
    return model.rpartition("/")[2].removesuffix(":latest").casefold()
