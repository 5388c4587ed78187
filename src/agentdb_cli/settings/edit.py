"""Changing one entry of an `agentdb.toml` that people write: the rest of it stays as it is."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from agentdb_cli.durable import sync_directory
from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.settings import file


def text_of(path: Path) -> str:
    """The text of a settings file that may be edited, with its line ends and byte order mark.

    Raises:
        SettingsError: it cannot be read, or is OpenAgent's own.
    """
    import tomllib

    try:
        text = path.read_bytes().decode("utf-8")
        content = tomllib.loads(text.removeprefix("\ufeff"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error
    if "storage" in content:
        raise SettingsError(
            f"{path} is OpenAgent's settings file, which agentdb only reads",
            hint="agentdb init writes an agentdb.toml of your own; name it with --config",
        )
    return text


def changed(path: Path, text: str, keys: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """The text with `values` put into the table at `keys`, which is made if need be.

    Comments, order and formatting of everything else are kept.

    Raises:
        SettingsError: the new text is no settings file, or would mean
            something else than it should.
    """
    import tomlkit

    document = tomlkit.parse(text.removeprefix("\ufeff"))
    table: MutableMapping[str, Any] = document
    for depth, key in enumerate(keys):
        if key not in table:
            if isinstance(table, tomlkit.items.InlineTable):
                table[key] = tomlkit.inline_table()
            else:
                # A table that holds nothing but tables needs no line of its own.
                new = tomlkit.table(is_super_table=depth < len(keys) - 1)
                if depth == len(keys) - 1:
                    new.update(values)
                    new.add(tomlkit.nl())
                table[key] = new
        table = table[key]
    for key, value in values.items():
        table[key] = value
    return _checked(path, text, tomlkit.dumps(document), keys, values)


def removed(path: Path, text: str, keys: tuple[str, ...]) -> str:
    """The text without the entry at `keys`, which must be there.

    Raises:
        SettingsError: as for `changed`.
    """
    import tomlkit

    document = tomlkit.parse(text.removeprefix("\ufeff"))
    table: MutableMapping[str, Any] = document
    for key in keys[:-1]:
        table = table[key]
    del table[keys[-1]]
    return _checked(path, text, tomlkit.dumps(document), keys, None)


def _checked(
    path: Path, before: str, after: str, keys: tuple[str, ...], values: Mapping[str, Any] | None
) -> str:
    """`after` with the line ends and mark of `before`, if it means what it should."""
    import tomllib

    meant = tomllib.loads(before.removeprefix("\ufeff"))
    table = meant
    for key in keys[:-1]:
        table = table.setdefault(key, {})
    if values is None:
        del table[keys[-1]]
    else:
        table[keys[-1]] = {**table.get(keys[-1], {}), **values}
    after = after.strip("\r\n") + "\n" if after.strip() else ""
    if "\r\n" in before:
        after = after.replace("\r\n", "\n").replace("\n", "\r\n")
    if _filled(tomllib.loads(after)) != _filled(meant):
        raise SettingsError(
            f"{path} is laid out in a way that cannot be edited safely; nothing was written",
            hint=f"write [{'.'.join(keys[:-1])}] by hand",
        )
    file.parse(path, after)
    return f"\ufeff{after}" if before.startswith("\ufeff") else after


def _filled(table: Any) -> Any:
    """A table without the empty tables in it, which say nothing."""
    if not isinstance(table, dict):
        return table
    filled = {key: _filled(value) for key, value in table.items()}
    return {key: value for key, value in filled.items() if value != {}}


def write(path: Path, before: str, after: str) -> None:
    """Replace the text of a settings file in one step; a symbolic link stays one.

    Args:
        before: the text that `after` was made from.

    Raises:
        AgentdbError: it was changed meanwhile, or cannot be written.
    """
    real = path.resolve()
    temporary = ""
    try:
        number, temporary = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        with os.fdopen(number, "wb") as stream:
            stream.write(after.encode())
            stream.flush()
            os.fsync(number)
        status = real.stat()
        Path(temporary).chmod(stat.S_IMODE(status.st_mode))
        if os.geteuid() == 0:  # only root may give a file away
            os.chown(temporary, status.st_uid, status.st_gid)
        if real.read_bytes() != before.encode():
            raise AgentdbError(
                f"{path} was changed by another program meanwhile; nothing was written",
                hint="run it again",
            )
        Path(temporary).replace(real)
        temporary = ""
        sync_directory(real.parent)
    except OSError as error:
        raise AgentdbError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
