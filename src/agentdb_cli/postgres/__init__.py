"""The PostgreSQL server: reaching it, running one, and the programs around it."""
