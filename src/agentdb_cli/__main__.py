"""`python -m agentdb_cli`: the same as the `agentdb` command."""

from agentdb_cli.app import main

main()
