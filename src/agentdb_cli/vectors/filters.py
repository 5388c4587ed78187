"""`--filter 'created_at>2026-01-01'`: conditions on columns as SQL with parameters.

Values are never part of the SQL: the server reads each as a value of its column's type.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from agentdb_cli.errors import AgentdbError, SettingsError, nearest
from agentdb_cli.postgres.connect import Connection
from agentdb_cli.postgres.quoting import doubled
from agentdb_cli.vectors.collections import Column, Located
from agentdb_cli.vectors.nearest import Condition

FORMS = "COLUMN=VALUE, with = != > >= < <= ~ !~ (LIKE), in, not in, is null or is not null"

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_FILTER = re.compile(
    rf"\s*(?P<path>{_NAME}(?:\.(?:\"(?:[^\"]|\"\")+\"|[\w$-]+))*)"
    r"(?:\s+is\s+(?P<null>(?:not\s+)?null)\s*"
    r"|\s+(?P<list>(?:not\s+)?in)(?:\s+|(?=\())(?P<values>.*)"
    r"|\s*(?P<operator>>=|<=|!=|<>|!~|[=><~])\s*(?P<value>.*))",
    re.IGNORECASE | re.DOTALL,
)
_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_SQL = {"=": "=", "!=": "IS DISTINCT FROM", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition as it was written.

    Attributes:
        path: the column, and of a json column the keys below it.
        operator: = != > >= < <= ~ !~, `in`, `not in`, `null` or `not null`.
        values: one; several of a list; none of `null`.
    """

    text: str
    path: tuple[str, ...]
    operator: str
    values: tuple[str, ...]


def parse(text: str) -> Filter:
    """Read a filter.

    Raises:
        SettingsError: it is none.
    """
    match = _FILTER.fullmatch(text)
    if match is None:
        raise SettingsError(f"--filter {text}: cannot be read", hint=f"write {FORMS}")
    path = tuple(
        quoted.replace('""', '"') if quoted else plain
        for quoted, plain in _PART.findall(match["path"])
    )
    if match["null"]:
        return Filter(text, path, _words(match["null"]), ())
    if match["list"]:
        values = _listed(match["values"])
        if not values:
            raise SettingsError(
                f"--filter {text}: an empty list", hint="write COLUMN in VALUE, VALUE, …"
            )
        return Filter(text, path, _words(match["list"]), values)
    operator = "!=" if match["operator"] == "<>" else match["operator"]
    return Filter(text, path, operator, (_unquoted(match["value"]),))


def _words(text: str) -> str:
    return " ".join(text.lower().split())


def _listed(text: str) -> tuple[str, ...]:
    """`(a, 'b, c')`, with or without parentheses."""
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    if not text:
        return ()
    (fields,) = csv.reader([text.replace("\n", " ")], quotechar="'", skipinitialspace=True)
    return tuple(field.strip() for field in fields)


def _unquoted(text: str) -> str:
    text = text.rstrip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text


def condition(
    filters: Sequence[Filter], located: Located, *, gin: Collection[str] = ()
) -> Condition | None:
    """All filters as one condition, or None without any.

    Args:
        gin: the columns with a GIN index, in which values of jsonb are looked up by containment.

    Raises:
        AgentdbError: there is no such column, or it cannot be asked that.
    """
    if not filters:
        return None
    parts: list[str] = []
    parameters: dict[str, object] = {}
    for number, each in enumerate(filters, 1):
        found = _Writer(each, _column(each, located), f"filter_{number}", gin).condition()
        parts.append(found.sql)
        parameters.update(found.parameters)
    return Condition(" AND ".join(parts), parameters)


def _column(each: Filter, located: Located) -> Column:
    name = each.path[0]
    # As SQL has it, a name that is not quoted is meant in lower case.
    column = located.columns.get(name) or located.columns.get(name.lower())
    if column is None:
        raise AgentdbError(
            f"--filter {each.text}: {located.name} has no column '{name}'"
            f"{nearest(name, located.columns)}",
            hint=f"columns: {', '.join(located.columns)}",
            exit_code=2,
        )
    if len(each.path) > 1 and column.base not in ("json", "jsonb"):
        raise AgentdbError(
            f"--filter {each.text}: {name} is {column.full_type}, which has no keys",
            hint="COLUMN.KEY is for json and jsonb",
            exit_code=2,
        )
    return column


@dataclass(frozen=True, slots=True)
class _Writer:
    """One filter on its way to SQL.

    Attributes:
        prefix: of the names of its parameters.
    """

    each: Filter
    column: Column
    prefix: str
    gin: Collection[str]

    def condition(self) -> Condition:
        values = dict(zip(self.names, self.each.values, strict=True))
        if len(self.each.path) > 1:
            return Condition(*self._of_json(values))
        if self.column.type.endswith("[]") and self.each.operator not in ("null", "not null"):
            return Condition(self._of_array(), values)
        return Condition(self._compared(self._quoted), values)

    @property
    def names(self) -> Sequence[str]:
        """Of the parameters, one a value."""
        return [f"{self.prefix}_{number}" for number, _ in enumerate(self.each.values, 1)]

    @property
    def _quoted(self) -> str:
        return doubled(self.column.quoted)

    def _compared(self, side: str) -> str:
        """The comparison of an expression with the values."""
        first, *_ = [f"%({name})s" for name in self.names] or [""]
        listed = ", ".join(f"%({name})s" for name in self.names)
        match self.each.operator:
            case "null":
                return f"{side} IS NULL"
            case "not null":
                return f"{side} IS NOT NULL"
            case "in":
                return f"{side} IN ({listed})"
            case "not in":
                return f"({side} IN ({listed})) IS NOT TRUE"
            case "~":
                return f"{side} LIKE {first}"
            case "!~":
                return f"({side} LIKE {first}) IS NOT TRUE"
        return f"{side} {_SQL[self.each.operator]} {first}"

    def _of_array(self) -> str:
        """`tags=a`: whether the array has such an element."""
        listed = ", ".join(f"%({name})s" for name in self.names)
        values = f"ARRAY[{listed}]::{self.column.type.replace('%', '%%')}"
        sql = {
            "=": f"{self._quoted} @> {values}",
            "in": f"{self._quoted} && {values}",
            "!=": f"({self._quoted} @> {values}) IS NOT TRUE",
            "not in": f"({self._quoted} && {values}) IS NOT TRUE",
        }.get(self.each.operator)
        if sql is None:
            raise AgentdbError(
                f"--filter {self.each.text}: {self.column.name} is {self.column.full_type},"
                f" which cannot be asked '{self.each.operator}'",
                hint="of an array ask = (it has this element), != or in (it has one of these)",
                exit_code=2,
            )
        return sql

    def _of_json(self, values: Mapping[str, str]) -> tuple[str, Mapping[str, object]]:
        keys = self.each.path[1:]
        if self.each.operator in ("=", "in") and self.column.name in self.gin:
            return self._contained(keys, values)
        path = f"{self.prefix}_path"
        if len(keys) == 1 and not keys[0].isdigit():  # as indexes on expressions have it
            at: dict[str, object] = {path: keys[0]}
            text = f"({self._quoted} ->> %({path})s::pg_catalog.text)"
            value = f"{self._quoted} -> %({path})s::pg_catalog.text"
        else:
            at, text = {path: list(keys)}, f"({self._quoted} #>> %({path})s::pg_catalog.text[])"
            value = f"{self._quoted} #> %({path})s::pg_catalog.text[]"
        parameters: dict[str, object] = {**values, **at}
        numbers = all(_NUMBER.fullmatch(value) for value in values.values())
        if self.each.operator in (">", ">=", "<", "<=") and numbers:
            kind = f"pg_catalog.{self.column.base}_typeof({value})"
            number = self._compared(f"{text}::pg_catalog.numeric")
            return f"CASE WHEN {kind} = 'number' THEN {number} END", parameters
        return self._compared(text), parameters

    def _contained(
        self, keys: Sequence[str], values: Mapping[str, str]
    ) -> tuple[str, Mapping[str, object]]:
        """Equality as a GIN index serves it: a value may be a string, a number, a boolean."""
        parts: list[str] = []
        parameters: dict[str, object] = {}
        for name, value in values.items():
            for which, document in enumerate(_documents(keys, value)):
                parameters[f"{name}_{which}"] = document
                parts.append(f"{self._quoted} @> %({name}_{which})s")
        return f"({' OR '.join(parts)})", parameters


def _documents(keys: Sequence[str], value: str) -> Iterator[str]:
    """The JSON documents that hold the value at these keys, as each type it may be of."""
    import json

    forms = [json.dumps(value)]
    if _NUMBER.fullmatch(value):
        forms.append(str(float(value)) if not re.fullmatch(r"-?(?:0|[1-9]\d*)", value) else value)
    if value in ("true", "false"):
        forms.append(value)
    for form in forms:
        document = form
        for key in reversed(keys):
            document = f"{{{json.dumps(key)}: {document}}}"
        yield document


def refused(
    connection: Connection, located: Located, filters: Sequence[Filter], error: psycopg.Error
) -> AgentdbError | None:
    """The error that says which filter the server does not take, or None if it takes them all.

    Args:
        connection: outside the transaction that failed.
        error: what the server said of them together.
    """
    for each in filters:
        column = _column(each, located)
        alone = condition([each], located)
        assert alone is not None
        try:
            connection.execute(
                f"SELECT FROM {located.quoted.replace('%', '%%')} WHERE {alone.sql}"
                " LIMIT 0".encode(),
                alone.parameters,
            )
        except (psycopg.DataError, psycopg.ProgrammingError) as found:
            what = column.full_type if len(each.path) == 1 else f"{column.full_type} with keys"
            said = found.diag.message_primary or str(found)
            return AgentdbError(
                f"--filter {each.text}: {column.name} is {what}; the server says: {said}",
                hint=_hint(found),
                exit_code=2,
            )
    return None


def _hint(error: psycopg.Error) -> str | None:
    if error.sqlstate == "42883":  # no such operator
        return "= != is null and is not null go with every type, ~ with text alone"
    return None
