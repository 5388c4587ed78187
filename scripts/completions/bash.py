"""The completion script for bash."""

from __future__ import annotations

from collections.abc import Iterator

from tree import (
    HEADER,
    Argument,
    Command,
    Value,
    own_options,
    quoted,
    shared_options,
    value_rules,
)

_SCRIPT = r"""
_agentdb() {
    local IFS=$' \t\n' path='' commands='' options='' kind='' candidates=''
    local word typed prefix='' ended='' i last positional=0
    local -a words
    COMPREPLY=()
    _agentdb_words
    last=$((${#words[@]} - 1))
    _agentdb_command ''
    for ((i = 1; i < last; i++)); do
        word=${words[i]}
        if [[ $ended || $word != -?* ]]; then
            if [[ $commands ]]; then
                path+=${path:+ }$word
                _agentdb_command "$path" || return 0
            else
                positional=$((positional + 1))
            fi
        elif [[ $word == -- ]]; then
            # A group still takes a sub-command after it, a command only arguments.
            [[ $commands ]] || ended=yes
        elif _agentdb_awaits "$word"; then
            i=$((i + 1))
        fi
    done

    typed=${words[last]//[\"\']/}
    if ((i > last)); then
        : # the value of the option before it, which has set kind and candidates
    elif [[ ! $ended && $typed == --*=* ]]; then
        _agentdb_value "${typed%%=*}" || return 0
        # Where = parts words, as it does by default, bash keeps what is before it.
        [[ $COMP_WORDBREAKS == *=* ]] || prefix=${typed%%=*}=
        typed=${typed#*=}
    elif [[ ! $ended && $typed == -* ]]; then
        kind=words candidates=$options
    elif [[ $commands ]]; then
        kind=words candidates=$commands
    elif ! _agentdb_argument "$positional"; then
        [[ $ended ]] && return 0
        kind=words candidates=$options
    fi

    case $kind in
        files) compopt -o default 2>/dev/null ;;
        directories) compopt -o dirnames 2>/dev/null ;;
        environments) _agentdb_environments ;;
    esac
    for word in $candidates; do
        [[ $word == "$typed"* ]] && COMPREPLY+=("$prefix$word")
    done
    return 0
}

# Sets words to the command line up to the cursor, parted at blanks alone. Bash has
# parted it at each of COMP_WORDBREAKS, which tears up URLs and --option=value.
_agentdb_words() {
    local line=${COMP_LINE:0:COMP_POINT} rest word i n=-1
    for ((i = 0; i <= COMP_CWORD; i++)); do
        rest=${line#"${line%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$rest
        if ((n < 0)) || [[ $rest != "$line" ]]; then
            n=$((n + 1))
            words[n]=''
        fi
        words[n]+=$word
        line=${rest#"$word"}
    done
}

# True if option $1 takes the next word as its value: --url, -d or -qd, but
# neither --url=X nor -dX. Sets kind and candidates to what the value may be.
_agentdb_awaits() {
    local k
    case $1 in
        --*=*) return 1 ;;
        --*) _agentdb_value "$1" ;;
        *)
            for ((k = 1; k < ${#1}; k++)); do
                if _agentdb_value "-${1:k:1}"; then
                    ((k == ${#1} - 1))
                    return
                fi
            done
            return 1
            ;;
    esac
}

# Sets candidates to the environments in the nearest agentdb.toml.
_agentdb_environments() {
    local directory=$PWD line
    until [[ -f $directory/agentdb.toml ]]; do
        [[ $directory ]] || return 0
        directory=${directory%/*}
    done
    while IFS= read -r line || [[ $line ]]; do
        if [[ $line =~ ^[[:blank:]]*\[environments\.([A-Za-z0-9_-]+) ]]; then
            candidates+=" ${BASH_REMATCH[1]}"
        fi
    done 2>/dev/null <"$directory/agentdb.toml"
}
"""


def bash(root: Command) -> str:
    """completions/agentdb.bash."""
    shared = shared_options(root)
    commands = []
    for command in root.walk():
        takes_shared, own = own_options(command, shared)
        options = ["$shared"] * takes_shared + [name for o in own for name in o.names]
        names = " ".join(child.path[-1] for child in command.commands)
        commands.append(
            f"        {quoted(' '.join(command.path))})\n"
            f'            commands={quoted(names)} options="{" ".join(options)}" ;;\n'
        )
    shared_names = " ".join(name for option in shared for name in option.names)
    values = [
        f"        {' | '.join(map(_pattern, patterns))}) {_value(value)} ;;\n"
        for patterns, value in value_rules(root)
    ]
    arguments = [
        f"        {pattern}) {_value(argument.value)} ;;\n"
        for command in root.walk()
        for pattern, argument in _argument_patterns(command)
    ]
    return (
        "# bash completion for agentdb\n"
        + HEADER
        + _SCRIPT
        + "\n# Sets commands and options to what command $1 takes; fails if there is no such.\n"
        + "_agentdb_command() {\n"
        + f"    local shared={quoted(shared_names)}\n"
        + _case('"$1"', commands)
        + "\n# Sets kind and candidates for the value of option $1; fails if it takes none.\n"
        + "_agentdb_value() {\n"
        + _case('"$path $1"', values)
        + "\n# Sets kind and candidates for the argument after $1 others; fails if it takes none.\n"
        + "_agentdb_argument() {\n"
        + _case('"$path $1"', arguments)
        + "\ncomplete -F _agentdb agentdb\n"
    )


def _case(subject: str, branches: list[str]) -> str:
    return f"    case {subject} in\n{''.join(branches)}        *) return 1 ;;\n    esac\n}}\n"


def _value(value: Value | None) -> str:
    if value is None:
        return "return 1"
    return f"kind={value.kind} candidates={quoted(' '.join(value.words))}"


def _argument_patterns(command: Command) -> Iterator[tuple[str, Argument]]:
    """For each argument the pattern of "<path> <how many before it>", as a `case` has it."""
    for index, argument in enumerate(command.arguments):
        count = "*" if argument.variadic else index
        yield _pattern(f"{' '.join(command.path)} {count}"), argument


def _pattern(text: str) -> str:
    """`text` for a `case`: all of it quoted but its stars."""
    return "*".join(quoted(part) if part else "" for part in text.split("*"))
