"""Servers of a test's own: with other settings, and standbys."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
from conftest import SERVERS, Database

from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner


def make(binaries: Binaries, name: str) -> Cluster:
    """A cluster of one's own, not created yet."""
    layout = Layout.of(SERVERS / f"{name}{binaries.major}", binaries.major)
    return Cluster(binaries, layout, ensure_owner(print))


def opened(cluster: Cluster) -> Database:
    """Start it, and connect to its database postgres."""
    keywords = cluster.keywords(cluster.start(lambda _: None), "postgres")
    url = "postgresql://{user}@/{dbname}?host={host}&port={port}".format(**keywords)
    return Database(psycopg.connect(url, autocommit=True), url, cluster.binaries.major)


def as_owner(cluster: Cluster, *command: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs with the account of a stopped server."""
    account: dict[str, object] = {}
    if not cluster.owner.is_us:
        account = {"user": cluster.owner.uid, "group": cluster.owner.gid, "extra_groups": []}
    return subprocess.run(
        [cluster.binaries.program(command[0]), *command[1:]],
        cwd=cluster.layout.base,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        **account,  # type: ignore[call-overload]
    )


def give(cluster: Cluster, top: Path) -> None:
    """Make the account of a server the owner of all below a directory."""
    if not cluster.owner.is_us:
        for path in (top, *top.rglob("*")):
            os.chown(path, cluster.owner.uid, cluster.owner.gid)


def copy_of(primary: Database, binaries: Binaries, name: str, *options: str) -> Cluster:
    """A base backup of a running server, not started yet."""
    copy = make(binaries, name)
    copy.layout.create(copy.owner)
    info = primary.connection.info
    subprocess.run(
        [
            binaries.program("pg_basebackup"),
            *("-D", str(copy.layout.data), "-h", info.host, "-p", str(info.port)),
            *("-U", "postgres", "-X", "stream", "-c", "fast", "--no-sync", *options),
        ],
        check=True,
        capture_output=True,
    )
    give(copy, copy.layout.data)
    return copy
