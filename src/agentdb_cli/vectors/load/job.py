"""One load from its first row to its last: reading ahead, writing, and what goes aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from agentdb_cli.postgres.connect import Connection
from agentdb_cli.vectors.collections import Located
from agentdb_cli.vectors.load.ahead import Ahead
from agentdb_cli.vectors.load.encode import Bulk, Encoder, Row
from agentdb_cli.vectors.load.rejects import Rejects
from agentdb_cli.vectors.load.sources import Bad, Columns, Source
from agentdb_cli.vectors.load.write import Counts, Writer

_SHOWN = 5  # bad rows that the error names
_AFTER_FAILURE = 1000  # bad rows that are looked for once nothing will be loaded any more

Encoded = tuple[list[Row] | Bulk, list[Bad], int, int]
"""Rows, bad ones, how many rows the block had, and bytes of the file read so far."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to load.

    Attributes:
        on_conflict: error, update or skip.
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


def load(
    connection: Connection,
    located: Located,
    source: Source,
    encoder: Encoder,
    options: Options,
    *,
    progress: Callable[[int, int], None],
    stopped: Callable[[], str | None],
) -> Outcome:
    """Load a file.

    Args:
        progress: told how many bytes and rows have been dealt with.
        stopped: asked between two blocks whether to end, and why.

    Raises:
        AgentdbError: a key is there already, or the file breaks off.
    """
    outcome = Outcome()
    with (
        Rejects(options.rejects) as rejects,
        Ahead(_encoded(source, encoder), stopped) as blocks,
    ):
        batches = _batches(blocks, options.batch_rows)
        more = True
        while more:
            writer = Writer(
                connection,
                located,
                options.on_conflict,
                forgiving=options.max_rejects > 0,
                unit=source.unit,
            )
            with nullcontext() if options.dry_run else connection.transaction():
                more = _fill(writer, batches, outcome, rejects, options, progress, stopped)
                if _abandoned(outcome, options):
                    raise psycopg.Rollback
                if not options.dry_run:
                    writer.finish()
                    if not more:
                        options.at_end()
            if not _abandoned(outcome, options):
                outcome.done.add(writer.counts)
        if outcome.failed and not outcome.stopped:
            _read_on(batches, outcome, rejects, progress)
    return outcome


def _abandoned(outcome: Outcome, options: Options) -> bool:
    """Whether the transaction that is open comes to nothing."""
    if options.dry_run:
        return False
    return outcome.failed or (outcome.stopped is not None and options.batch_rows is None)


def _fill(
    writer: Writer,
    batches: Iterator[tuple[Encoded, bool]],
    outcome: Outcome,
    rejects: Rejects,
    options: Options,
    progress: Callable[[int, int], None],
    stopped: Callable[[], str | None],
) -> bool:
    """Write blocks up to the end of a transaction; returns whether there are more."""
    for (rows, bad, count, done), full in batches:
        outcome.read += count
        if not options.dry_run:
            bad = bad + writer.write(rows)
        _take(bad, outcome, rejects)
        progress(done, outcome.read)
        if outcome.rejected > options.max_rejects and not options.dry_run:
            outcome.failed = True
            return False
        outcome.stopped = stopped()
        if outcome.stopped:
            return False
        if full:
            return True
    outcome.stopped = stopped()  # which ends the blocks, too
    return False


def _take(bad: Sequence[Bad], outcome: Outcome, rejects: Rejects) -> None:
    for each in bad:
        rejects.write(each)
        if len(outcome.first) < _SHOWN:
            outcome.first.append(each)
    outcome.rejected += len(bad)


def _read_on(
    batches: Iterator[tuple[Encoded, bool]],
    outcome: Outcome,
    rejects: Rejects,
    progress: Callable[[int, int], None],
) -> None:
    """Find the other bad rows, so that not each needs a run of its own."""
    for (_, bad, count, done), _ in batches:
        outcome.read += count
        _take(bad, outcome, rejects)
        progress(done, outcome.read)
        if outcome.rejected > _AFTER_FAILURE:
            return


def _encoded(source: Source, encoder: Encoder) -> Iterator[Encoded]:
    begun = False
    for block, done in source.blocks:
        if not begun and not isinstance(block, Columns) and source.fields is None:
            fields = dict.fromkeys(
                n for raw in block if not isinstance(raw, Bad) for n in raw.fields
            )
            if fields:
                encoder.check(fields, source.name)
                begun = True
        count = len(block.values[0]) if isinstance(block, Columns) else len(block)
        if isinstance(block, Columns):
            bulk = encoder.bulk(block)
            if bulk is not None:
                yield bulk, [], count, done
                continue
            block = list(block.rows())
        rows: list[Row] = []
        bad: list[Bad] = []
        for raw in block:
            row = raw if isinstance(raw, Bad) else encoder.encode(raw)
            if isinstance(row, Bad):
                bad.append(row)
            else:
                rows.append(row)
        yield rows, bad, count, done


def _batches(blocks: Iterator[Encoded], most: int | None) -> Iterator[tuple[Encoded, bool]]:
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
