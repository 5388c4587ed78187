"""`agentdb vectors`: load, embed and export embeddings; their indexes, recall and tuning."""

from __future__ import annotations

from agentdb_cli.commands.registration import group, register
from agentdb_cli.commands.vectors import index
from agentdb_cli.commands.vectors.embed import embed
from agentdb_cli.commands.vectors.export import export
from agentdb_cli.commands.vectors.load import load
from agentdb_cli.commands.vectors.recall import recall
from agentdb_cli.commands.vectors.status import status
from agentdb_cli.commands.vectors.tune import tune

app = group("Load, embed, index and measure the vectors of a collection.")

register(app, "load")(load)
register(app, "embed")(embed)
register(app, "export")(export)
register(app, "status")(status)
app.add_typer(index.app, name="index")
register(app, "recall")(recall)
register(app, "tune")(tune)
