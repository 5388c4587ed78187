"""Reading migrations for what they would do to a database in use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentdb_cli.errors import MigrationError
from agentdb_cli.migrations.files import MigrationFile
from agentdb_cli.migrations.lint import allow
from agentdb_cli.migrations.lint.context import Context
from agentdb_cli.migrations.lint.model import Finding, Hit, Rule
from agentdb_cli.migrations.lint.rules import UNREADABLE
from agentdb_cli.migrations.lint.statement import parse
from agentdb_cli.migrations.lint.tokens import Kind, Token, tokenize
from agentdb_cli.migrations.prepare import runs_in_steps
from agentdb_cli.migrations.statements import Script, ScriptError, line_and_column
from agentdb_cli.migrations.statements import parse as parse_script
from agentdb_cli.settings.keys import Scalar

LARGEST = 1_000_000
"""Characters of the longest script that is read; beyond it are data, not statements."""

_EXCERPT = 100


@dataclass(frozen=True, slots=True)
class Source:
    """A script to read.

    Attributes:
        together: runs in one go with the one before it, so that what that one
            has made is used by nobody yet.
        judged: whether to look for findings; otherwise only for what it makes.
    """

    file: MigrationFile
    together: bool = True
    judged: bool = True

    @property
    def path(self) -> Path:
        """Where it was read."""
        return self.file.path

    @property
    def text(self) -> str:
        """What is run of it."""
        return self.file.text


def check(
    sources: Iterable[Source], rules: Sequence[Rule], variables: Mapping[str, Scalar]
) -> tuple[Finding, ...]:
    """What breaks a rule, in the order of the files and their lines.

    Args:
        variables: the values of the variables in the files.

    Raises:
        MigrationError: a file is too large to be one of statements.
    """
    context = Context.of(variables)
    findings: list[Finding] = []
    for source in sources:
        if len(source.text) > LARGEST:
            if not source.judged:
                continue
            raise MigrationError(
                f"{source.path} is too large to read: {len(source.text):,} characters, "
                f"the limit is {LARGEST:,}",
                hint="load data with COPY from a program, not in a migration",
            )
        if not source.together:
            context.begin_run()
        findings += _file(source, rules, context)
    return tuple(findings)


def _file(source: Source, rules: Sequence[Rule], context: Context) -> list[Finding]:
    try:
        script = parse_script(source.text)
    except ScriptError as error:
        found = Finding(source.path, error.line, error.column, UNREADABLE, "", error.message)
        return [found] if source.judged and UNREADABLE in rules else []
    context.begin_file(not runs_in_steps(source.file, script))
    tokens = tokenize(source.text)
    allowed = allow.read(source.text, tokens, script.statements)
    is_down = source.path.name.lower().endswith(".down.sql")
    wanted = [rule for rule in rules if source.judged and (rule.in_down or not is_down)]
    findings = [_finding(source, hit, rule) for rule, hit in allowed.wrong if rule in wanted]
    for number, words in enumerate(_statements(script, tokens)):
        if not words:
            continue
        statement = parse(words)
        for rule in wanted:
            if rule.check and not allowed.covers(number, rule):
                for hit in rule.check(statement, context):
                    findings.append(_finding(source, hit, rule, words))
        context.learn(statement)
    return sorted(findings, key=lambda f: (f.line, f.column))


def _statements(script: Script, tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement, without comments."""
    position = 0
    for statement in script.statements:
        words: list[Token] = []
        while position < len(tokens) and tokens[position].start < statement.end:
            token = tokens[position]
            if token.start >= statement.start and token.kind is not Kind.comment:
                words.append(token)
            position += 1
        yield words


def _finding(source: Source, hit: Hit, rule: Rule, words: Sequence[Token] = ()) -> Finding:
    line, column = line_and_column(source.text, hit.at.start)
    first = words[0].start if words else hit.at.start
    last = words[-1].end if words else hit.at.end
    excerpt = " ".join(source.text[first : min(last, first + 4 * _EXCERPT)].split())
    if len(excerpt) > _EXCERPT:
        excerpt = excerpt[: _EXCERPT - 1].rstrip() + "…"
    return Finding(source.path, line, column, rule, excerpt, hit.detail)
