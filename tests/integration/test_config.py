"""agentdb config and agentdb init: what is in force, and writing it down."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Result
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from agentdb_cli.settings import read_file
from agentdb_cli.settings.keys import TOP

Cli = Callable[..., Result]


def write(content: str, name: str = "agentdb.toml", mode: int = 0o600) -> Path:
    path = Path(name)
    path.write_text(content)
    path.chmod(mode)
    return path.absolute()


# --- config show -------------------------------------------------------------


def test_show_says_which_source_won_and_why(
    cli: Cli, clean_environment: pytest.MonkeyPatch
) -> None:
    path = write('url = "postgresql://file/db"\nvariables = { dimensions = 3 }\n')
    clean_environment.setenv("DATABASE_URL", "postgresql://u:hunter2@h/db")
    done = cli("config", "show")
    assert (done.code, done.err) == (0, "")
    assert [
        re.split(" {3,}", line.strip()) for line in done.out.split("\n") if "─" not in line
    ] == [
        ["Database: postgresql://u:***@h/db"],
        ["from DATABASE_URL (environment),"],
        ["the first of these sources that is set:"],
        [""],
        ["rank", "source", "status", "origin", "value"],
        ["1", "--url", "not set"],
        ["2", "--env NAME", "not set"],
        ["3", "DATABASE_URL", "used", "environment", "postgresql://u:***@h/db"],
        ["4", "POSTGRESQL_*, PG*", "not set"],
        ["5", "url in agentdb.toml", "set, not used", str(path), "postgresql://file/db"],
        ["6", "embedded server", "not used", "built in", "embedded server"],
        [""],
        ["settings file", str(path)],
        ["dotenv file", "none"],
        ["environment", "none"],
        ["pack", "agentdb"],
        ["schema", "public, or the pack's own"],
        ["migrations", "those of pack agentdb"],
        ["history table", "public.agentdb_migrations"],
        ["variables", '{"dimensions": 3}'],
        ["connect timeout", "10.0 s"],
        ["lock timeout", "5.0 s"],
        ["statement timeout  none"],
        ["inspections", "agentdb's own"],
        [""],
    ]


def test_show_as_json_lists_the_six_sources(cli: Cli) -> None:
    path = write('[environments.production]\nurl = "postgresql://u:hunter2@h/db"\n')
    done = cli("config", "show", "--env", "production", "--format", "json")
    assert (done.code, done.err) == (0, "")
    unset = {"status": "not set", "origin": None, "value": None}
    assert json.loads(done.out) == [
        {"rank": 1, "source": "--url", **unset},
        {
            "rank": 2,
            "source": "--env production",
            "status": "used",
            "origin": str(path),
            "value": "postgresql://u:***@h/db",
        },
        {"rank": 3, "source": "DATABASE_URL", **unset},
        {"rank": 4, "source": "POSTGRESQL_*, PG*", **unset},
        {"rank": 5, "source": "url in agentdb.toml", **unset},
        {
            "rank": 6,
            "source": "embedded server",
            "status": "not used",
            "origin": "built in",
            "value": "embedded server",
        },
    ]


def test_show_lists_a_malformed_source_that_is_not_used(
    cli: Cli, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("DATABASE_URL", "mysql://u:hunter2@h/db")
    done = cli("config", "show", "-d", "postgresql://h/db", "--format", "json")
    assert json.loads(done.out)[2] == {
        "rank": 3,
        "source": "DATABASE_URL",
        "status": "malformed, not used",
        "origin": None,
        "value": "DATABASE_URL has the scheme 'mysql', not postgresql",
    }


def test_show_with_a_malformed_source_that_would_win(
    cli: Cli, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("DATABASE_URL", "postgresql://u:hun@ter/2@h/db")
    assert cli("config", "show") == Result(
        2,
        "",
        "error: DATABASE_URL has an @, / or : in user or password that is not percent-encoded: "
        "postgresql://u:***@h/db\n"
        "hint: in user and password write @ as %40, / as %2F, : as %3A, % as %25, a space as %20\n",
    )


# --- config path -------------------------------------------------------------


def test_path(cli: Cli, clean_environment: pytest.MonkeyPatch) -> None:
    assert cli("config", "path") == Result(
        1,
        "",
        "error: there is no agentdb.toml here or in a directory above\n"
        "hint: agentdb init writes one\n",
    )
    path = write("")
    Path("deep").mkdir()
    clean_environment.chdir("deep")
    assert cli("config", "path") == Result(0, f"{path}\n", "")
    assert cli("config", "path", "--config", "../agentdb.toml") == Result(
        0, "../agentdb.toml\n", ""
    )


# --- config check ------------------------------------------------------------


def test_check_of_nothing(cli: Cli) -> None:
    done = cli("config", "check", "--format", "plain")
    assert done == Result(0, "(none)\tembedded server\tok\n", "")


def test_check_of_every_environment(cli: Cli) -> None:
    write(
        """
        [environments.production]
        url = "postgresql://u@production:5433/db"
        [environments.laptop]
        url = "embedded"
        [environments.service]
        url = "service=agents"
        """
    )
    rows = (
        "production\tpostgresql://u@production:5433/db\tok\n"
        "laptop\tembedded server\tok\n"
        "service\tservice agents\tok\n"
    )
    assert cli("config", "check", "--format", "plain") == Result(0, rows, "")
    write(f"url = 'postgresql://u@file/db'\n{Path('agentdb.toml').read_text()}")
    assert cli("config", "check", "--format", "plain") == Result(
        0, f"{rows}(none)\tpostgresql://u@file:5432/db\tok\n", ""
    )
    assert cli("config", "check", "--env", "laptop", "--format", "plain") == Result(
        0, "laptop\tembedded server\tok\n", ""
    )


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            "ulr = 'x'",
            "{path}, line 1: unknown key 'ulr'; did you mean 'url'?",
            f"known keys here: {', '.join(sorted(TOP))}",
        ),
        (
            "pack = 'gatherin'",
            "there is no pack 'gatherin'",
            None,
        ),
        (
            "[environments.good]\nurl = 'dbname=x'\n[environments.bad]\nurl = 'postgresql://h/?x=1'",
            "--env bad has an unknown parameter 'x'",
            "parameters are libpq's: sslmode, connect_timeout, target_session_attrs, …",
        ),
        (
            "[environments.bad]\nurl_env = 'UNSET'",
            "{path}: 'environments.bad' takes its URL from $UNSET, which is not set",
            "set UNSET in the environment or in a .env file beside agentdb.toml",
        ),
    ],
)
def test_check_of_a_file_that_is_wrong(
    content: str, message: str, hint: str | None, cli: Cli
) -> None:
    path = write(content)
    done = cli("config", "check")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {message.format(path=path)}")
    assert hint is None or done.err.endswith(f"\nhint: {hint}\n")


def test_check_finds_what_is_wrong_in_sources_that_do_not_win(
    cli: Cli, clean_environment: pytest.MonkeyPatch
) -> None:
    clean_environment.setenv("DATABASE_URL", "mysql://h/db")
    clean_environment.setenv("PGPORT", "five")
    ok = "postgresql://u@h/db"
    assert cli("config", "check", "-d", ok).err == (
        "error: DATABASE_URL has the scheme 'mysql', not postgresql\n"
        "hint: agentdb administers PostgreSQL: postgresql://user@host:5432/database\n"
    )
    clean_environment.delenv("DATABASE_URL")
    assert cli("config", "check", "-d", ok).err == (
        "error: PG* has the port 'five'\nhint: a port is a number from 1 to 65535\n"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("agentdb.toml", "url = 'postgresql://u:hunter2@h/db'"),
        ("agentdb.toml", "environments.production.url = 'host=h password=hunter2'"),
        (".env", "PGPASSWORD=hunter2"),
        (".env", "DATABASE_URL=postgresql://u:hunter2@h/db"),
    ],
)
def test_check_warns_of_a_password_that_other_accounts_can_read(
    name: str, content: str, cli: Cli
) -> None:
    path = write(content, name, mode=0o644)
    done = cli("config", "check")
    assert done.code == 0
    assert done.err == (
        f"warning: {path} holds a password and other accounts can read it: "
        f"chmod 600 {path}, or move the password to ~/.pgpass\n"
    )
    path.chmod(0o600)
    assert cli("config", "check").err == ""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("agentdb.toml", "url = 'postgresql://u@h/db?passfile=/etc/pgpass'"),
        (".env", "DATABASE_URL=postgresql://u@h/db\nPGPASSFILE=/etc/pgpass"),
    ],
)
def test_check_does_not_warn_without_a_password(name: str, content: str, cli: Cli) -> None:
    write(content, name, mode=0o644)
    assert cli("config", "check").err == ""


# --- No password is shown ----------------------------------------------------

NASTY = st.text(st.sampled_from("abXY09@/:?#%&=+ '\"\\[]é"), min_size=4, max_size=20)


@pytest.fixture
def try_url(cli: Cli, clean_environment: pytest.MonkeyPatch) -> Callable[[str], str]:
    """All that three commands write about one `DATABASE_URL`."""

    def run(url: str) -> str:
        clean_environment.setenv("DATABASE_URL", url)
        shown = []
        for command in ("config show --format json", "config check", "migrate status --debug"):
            done = cli(*command.split())
            shown += [done.out, done.err]
        return "\n".join(shown)

    return run


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    password=NASTY,
    shape=st.sampled_from(
        [
            "postgresql://keeper:{}@127.0.0.1:1/main?connect_timeout=2",
            "postgresql://me@corp.example:{}@127.0.0.1:1/main",
            "postgresql://127.0.0.1:1/main?password={}",
            "host=127.0.0.1 port=1 password={} dbname=main",
            "keeper:{}@127.0.0.1:1/main",
        ]
    ),
)
@example(password="p@ss/w:rd", shape="postgresql://keeper:{}@127.0.0.1:1/main")
@example(password="p&ss w=rd", shape="host=127.0.0.1 port=1 password={} dbname=main")
def test_no_command_shows_a_password(
    password: str, shape: str, try_url: Callable[[str], str]
) -> None:
    password = password.strip()
    assume(len(password) >= 4)
    without = try_url(shape.format("Zq7Wv"))
    assume(password not in without)
    shown = try_url(shape.format(password))
    assert password not in shown
    assert json.dumps(password, ensure_ascii=False)[1:-1] not in shown


# --- init --------------------------------------------------------------------


def content_of(path: str = "agentdb.toml") -> dict[str, object]:
    """The file's content, as TOML and as agentdb reads it: they are the same."""
    parsed = tomllib.loads(Path(path).read_text())
    found = read_file(Path(path))
    assert found is not None
    assert found.content == parsed
    return parsed


VARIABLES = {"embedding_dimensions": 1536, "text_search_config": "english"}


def test_init_writes_a_file_that_reads_back_to_the_same(cli: Cli) -> None:
    done = cli("init")
    assert done == Result(0, f"wrote {Path('agentdb.toml').absolute()}\n", "")
    assert content_of() == {"pack": "agentdb", "variables": VARIABLES}
    assert cli("config", "check").code == 0


def test_init_with_a_url_and_migrations_of_ones_own(cli: Cli) -> None:
    assert cli("init", "-d", "postgresql+psycopg://u@h:5433/db", "--dir", "db/up").code == 0
    assert content_of() == {
        "pack": "agentdb",
        "url": "postgresql://u@h:5433/db",
        "migrations": {"dir": "db/up"},
        "variables": VARIABLES,
    }


def test_init_leaves_a_password_out_and_says_so(cli: Cli) -> None:
    done = cli("init", "-d", "postgresql://u:hunter2@h:5433/db?sslpassword=hunter3")
    assert done == Result(
        0,
        f"wrote {Path('agentdb.toml').absolute()}\n",
        "the password was left out: put it into ~/.pgpass, PGPASSWORD or DATABASE_URL\n",
    )
    assert content_of()["url"] == "user=u dbname=db host=h port=5433"
    assert "hunter" not in Path("agentdb.toml").read_text()


def test_init_of_the_embedded_server(cli: Cli) -> None:
    assert cli("init", "-d", "embedded").code == 0
    assert content_of()["url"] == "embedded"


@pytest.mark.parametrize("name", ["production", "eu-west.1", 'prod "quoted"\n'])
def test_init_puts_the_database_under_an_environment(name: str, cli: Cli) -> None:
    assert cli("init", "--env", name, "-d", "postgresql://u@h/db").code == 0
    assert content_of() == {
        "pack": "agentdb",
        "variables": VARIABLES,
        "environments": {name: {"url": "postgresql://u@h/db"}},
    }
    assert cli("config", "show", "--env", name).code == 0


def test_init_of_an_environment_without_a_url_names_a_variable(cli: Cli) -> None:
    assert cli("init", "--env", "production").code == 0
    assert content_of()["environments"] == {"production": {"url_env": "DATABASE_URL"}}


def test_init_does_not_overwrite(cli: Cli) -> None:
    write("# mine\n")
    assert cli("init") == Result(
        1, "", "error: agentdb.toml exists already\nhint: --force replaces it\n"
    )
    assert Path("agentdb.toml").read_text() == "# mine\n"


def test_init_replaces_a_file_with_force_even_a_broken_one(cli: Cli) -> None:
    write("this is no TOML")
    assert cli("init", "--force", "-d", "dbname=x").code == 0
    assert content_of()["url"] == "dbname=x"


def test_init_writes_where_config_says(cli: Cli) -> None:
    Path("ops").mkdir()
    done = cli("init", "--config", "ops/staging.toml", "--dir", "db/up")
    assert done == Result(0, f"wrote {Path('ops/staging.toml').absolute()}\n", "")
    assert content_of("ops/staging.toml")["migrations"] == {"dir": "../db/up"}
    assert cli("init", "--config", "nowhere/x.toml") == Result(
        1,
        "",
        "error: cannot write nowhere/x.toml: No such file or directory\n"
        "hint: choose another place with --config FILE\n",
    )


def test_init_dry_run_prints_the_file_and_writes_nothing(cli: Cli) -> None:
    done = cli("init", "--dry-run", "-d", "dbname=x")
    assert (done.code, done.err) == (0, "")
    assert tomllib.loads(done.out) == {
        "pack": "agentdb",
        "url": "dbname=x",
        "variables": VARIABLES,
    }
    assert not Path("agentdb.toml").exists()


def test_init_refuses_a_malformed_url_and_writes_nothing(cli: Cli) -> None:
    done = cli("init", "-d", "mysql://u:hunter2@h/db")
    assert done == Result(
        2,
        "",
        "error: --url has the scheme 'mysql', not postgresql\n"
        "hint: agentdb administers PostgreSQL: postgresql://user@host:5432/database\n",
    )
    assert not Path("agentdb.toml").exists()
