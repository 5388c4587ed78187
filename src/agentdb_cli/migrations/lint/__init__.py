"""Migrations that lock, rewrite, break or lose something: found by reading them, not by running."""
