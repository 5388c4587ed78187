"""`agentdb search`: what is nearest to a text, a vector or a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agentdb_cli.commands.collections import CollectionOption
from agentdb_cli.commands.invocation import Invocation
from agentdb_cli.commands.registration import register
from agentdb_cli.errors import SettingsError

if TYPE_CHECKING:
    from agentdb_cli.postgres.connect import Connection
    from agentdb_cli.vectors.collections import Located
    from agentdb_cli.vectors.search.hybrid import Hybrid

app = typer.Typer(add_completion=False)

_FULL_TEXT = "Full text"
_HOW = "How it is done"


@register(app, "search")
def search(
    run: Invocation,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="What to look for; it is embedded.")
    ] = None,
    vector: Annotated[
        str | None,
        typer.Option(
            "--vector", metavar="VECTOR", help="A vector: '[0.1, …]', a file of it, - for stdin."
        ),
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", metavar="KEY", help="What is like this row.")
    ] = None,
    collection: CollectionOption = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100_000, help="The most hits.")
    ] = 10,
    min_similarity: Annotated[
        float | None,
        typer.Option("--min-similarity", metavar="NUMBER", help="Leave out what is less similar."),
    ] = None,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help="Only such rows: agent_id=1, 'created_at>2026-01-01', metadata.type=fact, "
            "'scope in a,b'. Repeat it for more.",
        ),
    ] = None,
    hybrid: Annotated[
        bool,
        typer.Option(
            "--hybrid", help="Let the words of the text count, too.", rich_help_panel=_FULL_TEXT
        ),
    ] = False,
    text_weight: Annotated[
        float | None,
        typer.Option(
            "--text-weight",
            metavar="NUMBER",
            min=0,
            help="What the words count: 0.3.",
            rich_help_panel=_FULL_TEXT,
        ),
    ] = None,
    vector_weight: Annotated[
        float | None,
        typer.Option(
            "--vector-weight",
            metavar="NUMBER",
            min=0,
            help="What the vector counts: 0.7.",
            rich_help_panel=_FULL_TEXT,
        ),
    ] = None,
    rrf: Annotated[
        bool,
        typer.Option(
            "--rrf",
            help="Count places instead of weights (reciprocal rank fusion).",
            rich_help_panel=_FULL_TEXT,
        ),
    ] = False,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Compare all rows, use no index.", rich_help_panel=_HOW),
    ] = False,
    ef_search: Annotated[
        int | None,
        typer.Option(
            "--ef-search",
            metavar="N",
            min=1,
            max=1000,
            help="HNSW: candidates of a search; more find more.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    probes: Annotated[
        int | None,
        typer.Option(
            "--probes",
            metavar="N",
            min=1,
            max=32_768,
            help="IVFFlat: lists to look into; more find more.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show how it is searched, why so, and the plan instead of the hits.",
            rich_help_panel=_HOW,
        ),
    ] = False,
) -> None:
    """Find what is nearest to a text, a vector or a row.

    A hit's score is its similarity: 1 - distance for cosine and Jaccard, the
    inner product itself, 1 / (1 + distance) for L2, L1 and Hamming. With
    --hybrid it is both halves, weighted, each from 0 to 1 among what it found.

    A filter is COLUMN, one of = != > >= < <= ~ !~ (LIKE) and a value; or
    COLUMN in A,B,C, COLUMN not in A,B,C, COLUMN is null, COLUMN is not null.
    COLUMN.KEY looks into json. A row without a value differs from any.

    There are as many hits as there are rows, up to the limit: where an index
    would miss some, the rows that pass the filter are compared one by one.
    """
    from agentdb_cli.commands import search_results as results
    from agentdb_cli.commands.collections import chosen
    from agentdb_cli.vectors.filters import parse
    from agentdb_cli.vectors.search import Request
    from agentdb_cli.vectors.search import search as find

    _refuse(text, vector, like, hybrid, text_weight, vector_weight, rrf)
    filters = tuple(parse(each) for each in filter or ())
    with run.connect(in_schema=True) as connection:
        located = chosen(run, connection, collection)
        request = Request(
            query=None if like is not None else _query(run, connection, located, text, vector),
            like=like,
            limit=limit,
            min_similarity=min_similarity,
            filters=filters,
            hybrid=_hybrid(located, text or "", text_weight, vector_weight, rrf)
            if hybrid
            else None,
            exact=exact,
            ef_search=ef_search or located.collection.ef_search,
            probes=probes or located.collection.probes,
            explain=explain,
        )
        found = find(connection, located, request, session=_session(run))
    if explain:
        results.explain(run.output, located, found)
    else:
        results.show(run.output, located, request, found)
    results.tell(run.output, request, found)


def _refuse(
    text: str | None,
    vector: str | None,
    like: str | None,
    hybrid: bool,
    text_weight: float | None,
    vector_weight: float | None,
    rrf: bool,
) -> None:
    """Options that do not go together.

    Raises:
        SettingsError: the first that is found.
    """
    if text is not None and not text.strip():
        raise SettingsError("the text to look for is empty")
    weights = text_weight is not None or vector_weight is not None
    given = [each for each in (None if hybrid else text, vector, like) if each is not None]
    if not given and text is None:
        raise SettingsError(
            "nothing to look for", hint='agentdb search "TEXT", or --vector VECTOR, or --like KEY'
        )
    if len(given) > 1:
        raise SettingsError(
            "a text, --vector and --like are one too many",
            hint="name one of them; with --hybrid a text goes with --vector or --like",
        )
    if hybrid and text is None:
        raise SettingsError(
            "--hybrid needs a text: its words are looked for", hint='agentdb search "TEXT" --hybrid'
        )
    if not hybrid and (weights or rrf):
        raise SettingsError("--text-weight, --vector-weight and --rrf are for --hybrid")
    if rrf and weights:
        raise SettingsError("--rrf counts places, and has no weights")
    if text_weight == 0 and vector_weight == 0:
        raise SettingsError("both weights are 0: nothing would count")


def _query(
    run: Invocation,
    connection: Connection,
    located: Located,
    text: str | None,
    vector: str | None,
) -> bytes:
    """The vector in the server's binary form: the one given, or that of the text."""
    from agentdb_cli.vectors import values

    if vector is not None:
        found, what = values.read(vector), "--vector"
    else:
        assert text is not None
        found, what = _embedded(run, connection, located, text), "the vector of the text"
    values.check(found, located, what)
    return values.encoder(located.type)(found)


def _embedded(run: Invocation, connection: Connection, located: Located, text: str) -> list[float]:
    """The text as a vector, of the model that the collection's rows were embedded with."""
    import time

    from agentdb_cli.commands.embedding import embedder_of, record_schema
    from agentdb_cli.vectors import models

    try:
        provider = embedder_of(run, time.sleep)
    except SettingsError as error:
        if run.settings.embedding:
            raise
        raise SettingsError(
            f"{error.message}, and the text is to become one",
            hint=f"{error.hint}; or give the vector itself: --vector",
        ) from None
    models.check(connection, located, provider.model, record_schema(run))
    (found,) = provider.embed([text], query=True)
    return found


def _hybrid(
    located: Located,
    text: str,
    text_weight: float | None,
    vector_weight: float | None,
    rrf: bool,
) -> Hybrid:
    """The weights that were given, else the collection's, else OpenAgent's."""
    from agentdb_cli.vectors.search import hybrid

    collection = located.collection

    def first(*values: float | None) -> float:
        return next(value for value in values if value is not None)

    return hybrid.Hybrid(
        text,
        first(text_weight, collection.text_weight, hybrid.TEXT_WEIGHT),
        first(vector_weight, collection.vector_weight, hybrid.VECTOR_WEIGHT),
        rrf,
    )


def _session(run: Invocation) -> dict[str, str]:
    """The timeouts as the transaction has to set them again: a pooler has dropped them."""
    connection = run.settings.connection
    session = {"lock_timeout": f"{connection.lock_timeout}"}
    if connection.statement_timeout:
        session["statement_timeout"] = f"{connection.statement_timeout}"
    return session
