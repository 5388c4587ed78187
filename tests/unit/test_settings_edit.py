"""Changing one entry of an agentdb.toml: the rest of it stays as people wrote it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agentdb_cli.errors import AgentdbError, SettingsError
from agentdb_cli.settings import edit

PATH = Path("agentdb.toml")
VALUES = {"days": 14, "keep_last": 3, "per": ["a"]}
WRITTEN = """\
# ours
url = "postgresql://app@db/agents"   # no password here

[retention."system_events"] # a log
time_column = "timestamp"
days        = 30            # a month

[environments.prod]
url_env = "PROD"
"""
ENTRY = """\
[retention."telemetry.events"]
days = 14
keep_last = 3
per = ["a"]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ENTRY),
        ('pack = "agentdb"\n', f'pack = "agentdb"\n\n{ENTRY}'),
        (
            WRITTEN,
            WRITTEN.replace("[environments", f"{ENTRY}\n[environments"),
        ),
        ("\ufeffpack = 'agentdb'\r\n", f"\ufeffpack = 'agentdb'\n\n{ENTRY}".replace("\n", "\r\n")),
    ],
)
def test_a_new_entry_changes_nothing_else(before: str, after: str) -> None:
    made = edit.changed(PATH, before, ("retention", "telemetry.events"), VALUES)
    assert made.replace("\r\n", "\n") == after.replace("\r\n", "\n")
    assert ("\r\n" in before) == ("\r\n" in made)
    assert edit.removed(PATH, made, ("retention", "telemetry.events")).strip() == before.strip()


def test_a_value_is_changed_where_it_stands() -> None:
    made = edit.changed(PATH, WRITTEN, ("retention", "system_events"), {"days": 7})
    assert made == WRITTEN.replace("= 30 ", "= 7 ")


@pytest.mark.parametrize(
    "text",
    [
        '[environments]\nprod = { url_env = "X" }\n',
        'environments.prod.url_env = "X"\n',
        '[environments.prod]\nurl_env = "X"\n[environments.prod.retention.a]\ndays = 3\n',
        '[environments.prod]\nurl_env = "X"\nretention = { "a" = { days = 3 } }\n',
    ],
)
@pytest.mark.parametrize("table", ["a", 'public."We.ird"', "ä", "%s"])
def test_environments_however_they_are_written(text: str, table: str) -> None:
    keys = ("environments", "prod", "retention", table)
    made = edit.changed(PATH, text, keys, VALUES)
    prod = tomllib.loads(made)["environments"]["prod"]
    assert prod["retention"][table] == VALUES
    assert prod["url_env"] == "X"
    rest = tomllib.loads(edit.removed(PATH, made, keys))["environments"]["prod"]
    assert table not in rest.get("retention", {})


def test_what_could_not_be_read_back_is_refused() -> None:
    with pytest.raises(SettingsError) as raised:
        edit.changed(PATH, WRITTEN, ("retention", "system_events"), {"days": 0})
    assert raised.value.message == (
        "agentdb.toml, line 6: 'retention.system_events.days' must be"
        " a whole number of days, 1 or more"
    )


def test_openagents_file_is_only_read(tmp_path: Path) -> None:
    path = tmp_path / "openagent.toml"
    path.write_text('[storage.postgres]\nurl = "postgresql://a@b/c"\n')
    with pytest.raises(SettingsError) as raised:
        edit.text_of(path)
    assert raised.value.message == (
        f"{path} is OpenAgent's settings file, which agentdb only reads"
    )


def test_a_file_keeps_its_mode_and_a_link_stays_one() -> None:
    real, link = Path("real.toml"), Path("agentdb.toml")
    real.write_text("a")
    real.chmod(0o640)
    link.symlink_to(real.name)
    edit.write(link, "a", "b\r\n")
    assert link.is_symlink()
    assert real.read_bytes() == b"b\r\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(Path().iterdir()) == [link, real]


def test_a_change_by_somebody_else_is_not_overwritten() -> None:
    path = Path("agentdb.toml")
    path.write_text("theirs")
    with pytest.raises(AgentdbError) as raised:
        edit.write(path, "a", "b")
    assert raised.value.message == (
        f"{path} was changed by another program meanwhile; nothing was written"
    )
    assert path.read_text() == "theirs"
    assert list(Path().iterdir()) == [path]
