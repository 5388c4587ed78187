"""The completion script for fish."""

from __future__ import annotations

from collections.abc import Iterator

from tree import (
    HEADER,
    Command,
    Kind,
    Option,
    Value,
    own_options,
    shared_options,
    value_rules,
)

_SCRIPT = r"""
# Sets __agentdb_path to the sub-commands typed so far and __agentdb_count to how
# many arguments follow them. Every condition below asks for that: it is worked
# out once for each command line.
function __agentdb_read
    set -l line (commandline -cp | string collect)
    test "$line" = "$__agentdb_line"; and return
    set -g __agentdb_line $line
    set -g __agentdb_path
    set -g __agentdb_count 0
    set -l words (commandline -opc)
    set -l path
    set -l ended
    set -l awaited
    for word in $words[2..]
        if set -q awaited[1]
            set awaited
        else if not set -q ended[1]; and string match -q -- '-?*' $word
            if test "$word" = --
                # A group still takes a sub-command after it, a command only arguments.
                __agentdb_is_group "$path"; or set ended yes
            else if __agentdb_awaits "$path" $word
                set awaited yes
            end
        else if __agentdb_is_group "$path"
            set -a path $word
        else
            set __agentdb_count (math $__agentdb_count + 1)
        end
    end
    set __agentdb_path "$path"
end

# True in each of the commands given.
function __agentdb_at
    __agentdb_read
    contains -- "$__agentdb_path" $argv
end

# True in command $argv[2], after $argv[1] arguments (* for any number).
function __agentdb_argument
    __agentdb_read
    test "$__agentdb_path" = "$argv[2]"
    and string match -q -- $argv[1] $__agentdb_count
end

# True if option $argv[2] of command $argv[1] takes the next word as its value:
# --url, -d or -qd, but neither --url=X nor -dX.
function __agentdb_awaits
    switch $argv[2]
        case '--*=*'
            return 1
        case '--*'
            __agentdb_takes_value "$argv[1] $argv[2]"
        case '*'
            set -l letters (string split '' -- $argv[2])
            set -e letters[1]
            while set -q letters[1]
                if __agentdb_takes_value "$argv[1] -$letters[1]"
                    not set -q letters[2]
                    return
                end
                set -e letters[1]
            end
            return 1
    end
end

# Prints the directories that continue what is typed, after the = of --dir=.
function __agentdb_directories
    __fish_complete_directories (commandline -ct | string replace -r '^--[^=]*=' '')
end

# Prints the environments in the nearest agentdb.toml.
function __agentdb_environments
    set -l directory $PWD
    while not test -f $directory/agentdb.toml
        string match -q / -- $directory; and return
        set directory (string replace -r '/[^/]*$' '' -- $directory)
        test -n "$directory"; or set directory /
    end
    string match -rg '^\s*\[environments\.([A-Za-z0-9_-]+)' <$directory/agentdb.toml
end
"""


def fish(root: Command) -> str:
    """completions/agentdb.fish."""
    shared = shared_options(root)
    commands = list(root.walk())
    groups = [command for command in commands if command.commands]
    sharing = [command for command in commands if own_options(command, shared)[0]]
    takes_value = [
        f"        case {' '.join(map(_quoted, patterns))}\n"
        f"            return {int(value is None)}\n"
        for patterns, value in value_rules(root)
    ]
    functions = (
        "\n# True if $argv[1] is a group: a command that has sub-commands.\n"
        + f"function __agentdb_is_group\n    contains -- $argv[1] {_paths(groups)}\nend\n"
        + "\n# True where the global options are taken.\n"
        + f"function __agentdb_shares\n    __agentdb_at {_paths(sharing)}\nend\n"
        + "\n# True if $argv[1], the command and an option in one string, takes a value.\n"
        + "function __agentdb_takes_value\n    switch $argv[1]\n"
        + "".join(takes_value)
        + "        case '*'\n            return 1\n    end\nend\n"
    )
    lines = ["complete -c agentdb -e", "complete -c agentdb -f"]
    for group in groups:
        lines += [
            f"{_start(_at([group]))} -a {child.path[-1]} -d {_quoted(child.help)}"
            for child in group.commands
        ]
    lines += [_option("__agentdb_shares", option) for option in shared]
    lines += _own_options(commands, shared)
    lines += [line for command in commands for line in _arguments(command)]
    title = "# fish completion for agentdb\n"
    return title + HEADER + _SCRIPT + functions + "\n" + "".join(f"{line}\n" for line in lines)


def _own_options(commands: list[Command], shared: tuple[Option, ...]) -> list[str]:
    """One line an option, for all commands that have it alike."""
    where: dict[Option, list[Command]] = {}
    for command in commands:
        for option in own_options(command, shared)[1]:
            where.setdefault(option, []).append(command)
    return [_option(_at(places), option) for option, places in where.items()]


def _option(condition: str, option: Option) -> str:
    names = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    )
    value = f" {_value(option.value)}" if option.value else ""
    return f"{_start(condition)} {names}{value} -d {_quoted(option.help)}"


def _arguments(command: Command) -> Iterator[str]:
    for index, argument in enumerate(command.arguments):
        if argument.value.kind is not Kind.FREE:
            count = r"\*" if argument.variadic else index
            condition = f"__agentdb_argument {count} {_paths([command])}"
            yield f"{_start(condition)} {_value(argument.value)}"


def _value(value: Value) -> str:
    return {
        Kind.WORDS: f"-x -a {_quoted(' '.join(value.words))}",
        Kind.FILES: "-r -F",
        Kind.DIRECTORIES: "-x -a '(__agentdb_directories)'",
        Kind.ENVIRONMENTS: "-x -a '(__agentdb_environments)'",
        Kind.FREE: "-x",
    }[value.kind]


def _at(commands: list[Command]) -> str:
    return f"__agentdb_at {_paths(commands)}"


def _paths(commands: list[Command]) -> str:
    return " ".join(_quoted(" ".join(command.path)) for command in commands)


def _start(condition: str) -> str:
    return f'complete -c agentdb -n "{condition}"'


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
