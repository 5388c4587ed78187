"""agentdb setup: what it makes, that it is repeatable, and what its roles may not do."""

from __future__ import annotations

import json
import os
import pty
import secrets
import select
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import clusters
import psycopg
import pytest
from conftest import Database, Result, free_port
from psycopg import sql

from agentdb_cli import packs
from agentdb_cli.postgres import advisory
from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.quoting import identifier
from agentdb_cli.provisioning import setup as provisioning
from waiting import eventually

Cli = Callable[..., Result]


@dataclass(frozen=True)
class Names:
    """The names of one setup, which no other test has."""

    database: str
    owner: str
    app: str
    readonly: str

    @property
    def options(self) -> tuple[str, ...]:
        return (
            *("--database", self.database, "--owner", self.owner),
            *("--app-user", self.app, "--readonly-user", self.readonly),
        )


def names(suffix: str = "") -> Names:
    mark = secrets.token_hex(4) + suffix
    return Names(f"db_{mark}", f"owner_{mark}", f"app_{mark}", f"reader_{mark}")


def drop(database: Database, made: Names, *roles: str) -> None:
    """Remove a setup: roles belong to the whole server, which other tests use."""
    database.execute(f"DROP DATABASE IF EXISTS {identifier(made.database)} WITH (FORCE)")
    for role in (made.app, made.readonly, *roles, made.owner):
        if database.execute("SELECT FROM pg_roles WHERE rolname = %s", role):
            database.execute(f"DROP OWNED BY {identifier(role)}")
    for role in (made.app, made.readonly, made.owner, *roles):
        database.execute(f"DROP ROLE IF EXISTS {identifier(role)}")


@pytest.fixture(scope="module")
def listening(binaries: Binaries) -> Iterator[tuple[Database, int, Path]]:
    """A server that logs every statement and keeps passwords as md5.

    Its socket lets in every role; over TCP it asks for a password.
    """
    cluster, port = clusters.make(binaries, "setup"), free_port()
    keywords = cluster.keywords(cluster.start(lambda _: None, port), "postgres")
    url = "postgresql://{user}@/{dbname}?host={host}&port={port}".format(**keywords)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            database = Database(connection, url, binaries.major)
            rules = cluster.layout.data / "pg_hba.conf"
            rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            database.execute("ALTER SYSTEM SET log_statement = 'all'")
            database.execute("ALTER SYSTEM SET password_encryption = 'md5'")
            database.execute("SELECT pg_reload_conf()")
            while database.value("SHOW log_statement") != "all":
                pass
            log = cluster.newest_log()
            assert log is not None
            yield database, port, log
    finally:
        cluster.stop()


@pytest.fixture
def database(listening: tuple[Database, int, Path]) -> Database:
    """That server, in place of the suite's: its roles may log in."""
    return listening[0]


@pytest.fixture
def made(database: Database) -> Iterator[Names]:
    found = names()
    yield found
    drop(database, found)


def run(cli: Cli, database: Database, made: Names, *options: str) -> Result:
    return cli("setup", "--admin-url", database.url, *made.options, "--yes", *options)


def login(database: Database, role: str, name: str) -> psycopg.Connection:
    info = database.connection.info
    return psycopg.connect(host=info.host, port=info.port, user=role, dbname=name, autocommit=True)


def state(database: Database, made: Names) -> list[tuple]:
    """All that a setup makes, as the catalogs have it."""
    roles = [made.owner, made.app, made.readonly]
    found = database.execute(
        "SELECT rolname::text, rolcanlogin::text, rolsuper::text, rolpassword ^@ 'SCRAM'"
        " FROM pg_authid WHERE rolname = ANY(%s) ORDER BY 1",
        roles,
    )
    found += database.execute(
        "SELECT datname::text, datacl::text, pg_get_userbyid(datdba)::text, encoding"
        " FROM pg_database WHERE datname = %s",
        made.database,
    )
    with login(database, "postgres", made.database) as inside:
        for query in (
            "SELECT nspname::text, array(SELECT unnest(nspacl)::text ORDER BY 1)"
            " FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1",
            "SELECT defaclobjtype::text, defaclacl::text FROM pg_default_acl ORDER BY 1",
            "SELECT extname::text FROM pg_extension ORDER BY 1",
            "SELECT oid::regprocedure::text, proacl::text FROM pg_proc"
            " WHERE proname ~ '^lo_' ORDER BY 1",
        ):
            found += inside.execute(query).fetchall()
    return found


def granted(database: Database, made: Names) -> list[tuple]:
    """What the roles of a setup may do in its database, and with what is in it."""
    with login(database, "postgres", made.database) as inside:
        return [
            *state(database, made),
            *inside.execute(
                "SELECT oid::regclass::text, array(SELECT unnest(relacl)::text ORDER BY 1)"
                " FROM pg_class WHERE relnamespace::regnamespace::text !~ '^(pg_|information)'"
                " ORDER BY 1"
            ),
        ]


def _again(database: Database, made: Names, template: str) -> None:
    """The database as its template is."""
    database.execute(f"DROP DATABASE IF EXISTS {made.database} WITH (FORCE)")
    database.execute(f"CREATE DATABASE {made.database} TEMPLATE {template} OWNER {made.owner}")


def _ended_after(steps: int) -> Callable[..., object]:
    """What stands in for the function that applies a plan: Ctrl-C once some steps are done."""
    genuine, left = provisioning.apply, steps

    def apply(connection: psycopg.Connection, plan: object, done: Callable) -> object:
        if left == 0:
            raise KeyboardInterrupt

        def report(step: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            done(step)

        return genuine(connection, plan, report)  # type: ignore[arg-type]

    return apply


class TestRuns:
    def test_the_second_run_changes_nothing_and_says_so(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        first = run(cli, database, made)
        assert first.code == 0, first.err
        assert first.out.endswith(f"{made.database}, server {_place(database)}\n")
        before = state(database, made)
        second = run(cli, database, made)
        assert (second.code, second.out) == (
            0,
            f"nothing to do: database {made.database}, server {_place(database)}\n",
        )
        assert state(database, made) == before
        assert json.loads(run(cli, database, made, "-f", "json").out) == []

    def test_a_dry_run_prints_what_a_run_does_and_changes_nothing(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        dry = run(cli, database, made, "--dry-run", "-f", "json")
        assert dry.code == 0, dry.err
        assert not database.execute("SELECT FROM pg_roles WHERE rolname = %s", made.owner)
        planned = json.loads(dry.out)
        assert f"CREATE ROLE {identifier(made.app)} LOGIN PASSWORD '***'" in [
            row["sql"] for row in planned
        ]
        assert json.loads(run(cli, database, made, "-f", "json").out) == planned

    def test_a_run_ended_after_any_step_is_completed(
        self,
        cli: Cli,
        listening: tuple[Database, int, Path],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        database, port, _ = listening
        path = tmp_path / "home/.local/state/agentdb/pgpass"
        whole = names()
        assert run(cli, database, whole).code == 0
        expected = str(state(database, whole)).replace(whole.database[3:], "…")
        steps = len(json.loads(run(cli, database, names(), "--dry-run", "-f", "json").out))
        drop(database, whole)
        for cut in range(steps + 1):
            found = names()
            with monkeypatch.context() as patch:
                patch.setattr(provisioning, "apply", _ended_after(cut))
                assert run(cli, database, found).code == 130
            result = run(cli, database, found)
            assert result.code == 0, result.err
            assert str(state(database, found)).replace(found.database[3:], "…") == expected, cut
            assert run(cli, database, found).out.startswith("nothing to do")
            for role, password in kept(path, found).items():
                over_tcp(port, role, found.database, password)
            drop(database, found)

    # One server is enough: the steps are the same.
    @pytest.mark.parametrize("binaries", ["18"], indirect=True)
    def test_narrowing_what_a_pack_says_ended_after_any_step_is_completed(
        self, cli: Cli, database: Database, made: Names, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run(cli, database, made).code == 0
        info = database.connection.info
        url = f"postgresql://{made.owner}@/{made.database}?host={info.host}&port={info.port}"
        assert cli("migrate", "-d", url, "-q").code == 0
        migrated = f"{made.database}_migrated"
        database.execute(f"ALTER DATABASE {made.database} RENAME TO {migrated}")
        try:
            _again(database, made, migrated)
            steps = len(json.loads(run(cli, database, made, "-f", "json").out))
            assert steps > 8
            expected = granted(database, made)
            for cut in range(1, steps):
                _again(database, made, migrated)
                with monkeypatch.context() as patch:
                    patch.setattr(provisioning, "apply", _ended_after(cut))
                    assert run(cli, database, made).code == 130
                assert run(cli, database, made).code == 0
                assert granted(database, made) == expected, cut
        finally:
            database.execute(f"DROP DATABASE {migrated} WITH (FORCE)")

    @pytest.mark.parametrize("after", ["create the owner", "create the database", "close the"])
    def test_a_run_that_was_killed_is_completed(
        self, cli: Cli, database: Database, made: Names, after: str
    ) -> None:
        command = ("setup", "--admin-url", database.url, *made.options, "--yes")
        with subprocess.Popen(
            [sys.executable, "-m", "agentdb_cli", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            assert any(line.startswith(f"done: {after}") for line in process.stderr)
            process.kill()
        # What the server had begun it ends, and only then gives the lock back.
        while (result := cli(*command)).err.startswith("error: another setup is at work: pid "):
            pass
        assert result.code == 0, result.err
        assert run(cli, database, made).out.startswith("nothing to do")

    def test_two_do_not_run_at_once(self, cli: Cli, database: Database, made: Names) -> None:
        with login(database, "postgres", "postgres") as other:
            assert advisory.try_lock(other, provisioning.LOCK)
            result = run(cli, database, made)
            assert (result.code, result.out) == (1, "")
            assert result.err.startswith("error: another setup is at work: pid ")
        assert not database.execute("SELECT FROM pg_roles WHERE rolname = %s", made.owner)

    def test_on_a_terminal_it_asks_for_consent_and_passwords(
        self, listening: tuple[Database, int, Path], made: Names, tmp_path: Path
    ) -> None:
        database, port, _ = listening
        parent, child = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "agentdb_cli", "setup", "--admin-url", database.url,
             *made.options],
            stdin=child, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(child)
            said = ""
            for prompt, answer in (
                ("go on? [y/N]:", "y"),
                (f"Password for {made.owner} (nothing: from the file, or a new one): ", ""),
                (f"Password for {made.app} (nothing: from the file, or a new one): ", "my own"),
                ("Again: ", "my own"),
                (f"Password for {made.readonly} (nothing: from the file, or a new one): ", ""),
            ):
                while not said.endswith(prompt):
                    ready, _, _ = select.select([process.stderr], [], [], 60)
                    if not ready:
                        process.kill()
                    more = os.read(process.stderr.fileno(), 4096).decode()  # type: ignore[union-attr]
                    assert more, said
                    said += more
                os.write(parent, f"{answer}\n".encode())
            out, _ = process.communicate(timeout=60)
        os.close(parent)
        assert process.returncode == 0
        assert b"my own" not in out
        over_tcp(port, made.app, made.database, "my own")
        path = tmp_path / "home/.local/state/agentdb/pgpass"
        assert set(kept(path, made)) == {made.owner, made.readonly}

    def test_an_extension_that_was_asked_for(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        result = run(cli, database, made, "--extension", "nonsense")
        assert result.code == 1
        assert result.err.endswith(
            "error: left to be done:\n  this server has no extension nonsense\n"
            "    install the package that holds it on the server\n"
        )

    def test_on_the_embedded_server(
        self, cli: Cli, database: Database, made: Names, tmp_path: Path
    ) -> None:
        if database.major != 18:
            return
        base = Path(database.connection.info.host).parent
        Path("agentdb.toml").write_text(f'[server]\ndata_dir = "{base}"\n')
        result = cli("setup", *made.options, "--yes", "-d", "embedded")
        assert result.code == 0, result.err
        assert database.execute("SELECT FROM pg_database WHERE datname = %s", made.database)

    def test_a_wrong_url_is_named(self, cli: Cli, made: Names) -> None:
        result = cli("setup", "--admin-url", "postgresql://u@127.0.0.1:1/d", *made.options)
        assert result.code == 1
        assert "cannot connect to postgresql://u@127.0.0.1:1/d (from --admin-url)" in result.err

    def test_names_with_quotes_and_uppercase(self, cli: Cli, database: Database) -> None:
        made = names(" \"X' \\y:")
        try:
            result = run(cli, database, made)
            assert result.code == 0, result.err
            assert run(cli, database, made).out.startswith("nothing to do")
            with login(database, made.owner, made.database) as owner:
                owner.execute('CREATE TABLE "A b" (id int)')
            with login(database, made.app, made.database) as app:
                app.execute('INSERT INTO "A b" VALUES (1)')
        finally:
            drop(database, made)

    def test_a_schema_of_its_own(self, cli: Cli, database: Database, made: Names) -> None:
        options = ("--pack", "openagent", "--schema", "Agents")
        assert run(cli, database, made, *options).code == 0
        assert run(cli, database, made, *options).out.startswith("nothing to do")
        with login(database, made.owner, made.database) as owner:
            owner.execute('CREATE TABLE "Agents".t (id int)')
        with login(database, made.app, made.database) as app:
            app.execute('INSERT INTO "Agents".t VALUES (1)')

    @pytest.mark.parametrize("pack", packs.names())
    def test_then_the_owner_can_migrate(
        self, cli: Cli, database: Database, made: Names, pack: str
    ) -> None:
        assert run(cli, database, made, "--pack", pack).code == 0
        info = database.connection.info
        url = f"postgresql://{made.owner}@/{made.database}?host={info.host}&port={info.port}"
        migrated = cli("migrate", "-d", url, "--pack", pack, "--skip-unavailable", "-q")
        assert migrated.code == 0, migrated.err
        again = run(cli, database, made, "--pack", pack)
        assert again.code == 0, again.err
        assert run(cli, database, made, "--pack", pack).out.startswith("nothing to do")
        with login(database, made.app, made.database) as app:
            assert app.execute("SELECT count(*) FROM agentdb_migrations").fetchone() != (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute("DELETE FROM agentdb_migrations")
            if pack == "agentdb":
                app.execute("SELECT FROM auth.audit_events")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute("DELETE FROM auth.audit_events")


def _place(database: Database) -> str:
    info = database.connection.info
    return f"postgresql://postgres@/{info.dbname}?host={info.host}&port={info.port}"


class TestRoles:
    def test_later_tables_are_covered(self, cli: Cli, database: Database, made: Names) -> None:
        assert run(cli, database, made).code == 0
        with login(database, made.owner, made.database) as owner:
            owner.execute("CREATE TABLE public.later (id bigserial, value text)")
            owner.execute("CREATE SCHEMA later")
            owner.execute("CREATE TABLE later.later (id bigserial, value text)")
        for table in ("public.later", "later.later"):
            with login(database, made.app, made.database) as app:
                app.execute(f"INSERT INTO {table} (value) VALUES ('a')")
                app.execute(f"UPDATE {table} SET value = 'b'")
                assert app.execute(f"SELECT value FROM {table}").fetchall() == [("b",)]
            with login(database, made.readonly, made.database) as reader:
                assert reader.execute(f"SELECT value FROM {table}").fetchall() == [("b",)]
                for statement in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        reader.execute(statement)
            with login(database, made.app, made.database) as app:
                app.execute(f"DELETE FROM {table}")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE TEMPORARY TABLE mine (id int)",
            "ALTER TABLE public.theirs ADD COLUMN more int",
            "DROP TABLE public.theirs",
            "TRUNCATE public.theirs",
            "SELECT FROM private.secret",
            "SELECT FROM pg_catalog.pg_authid",
            "COPY public.theirs FROM PROGRAM 'true'",
            "COPY public.theirs FROM '/etc/passwd'",
            "SELECT pg_catalog.pg_read_file('/etc/passwd')",
            "SELECT pg_catalog.lo_create(0)",
            "SELECT pg_catalog.lo_creat(-1)",
            "SELECT pg_catalog.lo_from_bytea(0, '')",
            "SELECT pg_catalog.lo_import('/etc/passwd')",
            "CREATE EXTENSION plperl",
            "CREATE ROLE mine",
            "CREATE DATABASE mine",
            "ALTER SYSTEM SET work_mem = '1MB'",
            "SET ROLE postgres",
        ],
    )
    def test_what_neither_user_may_do(
        self, cli: Cli, database: Database, made: Names, statement: str
    ) -> None:
        assert run(cli, database, made).code == 0
        with login(database, "postgres", made.database) as admin:
            admin.execute("CREATE TABLE public.theirs (id int)")
            admin.execute("CREATE SCHEMA private CREATE TABLE secret (id int)")
        for role in (made.app, made.readonly):
            with (
                login(database, role, made.database) as connection,
                pytest.raises(
                    (
                        psycopg.errors.InsufficientPrivilege,
                        psycopg.errors.UndefinedFile,
                        psycopg.errors.FeatureNotSupported,
                    )
                ) as refused,
            ):
                connection.execute(statement)
            if "plperl" not in statement:
                assert refused.type is psycopg.errors.InsufficientPrivilege

    def test_no_role_of_one_setup_reaches_the_database_of_another(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        other = names()
        try:
            assert run(cli, database, made).code == 0
            assert run(cli, database, other).code == 0
            for role in (made.owner, made.app, made.readonly):
                with pytest.raises(
                    psycopg.OperationalError, match="permission denied for database"
                ):
                    login(database, role, other.database)
        finally:
            drop(database, other)

    def test_a_reader_of_tables_that_were_there_before(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        first = Names(made.database, made.owner, made.app, f"{made.readonly}_first")
        assert run(cli, database, first).code == 0
        info = database.connection.info
        place = f"@/{made.database}?host={info.host}&port={info.port}"
        migrated = cli("migrate", "-d", f"postgresql://{made.owner}{place}", "--skip-unavailable")
        assert migrated.code == 0
        try:
            assert run(cli, database, made).code == 0
            assert run(cli, database, made).out.startswith("nothing to do")
            found = cli(
                *("health", "-d", f"postgresql://{made.readonly}{place}", "--only", "sequences")
            )
            assert found.code == 0, found.out
            with login(database, made.readonly, made.database) as reader:
                reader.execute("SELECT FROM schedule.actions_id_seq")
                for refused in ("SELECT nextval('schedule.actions_id_seq')", "TABLE auth.users"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        reader.execute(refused)
        finally:
            drop(database, made, first.readonly)

    @pytest.mark.parametrize("attribute", ["SUPERUSER", "CREATEROLE", "BYPASSRLS"])
    def test_a_mighty_role_is_refused(
        self, cli: Cli, database: Database, made: Names, attribute: str
    ) -> None:
        database.execute(f"CREATE ROLE {made.app} LOGIN {attribute}")
        result = run(cli, database, made)
        assert (result.code, result.out) == (1, "")
        assert result.err == (
            f"error: the application role '{made.app}' exists and is {attribute}: "
            "no grant could limit it\n"
            f'hint: name another role, or: ALTER ROLE "{made.app}" NO{attribute}\n'
        )

    def test_a_member_of_the_owner_is_refused(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        assert run(cli, database, made).code == 0
        database.execute(f"GRANT {made.owner} TO {made.app}")
        result = run(cli, database, made)
        assert result.code == 1
        assert f"is a member of {made.owner}: that reaches past what setup grants" in result.err

    def test_the_database_of_another_owner_is_refused(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        database.execute(f"CREATE DATABASE {made.database}")
        result = run(cli, database, made)
        assert result.code == 1
        assert f"'{made.database}' exists and belongs to 'postgres'" in result.err

    def test_one_name_for_two_roles_is_wrong_usage(self, cli: Cli, database: Database) -> None:
        result = run(cli, database, Names("d", "same", "same", "other"))
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: one role is named twice\n")


class TestManaged:
    def test_an_administrator_who_is_no_superuser(
        self, cli: Cli, database: Database, made: Names
    ) -> None:
        admin = f"admin_{made.database}"
        database.execute(f"CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB")
        url = database.url.replace("//postgres@", f"//{admin}@")
        try:
            options = ("setup", "--admin-url", url, *made.options, "--yes")
            result = cli(*options)
            if database.major == 18:
                assert result.code == 1
                assert result.err.endswith(
                    "error: left to be done:\n"
                    "  cannot create the extension vector: permission denied to create extension "
                    '"vector"\n'
                    f"    as a superuser, in the database {made.database}: "
                    'CREATE EXTENSION "vector" SCHEMA public; then run setup again\n'
                )
                with login(database, "postgres", made.database) as superuser:
                    superuser.execute("CREATE EXTENSION vector SCHEMA public")
            else:
                assert result.code == 0, result.err
                assert "warning: this server has no extension vector; Debian:" in result.err
            assert "warning: every role may make large objects here" in result.err
            second = cli(*options)
            assert (second.code, second.out[:13]) == (0, "nothing to do"), second.err
            with login(database, made.owner, made.database) as owner:
                owner.execute("CREATE TABLE later (id int)")
            with login(database, made.app, made.database) as app:
                app.execute("INSERT INTO later VALUES (1)")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute("CREATE TABLE mine (id int)")
        finally:
            drop(database, made, admin)

    def test_one_who_may_not_create_roles(self, cli: Cli, database: Database, made: Names) -> None:
        admin = f"admin_{made.database}"
        database.execute(f"CREATE ROLE {admin} LOGIN")
        try:
            url = database.url.replace("//postgres@", f"//{admin}@")
            result = cli("setup", "--admin-url", url, *made.options, "--yes")
            assert result.code == 1
            assert result.err.startswith(f"error: {admin} may not create roles, and ")
        finally:
            drop(database, made, admin)


def kept(path: Path, made: Names) -> dict[str, str]:
    """The passwords that a file has for a setup, by role."""
    found = {}
    for line in path.read_text().splitlines():
        _, _, database, role, password = line.split(":")
        if database == made.database:
            found[role] = password
    return found


def _processes() -> list[str]:
    """The command line of every process, as each account of the machine sees it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def over_tcp(port: int, role: str, name: str, password: str) -> None:
    psycopg.connect(host="127.0.0.1", port=port, user=role, dbname=name, password=password).close()


class TestPasswords:
    def test_no_process_shows_one_while_setup_runs(
        self,
        listening: tuple[Database, int, Path],
        made: Names,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        database, _, log = listening
        secret = f"chosen-{secrets.token_hex(8)}"
        monkeypatch.setenv("AGENTDB_APP_PASSWORD", secret)
        command = ("setup", "--admin-url", database.url, *made.options)
        with login(database, "postgres", "postgres") as other:
            other.execute("BEGIN")
            other.execute("LOCK TABLE pg_catalog.pg_authid IN SHARE MODE")
            with subprocess.Popen(
                [sys.executable, "-m", "agentdb_cli", *command, "--yes", "--lock-timeout", "2min"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process:
                eventually(
                    lambda: database.value(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE wait_event_type = 'Lock' AND query ^@ 'CREATE ROLE'"
                    ),
                    seconds=120,
                )
                shown = [
                    *_processes(),
                    *(str(row) for row in database.execute("SELECT query FROM pg_stat_activity")),
                ]
                other.execute("ROLLBACK")
                out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        found = kept(tmp_path / "home/.local/state/agentdb/pgpass", made)
        assert set(found) == {made.owner, made.readonly}
        assert [text for text in shown if made.database in text]  # setup itself is among them
        for password in (secret, *found.values()):
            assert not [text for text in (*shown, out, err, log.read_text()) if password in text]

    def test_generated_ones_are_in_the_file_and_nowhere_else(
        self, cli: Cli, listening: tuple[Database, int, Path], tmp_path: Path
    ) -> None:
        database, port, log = listening
        made = names()
        result = run(cli, database, made)
        assert result.code == 0, result.err
        path = tmp_path / "home/.local/state/agentdb/pgpass"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        kept = path.read_text()
        found = {line.split(":")[3]: line.split(":")[4] for line in kept.splitlines()}
        assert set(found) == {made.owner, made.app, made.readonly}
        for role, password in found.items():
            over_tcp(port, role, made.database, password)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                over_tcp(port, role, made.database, password + "x")
            assert password not in result.out + result.err
        assert run(cli, database, made).code == 0
        assert path.read_text() == kept
        rotated = run(cli, database, made, "--rotate")
        assert rotated.code == 0, rotated.err
        later = {line.split(":")[3]: line.split(":")[4] for line in path.read_text().splitlines()}
        assert set(later) == set(found)
        assert not set(later.values()) & set(found.values())
        over_tcp(port, made.app, made.database, later[made.app])
        text = log.read_text()
        assert "CREATE ROLE" in text
        for password in (*found.values(), *later.values()):
            assert password not in text
            assert password not in rotated.out + rotated.err
        drop(database, made)

    def test_from_the_environment(
        self,
        cli: Cli,
        listening: tuple[Database, int, Path],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        database, port, log = listening
        made = names()
        secret = "pa:ss'wo\\rd – " + secrets.token_hex(6)
        monkeypatch.setenv("AGENTDB_APP_PASSWORD", secret)
        pgpass = tmp_path / "home/.pgpass"
        pgpass.write_text("other:5432:*:me:kept\n# a comment")
        result = run(cli, database, made, "--pgpass")
        assert result.code == 0, result.err
        over_tcp(port, made.app, made.database, secret)
        lines = pgpass.read_text().splitlines()
        assert lines[3:] == ["other:5432:*:me:kept", "# a comment"]
        escaped = secret.replace("\\", "\\\\").replace(":", "\\:")
        assert lines[1].endswith(f":{made.database}:{made.app}:{escaped}")
        assert stat.S_IMODE(pgpass.stat().st_mode) == 0o600
        assert secret not in result.out + result.err
        assert secret[-12:] not in log.read_text()
        again = run(cli, database, made, "--pgpass")
        assert "AGENTDB_APP_PASSWORD was not used: --rotate sets it" in again.err
        drop(database, made)

    def test_what_a_file_has_is_taken(
        self, cli: Cli, listening: tuple[Database, int, Path], tmp_path: Path
    ) -> None:
        database, port, _ = listening
        made = names()
        info = database.connection.info
        path = tmp_path / "passwords"
        line = f"{info.host}:{info.port}:{made.database}:{made.app}:my\\:own"
        path.write_text(f"{line}\n")
        assert run(cli, database, made, "--password-file", str(path)).code == 0
        over_tcp(port, made.app, made.database, "my:own")
        assert line in path.read_text().splitlines()
        drop(database, made)

    def test_a_role_without_password_gets_one(
        self, cli: Cli, listening: tuple[Database, int, Path]
    ) -> None:
        database, _, _ = listening
        made = names()
        database.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(made.app)).as_string())
        assert run(cli, database, made).code == 0
        assert database.value(
            "SELECT rolcanlogin AND rolpassword ^@ 'SCRAM' FROM pg_authid WHERE rolname = %s",
            made.app,
        )
        drop(database, made)
