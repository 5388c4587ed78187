"""What is going on in a database, and what to do about it."""
