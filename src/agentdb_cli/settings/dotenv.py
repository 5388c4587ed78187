"""`.env` files: `NAME=value` lines that stand in for missing environment variables."""

from __future__ import annotations

from pathlib import Path

from agentdb_cli.errors import SettingsError

FILE_NAME = ".env"


def read(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; values without interpolation.

    Raises:
        SettingsError: the file cannot be read, or a line is no assignment;
            the message gives the line's number but never its text, which may
            hold a secret.
    """
    # Imported here because most runs have no such file.
    from dotenv.parser import parse_stream

    variables: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                if binding.error:
                    raise SettingsError(
                        f"{path}, line {binding.original.line}: not a NAME=value line",
                        hint="quote values with spaces or quotes in them: NAME='value'",
                    )
                if binding.key is not None and binding.value is not None:
                    variables[binding.key] = binding.value
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    return variables
