"""Rows of a file as rows of binary COPY: which field goes to which column, and how."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from typing import NamedTuple

from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.vectors.collections import Column, Located
from agentdb_cli.vectors.load.fields import (
    KEY_TYPES,
    as_text,
    binary,
    integers,
    key_of,
    vector,
    view_head,
)
from agentdb_cli.vectors.load.matrix import Matrix
from agentdb_cli.vectors.load.sources import Bad, Columns, Raw, Values

_NULL = struct.pack(">i", -1)
_LENGTH = struct.Struct(">i").pack


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How rows with the same fields are loaded.

    Attributes:
        columns: in the order in which they are sent, the key first if there is one.
        casts: those that are sent as text, for the server to cast.
        keyed: whether the rows name their keys.
    """

    columns: tuple[Column, ...]
    casts: frozenset[str]
    keyed: bool
    fields: tuple[tuple[str, Column, Callable[[object], bytes]], ...]
    head: bytes


class Row(NamedTuple):
    """A row ready to be sent.

    Attributes:
        parts: of its tuple in COPY's binary format; joined only when sent, for they are large.
    """

    number: int
    key: int | str | None
    plan: Plan
    parts: list[bytes | memoryview]
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Bulk:
    """Rows that were encoded column by column, none of which lacks anything.

    Attributes:
        content: all their tuples.
    """

    plan: Plan
    content: bytes
    columns: Columns
    encoder: Encoder

    def __len__(self) -> int:
        return len(self.columns.values[0])

    @cached_property
    def keys(self) -> Sequence[int | str]:
        """Of all rows, or nothing if they have none."""
        if not self.plan.keyed:
            return []
        place = self.columns.names.index(self.plan.fields[0][0])
        return list(map(self.encoder.key_of, self.columns.values[place]))

    def rows(self) -> list[Row]:
        """The same, row by row."""
        found = map(self.encoder.encode, self.columns.rows())
        return [row for row in found if isinstance(row, Row)]


class Encoder:
    """Encodes the rows of one file for one collection.

    Args:
        maps: `field=column` each; an empty column leaves the field out.
        zone: of timestamps that name none.
        format: of the file: what a text stands for depends on it.
        thorough: look at every value, and leave none for the server to find fault with.

    Raises:
        SettingsError: a mapping names no column that can be loaded.
    """

    def __init__(
        self, located: Located, maps: Sequence[str], zone: tzinfo, *, format: str, thorough: bool
    ) -> None:
        self._located = located
        self._zone = zone
        self._format = format
        self._plans: dict[tuple[str, ...], Plan | str] = {}
        key = located.columns[located.collection.key]
        if key.base not in KEY_TYPES:
            raise AgentdbError(
                f"collection {located.collection.name}: rows cannot be found by keys of type"
                f" {key.full_type} ({located.name}.{key.name})",
                hint=f"a key is of type {', '.join(sorted(KEY_TYPES))}",
            )
        self.key_of = key_of(key.base)
        self._view_head = None if thorough else view_head(located)
        self._maps = self._read(maps)

    def check(self, fields: Iterable[str], where: str) -> None:
        """Refuse fields of which nobody knows where they go, before anything is loaded.

        Raises:
            SettingsError: with their names.
        """
        names = dict.fromkeys(fields)
        unknown = [name for name in names if self._column(name) is None and name not in self._maps]
        if unknown:
            shown = ", ".join(unknown[:8]) + (" …" if len(unknown) > 8 else "")
            near = nearest(unknown[0], self._located.columns)
            raise SettingsError(
                f"{where} has fields that {self._located.name} has no column for: {shown}{near}",
                hint=f"--map {unknown[0]}=COLUMN sends one to a column, --map {unknown[0]}= leaves"
                f" it out; columns: {', '.join(self._loadable())}",
            )
        key = self._located.columns[self._located.collection.key]
        if not any(self._target(name) == key.name for name in names) and not key.has_default:
            raise SettingsError(
                f"{where} has no field for the key {self._located.name}.{key.name}",
                hint=f"--map FIELD={key.name} names it; fields: {', '.join(names) or 'none'}",
            )
        plan = self._plan(tuple(names))
        if isinstance(plan, str):
            raise SettingsError(f"{where}: {plan}")

    def encode(self, raw: Raw) -> Row | Bad:
        """A row as COPY takes it, or why it cannot be loaded."""
        fields = raw.fields
        names = tuple(fields)
        plan = self._plans.get(names) or self._plan(names)
        if isinstance(plan, str):
            return Bad(raw.number, plan, fields)
        parts: list[bytes | memoryview] = [plan.head]
        view_head, name = self._view_head, ""
        try:
            for name, column, encode in plan.fields:
                value = fields[name]
                if value is None:
                    value = self._instead_of_null(column)
                if value is None:
                    parts.append(_NULL)
                    continue
                if type(value) is memoryview and view_head is not None:
                    parts.append(view_head(value))
                    parts.append(value)
                    continue
                sent = encode(value)
                parts.append(_LENGTH(len(sent)))
                parts.append(sent)
            key = self.key_of(fields[plan.fields[0][0]]) if plan.keyed else None
        except (ValueError, OverflowError) as error:
            return Bad(raw.number, f"{name}: {error}", fields)
        return Row(raw.number, key, plan, parts, fields)

    def bulk(self, columns: Columns) -> Bulk | None:
        """Rows by columns, which takes a third of the time; None if not all are faultless."""
        plan = self._plans.get(columns.names) or self._plan(columns.names)
        if isinstance(plan, str):
            return None
        values = dict(zip(columns.names, columns.values, strict=True))
        pieces: list[bytes | Sequence[bytes | memoryview]] = [plan.head]
        try:
            for name, column, encode in plan.fields:
                pieces += self._pieces(values[name], column, encode)
        except (ValueError, OverflowError):
            return None
        count, step = len(columns.values[0]), len(pieces)
        parts: list[bytes | memoryview] = [b""] * (count * step)
        for place, piece in enumerate(pieces):
            parts[place::step] = [piece] * count if isinstance(piece, bytes) else piece
        return Bulk(plan, b"".join(parts), columns, self)

    def _pieces(
        self, values: Values, column: Column, encode: Callable[[object], bytes]
    ) -> list[bytes | Sequence[bytes | memoryview]]:
        """Of each value what stands before it, and itself; what is the same for all but once."""
        if self._view_head is not None and isinstance(values, Matrix):
            for suspect in values.beginning_with_zero():
                self._view_head(suspect)
            rows = values.rows()
            return [self._view_head(rows[0]), rows]
        numbers = integers(column.base, values)
        if numbers is not None:
            return [numbers]
        if any(value is None for value in values):
            raise ValueError("NULL")
        sent = [encode(value) for value in values]
        return [[_LENGTH(len(each)) for each in sent], sent]

    def _instead_of_null(self, column: Column) -> object:
        if column.not_null and self._format == "csv" and column.base in ("text", "varchar"):
            return ""  # CSV does not tell it from nothing
        if column.not_null or column.name == self._located.collection.key:
            raise ValueError("is null, and the column may not be")
        return None

    def _read(self, maps: Sequence[str]) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for text in maps:
            name, sign, column = text.partition("=")
            if not sign or not name:
                raise SettingsError(f"--map {text}: write FIELD=COLUMN, or FIELD= to leave it out")
            found[name] = column or None
            if column and column not in self._loadable():
                raise SettingsError(
                    f"--map {text}: {self._located.name} has no column '{column}' to load"
                    f"{nearest(column, self._loadable())}",
                    hint=f"columns: {', '.join(self._loadable())}",
                )
        return found

    def _loadable(self) -> list[str]:
        key = self._located.collection.key
        return [
            name
            for name, column in self._located.columns.items()
            if not column.generated or name == key
        ]

    def _target(self, field: str) -> str | None:
        """The column that a field goes to, or None."""
        return self._maps.get(field, field)

    def _column(self, field: str) -> Column | None:
        target = self._target(field)
        return self._located.columns[target] if target in self._loadable() else None

    def _plan(self, names: tuple[str, ...]) -> Plan | str:
        if len(self._plans) > 10_000:  # rows of ever other fields
            self._plans.clear()
        plan = self._plans[names] = self._made(names)
        return plan

    def _made(self, names: tuple[str, ...]) -> Plan | str:
        key = self._located.collection.key
        chosen: dict[str, str] = {}
        for name in names:
            column = self._column(name)
            if column is None:
                if name not in self._maps:
                    return f"{self._located.name} has no column for the field {name}"
                continue
            if column.name in chosen:
                return f"the fields {chosen[column.name]} and {name} both go to {column.name}"
            chosen[column.name] = name
        if not set(chosen) - {key}:
            return "no field but the key goes to a column"
        if key not in chosen and not self._located.columns[key].has_default:
            return f"no field for the key {key}"
        order = sorted(chosen, key=lambda column: column != key)
        columns = tuple(self._located.columns[column] for column in order)
        encoders = {column.name: self._encoder(column) for column in columns}
        return Plan(
            columns=columns,
            casts=frozenset(name for name, found in encoders.items() if found is None),
            keyed=key in chosen,
            fields=tuple((chosen[c.name], c, encoders[c.name] or as_text) for c in columns),
            head=struct.pack(">h", len(columns)),
        )

    def _encoder(self, column: Column) -> Callable[[object], bytes] | None:
        if column.name == self._located.collection.embedding:
            return vector(self._located)
        return binary(column.base, self._zone, json_is_text=self._format != "jsonl")
