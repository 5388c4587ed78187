"""What undoes a migration: a file of its own, a section of its file, or notes at its end."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations import files, foreign, rollback_notes
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.prepare import Prepared, prepare
from agentdb_cli.migrations.statements import ScriptError, parse
from agentdb_cli.settings.keys import Scalar


def find(file: MigrationFile, names: Collection[str]) -> MigrationFile | None:
    """The down part of a migration; None if there is none, or no statement in it.

    A file of its own comes before notes, which may merely remind of it.

    Args:
        names: of the `.sql` files in its directory.

    Raises:
        MigrationError: there are two, or it cannot be read.
    """
    filename = foreign.undoing(file, names)
    sections = file.sections
    inside = sections.down if sections and sections.down and _runs(sections.down.text) else None
    beside = files.read_one(file.directory, filename, file) if filename else None
    if beside is not None and not _runs(beside.text):
        beside = None
    if beside is not None and inside is not None:
        raise MigrationError(
            f"{file.label} has two down parts: {beside.filename} and a section of {file.filename}",
            hint="remove one of them",
        )
    if beside is not None:
        return beside._replace(undone_by=(beside.text, beside.no_transaction))
    if inside is not None:
        return file._replace(undone_by=(inside.text, inside.no_transaction))
    notes = rollback_notes.find(file.source, str(file.path)) if sections is None else None
    return None if notes is None else file._replace(undone_by=(notes, _in_steps(file)))


def prepared(file: MigrationFile, values: Mapping[str, Scalar]) -> Prepared:
    """The down part of a migration that is being undone, ready to run.

    Raises:
        MigrationError: it cannot be run.
    """
    part = find(file, files.sql_names(file.directory))
    return prepare(part or file, values, undoes=True)


def lacking(file: MigrationFile) -> str:
    """What a migration without a down part should have."""
    match file.naming:
        case foreign.Naming.flyway:
            wanted = f"U{file.version}__{file.name}.sql"
        case foreign.Naming.yoyo:
            wanted = f"{file.label}.rollback.sql"
        case _:
            wanted = f"{file.label}.down.sql"
    if (sections := file.sections) is not None:
        down = {foreign.Format.goose: "-- +goose Down", foreign.Format.pycopg: "-- DOWN"}
        wanted = down.get(sections.format, "-- migrate:down")
    return f"no statement in {wanted}" if _is_there(file, wanted) else f"no {wanted}"


def _is_there(file: MigrationFile, wanted: str) -> bool:
    if wanted.startswith("--"):
        sections = file.sections
        return sections is not None and sections.down is not None
    return (file.directory / wanted).exists()


def _runs(text: str) -> bool:
    try:
        return bool(parse(text).statements)
    except ScriptError:
        return True  # which preparing it refuses, with the place


def _in_steps(file: MigrationFile) -> bool:
    """Whether the header of a file says that it runs without a transaction."""
    directives = parse(file.text).directives
    return file.no_transaction or any(name == "no-transaction" for name, _ in directives)
