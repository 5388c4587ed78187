"""What a run that was killed has left in a table's archive."""

from __future__ import annotations

from collections.abc import Callable

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.retention.archive import fate, files
from agentdb_cli.retention.archive.manifest import Header, Manifest, Part, State

Notice = Callable[[str], None]

_STATES = {
    fate.Fate.committed: State.committed,
    fate.Fate.aborted: State.aborted,
    fate.Fate.unknown: State.doubtful,
}


def check_source(manifest: Manifest, header: Header) -> None:
    """Make sure that parts of two databases never come to lie in one directory.

    A database keeps its place when it or its table is made anew or renamed in place; one
    that was dumped and restored into another server has another, and begins an archive.

    Raises:
        AgentdbError: the archive is another database's.
    """
    known = manifest.header
    if known is None:
        return
    same_server = not (known.cluster and header.cluster) or known.cluster == header.cluster
    if same_server and known.database_oid == header.database_oid and known.name == header.name:
        return
    raise AgentdbError(
        f"{manifest.directory} is the archive of {known.name} in another database "
        f"({known.database}, server {known.cluster or 'unknown'})",
        hint="name another directory; agentdb import archive still reads this one",
    )


def recover(connection: Connection, manifest: Manifest, here: fate.Server, notice: Notice) -> None:
    """Settle every part whose transaction's end is not recorded, and remove half files.

    Raises:
        AgentdbError: a transaction is still open, or there are parts that the manifest
            does not know and that are not a killed run's.
    """
    _remove_leftovers(connection, manifest, here, notice)
    for record in list(manifest.records.values()):
        if record.state is State.written:
            settle(connection, manifest, here, record.part, notice)


def settle(
    connection: Connection, manifest: Manifest, here: fate.Server, part: Part, notice: Notice
) -> None:
    """Record what became of a part; the file of one that was rolled back is removed.

    Raises:
        AgentdbError: its transaction is still open.
    """
    state = state_of(connection, manifest, here, part, notice)
    path = manifest.directory / part.name
    if state is State.aborted:
        # Before the line: killed in between, the next run does both again.
        path.unlink(missing_ok=True)
    manifest.mark(part, state)
    if state is State.aborted:
        notice(f"{path}: rolled back, its rows are still in the table; removed")
    elif state is State.doubtful:
        notice(
            f"{path}: this server cannot tell whether its rows were deleted; it is kept, and "
            "agentdb import archive compares it with the table by key"
        )
    else:
        notice(f"{path}: committed")


def state_of(
    connection: Connection, manifest: Manifest, here: fate.Server, part: Part, notice: Notice
) -> State:
    """What became of a part whose transaction's end is not recorded."""
    assert manifest.header is not None
    origin = fate.Server(manifest.header.cluster, part.timeline)
    return _STATES[fate.of(connection, here, part.xid, origin, notice)]


def last_number(manifest: Manifest) -> int:
    """The number of the newest part, or 0."""
    names = [files.part_name(name) for name in manifest.records]
    return max((name.number for name in names if name), default=0)


def _remove_leftovers(
    connection: Connection, manifest: Manifest, here: fate.Server, notice: Notice
) -> None:
    """Remove files of a run that was killed before the manifest named them.

    Their transaction cannot have committed; but a file is only removed when the server
    says so too, as the manifest may have been lost or taken from an old backup.
    """
    for path in sorted(manifest.directory.iterdir()):
        name = files.part_name(path.name.removesuffix(files.PARTIAL))
        if name is None or path.name in manifest.records:
            continue
        if path.name.endswith(files.PARTIAL):
            path.unlink()
            notice(f"{path}: not complete, its rows are still in the table; removed")
        elif manifest.header and _rolled_back(connection, manifest.header, here, name.xid, notice):
            path.unlink()
            notice(f"{path}: rolled back, its rows are still in the table; removed")
        else:
            raise AgentdbError(
                f"{path} is complete, but {manifest.path} does not name it",
                hint="take the manifest from a backup that is newer; if the rows are in the "
                "table still, move the file away",
            )


def _rolled_back(
    connection: Connection, header: Header, here: fate.Server, xid: int, notice: Notice
) -> bool:
    # A file that no line describes does not say its timeline: the present one is assumed.
    origin = fate.Server(header.cluster, here.timeline)
    return fate.of(connection, here, xid, origin, notice) is fate.Fate.aborted
