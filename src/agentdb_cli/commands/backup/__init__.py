"""`agentdb backup`: make backups, list, verify and prune them."""

from __future__ import annotations

from agentdb_cli.commands.backup.create import create
from agentdb_cli.commands.backup.listing import list_
from agentdb_cli.commands.backup.prune import prune
from agentdb_cli.commands.backup.verify import verify
from agentdb_cli.commands.registration import group, register

app = group("Make backups; list, verify and prune them.")

register(app, "create")(create)
register(app, "list")(list_)
register(app, "verify")(verify)
register(app, "prune")(prune)
