"""Where to connect: six sources, each beating the ones below, and what they hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from agentdb_cli.errors import SettingsError
from agentdb_cli.settings import Flags, NoDatabaseChosen, Settings, Target, resolve

TOML = """
url = "postgresql://file/db"

[environments.production]
url = "postgresql://production/db"

[environments.here]
url = "embedded"
"""


def write(content: str, name: str = "agentdb.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def settings(environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """The settings in the working directory, with these variables and options alone."""
    return resolve(Flags(**flags), environ or {})  # type: ignore[arg-type]


def target(environ: Mapping[str, str] | None = None, **flags: object) -> Target:
    return settings(environ, **flags).target


def refusal(environ: Mapping[str, str] | None = None, **flags: object) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        settings(environ, **flags)
    assert caught.value.exit_code == 2
    return caught.value


# --- The six sources in their order ------------------------------------------


def test_each_source_beats_the_ones_below() -> None:
    """All six are set; then the first is taken away, and the next one wins."""
    write(TOML)
    flags: dict[str, object] = {"url": "postgresql://flag/db", "environment": "production"}
    environ = {
        "DATABASE_URL": "postgresql://database-url/db",
        "POSTGRESQL_HOST": "background-agents",
        "PGHOST": "libpq",
    }
    won = target(environ, **flags)
    assert (won.source, won.origin) == ("--url", "command line")
    assert won.url == "postgresql://flag/db"

    del flags["url"]
    won = target(environ, **flags)
    assert (won.source, won.origin) == ("--env production", f"{Path.cwd()}/agentdb.toml")
    assert won.url == "postgresql://production/db"

    del flags["environment"]
    won = target(environ, **flags)
    assert (won.source, won.origin) == ("DATABASE_URL", "environment")
    assert won.url == "postgresql://database-url/db"

    del environ["DATABASE_URL"]
    won = target(environ)
    assert (won.source, won.origin) == ("POSTGRESQL_*", "environment")
    assert won.parameters == {"host": "background-agents"}

    del environ["POSTGRESQL_HOST"]
    won = target(environ)
    assert (won.source, won.origin) == ("PG*", "environment")
    assert won.parameters == {"host": "libpq"}

    del environ["PGHOST"]
    won = target(environ)
    assert (won.source, won.origin) == ("url in agentdb.toml", f"{Path.cwd()}/agentdb.toml")
    assert won.url == "postgresql://file/db"

    Path("agentdb.toml").unlink()
    won = target(environ)
    assert (won.source, won.origin) == ("embedded server", "built in")
    assert won.embedded


def test_all_six_are_listed_in_order_with_what_they_hold() -> None:
    write(TOML)
    listed = settings({"PGHOST": "h", "PGPASSWORD": "hunter2"}).candidates
    assert [(c.rank, c.source, str(c.target) if c.target else None) for c in listed] == [
        (1, "--url", None),
        (2, "--env NAME", None),
        (3, "DATABASE_URL", None),
        (4, "POSTGRESQL_*, PG*", "host=h password=***"),
        (5, "url in agentdb.toml", "postgresql://file/db"),
        (6, "embedded server", "embedded server"),
    ]


def test_background_agents_variables() -> None:
    won = target(
        {
            "POSTGRESQL_HOST": "h",
            "POSTGRESQL_PORT": "5433",
            "POSTGRESQL_DATABASE": "background_agents",
            "POSTGRESQL_USER": "u",
            "POSTGRESQL_PASSWORD": "hunter2",
            "POSTGRESQL_SSL_MODE": "require",
            "PGDATABASE": "another",
        }
    )
    assert won.parameters == {
        "host": "h",
        "port": "5433",
        "dbname": "background_agents",
        "user": "u",
        "password": "hunter2",
        "sslmode": "require",
    }
    assert str(won) == (
        "host=h port=5433 dbname=background_agents user=u password=*** sslmode=require"
    )
    assert "hunter2" not in repr(won)


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER"])
def test_one_variable_that_names_a_database_is_enough(name: str) -> None:
    assert target({name: "1"}).source == "PG*"


@pytest.mark.parametrize("name", ["PGPASSWORD", "PGSSLMODE", "POSTGRESQL_PASSWORD", "PGOPTIONS"])
def test_how_to_connect_does_not_say_where(name: str) -> None:
    assert target({name: "require"}).embedded


@pytest.mark.parametrize("name", ["DATABASE_URL", "POSTGRESQL_HOST", "PGHOST", "PGCONNECT_TIMEOUT"])
def test_an_empty_variable_is_not_set(name: str) -> None:
    assert target({name: ""}).embedded


@pytest.mark.parametrize("word", ["embedded", " embedded ", "embedded:"])
def test_the_embedded_server_can_be_named_like_a_url(word: str) -> None:
    write(TOML)
    assert target({"DATABASE_URL": "postgresql://h/db"}, url=word).embedded
    assert target({"DATABASE_URL": word}).embedded
    assert target(environment="here").embedded


def test_environments_without_a_url_never_mean_the_embedded_server() -> None:
    write("[environments.production]\nurl = 'postgresql://h/db'\n[environments.staging]\n")
    error = refusal()
    assert isinstance(error, NoDatabaseChosen)
    assert error.message == (
        f"no database chosen: {Path.cwd()}/agentdb.toml has environments but no url of its own"
    )
    assert error.hint == (
        "pass --env with one of production, staging, or --url embedded for the embedded server"
    )
    assert target(url="embedded").embedded
    assert target({"PGHOST": "h"}).source == "PG*"


def test_an_empty_url_option_is_a_mistake_and_no_absence() -> None:
    """`--url "$DATABASE"` with the variable unset must not reach another database."""
    assert refusal(url="").message == "--url is empty"


# --- Malformed sources -------------------------------------------------------


def test_a_malformed_source_that_would_win_is_refused() -> None:
    error = refusal({"DATABASE_URL": "mysql://u:hunter2@h/db", "PGHOST": "h"})
    assert error.message == "DATABASE_URL has the scheme 'mysql', not postgresql"


def test_a_malformed_source_below_the_winner_does_not_matter() -> None:
    """At 3 a.m. `--url` must work whatever else is wrong."""
    write("url_env = 'UNSET'\n")
    found = settings({"DATABASE_URL": "mysql://h/db"}, url="postgresql://h/db")
    assert found.target.source == "--url"
    problems = {c.source: c.problem.message for c in found.candidates if c.problem}
    assert problems == {
        "DATABASE_URL": "DATABASE_URL has the scheme 'mysql', not postgresql",
        "url in agentdb.toml": f"{Path.cwd()}/agentdb.toml: 'url' takes its URL from $UNSET, "
        "which is not set",
    }


# --- Environments of agentdb.toml --------------------------------------------


def test_an_environment_is_laid_over_the_keys_above_it() -> None:
    write(
        """
        url = "postgresql://file/db"
        pack = "gathering"
        connection = { lock_timeout = "1s", statement_timeout = "2s" }
        variables = { a = 1, b = 2 }

        [environments.production]
        url = "postgresql://production/db"
        connection.lock_timeout = "9s"
        variables = { b = "two" }
        migrations.table = "public.history"
        """
    )
    found = settings(environment="production")
    assert found.target.url == "postgresql://production/db"
    assert found.environment == "production"
    assert found.pack == "gathering"
    assert found.connection.lock_timeout == 9_000
    assert found.connection.statement_timeout == 2_000
    assert found.variables == {"a": 1, "b": "two"}
    assert found.migrations.table == "public.history"
    assert settings().migrations.table == "public.agentdb_migrations"


def test_an_unknown_environment_gets_the_nearest_name() -> None:
    path = write(TOML).absolute()
    error = refusal(environment="prodution")
    assert error.message == (f"{path} has no environment 'prodution'; did you mean 'production'?")
    assert error.hint == "environments in this file: production, here"


def test_an_environment_of_a_file_without_any() -> None:
    path = write("").absolute()
    error = refusal(environment="production")
    assert error.message == f"{path} has no environment 'production'"
    assert error.hint == "environments in this file: none"


def test_an_environment_without_a_file() -> None:
    error = refusal(environment="production")
    assert error.message == (
        "--env production needs an agentdb.toml, and there is none here or above"
    )
    assert error.hint == ("write one with [environments.production], or name it with --config FILE")


def test_an_environment_that_names_no_database_does_not_inherit_one() -> None:
    """The file's own url may be another server: --env must not fall through to it."""
    path = write("url = 'postgresql://file/db'\n[environments.production]\n").absolute()
    error = refusal(environment="production")
    assert error.message == f"{path}: [environments.production] names no database"
    assert error.hint == 'add url = "postgresql://…" or url_env = "NAME_OF_A_VARIABLE" to it'


def test_a_url_can_come_from_a_variable_that_the_file_names() -> None:
    path = write("[environments.production]\nurl_env = 'PRODUCTION_URL'\n").absolute()
    won = target({"PRODUCTION_URL": "postgresql://h/db"}, environment="production")
    assert (won.url, won.origin) == ("postgresql://h/db", f"{path} ($PRODUCTION_URL)")
    error = refusal(environment="production")
    assert error.message == (
        f"{path}: 'environments.production' takes its URL from $PRODUCTION_URL, which is not set"
    )
    assert error.hint == (
        "set PRODUCTION_URL in the environment or in a .env file beside agentdb.toml"
    )


# --- .env --------------------------------------------------------------------


def test_a_dotenv_stands_in_for_missing_variables() -> None:
    path = write("DATABASE_URL=postgresql://dotenv/db\n", ".env").absolute()
    won = target()
    assert (won.url, won.source, won.origin) == (
        "postgresql://dotenv/db",
        "DATABASE_URL",
        str(path),
    )
    won = target({"DATABASE_URL": "postgresql://real/db"})
    assert (won.url, won.origin) == ("postgresql://real/db", "environment")


@pytest.mark.parametrize(
    ("line", "source", "parameters"),
    [
        ("POSTGRESQL_HOST=h", "POSTGRESQL_*", {"host": "h"}),
        ("export PGHOST='h'", "PG*", {"host": "h"}),
    ],
)
def test_a_dotenv_holds_the_variables_of_source_4(
    line: str, source: str, parameters: dict[str, str]
) -> None:
    path = write(f"# a comment\n{line}\n", ".env").absolute()
    won = target()
    assert (won.source, won.origin, won.parameters) == (source, str(path), parameters)


def test_a_password_of_the_dotenv_completes_any_source() -> None:
    write("PGPASSWORD=hunter2\nPGSSLMODE=require\n", ".env")
    found = settings({"PGSSLMODE": "disable"}, url="postgresql://u@h/db")
    assert found.connection.libpq_defaults == {"password": "hunter2"}  # libpq reads the real ones


def test_the_dotenv_is_the_one_beside_agentdb_toml() -> None:
    write("", "project/agentdb.toml")
    write("PGHOST=project\n", "project/.env")
    write("PGHOST=here\n", "project/deep/.env")
    os.chdir("project/deep")
    assert target().parameters == {"host": "project"}
    Path("../agentdb.toml").unlink()
    assert target().parameters == {"host": "here"}


def test_a_line_of_the_dotenv_that_is_no_assignment() -> None:
    path = write("PGHOST=h\nPGPASSWORD='hunter2\n", ".env").absolute()
    error = refusal()
    assert error.message == f"{path}, line 2: not a NAME=value line"
    assert error.hint == "quote values with spaces or quotes in them: NAME='value'"


def test_a_dotenv_that_is_not_utf8() -> None:
    Path(".env").write_bytes(b"A=\xff\n")
    assert refusal().message == f"{Path.cwd()}/.env is not UTF-8 (byte 2)"


# --- What else is decided ----------------------------------------------------


def test_the_defaults() -> None:
    found = settings()
    assert found.pack == "agentdb"
    assert found.connection.connect_timeout == 10_000
    assert found.connection.lock_timeout == 5_000
    assert found.connection.statement_timeout == 0
    assert found.migrations.directory is None
    assert found.migrations.table == "public.agentdb_migrations"
    assert found.migrations.lock_wait == 600_000
    assert (found.server.data_dir, found.server.port) == (None, None)
    assert (found.file, found.dotenv, found.environment) == (None, None, None)


def test_flags_beat_the_file() -> None:
    write("pack = 'gathering'\nconnection.lock_timeout = '1s'\n")
    found = settings(pack="openagent", lock_timeout="250ms")
    assert found.pack == "openagent"
    assert found.connection.lock_timeout == 250


def test_a_lock_timeout_that_is_no_duration() -> None:
    error = refusal(lock_timeout="soon")
    assert error.message == (
        '--lock-timeout must be a duration such as "5s", "250ms" or 0 (units: us, ms, s, min, h, d)'
    )


def test_libpqs_connect_timeout_counts_unless_the_file_says_otherwise() -> None:
    environ = {"PGCONNECT_TIMEOUT": "3"}
    assert settings(environ).connection.connect_timeout == 3_000
    assert refusal({"PGCONNECT_TIMEOUT": "soon"}).message == (
        "PGCONNECT_TIMEOUT must be a number of seconds"
    )
    write("connection.connect_timeout = '4s'\n")
    assert settings(environ).connection.connect_timeout == 4_000


def test_paths_in_the_file_count_from_the_file(clean_environment: pytest.MonkeyPatch) -> None:
    file = write("migrations.dir = 'db/up'\nserver.data_dir = '~/server'\n", "ops/agentdb.toml")
    os.chdir("/")
    found = settings(config=(Path(os.environ["HOME"]).parent / "work" / file))
    assert found.file is not None
    assert found.migrations.directory == found.file.path.parent / "db" / "up"
    assert found.server.data_dir == Path(os.environ["HOME"]) / "server"


def test_a_home_directory_that_does_not_exist() -> None:
    path = write("migrations.dir = '~nosuchaccount/up'\n").absolute()
    assert refusal().message == f"{path}: '~nosuchaccount/up': no such home directory"


def test_a_working_directory_that_was_removed() -> None:
    gone = Path.cwd() / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    error = refusal()
    assert (error.message, error.hint) == (
        "the working directory no longer exists",
        "cd to another one",
    )


# --- Where samples of earlier runs are kept ----------------------------------


def test_samples_are_kept_below_the_state_directory() -> None:
    assert settings({"XDG_STATE_HOME": "/state", "HOME": "/me"}).state_directory == Path(
        "/state/agentdb"
    )
    assert settings({"HOME": "/me"}).state_directory == Path("/me/.local/state/agentdb")
    assert settings({"XDG_STATE_HOME": "relative", "HOME": "/me"}).state_directory == Path(
        "/me/.local/state/agentdb"
    )
    assert settings({}).state_directory is None
