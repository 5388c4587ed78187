"""One embedded server: made by initdb, run by pg_ctl, found by its postmaster.pid."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdb_cli.errors import ServerError
from agentdb_cli.postgres.embedded import postmaster
from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.layout import Layout, Notify, Owner
from agentdb_cli.postgres.embedded.postmaster import Postmaster

SUPERUSER = "postgres"
DEFAULT_PORT = 5432
"""Names the socket file; the server listens on TCP only when asked to."""

_START_SECONDS = 60
_LOCK_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory with the programs and the account to run it."""

    binaries: Binaries
    layout: Layout
    owner: Owner

    def postmaster(self) -> Postmaster | None:
        """The running server of this data directory, or None."""
        return postmaster.find(self.layout)

    def start(self, notify: Notify, port: int | None = None) -> Postmaster:
        """Make the data directory if need be and start the server, unless it runs.

        Args:
            notify: told of each step that takes time.
            port: listen on 127.0.0.1 at this port as well.

        Raises:
            ServerError: any step failed; the message holds PostgreSQL's own.
        """
        self.layout.create(self.owner)
        with self._locked() as lock:
            running = self.postmaster()
            if running is not None:
                return self._wait_until_ready()
            cluster = self._with_reachable_binaries(notify)
            if not (self.layout.data / "PG_VERSION").exists():
                notify(f"creating a PostgreSQL {self.binaries.major} server in {self.layout.data}")
                cluster._initdb(lock)
            postmaster.defuse_stale_lock_files(self.layout)
            self._write_configuration(port)
            notify(f"starting the embedded PostgreSQL {self.binaries.major}")
            cluster._pg_ctl_start()
            return self._wait_until_ready()

    def stop(self) -> bool:
        """Stop the server in "fast" mode: sessions end, no committed row is lost.

        Returns:
            False if it was not running.

        Raises:
            ServerError: it did not stop within a minute.
        """
        if not self.layout.base.is_dir() or self.postmaster() is None:
            return False
        with self._locked():
            if self.postmaster() is None:
                return False
            done = self._with_reachable_binaries(lambda _: None)._run(
                ["pg_ctl", "stop", "-D", str(self.layout.data), "-m", "fast", "-w", "-t", "60"]
            )
            if done.returncode != 0:
                raise ServerError(f"the server did not stop: {_reason(done.stdout)}")
        return True

    def keywords(self, server: Postmaster, database: str) -> dict[str, str]:
        """The libpq keywords that reach `database` over the Unix socket."""
        return {
            "host": str(server.socket_directory),
            "port": str(server.port),
            "user": SUPERUSER,
            "dbname": database,
        }

    def newest_log(self) -> Path | None:
        """The log file that was written last, or None if there is none."""
        return next(reversed(self._logs()), None)

    # --- Steps of start -------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock of this server; yields the lock's file descriptor."""
        try:
            descriptor = os.open(self.layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServerError(f"cannot open {self.layout.lock}: {error.strerror}") from error
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServerError(
                            f"another agentdb has been starting the server for {_LOCK_SECONDS} s",
                            hint=f"see {self.layout.startup_log}; the lock is {self.layout.lock}",
                        ) from None
                    time.sleep(0.05)
            yield descriptor
        finally:
            os.close(descriptor)

    def _with_reachable_binaries(self, notify: Notify) -> Cluster:
        """This cluster, with a copy of the programs if its owner cannot run the originals.

        Happens when root installed agentdb below a directory that only root
        may enter, such as /root.
        """
        if self.owner.is_us or self._can_run(self.binaries):
            return self
        identity = f"{self.binaries.root.stat().st_mtime_ns:x}"
        copy = self.layout.base / f"postgresql-{self.binaries.major}-{identity}"
        if not copy.exists():
            notify(
                f"copying PostgreSQL's programs to {copy}: '{self.owner.name}' cannot reach them"
            )
            partial = copy.with_name(f"{copy.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                self.binaries.copy_to(partial)
                partial.rename(copy)
            except (OSError, shutil.Error) as error:
                shutil.rmtree(partial, ignore_errors=True)
                raise ServerError(
                    f"cannot copy PostgreSQL's programs to {copy}: {error}"
                ) from error
        return replace(self, binaries=self.binaries.moved_to(copy))

    def _can_run(self, binaries: Binaries) -> bool:
        try:
            return replace(self, binaries=binaries)._run(["postgres", "--version"]).returncode == 0
        except OSError:
            return False

    def _initdb(self, lock: int) -> None:
        """Make the data directory under another name, then rename it: all or nothing.

        initdb inherits the lock, so that it stays held if this process is
        killed and initdb goes on.
        """
        for leftover in self.layout.base.glob("*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = self.layout.data.with_name(f"{self.layout.data.name}.partial")
        # C.UTF-8 of the built-in provider sorts alike on every system and
        # after every upgrade of it, so no index is ever silently out of order.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = self._run(
            ["initdb", "-D", str(partial), "-U", SUPERUSER, "-E", "UTF8", "--locale=C"]
            + (builtin if self.binaries.major >= 17 else [])
            + ["--auth=trust"],  # replaced below, before the first start
            pass_fds=(lock,),
        )
        if done.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            raise ServerError(
                f"initdb failed: {_reason(done.stdout)}",
                hint="if the disk is full, free space or choose another directory: data_dir in "
                "[server] of agentdb.toml, or XDG_DATA_HOME",
            )
        any_role = "all" if self.binaries.major >= 16 else SUPERUSER
        allowed = {self.owner.name, "root"} if not self.owner.is_us else {self.owner.name}
        mapping = "".join(f'agentdb "{name}" {any_role}\n' for name in sorted(allowed))
        (partial / "pg_ident.conf").write_text(mapping)
        (partial / "pg_hba.conf").write_text(
            "# The socket lets in the owner of the server alone; TCP, if on, asks for a password.\n"
            "local all         all peer map=agentdb\n"
            "local replication all peer map=agentdb\n"
            "host  all         all 127.0.0.1/32 scram-sha-256\n"
        )
        with (partial / "postgresql.conf").open("a") as stream:
            stream.write("\ninclude_if_exists = 'agentdb.conf'  # rewritten at each start\n")
        partial.rename(self.layout.data)

    def _write_configuration(self, port: int | None) -> None:
        """What depends on where the data lies now; it may have been moved."""
        socket = str(self.layout.socket_directory()).replace("'", "''").replace('"', '""')
        lines = [
            f"listen_addresses = '{'127.0.0.1' if port else ''}'",
            f"port = {port or DEFAULT_PORT}",
            f"unix_socket_directories = '\"{socket}\"'",
            "unix_socket_permissions = 0700",
            "logging_collector = on",
            "log_filename = 'postgresql-%a.log'",  # a week of logs, then overwritten
            "log_truncate_on_rotation = on",
            "log_rotation_age = 1d",
            "log_rotation_size = 0",
        ]
        path = self.layout.data / "agentdb.conf"
        path.write_text("\n".join(lines) + "\n")
        if not self.owner.is_us:
            os.chown(path, self.owner.uid, self.owner.gid)

    def _pg_ctl_start(self) -> None:
        command = ["pg_ctl", "start", "-D", str(self.layout.data)]
        command += ["-l", str(self.layout.startup_log), "-w", "-t", str(_START_SECONDS)]
        # An orphaned backend of a killed server holds its shared memory for a
        # moment; PostgreSQL then refuses to start, and a second try succeeds.
        for _ in range(20):
            self.layout.startup_log.unlink(missing_ok=True)
            before = {path: path.stat().st_size for path in self._logs()}
            done = self._run(command)
            if done.returncode == 0:
                return
            said = "".join(_tail(path, before.get(path, 0)) for path in self._logs())
            said = said or done.stdout
            if "pre-existing shared memory block" not in said:
                break
            time.sleep(0.25)
        raise ServerError(
            f"the embedded server did not start: {_reason(said)}",
            hint=f"the whole log is {self.newest_log() or self.layout.startup_log}",
        )

    def _logs(self) -> list[Path]:
        """All logs, the one that is written last at the end."""
        logs = [self.layout.startup_log, *(self.layout.data / "log").glob("*.log")]
        return sorted((p for p in logs if p.exists()), key=lambda path: path.stat().st_mtime)

    def _wait_until_ready(self) -> Postmaster:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            server = self.postmaster()
            if server is not None and server.ready:
                return server
            time.sleep(0.02)
        raise ServerError(
            f"the embedded server is not ready after {_START_SECONDS} s",
            hint=f"it may be recovering after a crash: see {self.layout.data / 'log'}",
        )

    def _run(
        self, command: Sequence[str], pass_fds: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs as the owner; stderr goes to stdout.

        The environment is a new one: PGPORT, PGDATA or a password of ours must
        not reach a server that outlives us.
        """
        account: dict[str, Any] = {}
        if not self.owner.is_us:
            account = {"user": self.owner.uid, "group": self.owner.gid, "extra_groups": []}
        return subprocess.run(
            [self.binaries.program(command[0]), *command[1:]],
            env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.layout.base)},
            cwd=self.layout.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o077,
            check=False,
            pass_fds=pass_fds,
            **account,
        )


def _tail(path: Path, offset: int) -> str:
    """What a file holds from a byte offset on."""
    with path.open(errors="replace") as stream:
        stream.seek(offset)
        return stream.read()


def _reason(text: str) -> str:
    """The line of a log that says why: the first error, or else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [
        found[1] for line in lines if (found := re.search(r"(?:FATAL|PANIC|error):\s+(.*)", line))
    ]
    return (errors or lines[-1:] or ["no message"])[0]
