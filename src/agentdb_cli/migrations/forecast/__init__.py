"""Which locks pending migrations will take, on what, and what they do there: found by reading."""
