"""Building vector indexes: what to build, what it takes, and doing it."""
