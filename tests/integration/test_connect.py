"""Connecting to real servers: what is set up in a session, and why one is refused."""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from conftest import Database, Result, free_port

from agentdb_cli.commands.invocation import GlobalOptions, Invocation
from agentdb_cli.errors import ConnectionFailed
from agentdb_cli.postgres.connect import open_connection, place
from agentdb_cli.postgres.embedded.binaries import Binaries
from agentdb_cli.postgres.embedded.cluster import Cluster
from agentdb_cli.postgres.embedded.layout import Layout, ensure_owner
from agentdb_cli.postgres.refusals import refusal
from agentdb_cli.settings import Connection

Cli = Callable[..., Result]

PASSWORD = "cor:rect@horse"


def refused(cli: Cli, url: str, *options: str) -> tuple[str, str]:
    """Message and hint of a command that could not connect; stdout stayed empty."""
    done = cli("migrate", "status", "-d", url, *options)
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err
    message, hint = done.err.rstrip("\n").split("\n")
    return message.removeprefix("error: "), hint.removeprefix("hint: ")


def connected(url: str, command: str = "health") -> psycopg.Connection[tuple[object, ...]]:
    return Invocation(GlobalOptions(url=url), command).connect()


def show(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    assert row
    return row[0]


# --- Sessions ----------------------------------------------------------------


def test_a_session_bears_the_commands_name(cli: Cli, database: Database, tmp_path: Path) -> None:
    (tmp_path / "1_seen.sql").write_text(
        "CREATE TABLE seen AS SELECT application_name FROM pg_stat_activity "
        "WHERE pid = pg_backend_pid();"
    )
    assert cli("migrate", "up", "-d", database.url, "--dir", tmp_path).code == 0
    assert database.execute("SELECT * FROM seen") == [("agentdb migrate up",)]


def test_timeouts_are_in_force_in_a_session(database: Database) -> None:
    with connected(database.url) as connection:
        assert show(connection, "lock_timeout") == "5s"
        assert show(connection, "statement_timeout") == "0"
        connection.execute("SET lock_timeout = 0")
        connection.execute("RESET ALL")
        assert show(connection, "lock_timeout") == "5s"
    Path("agentdb.toml").write_text(
        "connection = { lock_timeout = '250ms', statement_timeout = '1min' }"
    )
    with connected(database.url) as connection:
        assert show(connection, "lock_timeout") == "250ms"
        assert show(connection, "statement_timeout") == "1min"
        assert show(connection, "client_encoding") == "UTF8"
        assert connection.autocommit
    options = GlobalOptions(url=database.url, lock_timeout="7s")
    with Invocation(options, "health").connect() as connection:
        assert show(connection, "lock_timeout") == "7s"


def test_options_of_the_users_own_are_kept_but_for_the_lock_timeout(
    database18: Database, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("PGOPTIONS", "-c search_path=ops -c lock_timeout=0")
    with connected(database18.url) as connection:
        assert show(connection, "search_path") == "ops"
        assert show(connection, "lock_timeout") == "5s"
    url = f"{database18.url}&options=-c%20search_path%3Durl%20-c%20statement_timeout%3D3s"
    with connected(url) as connection:
        assert show(connection, "search_path") == "url"
        assert show(connection, "statement_timeout") == "3s"
    clean_environment.delenv("PGOPTIONS")
    Path(".env").write_text("PGOPTIONS='-c search_path=dotenv'\n")
    with connected(database18.url) as connection:
        assert show(connection, "search_path") == "dotenv"


def test_pghostaddr_does_not_lead_away_from_the_host_that_was_named(database18: Database) -> None:
    Path(".env").write_text("PGHOSTADDR=192.0.2.1\n")
    with connected(database18.url) as connection:
        assert place(connection) == database18.url.replace("&port=5432", "")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PGHOSTADDR", "192.0.2.1")
        with connected(database18.url) as connection:
            assert place(connection) == database18.url.replace("&port=5432", "")


def test_the_first_of_several_hosts_that_answers_is_taken(database18: Database) -> None:
    info = database18.connection.info
    url = f"host=127.0.0.1,{info.host} port={free_port()},{info.port} user=postgres"
    with connected(f"{url} dbname={info.dbname}") as connection:
        assert place(connection) == database18.url.replace("&port=5432", "")


def test_libpqs_variables_alone_are_enough(
    cli: Cli, database: Database, clean_environment: pytest.MonkeyPatch
) -> None:
    info = database.connection.info
    clean_environment.setenv("PGHOST", info.host)
    clean_environment.setenv("PGUSER", "postgres")
    clean_environment.setenv("PGDATABASE", info.dbname)
    done = cli("migrate", "status", "-q", "-f", "csv")
    assert (done.code, done.err) == (0, "")


# --- Refused by the server ---------------------------------------------------


@dataclass(frozen=True)
class Tcp:
    """A server that listens on TCP and wants SCRAM passwords."""

    port: int
    socket: str

    def url(self, user: str, *, password: str | None = None, database: str = "postgres") -> str:
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def opening(self, user: str, database: str = "postgres") -> str:
        return f"cannot connect to {self.url(user, database=database)} (from --url): "


RULES = """
local all strict peer
local all all peer map=agentdb
host all rejected 127.0.0.1/32 reject
host all keeper,limited,locked_out 127.0.0.1/32 scram-sha-256
"""

ROLES = f"""
CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE limited LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0;
CREATE ROLE locked_out PASSWORD '{PASSWORD}';
CREATE ROLE strict LOGIN;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM public;
CREATE DATABASE full_house CONNECTION LIMIT 0
"""


@pytest.fixture(scope="module")
def tcp(servers: dict[str, Binaries]) -> Iterator[Tcp]:
    """A server of its own, since its pg_hba.conf is changed."""
    base = Path(tempfile.mkdtemp(prefix="agentdb-tcp-"))
    base.chmod(0o755)
    layout = Layout.of(base / "server", 18)
    cluster = Cluster(servers["18"], layout, ensure_owner(lambda _: None))
    try:
        server = Tcp(free_port(), str(layout.socket_directory()))
        cluster.start(lambda _: None, server.port)
        keywords = {"host": server.socket, "port": server.port, "user": "postgres"}
        with psycopg.connect(autocommit=True, dbname="postgres", **keywords) as connection:
            for statement in ROLES.split(";"):
                connection.execute(statement)
            (layout.data / "pg_hba.conf").write_text(RULES)
            connection.execute("SELECT pg_reload_conf()")
        _wait_for_rules(server)
        yield server
    finally:
        cluster.stop()
        shutil.rmtree(base)


def _wait_for_rules(server: Tcp) -> None:
    """Until the server follows its new pg_hba.conf."""
    for _ in range(500):
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(server.url("rejected"))
        if "rejects" in str(caught.value):
            return
        time.sleep(0.01)
    raise AssertionError("pg_hba.conf was not reloaded")


def test_a_password_lets_in(
    cli: Cli, tcp: Tcp, clean_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the URL, in the environment, in .env and in a .pgpass."""
    status = ("migrate", "status", "-q", "-f", "csv", "-d")
    assert cli(*status, tcp.url("keeper", password="cor%3Arect%40horse")).code == 0
    clean_environment.setenv("PGPASSWORD", PASSWORD)
    assert cli(*status, tcp.url("keeper")).code == 0
    clean_environment.delenv("PGPASSWORD")
    Path(".env").write_text(f"PGPASSWORD={PASSWORD}\n")
    assert cli(*status, tcp.url("keeper")).code == 0
    Path(".env").unlink()
    passfile = tmp_path / "home" / ".pgpass"
    passfile.write_text(f"127.0.0.1:*:*:keeper:{PASSWORD.replace(':', chr(92) + ':')}\n")
    passfile.chmod(0o600)
    clean_environment.setenv("PGPASSFILE", str(passfile))
    assert cli(*status, tcp.url("keeper")).code == 0


def test_wrong_password(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("keeper", password="battery")) == (
        tcp.opening("keeper") + "wrong password for user 'keeper'",
        "check the password in the environment, in ~/.pgpass or in the URL "
        "(there, write @ as %40, / as %2F, : as %3A)",
    )


def test_no_password(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("keeper")) == (
        tcp.opening("keeper") + "the server wants a password and none was given",
        "set PGPASSWORD, or add a line for this server to ~/.pgpass",
    )


def test_a_password_is_asked_for_if_there_is_somebody_to_ask(tcp: Tcp) -> None:
    asked = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return answer

    keywords = {
        "host": "127.0.0.1",
        "port": str(tcp.port),
        "user": "keeper",
        "dbname": "postgres",
    }
    answer = PASSWORD
    with open_connection(
        keywords, Connection(), command="health", source="--url", ask_password=ask
    ) as connection:
        assert connection.info.user == "keeper"
    assert asked == [f"Password for {tcp.url('keeper')}: "]
    answer = "battery"
    with pytest.raises(ConnectionFailed) as caught:
        open_connection(keywords, Connection(), command="health", source="--url", ask_password=ask)
    assert str(caught.value) == tcp.opening("keeper") + "wrong password for user 'keeper'"


def test_unknown_database(cli: Cli, database: Database) -> None:
    host = database.connection.info.host
    assert refused(cli, f"host={host} user=postgres dbname=nowhere") == (
        f"cannot connect to postgresql://postgres@/nowhere?host={host} (from --url): "
        "there is no database 'nowhere'",
        "create it (agentdb setup, or createdb nowhere) or name another one",
    )


def test_unknown_role(cli: Cli, tcp: Tcp) -> None:
    url = f"host={tcp.socket} port={tcp.port} user=nobody_here dbname=postgres"
    message, hint = refused(cli, url)
    assert message.endswith("(from --url): there is no role 'nobody_here'")
    assert hint == "name another user, or have an administrator create it: agentdb setup"


def test_a_role_that_may_not_log_in(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("locked_out", password="cor%3Arect%40horse")) == (
        tcp.opening("locked_out") + "the role 'locked_out' may not log in",
        "name another user, or as an administrator: ALTER ROLE locked_out LOGIN",
    )


def test_a_database_that_the_role_may_not_enter(cli: Cli, tcp: Tcp) -> None:
    url = tcp.url("keeper", password="cor%3Arect%40horse", database="closed")
    assert refused(cli, url) == (
        tcp.opening("keeper", "closed") + "this user may not connect to the database 'closed'",
        "name another user, or as its owner: GRANT CONNECT ON DATABASE closed TO …",
    )


def test_peer_authentication(cli: Cli, tcp: Tcp) -> None:
    url = f"host={tcp.socket} port={tcp.port} user=strict dbname=postgres"
    message, hint = refused(cli, url)
    assert message.endswith(
        "(from --url): the server lets in 'strict' only from the system account of that name"
    )
    assert hint == "run as that account, or connect over TCP with a password: host=localhost"


def test_pg_hba_rejects(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("rejected")) == (
        tcp.opening("rejected") + "the server's pg_hba.conf rejects "
        'host "127.0.0.1", user "rejected", database "postgres", no encryption',
        "connect from another host or as another user, or have that line changed",
    )


def test_pg_hba_has_no_entry(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("stranger")) == (
        tcp.opening("stranger") + "the server has no pg_hba.conf entry for "
        'host "127.0.0.1", user "stranger", database "postgres", no encryption',
        "ask for one, or try sslmode=require if the entry demands encryption",
    )


def test_too_many_connections_of_a_role(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, tcp.url("limited", password="cor%3Arect%40horse")) == (
        tcp.opening("limited") + "the role 'limited' has reached its connection limit",
        "close idle sessions of it, or raise the limit: alter role limited connection limit …",
    )


def test_too_many_connections_to_a_database(cli: Cli, tcp: Tcp) -> None:
    url = tcp.url("keeper", password="cor%3Arect%40horse", database="full_house")
    assert refused(cli, url) == (
        tcp.opening("keeper", "full_house")
        + "the database 'full_house' has reached its connection limit",
        "close idle sessions of it, or raise the limit: "
        "alter database full_house connection limit …",
    )


def test_tls_demanded_but_not_offered(cli: Cli, tcp: Tcp) -> None:
    assert refused(cli, f"{tcp.url('keeper')}?sslmode=require") == (
        tcp.opening("keeper") + "the server does not offer TLS, and sslmode demands it",
        "set sslmode=prefer, or switch on ssl in postgresql.conf",
    )


# --- Refused on the way ------------------------------------------------------


def test_connection_refused(cli: Cli) -> None:
    url = f"postgresql://u@127.0.0.1:{free_port()}/db"
    assert refused(cli, url) == (
        f"cannot connect to {url} (from --url): connection refused",
        "no server listens there: is it running, and are host and port right?",
    )


def test_the_source_that_named_the_database_is_told(
    cli: Cli, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("PGHOST", "127.0.0.1")
    clean_environment.setenv("PGPORT", str(free_port()))
    assert " (from PG*): connection refused" in cli("migrate", "status").err


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64])
def test_a_host_name_that_cannot_be_resolved(host: str, cli: Cli) -> None:
    assert refused(cli, f"postgresql://u@{host}/db") == (
        f"cannot connect to postgresql://u@{host}:5432/db (from --url): "
        "the host name cannot be resolved",
        "check the spelling of the host and the DNS",
    )


def test_a_socket_directory_that_does_not_exist(cli: Cli) -> None:
    assert refused(cli, "host=/nowhere user=u dbname=db") == (
        "cannot connect to postgresql://u@/db?host=/nowhere (from --url): "
        "there is no server socket /nowhere/.s.PGSQL.5432",
        "no server listens there: is it running, and are socket directory and port right?",
    )


@pytest.mark.parametrize(
    ("parameter", "detail"),
    [
        ("sslmode=requir", 'invalid sslmode value: "requir"'),
        ("connect_timeout=soon", "bad value for connect_timeout: 'soon'"),
        ("keepalives_idle=x", 'invalid integer value "x" for connection option "keepalives_idle"'),
    ],
)
def test_a_parameter_with_a_value_that_libpq_does_not_know(
    parameter: str, detail: str, cli: Cli, tcp: Tcp
) -> None:
    assert refused(cli, f"{tcp.url('keeper')}?{parameter}") == (
        tcp.opening("keeper") + detail,
        "correct it in --url",
    )


def test_a_password_that_is_not_utf8(cli: Cli, clean_environment: pytest.MonkeyPatch) -> None:
    clean_environment.setenv("POSTGRESQL_HOST", "127.0.0.1")
    clean_environment.setenv("POSTGRESQL_USER", "u")
    clean_environment.setenv("POSTGRESQL_PASSWORD", "caf\udce9")
    assert cli("migrate", "status") == Result(
        1,
        "",
        "error: cannot connect to postgresql://u@127.0.0.1:5432/u (from POSTGRESQL_*): "
        "a value of the connection is not UTF-8\nhint: correct it in POSTGRESQL_*\n",
    )


# --- Servers that are none ---------------------------------------------------


@contextmanager
def answering(answer: Callable[[socket.socket], None] | None) -> Iterator[str]:
    """A URL of a port where every connection gets `answer`, or silence."""
    held = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            if answer is not None:
                with connection:
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/db"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)
    for connection in held:
        connection.close()


def test_a_server_that_accepts_and_says_nothing(cli: Cli) -> None:
    Path("agentdb.toml").write_text("[connection]\nconnect_timeout = '2s'\n")
    with answering(None) as url:
        begin = time.monotonic()
        assert refused(cli, url) == (
            f"cannot connect to {url} (from --url): no answer within 2 s",
            "the server hangs, or a firewall drops the packets; "
            "connection.connect_timeout in agentdb.toml changes the limit",
        )
    assert 1.5 < time.monotonic() - begin < 5


@pytest.mark.parametrize("sslmode", ["prefer", "disable"])
def test_something_that_is_not_postgresql(sslmode: str, cli: Cli) -> None:
    def http(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with answering(http) as url:
        assert refused(cli, f"{url}?sslmode={sslmode}") == (
            f"cannot connect to {url} (from --url): what answers there is not PostgreSQL",
            "another program listens on that port: are host and port right?",
        )


def test_something_that_hangs_up(cli: Cli) -> None:
    with answering(lambda connection: None) as url:
        assert refused(cli, url) == (
            f"cannot connect to {url} (from --url): the server closed the connection",
            "is it PostgreSQL that listens there? Its log says why",
        )


def postgresql_12(connection: socket.socket) -> None:
    """As much of the protocol as it takes to say one's version."""
    while True:
        length, code = struct.unpack("!ii", connection.recv(8))
        connection.recv(length - 8)
        if code not in (80877103, 80877104):  # neither asks for TLS nor for GSSAPI: it starts
            break
        connection.sendall(b"N")

    def message(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("!i", len(content) + 4) + content

    connection.sendall(
        message(b"R", struct.pack("!i", 0))
        + message(b"S", b"server_version\x0012.9\x00")
        + message(b"S", b"client_encoding\x00UTF8\x00")
        + message(b"K", struct.pack("!ii", 1, 1))
        + message(b"Z", b"I")
    )
    connection.recv(1024)


def test_a_server_that_is_too_old(cli: Cli) -> None:
    with answering(postgresql_12) as url:
        assert refused(cli, url) == (
            f"{url} is PostgreSQL 12.9, too old for agentdb",
            "agentdb works with PostgreSQL 13 to 18; upgrade the server",
        )


# --- Messages of libpq that no server here can be brought to -----------------


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (
            'connection to server at "10.0.0.1", port 5432 failed: FATAL:  '
            "the database system is starting up",
            "the server is starting up",
            "try again in a moment",
        ),
        (
            "FATAL:  the database system is not yet accepting connections\n"
            "DETAIL:  Consistent recovery state has not been yet reached.",
            "the server is not yet accepting connections",
            "try again in a moment",
        ),
        (
            "FATAL:  remaining connection slots are reserved for roles with the "
            "SUPERUSER attribute",
            "the server has no connection slot left",
            "close idle sessions, or raise max_connections; a superuser has reserved slots",
        ),
        (
            "FATAL:  no more connections allowed (max_client_conn)",
            "the server has no connection slot left",
            "close idle sessions, or raise max_connections; a superuser has reserved slots",
        ),
        (
            'connection to server at "h" (10.0.0.1), port 5432 failed: '
            "SSL error: certificate verify failed",
            "TLS could not be agreed: SSL error: certificate verify failed",
            "check sslmode and sslrootcert",
        ),
        (
            'connection to server at "10.0.0.1", port 5432 failed: No route to host\n'
            "\tIs the server running on that host and accepting TCP/IP connections?",
            "the network has no way to that host",
            "check the network or VPN, and the host's address",
        ),
        (
            'connection to server on socket "/run/.s.PGSQL.5432" failed: Permission denied',
            "the server's socket may not be opened by this system account",
            "run as the account that owns the server",
        ),
        (
            # What one address says of the network counts less than what a server says.
            'connection to server at "::1", port 5432 failed: Connection refused\n'
            'connection to server at "127.0.0.1", port 5432 failed: FATAL:  '
            'password authentication failed for user "u"',
            "wrong password for user 'u'",
            "check the password in the environment, in ~/.pgpass or in the URL "
            "(there, write @ as %40, / as %2F, : as %3A)",
        ),
        (
            "connection failed: FATAL:  something new about {braces}\nDETAIL:  more",
            "something new about {braces}",
            None,
        ),
        ('connection is bad: something about "hunter2"', 'something about "***"', None),
        ("", "unknown reason", None),
    ],
)
def test_other_refusals(text: str, what: str, hint: str | None) -> None:
    error = refusal(text, place="PLACE", source="SOURCE", keywords={"password": "hunter2"})
    assert error.message == f"cannot connect to PLACE (from SOURCE): {what}"
    assert error.hint == hint


# --- PgBouncer ---------------------------------------------------------------


def test_a_pooler_that_refuses_start_up_options(cli: Cli, pgbouncer: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter: options"):
        psycopg.connect(pgbouncer, options="-c lock_timeout=5000")
    with connected(pgbouncer) as connection:
        # A SET would stay in a server session that others get afterwards.
        assert show(connection, "lock_timeout") == "0"
        assert show(connection, "application_name") == "agentdb health"
    assert cli("migrate", "status", "-q", "-d", pgbouncer).code == 0


def test_options_of_the_users_own_are_not_left_out_in_silence(cli: Cli, pgbouncer: str) -> None:
    assert refused(cli, f"{pgbouncer}?options=-c%20search_path%3Dops") == (
        f"cannot connect to {pgbouncer} (from --url): "
        "the pooler in between refuses the start-up parameter options",
        "leave out options and PGOPTIONS, or name it in PgBouncer's ignore_startup_parameters",
    )
