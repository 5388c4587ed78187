"""What endpoints of OpenAI's protocol say beside their vectors, and where they are asked."""

from __future__ import annotations

import email.utils
import json
import time
from urllib.parse import urlsplit

from agentdb_cli.errors import SettingsError


def address(text: str) -> str:
    """The URL of the endpoint, from that of the API."""
    try:
        parts = urlsplit(text)
        port_and_host = parts.hostname is not None and (parts.port or True)
    except ValueError:
        port_and_host = False
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not port_and_host:
        raise SettingsError(
            "[embedding] url is no URL of an API", hint='such as url = "http://localhost:11434/v1"'
        )
    if parts.username or parts.password:
        raise SettingsError(
            "[embedding] url holds a user or a password",
            hint="api_key_env names a variable that holds the key",
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/embeddings"):
        path = f"{path or '/v1'}/embeddings"
    return parts._replace(path=path, fragment="").geturl()


def retry_after(value: str | None) -> float | None:
    """Seconds, out of a number of them or a date."""
    if value is None:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


def message(answer: object) -> str:
    """What an error says: OpenAI's form, and those of TEI, vLLM and FastAPI."""
    if not isinstance(answer, dict):
        return ""
    for name in ("error", "message", "detail"):
        found = answer.get(name)
        if isinstance(found, dict):
            message, code = found.get("message"), found.get("code")
            found = f"{message} ({code})" if message and code else message
        if found:
            return found if isinstance(found, str) else json.dumps(found)
    return ""


def words(error: object) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
