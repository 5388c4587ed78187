"""agentdb server: the embedded PostgreSQL, and all that can happen to it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import tomli_w
from conftest import IN_CI, Result

from agentdb_cli.postgres.embedded import binaries, find
from agentdb_cli.settings import Server

AS_ROOT = os.geteuid() == 0
AGENTDB = [sys.executable, "-m", "agentdb_cli"]
NOBODY = 65534


@pytest.fixture
def home(clean_environment: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reachable directory for one embedded server, named in ./agentdb.toml."""
    base = Path(tempfile.mkdtemp(prefix="agentdb-"))
    base.chmod(0o755)
    _name_in_toml(base / "server")
    yield base
    for directory in base.iterdir():
        if (directory / "18").exists():
            cluster = find(Server(data_dir=directory))
            assert cluster is not None
            cluster.stop()
    shutil.rmtree(base)


def _name_in_toml(data_dir: Path) -> None:
    Path("agentdb.toml").write_text(tomli_w.dumps({"server": {"data_dir": str(data_dir)}}))


def _postmaster(home: Path) -> int:
    return int((home / "server" / "18" / "postmaster.pid").read_text().splitlines()[0])


def _select_1(home: Path, name: str = "server") -> object:
    url = f"postgresql://postgres@/postgres?host={home / name / 'run'}"
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1").fetchone()


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and "Z" not in _process_state(pid):
        time.sleep(0.01)


def _process_state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class TestLifeCycle:
    def test_start_status_url_stop(self, cli: Callable[..., Result], home: Path) -> None:
        before = cli("server", "status")
        assert before.code == 1
        assert before.out.split()[:2] == ["status", "stopped"]

        started = cli("server", "start")
        assert started.code == 0
        assert started.err.splitlines()[-2:] == [
            f"creating a PostgreSQL 18 server in {home}/server/18",
            "starting the embedded PostgreSQL 18",
        ]
        again = cli("server", "start", "--format", "json")
        assert (again.code, again.err) == (0, "")
        assert json.loads(again.out)["pid"] == _postmaster(home)

        assert cli("server", "status").code == 0
        url = cli("server", "url").out.strip()
        assert url == f"postgresql://postgres@/agentdb?host={home}/server/run"
        assert _select_1(home) == (1,)

        assert cli("server", "stop").out == f"stopped {home}/server/18\n"
        assert cli("server", "stop").out == "not running\n"
        assert cli("server", "status").code == 1

    def test_dry_run_changes_nothing(self, cli: Callable[..., Result], home: Path) -> None:
        assert cli("server", "start", "--dry-run").out == f"would start: {home}/server/18\n"
        assert not (home / "server").exists()
        cli("server", "start")
        out = cli("server", "stop", "--dry-run").out
        assert out == f"would stop pid {_postmaster(home)} of {home}/server/18\n"
        assert _select_1(home) == (1,)

    def test_url_and_logs_of_a_server_that_never_ran(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        assert cli("server", "url") == Result(
            1, "", "error: the embedded server is not running\nhint: agentdb server start\n"
        )
        assert cli("server", "logs") == Result(
            1,
            "",
            "error: the embedded server has no log yet\nhint: agentdb server start starts it\n",
        )

    def test_logs_show_the_last_lines(self, cli: Callable[..., Result], home: Path) -> None:
        cli("server", "start")
        with psycopg.connect(
            cli("server", "url").out.strip().replace("/agentdb?", "/postgres?")
        ) as c:
            c.execute("DO $$ BEGIN RAISE LOG 'a line for the log'; END $$")
        logs = cli("server", "logs", "-n", "3")
        assert "LOG:  a line for the log" in logs.out
        assert len(logs.out.splitlines()) == 3

    def test_psql_creates_the_database_and_passes_options_on(self, home: Path) -> None:
        done = subprocess.run(
            [*AGENTDB, "server", "psql", "--", "-Atc", "SELECT current_database(), current_user"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "agentdb|postgres\n"


class TestClosedToOthers:
    def test_no_tcp_port_unless_asked(self, cli: Callable[..., Result], home: Path) -> None:
        cli("server", "start")
        with psycopg.connect(f"postgresql://postgres@/postgres?host={home}/server/run") as c:
            assert c.execute("SHOW listen_addresses").fetchone() == ("",)

    def test_directories_and_socket_are_closed(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        for name in ("server", "server/18", "server/run"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "server/run/.s.PGSQL.5432").stat().st_mode) == 0o700

    @pytest.mark.skipif(not AS_ROOT, reason="needs root to become somebody else")
    def test_another_account_gets_no_connection(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        tried = subprocess.run(
            ["/usr/bin/psql", "-h", f"{home}/server/run", "-U", "postgres", "-c", "SELECT 1"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert tried.returncode != 0
        assert "Permission denied" in tried.stderr

    @pytest.mark.skipif(not AS_ROOT, reason="needs root to become somebody else")
    def test_even_with_the_socket_open_others_are_refused_by_the_server(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        for path in (home / "server", home / "server/run", home / "server/run/.s.PGSQL.5432"):
            path.chmod(0o777)
        tried = subprocess.run(
            ["/usr/bin/psql", "-h", f"{home}/server/run", "-U", "postgres", "-c", "SELECT 1"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        for path in (home / "server", home / "server/run"):
            path.chmod(0o700)
        assert 'Peer authentication failed for user "postgres"' in tried.stderr

    @pytest.mark.skipif(not AS_ROOT, reason="about root's server")
    def test_roots_server_runs_as_a_system_account(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        before = {path: path.stat().st_mode for path in (home, *home.parents, Path("/root"))}
        cli("server", "start")
        account = pwd.getpwnam("agentdb")
        assert Path(f"/proc/{_postmaster(home)}").stat().st_uid == account.pw_uid != 0
        assert {path: path.stat().st_mode for path in before} == before

    @pytest.mark.skipif(not AS_ROOT, reason="about root's server")
    def test_a_closed_parent_is_reported_and_not_opened(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        closed = home / "closed"
        closed.mkdir(mode=0o700)
        _name_in_toml(closed / "server")
        result = cli("server", "start")
        assert (result.code, result.out) == (1, "")
        assert result.err.splitlines()[-2:] == [
            f"error: the account 'agentdb' cannot reach {closed}/server: a parent is closed to it",
            "hint: choose a data_dir below /var/lib; "
            "agentdb does not change permissions of your directories",
        ]
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    @pytest.mark.skipif(not AS_ROOT, reason="about root's server")
    def test_programs_below_a_closed_directory_are_copied_not_opened(
        self, cli: Callable[..., Result], home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = binaries.embedded()
        closed = home / "closed"
        closed.mkdir(mode=0o700)
        original.copy_to(closed)
        monkeypatch.setattr(binaries, "embedded", lambda: original.moved_to(closed))
        started = cli("server", "start")
        assert started.code == 0, started.err
        assert "copying PostgreSQL's programs to " in started.err
        assert _select_1(home) == (1,)
        with psycopg.connect(f"postgresql://postgres@/postgres?host={home}/server/run") as c:
            c.execute("CREATE EXTENSION vector")  # its library is found as well
        cli("server", "stop")
        assert "copying" not in cli("server", "start").err
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700

    def test_a_tcp_port_asks_for_the_password_in_the_passfile(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        started = cli("server", "start", "--port", port, "--format", "json")
        assert started.code == 0
        url = json.loads(started.out)["url"]
        passfile = home / "server" / "pgpass"
        assert url == f"postgresql://postgres@127.0.0.1:{port}/agentdb?passfile={passfile}"
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/agentdb")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{port}/agentdb")
        password = passfile.read_text().strip().rpartition(":")[2]
        assert password not in started.out + started.err
        assert not [p for p in (home / "server").rglob("*.log") if password in p.read_text()]

        other = cli("server", "start", "--port", port + 1)
        assert other.err == (
            f"error: the server runs already, without TCP port {port + 1}\n"
            "hint: agentdb server stop, then start it again with --port\n"
        )


class TestAccidents:
    def test_ten_starts_at_once_make_one_server(self, home: Path) -> None:
        starts = [
            subprocess.Popen([*AGENTDB, "server", "start", "-f", "json"], stdout=subprocess.PIPE)
            for _ in range(10)
        ]
        pids = {json.loads(start.communicate(timeout=60)[0])["pid"] for start in starts}
        assert [start.returncode for start in starts] == [0] * 10
        assert pids == {_postmaster(home)}

    @pytest.mark.parametrize("after", [0.15, 0.3, 0.45, 0.6, 0.8, 1.0])
    def test_a_killed_client_leaves_nothing_in_the_way(
        self, cli: Callable[..., Result], home: Path, after: float
    ) -> None:
        client = subprocess.Popen([*AGENTDB, "server", "start"], stderr=subprocess.DEVNULL)
        time.sleep(after)
        client.kill()
        client.wait()
        assert cli("server", "start").code == 0
        assert _select_1(home) == (1,)
        assert not list((home / "server").glob("*.partial"))

    def test_a_killed_server_starts_again(self, cli: Callable[..., Result], home: Path) -> None:
        cli("server", "start")
        _kill(_postmaster(home))
        assert cli("server", "status").code == 1
        assert cli("server", "start").code == 0
        assert _select_1(home) == (1,)

    def test_a_stale_pid_file_whose_pid_is_another_program_now(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        _kill(_postmaster(home))
        path = home / "server" / "18" / "postmaster.pid"
        owner = path.stat()
        with subprocess.Popen(
            ["sleep", "60"],
            user=owner.st_uid if AS_ROOT else None,
            extra_groups=[] if AS_ROOT else None,
        ) as other:
            path.write_text("\n".join([str(other.pid), *path.read_text().splitlines()[1:]]) + "\n")
            try:
                assert cli("server", "status").code == 1
                assert cli("server", "stop").out == "not running\n"
                assert cli("server", "start").code == 0
                assert other.poll() is None, "the other program must be left alone"
            finally:
                other.kill()
        assert _select_1(home) == (1,)

    def test_a_moved_data_directory(self, cli: Callable[..., Result], home: Path) -> None:
        cli("server", "start")
        cli("server", "stop")
        (home / "server").rename(home / "moved")
        _name_in_toml(home / "moved")
        assert cli("server", "start").code == 0
        assert _select_1(home, "moved") == (1,)

    def test_a_data_directory_moved_under_a_running_server(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        pid = _postmaster(home)
        (home / "server").rename(home / "moved")
        _name_in_toml(home / "moved")
        state = json.loads(cli("server", "status", "-f", "json").out)
        assert (state["status"], state["pid"]) == ("running", pid)
        assert state["url"] == f"postgresql://postgres@/agentdb?host={home}/moved/run"
        assert _select_1(home, "moved") == (1,)

    def test_a_directory_too_deep_for_a_socket(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        deep = home / ("d" * 100)
        _name_in_toml(deep)
        url = json.loads(cli("server", "start", "-f", "json").out)["url"]
        assert len(url) < 100
        with psycopg.connect(url.replace("/agentdb?", "/postgres?")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        cli("server", "stop")
        shutil.rmtree(url.partition("host=")[2])

    def test_a_directory_that_others_may_enter_is_refused(
        self, cli: Callable[..., Result], home: Path
    ) -> None:
        cli("server", "start")
        cli("server", "stop")
        (home / "server").chmod(0o755)
        assert cli("server", "start") == Result(
            1,
            "",
            f"error: {home}/server is open to other accounts (mode 0755)\n"
            f"hint: chmod 700 {home}/server, or choose another data_dir in [server]\n",
        )
        (home / "server").chmod(0o700)


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    if not AS_ROOT:
        pytest.skip("needs root to mount a file system")
    disk = home / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        if IN_CI:
            pytest.fail("CI must be able to mount a tmpfs")
        pytest.skip("this machine lets nobody mount a file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


class TestDisks:
    def test_a_full_disk(self, cli: Callable[..., Result], small_disk: Path) -> None:
        _name_in_toml(small_disk / "server")
        result = cli("server", "start")
        assert (result.code, result.out) == (1, "")
        error, hint = result.err.splitlines()[-2:]
        assert error.startswith("error: initdb failed: ")
        assert error.endswith("No space left on device")
        assert hint == (
            "hint: if the disk is full, free space or choose another directory: data_dir in "
            "[server] of agentdb.toml, or XDG_DATA_HOME"
        )
        assert not (small_disk / "server" / "18").exists()
        assert not list((small_disk / "server").glob("*.partial"))
        subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
        assert cli("server", "start").code == 0
        assert cli("server", "stop").code == 0

    def test_a_read_only_disk(self, cli: Callable[..., Result], small_disk: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        _name_in_toml(small_disk / "server")
        assert cli("server", "start") == Result(
            1,
            "",
            f"error: cannot create {small_disk}/server for the embedded server: "
            "Read-only file system\n"
            "hint: free or remount the disk, or choose another directory: "
            "data_dir in [server] of agentdb.toml, or XDG_DATA_HOME\n",
        )

    def test_a_disk_that_became_read_only(
        self, cli: Callable[..., Result], small_disk: Path
    ) -> None:
        subprocess.run(["mount", "-o", "remount,size=400m", small_disk], check=True)
        _name_in_toml(small_disk / "server")
        cli("server", "start")
        cli("server", "stop")
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        result = cli("server", "start")
        assert result.code == 1
        assert result.err.splitlines()[0] == (
            f"error: cannot open {small_disk}/server/lock: Read-only file system"
        )


class TestNeverByAccident:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere"),
            ("PGHOST", "127.0.0.1"),
            ("POSTGRESQL_HOST", "127.0.0.1"),
        ],
    )
    def test_a_named_database_that_is_down_is_an_error(
        self,
        cli: Callable[..., Result],
        home: Path,
        clean_environment: pytest.MonkeyPatch,
        name: str,
        value: str,
    ) -> None:
        clean_environment.setenv("PGPORT", "1")
        clean_environment.setenv("POSTGRESQL_PORT", "1")
        clean_environment.setenv(name, value)
        result = cli("migrate")
        assert result.code == 1
        assert "connection refused" in result.err
        assert not (home / "server").exists()
