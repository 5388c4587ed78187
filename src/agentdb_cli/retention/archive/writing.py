"""Taking rows out of a table into files, inside the transactions that delete them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import psycopg
from psycopg.pq import TransactionStatus

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.queries import query
from agentdb_cli.retention.archive import columns, encoding, fate, files, recovery, stream
from agentdb_cli.retention.archive.columns import COPY_OPTIONS, Format
from agentdb_cli.retention.archive.manifest import Header, Manifest, Part, State

_ROW = "{row}"


class Archive:
    """The archive of one table, open for writing.

    Made by `open`; one process at a time has it.
    """

    def __init__(
        self,
        connection: Connection,
        manifest: Manifest,
        lock: files.Lock,
        oid: int,
        format: Format,
        server: fate.Server,
    ) -> None:
        self._connection = connection
        self._manifest = manifest
        self._lock = lock
        self._oid = oid
        self._format = format
        self._server = server
        self._columns = columns.read(connection, oid)
        self._number = recovery.last_number(manifest)

    @classmethod
    def open(
        cls,
        directory: Path,
        connection: Connection,
        table: str,
        oid: int,
        format: Format,
        notice: Callable[[str], None],
    ) -> Archive:
        """Open a table's archive, and settle what a run that was killed has left.

        Args:
            directory: where each table gets a directory; made if it is missing.
            connection: outside a transaction.
            table: `schema.table`, for messages.
            notice: told what was left over, and what became of it.

        Raises:
            AgentdbError: the directory cannot be written or belongs to another database,
                another process works on it, a transaction of a killed run is still open,
                or pyarrow is missing.
        """
        encoding.require(format)
        here = fate.server(connection)
        header = _header(connection, table, oid, here)
        place = directory / files.directory_name(header.schema, header.table)
        files.make_directory(place)
        lock = files.Lock(place)
        try:
            manifest = Manifest(place)
            recovery.check_source(manifest, header)
            recovery.recover(connection, manifest, here, notice)
            manifest.begin(header)
            if any(r.part.oid != oid for r in manifest.records.values()):
                notice(f"{table} was made anew since its archive was begun; it goes on in {place}")
            return cls(connection, manifest, lock, oid, format, here)
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes in."""
        self._lock.release()

    def write(self, connection: Connection, statement: str) -> Part:
        """Take rows out, in the transaction in progress.

        When it returns, the rows are on disk in a file that the manifest names.

        Args:
            connection: inside the transaction that deletes the rows.
            statement: `DELETE FROM x AS t … RETURNING {row}` or `SELECT {row} FROM x AS t`,
                with values as literals; `{row}` stands for the columns.

        Raises:
            AgentdbError: the file cannot be written, or the table's columns have changed
                since `open`; nothing stays behind, and the transaction must be rolled back.
            psycopg.Error: the statement failed; likewise.
        """
        assert statement.count(_ROW) == 1, statement
        assert connection.info.transaction_status is TransactionStatus.INTRANS
        connection.execute(query("retention/archive_settings").encode())
        xid = fate.current_xid(connection)
        self._number += 1
        file = files.PartFile(self._manifest.directory / self._file_name(xid))
        try:
            rows = self._copy(connection, statement, file)
            self._check_columns(connection)
            part = self._part(file, xid, rows)
            if rows:
                file.finish()
                self._manifest.written(part)
            else:
                file.discard()
        except BaseException:
            file.discard()
            raise
        return part

    def commit(self, part: Part) -> None:
        """Record that the part's transaction has committed."""
        if part.rows:
            self._manifest.mark(part, State.committed)

    def abort(self, part: Part) -> None:
        """Remove a part whose transaction was rolled back, after the rollback.

        A COMMIT whose answer was lost may have succeeded. So the server is asked; when it
        cannot be, or the disk is full, the next run does it.
        """
        usable = self._connection.info.transaction_status is TransactionStatus.IDLE
        if part.rows and usable:
            with suppress(AgentdbError, psycopg.Error):
                recovery.settle(
                    self._connection, self._manifest, self._server, part, lambda _: None
                )

    def _copy(self, connection: Connection, statement: str, file: files.PartFile) -> int:
        encoder = encoding.encoder(self._format, file, self._columns)
        filled = statement.replace(_ROW, columns.row(self._columns, self._format))
        text = f"COPY ({filled}) TO STDOUT ({COPY_OPTIONS[self._format]})"
        rows = stream.copy_out(connection, text, encoder.write)
        encoder.finish()
        return rows

    def _check_columns(self, connection: Connection) -> None:
        """Now that the transaction holds a lock on the table, its columns stand still."""
        if columns.read(connection, self._oid) != self._columns:
            raise AgentdbError(
                "the table's columns have changed since this run began",
                hint="run it again; the rows of this batch are still in the table",
            )

    def _part(self, file: files.PartFile, xid: int, rows: int) -> Part:
        return Part(
            name=file.path.name,
            format=self._format,
            xid=xid,
            timeline=self._server.timeline,
            oid=self._oid,
            columns=self._columns,
            rows=rows,
            bytes=file.bytes if rows else 0,
            sha256=file.sha256,
        )

    def _file_name(self, xid: int) -> str:
        start = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        return f"{start}-{self._number:06d}-x{xid}.{self._format.suffix}"


def _header(connection: Connection, table: str, oid: int, here: fate.Server) -> Header:
    text = query("retention/archive_table").replace(":oid", str(oid))
    row = connection.execute(text.encode()).fetchone()
    if row is None:
        raise AgentdbError(f"there is no table {table} any more")
    database, database_oid, schema, name = cast(tuple[str, int, str, str], row)
    return Header(here.cluster, database, database_oid, schema, name)
