"""The completion script for zsh."""

from __future__ import annotations

from tree import (
    HEADER,
    Argument,
    Command,
    Kind,
    Option,
    Value,
    own_options,
    quoted,
    shared_options,
)

_SCRIPT = r"""
# Completes a group: its options, the name of a sub-command, then what function
# $1_NAME completes. Takes the options as arguments, and subcommands from its caller.
__agentdb_group() {
    local level=$1 curcontext=$curcontext state state_descr line ret=1
    local -A opt_args
    shift
    # -A: what follows the name of a sub-command is for that one to read.
    _arguments -s -S -A '-*' -C : "$@" '1:command:->command' '*::: :->rest' && ret=0
    case $state in
        command)
            _describe -t commands command subcommands && ret=0
            ;;
        rest)
            words=("$line[1]" "${words[@]}")
            (( ++CURRENT ))
            level+=_$line[1]
            curcontext=${curcontext%:*:*}:${${level#_}//_/-}:
            (( $+functions[$level] )) && $level && ret=0
            ;;
    esac
    return ret
}

# The environments in the nearest agentdb.toml.
__agentdb_environments() {
    local directory=$PWD line
    local -a match mbegin mend names
    until [[ -f $directory/agentdb.toml ]]; do
        [[ -n $directory ]] || return 1
        directory=${directory%/*}
    done
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ '^[[:blank:]]*\[environments\.([A-Za-z0-9_-]+)' ]] && names+=($match[1])
    done 2>/dev/null <$directory/agentdb.toml
    compadd "$@" -a names
}

# Found through fpath, this file is the function's body; sourced, it registers it.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _agentdb "$@"
else
    compdef _agentdb agentdb
fi
"""


def zsh(root: Command) -> str:
    """completions/_agentdb."""
    shared = shared_options(root)
    return (
        "#compdef agentdb\n"
        + HEADER
        + "".join(_function(command, shared) for command in root.walk())
        + _SCRIPT
    )


def _function(command: Command, shared: tuple[Option, ...]) -> str:
    takes_shared, own = own_options(command, shared)
    lines = []
    if not command.path:
        # The functions of the sub-commands run inside this one and see it.
        lines += ["local -a shared", *_array("shared", [_option(o) for o in shared])]
    specs = [*["$shared"] * takes_shared, *map(_option, own)]
    name = "_".join(("_agentdb", *command.path))
    if command.commands:
        texts = [quoted(f"{c.path[-1]}:{_text(c.help)}") for c in command.commands]
        lines += ["local -a subcommands", *_array("subcommands", texts)]
        lines += _call(f"__agentdb_group {name}", specs)
    else:
        specs += [_argument(i, a) for i, a in enumerate(command.arguments, start=1)]
        lines += _call("_arguments -s -S :", specs)
    return f"\n{name}() {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"


def _array(name: str, items: list[str]) -> list[str]:
    return [f"{name}=(", *(f"    {item}" for item in items), ")"]


def _call(program: str, specs: list[str]) -> list[str]:
    if specs == ["$shared"]:
        return [f"{program} $shared"]
    return [f"{program} \\", *(f"    {spec} \\" for spec in specs[:-1]), f"    {specs[-1]}"]


def _option(option: Option) -> str:
    """An `_arguments` specification: '(-d --url)'{-d+,--url=}'[help]:URL: '."""
    suffix = {True: "=", False: "+"} if option.value else {True: "", False: ""}
    names = [name + suffix[name.startswith("--")] for name in option.names]
    text = _text(option.help).replace("[", r"\[").replace("]", r"\]")
    rest = f"[{text}]" + (_value(option.value) if option.value else "")
    star = "*" if option.repeatable else ""
    if len(names) == 1:
        return quoted(star + names[0] + rest)
    start = star or f"({' '.join(option.names)})"
    return f"{quoted(start)}{{{','.join(names)}}}{quoted(rest)}"


def _argument(position: int, argument: Argument) -> str:
    return quoted(("*" if argument.variadic else str(position)) + _value(argument.value))


def _value(value: Value) -> str:
    action = {
        Kind.WORDS: f"({' '.join(value.words)})",
        Kind.FILES: "_files",
        Kind.DIRECTORIES: "_files -/",
        Kind.ENVIRONMENTS: "__agentdb_environments",
        Kind.FREE: " ",
    }[value.kind]
    label = _text(value.label).replace(":", r"\:")
    return f":{label}:{action}"


def _text(text: str) -> str:
    return text.replace("\\", "\\\\")
