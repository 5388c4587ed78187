"""Where the passwords of `agentdb setup` come from, and where they are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.provisioning.model import Wanted

VARIABLES = {
    "owner": "AGENTDB_OWNER_PASSWORD",
    "app": "AGENTDB_APP_PASSWORD",
    "readonly": "AGENTDB_READONLY_PASSWORD",
}


class Passwords:
    """The passwords of one run.

    Args:
        file: a .pgpass file to read them from and write them to, or None for our own.
        pgpass: use ~/.pgpass (or PGPASSFILE).
        rotate: new ones for all roles.
        ask: ask for them at a terminal.
    """

    def __init__(
        self, run: Invocation, file: Path | None, *, pgpass: bool, rotate: bool, ask: bool
    ) -> None:
        self.run = run
        self.rotate = rotate
        self.ask = ask and sys.stdin.isatty()
        self.everything = pgpass or file is not None
        self.file = _pgpass() if pgpass else file

    def verifiers(self, connection: Connection, wanted: Wanted) -> dict[str, str]:
        """SCRAM verifiers for the roles that get a password, by role name.

        What no human chose is in the file before the server knows of it, so that an interrupted
        run loses none.

        Raises:
            SettingsError: a password is unfit, or there is nowhere to write one.
            AgentdbError: the file cannot be written.
        """
        from agentdb_cli.provisioning import passwords, roles

        existing = roles.read(connection, wanted)
        kinds = roles.without_password(connection, wanted, existing, rotate=self.rotate)
        found, entries = {}, []
        for kind in kinds:
            name = wanted.roles[kind]
            chosen = self._chosen(kind, name)
            entry = passwords.entry(connection, wanted.database, name)
            kept = None if self.rotate or chosen else passwords.find(self._path(), entry)
            password = chosen or kept or passwords.generate()
            if password != kept and (self.everything or chosen is None):
                entries.append(passwords.entry(connection, wanted.database, name, password))
            found[name] = passwords.verifier(connection, name, password)
        if entries:
            passwords.save(self._path(), entries)
            names = ", ".join(entry.role for entry in entries)
            self.run.output.notice(
                f"passwords of {names}: in {self._path()} (mode 600; PGPASSFILE may name it)"
            )
        return found

    def tell_unused(self, connection: Connection, wanted: Wanted) -> None:
        """Say which passwords of the environment are not used, as the roles have one."""
        from agentdb_cli.provisioning import roles

        existing = roles.read(connection, wanted)
        kinds = roles.without_password(connection, wanted, existing, rotate=self.rotate)
        for kind in wanted.roles:
            if kind not in kinds and os.environ.get(VARIABLES[kind]):
                self.run.output.notice(
                    f"{wanted.roles[kind]} has a password, {VARIABLES[kind]} was not used: "
                    "--rotate sets it"
                )

    def _chosen(self, kind: str, name: str) -> str | None:
        """What the environment or whoever sits at the terminal says; None for neither."""
        from agentdb_cli.provisioning.passwords import checked

        if value := os.environ.get(VARIABLES[kind]):
            return checked(value, VARIABLES[kind])
        if not self.ask:
            return None
        from getpass import getpass

        typed = getpass(f"Password for {name} (nothing: from the file, or a new one): ")
        if not typed:
            return None
        if getpass("Again: ") != typed:
            raise SettingsError("the two passwords differ")
        return checked(typed, "the password")

    def _path(self) -> Path:
        if self.file is not None:
            return self.file
        directory = self.run.settings.state_directory
        if directory is None:
            raise SettingsError(
                "without a home directory there is no place for passwords",
                hint="--password-file FILE names one",
            )
        return directory / "pgpass"


def _pgpass() -> Path:
    named = os.environ.get("PGPASSFILE")
    try:
        return Path(named) if named else Path.home() / ".pgpass"
    except RuntimeError:
        raise SettingsError("there is no home directory", hint="--password-file FILE") from None
