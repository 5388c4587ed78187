"""Backups: made by pg_dump, described by a manifest, verified, pruned."""
