"""`agentdb migrate` on a directory of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conftest import Database, Result


def migrate(
    cli: Callable[..., Result], database: Database, directory: Path, *options: object
) -> Result:
    """Run it; a sub-command comes first in the options."""
    return cli("migrate", *options, "-d", database.url, "--dir", directory)
