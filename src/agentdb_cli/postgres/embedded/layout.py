"""Where the embedded server keeps its files, and which system account owns them.

    <base>/18/          the data directory, one a major version
    <base>/run/         the Unix socket, when its path is short enough
    <base>/lock         held while the server is prepared, started or stopped
    <base>/startup.log  what PostgreSQL said before its own log was open
    <base>/pgpass       the password for TCP, if that was asked for
    <base>/postgresql-* a copy of the programs, if root's own are out of reach

Everything below `base` is made by agentdb; nothing outside is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.errors import ServerError

SERVICE_ACCOUNT = "agentdb"
SYSTEM_DIRECTORY = Path("/var/lib/agentdb")

# sun_path holds 104 bytes on macOS and 108 on Linux, its closing NUL included.
_SOCKET_PATH_LIMIT = 103

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Owner:
    """The system account that the server runs as.

    PostgreSQL refuses to run as root, so root's server runs as an account of
    its own; everybody else's runs as themselves.
    """

    name: str
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        """Whether this process runs as that account."""
        return self.uid == os.geteuid()


def find_owner() -> Owner | None:
    """The account that owns the server, or None if root's has not been made yet.

    Raises:
        ServerError: this process's user id has no account.
    """
    uid = os.geteuid()
    try:
        entry = pwd.getpwnam(SERVICE_ACCOUNT) if uid == 0 else pwd.getpwuid(uid)
    except KeyError:
        if uid == 0:
            return None
        raise ServerError(
            f"user id {uid} has no account on this system, and PostgreSQL wants one",
            hint="add one to /etc/passwd, or name a server of your own with --url",
        ) from None
    return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)


def ensure_owner(notify: Notify) -> Owner:
    """The account that owns the server; root's is made if need be.

    Raises:
        ServerError: the account is missing and cannot be made.
    """
    owner = find_owner()
    if owner is not None:
        return owner
    notify(f"creating the system account '{SERVICE_ACCOUNT}': PostgreSQL refuses to run as root")
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    hint = f"create a system account '{SERVICE_ACCOUNT}', or run agentdb as an ordinary user"
    if useradd is None:
        raise ServerError(f"no account '{SERVICE_ACCOUNT}', and no useradd to make it", hint=hint)
    command = [useradd, "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", str(SYSTEM_DIRECTORY), "--shell", "/usr/sbin/nologin"]
    made = subprocess.run(
        [*command, SERVICE_ACCOUNT], capture_output=True, text=True, check=False, timeout=60
    )
    owner = find_owner()  # another run may have made it at the same moment
    if owner is None:
        raise ServerError(f"useradd {SERVICE_ACCOUNT} failed: {made.stderr.strip()}", hint=hint)
    return owner


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one embedded server."""

    base: Path
    major: int

    @classmethod
    def of(cls, data_dir: Path | None, major: int) -> Layout:
        """The layout below `data_dir`, or below the user's default directory.

        Raises:
            ServerError: the user has no home directory.
        """
        return cls((data_dir or _default_base()).absolute(), major)

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.base / str(self.major)

    @property
    def lock(self) -> Path:
        """The lock file of `prepare`, `start` and `stop`."""
        return self.base / "lock"

    @property
    def startup_log(self) -> Path:
        """What PostgreSQL and initdb say before the log collector runs."""
        return self.base / "startup.log"

    @property
    def passfile(self) -> Path:
        """The .pgpass-style file with the password for TCP connections."""
        return self.base / "pgpass"

    def socket_directory(self) -> Path:
        """Where the Unix socket goes: below base, or a short path if that is too long."""
        beside = self.base / "run"
        if len(os.fsencode(beside / ".s.PGSQL.65535")) <= _SOCKET_PATH_LIMIT:
            return beside
        digest = hashlib.sha256(os.fsencode(self.base)).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(runtime) / f"agentdb-{os.geteuid()}-{digest}"

    def create(self, owner: Owner) -> None:
        """Make the directories, closed to everybody but the owner.

        Raises:
            ServerError: a directory cannot be made, or is somebody else's.
        """
        for directory in (self.base, self.socket_directory()):
            self._make(directory, owner)
        self._check_reachable(owner)

    def _make(self, directory: Path, owner: Owner) -> None:
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                pass
            else:
                if not owner.is_us:
                    os.chown(directory, owner.uid, owner.gid)
            found = directory.lstat()
        except OSError as error:
            raise ServerError(
                f"cannot create {directory} for the embedded server: {error.strerror}",
                hint="free or remount the disk, or choose another directory: "
                "data_dir in [server] of agentdb.toml, or XDG_DATA_HOME",
            ) from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner.uid:
            raise ServerError(
                f"{directory} is not a directory of '{owner.name}'",
                hint="move it away, or choose another one with data_dir in [server]",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ServerError(
                f"{directory} is open to other accounts (mode {stat.S_IMODE(found.st_mode):04o})",
                hint=f"chmod 700 {directory}, or choose another data_dir in [server]",
            )

    def _check_reachable(self, owner: Owner) -> None:
        """Whether the service account gets through the parents, which stay as they are."""
        if owner.is_us:
            return
        test = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1"', "sh", str(self.base)],
            user=owner.uid,
            group=owner.gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
        if test.returncode != 0:
            raise ServerError(
                f"the account '{owner.name}' cannot reach {self.base}: a parent is closed to it",
                hint=f"choose a data_dir below {SYSTEM_DIRECTORY.parent}; "
                "agentdb does not change permissions of your directories",
            )


def _default_base() -> Path:
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY
    data_home = os.environ.get("XDG_DATA_HOME")
    if data_home and Path(data_home).is_absolute():  # the XDG rule: ignore relative ones
        return Path(data_home) / "agentdb"
    try:
        return Path.home() / ".local" / "share" / "agentdb"
    except RuntimeError:
        raise ServerError(
            "no home directory for the embedded server's data",
            hint="set HOME or XDG_DATA_HOME, or data_dir in [server] of agentdb.toml",
        ) from None
