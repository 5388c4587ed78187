"""One load from its first row to its last: reading ahead, writing, and what goes aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from agentdb_cli.errors import AgentdbError
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.load import at_once
from agentdb_cli.vectors.load.ahead import Ahead
from agentdb_cli.vectors.load.careful import Careful
from agentdb_cli.vectors.load.encode import Bulk, Encoder, Row
from agentdb_cli.vectors.load.rejects import Rejects
from agentdb_cli.vectors.load.sources import BLOCK, Bad, Columns, File, Raw, Source
from agentdb_cli.vectors.load.write import Counts, Writer

_SHOWN = 5  # bad rows that the error names
_SMALL = 128 * 1024  # bytes of a block that is encoded while the socket's buffer empties
_AFTER_FAILURE = 1000  # bad rows that are looked for once nothing will be loaded any more

ON_CONFLICT = ("error", "update", "skip")

Encoded = tuple[list[Row] | Bulk, list[Bad], int, int]
"""Rows, bad ones, how many rows the block had, and bytes of the file read so far."""

Batches = Iterator[tuple[Encoded, bool]]
"""Blocks, and whether a transaction is to end behind each."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    Attributes:
        on_conflict: one of ON_CONFLICT.
        max_rejects: bad rows up to which the others are loaded.
        batch_rows: commit after so many rows, or None for all of them at once.
        rejects: the file that bad rows are written to.
        at_end: called in the last transaction.
    """

    on_conflict: str
    max_rejects: int
    batch_rows: int | None
    rejects: Path
    dry_run: bool = False
    at_end: Callable[[], None] = lambda: None


@dataclass(slots=True)
class Outcome:
    """What came of a load.

    Attributes:
        read: rows of the file, bad ones included.
        done: what is committed.
        rejected: bad rows.
        first: the first few of them.
        failed: there were more than may be.
        stopped: why it ended before the file did, or None.
    """

    read: int = 0
    done: Counts = field(default_factory=Counts)
    rejected: int = 0
    first: list[Bad] = field(default_factory=list)
    failed: bool = False
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A load.

    Attributes:
        progress: told how many bytes there are of the file, and how many of them and how many
            rows have been dealt with.
        stopped: asked between two blocks whether to end, and why.
    """

    connection: Connection
    located: Located
    file: File
    encoder: Encoder
    options: Options
    progress: Callable[[int, int, int], None]
    stopped: Callable[[], str | None]

    def run(self) -> Outcome:
        """Load the file.

        Where no row is expected to be there already, all of them go in one COPY. If the server
        then refuses one, the file is read again, and sent in pieces that show which it was.

        Raises:
            AgentdbError: a key is there already, somebody else is writing it, or the file breaks
                off.
        """
        options, located = self.options, self.located
        whole = options.batch_rows is None and not options.dry_run and self.file.lasting
        if whole and at_once.suits(self.connection, located, options.on_conflict):
            with suppress(at_once.Refused):
                return self._load(lambda: at_once.AtOnce(self.connection, located), ahead=False)
        return self._load(
            lambda: Careful(
                self.connection,
                located,
                options.on_conflict,
                forgiving=options.max_rejects > 0,
                unit=self.file.unit,
            ),
            ahead=True,
        )

    def _load(self, write: Callable[[], Writer], *, ahead: bool) -> Outcome:
        """Read the file once, with a writer a transaction.

        Args:
            ahead: read in a thread, while the server looks keys up and ends a COPY. A thread
                does not help where the server only ever takes what is sent: the socket holds
                more than a small block, and a thread has the interpreter when it runs dry.
        """
        outcome, collection = Outcome(), self.located.collection
        block = BLOCK if ahead else _SMALL
        with (
            self.file.opened(collection.key, collection.embedding, block) as source,
            Rejects(self.options.rejects) as rejects,
            Ahead(self._encoded(source), self.stopped, wait=self.file.lasting)
            if ahead
            else nullcontext(self._encoded(source)) as blocks,
        ):
            reading = _Reading(outcome, rejects, partial(self.progress, source.size))
            batches = _batches(blocks, self.options.batch_rows)
            more = True
            while more:
                try:
                    more = self._transaction(reading, batches, write())
                except psycopg.errors.LockNotAvailable:
                    raise AgentdbError(
                        f"another session has locked {self.located.name}, or is writing rows with"
                        " the keys of these: they are not loaded",
                        hint="run it again later (agentdb inspect activity shows who is at work);"
                        " --lock-timeout changes how long to wait",
                    ) from None
            if outcome.failed and not outcome.stopped:
                reading.on(batches)
        return outcome

    def _transaction(self, reading: _Reading, batches: Batches, writer: Writer) -> bool:
        """Write up to where a transaction is to end; returns whether there are more rows."""
        outcome, options = reading.outcome, self.options
        with nullcontext() if options.dry_run else self.connection.transaction(), writer:
            more = self._fill(reading, batches, writer)
            if _abandoned(outcome, options):
                raise psycopg.Rollback
            if not options.dry_run:
                writer.finish()
                if not more:
                    options.at_end()
        if not _abandoned(outcome, options):
            outcome.done.add(writer.counts)
        return more

    def _fill(self, reading: _Reading, batches: Batches, writer: Writer) -> bool:
        outcome, options = reading.outcome, self.options
        for (rows, bad, count, done), full in batches:
            if not options.dry_run:
                bad = writer.write(rows, bad)
            reading.take(bad, count, done)
            if outcome.rejected > options.max_rejects and not options.dry_run:
                outcome.failed = True
                return False
            outcome.stopped = self.stopped()
            if outcome.stopped:
                return False
            if full:
                return True
        outcome.stopped = self.stopped()  # which ends the blocks, too
        return False

    def _encoded(self, source: Source) -> Iterator[Encoded]:
        begun = source.fields is not None
        if source.fields is not None:
            self.encoder.check(source.fields, self.file.name)
        for block, done in source.blocks:
            if not begun and not isinstance(block, Columns):
                fields = dict.fromkeys(
                    n for raw in block if not isinstance(raw, Bad) for n in raw.fields
                )
                if fields:
                    self.encoder.check(fields, self.file.name)
                    begun = True
            rows, bad, count = _block(block, self.encoder)
            yield rows, bad, count, done


@dataclass(slots=True)
class _Reading:
    """How far the file has been read, and what of it goes aside."""

    outcome: Outcome
    rejects: Rejects
    progress: Callable[[int, int], None]

    def take(self, bad: Sequence[Bad], count: int, done: int) -> None:
        """Take note of a block."""
        self.outcome.read += count
        for each in bad:
            self.rejects.write(each)
            if len(self.outcome.first) < _SHOWN:
                self.outcome.first.append(each)
        self.outcome.rejected += len(bad)
        self.progress(done, self.outcome.read)

    def on(self, batches: Batches) -> None:
        """Find the other bad rows, so that not each needs a run of its own."""
        for (_, bad, count, done), _ in batches:
            self.take(bad, count, done)
            if self.outcome.rejected > _AFTER_FAILURE:
                return


def _abandoned(outcome: Outcome, options: Options) -> bool:
    """Whether the transaction that is open comes to nothing."""
    if options.dry_run:
        return False
    return outcome.failed or (outcome.stopped is not None and options.batch_rows is None)


def _block(
    block: list[Raw | Bad] | Columns, encoder: Encoder
) -> tuple[list[Row] | Bulk, list[Bad], int]:
    """The rows of a block, its bad ones, and how many it has."""
    if isinstance(block, Columns):
        count = len(block.values[0])
        bulk = encoder.bulk(block)
        if bulk is not None:
            return bulk, [], count
        block = list(block.rows())
    rows: list[Row] = []
    bad: list[Bad] = []
    for raw in block:
        row = raw if isinstance(raw, Bad) else encoder.encode(raw)
        if isinstance(row, Bad):
            bad.append(row)
        else:
            rows.append(row)
    return rows, bad, len(block)


def _batches(blocks: Iterator[Encoded], most: int | None) -> Batches:
    """Blocks, cut where a transaction is to end; and whether it ends behind this one."""
    held = 0
    for found, bad, count, done in blocks:
        if most is None:
            yield (found, bad, count, done), False
            continue
        rows = found.rows() if isinstance(found, Bulk) else found
        while held + len(rows) >= most:
            part, rows = rows[: most - held], rows[most - held :]
            before = [each for each in bad if each.number < part[-1].number]
            bad = bad[len(before) :]
            yield (part, before, len(part) + len(before), done), True
            held = 0
        held += len(rows)
        if rows or bad:
            yield (rows, bad, len(rows) + len(bad), done), False
