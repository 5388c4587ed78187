"""`agentdb.toml`: finding it, reading it, and refusing what it cannot mean.

What may stand in it is laid down in `keys`; an unknown key is an error
that names the file, the line and the nearest known key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from agentdb_cli.errors import SettingsError, nearest
from agentdb_cli.settings import openagent
from agentdb_cli.settings.keys import ANY_NAME, TOP

FILE_NAME = "agentdb.toml"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file as read: its path and its checked content."""

    path: Path
    content: Mapping[str, Any] = field(repr=False)

    @property
    def environments(self) -> tuple[str, ...]:
        """The names under `[environments]`, in the file's order."""
        return tuple(self.content.get("environments", {}))

    def layer(self, environment: str | None) -> dict[str, Any]:
        """The file's keys with those of `[environments.<environment>]` laid over.

        Raises:
            SettingsError: the file has no such environment.
        """
        content = {k: v for k, v in self.content.items() if k != "environments"}
        if environment is None:
            return content
        environments = self.content.get("environments", {})
        if environment not in environments:
            names = ", ".join(environments) or "none"
            raise SettingsError(
                f"{self.path} has no environment '{environment}'"
                + nearest(environment, environments),
                hint=f"environments in this file: {names}",
            )
        return _overlay(content, environments[environment])


def find(start: Path) -> Path | None:
    """The nearest `agentdb.toml` from `start` upwards, or None."""
    for directory in (start, *start.parents):
        candidate = directory / FILE_NAME
        try:
            if candidate.is_file():
                return candidate
        except OSError:  # a parent that we may not search
            return None
    return None


def read(path: Path) -> SettingsFile:
    """Read and check a settings file.

    Raises:
        SettingsError: the file cannot be read, or its content is refused by `parse`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 (byte {error.start})", hint="save it in UTF-8"
        ) from error
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    return parse(path, text)


def parse(path: Path, text: str) -> SettingsFile:
    """Check the text of a settings file.

    Args:
        path: where it stands or will stand, for errors.
        text: its content.

    Raises:
        SettingsError: it is not TOML, has an unknown key or a value of the
            wrong kind; the message names file and line.
    """
    import tomllib  # here, because most commands run without a settings file

    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    if "storage" in content:
        return SettingsFile(path, openagent.translate(content, path))
    return SettingsFile(path, _checked(content, TOP, _Place(path, text)))


class _Place(NamedTuple):
    """Where in the file a key stands."""

    path: Path
    text: str
    keys: tuple[str, ...] = ()

    def below(self, key: str) -> _Place:
        return _Place(self.path, self.text, (*self.keys, key))

    def error(self, message: str, hint: str | None = None) -> SettingsError:
        line = _line_of(self.text, self.keys)
        return SettingsError(f"{self.path}, line {line}: {message}", hint=hint)


def _checked(table: Mapping[str, Any], known: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    """`table` with its values converted by the rules of `known`."""
    checked = {}
    for key, value in table.items():
        here = place.below(key)
        name = ".".join(here.keys)
        rule = known.get(key, known.get(ANY_NAME))
        if rule is None:
            raise here.error(
                f"unknown key '{name}'{nearest(key, known)}",
                f"known keys here: {', '.join(sorted(known))}",
            )
        if isinstance(rule, Mapping):
            if not isinstance(value, Mapping):
                raise here.error(f"'{name}' must be a table, [{name}]")
            checked[key] = _checked(value, rule, here)
            continue
        try:
            checked[key] = rule(value)
        except ValueError as error:
            raise here.error(f"'{name}' must be {error}") from None
    return checked


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """The line (1-based) of the statement that sets the dotted key `keys`.

    tomllib keeps no positions. But the key is there as soon as the file is
    read up to the end of that statement, and the statement begins behind the
    longest shorter part that can be read. Slow, and only done for an error.
    """
    import tomllib

    lines = text.split("\n")
    begin = 1
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a string or list of several lines
        if _has(table, keys):
            break
        begin = end + 1
    return begin


def _has(table: object, keys: tuple[str, ...]) -> bool:
    for key in keys:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged
