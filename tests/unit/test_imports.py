"""The direction of imports that the design lays down, and what start-up may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import agentdb_cli

PACKAGE = Path(agentdb_cli.__file__).parent

# Each layer may import those below it (and itself), never one above.
LAYERS = ["app", "commands", "domain", "server", "base"]
DOMAIN = {
    "migrations", "retention", "maintenance", "backups", "monitoring", "provisioning", "diagnosis",
    "vectors",
}  # fmt: skip
LAYER_OF = {
    "__main__": "app",
    "app": "app",
    "commands": "commands",
    **dict.fromkeys(DOMAIN, "domain"),
    "postgres": "server",
    "packs": "server",
    "settings": "base",
    "errors": "base",
    "status": "base",
    "durable": "base",
    # Only what prints may import it; see test_only_commands_and_app_render.
    "render": "commands",
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def parts(path: Path) -> tuple[str, ...]:
    relative = path.relative_to(PACKAGE).with_suffix("").parts
    return relative[:-1] if relative[-1] == "__init__" else relative


def imports_of(path: Path) -> set[str]:
    """The first name below agentdb_cli of everything that a module imports from us."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name.split(".")[1] for name in found if name.startswith("agentdb_cli.")}
    return {name for name in ours if name in LAYER_OF}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(parts(path)) or "package")
def test_imports_point_one_way(path: Path) -> None:
    if not parts(path):
        assert imports_of(path) == set()
        return
    own = parts(path)[0]
    assert own in LAYER_OF, f"say in LAYER_OF where {own} belongs"
    level = LAYERS.index(LAYER_OF[own])
    for name in imports_of(path) - {own}:
        assert LAYERS.index(LAYER_OF[name]) >= level, f"{own} imports {name}, which is above it"
        if own in DOMAIN:
            assert name not in DOMAIN, f"domain package {own} imports {name}, another one"


def test_only_commands_and_app_render() -> None:
    users = {parts(p)[0] for p in MODULES if parts(p) and "render" in imports_of(p)}
    assert users <= {"app", "commands", "render"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: ".".join(parts(path)) or "package")
def test_only_render_and_commands_print(path: Path) -> None:
    calls = [
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    printed = any(isinstance(call, ast.Name) and call.id == "print" for call in calls)
    assert not printed or parts(path)[0] == "render"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["migrate", "--help"]])
def test_help_loads_neither_psycopg_nor_a_domain_package(arguments: list[str]) -> None:
    program = (
        "import sys; from agentdb_cli.app import execute; execute(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert "agentdb_cli.app" in loaded
    assert not loaded & {"psycopg", "pgvector", "tomllib", "dotenv", "asyncio"}
    assert not [name for name in loaded if name.split(".")[-1] in DOMAIN]
    assert "rich.table" not in loaded or "--help" in arguments


@pytest.mark.parametrize(("arguments", "most"), [(["activity", "--help"], 1), (["--help"], 100)])
def test_an_inspection_reads_its_own_file_alone(arguments: list[str], most: int) -> None:
    program = (
        "import sys; read = [];"
        "sys.addaudithook(lambda event, about: event == 'open' and read.append(str(about[0])));"
        "from agentdb_cli.app import execute; execute(['inspect', *sys.argv[1:]]);"
        "print(*[name for name in read if name.endswith('.sql')], file=sys.stderr);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    read, loaded = done.stderr.splitlines()
    assert 1 <= len(read.split()) <= most
    assert "psycopg" not in loaded.split()
