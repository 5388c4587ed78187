"""The findings as a file for psql: what may be run stands there, what must be read first is
commented out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agentdb_cli.diagnosis.findings import Finding, Item
from agentdb_cli.postgres.quoting import literal


def script(findings: Sequence[Finding], *, place: str, database: str) -> str:
    """SQL for all that was found and can be mended by SQL, the rest as comments.

    Args:
        place: the server and database, without a password, for the first line.
        database: its name; the file stops in any other one.
    """
    lines = [
        f"-- Written by agentdb doctor for {_line(place)}.",
        "-- Read it, take out or in what you want, then: psql -X -f FILE",
        "-- Commented statements lock, lose something, or take a restart: the line above says so.",
        "-- ALTER SYSTEM takes a superuser; on a managed server set it in its parameters.",
        "",
        r"\set ON_ERROR_STOP on",
        "SET lock_timeout = '5s';",
        "DO $$ BEGIN",
        f"  IF current_database() <> {literal(database).strip()} THEN",
        "    RAISE EXCEPTION 'this file is for another database';",
        "  END IF;",
        "END $$;",
    ]
    for finding in findings:
        if finding.problems:
            lines += ["", f"-- {finding.check.area}: {finding.check.title} ({finding.check.name})"]
            lines += [f"-- why: {finding.check.why}", f"-- source: {finding.check.source}"]
            for item in finding.problems:
                lines += _mended(item)
    return "\n".join(lines) + "\n"


def _mended(item: Item) -> Iterator[str]:
    yield f"-- {item.status.name}: {_line(item.value)}"
    if item.advice:
        yield f"--   {_line(item.advice)}"
    if item.caution:
        yield f"--   {_line(item.caution)}"
    if item.sql:
        yield _commented(f"{item.sql};") if item.caution else f"{item.sql};"


def _line(text: str) -> str:
    """`text` within one comment, whatever names it holds."""
    return " ".join(text.split())


def _commented(sql: str) -> str:
    """A statement as a comment; a name with a line break in it must not end that."""
    return "-- " + re.sub(r"\r\n?|\n", "\n-- ", sql)
