"""What TAB offers in bash, zsh and fish: the tables below, asked of the real shells.

bash and zsh run on a pseudo-terminal and get keys, as from a person; fish
answers `complete -C`. None of them can start a program: their PATH is empty,
so whatever they offer stands in the scripts of completions/.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agentdb_cli import app, packs
from agentdb_cli.render import Format

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "completions"

COMMANDS = set(app.COMMANDS)
FORMATS = {format.value for format in Format}
PACKS = set(packs.names())
NOTHING: set[str] = set()

# --- What is offered -------------------------------------------------------------

# typed: all that is offered
EXACTLY = {
    # The commands, and those that begin like what is typed.
    "agentdb ": COMMANDS,
    "agentdb mig": {"migrate"},
    "agentdb server st": {"start", "stop", "status"},
    # Options before a command do not hide it, with their values or without.
    "agentdb -d x server st": {"start", "stop", "status"},
    "agentdb -dx server st": {"start", "stop", "status"},
    "agentdb -qd x server st": {"start", "stop", "status"},
    "agentdb --url=x server st": {"start", "stop", "status"},
    "agentdb --quiet server st": {"start", "stop", "status"},
    "agentdb -d 'host=/tmp dbname=my db' server st": {"start", "stop", "status"},
    "agentdb -d postgresql://me@db:5432/x?sslmode=require server st": {"start", "stop", "status"},
    "agentdb -d migrate server st": {"start", "stop", "status"},
    "agentdb migrate -f json sta": {"status"},
    # Values of a closed set, in each way to write them, before and after a command.
    "agentdb --format ": FORMATS,
    "agentdb -f ": FORMATS,
    "agentdb -qf ": FORMATS,
    "agentdb --format=": FORMATS,
    "agentdb --format=j": {"json", "jsonl"},
    "agentdb migrate status --format j": {"json", "jsonl"},
    "agentdb migrate status --format=j": {"json", "jsonl"},
    "agentdb --pack ": PACKS,
    "agentdb --pack=": PACKS,
    # Values that can be anything: no guesses, and no file names either.
    "agentdb --url ": NOTHING,
    "agentdb --lock-timeout=": NOTHING,
    "agentdb server start --port ": NOTHING,
    "agentdb inspect cancel ": NOTHING,
    "agentdb inspect activity --sort ": NOTHING,
    # What is no command has no sub-commands; after -- there are no options.
    "agentdb nothing ": NOTHING,
    "agentdb server psql -- --": NOTHING,
}

# typed: (some of what is offered, some of what is not)
AMONG_OTHERS = {
    "agentdb migrate ": ({"up", "status"}, {"migrate", "init", "start"}),
    "agentdb --url X migrate ": ({"up", "status"}, {"migrate", "init"}),
    "agentdb migrate --dir x --dry-run ": ({"up", "status"}, {"--dry-run"}),
    # Options are those of this command; the global ones are taken everywhere.
    "agentdb -": ({"-d", "--url", "-V", "--version", "-h"}, {"--dir", "init"}),
    "agentdb --": ({"--url", "--env", "--version", "--help"}, {"--dir", "--dry-run"}),
    "agentdb migrate --": ({"--url", "--dry-run", "--help"}, {"--check", "--version"}),
    "agentdb migrate status --": ({"--url", "--check", "--help"}, {"--dry-run", "--version"}),
    "agentdb inspect ": ({"activity", "blocking", "cancel", "kill"}, {"--list", "show"}),
    "agentdb inspect act": ({"activity"}, {"blocking"}),
    "agentdb inspect -": ({"--list", "--url"}, {"--limit"}),
    "agentdb inspect activity -": ({"-n", "--limit", "--watch", "--url"}, {"--list"}),
    "agentdb server start --": ({"--url", "--port", "--help"}, {"--lines", "--version"}),
    "agentdb server logs -": ({"-n", "--lines", "-f"}, {"--port"}),
    "agentdb server --": ({"--help", "--url"}, {"--install-completion"}),
}

# typed, with TAB where it was pressed: the arguments that agentdb gets
INSERTED = {
    "agentdb mig\t": ["migrate"],
    "agentdb mig\tsta\t--qui\t-f cs\t": ["migrate", "status", "--quiet", "-f", "csv"],
    "agentdb --format=c\tmig\t": ["--format=csv", "migrate"],
    "agentdb --env st\tmig\t": ["--env", "staging", "migrate"],
    "agentdb --config my\t": ["--config", "my settings.toml"],
    "agentdb --config=my\t": ["--config=my settings.toml"],
}

TOML = """
[environments.staging]
url = "postgresql://staging/app"

[environments.production]
url_env = "PRODUCTION_URL"

[environments.production.connection]
lock_timeout = "1s"
"""

# --- The shells ------------------------------------------------------------------


def program(shell: str) -> str:
    """The path of a shell; without it the test is skipped, but not in CI."""
    path = shutil.which(shell)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{shell} must be installed in CI")
        pytest.skip(f"no {shell} on this machine")
    return path


def environment(home: Path) -> dict[str, str]:
    """Nothing of the machine's own, and a PATH in which there are no programs."""
    return {
        "HOME": str(home),
        "PATH": str(home / "no-programs"),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "INPUTRC": os.devnull,
    }


# In place of the program: it shows the arguments that it gets.
SHOW = "agentdb() { printf '<%s>' \"$@\"; echo; }"


class Terminal:
    """An interactive bash or zsh."""

    PROMPT = "$ "
    LIST = "\x1b?"  # Alt-?: list what TAB would choose from
    ERASE = "\x01\x0b"  # Ctrl-A Ctrl-K: to the start of the line, and away with it

    def __init__(self, command: list[str], home: Path, setup: list[str]) -> None:
        self.questions = 0
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            termios.tcsetwinsize(0, (200, 200))
            os.execve(command[0], command, environment(home))
        self.answer("; ".join([f"PS1='{self.PROMPT}'", SHOW, *setup]) + "\r")

    def close(self) -> None:
        """End the shell."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def answer(self, keys: str) -> str:
        """What appears on the terminal on `keys`.

        A command typed after them prints a mark; when that has appeared, and
        the prompt, the shell has dealt with all that came before.
        """
        self.questions += 1
        mark = f"answered-{self.questions}\r\n{self.PROMPT}"
        ask = f"printf 'answered-%s\\n' {self.questions}\r"
        os.write(self.terminal, (keys + ask).encode())
        seen, end = b"", time.monotonic() + 10
        while mark.encode() not in seen:
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            assert ready, f"no answer to {keys!r}, only {seen.decode()!r}"
            seen += os.read(self.terminal, 65536)
        return seen.decode().partition(ask.rstrip("\r"))[0]

    def offers(self, typed: str) -> dict[str, str]:
        """What is listed after `typed`: name and description (in bash always empty).

        The lines of the list stand between the line typed and its repetition.
        A list that bash has surely something for is asked for first: after
        one that stayed empty it would insert a single name, not list it.
        """
        self.answer(f"ech{self.LIST}{self.ERASE}cd {shlex.quote(str(Path.cwd()))}\r")
        _, *lines = self.answer(typed + self.LIST + self.ERASE).replace("\r", "").split("\n")
        offered = {}
        for line in lines[:-1]:
            names, _, description = line.partition(" -- ")
            offered |= dict.fromkeys(re.split(r" {2,}", names.strip()), description.strip())
        return offered

    def arguments(self, typed: str) -> list[str]:
        """The arguments that agentdb gets when `typed` and Enter are pressed."""
        self.answer(f"cd {shlex.quote(str(Path.cwd()))}\r")
        return re.findall(r"<(.*?)>", self.answer(typed + "\r").splitlines()[-2])


def bash(home: Path, *more: str, scripts: Path = SCRIPTS) -> Terminal:
    """bash as it starts without any settings, and one candidate a line."""
    settings = ["completion-display-width 0", "completion-query-items 0", "page-completions off"]
    settings += ["bell-style none", "enable-bracketed-paste off"]
    setup = [f"bind 'set {setting}'" for setting in settings]
    setup += [f"source {shlex.quote(str(scripts / 'agentdb.bash'))}", *more]
    return Terminal([program("bash"), "--norc", "--noprofile", "-i"], home, setup)


def zsh(home: Path, *more: str, scripts: Path | None = SCRIPTS) -> Terminal:
    """zsh as it starts without any settings, with `scripts` in its fpath."""
    setup = ["unset zle_bracketed_paste", "unsetopt beep prompt_cr prompt_sp", "LISTMAX=1000"]
    setup += ["bindkey -e", "bindkey '^[?' list-choices"]
    setup += [f"fpath=({shlex.quote(str(scripts))} $fpath)"] if scripts else []
    setup += ["autoload -Uz compinit", "compinit -u -D", *more]
    return Terminal([program("zsh"), "-f", "-i"], home, setup)


class Fish:
    """fish, asked for its candidates in the way its manual gives for scripts."""

    def __init__(self, home: Path, scripts: Path = SCRIPTS) -> None:
        self.program, self.home, self.script = program("fish"), home, scripts / "agentdb.fish"

    def close(self) -> None:
        """Nothing to end: each question starts a fish."""

    def offers(self, typed: str) -> dict[str, str]:
        """What is listed after `typed`: name and description."""
        ask = f"source {shlex.quote(str(self.script))}; complete -C $argv[1]"
        done = subprocess.run(
            [self.program, "--no-config", "-c", ask, typed],
            env=environment(self.home), capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
        assert done.stderr == ""
        offered = dict(line.partition("\t")[::2] for line in done.stdout.splitlines())
        # fish gives the whole word, where bash and zsh show what follows the =.
        before = re.search(r"(--[a-z-]+=)\S*$", typed)
        return {
            name.removeprefix(before[1] if before else ""): text for name, text in offered.items()
        }


@pytest.fixture(scope="module")
def bash_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = bash(tmp_path_factory.mktemp("bash"))
    yield terminal
    terminal.close()


@pytest.fixture(scope="module")
def zsh_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = zsh(tmp_path_factory.mktemp("zsh"))
    yield terminal
    terminal.close()


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Terminal | Fish:
    if request.param == "fish":
        return Fish(tmp_path / "home")
    return request.getfixturevalue(f"{request.param}_terminal")


@pytest.fixture(params=["bash", "zsh"])
def terminal(request: pytest.FixtureRequest) -> Terminal:
    return request.getfixturevalue(f"{request.param}_terminal")


# --- TAB -------------------------------------------------------------------------


@pytest.mark.parametrize("typed", EXACTLY)
def test_tab_offers_exactly(shell: Terminal | Fish, typed: str) -> None:
    assert set(shell.offers(typed)) == EXACTLY[typed]


@pytest.mark.parametrize("typed", AMONG_OTHERS)
def test_tab_offers_among_others(shell: Terminal | Fish, typed: str) -> None:
    offered = set(shell.offers(typed))
    some, none = AMONG_OTHERS[typed]
    assert some <= offered
    assert not none & offered


@pytest.mark.parametrize("typed", ["agentdb --env ", "agentdb -e ", "agentdb migrate up --env="])
def test_env_is_one_of_the_nearest_settings_file(shell: Terminal | Fish, typed: str) -> None:
    assert set(shell.offers(typed)) == NOTHING
    Path("agentdb.toml").write_text(TOML)
    assert set(shell.offers(typed)) == {"staging", "production"}
    Path("deep/below").mkdir(parents=True)
    os.chdir("deep/below")
    assert set(shell.offers(typed)) == {"staging", "production"}


@pytest.mark.parametrize("between", [" ", "="])
def test_config_is_a_file_and_dir_a_directory(shell: Terminal | Fish, between: str) -> None:
    Path("staging.toml").touch()
    Path("sql").mkdir()
    assert set(shell.offers(f"agentdb --config{between}")) == {"staging.toml", "sql/"}
    assert set(shell.offers(f"agentdb --config{between}st")) == {"staging.toml"}
    assert set(shell.offers(f"agentdb migrate --dir{between}")) == {"sql/"}


@pytest.mark.parametrize("name", app.COMMANDS)
def test_zsh_and_fish_say_what_a_command_does(
    zsh_terminal: Terminal, tmp_path: Path, name: str
) -> None:
    text = app.COMMANDS[name].help.rstrip(".")
    assert zsh_terminal.offers(f"agentdb {name}")[name] == text
    assert Fish(tmp_path / "home").offers(f"agentdb {name}")[name] == text


def test_zsh_and_fish_say_what_an_inspection_shows(zsh_terminal: Terminal, tmp_path: Path) -> None:
    for shell in (zsh_terminal, Fish(tmp_path / "home")):
        assert shell.offers("agentdb inspect bloat-")["bloat-exact"] == (
            "Space that tables and B-tree indexes waste, measured by pgstattuple"
        )


@pytest.mark.parametrize("typed", INSERTED)
def test_tab_inserts(terminal: Terminal, typed: str) -> None:
    Path("agentdb.toml").write_text(TOML)
    Path("my settings.toml").touch()
    assert terminal.arguments(typed) == INSERTED[typed]


def test_bash_whose_words_do_not_end_at_an_equals_sign(tmp_path: Path) -> None:
    """Some people take = out of COMP_WORDBREAKS; then bash replaces the whole word."""
    terminal = bash(tmp_path / "home", "COMP_WORDBREAKS=${COMP_WORDBREAKS//=/}")
    assert terminal.arguments("agentdb --format=c\tmig\t") == ["--format=csv", "migrate"]
    terminal.close()


def test_zsh_that_sources_the_script(tmp_path: Path) -> None:
    """`source completions/_agentdb` does as well as a directory in fpath."""
    source = f"source {shlex.quote(str(SCRIPTS / '_agentdb'))}"
    terminal = zsh(tmp_path / "home", source, scripts=None)
    assert set(terminal.offers("agentdb ")) == COMMANDS
    terminal.close()


# --- The generator ---------------------------------------------------------------


@pytest.fixture(scope="module")
def completions() -> Iterator[ModuleType]:
    """scripts/completions as one module: its entry point, with the names of its tree."""
    directory = ROOT / "scripts" / "completions"
    sys.path.insert(0, str(directory))
    try:
        tree = importlib.import_module("tree")
        spec = importlib.util.spec_from_file_location("completions", directory / "__main__.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(directory))
    vars(module).update({name: getattr(tree, name) for name in TREE})
    yield module
    for name in ("tree", "bash", "zsh", "fish"):
        sys.modules.pop(name, None)


TREE = ("Argument", "Command", "Kind", "Option", "Value")


def test_the_scripts_are_in_step_with_the_commands() -> None:
    """After a change of a command or option: python scripts/completions."""
    command = [sys.executable, ROOT / "scripts/completions", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_names_the_files_that_differ(
    completions: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert completions.main([], tmp_path) == 0
    assert completions.main(["--check"], tmp_path) == 0
    (tmp_path / "_agentdb").unlink()
    with (tmp_path / "agentdb.fish").open("a") as script:
        script.write("# edited by hand\n")
    assert completions.main(["--check"], tmp_path) == 1
    named = re.findall(r"completions/(\S+) differs", capsys.readouterr().err)
    assert named == ["_agentdb", "agentdb.fish"]


# Help texts hold what a shell may take for its own: quotes, brackets, colons …
AWKWARD = r"""It's [odd]: "$HOME" `id` \n 100%"""


@pytest.mark.parametrize("start", [bash, zsh, Fish])
def test_what_the_commands_have_no_example_of_yet(
    completions: ModuleType, tmp_path: Path, start: Callable[..., Terminal | Fish]
) -> None:
    """Arguments with choices or of files, any number of them, and an option with two meanings."""
    Kind, Value, Option = completions.Kind, completions.Value, completions.Option
    words = Value("FORMAT", Kind.WORDS, ("table", "json"))
    format = Option(("--format", "-f"), AWKWARD, words)
    force = Option(("--force", "-f"), "", None)
    name = completions.Argument(Value("NAME: one", Kind.WORDS, ("bloat", "locks")), False)
    file = completions.Argument(Value("FILE", Kind.FILES), False)
    query = completions.Argument(Value("QUERY", Kind.FREE), False)
    tables = completions.Argument(Value("TABLE", Kind.WORDS, ("agents", "events")), True)

    def command(path: str, options: list, *arguments: object) -> object:
        return completions.Command((path,), AWKWARD, tuple(options), arguments, ())

    commands = (
        command("slow-queries", [format], name, file),
        command("vacuum", [force], tables),
        command("search", [], query, name),
    )
    root = completions.Command((), "", (format,), (), commands)
    for script, text in completions.scripts(root).items():
        (tmp_path / script).write_text(text)
    Path("dump.sql").touch()

    shell = start(tmp_path / "home", scripts=tmp_path)
    try:
        assert set(shell.offers("agentdb slow-queries ")) == {"bloat", "locks"}
        assert set(shell.offers("agentdb slow-queries -f json b")) == {"bloat"}
        assert set(shell.offers("agentdb slow-queries bloat ")) == {"dump.sql"}
        assert set(shell.offers("agentdb slow-queries bloat dump.sql t")) == NOTHING
        assert set(shell.offers("agentdb vacuum ")) == {"agents", "events"}
        assert set(shell.offers("agentdb vacuum agents e")) == {"events"}
        assert set(shell.offers("agentdb search ")) == NOTHING
        assert set(shell.offers("agentdb search 'two words' ")) == {"bloat", "locks"}
        assert set(shell.offers("agentdb slow-queries -f ")) == {"table", "json"}
        assert set(shell.offers("agentdb vacuum -f ")) == {"agents", "events"}
        if start is not bash:
            assert shell.offers("agentdb vac")["vacuum"] == AWKWARD
            assert shell.offers("agentdb --form")["--format"] == AWKWARD
    finally:
        shell.close()
