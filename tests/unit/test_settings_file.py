"""agentdb.toml: found upwards, checked key by key, errors with file and line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentdb_cli.errors import SettingsError
from agentdb_cli.settings import keys, milliseconds, read_file
from agentdb_cli.settings.file import find, read

DURATION = 'a duration such as "5s", "250ms" or 0 (units: us, ms, s, min, h, d)'
TOP = ", ".join(sorted(keys.TOP))
ENVIRONMENT = ", ".join(sorted(keys._DATABASE))


def refusal(content: str | bytes) -> SettingsError:
    """The error that a file `agentdb.toml` of that content gets."""
    data = content.encode() if isinstance(content, str) else content
    Path("agentdb.toml").write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        read(Path("agentdb.toml"))
    assert caught.value.exit_code == 2
    return caught.value


# --- Finding it --------------------------------------------------------------


def test_the_nearest_file_upwards_is_used() -> None:
    outer, inner = Path("agentdb.toml").absolute(), Path("a/b/agentdb.toml").absolute()
    deep = inner.parent / "c"
    deep.mkdir(parents=True)
    assert find(deep) is None
    outer.touch()
    assert find(deep) == outer
    inner.touch()
    assert find(deep) == inner
    assert find(Path("a").absolute()) == outer


def test_a_directory_of_that_name_is_passed_over() -> None:
    Path("agentdb.toml").touch()
    Path("a/agentdb.toml").mkdir(parents=True)
    assert find(Path("a").absolute()) == Path("agentdb.toml").absolute()


def test_config_names_another_file() -> None:
    Path("agentdb.toml").write_text("pack = 'agentdb'\n")
    Path("other.toml").write_text("pack = 'openagent'\n")
    found = read_file(Path("other.toml"))
    assert found is not None
    assert (found.path, found.content) == (Path("other.toml"), {"pack": "openagent"})


def test_a_file_may_begin_with_a_byte_order_mark() -> None:
    Path("agentdb.toml").write_bytes(b"\xef\xbb\xbfpack = 'openagent'\r\n")
    assert read(Path("agentdb.toml")).content == {"pack": "openagent"}


# --- Files that cannot be read -----------------------------------------------


def test_a_file_that_does_not_exist() -> None:
    with pytest.raises(SettingsError) as caught:
        read_file(Path("nowhere.toml"))
    assert caught.value.message == "cannot read nowhere.toml: No such file or directory"


def test_a_file_that_may_not_be_read() -> None:
    """As an account that may read nothing here, if the tests run as root."""
    path = Path("agentdb.toml").absolute()
    path.touch()
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(SettingsError) as caught:
            read(path)
    finally:
        if root:
            os.seteuid(0)
    assert caught.value.message == f"cannot read {path}: Permission denied"


def test_a_directory_instead_of_a_file() -> None:
    Path("settings").mkdir()
    with pytest.raises(SettingsError) as caught:
        read(Path("settings"))
    assert caught.value.message == "cannot read settings: Is a directory"


def test_a_file_that_is_not_utf8() -> None:
    error = refusal(b"pack = 'caf\xe9'\n")
    assert error.message == "agentdb.toml is not UTF-8 (byte 11)"
    assert error.hint == "save it in UTF-8"


def test_a_file_that_is_not_toml() -> None:
    assert refusal("pack = \n").message == (
        "agentdb.toml is not valid TOML: Invalid value (at line 1, column 8)"
    )
    assert refusal("pack = 'a'\npack = 'b'\n").message == (
        "agentdb.toml is not valid TOML: Cannot overwrite a value (at line 2, column 11)"
    )


# --- Keys and values that mean nothing ---------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "message", "hint"),
    [
        ("ulr = 'x'", 1, "unknown key 'ulr'; did you mean 'url'?", TOP),
        ("# c\n\npack = 'a'\nzzz = 1", 4, "unknown key 'zzz'", TOP),
        (
            "[connection]\nlock_timeout = 1\nlock_timout = 1",
            3,
            "unknown key 'connection.lock_timout'; did you mean 'lock_timeout'?",
            "connect_timeout, lock_timeout, statement_timeout",
        ),
        (
            "pack = 'a'\nconnection.lock_timout = 1",
            2,
            "unknown key 'connection.lock_timout'; did you mean 'lock_timeout'?",
            "connect_timeout, lock_timeout, statement_timeout",
        ),
        (
            "pack = 'a'\nconnection = { lock_timeout = 1, lock_timout = 1 }\n\n[server]",
            2,
            "unknown key 'connection.lock_timout'; did you mean 'lock_timeout'?",
            "connect_timeout, lock_timeout, statement_timeout",
        ),
        (
            "[environments.production]\nurl = 'x'\n\n[environments.staging]\nurll = 'x'\n",
            5,
            "unknown key 'environments.staging.urll'; did you mean 'url'?",
            ENVIRONMENT,
        ),
        (
            "[environments]\nproduction = { url = 'x' }\nstaging = { urll = 'x' }\n\n[server]",
            3,
            "unknown key 'environments.staging.urll'; did you mean 'url'?",
            ENVIRONMENT,
        ),
        (
            "environments.production.url = 'x'\nenvironments.'a.b'.urll = 'x'",
            2,
            "unknown key 'environments.a.b.urll'; did you mean 'url'?",
            ENVIRONMENT,
        ),
        (
            "[variables]\ntext = '''\nurll = 1\n'''\n[servers]",
            5,
            "unknown key 'servers'; did you mean 'server'?",
            TOP,
        ),
        (
            "[environments.production.server]\nport = 1",
            1,
            "unknown key 'environments.production.server'",
            ENVIRONMENT,
        ),
    ],
)
def test_an_unknown_key_is_an_error_with_its_line(
    content: str, line: int, message: str, hint: str
) -> None:
    error = refusal(content)
    assert error.message == f"agentdb.toml, line {line}: {message}"
    assert error.hint == f"known keys here: {hint}"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("url = 1", 1, "'url' must be a non-empty string"),
        ("pack = 'a'\nurl = ''", 2, "'url' must be a non-empty string"),
        ("[url]\nhost = 'h'", 1, "'url' must be a non-empty string"),
        ("connection = '5s'", 1, "'connection' must be a table, [connection]"),
        ("[[environments]]\nurl = 'x'", 1, "'environments' must be a table, [environments]"),
        (
            "[environments]\nproduction = 'x'",
            2,
            "'environments.production' must be a table, [environments.production]",
        ),
        ("[server]\nport = 0", 2, "'server.port' must be a port number from 1 to 65535"),
        ("[server]\nport = '5432'", 2, "'server.port' must be a port number from 1 to 65535"),
        ("[server]\nport = true", 2, "'server.port' must be a port number from 1 to 65535"),
        ("[variables]\na = 1\nb = [1]", 3, "'variables.b' must be a string, a number or a boolean"),
        (
            "[variables]\na = [\n  1,\n]",
            2,
            "'variables.a' must be a string, a number or a boolean",
        ),
        ("migrations.dir = 1", 1, "'migrations.dir' must be a non-empty string"),
        ("connection.lock_timeout = 'soon'", 1, f"'connection.lock_timeout' must be {DURATION}"),
        (
            "[environments.a]\nconnection = { lock_timeout = '25d' }",
            2,
            "'environments.a.connection.lock_timeout' must be a duration of at most 24 days",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_with_its_line(
    content: str, line: int, message: str
) -> None:
    assert refusal(content).message == f"agentdb.toml, line {line}: {message}"


# --- Durations ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("5s", 5_000),
        ("250ms", 250),
        ("250", 250),
        (250, 250),
        ("1.5s", 1_500),
        (" 2 min ", 120_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("24d", 2_073_600_000),
        ("2147483647", 2_147_483_647),
        # 0 means "no limit", so nothing else becomes it.
        (0, 0),
        ("0", 0),
        ("0s", 0),
        ("100us", 1),
        ("0.4ms", 1),
    ],
)
def test_durations(given: object, meant: int) -> None:
    assert milliseconds(given) == meant


@pytest.mark.parametrize(
    "given", ["", "soon", "-1", -1, "5 seconds", "5S", "1e3", True, None, [], "1s 5ms", "inf"]
)
def test_what_is_no_duration(given: object) -> None:
    with pytest.raises(ValueError) as caught:
        milliseconds(given)
    assert str(caught.value) == DURATION


@pytest.mark.parametrize("given", ["25d", "2147483648", 10**20, "9" * 400 + "d"])
def test_durations_that_postgresql_cannot_hold(given: object) -> None:
    with pytest.raises(ValueError) as caught:
        milliseconds(given)
    assert str(caught.value) == "a duration of at most 24 days"
