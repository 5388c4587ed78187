"""Numbered SQL migrations: files, history and the runner that applies them."""
