"""`agentdb agents` on every pack: exact numbers of known rows, and what cannot be read."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import IN_CI, SERVERS, Database, Result

from agentdb_cli import app, packs
from agentdb_cli.commands.agents.programs import COLUMNS
from agentdb_cli.monitoring import naming
from agentdb_cli.monitoring.agents import TABLES
from agentdb_cli.monitoring.agents.reading import Reader
from agentdb_cli.postgres.queries import query
from generator import fill

Cli = Callable[..., Result]
Packed = Callable[[str, str], Database]
Row = dict[str, object]

PACKS = ("agentdb", "automagik", "background-agents", "gathering", "openagent", "project-2501")
TELEMETRY = ("agentdb", "background-agents")
"""The packs that have heartbeats, events, messages and help requests."""
SERVERS_OF_ALL = [(pack, major) for pack in PACKS for major in ("18", "15")]
SERVERS_OF_TELEMETRY = [(pack, major) for pack in TELEMETRY for major in ("18", "15")]


# --- Databases ---------------------------------------------------------------------


def _url(major: str, name: str) -> str:
    return f"postgresql://postgres@/{name}?host={SERVERS / f'pg{major}' / 'run'}&port=5432"


@pytest.fixture(scope="module")
def templates(
    servers: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], str]]:
    """Makes a migrated database to be copied, once a pack and server; gives its name."""
    made: list[tuple[str, str]] = []

    def make(pack: str, major: str) -> str:
        if major not in servers:
            if IN_CI:
                pytest.fail(f"PostgreSQL {major} must be installed in CI")
            pytest.skip(f"no PostgreSQL {major} on this machine")
        name = f"agents-{pack}"
        if (major, name) not in made:
            with psycopg.connect(_url(major, "postgres"), autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}"')
            made.append((major, name))
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path_factory.mktemp("migrate"))
                given = ["-q", "--skip-unavailable", "-d", _url(major, name), "--pack", pack]
                assert app.execute(["migrate", *given]) == 0
        return name

    yield make
    for major, name in made:
        with psycopg.connect(_url(major, "postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}"')


_NUMBER = itertools.count()


@pytest.fixture
def packed(templates: Callable[[str, str], str]) -> Iterator[Packed]:
    """Makes a database with the empty tables of a pack."""
    made: list[tuple[str, Database]] = []

    def make(pack: str, major: str) -> Database:
        template, name = templates(pack, major), f"agents_{next(_NUMBER)}"
        with psycopg.connect(_url(major, "postgres"), autocommit=True) as administrator:
            administrator.execute(f'CREATE DATABASE {name} TEMPLATE "{template}"')
        connection = psycopg.connect(_url(major, name), autocommit=True)
        made.append((name, Database(connection, _url(major, name), int(major))))
        return made[-1][1]

    yield make
    for name, database in made:
        database.connection.close()
        url = _url(str(database.major), "postgres")
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


# The same statements for the two packs with telemetry.
NAMES = {
    "agentdb": {
        "AGENTS (": "agent.agents (", "KEY": "id", "HEARTBEATS": "telemetry.heartbeats",
        "METRICS": "telemetry.metrics", "EVENTS": "telemetry.events",
        "MESSAGES": "telemetry.agent_messages", "CALLS": "telemetry.llm_calls",
        "MOMENT": "occurred_at", "REQUESTS": "help.requests",
        "REQUEST_KEY": "id", "USER": "external_user_id", "RESPONSES": "help.responses",
        "RESPONSE_COLUMNS": "request_id, agent_id, content", "RESPONSE": "",
    },
    "background-agents": {
        "AGENTS (": "agents (", "KEY": "agent_id", "HEARTBEATS": "agent_heartbeats",
        "METRICS": "performance_metrics", "EVENTS": "system_events",
        "MESSAGES": "agent_communications", "CALLS": "llm_conversations",
        "MOMENT": "timestamp", "REQUESTS": "help_requests",
        "REQUEST_KEY": "request_id", "USER": "user_id", "RESPONSES": "help_responses",
        "RESPONSE_COLUMNS": "request_id, agent_id, content, response_id", "RESPONSE": ", 'r'",
    },
}  # fmt: skip

# fine: all well. silent: 10 minutes without a heartbeat. broken: in an error state, of which its
# heartbeats spoke for the first time 4 minutes ago. stopped: two days ago.
TELEMETRY_ROWS = """
INSERT INTO AGENTS (KEY, state, started_at, stopped_at) VALUES
    ('fine', 'running', now() - interval '2 hours', NULL),
    ('silent', 'running', now() - interval '3 hours', now() - interval '4 hours'),
    ('broken', 'failed', now() - interval '1 day', NULL),
    ('stopped', 'stopped', now() - interval '3 days', now() - interval '2 days');
INSERT INTO HEARTBEATS (agent_id, MOMENT, state, error_count)
    SELECT 'fine', now() - interval '60 seconds' * i - interval '5 seconds', 'running', 9 - i / 30
    FROM generate_series(0, 100) AS i;
INSERT INTO HEARTBEATS (agent_id, MOMENT, state, error_count)
    SELECT 'silent', now() - interval '60 seconds' * i - interval '30 seconds', 'running', 0
    FROM generate_series(9, 100) AS i WHERE i NOT BETWEEN 20 AND 22;
INSERT INTO HEARTBEATS (agent_id, MOMENT, state)
    SELECT 'broken', now() - interval '60 seconds' * i,
           CASE WHEN i < 4 THEN 'failed' ELSE 'running' END
    FROM generate_series(0, 10) AS i;
INSERT INTO METRICS (agent_id, metric_name, value, MOMENT)
    SELECT 'fine', 'cpu_usage', i, now() - interval '150 seconds' * i - interval '75 seconds'
    FROM generate_series(0, 23) AS i WHERE i NOT IN (3, 4);
INSERT INTO METRICS (agent_id, metric_name, value, MOMENT) VALUES
    ('fine', 'response_time', 0.5, now() - interval '75 seconds'),
    ('fine', 'cpu_usage', 1000, now() - interval '61 minutes');
INSERT INTO EVENTS (event_type, event_data, agent_id, severity, MOMENT) VALUES
    ('task_failed', '{"task": 7}', 'silent', 'ERROR', now() - interval '5 minutes'),
    ('task_failed', '{"task": 8}', 'silent', 'CRITICAL', now() - interval '50 minutes'),
    ('task_failed', '{"task": 9}', 'silent', 'ERROR', now() - interval '61 minutes'),
    ('task_done', NULL, 'silent', 'INFO', now() - interval '1 minute'),
    ('disk_full', NULL, NULL, 'FATAL', now() - interval '2 minutes');
INSERT INTO MESSAGES (from_agent, to_agent, message_type, MOMENT)
    SELECT 'fine', 'silent', 'request', now() - interval '1 minute' * i
    FROM generate_series(1, 7) AS i;
INSERT INTO MESSAGES (from_agent, to_agent, message_type, MOMENT) VALUES
    ('silent', 'fine', 'response', now() - interval '2 minutes'),
    ('silent', 'everybody', 'notice', now() - interval '3 minutes'),
    ('silent', 'fine', 'response', now() - interval '2 hours');
INSERT INTO CALLS (conversation_id, agent_id, prompt, model, tokens_used, cost, MOMENT) VALUES
    ('c1', 'fine', 'p', 'big', 100, 0.1, now() - interval '1 second'),
    ('c1', 'fine', 'p', 'big', 200, 0.2, now() - interval '1 second'),
    ('c2', 'fine', 'p', 'big', NULL, NULL, now() - interval '1 second'),
    ('c2', 'silent', 'p', 'small', 5, 0.00000000000000000001, now() - interval '1 second'),
    ('c3', 'fine', 'p', 'big', 1, 1, (now() AT TIME ZONE 'UTC')::date::timestamp
         AT TIME ZONE 'UTC' - interval '1 microsecond'),
    ('c3', 'fine', 'p', 'big', 1, 1, now() - interval '40 days');
INSERT INTO REQUESTS (REQUEST_KEY, USER, content, status, created_at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'u', '?', 'pending', now() - interval '3 hours'),
    ('00000000-0000-0000-0000-000000000002', 'u', '?', 'in_progress', now() - interval '2 hours'),
    ('00000000-0000-0000-0000-000000000003', 'u', '?', 'answered', now() - interval '9 hours');
INSERT INTO RESPONSES (RESPONSE_COLUMNS) VALUES
    ('00000000-0000-0000-0000-000000000002', 'fine', '!'RESPONSE);
"""


def telemetry(packed: Packed, pack: str, major: str) -> Database:
    """A database of one of the two packs with telemetry."""
    text = TELEMETRY_ROWS
    for name in sorted(NAMES[pack], key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(name)}", NAMES[pack][name], text)
    database = packed(pack, major)
    database.execute(text)
    return database


def look(cli: Cli, database: Database, pack: str, *arguments: str) -> object:
    """What `agentdb agents -f json` says, which has to succeed without a word."""
    result = cli("agents", "-d", database.url, "--pack", pack, "-f", "json", *arguments)
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def near(moment: object, database: Database, ago: str) -> bool:
    """Whether a time is `ago`, give or take the seconds that the test took."""
    expected = database.value("SELECT now() - %s::interval", ago)
    assert isinstance(expected, datetime)
    return abs(datetime.fromisoformat(str(moment)) - expected) < timedelta(seconds=20)


# --- All packs ---------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_ALL)
def test_empty_tables(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = packed(pack, major)
    result = cli("agents", "-d", database.url, "--pack", pack)
    assert (result.code, result.err) == (0, "")
    if pack == "openagent":
        assert result.out.startswith(
            "the pack openagent names no agents; "
            "[agents] in agentdb.toml can name a table of your own\n"
        )
        return
    assert result.out.startswith("no agents; ")
    says_so = "no heartbeats in this pack: nothing tells whether an agent is alive" in result.out
    assert says_so == (pack not in TELEMETRY)
    assert look(cli, database, pack) == []


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_ALL)
def test_generated_rows(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = packed(pack, major)
    fill(database.connection, 100)
    result = cli("agents", "-d", database.url, "--pack", pack)
    assert (result.code, result.err) == (0, "")
    if pack == "openagent":
        return
    rows = look(cli, database, pack, "--window", "2d")
    assert isinstance(rows, list)
    keys = {"gathering": "agent.agents", "agentdb": "agent.agents", "project-2501": "personas"}
    assert len(rows) == database.value(f"SELECT count(*) FROM {keys.get(pack, 'agents')}")
    one = look(cli, database, pack, str(rows[0]["agent"]))
    assert isinstance(one, dict)
    assert one["agent"] == rows[0]["agent"]
    people = cli("agents", rows[0]["agent"], "-d", database.url, "--pack", pack)
    assert (people.code, people.err) == (0, "")
    assert re.search(r"^trouble +\S", people.out, re.MULTILINE)


def test_openagent_has_no_agents_for_programs(cli: Cli, packed: Packed) -> None:
    database = packed("openagent", "18")
    result = cli("agents", "-d", database.url, "--pack", "openagent", "-f", "json")
    assert result == Result(
        1,
        "",
        "error: there are no agents to show: the pack openagent names none\n"
        "hint: --show costs and others may have something; "
        "[agents] in agentdb.toml names a table of your own\n",
    )


# --- Telemetry ---------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_TELEMETRY)
def test_the_list(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = telemetry(packed, pack, major)
    rows = look(cli, database, pack)
    assert isinstance(rows, list)
    assert [row["agent"] for row in rows] == ["broken", "silent", "fine", "stopped"]
    assert all(tuple(row) == COLUMNS["agents"] for row in rows)
    broken, silent, fine, stopped = rows

    assert fine["troubles"] == ["new_errors"]
    assert (fine["state"], fine["missed"], fine["errors"]) == ("running", 0, 0)
    assert 7200 <= fine["uptime"] < 7220
    assert near(fine["last_heartbeat"], database, "5 seconds")
    assert (fine["error_count"], fine["new_errors"]) == (9, 1)
    assert (fine["sent"], fine["received"], fine["open_requests"]) == (7, 1, 1)
    assert (fine["calls"], fine["tokens"], fine["cost"]) == (3, 300, 0.3)
    assert fine["calls_without_cost"] == 1
    assert (fine["metric"], fine["last"], len(fine["samples"])) == ("cpu_usage", 0, 24)

    assert silent["troubles"] == ["silent", "error_events"]
    assert silent["missed"] == 9
    assert near(silent["since"], database, "570 seconds")
    assert (silent["errors"], silent["sent"], silent["received"]) == (2, 2, 7)
    assert near(silent["last_error_at"], database, "5 minutes")
    assert (silent["metric"], silent["samples"]) == (None, None)

    assert broken["troubles"] == ["error_state"]
    assert near(broken["since"], database, "4 minutes")
    assert (broken["uptime"], broken["missed"]) == (None, None)
    assert (broken["calls"], broken["tokens"], broken["cost"]) == (0, None, None)

    assert stopped["troubles"] == []
    assert near(stopped["state_since"], database, "2 days")
    assert (stopped["uptime"], stopped["missed"], stopped["last_heartbeat"]) == (None,) * 3


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_TELEMETRY)
def test_one_agent(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = telemetry(packed, pack, major)
    fine = look(cli, database, pack, "fine")
    assert isinstance(fine, dict)
    assert [metric["metric"] for metric in fine["metrics"]] == ["cpu_usage", "response_time"]
    cpu = fine["metrics"][0]
    assert (cpu["count"], cpu["last"], cpu["lowest"], cpu["highest"]) == (22, 0, 0, 23)
    assert cpu["mean"] == pytest.approx((sum(range(24)) - 7) / 22)
    expected = [None if value in (3, 4) else value for value in range(23, -1, -1)]
    assert cpu["samples"] == expected
    assert [(row["sender"], row["receiver"], row["messages"]) for row in fine["messages"]] == [
        ("fine", "silent", 7),
        ("silent", "fine", 1),
    ]
    assert [row["status"] for row in fine["help_requests"]] == ["in_progress"]
    assert (fine["gaps"], fine["error_events"], fine["errors"]) == ([], [], 0)

    silent = look(cli, database, pack, "silent")
    assert isinstance(silent, dict)
    assert [(gap["silent_until"] is None, gap["missed"]) for gap in silent["gaps"]] == [
        (True, 9),
        (False, 3),
    ]
    assert [(row["severity"], json.loads(row["message"])) for row in silent["error_events"]] == [
        ("ERROR", {"task": 7}),
        ("CRITICAL", {"task": 8}),
    ]
    assert {row["type"] for row in silent["error_events"]} == {"task_failed"}
    assert [(row["model"], row["calls"], row["tokens"]) for row in silent["costs"]] == [
        ("small", 1, 5)
    ]
    assert silent["help_requests"] == []


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_TELEMETRY)
def test_costs_by_day_and_model(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = telemetry(packed, pack, major)
    given = "agents", "-d", database.url, "--pack", pack, "--show", "costs", "-f", "csv"
    # The session's time zone is nothing to the days, which are in UTC.
    url = f"{database.url}&options=-c%20TimeZone%3DPacific/Auckland"
    result = cli(*given, "-d", url)
    today, yesterday = database.execute(
        "SELECT d::text FROM unnest(ARRAY[0, 1]) AS i, LATERAL"
        " (SELECT (now() AT TIME ZONE 'UTC')::date - i AS d) AS day"
    )
    assert result == Result(
        0,
        ",".join(COLUMNS["costs"]) + "\n"
        f"{today[0]},big,2,3,300,0.3,1,1\n"
        f"{today[0]},small,1,1,5,0.00000000000000000001,0,0\n"
        f"{yesterday[0]},big,1,1,1,1,0,0\n",
        "",
    )
    assert len(cli(*given, "--days", "1").out.splitlines()) == 3
    assert cli(*given, "--days", "60").out.splitlines()[-1].endswith(",big,1,1,1,1,0,0")


def test_what_people_see(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    out = cli("agents", "-d", database.url).out
    lines = out.splitlines()
    assert re.fullmatch(
        r"4 agents: 2 failed or silent, 1 with errors, 1 well; "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, errors, metrics and messages within 1 h",
        lines[0],
    )
    assert lines[1] == "errors of the system or of agents not registered: 1; --show errors"
    table = lines[3:8]
    assert re.match(
        r"agent +state +uptime +heartbeat +missed +errors +trouble +cpu_usage", table[0]
    )
    assert re.match(r"broken +failed .* state failed for [45] min \d\d s ", table[1])
    assert re.search(r"silent for 9 min \d\d s; 2 errors, the last 5 min \d\d s ago", table[2])
    assert re.search(r" 1 more by its own count +█+▇▇[▁-█]+··[▁-█]+ 0 +7 +1 ", table[3])
    assert "0.3 + 1 unknown" in table[3]
    assert re.match(r"stopped +stopped +never +0 ", table[4])
    assert "language models, 7 days (UTC)" in lines
    assert re.search(
        r"^all: 5 calls, 306 tokens, 1 call without tokens, "
        r"cost 1\.30000000000000000001, 1 call without cost$",
        out,
        re.MULTILINE,
    )
    assert re.search(
        r"^open help requests: 2, the oldest .* UTC, 3 h 00 min ago$", out, re.MULTILINE
    )


def test_what_people_see_of_one_agent(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "background-agents", "15")
    out = cli("agents", "silent", "-d", database.url, "--pack", "background-agents").out
    record, *parts = out.split("\n\n")
    assert [line.split("  ")[0] for line in record.splitlines()] == [
        "agent", "trouble", "state", "last heartbeat", "missed", "errors",
        "own count of errors", "messages",
    ]  # fmt: skip
    assert re.search(r"^missed +9$", record, re.MULTILINE)
    assert re.search(r"^errors +2 within 1 h, the last .* 5 min \d\d s ago$", record, re.MULTILINE)
    assert re.search(r"^messages +2 sent, 7 received within 1 h$", record, re.MULTILINE)
    assert [part.splitlines()[0] for part in parts] == [
        "heartbeats missing within 1 h",
        "errors within 1 h",
        "metrics within 1 h: none",
        "messages within 1 h",
        "language models, 7 days (UTC)",
        "open help requests that it answered: none",
    ]
    assert "  now  " in parts[0]


@pytest.mark.parametrize(
    ("show", "rows"),
    [("agents", 4), ("errors", 3), ("metrics", 2), ("messages", 3), ("costs", 3), ("help", 2)],
)
def test_every_part_in_every_format(cli: Cli, packed: Packed, show: str, rows: int) -> None:
    database = telemetry(packed, "agentdb", "18")
    given = "agents", "-d", database.url, "--show", show, "-f"
    as_json = json.loads(cli(*given, "json").out)
    assert [tuple(row) for row in as_json] == [COLUMNS[show]] * rows
    as_jsonl = [json.loads(line) for line in cli(*given, "jsonl").out.splitlines()]
    for row in (*as_json, *as_jsonl):
        row.pop("uptime", None)  # it goes on
    assert as_jsonl == as_json
    header, *lines = csv.reader(io.StringIO(cli(*given, "csv").out))
    assert (tuple(header), len(lines)) == (COLUMNS[show], rows)
    assert len(cli(*given, "plain").out.splitlines()) == rows
    people = cli(*given, "table")
    assert (people.code, people.err) == (0, "")


def test_the_metric_can_be_chosen(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    rows = look(cli, database, "agentdb", "--metric", "response_time")
    assert isinstance(rows, list)
    assert {row["agent"]: row["last"] for row in rows if row["metric"]} == {"fine": 0.5}


def test_a_shorter_window(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    rows = look(cli, database, "agentdb", "--window", "10min")
    assert isinstance(rows, list)
    silent = rows[1]
    assert (silent["agent"], silent["errors"], silent["received"]) == ("silent", 1, 7)


@pytest.mark.parametrize("window", ["0", "500ms", "soon", "-1h"])
def test_a_window_that_is_none(cli: Cli, window: str) -> None:
    result = cli("agents", f"--window={window}")
    assert result.code == 2
    assert result.err.startswith("error: --window must be ")


# --- The other packs ---------------------------------------------------------------


def test_gathering(cli: Cli, packed: Packed) -> None:
    database = packed("gathering", "18")
    database.execute("""
        INSERT INTO agent.agents (name, status) VALUES
            ('Ada', 'busy'), ('Bob', 'error'), ('Bob', 'idle');
        INSERT INTO conversation.conversations (title) VALUES ('a'), ('b');
        INSERT INTO conversation.messages (conversation_id, agent_id, role, content, created_at)
        VALUES (1, 1, 'assistant', '!', now()), (1, 1, 'assistant', '!', now()),
               (2, 1, 'assistant', '!', now()), (2, NULL, 'user', '?', now());
    """)
    rows = look(cli, database, "gathering")
    assert isinstance(rows, list)
    assert [(row["agent"], row["name"], row["state"], row["troubles"]) for row in rows] == [
        ("2", "Bob", "error", ["error_state"]),
        ("1", "Ada", "busy", []),
        ("3", "Bob", "idle", []),
    ]
    assert [row["calls"] for row in rows] == [0, 3, 0]
    for name in ("uptime", "last_heartbeat", "missed", "errors", "sent", "tokens", "open_requests"):
        assert [row[name] for row in rows] == [None] * 3
    (costs,) = json.loads(json.dumps(look(cli, database, "gathering", "--show", "costs")))
    assert (costs["conversations"], costs["calls"]) == (2, 3)
    assert (costs["model"], costs["tokens"], costs["calls_without_cost"]) == (None, None, None)
    ada = look(cli, database, "gathering", "Ada")
    assert isinstance(ada, dict)
    assert (ada["agent"], ada["calls"], ada["gaps"], ada["metrics"]) == ("1", 3, None, None)
    people = cli("agents", "Ada", "-d", database.url, "--pack", "gathering").out
    assert re.search(r"^last heartbeat +the pack names no heartbeats$", people, re.MULTILINE)
    assert cli("agents", "Bob", "-d", database.url, "--pack", "gathering") == Result(
        1, "", "error: 2 agents are called 'Bob'\nhint: name one by its key: 2, 3\n"
    )
    assert cli("agents", "-d", database.url, "--pack", "gathering", "--show", "messages") == Result(
        1,
        "",
        "error: there are no messages to show: the pack gathering names none\n"
        "hint: tables of your own can be named in agentdb.toml\n",
    )


def test_openagent(cli: Cli, packed: Packed) -> None:
    database = packed("openagent", "18")
    database.execute("""
        INSERT INTO conversations (channel_id, user_id) VALUES ('c', 'u');
        INSERT INTO messages (conversation_id, role, content, model, tokens_used)
        SELECT c.id, m.role, 't', m.model, m.tokens FROM conversations AS c,
            (VALUES ('assistant', 'big', 10), ('assistant', 'big', NULL), ('user', NULL, NULL))
            AS m (role, model, tokens);
    """)
    (costs,) = json.loads(json.dumps(look(cli, database, "openagent", "--show", "costs")))
    del costs["day"]
    assert costs == {
        "model": "big", "conversations": 1, "calls": 2, "tokens": 10, "cost": None,
        "calls_without_tokens": 1, "calls_without_cost": None,
    }  # fmt: skip
    out = cli("agents", "-d", database.url, "--pack", "openagent").out
    assert out.splitlines()[-1] == "all: 2 calls, 10 tokens, 1 call without tokens"


@pytest.mark.parametrize("major", ["18", "15"])
def test_project_2501(cli: Cli, packed: Packed, major: str) -> None:
    database = packed("project-2501", major)
    zone = "Pacific/Auckland"
    database.execute("SET TimeZone = 'Pacific/Auckland'")
    database.execute("""
        INSERT INTO personas (id, name, template, is_active) VALUES
            ('00000000-0000-0000-0000-000000000001', 'Old', '', false),
            ('00000000-0000-0000-0000-000000000002', 'Zoe', '', true);
        INSERT INTO conversations (id, title, persona_id, provider_type) VALUES
            ('00000000-0000-0000-0000-000000000009', 't',
             '00000000-0000-0000-0000-000000000002', 'ollama');
        INSERT INTO messages (id, conversation_id, role, content, input_tokens, output_tokens,
                              created_at)
        SELECT gen_random_uuid(), '00000000-0000-0000-0000-000000000009', role, '', i, o,
               localtimestamp
        FROM (VALUES ('assistant', 100, 20), ('assistant', NULL, 3), ('assistant', NULL, NULL),
                     ('user', 50, NULL)) AS m (role, i, o);
    """)
    # Without a time zone: what the session says is now must be now, and the day that of UTC.
    url = f"{database.url}&options=-c%20TimeZone%3D{zone}"
    result = cli("agents", "-d", url, "--pack", "project-2501", "-f", "json")
    assert (result.code, result.err) == (0, "")
    rows = json.loads(result.out)
    assert [(row["name"], row["state"], row["calls"], row["tokens"]) for row in rows] == [
        ("Zoe", "active", 3, 123),
        ("Old", "inactive", 0, None),
    ]
    result = cli("agents", "Zoe", "-d", url, "--pack", "project-2501", "-f", "json")
    (costs,) = json.loads(result.out)["costs"]
    assert costs == {
        "day": database.value("SELECT ((now() AT TIME ZONE 'UTC')::date)::text"),
        "model": "ollama", "conversations": 1, "calls": 3, "tokens": 123, "cost": None,
        "calls_without_tokens": 1, "calls_without_cost": None,
    }  # fmt: skip


@pytest.mark.parametrize("major", ["18", "15"])
def test_automagik(cli: Cli, packed: Packed, major: str) -> None:
    database = packed("automagik", major)
    database.execute("""
        INSERT INTO agents (agent_id, name, is_active) VALUES
            ('a', 'Retired', false), ('b', 'At work', true);
        INSERT INTO performance_metrics (agent_id, metric_name, value) VALUES
            ('b', 'ms', 1.5), ('b', 'ms', 2.5), (NULL, 'pool', 1), (NULL, 'pool', 1),
            (NULL, 'pool', 1);
    """)
    rows = look(cli, database, "automagik")
    assert isinstance(rows, list)
    assert [(row["agent"], row["state"], row["metric"]) for row in rows] == [
        ("b", "active", "ms"),
        ("a", "inactive", None),
    ]
    assert rows[0]["samples"] == [None] * 23 + [2.0]
    shown = look(cli, database, "automagik", "--show", "metrics")
    assert isinstance(shown, list)
    assert [(row["agent"], row["count"], row["mean"]) for row in shown] == [
        ("b", 2, 2.0),
        (None, 3, 1.0),
    ]


# --- What cannot be read, and who is not there -------------------------------------


def test_an_unknown_agent(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    assert cli("agents", "silnt", "-d", database.url) == Result(
        1,
        "",
        "error: there is no agent 'silnt'; did you mean 'silent'?\n"
        "hint: agentdb agents lists them\n",
    )


def test_a_database_without_such_tables(cli: Cli, database: Database) -> None:
    for arguments in ((), ("somebody",), ("-f", "json")):
        assert cli("agents", "-d", database.url, *arguments) == Result(
            1,
            "",
            'error: the tables of the agents are not in this database: relation "agent.agents"'
            " does not exist\n"
            "hint: agentdb init --discover finds out what it has; "
            "agentdb migrate creates a pack's\n",
        )


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_TELEMETRY)
def test_a_missing_table(cli: Cli, packed: Packed, pack: str, major: str) -> None:
    database = telemetry(packed, pack, major)
    table = {"agentdb": "telemetry.llm_calls", "background-agents": "llm_conversations"}[pack]
    database.execute(f"DROP TABLE {table}")
    result = cli("agents", "-d", database.url, "--pack", pack, "-f", "json")
    missing = f'relation "{table}" does not exist'
    assert (result.code, result.err) == (0, f"warning: costs could not be read: {missing}\n")
    rows = json.loads(result.out)
    assert [row["calls"] for row in rows] == [None] * 4
    assert [row["errors"] for row in rows] == [0, 2, 0, 0]
    result = cli("agents", "-d", database.url, "--pack", pack, "--show", "costs", "-f", "csv")
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(f"error: there are no costs to show: {missing}\n")


def test_a_role_that_may_not_read_all(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    database.execute("CREATE ROLE curious")
    try:
        database.execute("GRANT USAGE ON SCHEMA agent, telemetry TO curious")
        database.execute("GRANT SELECT ON agent.agents, telemetry.heartbeats TO curious")
        url = f"{database.url}&options=-c%20role%3Dcurious"
        result = cli("agents", "-d", url, "-f", "json")
        rows = json.loads(result.out)
        assert [(row["agent"], row["missed"], row["errors"]) for row in rows] == [
            ("broken", None, None),
            ("silent", 9, None),
            ("fine", 0, None),
            ("stopped", None, None),
        ]
        assert result.err.splitlines() == [
            f"warning: {section} could not be read: not permitted: permission denied for {what}"
            for section, what in (
                ("error counts", "table events"),
                ("errors", "table events"),
                ("metrics", "table metrics"),
                ("messages", "table agent_messages"),
                ("requests", "schema help"),
                ("requests by agent", "schema help"),
                ("costs", "table llm_calls"),
            )
        ]
        database.execute("REVOKE ALL ON agent.agents FROM curious")
        result = cli("agents", "-d", url, "-q")
        assert "warning: agents could not be read: not permitted" in result.err
        assert {line.split()[0] for line in result.out.splitlines()[2:]} >= {"fine", "silent"}
    finally:
        database.execute("DROP OWNED BY curious; DROP ROLE curious")


def test_all_is_well_is_not_said_of_what_was_not_read(cli: Cli, packed: Packed) -> None:
    database = packed("agentdb", "18")
    database.execute("INSERT INTO agent.agents (id, state) VALUES ('a', 'stopped')")
    assert cli("agents", "-d", database.url).out.startswith("1 agent, no trouble seen; ")
    database.execute("DROP TABLE telemetry.events")
    assert cli("agents", "-d", database.url).out.startswith("1 agent, not all could be read; ")


def test_a_locked_table_is_not_waited_for(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    with psycopg.connect(database.url) as holder:
        holder.execute("LOCK TABLE telemetry.llm_calls")
        result = cli("agents", "-d", database.url, "--lock-timeout", "50ms", "-f", "json")
    assert (result.code, len(json.loads(result.out))) == (0, 4)
    assert result.err == (
        "warning: costs could not be read: a table is locked against reading; "
        "agentdb inspect blocking shows by whom\n"
    )


def test_a_name_that_an_agent_chose(cli: Cli, packed: Packed) -> None:
    database = packed("agentdb", "18")
    name = "\x1b[2J\x1b[1;31mred\n\tx\u202e'; DROP TABLE t; --"
    database.execute("INSERT INTO agent.agents (id, state) VALUES (%s, 'failed')", name)
    out = cli("agents", "-d", database.url).out
    assert r"\x1b[2J\x1b[1;31mred\n\tx\u202e'; DROP TABLE t; --" in out
    assert "\x1b" not in out
    rows = look(cli, database, "agentdb")
    assert isinstance(rows, list)
    assert rows[0]["agent"] == name
    one = look(cli, database, "agentdb", name)
    assert isinstance(one, dict)
    assert (one["agent"], one["troubles"]) == (name, ["error_state"])


# --- How it reads --------------------------------------------------------------------


@pytest.mark.parametrize(("pack", "major"), SERVERS_OF_TELEMETRY)
def test_an_agent_without_heartbeats_costs_no_scan(packed: Packed, pack: str, major: str) -> None:
    database, names = packed(pack, major), NAMES[pack]
    heartbeats, moment = names["HEARTBEATS"], names["MOMENT"]
    database.execute(f"""
        INSERT INTO {names["AGENTS ("]}{names["KEY"]}, state) VALUES ('a', 'running');
        INSERT INTO {names["AGENTS ("]}{names["KEY"]}, state)
            SELECT 'mute' || i, 'stopped' FROM generate_series(1, 5) AS i;
        INSERT INTO {heartbeats} (agent_id, {moment})
            SELECT 'a', now() - interval '2 hours' - interval '1 second' * i
            FROM generate_series(1, 20000) AS i;
        ANALYZE {heartbeats};
    """)
    content = packs.load(pack).content
    catalog = {name: content[name] for name in TABLES if name in content}
    reader = Reader(database.connection, catalog, {"window": 3600})
    text = naming.fill(query("agents/heartbeats"), reader.names)
    plan = "\n".join(line for (line,) in database.execute(f"EXPLAIN (ANALYZE) {text}"))
    assert sum(map(int, re.findall(r"Rows Removed by Filter: (\d+)", plan))) < 100


# --- Tables of the user's own ------------------------------------------------------


def test_heartbeats_without_a_register(cli: Cli, database: Database) -> None:
    database.execute("""
        CREATE TABLE beats (worker text, at timestamptz);
        INSERT INTO beats VALUES ('a', now()), ('b', now() - interval '5 minutes'),
            ('gone', now() - interval '1 day');
    """)
    Path("agentdb.toml").write_text(
        '[heartbeats]\ntable = "beats"\nagent_column = "worker"\ntime_column = "at"\n'
    )
    result = cli("agents", "-d", database.url, "-f", "json")
    assert (result.code, result.err) == (0, "")
    assert [(row["agent"], row["missed"], row["troubles"]) for row in json.loads(result.out)] == [
        ("b", 5, ["silent"]),
        ("a", 0, []),
    ]
    one = cli("agents", "b", "-d", database.url, "-f", "json")
    assert (one.code, one.err, json.loads(one.out)["missed"]) == (0, "", 5)


def test_a_register_of_ones_own(cli: Cli, database: Database) -> None:
    database.execute("""
        CREATE SCHEMA robots;
        CREATE TABLE robots.arms (no int PRIMARY KEY, mood text, switched_on timestamp);
        INSERT INTO robots.arms VALUES (1, 'fine', localtimestamp - interval '1 hour'),
            (2, 'sad', NULL);
    """)
    Path("agentdb.toml").write_text(
        '[agents]\ntable = "arms"\nkey = "no"\nstate_column = "mood"\n'
        'started_column = "switched_on"\nrunning_states = ["fine"]\nerror_states = ["sad"]\n'
    )
    result = cli("agents", "-d", database.url, "--schema", "robots", "-f", "json")
    assert (result.code, result.err) == (0, "")
    sad, fine = json.loads(result.out)
    assert (sad["agent"], sad["troubles"]) == ("2", ["error_state"])
    assert (fine["agent"], 3600 <= fine["uptime"] < 3620) == ("1", True)


# --- Again and again ---------------------------------------------------------------


def test_watch(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    given = ["agents", "fine", "-d", database.url, "--watch", "0.5", "-f", "jsonl"]
    with subprocess.Popen(
        [sys.executable, "-m", "agentdb_cli", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            looks = [json.loads(process.stdout.readline()) for _ in range(7)]
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert {look["agent"] for look in looks} == {"fine"}
    assert looks == sorted(looks, key=lambda look: look["at"])
    assert looks[0]["at"] < looks[6]["at"]
    assert cli("agents", "--watch", "1", "-f", "json") == Result(
        2,
        "",
        "error: --watch never ends, and json is one array\nhint: --format jsonl: a row a line\n",
    )


def test_it_only_reads(cli: Cli, packed: Packed) -> None:
    database = telemetry(packed, "agentdb", "18")
    url = f"{database.url}&options=-c%20default_transaction_read_only%3Don"
    assert cli("agents", "-d", url, "-q").code == 0
