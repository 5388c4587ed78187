"""What agentdb knows of extensions: who needs them, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from agentdb_cli.postgres.queries import sql_directory


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A version that mends indexes only once they are built again.

    Attributes:
        broken: the first version whose indexes may be damaged; None for all.
        mended: the first version that makes sound ones.
        methods: the access methods of such indexes.
        why: what was wrong.
        source: where the release notes say so.
    """

    mended: str
    methods: tuple[str, ...]
    why: str
    source: str
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """One extension.

    Attributes:
        name: as CREATE EXTENSION has it.
        title: what it is.
        preload: whether its library must be in shared_preload_libraries.
        commands: what it is for, by the agentdb command that needs it.
        packs: the schema packs that use it where it is there.
        get: how to get it, by platform; `{major}` stands for the server's version.
        rebuild: upgrades after which indexes must be rebuilt.
    """

    name: str
    title: str
    preload: bool
    commands: Mapping[str, str]
    packs: tuple[str, ...]
    get: Mapping[str, str]
    rebuild: tuple[Rebuild, ...]


@cache
def facts() -> Mapping[str, Fact]:
    """All of sql/provisioning/extensions.toml, by extension."""
    import tomllib

    path = sql_directory() / "provisioning" / "extensions.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _fact(name, entry) for name, entry in content.items()}


def _fact(name: str, entry: Mapping[str, object]) -> Fact:
    def table(key: str) -> dict[str, str]:
        found = entry.get(key, {})
        assert isinstance(found, dict)
        return {str(k): str(v) for k, v in found.items()}

    def items(key: str) -> list[object]:
        found = entry.get(key, [])
        assert isinstance(found, list)
        return found

    rebuilds = [
        Rebuild(**{**each, "methods": tuple(each["methods"])})
        for each in items("rebuild")
        if isinstance(each, dict)
    ]
    return Fact(
        name,
        str(entry["title"]),
        bool(entry.get("preload", False)),
        table("commands"),
        tuple(str(pack) for pack in items("packs")),
        table("get"),
        tuple(rebuilds),
    )


def of_pack(pack: str) -> tuple[str, ...]:
    """The extensions that a pack uses where they are there."""
    return tuple(fact.name for fact in facts().values() if pack in fact.packs)


def how_to_get(name: str, major: int) -> str:
    """Where an extension comes from, all platforms in one line."""
    fact = facts().get(name)
    if fact is None:
        return "install the package that holds it on the server"
    return "; ".join(f"{k}: {v.replace('{major}', str(major))}" for k, v in fact.get.items())
