"""Pending migrations applied to a copy of the schema, to see what they really do."""
