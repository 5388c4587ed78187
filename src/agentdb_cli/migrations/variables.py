"""psql's variables in migration files: `:name`, `:'name'` and `:"name"`.

The syntax is psql's, so that a file also runs with `psql -v name=value -f`.
As in psql, a name that is not set is left as it stands (`array[1:n]`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.statements import Script, Variable, line_and_column
from agentdb_cli.postgres.quoting import identifier, literal
from agentdb_cli.settings.keys import Scalar

_PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Substituted:
    """A script with its variables filled in.

    Attributes:
        text: what is sent to the server.
        used: the variables that occur in it, with their values.
        shifts: for each substitution, the offset after it in `text` and the
            offset after it in the script.
    """

    text: str
    used: Mapping[str, Scalar]
    shifts: tuple[tuple[int, int], ...] = ()

    def offset_in_script(self, offset: int) -> int:
        """The offset in the script of an offset in `text` (0-based characters)."""
        result = offset
        for after, original in self.shifts:
            if offset < after:
                break
            result = original + offset - after
        return result


def substitute(script: Script, values: Mapping[str, Scalar], where: str) -> Substituted:
    """Fill in the variables of a script.

    Args:
        values: the variables that are set.
        where: the file's name, for errors.

    Raises:
        MigrationError: a value cannot be written safely in the place where
            it is used.
    """
    pieces: list[str] = []
    shifts: list[tuple[int, int]] = []
    used: dict[str, Scalar] = {}
    position = length = 0
    for variable in script.variables:
        if variable.name not in values:
            continue
        value = values[variable.name]
        used[variable.name] = value
        try:
            written = quote(variable, value)
        except ValueError as error:
            line, column = line_and_column(script.text, variable.start)
            raise MigrationError(
                f"{where}, line {line}, column {column}: {error}",
                hint=f"write :'{variable.name}' for a string literal, "
                f':"{variable.name}" for an identifier',
            ) from None
        pieces += (script.text[position : variable.start], written)
        length += variable.start - position + len(written)
        position = variable.end
        shifts.append((length, position))
    pieces.append(script.text[position:])
    return Substituted("".join(pieces), used, tuple(shifts))


def quote(variable: Variable, value: Scalar) -> str:
    """`value` as SQL for the place where `variable` stands.

    Raises:
        ValueError: a bare `:name` has a value that is neither a number, a
            boolean nor a plain word, and so could change the statement.
    """
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if variable.quoting == "literal":
        return literal(text)
    if variable.quoting == "identifier":
        return identifier(text)
    if isinstance(value, str) and not _PLAIN_WORD.fullmatch(text):
        raise ValueError(f"the value of :{variable.name} is not a number or a plain word")
    return text
