"""Whether the disk has room for a copy of a table or index, where this machine can tell."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from agentdb_cli.postgres.connect import Connection


def free(connection: Connection, tablespace: str) -> int | None:
    """Free bytes where a tablespace lies; None where they cannot be seen from here.

    They can if the server is on this machine (a socket leads to it) and says where its
    data is, which takes the role pg_read_all_settings.

    Args:
        tablespace: its location, or "" for the data directory.
    """
    if not connection.info.host.startswith("/"):
        return None
    if not tablespace:
        try:
            row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return None
        tablespace = str(row[0]) if row else ""
    try:
        return shutil.disk_usage(Path(tablespace)).free
    except OSError:
        return None
