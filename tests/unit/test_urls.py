"""Connection strings: what is accepted, what is refused, and that no password is shown."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from agentdb_cli.errors import SettingsError
from agentdb_cli.postgres.connect import describe, parameters
from agentdb_cli.settings.sources import from_url
from agentdb_cli.settings.urls import mask, normalize

ENCODE = "in user and password write @ as %40, / as %2F, : as %3A, % as %25, a space as %20"


def refusal(url: str) -> SettingsError:
    """The error that `--url <url>` gets, when it is read or taken apart."""
    with pytest.raises(SettingsError) as caught:
        parameters(from_url("--url", "command line", url))
    return caught.value


# --- What is accepted --------------------------------------------------------


@pytest.mark.parametrize(
    ("given_as", "means"),
    [
        ("postgresql://u@h:5433/db", "postgresql://u@h:5433/db"),
        ("postgres://u@h/db", "postgresql://u@h/db"),
        ("POSTGRES://u@h/db", "postgresql://u@h/db"),
        ("  postgresql://u@h/db\n", "postgresql://u@h/db"),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db?host=/run/postgresql"),
        ("postgresql://a:1,b:2/db", "postgresql://a:1,b:2/db"),
        ("postgresql://u@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
        ("host=h dbname=db user=u", "host=h dbname=db user=u"),
        ("service=production", "service=production"),
        ("my_database", "dbname=my_database"),
        ("agents-2024.v1", "dbname=agents-2024.v1"),
        # SQLAlchemy names its driver in the scheme.
        ("postgresql+psycopg://u@h/db", "postgresql://u@h/db"),
        ("postgresql+psycopg2://u@h/db", "postgresql://u@h/db"),
        ("postgres+asyncpg://u@h/db", "postgresql://u@h/db"),
        # asyncpg, JDBC
        ("postgresql://h/db?ssl=require", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?ssl=true", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?ssl=false", "postgresql://h/db?sslmode=disable"),
        ("postgresql://h/db?ssl=verify-full", "postgresql://h/db?sslmode=verify-full"),
        # Prisma
        ("postgresql://h/db?schema=public&connection_limit=5", "postgresql://h/db"),
        (
            "postgresql://h/db?pgbouncer=true&sslmode=require&pool_timeout=0",
            "postgresql://h/db?sslmode=require",
        ),
        # libpq does not take + for a space, so the query is not rewritten.
        (
            "postgresql://h/db?schema=x&options=-c%20search_path%3Da+b",
            "postgresql://h/db?options=-c%20search_path%3Da+b",
        ),
        (
            "postgresql://h/db?options=-c search_path=a",
            "postgresql://h/db?options=-c%20search_path%3Da",
        ),
        # docker --env-file keeps the quotes.
        ('"postgresql://u@h/db"', "postgresql://u@h/db"),
        ("'host=h dbname=db'", "host=h dbname=db"),
        # What must not be percent-encoded.
        ("postgresql://u:p:w?x#y@h/db", "postgresql://u:p:w?x#y@h/db"),
        ("postgresql://h/db?user=me@corp", "postgresql://h/db?user=me@corp"),
    ],
)
def test_what_people_write_becomes_what_libpq_reads(given_as: str, means: str) -> None:
    assert normalize(given_as, where="--url") == means
    conninfo_to_dict(means)


@pytest.mark.parametrize(
    ("keywords", "shown"),
    [
        ({"user": "u", "host": "h", "dbname": "d"}, "postgresql://u@h:5432/d"),
        ({"user": "u", "host": "h", "dbname": "d", "password": "pw"}, "postgresql://u@h:5432/d"),
        ({"user": "u", "host": "h", "port": "99"}, "postgresql://u@h:99/u"),
        ({"user": "u", "host": "/run", "dbname": "d"}, "postgresql://u@/d?host=/run"),
        ({"user": "u", "host": "/run", "port": "9"}, "postgresql://u@/u?host=/run&port=9"),
        ({"user": "u", "host": "a,b", "port": "1,2"}, "postgresql://u@a:1,b:2/u"),
        ({"user": "u", "host": "a,b", "port": "1"}, "postgresql://u@a:1,b:1/u"),
        ({"user": "u", "host": "::1", "port": "1"}, "postgresql://u@[::1]:1/u"),
        ({"user": "u", "hostaddr": "10.0.0.1"}, "postgresql://u@10.0.0.1:5432/u"),
        ({"service": "production"}, "service production"),
    ],
)
def test_a_database_is_described_as_a_url(keywords: dict[str, str], shown: str) -> None:
    assert describe(keywords) == shown


def test_a_service_of_the_environment_does_not_hide_a_host_that_was_named(
    clean_environment: pytest.MonkeyPatch,
) -> None:
    clean_environment.setenv("PGSERVICE", "production")
    assert describe({"user": "u", "host": "h"}) == "postgresql://u@h:5432/u"
    assert describe({"user": "u"}) == "service production"


# --- What is refused ---------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        (
            "",
            "--url is empty",
            "give a URL such as postgresql://user@host:5432/database",
        ),
        (
            "mysql://u:hunter2@h/db",
            "--url has the scheme 'mysql', not postgresql",
            "agentdb administers PostgreSQL: postgresql://user@host:5432/database",
        ),
        (
            "postgresl://u@h/db",
            "--url has the scheme 'postgresl', not postgresql; did you mean 'postgresql'?",
            "agentdb administers PostgreSQL: postgresql://user@host:5432/database",
        ),
        (
            "jdbc:postgresql://h/db",
            "--url has the scheme 'jdbc:postgresql', not postgresql; did you mean 'postgresql'?",
            "agentdb administers PostgreSQL: postgresql://user@host:5432/database",
        ),
        (
            "my/database",
            "--url is neither a URL nor a conninfo string: my/database",
            "write postgresql://user@host:5432/database or 'host=… dbname=…'",
        ),
        (
            "u:hunter2@h/db?x=y",
            "--url is neither a URL nor a conninfo string: u:***@h/db?x=y",
            "write postgresql://user@host:5432/database or 'host=… dbname=…'",
        ),
        (
            "postgresql://u:hun@ter2@h/db",
            "--url has an @, / or : in user or password that is not percent-encoded: "
            "postgresql://u:***@h/db",
            ENCODE,
        ),
        (
            "postgresql://u:hun/ter2@h/db",
            "--url has an @, / or : in user or password that is not percent-encoded: "
            "postgresql://u:***@h/db",
            ENCODE,
        ),
        (
            "postgresql://me@corp.com:hunter2@h/db",
            "--url has an @, / or : in user or password that is not percent-encoded: "
            "postgresql://me@corp.com:***@h/db",
            ENCODE,
        ),
        (
            "postgresql://u:hunter2/db",
            "--url has no number for a port, or no @ after the password: postgresql://u:***",
            f"write postgresql://user:password@host:5432/database; {ENCODE}",
        ),
        (
            "postgresql://u:100%@h/db",
            "--url cannot be read as a connection string: postgresql://u:***@h/db",
            "in a URL write @ as %40, / as %2F, : as %3A, % as %25, a space as %20; "
            "in a conninfo string put a value with spaces in single quotes",
        ),
        (
            "postgresql://u:%ff@h/db",
            "--url cannot be read as a connection string: postgresql://u:***@h/db",
            "in a URL write @ as %40, / as %2F, : as %3A, % as %25, a space as %20; "
            "in a conninfo string put a value with spaces in single quotes",
        ),
        (
            "postgresql://h/db?sslmod=require",
            "--url has an unknown parameter 'sslmod'; did you mean 'sslmode'?",
            "parameters are libpq's: sslmode, connect_timeout, target_session_attrs, …",
        ),
        (
            "host=h databse=db",
            "--url has an unknown parameter 'databse'",
            "parameters are libpq's: sslmode, connect_timeout, target_session_attrs, …",
        ),
        (
            "host=h password=hun ter2=x",
            "--url cannot be read as a connection string: host=h password=***",
            "in a URL write @ as %40, / as %2F, : as %3A, % as %25, a space as %20; "
            "in a conninfo string put a value with spaces in single quotes",
        ),
        (
            "host=h port=http",
            "--url has the port 'http'",
            "a port is a number from 1 to 65535",
        ),
        (
            "postgresql://h:70000/db",
            "--url has the port '70000'",
            "a port is a number from 1 to 65535",
        ),
    ],
)
def test_a_wrong_one_is_refused_with_the_way_to_mend_it(url: str, message: str, hint: str) -> None:
    error = refusal(url)
    assert error.message == message
    assert error.hint == hint
    assert error.exit_code == 2


# --- No password is ever shown -----------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql+psycopg://u:hunter2@h/db", "postgresql+psycopg://u:***@h/db"),
        ("postgresql://u:hun@ter/2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:hunter2", "postgresql://u:***"),
        ("postgresql://u@h:hunter2", "postgresql://u@h:***"),
        ("postgresql://:hunter2@h/db", "postgresql://:***@h/db"),
        ("u:hunter2@h/db", "u:***@h/db"),
        ("u://hunter2@h/db", "u:***@h/db"),
        ("'postgresql://u:hunter2@h/db", "'postgresql://u:***@h/db"),
        ("postgresql://h/db?password=hun&ter2", "postgresql://h/db?password=***"),
        (
            "postgresql://h/db?password=hunter2&sslmode=require",
            "postgresql://h/db?password=***&sslmode=require",
        ),
        ("host=h password=hunter2 dbname=db", "host=h password=*** dbname=db"),
        ("host=h password = hunter2", "host=h password = ***"),
        ("password='hun ter\\'2' host=h", "password=*** host=h"),
        ("password='hun ter2 host=h", "password=***"),
        ("password=hun&ter 2 host=h", "password=*** host=h"),
        ("host=h sslpassword=hunter2", "host=h sslpassword=***"),
        ("host=h oauth_client_secret=hunter2", "host=h oauth_client_secret=***"),
        ("host=h PASSWORD=hunter2", "host=h PASSWORD=***"),
        ("host=h pwd=hunter2", "host=h pwd=***"),
        # and nothing else is hidden
        ("host=h passfile=/etc/pgpass", "host=h passfile=/etc/pgpass"),
        ("postgresql://u@h:5432/db", "postgresql://u@h:5432/db"),
        ("postgresql://u@[::1]:5432/db", "postgresql://u@[::1]:5432/db"),
        ("postgresql://a:1,b:2/db", "postgresql://a:1,b:2/db"),
        ("postgresql:///db?host=/run", "postgresql:///db?host=/run"),
    ],
)
def test_a_password_is_masked(url: str, shown: str) -> None:
    assert mask(url) == shown


# Characters that end a password too early for one reader or another.
NASTY = st.text(st.sampled_from("abXY09@/:?#%&=+ '\"\\[],;$é\t"), min_size=4, max_size=24)
SHAPES = st.sampled_from(
    [
        "postgresql://keeper:{}@db.example:5432/main",
        "postgresql://keeper:{}@db.example:5432/main?sslmode=require",
        "postgres+asyncpg://keeper:{}@db.example/main?ssl=require",
        "postgresql://keeper:{}@[fd00::7]:5432/main",
        "postgresql://me@corp.example:{}@db.example/main",
        "postgresql://db.example/main?password={}",
        "postgresql://db.example/main?user=keeper&password={}&sslmode=require",
        "keeper:{}@db.example:5432/main",
        '"postgresql://keeper:{}@db.example/main"',
        "mysql://keeper:{}@db.example/main",
        "host=db.example password={} dbname=main",
        "host=db.example dbname=main password={}",
        "password = {} host=db.example",
        "host=db.example pwd={}",
    ]
)


@settings(deadline=None)
@given(password=NASTY, shape=SHAPES)
@example(password="1234/567", shape="postgresql://keeper:{}@db.example:5432/main")
@example(password="123?4=5/6", shape="postgresql://keeper:{}@db.example:5432/main")
@example(password="ab cd=ef", shape="host=db.example password={} dbname=main")
@example(password="ab'cd ef", shape="host=db.example password={} dbname=main")
def test_no_text_about_a_url_holds_its_password(password: str, shape: str) -> None:
    password = password.strip()
    assume(len(password) >= 4)
    assume(password not in shape)
    url = shape.format(password)
    assert password not in mask(url)
    try:
        target = from_url("--url", "command line", url)
        shown = [str(target), repr(target), describe(parameters(target))]
    except SettingsError as error:
        shown = [error.message, error.hint or "", str(error.__cause__ or "")]
    assert password not in "\n".join(shown)


@settings(deadline=None)
@given(password=NASTY, shape=SHAPES)
def test_not_even_a_piece_of_a_password_is_shown(password: str, shape: str) -> None:
    """A password of which no four characters in a row stand elsewhere leaks no four of them."""
    password = f"{password.strip()}Zq{password.strip()[::-1]}"
    elsewhere = f"{shape} {ENCODE} postgresql://user:password@host:5432/database"
    pieces = {password[i : i + 4] for i in range(len(password) - 3)}
    pieces = {piece for piece in pieces if piece not in elsewhere}
    url = shape.format(password)
    try:
        target = from_url("--url", "command line", url)
        shown = "\n".join([mask(url), str(target), describe(parameters(target))])
    except SettingsError as error:
        shown = f"{mask(url)}\n{error.message}\n{error.hint}"
    assert not [piece for piece in pieces if piece in shown]
