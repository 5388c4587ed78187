"""The options of the commands that build indexes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Method(StrEnum):
    """The methods of pgvector."""

    hnsw = "hnsw"
    ivfflat = "ivfflat"


IndexArgument = Annotated[
    str | None,
    typer.Argument(metavar="[INDEX]", help="Which; needed where there are several."),
]
MethodOption = Annotated[Method | None, typer.Option("--method", help="HNSW unless said.")]
HalfOption = Annotated[
    bool, typer.Option("--half", help="Of the values as halfvec: half the size.")
]
BinaryOption = Annotated[
    bool,
    typer.Option("--binary", help="Of the values' signs, a bit each; search ranks what it finds."),
]
MOption = Annotated[
    int | None, typer.Option("--m", metavar="N", help="HNSW: connections of a row; 24.")
]
ConstructionOption = Annotated[
    int | None,
    typer.Option("--ef-construction", metavar="N", help="HNSW: candidates of a row; 128."),
]
ListsOption = Annotated[
    int | None,
    typer.Option("--lists", metavar="N", help="IVFFlat: clusters; rows / 1000 up to a million."),
]
MemoryOption = Annotated[
    str | None,
    typer.Option("--memory", metavar="SIZE", help="For the build, such as 2GB; by the machine."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=0, help="Beside the leader; by the machine."),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="IVFFlat on a table with too few rows for it.")
]
WaitOption = Annotated[
    str, typer.Option("--wait", metavar="TIME", help="Longest wait for an older transaction.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the SQL and what it takes; change nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
